# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile starters: what a process has from whoever started it must neither end a mount, nor be
held by it, nor hide what goes wrong. Of the shipped binary, in the foreground and in the
background."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time

from vhostlib import (CTL, DAEMON, Session, check, is_mounted, must, named, need_root, python, run,
                      run_cases,
                      wait_until)

HEAD = "import ctypes, fcntl, os, resource, signal, sys\n"
EXEC = "\nos.execv(sys.argv[1], sys.argv[1:])\n"

WORK = """
import os, sys
for i in range(4):
    with open(f"{sys.argv[1]}/f{i}", "wb") as f:
        f.write(os.urandom(300000))
    assert len(open(f.name, "rb").read()) == 300000
    os.unlink(f.name)
"""


class Started(Session):
    """A session whose daemon is started by a few lines of Python."""

    def __init__(self, code, foreground=True, options="", more=()):
        super().__init__("device", options=options)
        self.code = HEAD + code + ("" if "os.exec" in code else EXEC)
        self.foreground = foreground
        self.more = list(more)

    def daemon_argv(self, foreground=True):
        daemon = super().daemon_argv(foreground)
        return [sys.executable, "-S", "-E", "-c", self.code, daemon[0], *self.more, *daemon[1:]]

    def start(self, cwd=None, pass_fds=()):
        """Until the mount answers."""
        self.start_backend()
        with open(os.path.join(self.work, "daemon.log"), "wb") as log:
            self.daemon = subprocess.Popen(self.daemon_argv(self.foreground),
                                           env=self.environment(), stdin=subprocess.DEVNULL,
                                           stdout=log,
                                           stderr=log, cwd=cwd, pass_fds=pass_fds,
                                           start_new_session=True)
        if not self.foreground:
            check(self.daemon.wait(20) == 0, "the start: " + self.said())
        wait_until(lambda: is_mounted(self.mnt) or self.daemon.poll(), 20, "the mount")
        check(is_mounted(self.mnt), "no mount: " + self.said())
        python(WORK, self.mnt)
        return self

    def status(self):
        return json.loads(must([CTL, "status", "--json", self.mnt]))

    def pids(self):
        status = self.status()
        return status["supervisor"], status["worker"]

    def is_over(self, seconds=10):
        """All processes have gone, and all that they had in /run."""
        wait_until(lambda: not self.records() and not is_mounted(self.mnt), seconds, "the end")
        if self.foreground:
            check(self.daemon.wait(seconds) == 0, self.said())
        check(self.backend.wait(seconds) == 0, self.backend_said())

    def leave(self):
        supervisor, worker = self.pids()
        must(["umount", self.mnt])
        self.is_over()
        # A process that has ended and is nobody's to wait for has no program any more.
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}/exe")
                                   for pid in (supervisor, worker)), 5,
                   "the processes' end")


def on(*signals):
    return "\n".join(f"signal.signal({int(s)}, signal.SIG_IGN)" for s in signals)


def limit(name, value, hard=False):
    """A soft limit is everybody's to widen; a hard one takes CAP_SYS_RESOURCE."""
    top = value if hard else f"resource.getrlimit(resource.RLIMIT_{name})[1]"
    return f"resource.setrlimit(resource.RLIMIT_{name}, ({value}, {top}))"


def may_widen():
    """CAP_SYS_RESOURCE, which containers often lack."""
    with open("/proc/self/status", encoding="ascii") as f:
        return any(int(line.split()[1], 16) >> 24 & 1 for line in f if line.startswith("CapEff:"))


ALL_SIGNALS = [s for s in range(1, 65) if s not in (9, 19, 32, 33)]
# What a starter may be like. With each of them there is a mount that works, and ends with an
# unmount.
STARTERS = {
    "ordinary": "",
    "no descriptors at all": "os.closerange(0, 100)",
    "no standard input": "os.close(0)",
    "no standard output and error": "os.close(1); os.close(2)",
    "standard descriptors that are full or broken": "r, w = os.pipe(); os.close(r); os.dup2(w, 1); "
                                                    "os.dup2(w, 2)",
    "SIGCHLD ignored": on(signal.SIGCHLD),
    "every signal ignored": on(*ALL_SIGNALS),
    "every signal blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))",
    "a timer": "signal.setitimer(signal.ITIMER_REAL, 0.3, 0.05); "
               "signal.setitimer(signal.ITIMER_PROF, 0.01, 0.01)",
    "a limit of file sizes": limit("FSIZE", 4096),
    "no files at all": limit("FSIZE", 0),
    "a limit of memory": limit("AS", 64 << 20),
    "a limit of data": limit("DATA", 16 << 20),
    "a limit of descriptors": limit("NOFILE", 8),
    "a small stack": limit("STACK", 256 << 10),
    "an endless stack": limit("STACK", -1),
    "umask 0777": "os.umask(0o777)",
    "umask 0": "os.umask(0)",
    "an empty environment": "os.execve(sys.argv[1], sys.argv[1:], {})",
    "glibc's tunables": "os.execve(sys.argv[1], sys.argv[1:], dict(os.environ, GLIBC_TUNABLES="
                        "'glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1024:"
                        "glibc.pthread.rseq=0', MALLOC_ARENA_MAX='8', MALLOC_TOP_PAD_='1', "
                        "TZ=':/nowhere', LC_ALL='C.UTF-8', LANGUAGE='de'))",
    "lowest priority": "os.nice(19); os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))",
    "memory that may be executed": "ctypes.CDLL(None).personality(0x0400000)",
}


