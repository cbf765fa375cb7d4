# SPDX-License-Identifier: LGPL-2.1-or-later
"""A session with a device, whose calls block, and views of it."""

import contextlib
import io
import os
import threading
import weakref

from ._viofs import ffi, lib
from .calls import PathCalls, open_flags
from .errors import closed, error, string, text_of
from .lanes import Call, GivenUp, Lane, interruptibly
from .opened import Dir, File
from .tree import TreeEntry, walk


def session_pointer(device, options):
    """FUSE_INIT, with an end by Ctrl-C: the device has failed then."""
    c = ffi.new("struct viofs_session_options *")
    lib.viofs_session_options_init(c, ffi.sizeof("struct viofs_session_options"))
    for name, value in options.items():
        if value is not None:
            setattr(c, name, value)
    out, err = ffi.new("struct viofs_session **"), ffi.new("struct viofs_err *")
    pointer = device._check()
    try:
        rc = interruptibly(lambda: lib.viofs_session_open(pointer, c, out, err),
                           lambda: lib.viofs_dev_abort(pointer))
    except BaseException:
        lib.viofs_session_close(out[0])
        raise
    if rc:
        raise error(rc, text_of(err))
    return out[0]


def changed(flags, check, force_sync):
    """Flags of a session or view. None: as it is."""
    for bit, value in ((lib.VIOFS_SESSION_CHECK, check),
                       (lib.VIOFS_SESSION_FORCE_SYNC, force_sync)):
        if value is not None:
            flags = flags | bit if value else flags & ~bit
    return flags


class Share(PathCalls):
    """What a Session and its Views have in common: calls on names, and what opens."""

    def open(self, path, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *,
             oflags=0, perm=0o644,
             flags=0):
        """As the builtin open(). A binary file is a File, with no buffer unless buffering asks for
        one.

        oflags: more of open(2)'s, such as os.O_DIRECT; os.O_TMPFILE: path is a directory, and the
        file has no name until its link() gives it one. perm: of a file that is made; there is no
        umask.
        """
        raw = File(self, path, open_flags(mode, oflags), perm, flags)
        if "b" in mode and buffering < 1:
            return raw
        size = io.DEFAULT_BUFFER_SIZE if buffering < 2 else buffering
        kind = (io.BufferedRandom if "+" in mode else io.BufferedReader if "r" in mode
                else io.BufferedWriter)
        buffered = kind(raw, size)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, encoding, errors, newline, buffering == 1)

    def read_file(self, path, *, flags=0):
        """All of a file."""
        with self.open(path, "rb", flags=flags) as f:
            return f.readall()

    def write_file(self, path, data, *, perm=0o644, flags=0):
        """A file of these bytes, made or overwritten."""
        with self.open(path, "wb", perm=perm, flags=flags) as f:
            view, at = memoryview(data).cast("B"), 0
            while at < len(view):
                at += f.pwrite(view[at:], at)

    def opendir(self, path="/", *, flags=0):
        """opendir(3): a Dir."""
        return Dir(self, path, flags)

    def scandir(self, path="/", *, flags=0):
        """DirEntry objects of a directory, without "." and ".."."""
        with self.opendir(path, flags=flags) as d:
            yield from (entry for entry in d if entry.name not in (".", ".."))

    def listdir(self, path="/", *, flags=0):
        """Names in a directory."""
        return [entry.name for entry in self.scandir(path, flags=flags)]

    def walk(self, top="/"):
        """As os.walk(): (folder, names of directories, names of others), from the top. Names in the
        first list may be taken out. Symbolic links are not followed."""
        top = os.fsdecode(top)
        entries = list(self.scandir(top))
        folders = [e.name for e in entries if e.is_dir()]
        yield top, folders, [e.name for e in entries if not e.is_dir()]
        for name in folders:
            yield from self.walk(os.path.join(top, name))

    def tree(self, top="/", *, after=False):
        """TreeEntry objects: top, and what is below it; a directory before what is in it, and with
        after once more behind that. Symbolic links below top are told, not followed. What can't be
        looked at has an error, and the walk goes on. entry.skip() leaves out what is below."""
        path = os.fsdecode(top)
        return walk(self, TreeEntry(path, path, self.stat(top), 0), after)

    def aio(self, limit=0):
        """For the running event loop: an AsyncSession. limit: calls under way at once; 0: 128."""
        from .aio import AsyncSession  # pylint: disable=import-outside-toplevel,cyclic-import
        return AsyncSession(self, limit)

    def view(self, *, uid=None, gid=None, pid=None, timeout_ms=None, at=None, check=None,
             force_sync=None):
        """The same session for somebody else, or from somewhere else: a View. None: as it is here.

        at: a directory (a Dir, or a path), where its paths begin that have no slash in front.
        check: permissions are checked in the library, by owners and modes. force_sync: nothing is
        taken from what is remembered.
        """
        return View(self, uid=uid, gid=gid, pid=pid, timeout_ms=timeout_ms, at=at, check=check,
                    force_sync=force_sync)

    def cancel(self):
        """Give up the blocking calls that other threads have under way by exactly this session or
        view, or on what was opened by it: they raise OSError with ECANCELED. Any thread. Return:
        how many."""
        return self.base.give_up_calls(self)

    def close_opened(self):
        """Forget what was opened. Return: what is to be closed."""
        return [handle for user in list(self._users) for handle in user.let_go()]

    def add_user(self, user):
        """Somebody whose let_go() gives what is to be closed with the session."""
        self._users.add(user)


