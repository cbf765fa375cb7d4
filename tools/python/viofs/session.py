# SPDX-License-Identifier: LGPL-2.1-or-later
"""A session with a device, whose calls block; open files and directories."""

import contextlib
import io
import os
import stat as modes
import threading
import warnings
import weakref

from ._viofs import ffi, lib
from .calls import FileCalls, PathCalls, encode, open_flags, stat_result
from .errors import closed, error, string, text_of
from .lanes import Call, Handle, Lane, buffer, interruptibly

# Bytes that one step of reading a whole file asks for.
CHUNK = 1 << 20


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
        rc = interruptibly(lambda: lib.viofs_session_open(pointer, c, out, err), lambda: lib.viofs_dev_abort(pointer))
    except BaseException:
        lib.viofs_session_close(out[0])
        raise
    if rc:
        raise error(rc, text_of(err))
    return out[0]


class DirEntry:
    """One entry of a directory. stat: an os.stat_result where the device told it with the name, else None."""

    __slots__ = ("name", "ino", "type", "stat", "next")

    def __init__(self, c):
        self.name = os.fsdecode(ffi.string(c.name))
        self.ino, self.type, self.next = c.ino, c.type, c.next
        self.stat = stat_result(c.st) if c.st else None

    def __repr__(self):
        return f"<viofs.DirEntry {self.name!r}>"

    def is_dir(self):
        """A directory? A symbolic link to one is none."""
        return self.type == modes.S_IFDIR >> 12

    def is_file(self):
        """A regular file?"""
        return self.type == modes.S_IFREG >> 12

    def is_symlink(self):
        """A symbolic link?"""
        return self.type == modes.S_IFLNK >> 12


def portion(pointer):
    """The entries that are there."""
    entry, err, entries = ffi.new("struct viofs_dirent *"), 0, []
    while True:
        err = lib.viofs_dir_next(pointer, entry)
        if err <= 0:
            break
        entries.append(DirEntry(entry))
    if err < 0:
        raise error(err)
    return entries


