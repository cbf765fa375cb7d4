# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same calls for asyncio: a session's calls as awaitables, by a descriptor of the library's in
the event loop."""

import asyncio

from ._viofs import ffi, lib
from .calls import FileCalls, PathCalls, encode, open_flags
from .errors import closed
from .lanes import Call, Handle, Lane
from .opened import CLOSE_DIR, CLOSE_FILE, portion


class AsyncSession(PathCalls):
    """A session's calls for one event loop: Session.aio(). Calls begin at once; who awaits gets the
    end.

    A call whose future is cancelled is given up (viofs_async_cancel()); one that uses DMA memory
    goes on at the device, and its end is dropped. Any number of calls may be under way.
    """

    _lane = None

    def __init__(self, session, limit=0):
        self._loop = asyncio.get_running_loop()
        self.session = session
        session.check()
        self._lane = Lane(session, limit)
        self._fd = lib.viofs_async_fd(self._lane.pointer)
        self._soon = False
        self._timer = None
        self._linked = False  # the next call is to the one before it
        self._chain = []  # the last call that was not linked, and those that are linked to it
        self._idle = None  # a future for who waits until nothing is under way
        self._loop.add_reader(self._fd, self._go_on)
        session.add_user(self)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    def __repr__(self):
        return ("<viofs.AsyncSession with "
                f"{self.session.device.source!r}{'' if self._lane else ', closed'}>")

    def __del__(self):
        # Nobody can wait for what is under way.
        if self._lane:
            self.close_now()

    @property
    def closed(self):
        """Has it been closed?"""
        return not self._lane

    @property
    def pending(self):
        """Calls under way."""
        return len(self._lane.calls) if self._lane else 0

    def _check(self):
        if not self._lane:
            raise closed("session")
        self.session.check()
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("the AsyncSession is of another event loop")

    def _call(self, function, *args, keep=(), finish=None, names=(), handles=(), late=None):
        self._check()
        future = self._loop.create_future()

        def ended(call):
            if not call.done:
                future.cancel()
            elif future.done():
                if late and call.result >= 0:
                    self._lane.abandon(late())
            elif call.result < 0:
                future.set_exception(self.session.failure(call.result, names, call.fault))
            else:
                try:
                    future.set_result(finish(call.result) if finish else None)
                # pylint: disable=broad-exception-caught # its place is the future
                except Exception as e:
                    future.set_exception(e)

        call = Call((keep, args), handles, ended)
        linked, self._linked = self._linked, False
        self._chain = self._chain if linked else []
        rc = self._lane.start(call, function, *args, linked=linked)
        if rc:
            raise self.session.failure(rc, names)
        self._chain.append(call)
        future.add_done_callback(lambda f: self._given_up(call) if f.cancelled() else None)
        self._later()
        return future

    def link_next(self):
        """Let the next call begin when the one before it has ended well. Where that fails the next
        one raises OSError with ECANCELED, and so do those that are linked to it; but a close is
        made in any case, in its turn. Begin such calls one right after the other, await them then.
        What one opens can't be used by the next."""
        self._check()
        self._linked = True

    def _close_handle(self, handle, name):
        """Begin to close, or leave it to the last call that uses @handle: an awaitable."""
        if self._linked:
            due = handle.shut_behind(self._chain)
        else:
            due = handle.shut()
        if due:
            return self._call(handle.close, handle.c, names=(name,))
        nothing = self._loop.create_future()
        nothing.set_result(None)
        return nothing

    def _given_up(self, call):
        """Nobody waits for it any more."""
        if self._lane and not call.done and self._lane.cancel(call):
            self._later()

    def _later(self):
        """Drain and arm before the loop sleeps, once for all calls that begin in this turn."""
        if not self._soon:
            self._soon = True
            self._loop.call_soon(self._go_on)

    def _go_on(self):
        """Drain, arm, and look at the clock where no descriptor tells the time."""
        self._soon = False
        if not self._lane:
            return
        self._lane.poll()
        self._chain = [call for call in self._chain if not call.done]
        if self._idle and not self._lane.calls and not self._idle.done():
            self._idle.set_result(None)
        if lib.viofs_async_arm(self._lane.pointer):
            self._later()
            return
        if self._timer:
            self._timer.cancel()
            self._timer = None
        ns = lib.viofs_async_next_timeout(self._lane.pointer)
        if self._lane.calls and ns >= 0:
            self._timer = self._loop.call_later(ns / 1e9, self._go_on)

    async def drain(self):
        """Until nothing is under way."""
        while self.pending:
            self._check()
            self._idle = self._loop.create_future()
            self._later()
            await self._idle

    async def close(self):
        """Wait for what is under way, and end. Who cancels this gives up what is under way."""
        try:
            if self._lane and not self.session.closed:
                await self.drain()
        finally:
            self.close_now()

    def close_now(self):
        """Give up what is under way: its futures are cancelled, its memory is kept until the device
        is closed."""
        lane, self._lane = self._lane, None
        if not lane:
            return
        self._chain = []
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
        if self._timer:
            self._timer.cancel()
        if self._idle and not self._idle.done():
            self._idle.cancel()
        for call in lane.close(now=bool(lane.calls)):
            self.session.device.lose(call.keep)
            if call.ended:
                call.ended(call)

    def let_go(self):
        """The session ends."""
        self.close_now()
        return []

    async def open(self, path, mode="rb", *, oflags=0, perm=0o644, flags=0):
        """Open a file, without a buffer: an AsyncFile."""
        out = ffi.new("struct viofs_file **")

        def made(_=None):
            return Handle(out[0], CLOSE_FILE)

        handle = await self._call(lib.viofs_file_open_async, encode(path), int(flags),
                                  open_flags(mode, oflags), perm,
                                  out, keep=out, finish=made, names=(path,), late=made)
        return AsyncFile(self, path, handle)

    async def opendir(self, path="/", *, flags=0):
        """Open a directory: an AsyncDir."""
        out = ffi.new("struct viofs_dir **")

        def made(_=None):
            return Handle(out[0], CLOSE_DIR)

        handle = await self._call(lib.viofs_dir_open_async, encode(path), int(flags), out, keep=out,
                                  finish=made,
                                  names=(path,), late=made)
        return AsyncDir(self, path, handle)

    async def scandir(self, path="/", *, flags=0):
        """DirEntry objects of a directory, without "." and "..": for `async for`."""
        async with await self.opendir(path, flags=flags) as d:
            async for entry in d:
                if entry.name not in (".", ".."):
                    yield entry

    async def listdir(self, path="/", *, flags=0):
        """Names in a directory."""
        return [entry.name async for entry in self.scandir(path, flags=flags)]


