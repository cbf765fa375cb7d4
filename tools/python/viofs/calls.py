# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls on names and on open files, once for both ways: a Session's block, an AsyncSession's are
awaited.

Each says how the library's call begins and what is made of its result; who inherits says in _call()
how the end is waited for: it returns the value, or an awaitable of it.
"""

import enum
import fcntl
import os
import stat as modes

from ._viofs import ffi, lib
from .lanes import buffer, iovecs

XATTR_MAX = 65536
UP_TO_THE_END = (1 << 64) - 1


class PathFlag(enum.IntFlag):
    """How a path is resolved."""

    NO_FOLLOW = lib.VIOFS_PATH_NO_FOLLOW
    NO_SYMLINKS = lib.VIOFS_PATH_NO_SYMLINKS
    BENEATH = lib.VIOFS_PATH_BENEATH
    FORCE_SYNC = lib.VIOFS_PATH_FORCE_SYNC
    DONT_SYNC = lib.VIOFS_PATH_DONT_SYNC


def encode(name):
    """A name for the library, which has no NUL in it."""
    name = os.fsencode(name)
    if b"\0" in name:
        raise ValueError("embedded null byte")
    return name


def flags_of(flags, follow_symlinks):
    """With the argument that os has for it."""
    return int(flags) | (0 if follow_symlinks else lib.VIOFS_PATH_NO_FOLLOW)


def stat_result(st):
    """A struct stat as os.stat() has it."""
    times = [t.tv_sec for t in (st.st_atim, st.st_mtim, st.st_ctim)]
    ns = [t.tv_sec * 10**9 + t.tv_nsec for t in (st.st_atim, st.st_mtim, st.st_ctim)]
    return os.stat_result((st.st_mode, st.st_ino, st.st_dev, st.st_nlink, st.st_uid, st.st_gid,
                           st.st_size, *times,
                           *(t / 1e9 for t in ns), *ns, st.st_blksize, st.st_blocks, st.st_rdev))


def statvfs_result(st):
    """A struct statvfs as os.statvfs() has it."""
    return os.statvfs_result((st.f_bsize, st.f_frsize, st.f_blocks, st.f_bfree, st.f_bavail,
                              st.f_files, st.f_ffree,
                              st.f_favail, st.f_flag, st.f_namemax, st.f_fsid))


def _moment(t):
    return t.tv_sec * 10**9 + t.tv_nsec


def statx_result(st):
    """A struct statx as a dictionary, with the names of statx(2) less stx_; times in ns."""
    plain = ("mask", "blksize", "attributes", "nlink", "uid", "gid", "mode", "ino", "size",
             "blocks", "attributes_mask")
    found = {name: getattr(st, "stx_" + name) for name in plain}
    found.update({name + "_ns": _moment(getattr(st, "stx_" + name))
                  for name in ("atime", "btime", "ctime", "mtime")})
    found["rdev"] = os.makedev(st.stx_rdev_major, st.stx_rdev_minor)
    found["dev"] = os.makedev(st.stx_dev_major, st.stx_dev_minor)
    return found


def timespecs(times, ns):
    """os.utime()'s arguments; (None, None): now."""
    if times is not None and ns is not None:
        raise ValueError("utime: either times or ns")
    if times is None and ns is None:
        return ffi.NULL
    both = ns if ns is not None else tuple(round(t * 10**9) for t in times)
    array = ffi.new("struct timespec[2]")
    for spec, t in zip(array, both, strict=True):
        spec.tv_sec, spec.tv_nsec = divmod(t, 10**9)
    return array


def split_names(names, size):
    """Names, each with its NUL."""
    return [os.fsdecode(name) for name in ffi.buffer(names, size)[:].split(b"\0")[:-1]]