class Session(PathCalls):
    """A session: calls on names, which block. Any thread may make them, any number at once; Ctrl-C ends a wait.

    Close it by close() or `with`. Options are those of struct viofs_session_options: uid, gid, pid, cache_names,
    init_timeout_ms, init_flags.
    """

    def __init__(self, device, *, uid=None, gid=None, pid=None, cache_names=None, init_timeout_ms=None, init_flags=None):
        self.pointer = ffi.NULL
        self.device = device
        self._lock = threading.Condition()
        self._lanes = []
        self._busy = 0
        self._closing = False
        self._users = weakref.WeakSet()  # open files, directories, AsyncSessions
        self._later = []  # files that nobody has closed
        self.pointer = session_pointer(device, {"uid": uid, "gid": gid, "pid": pid, "cache_names": cache_names,
                                                "init_timeout_ms": init_timeout_ms, "init_flags": init_flags})
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

    def _take_lane(self):
        with self._lock:
            self.check()
            self._busy += 1
            if self._lanes:
                return self._lanes.pop()
        try:
            return Lane(self)
        except BaseException:
            self._give_lane(None)
            raise

    def _give_lane(self, lane):
        with self._lock:
            self._busy -= 1
            if lane:
                self._lanes.append(lane)
            self._lock.notify_all()

    def _call(self, function, *args, keep=(), finish=None, names=(), handles=(), late=None, for_lock=False):
        lane = self._take_lane()
        try:
            while self._later:
                lane.abandon(self._later.pop())
            call = Call((keep, args), handles)
            rc = lane.start(call, function, *args)
            if rc:
                raise self.failure(rc, names)
            try:
                lane.wait(call)
            except BaseException:
                if for_lock:
                    lane = self._give_up_lock(lane)
                else:
                    self._give_up(lane, call, late)
                raise
        finally:
            self._give_lane(lane)
        if call.result < 0:
            raise self.failure(call.result, names, call.fault)
        return finish(call.result) if finish else None

    def _give_up_lock(self, lane):
        """A lock that nobody waits for any more must not be granted: the device is told, and is waited for."""
        device = self.device.pointer
        interruptibly(lane.close, lambda: lib.viofs_dev_abort(device))

    @staticmethod
    def _give_up(lane, call, late):
        """Nobody waits for @call any more. What it opens is closed."""
        if call.done:
            if late and call.result >= 0:
                lane.abandon(late())
        elif late:
            call.ended = lambda c: lane.abandon(late()) if c.result >= 0 else None

    def close(self):
        """FORGET, FUSE_DESTROY, the end. Calls of other threads are waited for; files, directories and AsyncSessions are
        closed. Ctrl-C gives the device up."""
        if not self.pointer:
            return
        with self._lock:
            self._closing = True
            while self._busy and not self.device.elsewhere:
                self._lock.wait(0.05)
        pointer, device = self.pointer, self.device.pointer
        handles = self._later + [handle for user in list(self._users) for handle in user.let_go()]
        lanes, self._lanes, self._later = self._lanes, [], []

        def end():
            for lane in lanes:
                lane.close()
            for handle in handles:
                handle.close(handle.c, ffi.NULL)
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

    def add_user(self, user):
        """Somebody whose let_go() gives what is to be closed with the session."""
        self._users.add(user)

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
        return [string(lib.viofs_fuse_init_flag_name(bit)) or f"bit {bit}" for bit in range(64) if flags >> bit & 1]

    def drop(self):
        """Forget all names and attributes that are remembered."""
        self.check()
        lib.viofs_session_drop(self.pointer)

    def open(self, path, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *, oflags=0, perm=0o644,
             flags=0):
        """As the builtin open(). A binary file is a File, with no buffer unless buffering asks for one.

        oflags: more of open(2)'s, such as os.O_DIRECT. perm: of a file that is made; there is no umask.
        """
        raw = File(self, path, open_flags(mode) | oflags, perm, flags)
        if "b" in mode and buffering < 1:
            return raw
        size = io.DEFAULT_BUFFER_SIZE if buffering < 2 else buffering
        kind = io.BufferedRandom if "+" in mode else io.BufferedReader if "r" in mode else io.BufferedWriter
        buffered = kind(raw, size)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline, buffering == 1)

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
        """As os.walk(): (folder, names of directories, names of others), from the top. Names in the first list may be
        taken out. Symbolic links are not followed."""
        top = os.fsdecode(top)
        entries = list(self.scandir(top))
        folders = [e.name for e in entries if e.is_dir()]
        yield top, folders, [e.name for e in entries if not e.is_dir()]
        for name in folders:
            yield from self.walk(os.path.join(top, name))

    def aio(self, limit=0):
        """For the running event loop: an AsyncSession. limit: calls under way at once; 0: 128."""
        from .aio import AsyncSession  # pylint: disable=import-outside-toplevel,cyclic-import
        return AsyncSession(self, limit)

    def raw(self):
        """Requests by the names of their fields: a Raw."""
        from .raw import Raw  # pylint: disable=import-outside-toplevel,cyclic-import
        return Raw(self)


class Opened:
    """What files and directories have in common: a handle of the library's."""

    handle = None
    session = None

    def let_go(self):
        """The session ends. Return: what it has to close."""
        return [self.handle] if self.handle and self.handle.shut() else []

    def _shut(self):
        """Close, and wait, but where calls are under way, whose last one closes it then."""
        handle, session = self.handle, self.session
        if not handle or not handle.shut() or not session.pointer:
            return
        if session.device.elsewhere:
            return
        session._call(handle.close, handle.c, names=(self.name,))

    def _abandon(self):
        if self.handle and self.handle.shut():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
            self.session.later(self.handle)