class AsyncOpened:
    """What AsyncFile and AsyncDir have in common."""

    def __init__(self, session, name, handle):
        self.session, self.name, self.handle = session, name, handle
        session.session.add_user(self)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    def __repr__(self):
        return f"<viofs.{type(self).__name__} {self.name!r}{', closed' if self.closed else ''}>"

    def __del__(self):
        if self.handle.shut():
            self.session.session.later(self.handle)

    @property
    def closed(self):
        """Has it been closed?"""
        return self.handle.closed

    def let_go(self):
        """The session ends."""
        return [self.handle] if self.handle.shut() else []

    def _call(self, function, *args, also_names=(), **more):
        if self.closed:
            raise closed("file")
        return self.session._call(function, *args, names=(self.name, *also_names), **more)

    def close(self):
        """Close; where calls are under way that it isn't linked to, the last of them closes it."""
        return self.session._close_handle(self.handle, self.name)


class AsyncFile(AsyncOpened, FileCalls):
    """An open file of an AsyncSession."""


class AsyncDir(AsyncOpened):
    """An open directory of an AsyncSession: for `async for`, by one task at a time."""

    async def fill(self):
        """The next portion: a list of DirEntry objects, empty at the end."""
        got = await self._call(lib.viofs_dir_fill_async, self.handle.c, handles=(self.handle,),
                               finish=int)
        return portion(self.handle.c) if got and not self.closed else []

    async def __aiter__(self):
        while entries := await self.fill():
            for entry in entries:
                yield entry

    async def sync(self, *, data_only=False):
        """fsync(2) of the directory."""
        await self._call(lib.viofs_dir_sync_async, self.handle.c, int(data_only),
                         handles=(self.handle,))
