# SPDX-License-Identifier: GPL-2.0-or-later
"""What a device can do wrong with a request, a reply and INIT; each has its expected end.

  fatal     which buffers the device has isn't known any more: the session ends, with a reason
  lost      it has gone: errors until an unmount
  refused   this request gets an error, the session goes on
  harmless  it works
"""

import errno
import sys
from functools import partial

from vhostlib import (Failure, Session, check, must, named, need_root, python, run, run_cases,
                      two_at_a_time,
                      wait_until)

# Sent by a stat that no cache can answer, a read, an open.
STAT = "import os, sys; os.stat(sys.argv[1])"
READ = "import os, sys; fd = os.open(sys.argv[1], os.O_RDONLY); print(len(os.pread(fd, 100, 0)))"
OPEN = "import os, sys; os.close(os.open(sys.argv[1], os.O_RDONLY))"
CODES = {"LOOKUP": STAT, "READ": READ, "OPEN": OPEN}

# Misbehaviour, operation, what becomes of it, a part of what is said.
TABLE = [
    ("used-idx-jump", "LOOKUP", "fatal", "used.idx"),
    ("used-id-range", "LOOKUP", "fatal", "virtqueue 1: "),
    ("used-id-idle", "LOOKUP", "fatal", "virtqueue 1: "),
    ("used-id-twice", "LOOKUP", "fatal-after", "virtqueue 1: "),
    ("ring-scribble", "LOOKUP", "fatal", "virtqueue 1: "),
    ("used-len-long", "LOOKUP", "fatal", "len"),
    ("used-len-huge", "READ", "fatal", "len"),
    ("payload-long", "READ", "fatal", "len"),
    ("unique-wrong", "LOOKUP", "fatal", "unique"),
    ("unique-zero", "LOOKUP", "fatal", "unique"),
    ("close", "READ", "lost", "closed its socket"),
    ("close-after", "LOOKUP", "lost-after", "closed its socket"),
    ("used-len-zero", "LOOKUP", "refused", "no reply header"),
    ("used-len-short", "READ", "refused", "len"),
    ("used-len-room", "READ", "refused", "len"),
    ("len-short", "LOOKUP", "refused", "len"),
    ("len-zero", "READ", "refused", "len"),
    ("len-long", "LOOKUP", "refused", "len"),
    ("len-huge", "READ", "refused", "len"),
    ("error-positive", "LOOKUP", "refused", "error"),
    ("error-512", "LOOKUP", "refused", "error"),
    ("error-min", "READ", "refused", "error"),
    ("payload-short", "LOOKUP", "refused", "length"),
    ("payload-none", "OPEN", "refused", "length"),
    ("error-payload", "LOOKUP", "denied", ""),
    ("open-flags", "OPEN", "harmless", ""),
]

# The lies that the ring itself can tell, once more on packed ones; they have no index to jump.
PACKED = [row for row in TABLE if row[0] in ("used-id-range", "used-id-idle", "used-id-twice",
                                             "used-len-long", "used-len-huge", "used-len-zero",
                                             "ring-scribble", "close")]

