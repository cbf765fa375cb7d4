# SPDX-License-Identifier: LGPL-2.1-or-later
"""FUSE requests of the program's own."""

import contextlib
import os
import time

from ._viofs import ffi, lib
from .errors import closed, error, string, text_of
from .lanes import SLICE_NS, iovecs

COMPLETIONS = 64


class Request:
    """One FUSE request, and what came of it.

    args: bytes, the request's struct and names. data, reply_data: pieces of DMA memory
    (Device.alloc()). flags: HIPRIO, SHORT, SILENT. Afterwards: error (0, or a negative errno),
    reply (bytes), size (of all that was answered), fault, ns (from submit to when its end was
    taken).
    """

    HIPRIO = lib.VIOFS_REQUEST_HIPRIO
    SHORT = lib.VIOFS_REQUEST_SHORT
    SILENT = lib.VIOFS_REQUEST_SILENT
    __slots__ = ("opcode", "nodeid", "args", "reply_size", "data", "reply_data", "flags", "uid",
                 "gid", "pid", "user",
                 "unique", "error", "reply", "size", "fault", "ns", "_keep", "_begin")

    def __init__(self, opcode, nodeid=0, args=b"", *, reply_size=0, data=(), reply_data=(), flags=0,
                 uid=None, gid=None,
                 pid=None, user=None):
        self.opcode, self.nodeid, self.args = opcode, nodeid, bytes(args)
        self.reply_size, self.flags = reply_size, flags
        self.data, self.reply_data = tuple(data), tuple(reply_data)
        self.uid = os.getuid() if uid is None else uid
        self.gid = os.getgid() if gid is None else gid
        self.pid = os.getpid() if pid is None else pid
        self.user = user
        self.unique = self.error = self.reply = self.size = self.fault = self.ns = None
        self._keep = self._begin = None

    def __repr__(self):
        name = string(lib.viofs_fuse_opcode_name(self.opcode)) or self.opcode
        how = ("" if self.error is None
               else f", {os.strerror(-self.error) if self.error else f'{self.size} bytes'}")
        return f"<viofs.Request {name} nodeid {self.nodeid}{how}>"

    def fill(self, c, key):
        """As C has it. Return: what must live until the end."""
        args = ffi.from_buffer("uint8_t[]", self.args)
        reply = ffi.new("uint8_t[]", max(self.reply_size, 1))
        data, data_count, kept = iovecs(self.data, False)
        more, more_count, also = iovecs(self.reply_data, True)
        c.opcode, c.flags, c.nodeid = self.opcode, self.flags, self.nodeid
        c.uid, c.gid, c.pid = self.uid, self.gid, self.pid
        c.args, c.args_size = args, len(self.args)
        c.data, c.data_count, c.reply_data, c.reply_data_count = data, data_count, more, more_count
        c.reply, c.reply_size = reply, self.reply_size
        c.user = ffi.cast("void *", key)
        return (reply, args, data, kept, more, also)

    def end(self, completion, now):
        """What came of it."""
        reply = self._keep[0]
        self.error, self.size = completion.error, completion.size
        self.fault = string(completion.fault)
        self.reply = ffi.buffer(reply,
                                min(self.size, self.reply_size))[:] if not self.error else b""
        self.ns = now - self._begin
        self._keep = None

    def check(self):
        """Raise what the device has answered, where that is an error. Return: the request."""
        if self.error:
            raise error(self.error,
                        f"{string(lib.viofs_fuse_opcode_name(self.opcode)) or self.opcode}: "
                        f"{os.strerror(-self.error)}", fault=self.fault)
        return self


