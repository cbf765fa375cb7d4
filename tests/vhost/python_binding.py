#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""libviofs for Python against a back end: argv[1]. TAP."""

import asyncio
import contextlib
import errno
import io
import mmap
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree

import viofs
from vhostlib import (C_VIRTIOFSD, DEVICE, RUST_VIRTIOFSD, Session, check, named, run, run_cases,
                      skip_all)

KIND = sys.argv[1]
MIB = 1 << 20


@contextlib.contextmanager
def share(args=(), own=False, **options):
    """A back end, and this program in front of it. @own: viofs-device's tree in memory, which takes
    orders."""
    with Session("device" if own else KIND, list(args)) as s:
        if not own and KIND == "device":
            s.backend_args = ["--serve", s.share, *args]
        s.start_backend()
        try:
            with viofs.open("vhost-user:" + s.socket, **options) as dev, dev.session() as files:
                yield s, dev, files
        finally:
            if own:
                s.backend.kill()


def raises(what, function, number=None):
    """The exception that @function must raise."""
    try:
        function()
    except what as e:
        check(number is None or e.errno == number, f"{e!r} where {number} is due")
        return e
    raise AssertionError(f"{what.__name__} was due")


def names_are_as_on_this_machine():
    with share() as (s, _, files):
        os.makedirs(s.share + "/a/b")
        files.mkdir("a/new", 0o700)
        check(stat.S_IMODE(os.stat(s.share + "/a/new").st_mode) == 0o700, "the mode")
        files.write_file("a/file", b"contents")
        with open(s.share + "/a/file", "rb") as f:
            check(f.read() == b"contents", "the contents")
        files.symlink("file", "a/link")
        check(files.readlink("a/link") == "file" and files.lstat("a/link").st_mode & stat.S_IFLNK,
              "the link")
        files.link("a/file", "a/other")
        mine, theirs = files.stat("a/link"), os.stat(s.share + "/a/link")
        for field in ("st_mode", "st_ino", "st_nlink", "st_uid", "st_size", "st_mtime_ns",
                      "st_blocks"):
            check(getattr(mine, field) == getattr(theirs, field), f"{field}: {mine} is {theirs}")
        files.chmod("a/file", 0o640)
        files.truncate("a/file", 3)
        files.utime("a/file", ns=(10**18 + 7, 10**18 + 9))
        theirs = os.stat(s.share + "/a/file")
        check((theirs.st_mtime_ns, theirs.st_size, stat.S_IMODE(theirs.st_mode))
              == (10**18 + 9, 3, 0o640), str(theirs))
        files.rename("a/other", "a/renamed")
        files.unlink("a/renamed")
        files.rmdir("a/new")
        check(sorted(files.listdir("a")) == sorted(os.listdir(s.share + "/a")), "the names")
        check(files.statvfs().f_namemax == 255, "statvfs")
        check(files.statx("a/file")["size"] == 3, "statx")
        found = {(top, tuple(sorted(d)), tuple(sorted(f))) for top, d, f in files.walk("/")}
        check(found == {("/", ("a",), ()), ("/a", ("b",), ("file", "link")), ("/a/b", (), ())},
              str(found))


def extended_attributes_are_kept():
    with share() as (s, _, files):
        files.write_file("file", b"")
        files.setxattr("file", "user.one", b"value")
        check(os.getxattr(s.share + "/file", "user.one") == b"value", "on this machine")
        check(files.getxattr("file", "user.one") == b"value"
              and "user.one" in files.listxattr("file"), "on the share")
        files.removexattr("file", "user.one")
        raises(OSError, lambda: files.getxattr("file", "user.one"), errno.ENODATA)


def extended_attributes_of_open_files():
    with share() as (s, _, files):
        with files.open("file", "w+b") as f:
            f.setxattr("user.one", b"value")
            check(os.getxattr(s.share + "/file", "user.one") == b"value", "on this machine")
            check(f.getxattr("user.one") == b"value" and "user.one" in f.listxattr(),
                  "on the share")
            raises(FileExistsError, lambda: f.setxattr("user.one", b"", how=os.XATTR_CREATE))
            f.removexattr("user.one")
            raises(OSError, lambda: f.getxattr("user.one"), errno.ENODATA)