INIT_TABLE = [
    # Field or misbehaviour, does it mount, a part of what is said.
    (["--init", "major=8"], False, "FUSE 8"),
    (["--init", "major=6"], False, "FUSE 6"),
    (["--init", "minor=5"], False, "at least 7."),
    (["--init", "error=-5"], False, "refused FUSE_INIT"),
    (["--init", "bytes=4"], False, "4"),
    (["--init", "bytes=63"], False, "63"),
    (["--evil", "unique-wrong@INIT"], False, "FUSE_INIT"),
    (["--evil", "len-huge@INIT"], False, "FUSE_INIT"),
    (["--evil", "error-positive@INIT"], False, "FUSE_INIT"),
    (["--evil", "used-len-long@INIT"], False, "FUSE_INIT"),
    (["--evil", "used-id-range@INIT"], False, "FUSE_INIT"),
    (["--evil", "used-idx-jump@INIT"], False, "FUSE_INIT"),
    (["--evil", "close@INIT"], False, "closed its socket"),
    (["--evil", "used-never@INIT"], False, "did not answer FUSE_INIT"),
    (["--evil", "silent@INIT"], False, "did not answer FUSE_INIT"),
    (["--init", "minor=99"], True, ""),
    (["--init", "bytes=24"], True, ""),
    (["--init", "flags=0x20000000000"], True, ""),  # FUSE_OVER_IO_URING
    (["--init", "flags=0x2000000000"], True, ""),  # PASSTHROUGH
    (["--init", "flags=0xffffffffffffffff"], True, ""),
    (["--init", "max_write=0"], True, ""),
    (["--init", "max_write=0xffffffff"], True, ""),
    (["--init", "max_pages=0"], True, ""),
    (["--init", "max_pages=0xffff"], True, ""),
    (["--init", "max_readahead=0xffffffff"], True, ""),
    (["--init", "max_background=1", "--init", "congestion=0xffff"], True, ""),
    (["--init", "time_gran=0"], True, ""),
    (["--evil", "used-len-zero*"], True, ""),
]


def small_file(session):
    """In the mount: its path."""
    path = session.path("file")
    python("import sys; open(sys.argv[1], 'w').write('some text')", path)
    return path


def attempt(code, path):
    """Return: 0, or the errno that the child met."""
    status, out = run([sys.executable, "-c",
                       "import sys\ntry:\n exec(sys.argv[2])\n"
                       "except OSError as e:\n print('errno', e.errno)\n", path, code], 10)
    if status is None:
        raise Failure("the operation hung")
    check(status == 0, out)
    return int(out.split()[-1]) if "errno" in out else 0


def case(kind, opcode, end, said, *args):
    """One line of TABLE, on a fresh session."""
    with Session("device", ["--no-cache", *args], options="poll=irq").mount() as s:
        path = small_file(s)
        # Again and again where the kernel asks twice: it does where the first answer is an error.
        s.control(f"evil {kind}@{opcode}" + ("" if end.startswith(("fatal", "lost")) else "*"))
        got = attempt(CODES[opcode], path)
        if end in ("harmless", "fatal-after", "lost-after"):
            # The second lie may be met while the first reply is on its way.
            check(not got or end != "harmless", f"errno {got}")
        else:
            due = errno.EACCES if end == "denied" else None
            check(got == due if due else got, f"errno {got}")
        if end.startswith("fatal"):
            s.ends(1)
            check("the session failed" in s.said(), s.said())
        elif end.startswith("lost"):
            s.is_lost(said)
        else:
            s.control("good")
            check(not attempt(CODES[opcode], path), "the next request fails too")
            s.umount()
        check(said in s.said(), f"'{said}' was not said: {s.said()}")


def init_case(args, mounts, said):
    """One line of INIT_TABLE."""
    with Session(backend_args=args + ["--no-cache"], options="init-timeout=1") as s:
        if not mounts:
            out = s.refuse()
            check(said in out, f"'{said}' was not said: {out}")
            return
        s.mount()
        path = small_file(s)
        must(["dd", "if=/dev/urandom", f"of={path}", "bs=1M", "count=3", "status=none"])
        check(len(must(["cat", path]).encode(errors="replace")) > 0, "nothing was read")
        must(["cp", path, path + ".copy"])
        must(["cmp", path, path + ".copy"])
        s.umount()


def writes_after_completion_reach_nobody_by_way_of_a_crash():
    """A device that goes on writing into a buffer it gave back may spoil what is in it then."""
    with Session("device", ["--no-cache"]).mount() as s:
        path = small_file(s)
        s.control("evil write-after@LOOKUP")
        for _ in range(20):
            attempt(STAT, path)
            attempt(READ, path)
        if s.daemon.poll() is None:
            run(["umount", s.mnt])
        s.daemon.wait(15)