# The same for a daemon in the background, so they are tried once.
ONCE = ("a timer", "a limit of data", "a small stack", "an endless stack", "umask 0777", "umask 0",
        "an empty environment", "lowest priority", "memory that may be executed")


def starter(code, foreground):
    with Started(code, foreground).start() as s:
        time.sleep(0.4)
        must(["ls", s.mnt])
        s.leave()


def a_limit_of_cpu_time():
    """Of a worker that never sleeps."""
    with Started(limit("CPU", 1), options="poll=busy").start() as s:
        time.sleep(2.5)
        python(WORK, s.mnt)
        s.leave()


def messages_go_nowhere_else():
    """With -d and no standard error, the record in /run had the log's lines."""
    with Started("os.closerange(0, 100)", more=["-d"]).start() as s:
        record = must(["cat", *s.records()])
        check("debug" not in record and "virtiofs-vfio:" not in record, record)
        lines = [line.partition("=")[0] for line in record.splitlines()]
        check(lines == ["former", "by", "pid", "minor", "tag", "mountpoint"], record)
        s.leave()


def nothing_is_held_that_a_starter_has_open():
    """A lock, as of flock(1), and a pipe's end."""
    for foreground in (True, False):
        with Started("", foreground) as s:
            lock = os.open(os.path.join(s.work, "lock"), os.O_RDWR | os.O_CREAT)
            fcntl.flock(lock, fcntl.LOCK_EX)
            read_end, write_end = os.pipe()
            s.start(pass_fds=(lock, write_end))
            os.close(lock)
            os.close(write_end)
            other = os.open(os.path.join(s.work, "lock"), os.O_RDWR)
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(other)
            check(os.read(read_end, 1) == b"", "the pipe")
            os.close(read_end)
            s.leave()


def a_signal_does_not_part_supervisor_and_mount():
    """None ends the supervisor but those that it unmounts for."""
    meant = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
    faults = (signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE,
              signal.SIGSEGV,
              signal.SIGSYS, signal.SIGTSTP)
    with Started("").start() as s:
        for pid in s.pids():
            for number in ALL_SIGNALS:
                if number not in meant + faults:
                    os.kill(pid, number)
        time.sleep(0.3)
        python(WORK, s.mnt)
        s.leave()


def end_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        for foreground in (True, False):
            with Started("", foreground).start() as s:
                os.kill(s.pids()[0], number)
                s.is_over()


def what_a_starter_has_switched_off_stays_off():
    """nohup(1), and the `&` of a script; SIGTERM is always there."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        for foreground in (True, False):
            with Started(on(number), foreground).start() as s:
                os.kill(s.pids()[0], number)
                time.sleep(0.5)
                check(is_mounted(s.mnt), f"signal {number} has ended it")
                python(WORK, s.mnt)
                os.kill(s.pids()[0], signal.SIGTERM)
                s.is_over()
    with Started(on(signal.SIGTERM)).start() as s:
        os.kill(s.pids()[0], signal.SIGTERM)
        s.is_over()


def a_directory_that_is_gone():
    for foreground in (True, False):
        with Started("os.rmdir(os.getcwd())", foreground) as s:
            os.mkdir(os.path.join(s.work, "gone"))
            s.start(cwd=os.path.join(s.work, "gone")).leave()


def hard_limits_are_widened_or_named():
    """Where it can't be done, as in many a container, the limit is named before it bites."""
    for name, value, said, works in (("NOFILE", 300, "open files (ulimit -n)", True),
                                     ("NOFILE", 8, "open files (ulimit -n)", False),
                                     ("FSIZE", 4096, "file size (ulimit -f)", False),
                                     ("CPU", 30, "CPU time (ulimit -t)", True)):
        with Started(limit(name, value, True)) as s:
            if works or may_widen():
                s.start().leave()
                check((said in s.said()) != may_widen(), s.said())
            else:
                check(f"{said} is limited here to {value}" in s.refuse(), name)