class PathCalls:
    """Calls on names. Paths begin at the share's root: str, bytes or os.PathLike. flags: of
    PathFlag."""

    def _path(self, function, path, flags, *args, keep=(), finish=None):
        name = encode(path)
        return self._call(function, name, int(flags), *args, keep=keep, finish=finish,
                          names=(path,))

    def stat(self, path, *, follow_symlinks=True, flags=0):
        """stat(2): an os.stat_result."""
        st = ffi.new("struct stat *")
        return self._path(lib.viofs_path_stat_async, path, flags_of(flags, follow_symlinks), st,
                          keep=st,
                          finish=lambda _: stat_result(st))

    def lstat(self, path, *, flags=0):
        """stat(2) of a symbolic link itself."""
        return self.stat(path, follow_symlinks=False, flags=flags)

    def statx(self, path, mask=0xFFF, *, follow_symlinks=True, flags=0):
        """statx(2): a dictionary; times (atime_ns, ...) in nanoseconds."""
        st = ffi.new("struct statx *")
        return self._path(lib.viofs_path_statx_async, path, flags_of(flags, follow_symlinks), mask,
                          st, keep=st,
                          finish=lambda _: statx_result(st))

    def statvfs(self, path="/", *, flags=0):
        """statvfs(3) of the share: an os.statvfs_result."""
        st = ffi.new("struct statvfs *")
        return self._path(lib.viofs_path_statfs_async, path, flags, st, keep=st,
                          finish=lambda _: statvfs_result(st))

    def access(self, path, mode=os.F_OK, *, flags=0):
        """access(2): None, or PermissionError."""
        return self._path(lib.viofs_path_access_async, path, flags, mode)

    def mkdir(self, path, mode=0o777, *, flags=0):
        """mkdir(2). There is no umask."""
        return self._path(lib.viofs_path_mkdir_async, path, flags, mode)

    def mknod(self, path, mode=0o600 | modes.S_IFREG, device=0, *, flags=0):
        """mknod(2). There is no umask."""
        return self._path(lib.viofs_path_mknod_async, path, flags, mode, device)

    def unlink(self, path, *, flags=0):
        """unlink(2)."""
        return self._path(lib.viofs_path_unlink_async, path, flags)

    def rmdir(self, path, *, flags=0):
        """rmdir(2)."""
        return self._path(lib.viofs_path_rmdir_async, path, flags)

    def rename(self, src, dst, *, how=0, flags=0):
        """renameat2(2). how: 1 (RENAME_NOREPLACE), 2 (RENAME_EXCHANGE)."""
        return self._call(lib.viofs_path_rename_async, encode(src), encode(dst), int(flags), how,
                          names=(src, dst))

    def link(self, src, dst, *, follow_symlinks=True, flags=0):
        """linkat(2): dst is another name of src."""
        return self._call(lib.viofs_path_link_async, encode(src), encode(dst),
                          flags_of(flags, follow_symlinks), names=(src, dst))

    def symlink(self, target, path, *, flags=0):
        """symlink(2): path leads to target."""
        return self._call(lib.viofs_path_symlink_async, encode(target), encode(path), int(flags),
                          names=(target, path))

    def readlink(self, path, *, flags=0):
        """readlink(2): the target, a str."""
        text = ffi.new("char[]", 4096)
        return self._path(lib.viofs_path_readlink_async, path, flags, text, 4096, keep=text,
                          finish=lambda n: os.fsdecode(ffi.buffer(text, n)[:]))

    def chmod(self, path, mode, *, follow_symlinks=True, flags=0):
        """chmod(2)."""
        return self._path(lib.viofs_path_chmod_async, path, flags_of(flags, follow_symlinks), mode)

    def chown(self, path, uid, gid, *, follow_symlinks=True, flags=0):
        """chown(2); -1 leaves as is."""
        return self._path(lib.viofs_path_chown_async, path, flags_of(flags, follow_symlinks),
                          uid & 0xFFFFFFFF,
                          gid & 0xFFFFFFFF)

    def utime(self, path, times=None, *, ns=None, follow_symlinks=True, flags=0):
        """utimensat(2): times (seconds) or ns, each (access, modification); neither: now."""
        array = timespecs(times, ns)
        return self._path(lib.viofs_path_utimens_async, path, flags_of(flags, follow_symlinks),
                          array, keep=array)

    def truncate(self, path, size, *, flags=0):
        """truncate(2)."""
        return self._path(lib.viofs_path_truncate_async, path, flags, size)

    def getxattr(self, path, name, *, follow_symlinks=True, flags=0):
        """getxattr(2): bytes."""
        value = ffi.new("char[]", XATTR_MAX)
        return self._path(lib.viofs_path_getxattr_async, path, flags_of(flags, follow_symlinks),
                          encode(name), value,
                          XATTR_MAX, keep=value, finish=lambda n: ffi.buffer(value, n)[:])

    def listxattr(self, path, *, follow_symlinks=True, flags=0):
        """listxattr(2): a list of str."""
        names = ffi.new("char[]", XATTR_MAX)
        return self._path(lib.viofs_path_listxattr_async, path, flags_of(flags, follow_symlinks),
                          names, XATTR_MAX,
                          keep=names, finish=lambda n: split_names(names, n))

    def setxattr(self, path, name, value, *, how=0, follow_symlinks=True, flags=0):
        """setxattr(2). how: os.XATTR_CREATE, os.XATTR_REPLACE."""
        pointer, size = buffer(value, False)
        return self._path(lib.viofs_path_setxattr_async, path, flags_of(flags, follow_symlinks),
                          encode(name), pointer,
                          size, how, keep=pointer)

    def removexattr(self, path, name, *, follow_symlinks=True, flags=0):
        """removexattr(2)."""
        return self._path(lib.viofs_path_removexattr_async, path, flags_of(flags, follow_symlinks),
                          encode(name))