def views_are_somebody_else_and_begin_somewhere_else():
    with share() as (s, _, files):
        os.makedirs(s.share + "/a/b")
        os.chmod(s.share + "/a/b", 0o777)
        with files.view(uid=1234, gid=1235, at="a/b") as view:
            view.write_file("file", b"contents")
            view.mkdir("folder")
            for name in ("file", "folder"):
                st = os.stat(f"{s.share}/a/b/{name}")
                check((st.st_uid, st.st_gid) == (1234, 1235), f"{name}: {st}")
            check(view.stat("/a").st_mode & stat.S_IFDIR and sorted(view.listdir("."))
                  == ["file", "folder"], "the names")
            with files.opendir("a") as d:
                deeper = files.view(at=d)
            check(deeper.read_file("b/file") == b"contents", "from a directory")
        files.write_file("a/other", b"")
        check(os.stat(s.share + "/a/other").st_uid == os.getuid(), "the session's own")


def files_without_a_name_get_one():
    with share() as (s, _, files):
        try:
            f = files.open("/", "w+b", oflags=os.O_TMPFILE)
        except OSError as e:
            check(e.errno in (errno.EOPNOTSUPP, errno.ENOSYS), str(e))
            return
        with f:
            f.write(b"contents")
            check(not os.listdir(s.share), "it has no name")
            f.link("file")
            raises(FileExistsError, lambda: f.link("file"))
        with open(s.share + "/file", "rb") as there:
            check(there.read() == b"contents", "what is there")


def files_are_copied_from_and_to_descriptors():
    data = os.urandom(3 * MIB + 5)
    with share() as (s, _, files), tempfile.TemporaryFile() as there, \
            files.open("file", "w+b") as f:
        there.write(data)
        there.flush()
        check(f.from_fd(there.fileno(), fd_offset=0) == len(data), "all of it")
        with open(s.share + "/file", "rb") as copy:
            check(copy.read() == data, "what was copied")
        ends = os.pipe()
        check(f.to_fd(ends[1], 1000, offset=7) == 1000 and os.read(ends[0], 2000) == data[7:1007],
              "into a pipe")
        for end in ends:
            os.close(end)
        raises(OSError, lambda: f.to_fd(ends[0], 10), errno.EBADF)


def permissions_are_checked_for_who_asks():
    with share() as (_, _, files):
        files.write_file("secret", b"x", perm=0o600)
        with files.view(uid=1234, gid=1234, check=True) as view:
            raises(PermissionError, lambda: view.read_file("secret"))
            raises(PermissionError, lambda: view.write_file("new", b""))
            check(view.stat("secret").st_size == 1, "stat")
            with view.view(check=False) as other:
                other.stat("secret")
        with files.view(uid=1234, gid=1234) as view:
            check(view.read_file("secret") == b"x", "the device doesn't check")


def a_file_that_was_replaced_is_seen_by_who_asks():
    with share() as (s, _, files):
        for name, data in (("file", b"1"), ("new", b"22")):
            with open(f"{s.share}/{name}", "wb") as f:
                f.write(data)
        check(files.stat("file").st_size == 1, "the old one")
        os.rename(s.share + "/new", s.share + "/file")
        fresh = viofs.PathFlag.FORCE_SYNC
        check(files.stat("file", flags=fresh).st_ino == os.stat(s.share + "/file").st_ino,
              "its inode")
        check(files.read_file("file", flags=fresh) == b"22", "its contents")
        with files.view(force_sync=True) as view:
            for data in (b"333", b"4444"):
                with open(s.share + "/new", "wb") as f:
                    f.write(data)
                os.rename(s.share + "/new", s.share + "/file")
                check(view.read_file("file") == data, "by a view that remembers nothing")


