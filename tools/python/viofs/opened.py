# SPDX-License-Identifier: LGPL-2.1-or-later
"""Open files and directories of a session whose calls block."""

import io
import os
import stat as modes
import threading
import warnings

from ._viofs import ffi, lib
from .calls import FileCalls, encode, stat_result
from .errors import closed, error
from .lanes import Handle

# Bytes that one step of reading a whole file asks for.
CHUNK = 1 << 20
# Entries taken at once of what the library has.
ENTRIES = 64


class _Close:
    """Both ways to close: (lane, pointer, user) begins, (pointer, err) blocks."""

    def __init__(self, begin, block):
        self.begin, self.block = begin, block

    def __call__(self, *args):
        return self.begin(*args) if len(args) == 3 else self.block(*args)


CLOSE_FILE = _Close(lib.viofs_file_close_async, lib.viofs_file_close)
CLOSE_DIR = _Close(lib.viofs_dir_close_async, lib.viofs_dir_close)


class DirEntry:
    """One entry of a directory. stat: an os.stat_result where the device told it with the name,
    else None."""

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
    array, entries = ffi.new("struct viofs_dirent[]", ENTRIES), []
    while (n := lib.viofs_dir_next_many(pointer, array, ENTRIES)) > 0:
        entries += [DirEntry(array[i]) for i in range(n)]
    if n < 0:
        raise error(n)
    return entries


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
        if not handle or not handle.shut() or not session.base.pointer:
            return
        if session.device.elsewhere:
            return
        session._call(handle.close, handle.c, names=(self.name,))

    def _abandon(self):
        if self.handle and self.handle.shut():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
            self.session.later(self.handle)


class File(Opened, FileCalls, io.RawIOBase):
    """An open file: io.RawIOBase, and calls with an offset. Any thread may use it, several at once
    too."""

    def __init__(self, session, path, oflags, perm=0o644, flags=0):
        super().__init__()
        self.session, self.name, self._oflags = session, path, oflags
        self._position = 0
        out = ffi.new("struct viofs_file **")

        def made(_=None):
            return Handle(out[0], CLOSE_FILE)

        self.handle = session._call(lib.viofs_file_open_async, encode(path), int(flags), oflags,
                                    perm, out, keep=out,
                                    finish=made, names=(path,), late=made)
        session.add_user(self)

    def __repr__(self):
        return f"<viofs.File {self.name!r}{', closed' if self.closed else ''}>"

    def __del__(self):
        self._abandon()

    def _call(self, function, *args, also_names=(), **more):
        if self.closed:
            raise closed("file")
        return self.session._call(function, *args, names=(self.name, *also_names), **more)

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
            start = {os.SEEK_SET: lambda: 0, os.SEEK_CUR: self.tell,
                     os.SEEK_END: lambda: self.stat().st_size}
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

        self.handle = session._call(lib.viofs_dir_open_async, encode(path), int(flags), out,
                                    keep=out, finish=made,
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
        return self.session._call(function, self.handle.c, *args, names=(self.name,),
                                  handles=(self.handle,), **more)

    def pointer_of(self, base):
        """The library's, for a view of the session @base."""
        if self.session.base is not base:
            raise ValueError("the directory is of another session")
        if self.closed:
            raise closed("directory")
        return self.handle.c

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