def systemd_hears_of_no_background_mount():
    """A service's script that mounts something isn't ready for that."""
    for foreground in (True, False):
        with Started("", foreground) as s:
            path = os.path.join(s.work, "notify")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
                systemd.bind(path)
                systemd.settimeout(0.5)
                s.code = f"import os\nos.environ['NOTIFY_SOCKET'] = {path!r}\n" + s.code
                s.start().leave()
                try:
                    said = systemd.recv(100)
                except TimeoutError:
                    said = b""
            check(foreground or not said, f"systemd was told {said}")


def neither_process_is_prey_for_the_oom_killer():
    if not may_widen():
        print("# no CAP_SYS_RESOURCE, which it takes: lifecycle (vm) looks at it")
        return
    for foreground in (True, False):
        with Started("", foreground).start() as s:
            for pid in s.pids():
                with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as f:
                    score = f.read().strip()
                check(score == "-1000", f"process {pid} has {score}")
            s.leave()


def what_is_allowed_is_not_said_to_be_missing():
    """Debugging messages name what a process may not do."""
    if not may_widen():
        print("# no CAP_SYS_RESOURCE, which it takes")
        return
    with Started("", more=["-d"]).start() as s:
        check("debug: " in s.said() and "not allowed here" not in s.said(), s.said())
        s.leave()


def glibcs_tunables_stay_with_the_starter():
    """Its malloc would take hugepages from the arena, or make system calls that end the worker."""
    code = ("os.execve(sys.argv[1], sys.argv[1:], dict(os.environ, "
            "GLIBC_TUNABLES='glibc.malloc.hugetlb=2'))")
    with Started(code).start() as s:
        for pid in s.pids():
            with open(f"/proc/{pid}/environ", "rb") as f:
                check(b"TUNABLES" not in f.read(), f"process {pid} has them")
            with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                check(f.read().strip() in ("virtiofs-vfio", "viofs-worker"), "its name")
        s.leave()


def a_service_that_fails_touches_no_mount():
    """The unit that is installed, as systemd runs it, where somebody has a mount already."""
    unit = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                        "../../tools/dist/systemd/virtiofs-vfio@.service.in")
    with open(unit, encoding="utf-8") as f:
        commands = [line.strip().partition("=") for line in f if line.startswith("Exec")]
    check([name for name, _, _ in commands] == ["ExecStartPre", "ExecStart"]
          and commands[0][2].startswith("mkdir -p "),
          f"it does more than start: {commands}")
    with Session("device").mount() as first, Session("device") as second:
        second.start_backend()
        second.mnt, own = first.mnt, second.mnt
        status, out = run(second.daemon_argv(), env=second.environment())
        second.mnt = own
        check(status == 1 and "is a mount point already" in out, f"status {status}: {out}")
        python(WORK, first.mnt)
        first.umount()


def other_programs_with_no_descriptors():
    """Theirs would be the next file that they open."""
    with Session("device").mount() as s:
        code = HEAD + "os.closerange(0, 100)" + EXEC
        for argv in ([CTL, "status", s.mnt], [CTL, "status", s.work],
                     [DAEMON, "vhost-user:" + s.socket, s.mnt]):
            run([sys.executable, "-S", "-E", "-c", code, *argv], env=s.environment())
        record = must(["cat", *s.records()])
        check(record.startswith("former="), record)
        s.umount()


def main():
    need_root()
    cases = [(f"{name}, {'-f' if foreground else 'in the background'}", lambda c=code,
              f=foreground: starter(c, f))
             for name, code in STARTERS.items() for foreground in (True, False) if foreground
             or name not in ONCE]
    run_cases(cases + named([
        a_limit_of_cpu_time, messages_go_nowhere_else, nothing_is_held_that_a_starter_has_open,
        a_signal_does_not_part_supervisor_and_mount,
        end_signals, what_a_starter_has_switched_off_stays_off, a_directory_that_is_gone,
        hard_limits_are_widened_or_named, systemd_hears_of_no_background_mount,
        neither_process_is_prey_for_the_oom_killer, what_is_allowed_is_not_said_to_be_missing,
        glibcs_tunables_stay_with_the_starter, a_service_that_fails_touches_no_mount,
        other_programs_with_no_descriptors,
    ]), at_once=4)


if __name__ == "__main__":
    main()