class Session(Share):
    """A session: calls on names, which block. Any thread may make them, any number at once; Ctrl-C
    ends a wait.

    Close it by close() or `with`. Options are those of struct viofs_session_options: uid, gid, pid,
    cache_names, init_timeout_ms, init_flags, timeout_ms; check is VIOFS_SESSION_CHECK, force_sync
    VIOFS_SESSION_FORCE_SYNC.
    """

    def __init__(self, device, *, uid=None, gid=None, pid=None, cache_names=None,
                 init_timeout_ms=None, init_flags=None,
                 timeout_ms=None, check=False, force_sync=False):
        self.pointer = ffi.NULL
        self.base = self
        self.device = device
        self.lock = threading.Condition()
        self._lanes = []
        # calls that somebody waits for: (lane, or None where that is being made; by which view)
        self._waits = {}
        self._closing = False
        self._users = weakref.WeakSet()  # open files, directories, AsyncSessions, views
        self._later = []  # files that nobody has closed
        self.pointer = session_pointer(device, {"uid": uid, "gid": gid, "pid": pid,
                                                "cache_names": cache_names,
                                                "init_timeout_ms": init_timeout_ms,
                                                "init_flags": init_flags,
                                                "timeout_ms": timeout_ms,
                                                "flags": changed(0, check, force_sync)})
        device.add_user(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return f"<viofs.Session with {self.device.source!r}{'' if self.pointer else ', closed'}>"

    @property
    def closed(self):
        """Has close() been called?"""
        return self._closing or not self.pointer

    def check(self):
        """Raise, where nothing can be done any more."""
        if self._closing or not self.pointer:
            raise closed("session")
        self.device._check()

    def failure(self, result, names=(), fault=None):
        """The exception for a call's negative errno."""
        text = None
        if result in (-5, -19) and not fault and self.device.failed:
            text = f"{os.strerror(-result)}: the device has failed: {self.device.failed}"
        return error(result, text, *names, fault=fault)

    def _take_lane(self, call, by):
        with self.lock:
            by.check()
            lane = self._lanes.pop() if self._lanes else None
            self._waits[call] = lane, by
        if not lane:
            try:
                lane = Lane(self)
            except BaseException:
                self._give_lane(None, call)
                raise
            with self.lock:
                self._waits[call] = lane, by
        return lane

    def _give_lane(self, lane, call):
        with self.lock:
            del self._waits[call]
            if lane:
                self._lanes.append(lane)
            self.lock.notify_all()

    def _call(self, function, *args, keep=(), finish=None, names=(), handles=(), late=None,
              by=None):
        call, by = Call((keep, args), handles), by or self
        lane = self._take_lane(call, by)
        try:
            while self._later:
                lane.abandon(self._later.pop())
            rc = lane.start(call, function, *args, view=by.pointer)
            if rc:
                raise self.failure(rc, names)
            try:
                lane.wait(call)
            except GivenUp as e:
                self._give_up(lane, call, late)
                raise self.failure(e.result, names) from None
            except BaseException:
                self._give_up(lane, call, late)
                raise
        finally:
            self._give_lane(lane, call)
        if call.result < 0:
            raise self.failure(call.result, names, call.fault)
        return finish(call.result) if finish else None

    @staticmethod
    def _give_up(lane, call, late):
        """Nobody waits for @call any more. What it has opened before it heard of that is closed."""
        if lane.give_up(call) and late and call.result >= 0:
            lane.abandon(late())

    def give_up_calls(self, by):
        """For cancel()."""
        with self.lock:
            calls = [(call, lane) for call, (lane, whose) in self._waits.items() if whose is by
                     and not call.given_up]
            for call, lane in calls:
                call.given_up = True
                if lane:
                    lane.wake()
        return len(calls)

    def wait_for_calls(self, by=None):
        """Until no call that somebody waits for is under way; by: a view's."""
        with self.lock:
            while any(by in (None, whose) for _,
                      whose in self._waits.values()) and not self.device.elsewhere:
                self.lock.wait(0.05)

    def close(self):
        """FORGET, FUSE_DESTROY, the end. Calls of other threads are waited for; files, directories,
        views and AsyncSessions are closed. Ctrl-C gives the device up."""
        if not self.pointer:
            return
        with self.lock:
            self._closing = True
        self.wait_for_calls()
        pointer, device = self.pointer, self.device.pointer
        handles = self._later + self.close_opened()
        views = [view.pointer for view in list(self._users) if isinstance(view, View)
                 and view.pointer]
        lanes, self._lanes, self._later = self._lanes, [], []

        def end():
            for lane in lanes:
                lane.close()
            for handle in handles:
                handle.close(handle.c, ffi.NULL)
            for view in views:
                lib.viofs_session_close(view)
            lib.viofs_session_close(pointer)

        self.pointer = ffi.NULL
        if self.device.elsewhere:
            end()
        else:
            interruptibly(end, lambda: lib.viofs_dev_abort(device))

    def later(self, handle):
        """Close a file when there is an occasion."""
        if self.pointer and not self._closing:
            self._later.append(handle)

    @property
    def info(self):
        """What FUSE_INIT agreed: an object with the members of struct viofs_session_info."""
        from .device import struct  # pylint: disable=import-outside-toplevel,cyclic-import
        self.check()
        return struct("viofs_session_info", lambda c: lib.viofs_session_info_get(self.pointer, c))

    @property
    def init_flags(self):
        """Names of the INIT flags agreed on."""
        flags = self.info.flags
        return [string(lib.viofs_fuse_init_flag_name(bit)) or f"bit {bit}" for bit in range(64)
                if flags >> bit & 1]

    def drop(self):
        """Forget all names and attributes that are remembered."""
        self.check()
        lib.viofs_session_drop(self.pointer)

    def raw(self):
        """Requests by the names of their fields: a Raw."""
        from .raw import Raw  # pylint: disable=import-outside-toplevel,cyclic-import
        return Raw(self)


class View(Share):
    """A session for somebody else, or from somewhere else: Session.view(). Its calls are made for
    its user, take no longer than its time, and their paths begin at its directory. What is opened
    by it keeps user and time.

    Devices check little: a virtiofsd gives what is made to uid and gid, and does all else with its
    own rights. With check the library looks at owners and modes before it asks.
    """

    def __init__(self, session, *, uid=None, gid=None, pid=None, timeout_ms=None, at=None,
                 check=None, force_sync=None):
        self.pointer = ffi.NULL
        self.base = session.base
        self._closing = False
        self._users = weakref.WeakSet()
        session.check()
        c = ffi.new("struct viofs_view_options *")
        lib.viofs_view_options_init(session.pointer, c, ffi.sizeof("struct viofs_view_options"))
        for name, value in (("uid", uid), ("gid", gid), ("pid", pid)):
            if value is not None:
                setattr(c.cred, name, value)
        if timeout_ms is not None:
            c.timeout_ms = timeout_ms
        c.flags = changed(c.flags, check, force_sync)
        out, err = ffi.new("struct viofs_session **"), ffi.new("struct viofs_err *")
        with contextlib.ExitStack() as stack:
            if at is not None:
                folder = at if isinstance(at, Dir) else stack.enter_context(session.opendir(at))
                c.at = folder.pointer_of(self.base)
            rc = lib.viofs_session_view(session.pointer, c, out, err)
        if rc:
            raise error(rc, text_of(err))
        self.uid, self.gid, self.pid = c.cred.uid, c.cred.gid, c.cred.pid
        self.timeout_ms = c.timeout_ms
        self.pointer = out[0]
        self.base.add_user(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return (f"<viofs.View of {self.base!r} for "
                f"{self.uid}:{self.gid}{', closed' if self.closed else ''}>")

    def __del__(self):
        # It has no calls and nothing open: those keep it.
        if self.pointer and self.base.pointer and not self.base.device.elsewhere:
            lib.viofs_session_close(self.pointer)

    @property
    def device(self):
        """The device that the session is with."""
        return self.base.device

    @property
    def closed(self):
        """Has it been closed, or its session?"""
        return self._closing or not self.pointer or self.base.closed

    def check(self):
        """Raise, where nothing can be done any more."""
        if self._closing or not self.pointer:
            raise closed("view")
        self.base.check()

    def failure(self, result, names=(), fault=None):
        """The exception for a call's negative errno."""
        return self.base.failure(result, names, fault)

    def _call(self, function, *args, **more):
        return self.base._call(function, *args, by=self, **more)

    def later(self, handle):
        """Close a file when there is an occasion."""
        self.base.later(handle)

    def let_go(self):
        """The session ends."""
        return self.close_opened()

    def close(self):
        """The end of the view, and of files, directories and AsyncSessions that were opened by it.
        Calls of other threads are waited for."""
        if self.closed:
            return
        with self.base.lock:
            self._closing = True
        self.base.wait_for_calls(self)
        for handle in self.close_opened():
            self.base._call(handle.close, handle.c)
        pointer, self.pointer = self.pointer, ffi.NULL
        if pointer and not self.base.device.elsewhere:
            lib.viofs_session_close(pointer)
