#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtiofsd that is killed or stopped under load: errors in bounded time, a clean end, nothing left.

This process never touches the mount itself: children do, which can be killed.
"""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

DAEMON = os.environ["VIOFS_DAEMON"]
CTL = os.environ["VIOFS_CTL"]
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"

# Writes, syncs and reads until something fails; then the errno and when it was (CLOCK_MONOTONIC).
USER = """
import os, sys, time
path = sys.argv[1]
try:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        for i in range(64):
            os.pwrite(fd, b"x" * 65536, i * 65536)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.pread(fd, 1 << 20, 0)
        os.close(fd)
        os.stat(path)
except OSError as e:
    print(e.errno, time.monotonic(), flush=True)
"""
# Keeps the mount busy.
HOLDER = "import os, sys, time; os.chdir(sys.argv[1]); print('in', flush=True); time.sleep(600)"


def check(condition, text):
    """Fails with @text."""
    if not condition:
        raise AssertionError(text)


def wait_until(condition, seconds, text):
    """Polls @condition; how long it took."""
    start = time.monotonic()
    while not condition():
        check(time.monotonic() - start < seconds, f"{text}: not within {seconds} s")
        time.sleep(0.01)
    return time.monotonic() - start


def is_mounted(path):
    """By the kernel's list, which asks nobody."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as f:
        return any(line.split(" ")[4] == path for line in f)


def children(pid):
    """Pids of the children of @pid."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(word) for word in f.read().split()]


def state_of(pid):
    """The letter that ps shows, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rsplit(") ", 1)[1][0]
    except OSError:
        return None


def run(argv, seconds):
    """A child with an end: status, or None where it had to be killed; output; how long it took."""
    start = time.monotonic()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        try:
            out, _ = p.communicate(timeout=seconds)
            status = p.returncode
        except subprocess.TimeoutExpired:
            p.kill()
            out, _ = p.communicate(timeout=10)
            status = None
    return status, out.decode(errors="replace"), time.monotonic() - start


