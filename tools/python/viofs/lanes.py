# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls under way.

All calls of the binding are the library's asynchronous ones. A lane is one struct viofs_async, and
belongs to one thread at a time: to the thread of a blocking call for as long as that lasts, or to
an event loop. So a blocking call waits in slices, and Python runs signal handlers in between:
Ctrl-C ends the wait.

What is given up is cancelled, and ends then: the library uses none of its memory any more, and
gives back what the answer brings. It is otherwise with DMA memory, which is the device's until it
has answered: such a call stays in the lane's table, and nobody waits for it. Where the library
itself ends one (a time-out), the memory is kept until the device is closed.
"""

import contextlib
import errno
import threading

from ._viofs import ffi, lib
from .errors import closed, error, string, text_of

EVENTS = 64
# How long a wait may hold up a signal handler.
SLICE_NS = 50_000_000
# How the library ends a call that the device has still.
GIVEN_UP = (-errno.ECANCELED, -errno.ETIMEDOUT)


class GivenUp(Exception):
    """Another thread has given up the call that is waited for."""

    result = -errno.ECANCELED


class Call:
    """One call under way, and what must not be freed before its end."""

    __slots__ = ("keep", "handles", "done", "result", "fault", "ended", "key", "given_up")

    def __init__(self, keep=(), handles=(), ended=None):
        self.key = None  # in its lane's table
        self.given_up = False  # another thread wants it to end
        self.keep = keep
        self.handles = handles
        self.done = False
        self.result = 0
        self.fault = None
        self.ended = ended


class Handle:
    """An open file or directory of the library's. The last call that uses it closes it, where a
    close came before."""

    __slots__ = ("c", "close", "users", "closed", "begun")
    lock = threading.Lock()

    def __init__(self, c, close):
        self.c = c
        self.close = close
        self.users = 0
        self.closed = False
        self.begun = False  # its close, which is linked to the calls that use it

    def enter(self):
        """A call that uses it begins."""
        with Handle.lock:
            if self.closed:
                raise closed("file")
            self.users += 1

    def leave(self):
        """It has ended. Return: is it this one that has to close?"""
        with Handle.lock:
            self.users -= 1
            return self.closed and not self.users and not self.begun

    def shut(self):
        """No more calls. Return: may it be closed now?"""
        with Handle.lock:
            first = not self.closed
            self.closed = True
            return first and not self.users


    def shut_behind(self, calls):
        """No more calls: a close is begun that comes after @calls, which must be all that use it.
        Return: is it the first close?"""
        with Handle.lock:
            if self.closed:
                return False
            mine = sum(not call.done and self in call.handles for call in calls)
            if mine != self.users:
                raise ValueError("calls are under way that the close is not linked to")
            self.closed = self.begun = True
            return True


class Lane:
    """A struct viofs_async and its calls."""

    def __init__(self, session, limit=0):
        self.device = session.device
        out, err = ffi.new("struct viofs_async **"), ffi.new("struct viofs_err *")
        rc = lib.viofs_async_open(session.pointer, limit, out, err)
        if rc:
            raise error(rc, text_of(err))
        self.pointer = out[0]
        self.calls = {}
        self.events = ffi.new("struct viofs_event[]", EVENTS)
        self._key = 0

    def start(self, call, function, *args, view=None, linked=False):
        """Begin, as @view says, or when the call before it has ended well. Return: 0, or a negative
        errno: then there is no call."""
        entered = []
        try:
            for handle in call.handles:
                handle.enter()
                entered.append(handle)
        except ValueError:
            self._leave(entered)
            raise
        self._key += 1
        call.key = self._key
        self.calls[call.key] = call
        if view:
            lib.viofs_async_use(self.pointer, view)
        if linked:
            lib.viofs_async_link(self.pointer)
        rc = function(self.pointer, *args, ffi.cast("void *", call.key))
        if rc:
            del self.calls[call.key]
            self._leave(call.handles)
        return rc

    def take(self):
        """What lies in self.events. An entry is there until it was taken, also where a signal
        handler raises."""
        events, count = self.events, 0
        while count < EVENTS and events[count].user:
            count += 1
        while count:
            count -= 1
            event = events[count]
            call = self.calls.pop(int(ffi.cast("uintptr_t", event.user)), None)
            if call:
                call.result, call.fault, call.done = event.result, string(event.fault), True
                self._end(call)
            event.user = ffi.NULL

    def _end(self, call):
        if call.result in GIVEN_UP and self.device.reaches(call.keep):
            self.device.lose(call.keep)
        call.keep = ()
        self._leave(call.handles)
        if call.ended:
            call.ended(call)

    def _leave(self, handles):
        for handle in handles:
            if handle.leave():
                self.abandon(handle)

    def abandon(self, handle):
        """Close, and nobody waits for that."""
        self.start(Call(), handle.close, handle.c)

    def cancel(self, call):
        """Give up a call, whose end is an event then. Return: False: it goes on, since the device
        has its memory."""
        if self.device.reaches(call.keep):
            return False
        return lib.viofs_async_cancel(self.pointer, ffi.cast("void *", call.key)) != -errno.ENODEV

    def wake(self):
        """From another thread: a wait looks again."""
        lib.viofs_async_wake(self.pointer)

    def poll(self):
        """Take what has ended."""
        self.take()
        while lib.viofs_async_poll(self.pointer, self.events, EVENTS):
            self.take()

    def wait(self, call):
        """Until @call has ended. What raises here gives it up."""
        self.take()
        while not call.done:
            if call.given_up:
                raise GivenUp
            lib.viofs_async_wait(self.pointer, self.events, 1, EVENTS, SLICE_NS)
            self.take()

    def give_up(self, call):
        """Nobody waits for it any more. Return: has it ended?"""
        if not call.done and self.cancel(call):
            while not call.done:
                self.poll()
        return call.done

    def close(self, *, now=False):
        """The end. Return: what was under way, whose memory the device may have still after
        viofs_async_close_now()."""
        pointer, self.pointer = self.pointer, ffi.NULL
        if pointer and now:
            lib.viofs_async_close_now(pointer)
        elif pointer:
            lib.viofs_async_close(pointer)
        calls, self.calls = list(self.calls.values()), {}
        for handle in [handle for call in calls for handle in call.handles]:
            if handle.leave() and not now:
                handle.close(handle.c, ffi.NULL)
        return calls


def interruptibly(function, give_up=None):
    """A call of the library's that blocks as a whole, with an end to it by Ctrl-C: @give_up makes
    it return soon.

    Python's signal handlers run in the main thread only, so elsewhere there is nothing to be
    interrupted by.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()
    box, done = [], threading.Event()

    def work():
        try:
            box.append(function())
        finally:
            done.set()

    # Not Thread.join(), which takes a thread for dead after an exception of a signal handler.
    threading.Thread(target=work, name="viofs", daemon=True).start()
    try:
        while not done.wait(SLICE_NS / 1e9):
            pass
    except BaseException:
        if give_up:
            give_up()
        # The caller goes on to close what the thread uses: a second Ctrl-C doesn't change that.
        while not done.is_set():
            with contextlib.suppress(BaseException):
                done.wait(SLICE_NS / 1e9)
        raise
    return box[0]


def buffer(memory, writable):
    """Memory as the library wants it: (pointer, bytes). The pointer keeps it, and keeps it from
    being resized."""
    pointer = ffi.from_buffer("uint8_t[]", memory, require_writable=writable)
    return pointer, len(pointer)


def iovecs(pieces, writable):
    """Pieces of memory: (array, count, what to keep)."""
    kept = [buffer(piece, writable) for piece in pieces]
    array = ffi.new("struct iovec[]", max(len(kept), 1))
    for i, (pointer, size) in enumerate(kept):
        array[i].iov_base, array[i].iov_len = pointer, size
    return array, len(kept), kept
