#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python package on a model of libviofs: who keeps memory how long, and what becomes of wrong
use."""

import asyncio
import gc
import os
import signal
import sys
import threading
import time
import traceback
import unittest
import warnings

import viofs
from viofs import aio, calls, device, errors, lanes, opened, raw, request, session
from viofs._viofs import ffi, lib

ROOM = 1 << 20


class Model:
    """Has lib's names. Calls that aren't answered by a row of `answers` succeed with 0; those in
    `stuck` wait."""

    def __init__(self):
        self.memory = mmap_like = ffi.new("uint8_t[]", ROOM)
        self.free = {int(ffi.cast("uintptr_t", mmap_like)): ROOM}
        self.freed, self.closed, self.said = [], [], []
        self.answers, self.stuck = {}, set()
        self.waiting = []  # (name, async, args, user)
        self.ended = []  # (async, user, result)
        self.elsewhere = False
        self.views, self.used = 0, None
        self.lock = threading.Lock()

    def __getattr__(self, name):
        if name.endswith("_async"):
            return lambda a, *args: self.begin(name[len("viofs_"):-len("_async")], a, args)
        return getattr(lib, name)

    def begin(self, name, a, args):
        """A call with an end."""
        self.said.append(name)
        if self.elsewhere:
            return -19
        *args, user = args
        with self.lock:
            if name in self.stuck:
                self.waiting.append((name, a, args, user))
            else:
                self.ended.append((a, user, self.result(name, args)))
        return 0

    def result(self, name, args):
        """What the device answers; what opens gives a pointer."""
        answer = self.answers.get(name, 0)
        value = answer(*args) if callable(answer) else answer
        if name in ("file_open", "dir_open") and value == 0:
            args[-1][0] = ffi.cast(ffi.typeof(args[-1]).item, 4096 + len(self.said))
        return value

    def answer(self):
        """What is stuck ends."""
        with self.lock:
            for name, a, args, user in self.waiting:
                self.ended.append((a, user, self.result(name, args)))
            self.waiting.clear()

    def viofs_async_poll(self, a, events, most):
        with self.lock:
            mine = [e for e in self.ended if e[0] == a][:most]
            for i, e in enumerate(mine):
                events[i].user, events[i].result, events[i].fault = e[1], e[2], ffi.NULL
                self.ended.remove(e)
        return len(mine)

    def viofs_async_wait(self, a, events, least, most, ns):
        end = time.monotonic_ns() + ns
        while not (n := self.viofs_async_poll(a, events, most)) and time.monotonic_ns() < end:
            time.sleep(0.001)
        return n

    def viofs_async_open(self, s, most, out, err):
        self.pipe = os.pipe()
        out[0] = ffi.cast("struct viofs_async *", len(self.said) + 1)
        self.said.append("async_open")
        return 0

    def viofs_async_fd(self, a):
        return self.pipe[0]

    def viofs_async_arm(self, a):
        return int(any(e[0] == a for e in self.ended))

    def viofs_async_next_timeout(self, a):
        return 1000000

    def viofs_async_link(self, a):
        self.said.append("link")

    def viofs_async_use(self, a, view):
        self.used = int(ffi.cast("uintptr_t", view))

    def viofs_async_cancel(self, a, user):
        with self.lock:
            given_up = [w for w in self.waiting if w[1] == a and w[3] == user]
            for w in given_up:
                self.waiting.remove(w)
                self.ended.append((a, user, -125))
        self.said.append("cancel")
        return len(given_up) or -2

    def viofs_async_wake(self, a):
        self.said.append("wake")

    def viofs_view_options_init(self, s, options, size):
        pass

    def viofs_session_view(self, s, options, out, err):
        self.views += 1
        out[0] = ffi.cast("struct viofs_session *", 100 + self.views)
        return 0

    def viofs_async_close(self, a):
        self.answer()
        self.closed.append("async")

    def viofs_async_close_now(self, a):
        self.closed.append("async now")

    def viofs_dev_open(self, source, options, out, err):
        if source == b"nothing":
            err.text = b"There is no device \"nothing\"."
            return -19
        out[0] = ffi.cast("struct viofs_dev *", 1)
        return 0

    def viofs_dev_close(self, dev, err):
        self.closed.append("device")
        return 0

    def viofs_dev_failed(self, dev):
        return ffi.NULL

    def viofs_dev_abort(self, dev):
        self.closed.append("aborted")
        self.answer()

    def viofs_dev_info_get(self, dev, info):
        return 0

    def viofs_session_open(self, dev, options, out, err):
        out[0] = ffi.cast("struct viofs_session *", 2)
        return 0

    def viofs_session_info_get(self, s, info):
        return 0

    def viofs_session_close(self, s):
        if s:
            self.closed.append("session" if int(ffi.cast("uintptr_t", s)) < 100 else "view")

    def viofs_file_close(self, f, err):
        self.closed.append("file")
        return 0

    def viofs_dma_alloc(self, dev, size):
        for address, room in self.free.items():
            if room >= size:
                del self.free[address]
                if room > size:
                    self.free[address + size] = room - size
                return ffi.cast("void *", address)
        return ffi.NULL

    def viofs_dma_free(self, dev, memory):
        self.freed.append(int(ffi.cast("uintptr_t", memory)))

    def viofs_queue_open(self, dev, out, err):
        out[0] = ffi.cast("struct viofs_queue *", 3)
        return 0

    def viofs_queue_submit(self, q, requests, count):
        return count

    def viofs_queue_close(self, q):
        self.closed.append("queue")


class Case(unittest.TestCase):
    def setUp(self):
        self.model = Model()
        for module in (aio, calls, device, errors, lanes, opened, raw, request, session):
            if hasattr(module, "lib"):
                module.lib = self.model
        opened.CLOSE_FILE = opened._Close(self.model.viofs_file_close_async,
                                          self.model.viofs_file_close)
        opened.CLOSE_DIR = opened._Close(self.model.viofs_dir_close_async,
                                         self.model.viofs_file_close)
        aio.CLOSE_FILE, aio.CLOSE_DIR = opened.CLOSE_FILE, opened.CLOSE_DIR

    def share(self):
        """A device with a session, closed after the test."""
        dev = viofs.open("model")
        self.addCleanup(dev.close)
        return dev, dev.session()

    def interrupt(self, seconds=0.2):
        """As Ctrl-C does it."""
        timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        self.addCleanup(timer.cancel)


class Errors(Case):
    def test_an_error_is_of_the_class_that_python_has_for_its_number(self):
        self.model.answers["path_stat"] = -2
        with self.assertRaises(FileNotFoundError) as caught:
            self.share()[1].stat("a/b")
        self.assertIsInstance(caught.exception, viofs.Error)
        self.assertEqual((caught.exception.errno, caught.exception.filename), (2, "a/b"))

    def test_a_number_that_python_has_no_class_for_is_an_error(self):
        self.model.answers["path_stat"] = -95
        with self.assertRaises(viofs.Error) as caught:
            self.share()[1].stat("a")
        self.assertEqual(type(caught.exception), viofs.Error)

    def test_the_text_is_the_librarys(self):
        with self.assertRaises(OSError) as caught:
            viofs.open("nothing")
        self.assertEqual(caught.exception.strerror, "There is no device \"nothing\".")

    def test_both_names_of_a_rename_are_told(self):
        self.model.answers["path_rename"] = -18
        with self.assertRaises(OSError) as caught:
            self.share()[1].rename("from", "to")
        self.assertEqual((caught.exception.filename, caught.exception.filename2), ("from", "to"))

    def test_nul_in_a_name_is_refused(self):
        with self.assertRaises(ValueError):
            self.share()[1].stat("a\0b")


class Endings(Case):
    def test_what_is_closed_says_so(self):
        dev, share = self.share()
        f, d, q = share.open("x", "rb"), share.opendir(), dev.queue()
        dev.close()
        for use in (lambda: share.stat("x"), share.listdir, lambda: f.pread(1, 0), f.tell,
                    lambda: f.read(1), d.fill,
                    lambda: dev.alloc(1), dev.queue, dev.session, lambda: q.submit([]), q.fileno,
                    lambda: dev.info,
                    lambda: dev.failed, lambda: share.info):
            with self.assertRaises(ValueError):
                use()
        for what in (dev, share, f, d, q):
            what.close()

    def test_the_device_closes_what_is_open_in_the_right_order(self):
        dev, share = self.share()
        f = share.open("x", "rb")
        dev.close()
        self.assertEqual(self.model.closed, ["async", "file", "session", "device"])
        self.assertTrue(f.closed)

    def test_a_file_that_nobody_closed_is_closed_later_with_a_warning(self):
        _, share = self.share()
        f = share.open("x", "rb")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            del f
            gc.collect()
        self.assertEqual([w.category for w in said], [ResourceWarning])
        self.assertNotIn("file_close", self.model.said)
        share.stat("y")
        self.assertEqual(self.model.said.count("file_close"), 1)

    def test_a_file_closes_after_the_last_call_on_it(self):
        _, share = self.share()
        f = share.open("x", "rb")
        self.model.stuck.add("file_stat")
        thread = threading.Thread(target=f.stat)
        thread.start()
        while not self.model.waiting:
            time.sleep(0.001)
        f.close()
        self.assertNotIn("file_close", self.model.said)
        with self.assertRaises(ValueError):
            f.stat()
        self.model.answer()
        thread.join()
        self.assertEqual(self.model.said.count("file_close"), 1)


class Interrupts(Case):
    def test_ctrl_c_ends_a_call_that_hangs_and_the_next_one_works(self):
        _, share = self.share()
        self.model.stuck.add("path_stat")
        self.interrupt()
        start = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            share.stat("x")
        self.assertLess(time.monotonic() - start, 2)
        self.assertEqual((self.model.said.count("cancel"), self.model.waiting), (1, []))
        self.model.stuck.clear()
        share.stat("y")

    def test_memory_of_a_call_that_was_given_up_is_kept_until_its_answer(self):
        dev, share = self.share()
        memory = dev.alloc(4096)
        f = share.open("x", "rb")
        self.model.stuck.add("file_pread")
        self.interrupt()
        with self.assertRaises(KeyboardInterrupt):
            f.pread_into(memory, 0)
        del memory
        gc.collect()
        self.assertEqual(self.model.freed, [])
        self.model.answer()
        share.stat("y")
        gc.collect()
        self.assertEqual(len(self.model.freed), 1)
        f.close()

    def test_an_open_that_ends_just_before_it_is_given_up_is_closed(self):
        _, share = self.share()
        self.model.stuck.add("file_open")
        cancel = self.model.viofs_async_cancel

        def too_late(*args):
            self.model.answer()
            return cancel(*args)

        self.model.viofs_async_cancel = too_late
        self.interrupt()
        with self.assertRaises(KeyboardInterrupt):
            share.open("x", "rb")
        self.assertIn("file_close", self.model.said)

    def test_a_call_that_timed_out_in_dma_memory_keeps_it_until_the_device_is_closed(self):
        dev, share = self.share()
        f = share.open("x", "rb")
        self.model.answers["file_pread"] = -110
        with self.assertRaises(TimeoutError):
            f.pread_into(dev.alloc(4096)[:10], 0)
        with self.assertRaises(TimeoutError):
            f.pread(10, 0)
        gc.collect()
        self.assertEqual(self.model.freed, [])
        self.assertEqual(len(dev._lost), 1)
        f.close()

    def test_calls_of_other_threads_are_cancelled_those_of_other_views_not(self):
        _, share = self.share()
        view = share.view(uid=7)
        f = view.open("x", "rb")
        self.model.stuck.update(("path_stat", "file_stat"))
        ends = {}

        def end(name, function):
            try:
                function()
                ends[name] = 0
            except OSError as e:
                ends[name] = e.errno

        threads = [threading.Thread(target=end, args=pair) for pair in
                   (("path", lambda: view.stat("x")), ("file", f.stat),
                    ("other", lambda: share.stat("x")))]
        for thread in threads:
            thread.start()
        while len(self.model.waiting) < 3:
            time.sleep(0.001)
        self.assertEqual(view.cancel(), 2)
        for thread in threads[:2]:
            thread.join()
        self.assertEqual(ends, {"path": 125, "file": 125})
        self.assertEqual((view.cancel(), share.cancel()), (0, 1))
        threads[2].join()
        self.assertEqual(ends["other"], 125)
        f.close()

    def test_ctrl_c_while_the_session_closes_gives_the_device_up(self):
        dev, share = self.share()
        share.stat("x")
        self.model.viofs_session_close = lambda s: self.wait_for_abort()
        self.interrupt()
        with self.assertRaises(KeyboardInterrupt):
            share.close()
        self.assertIn("aborted", self.model.closed)
        dev.close()

    def test_a_second_ctrl_c_does_not_leave_a_close_half_done(self):
        dev, share = self.share()
        ended = []

        def slow(s):
            self.wait_for_abort()
            time.sleep(0.5)
            ended.append(s)

        self.model.viofs_session_close = slow
        self.interrupt(0.2)
        self.interrupt(0.4)
        with self.assertRaises(KeyboardInterrupt):
            share.close()
        self.assertEqual(len(ended), 1)
        dev.close()

    def wait_for_abort(self):
        while "aborted" not in self.model.closed:
            time.sleep(0.001)


class Views(Case):
    def test_each_call_is_made_as_its_view_says(self):
        _, share = self.share()
        one, other = share.view(uid=1), share.view(uid=2)
        for made, pointer in ((one, 101), (other, 102), (share, 2), (one.view(uid=3), 103)):
            made.stat("x")
            self.assertEqual(self.model.used, pointer)

    def test_a_view_closes_what_was_opened_by_it_and_nothing_else(self):
        dev, share = self.share()
        view = share.view(uid=1)
        mine, theirs = view.open("x", "rb"), share.open("y", "rb")
        view.close()
        self.assertTrue(mine.closed and view.closed and not theirs.closed and not share.closed)
        self.assertEqual((self.model.said.count("file_close"), self.model.closed), (1, ["view"]))
        for use in (lambda: view.stat("x"), lambda: mine.stat(), lambda: view.view(uid=2)):
            with self.assertRaises(ValueError):
                use()
        view.close()
        theirs.stat()
        dev.close()
        self.assertEqual(self.model.closed, ["view", "async", "file", "session", "device"])

    def test_a_session_closes_its_views(self):
        dev, share = self.share()
        view = share.view(uid=1)
        f = view.open("x", "rb")
        share.close()
        self.assertTrue(view.closed and f.closed)
        self.assertEqual(self.model.closed, ["async", "file", "view", "session"])
        del view, f
        gc.collect()
        self.assertEqual(self.model.closed.count("view"), 1)

    def test_a_view_that_nobody_has_is_closed(self):
        _, share = self.share()
        share.view(uid=1)
        gc.collect()
        self.assertEqual(self.model.closed, ["view"])

    def test_a_view_waits_for_calls_of_other_threads(self):
        _, share = self.share()
        view = share.view(uid=1)
        self.model.stuck.add("path_stat")
        call = threading.Thread(target=lambda: view.stat("x"))
        call.start()
        while not self.model.waiting:
            time.sleep(0.001)
        close = threading.Thread(target=view.close)
        close.start()
        time.sleep(0.1)
        self.assertEqual(self.model.closed, [])
        self.model.answer()
        call.join()
        close.join()
        self.assertEqual(self.model.closed, ["view"])

    def test_a_directory_of_another_session_is_no_start(self):
        _, share = self.share()
        with self.share()[1].opendir("/") as other, self.assertRaises(ValueError):
            share.view(at=other)


class Memory(Case):
    def test_memory_is_freed_with_its_last_reference(self):
        dev, _ = self.share()
        memory = dev.alloc(4096)
        part = memory[100:200]
        del memory
        gc.collect()
        self.assertEqual(self.model.freed, [])
        part[0] = 1
        del part
        gc.collect()
        self.assertEqual(len(self.model.freed), 1)

    def test_a_closed_device_takes_its_views_away(self):
        dev, _ = self.share()
        memory = dev.alloc(4096)
        dev.close()
        with self.assertRaises(ValueError):
            memory[0] = 1

    def test_a_device_with_parts_of_memory_in_use_does_not_close(self):
        dev, _ = self.share()
        part = dev.alloc(4096)[10:20]
        with self.assertRaises(BufferError):
            dev.close()
        part[0] = 7
        self.assertNotIn("device", self.model.closed)
        del part
        dev.close()
        self.assertIn("device", self.model.closed)

    def test_no_memory_left_says_which(self):
        dev, _ = self.share()
        with self.assertRaises(OSError) as caught:
            dev.alloc(2 * ROOM)
        self.assertIn("dma_size", caught.exception.strerror)

    def test_read_only_memory_is_not_read_into(self):
        _, share = self.share()
        with share.open("x", "rb") as f, self.assertRaises((BufferError, TypeError, ValueError)):
            f.pread_into(b"constant", 0)

    def test_a_queue_that_is_closed_too_early_keeps_the_memory(self):
        dev, _ = self.share()
        queue = dev.queue()
        queue.submit(viofs.Request(15, reply_data=(dev.alloc(4096),)))
        queue.close()
        gc.collect()
        self.assertEqual(self.model.freed, [])
        dev.close()


class Fork(Case):
    def test_a_child_has_an_error_and_no_memory(self):
        dev, share = self.share()
        memory = dev.alloc(4096)
        share.stat("x")
        pid = os.fork()
        if not pid:
            status = 1
            try:
                self.model.elsewhere = True
                status = self.in_child(dev, share, memory)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        share.stat("x")
        memory[0] = 1

    def in_child(self, dev, share, memory):
        for use in (lambda: share.stat("x"), lambda: share.open("x"), lambda: dev.alloc(1),
                    dev.queue):
            try:
                use()
                return 2
            except OSError as e:
                if e.errno != 19:
                    return 3
        try:
            memory[0] = 1
            return 4
        except ValueError:
            pass
        dev.close()
        return 0


class Asyncio(Case):
    def run_in_loop(self, function):
        async def main():
            async with share.aio() as a:
                await function(dev, a)

        dev, share = self.share()
        asyncio.run(main())

    def test_calls_end_in_any_number(self):
        async def case(_, a):
            self.assertEqual(len(await asyncio.gather(*(a.stat("x") for _ in range(200)))), 200)

        self.run_in_loop(case)

    def test_a_link_goes_before_the_next_call_and_no_other(self):
        async def case(_, a):
            f = await a.open("new", "wb")
            del self.model.said[:]
            calls = [f.pwrite(b"x", 0)]
            a.link_next()
            calls.append(f.close())
            a.link_next()
            calls.append(a.rename("new", "old"))
            calls.append(a.stat("old"))
            await asyncio.gather(*calls)
            await a.drain()
            self.assertEqual(self.model.said, ["file_pwrite", "link", "file_close", "link",
                                               "path_rename", "path_stat"])
            self.assertTrue(f.closed)

        self.run_in_loop(case)

    def test_a_linked_close_takes_no_file_from_under_other_calls(self):
        async def case(_, a):
            f = await a.open("x")
            self.model.stuck.add("file_stat")
            other = f.stat()
            first = a.stat("y")
            a.link_next()
            with self.assertRaises(ValueError):
                f.close()
            self.model.answer()
            await asyncio.gather(other, first)
            self.model.stuck.clear()
            self.assertEqual(self.model.said.count("file_close"), 0)

        self.run_in_loop(case)

    def test_errors_arrive_where_they_are_awaited(self):
        async def case(_, a):
            self.model.answers["path_stat"] = -13
            with self.assertRaises(PermissionError):
                await a.stat("x")

        self.run_in_loop(case)

    def test_a_cancelled_call_keeps_its_memory_until_the_answer(self):
        async def case(dev, a):
            self.model.stuck.add("file_pread")
            memory = dev.alloc(4096)
            f = await a.open("x")
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(f.pread_into(memory, 0), 0.05)
            del memory
            gc.collect()
            self.assertEqual(self.model.freed, [])
            self.model.answer()
            await a.stat("x")
            await f.close()
            gc.collect()
            self.assertEqual(len(self.model.freed), 1)

        self.run_in_loop(case)

    def test_a_cancelled_call_is_given_up_by_the_library(self):
        async def case(_, a):
            self.model.stuck.add("path_stat")
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(a.stat("x"), 0.05)
            self.assertEqual(self.model.said.count("cancel"), 1)
            while a.pending:
                await asyncio.sleep(0.001)

        self.run_in_loop(case)

    def test_close_now_cancels_and_keeps_the_memory(self):
        async def case(dev, a):
            self.model.stuck.add("file_pread")
            memory = dev.alloc(4096)
            f = await a.open("x")
            future = f.pread_into(memory, 0)
            a.close_now()
            self.assertIn("async now", self.model.closed)
            with self.assertRaises(asyncio.CancelledError):
                await future
            self.model.waiting.clear()
            del memory, future
            gc.collect()
            self.assertEqual(self.model.freed, [])
            with self.assertRaises(ValueError):
                await a.stat("x")

        self.run_in_loop(case)

    def test_another_loop_is_refused(self):
        async def other(a):
            await a.stat("x")

        async def case(_, a):
            with self.assertRaises(RuntimeError):
                await asyncio.to_thread(asyncio.run, other(a))

        self.run_in_loop(case)


class Fields(Case):
    def test_all_structs_go_there_and_back(self):
        for op in viofs.OPS.values():
            values = {name: i + 1 for i, (name, _) in enumerate(op.args) if name != "."}
            data = raw.pack(op.args, values)
            self.assertEqual(len(data), raw.size_of(op.args))
            self.assertEqual(raw.unpack(op.args, data), values, op)

    def test_numbers_that_do_not_fit_are_refused(self):
        with self.assertRaises(ValueError):
            raw.pack(viofs.OPS["OPEN"].args, {"flags": 1 << 32})

    def test_unknown_fields_are_refused_and_names_are_required(self):
        with self.share()[1].raw() as r:
            with self.assertRaises(TypeError):
                r.lookup(nodeid=1, name="x", colour=1)
            with self.assertRaises(KeyError):
                r.lookup(nodeid=1)
            with self.assertRaises(AttributeError):
                r.no_such_request(nodeid=1)

    def test_sizes_of_data_are_filled_in(self):
        with self.share()[1].raw() as r:
            request = r.build("WRITE", nodeid=2, fh=1, offset=5, data=b"12345678")
            self.assertEqual(raw.unpack(viofs.OPS["WRITE"].args, request.args)["size"], 8)
            self.assertEqual([bytes(piece) for piece in request.data], [b"12345678"])
            request = r.build("SETXATTR", nodeid=2, name="user.x", data=b"value")
            self.assertTrue(request.args.endswith(b"user.x\0value"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