def a_tree_is_told_from_the_top():
    with share() as (s, _, files):
        os.makedirs(s.share + "/t/a/b")
        os.makedirs(s.share + "/t/c")
        for name in ("t/a/b/x", "t/c/y"):
            with open(f"{s.share}/{name}", "wb") as f:
                f.write(b"12")
        os.symlink("a", s.share + "/t/link")
        told = list(files.tree("t", after=True))
        there = sorted(e.path for e in told if not e.after)
        check(there == ["t", "t/a", "t/a/b", "t/a/b/x", "t/c", "t/c/y", "t/link"], str(there))
        check(sorted(e.path for e in told if e.after) == ["t", "t/a", "t/a/b", "t/c"], str(told))
        check(told[0].path == "t" and told[-1].after and told[-1].path == "t", str(told))
        for entry in told:
            check(entry.error is None and entry.depth == entry.path.count("/"), str(entry))
            check(entry.stat.st_ino == os.lstat(f"{s.share}/{entry.path}").st_ino, entry.path)
        check([e.path for e in told if e.path == "t/a"] == ["t/a"] * 2, "before and after")
        found = []
        for entry in files.tree("/t"):
            found.append(entry.name)
            if entry.name == "a":
                entry.skip()
        check(sorted(found) == ["/t", "a", "c", "link", "y"], str(found))
        raises(FileNotFoundError, lambda: files.tree("nothing"))
        walk = files.tree("t")
        next(walk)
        walk.close()
        for entry in files.tree("t", after=True):
            if entry.after:
                files.rmdir(entry.path)
            elif not entry.is_dir():
                files.unlink(entry.path)
        check(not os.listdir(s.share), "what is left")


def linked_calls_replace_a_file_as_a_whole():
    async def main(s, files):
        async with files.aio() as a:
            f = await a.open("new", "wb")
            calls = [f.pwrite(b"x" * 300000, 0)]
            for step in (f.sync, f.close, lambda: a.rename("new", "file")):
                a.link_next()
                calls.append(step())
            check(await asyncio.gather(*calls) == [300000, None, None, None], "they all end well")
            check(os.listdir(s.share) == ["file"], str(os.listdir(s.share)))
            f = await a.open("new", "xb")
            calls = [f.pread(1, 0)]
            for step in (f.close, lambda: a.rename("new", "file")):
                a.link_next()
                calls.append(step())
            ends = await asyncio.gather(*calls, return_exceptions=True)
            check(ends[0].errno == errno.EBADF and ends[1] is None, str(ends))
            check(ends[2].errno == errno.ECANCELED, str(ends))
            check(os.stat(s.share + "/file").st_size == 300000 and f.closed, "it was replaced")

    with share() as (s, _, files):
        asyncio.run(main(s, files))


def names_that_are_no_text_go_there_and_back():
    with share() as (s, _, files):
        odd = b"not utf-8: \xff\n"
        files.write_file(odd, b"x")
        check(os.listdir(os.fsencode(s.share)) == [odd], "on this machine")
        check(os.fsencode(files.listdir()[0]) == odd and files.read_file(files.listdir()[0])
              == b"x", "on the share")
        raises(ValueError, lambda: files.stat("a\0b"))


def files_are_pythons_files():
    with share() as (s, _, files):
        with files.open("text", "w", encoding="utf-8") as f:
            f.write("eins\nzwölf\n")
        with files.open("text", encoding="utf-8") as f:
            check(f.readlines() == ["eins\n", "zwölf\n"], "the lines")
        with files.open("text", "ab") as f:
            check(f.write(b"drei\n") == 5, "what is appended")
        with files.open("text", "r+b") as f:
            check(f.seek(-5, os.SEEK_END) == 12 and f.read(4) == b"drei" and f.tell() == 16, "seek")
            f.truncate(5)
        with files.open("text", "rb") as f, io.BufferedReader(f) as buffered:
            check(buffered.read() == b"eins\n", "what is left")
        raises(FileExistsError, lambda: files.open("text", "x"))
        raises(ValueError, lambda: files.open("text", "rw"))
        raises(IsADirectoryError, lambda: files.open("/", "w"))
        check(os.path.getsize(s.share + "/text") == 5, "the size")