def no_byte_that_was_not_written_reaches_a_reader():
    """READ replies that are shorter than what they say: never a byte of an earlier reply."""
    code = ("import os, sys\nfd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)\n"
            "import mmap\nm = mmap.mmap(-1, 65536)\n"
            "try:\n n = os.preadv(fd, [m], 0)\nexcept OSError as e:\n n = 0\n"
            "assert b'secret' not in m[:n], 'leaked'\n")
    for kind in ("used-len-room", "used-len-short", "used-len-zero", "payload-none"):
        with Session().mount() as s:
            python("import sys; open(sys.argv[1], 'w').write('secret' * 10000)", s.path("secret"))
            python("import sys; open(sys.argv[1], 'w').write('x' * 60000)", s.path("mine"))
            must(["dd", f"if={s.path('secret')}", "of=/dev/null", "iflag=direct", "bs=64k",
                  "status=none"])
            s.control(f"evil {kind}@READ*")
            python(code, s.path("mine"))
            s.umount()


# A request of each kind that a back end may go away at: before it is answered, or right after.
KINDS = ("LOOKUP", "GETATTR", "SETATTR", "MKDIR", "CREATE", "OPEN", "WRITE", "READ", "FSYNC",
         "FLUSH",
         "RELEASE", "SYMLINK", "READLINK", "LINK", "RENAME2", "UNLINK", "RMDIR", "OPENDIR",
         "READDIRPLUS",
         "RELEASEDIR", "STATFS", "SETXATTR", "GETXATTR", "LISTXATTR", "REMOVEXATTR")
ALL_KINDS = """
import ctypes, os, sys
top = sys.argv[1]
libc = ctypes.CDLL(None)
def whole():
    os.mkdir(top + '/dir')
    fd = os.open(top + '/file', os.O_CREAT | os.O_RDWR)
    os.write(fd, b'x' * 5000)
    os.fsync(fd)
    os.close(fd)
    fd = os.open(top + '/file', os.O_RDONLY | os.O_DIRECT)
    os.readv(fd, [bytearray(4096)])
    os.close(fd)
    os.chmod(top + '/file', 0o600)
    os.stat(top + '/file')
    os.symlink('file', top + '/link')
    os.readlink(top + '/link')
    os.link(top + '/file', top + '/second')
    libc.renameat2(-100, (top + '/second').encode(), -100, (top + '/third').encode(), 1)
    os.listdir(top)
    os.statvfs(top)
    os.setxattr(top + '/file', 'user.a', b'b')
    os.getxattr(top + '/file', 'user.a')
    os.listxattr(top + '/file')
    os.removexattr(top + '/file', 'user.a')
    os.unlink(top + '/file')
    os.rmdir(top + '/dir')
try:
    whole()
except OSError as e:
    print(e)
"""


def goes_away_between_any_two_requests():
    """At each kind of request, unanswered or answered: the device is lost, and nothing else."""
    def goes_away(opcode, how):
        with Session(backend_args=["--no-cache"], options="poll=irq").mount() as s:
            s.control(f"evil {how}@{opcode}")
            # An answer to who met it is an error, or what it was in time.
            python(ALL_KINDS, s.mnt, timeout=10)
            check(s.backend.wait(5) == 0, f"{how} at {opcode}: the back end did not go")
            s.is_lost()

    two_at_a_time(partial(goes_away, opcode, how) for opcode in KINDS
                  for how in ("close", "close-after"))


def goes_away_after_init():
    """Answered, and gone before anything else: lost, or not mounted at all."""
    with Session(backend_args=["--evil", "close-after@INIT"]) as s:
        s.start_backend()
        s.start_daemon()
        wait_until(lambda: "The device is lost" in s.said() or s.daemon.poll() is not None, 10,
                   "an end")
        if s.daemon.poll() is None:
            s.is_lost()
        check(s.daemon.returncode == 1, f"exit status {s.daemon.returncode}")
        check("closed its socket" in s.said(), s.said())


