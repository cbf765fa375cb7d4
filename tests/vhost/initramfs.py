# SPDX-License-Identifier: GPL-2.0-or-later
"""A mount that was made in an initramfs outlives it, and answers while it is stopped."""

import ctypes
import os
import shutil
import signal
import sys
import tempfile
from functools import partial

from vhostlib import (Failure, Session, check, must, named, need_root, run_cases,
                      wait_until)

CLONE_NEWNS = 0x20000


def enter_initramfs():
    """From here on /etc/initrd-release is there, for this process and its children only.
    Return: what to remove."""
    copy = tempfile.mkdtemp(prefix="viofs-etc.")
    shutil.copytree("/etc", copy + "/etc", symlinks=True)
    with open(copy + "/etc/initrd-release", "w", encoding="ascii"):
        pass
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise Failure("unshare: " + os.strerror(ctypes.get_errno()))
    must(["mount", "--make-rprivate", "/"])
    must(["mount", "--bind", copy + "/etc", "/etc"])
    return copy


def processes(s):
    """Supervisor and worker."""
    pid = s.daemon.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [pid] + [int(word) for word in f.read().split()]


def is_stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return f.read().rpartition(")")[2].split()[0] == "T"


def systemd_spares_it():
    """Supervisor and worker are root's, and their command lines begin with @."""
    with Session() as s:
        s.mount()
        check(len(processes(s)) == 2, f"processes: {processes(s)}")
        for pid in processes(s):
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                check(f.read(1) == b"@", f"{pid} would be killed")
            check(os.stat(f"/proc/{pid}").st_uid == 0, f"{pid} isn't root's")
        s.umount()


def stop_and_use(s):
    """As systemd does it: kill(-1, SIGSTOP), then it looks at the root."""
    pids = processes(s)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: all(map(is_stopped, pids)), 10, "both are stopped")
    must(["mkdir", s.path("d")], 20)
    must(["rmdir", s.path("d")], 20)
    check(is_stopped(pids[0]), "the supervisor has answered?")
    os.kill(pids[0], signal.SIGCONT)


def a_stopped_one_answers(options):
    """Each time, however it waits."""
    with Session(options=options) as s:
        s.mount()
        for _ in range(10):
            stop_and_use(s)
        s.umount()


def a_stopped_successor_answers():
    """The signal is for who serves now, not for the dead one."""
    with Session() as s:
        s.mount()
        supervisor, worker = processes(s)
        os.kill(worker, signal.SIGKILL)
        must(["mkdir", s.path("first")], 20)
        wait_until(lambda: len(processes(s)) == 2, 10, "a successor")
        check(processes(s)[0] == supervisor and processes(s)[1] != worker, "a successor")
        stop_and_use(s)
        s.umount()


def no_requests_over_io_uring():
    """They couldn't continue anybody."""
    with Session(options="channel=uring") as s:
        out = s.refuse()
        check("FUSE over io_uring is not for a mount that is made in an initramfs" in out, out)


need_root()
ETC = enter_initramfs()
try:
    run_cases([(f"a stopped one answers: {options or 'default options'}",
                partial(a_stopped_one_answers, options))
               for options in ("", "poll=irq", "poll=irq,events=epoll", "lanes=2")] +
              named([systemd_spares_it, a_stopped_successor_answers, no_requests_over_io_uring]))
finally:
    shutil.rmtree(ETC)
sys.exit(0)