class Queue:
    """One thread's way to the device."""

    def __init__(self, device):
        self.pointer = ffi.NULL
        out, err = ffi.new("struct viofs_queue **"), ffi.new("struct viofs_err *")
        rc = lib.viofs_queue_open(device._check(), out, err)
        if rc:
            raise error(rc, text_of(err))
        self.device = device
        self.pointer = out[0]
        self._requests = {}
        self._key = 0
        self._completions = ffi.new("struct viofs_completion[]", COMPLETIONS)
        device.add_user(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        with contextlib.suppress(Exception):
            self.close()

    def _check(self):
        if not self.pointer:
            raise closed("queue")
        self.device._check()
        return self.pointer

    def close(self):
        """The end. What is in flight is dropped; its memory is kept until the device is closed."""
        pointer, self.pointer = self.pointer, ffi.NULL
        if pointer:
            lib.viofs_queue_close(pointer)
            self.device.lose(list(self._requests.values()))
            self._requests.clear()

    def submit(self, requests):
        """Send Requests, with one notification for all. Return: how many, from the first on; the
        queue may be full."""
        requests = [requests] if isinstance(requests, Request) else list(requests)
        pointer = self._check()
        array = ffi.new("struct viofs_request[]", max(len(requests), 1))
        keys = []
        begin = time.perf_counter_ns()
        for c, request in zip(array, requests):
            if request._keep:
                raise ValueError("the request is in flight")
            self._key += 1
            request._keep = request.fill(c, self._key)
            request._begin = begin
            request.error = None
            keys.append(self._key)
            self._requests[self._key] = request
        sent = lib.viofs_queue_submit(pointer, array, len(requests))
        for i, request in enumerate(requests):
            if i >= sent or request.flags & Request.SILENT:
                del self._requests[keys[i]]
                # What is silent has no memory of the program's: but for data, which stays the
                # device's.
                if i < sent and request.data:
                    self.device.lose(request._keep)
                request._keep = None
            if i < sent:
                request.unique = array[i].unique
        if sent < 0:
            raise error(sent, self.device.failed
                        and f"The device has failed: {self.device.failed}.")
        return sent

    def _take(self):
        completions, count, now = self._completions, 0, time.perf_counter_ns()
        ended = []
        while count < COMPLETIONS and completions[count].user:
            request = self._requests.pop(int(ffi.cast("uintptr_t", completions[count].user)), None)
            if request:
                request.end(completions[count], now)
                ended.append(request)
            completions[count].user = ffi.NULL
            count += 1
        return ended

    def poll(self, limit=COMPLETIONS):
        """Requests that have ended, at once."""
        got = lib.viofs_queue_poll(self._check(), self._completions, min(limit, COMPLETIONS))
        ended = self._take()
        if got < 0 and not ended:
            raise error(got, f"The device has failed: {self.device.failed}.")
        return ended

    def wait(self, minimum=1, limit=COMPLETIONS, timeout=None):
        """Requests that have ended: minimum of them at least, but for the time-out (seconds).
        Ctrl-C ends the wait."""
        pointer, ended = self._check(), []
        minimum, limit = min(minimum, COMPLETIONS), min(limit, COMPLETIONS)
        end = None if timeout is None else time.monotonic_ns() + round(timeout * 10**9)
        while True:
            left = SLICE_NS if end is None else min(SLICE_NS, max(end - time.monotonic_ns(), 0))
            got = lib.viofs_queue_wait(pointer, self._completions, minimum - len(ended),
                                       limit - len(ended), left)
            ended += self._take()
            if got < 0 and not ended:
                raise error(got, f"The device has failed: {self.device.failed}.")
            if got < 0 or len(ended) >= minimum or not self._requests or \
                    (end is not None and time.monotonic_ns() >= end):
                return ended

    def call(self, request, timeout=None):
        """Send one, wait for its end, and raise what it says. Return: the request. TimeoutError: it
        is still in flight."""
        if not self.submit(request):
            raise error(-11, "The queue is full: take what has ended first.")
        while request.error is None:
            if not self.wait(1, timeout=timeout) and timeout is not None:
                raise error(-110, "No answer within the time.")
        return request.check()

    @property
    def in_flight(self):
        """How many requests' ends were not taken yet; silent ones are not counted."""
        return lib.viofs_queue_in_flight(self._check())

    def interrupt(self, request):
        """Ask the device to end a wait for a lock early."""
        rc = lib.viofs_queue_interrupt(self._check(), request.unique)
        if rc:
            raise error(rc)

    def fileno(self):
        """For select and the like: readable when there may be something to poll()."""
        return lib.viofs_queue_fd(self._check())

    def arm(self):
        """Before sleeping on fileno(), each time. True: don't sleep, poll()."""
        return bool(lib.viofs_queue_arm(self._check()))

    def next_timeout(self):
        """Seconds after which to poll() though nothing has come; None: never."""
        ns = lib.viofs_queue_next_timeout(self._check())
        return None if ns < 0 else ns / 1e9