def large_files_go_through_any_memory():
    with share() as (s, dev, files):
        data = os.urandom(5 * MIB + 17)
        files.write_file("large", data)
        with open(s.share + "/large", "rb") as f:
            check(f.read() == data, "what was written")
        check(files.read_file("large") == data, "what was read")
        memory = dev.alloc(MIB)
        with files.open("large", "r+b") as f:
            check(f.pread_into(memory, MIB) == MIB and memory == data[MIB:2 * MIB],
                  "into DMA memory")
            check(f.pwrite(memory, 0) == MIB, "from DMA memory")
            pieces = [bytearray(1000), memory[:2000], bytearray(3000)]
            check(f.preadv(pieces, 0) == 6000 and b"".join(pieces) == data[MIB:MIB + 6000],
                  "in pieces")
            check(f.pwritev([b"1", b"22"], 5) == 3 and f.pread(3, 5) == b"122", "from pieces")
            f.allocate(0, 6 * MIB)
            f.sync()
            check(f.stat().st_size == 6 * MIB and f.seek_data(0) == 0, "allocate, stat, seek_data")
        del memory, pieces


def memory_of_the_programs_own_is_registered():
    with tempfile.TemporaryFile(dir="/dev/shm") as f, share() as (_, dev, files):
        f.truncate(MIB)
        with mmap.mmap(f.fileno(), MIB) as memory:
            try:
                dev.register(memory, f.fileno())
            except OSError as e:
                check(e.errno == errno.EOPNOTSUPP and "MEM_SLOTS" in e.strerror, str(e))
                return
            raises(BufferError, memory.close)
            files.write_file("file", b"x" * MIB)
            with files.open("file", "rb") as opened:
                check(opened.pread_into(memory, 0) == MIB and memory[:] == b"x" * MIB,
                      "into registered memory")
            dev.unregister(memory)


def locks_are_the_open_files():
    with share(["--posix-locks"], own=True) as (_, _, files):
        files.write_file("file", b"x")
        with files.open("file", "r+b") as one, files.open("file", "r+b") as other:
            one.lock(length=10)
            raises(BlockingIOError, lambda: other.lock(wait=False))
            check(other.test_lock() == "exclusive" and other.test_lock(start=10) is None,
                  "who has it")
            one.unlock()
            other.lock(exclusive=False)


def ctrl_c_ends_a_wait_for_a_lock():
    with share(["--posix-locks"], own=True) as (_, _, files):
        files.write_file("file", b"x")
        with files.open("file", "r+b") as one, files.open("file", "r+b") as other:
            one.lock()
            interrupted(other.lock)
            one.unlock()
            # What was given up is not held by anybody.
            one.lock(wait=False)


def other_threads_calls_are_cancelled():
    with share(["--posix-locks"], own=True) as (s, _, files):
        files.write_file("file", b"x")
        with files.open("file", "r+b") as one, files.view() as view, \
                view.open("file", "r+b") as other:
            one.lock()
            timer = threading.Timer(0.2, view.cancel)
            timer.start()
            raises(OSError, other.lock, errno.ECANCELED)
            one.unlock()
            one.lock(wait=False)
            one.unlock()
            s.control("hold")
            timer = threading.Timer(0.2, files.cancel)
            timer.start()
            raises(OSError, lambda: files.stat("nothing"), errno.ECANCELED)
            s.control("release")


def calls_have_time_outs():
    with share(own=True) as (s, dev, files):
        files.write_file("file", b"x" * 4096)
        with files.view(timeout_ms=200) as view:
            f = view.open("file", "rb")
            memory = dev.alloc(4096)
            s.control("hold")
            start = time.monotonic()
            raises(TimeoutError, lambda: view.stat("nothing"))
            raises(TimeoutError, lambda: f.pread(4096, 0))
            raises(TimeoutError, lambda: f.pread_into(memory, 0))
            check(0.5 < time.monotonic() - start < 2, f"{time.monotonic() - start:.1f} s")
            s.control("release")
            check(not dev.failed and files.stat("file").st_size == 4096, "the session goes on")
            del memory


def interrupted(function, limit=2):
    """As Ctrl-C does it: KeyboardInterrupt is due, soon."""
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    raises(KeyboardInterrupt, function)
    check(time.monotonic() - start < limit, f"it took {time.monotonic() - start:.1f} s")


