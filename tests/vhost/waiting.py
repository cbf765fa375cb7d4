# SPDX-License-Identifier: GPL-2.0-or-later
"""What waits, for a lock or for a device, and signals to who waits: nobody else is stopped, no back
end ends."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

from channel import run_on_both
from vhostlib import (C_VIRTIOFSD, CTL, FORKY_VIRTIOFSD, RUST_VIRTIOFSD, Session, check, must,
                      need_root, python, run,
                      wait_until)

# More than the slots that locks may have, and those that are kept beside them (relay/lane.c).
LOCKS = 64 + 4096 + 40

# One thread and one open file for each lock (an OFD lock is a file's): errors are counted, until a
# line comes.
LOCKERS = """
import ctypes, fcntl, os, struct, sys, threading
path, count = sys.argv[1], int(sys.argv[2])
F_OFD_SETLKW = 38
lock = struct.pack('hhqqi', fcntl.F_WRLCK, 0, 0, 0, 0)
threading.stack_size(65536)
first = os.open(path, os.O_RDWR | os.O_CREAT)
fcntl.fcntl(first, F_OFD_SETLKW, lock)
refused = 0
def wait(fd):
    global refused
    try:
        fcntl.fcntl(fd, F_OFD_SETLKW, lock)
    except OSError:
        refused += 1
    os.close(fd)
for i in range(count):
    threading.Thread(target=wait, args=(os.open(path, os.O_RDWR),), daemon=True).start()
print('waiting', flush=True)
sys.stdin.readline()
print(refused, flush=True)
sys.stdin.readline()
os._exit(0)
"""

UNLOCK = """
import fcntl, os, sys
f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
fcntl.lockf(f, fcntl.LOCK_UN)  # by the call that may wait
os.unlink(sys.argv[1])
"""

# A program that is signalled every 0.3 ms, whatever it does: files, names, locks that wait and that
# don't.
SIGNALLED = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGALRM, lambda number, frame: None)
name, n, end = sys.argv[1] + str(os.getpid()), 0, time.monotonic() + float(sys.argv[2])
def attempt(function, *args):
    try:
        return function(*args)
    except OSError:
        return None
while time.monotonic() < end:
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    fd = attempt(os.open, name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    attempt(os.stat, name + 'not')
    if fd is None:
        continue
    attempt(os.pwrite, fd, bytes(100000), 0)
    attempt(os.fsync, fd)
    attempt(os.pread, fd, 100000, 0)
    for how in fcntl.LOCK_EX, fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN:
        attempt(fcntl.flock, fd, how)
        attempt(fcntl.lockf, fd, how)
    os.close(fd)
    attempt(os.unlink, name)
    n += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(n)
"""

# A full file system: what is deleted makes room for what is written next. Prints how often it
# didn't.
FULL = """
import errno, mmap, os, sys
path, size, full = sys.argv[1], int(sys.argv[2]), 0
for i in range(int(sys.argv[3])):
    fd = os.open(f'{path}/{i}', os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
    try:
        os.pwrite(fd, mmap.mmap(-1, size), 0)
    except OSError as e:
        full += e.errno == errno.ENOSPC
    os.close(fd)
    os.unlink(f'{path}/{i}')
print(full)
"""


def status(s):
    """What the daemon says of itself."""
    return json.loads(must([CTL, "status", "--json", s.mnt]))