class FileCalls:
    """Calls on an open file that go to no offset of its own. handle: the library's file."""

    def _file(self, function, *args, also=(), also_names=(), **more):
        return self._call(function, self.handle.c, *args, handles=(self.handle, *also),
                          also_names=also_names, **more)

    def pread_into(self, memory, offset):
        """Read into writable memory: how many bytes, fewer only at the file's end. DMA memory is
        not copied."""
        pointer, size = buffer(memory, True)
        return self._file(lib.viofs_file_pread_async, pointer, size, offset, keep=pointer,
                          finish=int)

    def pread(self, size, offset):
        """Up to size bytes, fewer only at the file's end."""
        memory = ffi.new("char[]", max(size, 1))
        return self._file(lib.viofs_file_pread_async, memory, size, offset, keep=memory,
                          finish=lambda n: ffi.buffer(memory, n)[:])

    def pwrite(self, data, offset):
        """Write: how many bytes. DMA memory is not copied."""
        pointer, size = buffer(data, False)
        return self._file(lib.viofs_file_pwrite_async, pointer, size, offset, keep=pointer,
                          finish=int)

    def preadv(self, pieces, offset):
        """Read into several pieces of writable memory: how many bytes."""
        array, count, kept = iovecs(pieces, True)
        return self._file(lib.viofs_file_preadv_async, array, count, offset, keep=kept, finish=int)

    def pwritev(self, pieces, offset):
        """Write several pieces: how many bytes."""
        array, count, kept = iovecs(pieces, False)
        return self._file(lib.viofs_file_pwritev_async, array, count, offset, keep=kept, finish=int)

    def stat(self):
        """fstat(2): an os.stat_result."""
        st = ffi.new("struct stat *")
        return self._file(lib.viofs_file_stat_async, st, keep=st, finish=lambda _: stat_result(st))

    def ftruncate(self, size):
        """ftruncate(2)."""
        return self._file(lib.viofs_file_truncate_async, size)

    def chmod(self, mode):
        """fchmod(2)."""
        return self._file(lib.viofs_file_chmod_async, mode)

    def chown(self, uid, gid):
        """fchown(2); -1 leaves as is."""
        return self._file(lib.viofs_file_chown_async, uid & 0xFFFFFFFF, gid & 0xFFFFFFFF)

    def utime(self, times=None, *, ns=None):
        """futimens(3): times (seconds) or ns, each (access, modification); neither: now."""
        array = timespecs(times, ns)
        return self._file(lib.viofs_file_utimens_async, array, keep=array)

    def sync(self, *, data_only=False):
        """fsync(2), or fdatasync(2)."""
        return self._file(lib.viofs_file_sync_async, int(data_only))

    def allocate(self, offset, size, *, mode=0):
        """fallocate(2). mode: FALLOC_FL_*."""
        return self._file(lib.viofs_file_allocate_async, mode, offset, size)

    def link(self, path, *, flags=0):
        """linkat(2): another name for the open file; the first one where it was opened with
        os.O_TMPFILE."""
        return self._file(lib.viofs_file_link_async, encode(path), int(flags), also_names=(path,))

    def to_fd(self, fd, size=None, *, offset=0, fd_offset=-1):
        """Copy to a descriptor, which blocks, with several requests in flight: how many bytes. size
        None: up to the end. fd_offset -1: in order, as a pipe or a socket takes it."""
        return self._file(lib.viofs_file_to_fd_async, offset, fd, fd_offset,
                          UP_TO_THE_END if size is None else size,
                          finish=int)

    def from_fd(self, fd, size=None, *, offset=0, fd_offset=-1):
        """Copy from a descriptor, which blocks, with several requests in flight: how many bytes.
        size None: up to its end. fd_offset -1: in order, as a pipe or a socket gives it."""
        return self._file(lib.viofs_file_from_fd_async, offset, fd, fd_offset,
                          UP_TO_THE_END if size is None else size,
                          finish=int)

    def copy_to(self, other, size, *, offset=0, other_offset=0):
        """copy_file_range(2), done by the device: how many bytes were copied, which may be
        fewer."""
        return self._file(lib.viofs_file_copy_async, offset, other.handle.c, other_offset, size,
                          also=(other.handle,),
                          finish=int)

    def getxattr(self, name):
        """fgetxattr(2): bytes."""
        value = ffi.new("char[]", XATTR_MAX)
        return self._file(lib.viofs_file_getxattr_async, encode(name), value, XATTR_MAX, keep=value,
                          finish=lambda n: ffi.buffer(value, n)[:])

    def listxattr(self):
        """flistxattr(2): a list of str."""
        names = ffi.new("char[]", XATTR_MAX)
        return self._file(lib.viofs_file_listxattr_async, names, XATTR_MAX, keep=names,
                          finish=lambda n: split_names(names, n))

    def setxattr(self, name, value, *, how=0):
        """fsetxattr(2). how: os.XATTR_CREATE, os.XATTR_REPLACE."""
        pointer, size = buffer(value, False)
        return self._file(lib.viofs_file_setxattr_async, encode(name), pointer, size, how,
                          keep=pointer)

    def removexattr(self, name):
        """fremovexattr(2)."""
        return self._file(lib.viofs_file_removexattr_async, encode(name))

    def seek_data(self, offset):
        """Where data begins, from offset on. OSError with ENXIO: there is none."""
        return self._file(lib.viofs_file_lseek_async, offset, os.SEEK_DATA, finish=int)

    def seek_hole(self, offset):
        """Where a hole begins, from offset on; the file's end is one."""
        return self._file(lib.viofs_file_lseek_async, offset, os.SEEK_HOLE, finish=int)

    def _lock(self, command, kind, start, length):
        lock = ffi.new("struct flock *",
                       {"l_type": kind, "l_whence": os.SEEK_SET, "l_start": start, "l_len": length})
        names = {F_RDLCK: "shared", F_WRLCK: "exclusive"}
        return self._file(lib.viofs_file_lock_async, command, lock, keep=lock,
                          finish=lambda _: names.get(lock.l_type) if command == F_OFD_GETLK
                          else None)

    def lock(self, *, exclusive=True, start=0, length=0, wait=True):
        """A record lock of the open file (fcntl(2)). length 0: to the end. BlockingIOError:
        somebody else has it."""
        return self._lock(F_OFD_SETLKW if wait else F_OFD_SETLK, F_WRLCK if exclusive else F_RDLCK,
                          start, length)

    def unlock(self, *, start=0, length=0):
        """Give a record lock back."""
        return self._lock(F_OFD_SETLK, F_UNLCK, start, length)

    def test_lock(self, *, exclusive=True, start=0, length=0):
        """Who is in the way of such a lock: None, "shared" or "exclusive"."""
        return self._lock(F_OFD_GETLK, F_WRLCK if exclusive else F_RDLCK, start, length)

    def flock(self, operation):
        """flock(2). operation: fcntl.LOCK_SH, LOCK_EX, LOCK_UN, with LOCK_NB perhaps."""
        return self._file(lib.viofs_file_flock_async, operation)


F_RDLCK, F_WRLCK, F_UNLCK = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
# fcntl of Python 3.11 has no F_OFD_.
F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW = 36, 37, 38


def open_flags(mode, oflags=0):
    """open()'s letters as open(2)'s flags, with more of these. What has no name is made anyhow, and
    is empty."""
    flags = _flags_of_letters(mode) | oflags
    return flags & ~(os.O_CREAT | os.O_TRUNC) if oflags & os.O_TMPFILE == os.O_TMPFILE else flags


def _flags_of_letters(mode):
    kinds = [letter for letter in mode if letter in "rwax"]
    if (len(kinds) != 1 or set(mode) - set("rwaxbt+") or len(set(mode)) != len(mode)
            or {"b", "t"} <= set(mode)):
        raise ValueError(f"invalid mode: {mode!r}")
    access = os.O_RDWR if "+" in mode else os.O_RDONLY if kinds[0] == "r" else os.O_WRONLY
    return access | {"r": 0, "w": os.O_CREAT | os.O_TRUNC, "a": os.O_CREAT | os.O_APPEND,
                     "x": os.O_CREAT | os.O_EXCL}[kinds[0]]
