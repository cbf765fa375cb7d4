# SPDX-License-Identifier: GPL-2.0-or-later
"""What people do with a file system, on one mount: functional.py device|directory|c|rust."""

import glob
import os
import resource
import sys
from functools import partial

from vhostlib import (C_VIRTIOFSD, DEVICE, FORKY_VIRTIOFSD, RUST_VIRTIOFSD, Session, check, must,
                      named, need_root, python, run_cases, skip_all, two_at_a_time)

BACKEND = sys.argv[1]
# The large tree is for one of them: the suite has minutes.
TREE_FILES = 20000 if BACKEND == "rust" or os.environ.get("VIOFS_TEST_FULL") else 2000
FOLDERS = 20
# A descriptor each in virtiofsd, while the kernel knows them.
ENTRIES = 10000
SESSION = Session("device" if BACKEND == "directory" else BACKEND,
                  ["--strict", "--queues", "2"] if BACKEND in ("device", "directory") else [],
                  # Once without spinning, which is also what a machine of few CPUs is faster with.
                  "poll=irq" if BACKEND == "c" else "",
                  # Once where most people's files are.
                  on_disk=BACKEND == "forky")
if BACKEND == "directory":
    SESSION.backend_args += ["--serve", SESSION.share]
# Not in the tree in memory.
REAL = BACKEND != "device"
SHORT = "VIOFS_TEST_SHORT" in os.environ


def path(*names):
    return SESSION.path(*names)


def make_tree():
    """On local disk, once: many small files of all sizes up to 20,000 bytes, in many folders."""
    top = os.path.join(SESSION.work, "tree")
    python("""
import os, random, sys
top, count = sys.argv[1], int(sys.argv[2])
random.seed(1)
for i in range(count):
    folder = f'{top}/{i % int(sys.argv[3])}/{i % 11}'
    os.makedirs(folder, exist_ok=True)
    with open(f'{folder}/file{i}', 'wb') as f:
        f.write(random.randbytes(int(random.expovariate(1 / 1500)) % 20000))
    os.chmod(f'{folder}/file{i}', 0o640 if i % 3 else 0o755)
    if not i % 100:
        os.symlink(f'file{i}', f'{folder}/link{i}')
""", top, str(TREE_FILES), str(FOLDERS), timeout=200)
    return top