def locks_that_wait():
    """As many as a user likes: unlocks, other locks, INTERRUPTs and the rest go on, with nothing
    spun for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, LOCKS + 100), max(hard, LOCKS + 100)))
    with Session(backend_args=["--posix-locks", "--no-cache"],
                 options="poll=irq,timeout=30").mount() as s:
        child = subprocess.Popen([sys.executable, "-c", LOCKERS, s.path("lock"), str(LOCKS)],
                                 bufsize=0,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            check(child.stdout.readline() == b"waiting\n", "no locks")
            wait_until(lambda: status(s)["parked"]["now"] >= 4096, 30, "all locks are parked")
            must(["stat", s.mnt], 5)
            python(UNLOCK, s.path("other"), timeout=5)
            time.sleep(0.2)
            before = status(s)["counts"]["sleeps"]
            time.sleep(1)
            sleeps = status(s)["counts"]["sleeps"] - before
            check(sleeps < 100, f"{sleeps} sleeps in a second")
            child.stdin.write(b"\n")
            refused = int(child.stdout.readline())
            check(refused == LOCKS - 4096 - 64, f"{refused} were refused")
        finally:
            child.kill()
        child.wait(10)  # and none of its threads stays
        wait_until(lambda: s.stats()["locks_waiting"] == 0, 10, "INTERRUPTs")
        s.umount()


def forgets_that_are_never_taken():
    """A device that completes none: the mount works on, and ends by its time-out where it has
    one."""
    make = "import sys\nfor i in range(4300): open(f'{sys.argv[1]}/{i}', 'w').close()"
    delete = "import os, sys\nfor i in range(4300): os.unlink(f'{sys.argv[1]}/{i}')"
    for options in "", ",timeout=2":
        with Session(options="poll=irq" + options).mount() as s:
            python(make, s.mnt)
            s.control("evil used-never@FORGET*")
            s.control("evil used-never@BATCH_FORGET*")
            status_of, said = run([sys.executable, "-c", delete, s.mnt], 30)
            if options:
                s.ends(1, 10)
                check("taken no FORGET" in s.said(), s.said())
                continue
            check(status_of == 0, f"deleting: {status_of}: {said}")
            must(["ls", s.mnt], 5)
            before = status(s)["counts"]["sleeps"]
            time.sleep(1)
            sleeps = status(s)["counts"]["sleeps"] - before
            check(sleeps < 100, f"{sleeps} sleeps in a second")
            s.umount(20)


def signals_under_load(kind, args):
    """Each back end survives what its programs are sent, locks and all."""
    with Session(kind, args).mount() as s:
        children = [subprocess.Popen([sys.executable, "-c", SIGNALLED, s.path("f"), "3"],
                                     stdout=subprocess.PIPE)
                    for _ in range(3)]
        for child in children:
            out, _ = child.communicate(timeout=30)
            check(child.returncode == 0 and int(out) > 3,
                  f"a program ended with {child.returncode}, {out} rounds")
        check(s.backend.poll() is None, "the back end has ended: " + s.backend_said())
        check("lost" not in s.said(), s.said())
        must(["ls", s.mnt], 5)
        s.umount()


def deleted_files_make_room(kind, options=""):
    """On a full share what is written after a delete finds the room: a third to a half did not
    while FORGETs came late.

    Which of two queues a device looks at first is its own affair; this one has a thread for
    both."""
    with Session(kind, options=options) as s:
        must(["mount", "-t", "tmpfs", "-o", "size=4m", "none", s.share])
        try:
            s.mount()
            full = int(python(FULL, s.mnt, str(3 << 20), "100"))
            check(full <= 5, f"no space in {full} of 100")
            s.umount()
        finally:
            run(["umount", "-l", s.share])


def a_stopped_worker_is_succeeded():
    """Requests that it doesn't read count: its supervisor kills it, after the time-out and 3 s, and
    they are answered."""
    with Session(options="poll=irq,timeout=1", backend_args=["--no-cache"]).mount() as s:
        s.stop_worker()
        _, out = run(["stat", s.path("x")], 60)
        check("No such file" in out, f"stat: {out}")
        check("has done nothing about a request" in s.said(), s.said())
        check(status(s)["restarts"] == 1, f"restarts: {status(s)['restarts']}")
        s.umount()


def a_stopped_worker_with_no_restarts():
    """The session ends instead."""
    options = "poll=irq,timeout=1,restarts=0"
    with Session(options=options, backend_args=["--no-cache"]).mount() as s:
        s.stop_worker()
        time.sleep(5)
        check(s.daemon.poll() is None, "it was ended with nobody waiting: " + s.said())
        start = time.monotonic()
        status_of, out = run(["stat", s.path("x")], 15)
        took = time.monotonic() - start
        check(status_of and 0.5 < took < 9,
              f"stat ended with {status_of} after {took:.1f} s: {out}")
        s.ends(1, 5)
        check("has done nothing about a request" in s.said(), s.said())


def the_age_of_what_a_stopped_worker_does_not_read():
    """Status has it, and it goes with the request; nobody is killed without a time-out."""
    with Session(backend_args=["--no-cache"], options="poll=irq").mount() as s:
        check(status(s)["oldest_request_s"] == 0, "something is old on an idle mount")
        worker = s.stop_worker()
        with subprocess.Popen(["stat", s.path("x")], stderr=subprocess.DEVNULL) as asker:
            time.sleep(3)
            age = status(s)["oldest_request_s"]
            check(0.5 < age < 8, f"the oldest request is said to be {age} s old after 3 s")
            os.kill(worker, signal.SIGCONT)
            asker.wait(5)
        wait_until(lambda: status(s)["oldest_request_s"] == 0, 2, "the request is answered")
        s.umount()


def main():
    need_root()
    cases = [("locks that wait", locks_that_wait),
             ("forgets that are never taken", forgets_that_are_never_taken),
             ("a stopped worker is succeeded", a_stopped_worker_is_succeeded),
             ("a stopped worker with no restarts", a_stopped_worker_with_no_restarts),
             ("the age of what a stopped worker does not read",
              the_age_of_what_a_stopped_worker_does_not_read)]

    # With a time that it must keep.
    alone = []
    # Not C with --thread-pool-size=64: some loads end that one by its own seccomp filter, signals
    # or not.
    for name, kind, program, args in (
            ("own device", "device", "/", ["--posix-locks"]),
            ("c", "c", C_VIRTIOFSD, []),
            ("c, flock", "c", C_VIRTIOFSD, ["-o", "flock"]),
            ("c, posix_lock", "c", C_VIRTIOFSD, ["-o", "posix_lock"]),
            ("rust", "rust", RUST_VIRTIOFSD, []),
            ("rust 1.14", "forky", FORKY_VIRTIOFSD, [])):
        skip = "" if os.path.exists(program) else f" # SKIP no {program}"
        cases.append((f"signals under load: {name}{skip}",
                      (lambda: None) if skip else (lambda a=(kind, args): signals_under_load(*a))))
        if kind in ("rust", "forky"):
            for prefix, options in (("", ""), ("uring, adaptive: ", "channel=uring,poll=adaptive"),
                                    ("uring, busy: ", "channel=uring,poll=busy")):
                alone.append((f"{prefix}deleted files make room: {name}{skip}",
                              (lambda: None) if skip
                              else (lambda k=kind, o=options: deleted_files_make_room(k, o))))
    run_on_both(cases, at_once=3, alone=alone)


if __name__ == "__main__":
    main()