def ctrl_c_ends_calls_on_a_device_that_hangs():
    with share(own=True) as (s, dev, files):
        files.write_file("file", b"x" * 4096)
        f = files.open("file", "rb")
        memory = dev.alloc(4096)
        s.control("hold")
        interrupted(lambda: files.stat("nothing"))
        interrupted(lambda: f.pread_into(memory, 0))
        interrupted(lambda: files.open("file", "rb"))
        del memory
        s.control("release")
        check(f.pread(3, 0) == b"xxx" and files.stat("file").st_size == 4096, "the session goes on")
        f.close()


def other_threads_run_while_one_waits():
    with share(own=True) as (s, _, files):
        s.control("hold")
        waits = threading.Thread(target=lambda: files.listdir("/"))
        waits.start()
        start, turns = time.monotonic(), 0
        while time.monotonic() - start < 0.3:
            turns += 1
        check(turns > 10000 and waits.is_alive(), f"{turns} turns")
        s.control("release")
        waits.join(5)
        check(not waits.is_alive(), "it still waits")


def many_threads_share_a_session():
    with share(["--queues", "4"], own=True) as (_, _, files):
        wrong = []

        def work(number):
            try:
                for i in range(30):
                    files.write_file(f"{number}", b"%d" % i)
                    if files.read_file(f"{number}") != b"%d" % i:
                        wrong.append(number)
            except OSError as e:
                wrong.append(e)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(not wrong, str(wrong))


def a_device_that_goes_is_an_error_with_its_reason():
    with Session("device") as s:
        s.start_backend()
        with viofs.open("vhost-user:" + s.socket) as dev, dev.session() as files:
            f = files.open("file", "wb")
            s.backend.kill()
            s.backend.wait(10)
            e = raises(OSError, lambda: f.pwrite(b"x", 0))
            check(e.errno in (errno.EIO, errno.ENODEV), str(e))
            check("closed its socket" in e.strerror, e.strerror)
            check(dev.failed, "failed")
            raises(OSError, lambda: files.stat("/"), errno.ENODEV)
    s.backend = None


def a_device_that_is_aborted_ends_all_waits():
    with share(own=True) as (s, dev, files):
        s.control("hold")
        threading.Timer(0.2, dev.abort).start()
        raises(OSError, lambda: files.listdir("/"))
        s.control("release")


def a_child_has_an_error_and_the_parent_goes_on():
    with share(own=True) as (_, dev, files):
        files.write_file("file", b"x")
        memory = dev.alloc(4096)
        pid = os.fork()
        if not pid:
            status = 1
            try:
                raises(OSError, lambda: files.stat("file"), errno.ENODEV)
                raises(ValueError, lambda: memory[0])
                dev.close()
                status = 0
            finally:
                os._exit(status)
        check(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "the child")
        check(files.read_file("file") == b"x", "the parent")
        del memory


def requests_go_by_the_names_of_their_fields():
    with share() as (s, dev, files):
        with open(s.share + "/file", "wb") as f:
            f.write(b"contents")
        with files.raw() as r:
            entry = r.lookup(nodeid=1, name="file")
            check(entry.size == 8 and entry.ino == os.stat(s.share + "/file").st_ino and entry.ns
                  > 0, str(entry))
            opened = r("OPEN", nodeid=entry.nodeid, flags=os.O_RDWR)
            check(r.read(nodeid=entry.nodeid, fh=opened.fh, size=100).data == b"contents", "READ")
            check(r.write(nodeid=entry.nodeid, fh=opened.fh, offset=8, data=b"!").size == 1,
                  "WRITE")
            raises(FileNotFoundError, lambda: r.lookup(nodeid=1, name="nothing"))
            check(r.lookup(nodeid=1, name="nothing", check=False).request.error == -errno.ENOENT,
                  "check=False")
            r.release(nodeid=entry.nodeid, fh=opened.fh)
            top = r.opendir(nodeid=1)
            listed = viofs.entries(r.readdir(nodeid=1, fh=top.fh, size=4096).data, False)
            check("file" in [e["name"] for e in listed], str(listed))
            r.releasedir(nodeid=1, fh=top.fh)
            # Made up, and closed.
            for fh in (1 << 40, top.fh):
                raises(OSError, lambda fh=fh: r.readdir(nodeid=1, fh=fh, size=4096), errno.EBADF)
            r.forget(nodeid=entry.nodeid, nlookup=1)
        with dev.queue() as queue:
            batch = [viofs.Request(viofs.OPS["STATFS"].opcode, 1, reply_size=80, user=i)
                     for i in range(64)]
            check(queue.submit(batch) == 64, "a batch")
            raises(ValueError, lambda: queue.submit(batch[:1]))
            ended = []
            while len(ended) < 64:
                ended += queue.wait(1, timeout=5)
            check(sorted(q.user for q in ended) == list(range(64))
                  and not any(q.error for q in ended), "all ended")
            raises(OSError,
                   lambda: queue.submit(viofs.Request(15, 1, bytes(40),
                                                      reply_data=(bytearray(10),))), errno.EFAULT)