def batches():
    """Folders that go together. virtiofsd keeps a descriptor for each file that the kernel knows:
    with few of them allowed the tree comes in two halves."""
    few = REAL and resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2 * TREE_FILES
    return [range(0, FOLDERS // 2), range(FOLDERS // 2, FOLDERS)] if few else [range(FOLDERS)]


def listing(top):
    """Names, modes, sizes, times and targets of all that is no directory."""
    return must(["sh", "-c", r"cd $0 && find . ! -type d -printf '%p %m %s %T@ %l\n' | sort", top],
                60)


def a_large_tree_both_ways():
    top, back = make_tree(), os.path.join(SESSION.work, "back")
    os.mkdir(back)
    must(["mkdir", path("tree")])
    for batch in batches():
        halves = batch[::2], batch[1::2]
        for commands in ([["cp", "-a", *(f"{top}/{i}" for i in half), path("tree")]
                          for half in halves],
                         [["cp", "-a", *(path("tree", str(i)) for i in half), back]
                          for half in halves],
                         [["rm", "-r", *(path("tree", str(i)) for i in half)] for half in halves]):
            two_at_a_time(partial(must, command, 200) for command in commands)
    must(["rmdir", path("tree")])
    must(["diff", "-r", "--no-dereference", top, back], 200)
    theirs, ours = listing(top), listing(back)
    check(theirs.count("\n") >= TREE_FILES, "the tree is too small")
    check(ours == theirs, "modes, sizes, times or targets differ")
    must(["rm", "-r", back, top], 200)


def tar_and_rsync_round_trips():
    source = os.path.join(SESSION.work, "sample")
    must(["cp", "-a", "/usr/include/linux", source], 30)
    os.mkfifo(os.path.join(source, "fifo"))
    must(["sh", "-c", 'tar -C "$0" -cf - sample | tar -C "$1" -xpf - && tar -C "$0" -cf - sample |'
          ' tar -C "$1" -df -', SESSION.work, path()], 60)
    if os.path.exists("/usr/bin/rsync"):
        must(["rsync", "-aH", source + "/", path("rsync/")], 60)
        changes = must(["rsync", "-aHc", "--itemize-changes", source + "/", path("rsync/")], 60)
        check(not changes, changes[:300])
        must(["rm", "-r", path("rsync")], 60)
    must(["rm", "-r", path("sample")], 60)


def git_clone_commit_fsck():
    repo, clone = path("repo"), path("clone")
    must(["sh", "-ec", """
mkdir "$0" && cd "$0" && git init -q . && cp -r /usr/include/linux/netfilter . && git add . &&
git -c user.name=t -c user.email=t@t commit -q -m one &&
git clone -q "$0" "$1" && cd "$1" && echo more >more && git add more &&
git -c user.name=t -c user.email=t@t commit -q -m two && git gc -q && git fsck --full --strict
test -z "$(git status --short)"
""", repo, clone], 60)
    must(["rm", "-rf", repo, clone], 60)


def sqlite_with_wal():
    python("""
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
assert c.execute('pragma journal_mode=wal').fetchone()[0] == 'wal'
c.execute('create table t (a integer primary key, b text)')
for i in range(200):
    with c:
        c.executemany('insert into t (b) values (?)', [('x' * (i % 500),) for _ in range(20)])
assert c.execute('pragma integrity_check').fetchone()[0] == 'ok'
c.close()
c = sqlite3.connect(sys.argv[1])
assert c.execute('select count(*) from t').fetchone()[0] == 4000
""", path("db"), timeout=60)


def fio_verifies(*args):
    must(["fio", f"--directory={path()}", "--size=24m", "--verify=crc32c", "--verify_state_save=0",
          "--name=v", "--minimal",
          "--unlink=1", *args], 60, cwd=SESSION.work)


def fio_buffered_direct_mmap_and_async():
    fio_verifies("--rw=randrw", "--bs=4k-128k", "--ioengine=psync", "--numjobs=2")
    fio_verifies("--rw=randrw", "--bs=4k", "--ioengine=mmap")
    fio_verifies("--rw=randwrite", "--bs=1m", "--ioengine=io_uring", "--iodepth=8")
    # The C virtiofsd takes O_DIRECT only where it is told to.
    fio_verifies("--rw=randrw", "--bs=64k", "--direct=1", "--ioengine=libaio", "--iodepth=8")


def a_directory_with_very_many_entries():
    python("""
import os, sys
top, count = sys.argv[1], int(sys.argv[2])
os.mkdir(top)
for i in range(count):
    os.close(os.open(f'{top}/entry{i}', os.O_CREAT | os.O_WRONLY))
names = os.listdir(top)
assert len(names) == len(set(names)) == count, (len(names), count)
assert sum(e.is_file() for e in os.scandir(top)) == count
# Removing while it is read: nothing is met twice, and nothing is left.
for e in os.scandir(top):
    os.unlink(e.path)
assert not os.listdir(top)
os.rmdir(top)
""", path("huge"), str(ENTRIES), timeout=90)


def names_of_255_bytes_and_of_no_encoding():
    python("""
import os, sys
top = sys.argv[1].encode()
for name in (b'n' * 255, b'\\xff\\xfe\\x01', 'ä漢字'.encode(), b' ', b'-', b'a\\nb'):
    with open(top + b'/' + name, 'wb') as f:
        f.write(name)
    assert name in os.listdir(top)
    os.rename(top + b'/' + name, top + b'/' + name[:-1] + b'z')
    assert open(top + b'/' + name[:-1] + b'z', 'rb').read() == name
    os.unlink(top + b'/' + name[:-1] + b'z')
try:
    open(top + b'/' + b'n' * 256, 'wb')
    assert False, 'a name of 256 bytes'
except OSError as e:
    assert e.errno == 36, e
""", path())


def links_special_files_and_modes():
    python("""
import os, stat, sys
os.chdir(sys.argv[1])
open('f', 'w').write('1')
os.link('f', 'hard')
assert os.stat('f').st_nlink == 2 and os.stat('hard').st_ino == os.stat('f').st_ino
os.symlink('t' * 4000, 'sym')
assert os.readlink('sym') == 't' * 4000
os.mkfifo('fifo')
os.mknod('null', 0o600 | stat.S_IFCHR, os.makedev(1, 3))
assert os.stat('null').st_rdev == os.makedev(1, 3)
os.chown('f', 12, 34)
os.chmod('f', 0o6711)
s = os.stat('hard')
assert (s.st_uid, s.st_gid, s.st_mode & 0o7777) == (12, 34, 0o6711), s
os.utime('f', ns=(10**18 + 1, 10**18 + 2))
assert (os.stat('f').st_atime_ns, os.stat('f').st_mtime_ns) == (10**18 + 1, 10**18 + 2)
os.mkdir('d')
os.mkdir('d/e')
try:
    os.rmdir('d')
    assert False
except OSError as e:
    assert e.errno == 39
os.rename('d/e', 'e')
os.rmdir('d')
os.rmdir('e')
for name in ('f', 'hard', 'sym', 'fifo', 'null'):
    os.unlink(name)
""", path())


def unlinked_files_live_while_open():
    python("""
import os, sys
f = open(sys.argv[1], 'w+b', buffering=0)
f.write(b'before')
os.unlink(sys.argv[1])
f.write(b' after')
assert os.pread(f.fileno(), 100, 0) == b'before after'
assert os.fstat(f.fileno()).st_nlink == 0
os.ftruncate(f.fileno(), 3)
assert os.pread(f.fileno(), 100, 0) == b'bef'
""", path("unlinked"))


def truncate_and_sparse_and_fallocate():
    python("""
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b'abc', 5 << 20)
assert os.fstat(fd).st_size == (5 << 20) + 3
assert os.pread(fd, 4096, 1 << 20) == bytes(4096)
os.ftruncate(fd, 2)
os.ftruncate(fd, 100)
assert os.pread(fd, 200, 0) == bytes(100)
os.posix_fallocate(fd, 0, 1 << 20)
assert os.fstat(fd).st_size == 1 << 20
os.unlink(sys.argv[1])
""", path("sparse"))


def attributes_up_to_64_kib():
    python("""
import os, sys
p = sys.argv[1]
open(p, 'w').close()
biggest = int(sys.argv[2])
for size in (0, 1, 300, biggest):
    os.setxattr(p, 'user.a', b'v' * size)
    assert os.getxattr(p, 'user.a') == b'v' * size
assert 'user.a' in os.listxattr(p)
try:
    os.setxattr(p, 'user.a', b'', os.XATTR_CREATE)
    assert False
except FileExistsError:
    pass
os.removexattr(p, 'user.a')
assert 'user.a' not in os.listxattr(p)
""", path("attributes"), "3000" if REAL else "65536")


def appenders_lose_nothing():
    python("""
import os, sys
p = sys.argv[1]
children = []
for i in range(8):
    pid = os.fork()
    if not pid:
        fd = os.open(p, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for n in range(200):
            os.write(fd, b'%d %03d........\\n' % (i, n))
        os._exit(0)
    children.append(pid)
assert all(os.waitpid(c, 0)[1] == 0 for c in children)
lines = open(p, 'rb').read().splitlines()
assert len(lines) == 1600 and len(set(lines)) == 1600, (len(lines), len(set(lines)))
os.unlink(p)
""", path("appended"))


def maps_and_writes_are_one():
    python("""
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 1 << 20)
m = mmap.mmap(fd, 1 << 20)
for i in range(0, 1 << 20, 4096):
    m[i:i + 4] = i.to_bytes(4, 'little')
m.flush()
for i in range(0, 1 << 20, 4096):
    assert os.pread(fd, 4, i) == i.to_bytes(4, 'little')
os.pwrite(fd, b'written', 8192)
assert m[8192:8199] == b'written'
m.close()
os.unlink(sys.argv[1])
""", path("mapped"))


def locks_between_processes():
    python("""
import fcntl, os, sys
f = open(sys.argv[1], 'w')
for lock in (fcntl.flock, fcntl.lockf):
    lock(f, fcntl.LOCK_EX)
    pid = os.fork()
    if not pid:
        g = open(sys.argv[1], 'w')
        try:
            lock(g, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os._exit(1)
        except OSError:
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    lock(f, fcntl.LOCK_UN)
os.unlink(sys.argv[1])
""", path("locked"))


def renames_with_flags():
    python("""
import ctypes, os, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def rename(a, b, flags):
    return ctypes.get_errno() if libc.renameat2(-100, a, -100, b, flags) else 0
open('a', 'w').write('a')
open('b', 'w').write('b')
assert rename(b'a', b'b', 1) == 17
assert rename(b'a', b'c', 1) == 0
if int(sys.argv[2]):
    assert rename(b'b', b'c', 2) == 0
    assert open('b').read() == 'a' and open('c').read() == 'b'
os.unlink('b')
os.unlink('c')
""", path(), str(int(REAL)))


def holes_and_copies_in_the_back_end():
    if not REAL:
        return
    python("""
import os, sys
os.chdir(sys.argv[1])
a, b = (os.open(n, os.O_RDWR | os.O_CREAT) for n in ('a', 'b'))
os.pwrite(a, b'x' * 4096, 1 << 20)
os.fsync(a)
assert os.lseek(a, 0, os.SEEK_DATA) <= 1 << 20
assert os.lseek(a, 1 << 20, os.SEEK_HOLE) == (1 << 20) + 4096
assert os.copy_file_range(a, b, 4096, 1 << 20, 0) == 4096
assert os.pread(b, 8192, 0) == b'x' * 4096
os.unlink('a')
os.unlink('b')
""", path())


def nothing_is_left_and_the_share_agrees():
    left = must(["ls", "-A", path()])
    python("import os, sys\nfor n in os.listdir(sys.argv[1]): os.unlink(sys.argv[1] + '/' + n)",
           path())
    check(set(left.split()) <= {"db", "db-shm", "db-wal", "attributes"}, left)
    if REAL:
        check(not os.listdir(SESSION.share), "the share is not empty")


def it_ends_well():
    SESSION.umount()
    SESSION.backend.wait(10)
    # A device in memory knows what the kernel still has: counts that don't fit end it with 3.
    check(SESSION.backend.returncode == 0 or REAL, SESSION.backend_said())
    check(not glob.glob("/run/virtiofs-vfio/*" + os.path.basename(SESSION.work)),
          "a record is left")


# What takes seconds, and is left out where the tests are run many times.
LONG = {a_large_tree_both_ways, tar_and_rsync_round_trips, fio_buffered_direct_mmap_and_async,
        a_directory_with_very_many_entries}


def main():
    need_root()
    program = {"device": DEVICE, "directory": DEVICE, "c": C_VIRTIOFSD, "rust": RUST_VIRTIOFSD,
               "forky": FORKY_VIRTIOFSD}[BACKEND]
    if not os.path.exists(program):
        skip_all(f"no {program}" + (": tools/vm fetches it" if BACKEND in ("rust", "forky") else
                                    " (qemu-system-common of Debian 12)"))
    with SESSION:
        SESSION.mount()
        run_cases([case for case in named([
            a_large_tree_both_ways, tar_and_rsync_round_trips, git_clone_commit_fsck,
            sqlite_with_wal, fio_buffered_direct_mmap_and_async, a_directory_with_very_many_entries,
            names_of_255_bytes_and_of_no_encoding, links_special_files_and_modes,
            unlinked_files_live_while_open, truncate_and_sparse_and_fallocate,
            attributes_up_to_64_kib, appenders_lose_nothing, maps_and_writes_are_one,
            locks_between_processes, renames_with_flags, holes_and_copies_in_the_back_end,
            nothing_is_left_and_the_share_agrees, it_ends_well,
        ]) if not (SHORT and case[1] in LONG)])


if __name__ == "__main__":
    main()