PIECES = (4096, 65536, 1 << 20)

# A READ of each size, past all caches: what it gave.
READ_DIRECT = """
import mmap, os, sys
path, size = sys.argv[1], int(sys.argv[2])
m = mmap.mmap(-1, size)
try:
    n = os.preadv(os.open(path, os.O_RDONLY | os.O_DIRECT), [m], 0)
except OSError as e:
    n = 0
print(n)
assert not any(m[:n]) or path.endswith('secret'), m[:100]
"""

# One READDIRPLUS (at the beginning) or READDIR (further on) of each size: the names that it gave.
READ_DIR = """
import ctypes, os, sys
size, offset = int(sys.argv[2]), int(sys.argv[3])
buffer, libc = ctypes.create_string_buffer(size), ctypes.CDLL(None)
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
os.lseek(fd, offset, 0)
n = libc.syscall(217, fd, buffer, size)
assert b'secret' not in buffer.raw, buffer.raw[:200]
print(n)
"""


def write_secret(session, before):
    """A file that reads as a directory too: entries, with @before zeros ahead of each."""
    python("import struct, sys\n"
           "entry = bytes(int(sys.argv[2])) + struct.pack('<QQII8s', 9, 9, 8, 8, b'secret00')\n"
           "open(sys.argv[1], 'wb').write((entry * (4194304 // len(entry) + 1))[:4194304])",
           session.path("secret"), str(before))


def soil(session):
    """The secret has lain wherever replies of any size go: read, and written."""
    for size in PIECES:
        for _ in range(4):
            python(READ_DIRECT, session.path("secret"), str(size))


def what_a_device_never_wrote_is_nobodys_data():
    """Full-length READ replies of which only the header is written: zeros, never another file's
    bytes."""
    with Session(backend_args=["--no-cache"]).mount() as s:
        write_secret(s, 0)
        python("import os, sys; os.truncate(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY), "
               "4194304)",
               s.path("mine"))
        for size in PIECES:
            s.control("good")
            soil(s)
            s.control("evil payload-unwritten@READ*")
            check(int(python(READ_DIRECT, s.path("mine"), str(size))) == size, "nothing was read")
        s.umount()


def nor_is_it_in_directories():
    """The same of READDIRPLUS and READDIR: no entries, never another file's bytes taken for
    some."""
    with Session(backend_args=["--no-cache"]).mount() as s:
        for before, offset, opcode in ((128, 0, "READDIRPLUS"), (0, 1, "READDIR")):
            write_secret(s, before)
            for size in PIECES:
                s.control("good")
                soil(s)
                seen = s.stats()["requests"].get(opcode, 0)
                s.control(f"evil payload-unwritten@{opcode}*")
                check(int(python(READ_DIR, s.mnt, str(size), str(offset))) <= 0,
                      "there were entries")
                check(s.stats()["requests"].get(opcode, 0) > seen, f"no {opcode} was sent")
        s.control("good")
        s.umount()


def main():
    need_root()
    cases = [(f"{kind} at {opcode}: {end}", lambda a=(kind, opcode, end, said): case(*a))
             for kind, opcode, end, said in TABLE]
    cases += [(f"{row[0]} at {row[1]}, packed rings: {row[2]}", lambda a=row: case(*a, "--packed"))
              for row in PACKED]
    cases += [(f"INIT {' '.join(args)}: {'mounts' if mounts else 'is refused'}",
               lambda a=(args, mounts, said): init_case(*a)) for args, mounts, said in INIT_TABLE]
    cases += named([goes_away_between_any_two_requests, goes_away_after_init,
                    writes_after_completion_reach_nobody_by_way_of_a_crash,
                    no_byte_that_was_not_written_reaches_a_reader,
                    what_a_device_never_wrote_is_nobodys_data, nor_is_it_in_directories])
    run_cases(cases, at_once=2)


if __name__ == "__main__":
    main()