def asyncio_has_many_calls_under_way():
    async def main(s, dev, files):
        async with files.aio() as a:
            await asyncio.gather(*(a.mkdir(f"d{i}") for i in range(100)))
            check(sorted(await a.listdir("/")) == sorted(os.listdir(s.share)), "the names")
            check(all(stat.S_ISDIR(st.st_mode)
                      for st in await asyncio.gather(*(a.stat(f"d{i}") for i in range(100)))),
                  "stat")
            memory = dev.alloc(16 * 65536)
            data = os.urandom(16 * 65536)
            async with await a.open("file", "w+") as f:
                check(await f.pwrite(data, 0) == len(data), "pwrite")
                parts = [memory[i * 65536:(i + 1) * 65536] for i in range(16)]
                check(await asyncio.gather(*(f.pread_into(p, i * 65536) for i,
                                             p in enumerate(parts))) == [65536] * 16, "reads")
                check(memory == data, "what was read")
            with contextlib.suppress(FileNotFoundError):
                await a.stat("nothing")
                check(False, "FileNotFoundError was due")
            del parts, memory

    with share() as (s, dev, files):
        asyncio.run(main(s, dev, files))


def asyncio_gives_up_what_is_cancelled():
    async def main(s, dev, files):
        async with files.aio() as a, await a.open("file") as f:
            memory = dev.alloc(4096)
            s.control("hold")
            for call in (lambda: a.stat("nothing"), lambda: f.pread(4096, 0),
                         lambda: a.open("file"),
                         lambda: f.pread_into(memory, 0)):
                try:
                    await asyncio.wait_for(call(), 0.1)
                    check(False, "TimeoutError was due")
                except TimeoutError:
                    pass
            await asyncio.sleep(0.01)
            check(a.pending == 1, f"{a.pending} calls: only the device's memory is waited for")
            s.control("release")
            check(await f.pread(3, 0) == b"xxx", "it goes on")
            await a.drain()
            del memory

    with share(own=True) as (s, dev, files):
        files.write_file("file", b"x" * 4096)
        asyncio.run(main(s, dev, files))


def asyncio_sees_a_device_that_goes():
    async def main(s, files):
        async with files.aio() as a:
            s.control("hold")
            wait = a.listdir("/")
            asyncio.get_running_loop().call_later(0.2, s.backend.kill)
            try:
                await asyncio.wait_for(wait, 5)
                check(False, "an error was due")
            except OSError as e:
                check(e.errno in (errno.EIO, errno.ENODEV), str(e))

    with share(own=True) as (s, _, files):
        asyncio.run(main(s, files))