class File(Opened, FileCalls, io.RawIOBase):
    """An open file: io.RawIOBase, and calls with an offset. Any thread may use it, several at once too."""

    def __init__(self, session, path, oflags, perm=0o644, flags=0):
        super().__init__()
        self.session, self.name, self._oflags = session, path, oflags
        self._position = 0
        out = ffi.new("struct viofs_file **")

        def made(_=None):
            return Handle(out[0], CLOSE_FILE)

        self.handle = session._call(lib.viofs_file_open_async, encode(path), int(flags), oflags, perm, out, keep=out,
                                    finish=made, names=(path,), late=made)
        session.add_user(self)

    def __repr__(self):
        return f"<viofs.File {self.name!r}{', closed' if self.closed else ''}>"

    def __del__(self):
        self._abandon()

    def _call(self, function, *args, **more):
        if self.closed:
            raise closed("file")
        return self.session._call(function, *args, names=(self.name,), **more)

    @property
    def closed(self):
        """Has it been closed, or its session?"""
        return super().closed or not self.handle or self.handle.closed

    def close(self):
        """FLUSH and RELEASE. OSError: data could not be written; it is closed nevertheless."""
        try:
            self._shut()
        finally:
            super().close()

    def readable(self):
        """For io."""
        return self._oflags & os.O_ACCMODE != os.O_WRONLY

    def writable(self):
        """For io."""
        return self._oflags & os.O_ACCMODE != os.O_RDONLY

    def seekable(self):
        """For io."""
        return True

    def readinto(self, memory):
        """Read at the position into writable memory."""
        n = self.pread_into(memory, self._position)
        self._position += n
        return n

    def readall(self):
        """From the position to the end."""
        pieces = []
        while True:
            size = max(self.stat().st_size - self._position, 0)
            piece = self.pread(min(max(size, 1), 64 * CHUNK), self._position)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            self._position += len(piece)

    def write(self, data):
        """Write at the position, or at the end with mode "a"."""
        if self._oflags & os.O_APPEND:
            self._position = self.stat().st_size
        n = self.pwrite(data, self._position)
        self._position += n
        return n

    def seek(self, offset, whence=os.SEEK_SET):
        """lseek(2), with os.SEEK_DATA and os.SEEK_HOLE too."""
        if whence == os.SEEK_DATA:
            to = self.seek_data(offset)
        elif whence == os.SEEK_HOLE:
            to = self.seek_hole(offset)
        else:
            start = {os.SEEK_SET: lambda: 0, os.SEEK_CUR: self.tell, os.SEEK_END: lambda: self.stat().st_size}
            to = offset + start[whence]()
        if to < 0:
            raise ValueError(f"negative seek position {to}")
        self._position = to
        return to

    def tell(self):
        """The position."""
        if self.closed:
            raise closed("file")
        return self._position

    def truncate(self, size=None):
        """Make it so long; None: up to the position."""
        size = self._position if size is None else size
        self.ftruncate(size)
        return size


class Dir(Opened):
    """An open directory: iterate over its entries ("." and ".." too, where the device has them)."""

    def __init__(self, session, path, flags=0):
        self.session, self.name = session, path
        self._lock = threading.Lock()
        out = ffi.new("struct viofs_dir **")

        def made(_=None):
            return Handle(out[0], CLOSE_DIR)

        self.handle = session._call(lib.viofs_dir_open_async, encode(path), int(flags), out, keep=out, finish=made,
                                    names=(path,), late=made)
        session.add_user(self)

    def __repr__(self):
        return f"<viofs.Dir {self.name!r}{', closed' if self.closed else ''}>"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self._abandon()

    @property
    def closed(self):
        """Has it been closed, or its session?"""
        return not self.handle or self.handle.closed

    def close(self):
        """RELEASEDIR."""
        self._shut()

    def _call(self, function, *args, **more):
        if self.closed:
            raise closed("directory")
        return self.session._call(function, self.handle.c, *args, names=(self.name,), handles=(self.handle,), **more)

    def fill(self):
        """The next portion: a list of DirEntry objects, empty at the end."""
        with self._lock:
            got = self._call(lib.viofs_dir_fill_async, finish=int)
            return portion(self.handle.c) if got and not self.closed else []

    def __iter__(self):
        while entries := self.fill():
            yield from entries

    def seek(self, where=0):
        """Go on at an entry's `next`; 0: from the start."""
        with self._lock:
            if self.closed:
                raise closed("directory")
            self.session.check()
            lib.viofs_dir_seek(self.handle.c, where)

    def sync(self, *, data_only=False):
        """fsync(2) of the directory."""
        self._call(lib.viofs_dir_sync_async, int(data_only))


class _Close:
    """Both ways to close: (lane, pointer, user) begins, (pointer, err) blocks."""

    def __init__(self, begin, block):
        self.begin, self.block = begin, block

    def __call__(self, *args):
        return self.begin(*args) if len(args) == 3 else self.block(*args)


CLOSE_FILE = _Close(lib.viofs_file_close_async, lib.viofs_file_close)
CLOSE_DIR = _Close(lib.viofs_dir_close_async, lib.viofs_dir_close)