class Session:
    """virtiofsd, the daemon, its users; as a context, which cleans up and looks for what is left."""

    def __init__(self, options=""):
        self.work = tempfile.mkdtemp(prefix="viofs-loss.")
        self.socket, self.mnt = self.work + "/sock", self.work + "/mnt"
        self.options = options
        self.users, self.all = [], []
        self.backend = self.daemon = None
        for name in ("share", "mnt"):
            os.mkdir(f"{self.work}/{name}")

    def __enter__(self):
        self.start_backend()
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            sys.stderr.write(self.said())
        for p in self.all:
            if p.poll() is None:
                self.signal(p, signal.SIGKILL)
            p.wait(10)
        left = is_mounted(self.mnt)
        while is_mounted(self.mnt):
            subprocess.run(["umount", "-l", self.mnt], check=False)
        records = [r for r in glob.glob("/run/virtiofs-vfio/*") if not r.endswith(".sock")
                   and self.mnt + "\n" in open(r, encoding="utf-8").read()]
        for record in records:
            os.unlink(record)
        shutil.rmtree(self.work, ignore_errors=True)
        if not kind:
            check(not left, "the mount was left")
            check(not records, f"a record was left: {records}")
        return False

    def spawn(self, argv, **more):
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **more)
        self.all.append(p)
        return p

    def said(self):
        with open(self.work + "/log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def start_backend(self):
        with open(self.work + "/backend", "wb") as log:
            self.backend = self.spawn([VIRTIOFSD, f"--socket-path={self.socket}", "-o",
                                       f"source={self.work}/share", "-o", "sandbox=chroot"],
                                      stdout=log, stderr=log)
        wait_until(lambda: os.path.exists(self.socket), 10, "virtiofsd's socket")

    def argv(self):
        return [DAEMON, "-f", *(["-o", self.options] if self.options else []),
                "vhost-user:" + self.socket, self.mnt]

    def mount(self):
        with open(self.work + "/log", "wb") as log:
            self.daemon = self.spawn(self.argv(), stdout=log, stderr=log)
        wait_until(lambda: " is mounted at " in self.said(), 20, "the mount")
        return self

    def load(self, count=4):
        for i in range(count):
            self.users.append(self.spawn([sys.executable, "-c", USER, f"{self.mnt}/f{i}"],
                                         stdout=subprocess.PIPE))
        time.sleep(1)
        check(all(u.poll() is None for u in self.users), "a user failed before anything happened")
        return self

    def hold(self):
        p = self.spawn([sys.executable, "-c", HOLDER, self.mnt], stdout=subprocess.PIPE)
        check(p.stdout.readline() == b"in\n", "the mount can't be entered")

    def signal(self, p, number):
        """@p and, of virtiofsd, the child that works."""
        for pid in children(p.pid) if p is self.backend else []:
            os.kill(pid, number)
        os.kill(p.pid, number)

    def backend_gets(self, number):
        """Return: when."""
        start = time.monotonic()
        self.signal(self.backend, number)
        return start

    def users_fail(self, start, seconds):
        """Every user has an error within @seconds after @start. Return: (errnos, the last's time)."""
        errnos, last = set(), 0.0
        for u in self.users:
            out, _ = u.communicate(timeout=max(0.1, start + seconds + 10 - time.monotonic()))
            errno, when = out.split()
            errnos.add(int(errno))
            last = max(last, float(when) - start)
        check(last < seconds, f"the last error came after {last:.2f} s, {seconds} s are allowed")
        return errnos, last

    def ends(self, status, seconds):
        """The daemon ends by itself, both processes. Return: how long it took."""
        start = time.monotonic()
        try:
            rc = self.daemon.wait(seconds)
        except subprocess.TimeoutExpired:
            states = {pid: state_of(pid) for pid in [self.daemon.pid, *children(self.daemon.pid)]}
            raise AssertionError(f"the daemon has not ended within {seconds} s: {states}") from None
        check(rc == status, f"exit status {rc} where {status} is due: {self.said()}")
        return time.monotonic() - start


def killed_under_load():
    """kill -9 of virtiofsd: EIO at once and later, umount within a second, status 1, and a new one."""
    with Session() as s:
        s.mount().load()
        errnos, last = s.users_fail(s.backend_gets(signal.SIGKILL), 2)
        check(errnos == {5}, f"errors {errnos}, only EIO is due")
        status, out, took = run(["ls", s.mnt], 5)
        check(status not in (0, None) and took < 1, f"ls afterwards: {status}, {took:.2f} s, {out}")
        status, out, _ = run([CTL, "status", "--json", s.mnt], 5)
        check(status == 0 and json.loads(out)["session"] == "lost", f"status: {out}")
        check("socket" in json.loads(out)["reason"], f"reason: {out}")
        check(is_mounted(s.mnt), "the mount went by itself, and uncovered what is below")
        status, out, took = run(["umount", s.mnt], 5)
        check(status == 0 and took < 1, f"umount: {status}, {took:.2f} s, {out}")
        s.ends(1, 2)
        check(s.said().count("has closed its socket") == 1, "it must be said once: " + s.said())
        s.start_backend()
        s.mount()
        status, out, _ = run(["umount", s.mnt], 5)
        check(status == 0, f"umount of the second mount: {out}")
        s.ends(0, 12)
        return f"errors within {last * 1000:.0f} ms, umount {took * 1000:.0f} ms"


def killed_while_idle():
    """It is noticed with nothing in flight; SIGTERM ends a busy mount at once."""
    with Session("poll=irq") as s:
        s.mount()
        s.hold()
        time.sleep(0.5)
        s.backend_gets(signal.SIGKILL)
        noticed = wait_until(lambda: "is lost" in s.said(), 1, "the loss is noticed")
        s.daemon.terminate()
        took = s.ends(1, 2)
        check(took < 1, f"SIGTERM took {took:.2f} s")
        return f"noticed after {noticed * 1000:.0f} ms, SIGTERM took {took * 1000:.0f} ms"


def silent_with_timeout():
    """A back end that is stopped: errors after timeout=, then it ends by itself."""
    with Session("timeout=2") as s:
        s.mount().load()
        start = s.backend_gets(signal.SIGSTOP)
        _, last = s.users_fail(start, 4)
        check(last > 1.8, f"errors after {last:.2f} s, before the time-out")
        s.ends(1, 8)
        check("timeout=2" in s.said(), s.said())
        check(not is_mounted(s.mnt), "a failed session's mount was left")
        return f"errors after {last:.2f} s, ended after {time.monotonic() - start:.2f} s"


def silent_and_aborted():
    """viofsctl abort: errors at once, and it returns when all is as before."""
    with Session() as s:
        s.mount().load()
        s.backend_gets(signal.SIGSTOP)
        time.sleep(0.5)
        start = time.monotonic()
        status, out, took = run([CTL, "abort", s.mnt], 10)
        check(status == 0 and took < 5, f"viofsctl abort: {status}, {took:.2f} s, {out}")
        _, last = s.users_fail(start, 1)
        check(s.daemon.poll() == 0, f"exit status {s.daemon.poll()} after viofsctl abort")
        check(not is_mounted(s.mnt), "an aborted mount was left")
        return f"errors after {last * 1000:.0f} ms, ended after {took:.2f} s"


def serving_and_aborted():
    """viofsctl abort of a mount that works is quick, and the back end is told."""
    with Session() as s:
        s.mount().load()
        start = time.monotonic()
        status, out, took = run([CTL, "abort", s.mnt], 10)
        check(status == 0 and took < 3, f"viofsctl abort: {status}, {took:.2f} s, {out}")
        s.users_fail(start, 1)
        check(s.daemon.poll() == 0, f"exit status {s.daemon.poll()} after viofsctl abort")
        status, out, _ = run([CTL, "abort", s.mnt], 10)
        check(status == 1 and "No virtiofs-vfio serves" in out, f"abort of nothing: {status}, {out}")
        return f"ended after {took:.2f} s"


def silent_and_terminated_twice():
    """The second signal ends it, whoever waits for what."""
    with Session() as s:
        s.mount().load()
        s.backend_gets(signal.SIGSTOP)
        time.sleep(0.5)
        s.daemon.terminate()
        time.sleep(0.5)
        check(s.daemon.poll() is None, "one signal is to write dirty pages first")
        start = time.monotonic()
        s.daemon.terminate()
        s.users_fail(start, 1)
        took = s.ends(0, 12)
        return f"ended {took:.2f} s after the second signal"


def stopped_before_the_mount():
    """A back end that answers nothing from the beginning: refused in bounded time, and said."""
    with Session() as s:
        s.backend_gets(signal.SIGSTOP)
        status, out, took = run(s.argv(), 20)
        check(status == 1 and took < 10, f"status {status} after {took:.2f} s: {out}")
        check("did not answer" in out, out)
        return f"refused after {took:.2f} s"


TESTS = [killed_under_load, killed_while_idle, silent_with_timeout, silent_and_aborted,
         serving_and_aborted, silent_and_terminated_twice, stopped_before_the_mount]


def main():
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse") or not os.access(VIRTIOFSD, os.X_OK):
        print(f"SKIP: needs root, /dev/fuse and {VIRTIOFSD}")
        return 77
    for test in TESTS:
        if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]:
            print(f"{test.__name__}: {test()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