def the_prompt_runs_commands_and_gives_the_device_back():
    with Session("device") as s:
        s.start_backend()
        status, out = run([os.environ["VIOFS_TOOL"], "python", "-c",
                           "share.write_file('x', b'12'); print(share.read_file('x'))",
                           "vhost-user:" + s.socket], 20)
        check(status == 0 and out == "b'12'\n", f"{status}: {out}")
        s.backend.wait(10)
        s.backend = None
    with Session("device") as s:
        s.start_backend()
        with subprocess.Popen([os.environ["VIOFS_TOOL"], "python", "vhost-user:" + s.socket],
                              stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
            out, _ = p.communicate(b"raw.lookup(nodeid=1, name='nothing')\nlen(viofs.OPS)\n", 20)
        check(p.returncode == 0
              and b"FileNotFoundError" in out.replace(b"viofs.Error", b"FileNotFoundError"),
              out.decode())
        check(str(len(viofs.OPS)).encode() in out, out.decode())
        s.backend.wait(10)
        s.backend = None
    status, out = run([os.environ["VIOFS_TOOL"], "python", "-c", "1", "vhost-user:/nowhere"], 20)
    check(status == 1 and "/nowhere" in out and "Traceback" not in out, f"{status}: {out}")


def the_example_draws_a_histogram():
    with Session(KIND) as s:
        if KIND == "device":
            s.backend_args = ["--serve", s.share]
        s.start_backend()
        drawn = os.path.join(s.work, "latency.svg")
        example = os.path.join(os.path.dirname(__file__), "../../docs/examples/latency.py")
        status, out = run([sys.executable, example, "vhost-user:" + s.socket, drawn, "50"], 60)
        check(status == 0 and out.count("p50") == 4, f"{status}: {out}")
        picture = xml.etree.ElementTree.parse(drawn).getroot()
        lines = picture.findall("{http://www.w3.org/2000/svg}polyline")
        check(len(lines) == 4 and all(len(line.get("points").split()) > 5 for line in lines),
              "what is drawn")
        s.backend.wait(10)
        check(not os.listdir(s.share), "what it leaves")
    s.backend = None


def forgotten_objects_end_well_at_exit():
    with Session("device") as s:
        s.start_backend()
        code = ("import viofs, sys; d = viofs.open(sys.argv[1]); s = d.session(); f = s.open('x', "
                "'wb'); f.write(b'x'); "
                "m = d.alloc(4096)")
        status, out = run([sys.executable, "-c", code, "vhost-user:" + s.socket], 20)
        check(status == 0 and not out, f"{status}: {out}")
        s.backend.wait(10)
        check(s.backend.returncode == 0, s.backend_said())
        s.backend = None


EVERYWHERE = [names_are_as_on_this_machine, extended_attributes_are_kept,
              extended_attributes_of_open_files,
              views_are_somebody_else_and_begin_somewhere_else,
              a_file_that_was_replaced_is_seen_by_who_asks,
              a_tree_is_told_from_the_top, linked_calls_replace_a_file_as_a_whole,
              files_without_a_name_get_one, files_are_copied_from_and_to_descriptors,
              permissions_are_checked_for_who_asks,
              names_that_are_no_text_go_there_and_back,
              files_are_pythons_files, large_files_go_through_any_memory,
              requests_go_by_the_names_of_their_fields,
              asyncio_has_many_calls_under_way, the_example_draws_a_histogram,
              memory_of_the_programs_own_is_registered]
OWN = [locks_are_the_open_files, ctrl_c_ends_a_wait_for_a_lock,
       ctrl_c_ends_calls_on_a_device_that_hangs, other_threads_run_while_one_waits,
       many_threads_share_a_session,
       a_device_that_goes_is_an_error_with_its_reason, a_device_that_is_aborted_ends_all_waits,
       a_child_has_an_error_and_the_parent_goes_on, asyncio_sees_a_device_that_goes,
       asyncio_gives_up_what_is_cancelled,
       other_threads_calls_are_cancelled, calls_have_time_outs,
       the_prompt_runs_commands_and_gives_the_device_back, forgotten_objects_end_well_at_exit]


def main():
    """TAP."""
    if os.geteuid():
        skip_all("not root")
    program = {"device": DEVICE, "c": C_VIRTIOFSD, "rust": RUST_VIRTIOFSD}[KIND]
    if not os.path.exists(program):
        skip_all(f"no {program}")
    run_cases(named(EVERYWHERE + (OWN if KIND == "device" else [])))


if __name__ == "__main__":
    main()
