# SPDX-License-Identifier: GPL-2.0-or-later
"""A back end, the daemon in front of it, and a mount: started, looked at, and gone afterwards.

Nothing here touches the mount from this process: it is always a child that can be killed.
"""

import concurrent.futures
import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

# Who started the tests may have switched these off, as a shell does for what it puts into the
# background; each daemon would take that for meant.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

DAEMON = os.environ["VIOFS_DAEMON"]
CTL = os.environ["VIOFS_CTL"]
DEVICE = os.environ["VIOFS_DEVICE"]
C_VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
RUST_VIRTIOFSD = os.path.join(os.environ["VIOFS_DOWNLOAD"], "trixie/virtiofsd/run")
# The next Debian's: 1.14.
FORKY_VIRTIOFSD = os.path.join(os.environ["VIOFS_DOWNLOAD"], "forky/virtiofsd/run")
LEAKS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lsan.supp")

# System calls of amd64, for without_call().
EPOLL_WAIT, IO_URING_SETUP, IO_URING_ENTER = 232, 425, 426


class Failure(Exception):
    """What was expected did not happen."""


def check(condition, text):
    """Fails with @text."""
    if not condition:
        raise Failure(text)


def wait_until(condition, seconds, text):
    """Polls @condition; its first true value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"{text}: not within {seconds} s")
        time.sleep(0.01)


def is_listening(path):
    """Does somebody take connections there? A look that needs no connection: back ends take one
    only."""
    with open("/proc/net/unix", errors="surrogateescape") as table:
        return any(line.split()[3] == "00010000" and line.rstrip().endswith(" " + path)
                   for line in table)


def is_mounted(path):
    """By the kernel's list, which asks nobody."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape",
              newline="\n") as f:
        return any(line.split(" ")[4] == path.replace("\\", "\\134").replace("\n", "\\012")
                   for line in f)


def run(argv, timeout=10, **more):
    """A child with an end: (exit status, output and errors); status None: it had to be killed."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more) as p:
        try:
            out, _ = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            try:
                out, _ = p.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                raise Failure(f"{argv}: can't even be killed") from None
            return None, out.decode(errors="replace")
        return p.returncode, out.decode(errors="replace")


def must(argv, timeout=30, **more):
    """A child that has to work: its output."""
    status, out = run(argv, timeout, **more)
    check(status == 0, f"{' '.join(map(str, argv))}: status {status}: {out[-800:]}")
    return out


def python(code, *args, timeout=60):
    """A few lines of Python that may touch the mount. It has to work."""
    return must([sys.executable, "-c", code, *args], timeout)


def two_at_a_time(calls):
    """All of them have to work."""
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(call) for call in calls]:
            done.result()


def without_call(number):
    """For a child: EPERM for one system call, and nothing else, as of a container's filter."""
    # ld nr; jeq number; allow; EPERM
    code = b"".join(struct.pack("HBBI", *i) for i in ((0x20, 0, 0, 0), (0x15, 1, 0, number),
                                                      (0x06, 0, 0, 0x7fff0000),
                                                      (0x06, 0, 0, 0x00050001)))
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HL", 4, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program):
        raise OSError(ctypes.get_errno(), "seccomp")


def memory():
    """Where a directory is in memory, so that no disk decides how long a test takes; None: it takes
    no xattrs of users there (before Linux 6.6)."""
    try:
        with tempfile.NamedTemporaryFile(dir="/dev/shm") as f:
            os.setxattr(f.name, "user.test", b"")
    except OSError:
        return None
    return "/dev/shm"


MEMORY = memory()


class Session:
    """One back end, one daemon, one mount. Use as a context; what is left over is a failure."""

    def __init__(self, backend="device", backend_args=(), options="", share=None, on_disk=False):
        self.work = tempfile.mkdtemp(prefix="viofs-vhost.", dir=None if on_disk else MEMORY)
        self.socket = os.path.join(self.work, "sock")
        self.control_path = os.path.join(self.work, "control")
        self.mnt = os.path.join(self.work, "mnt")
        self.share = share or os.path.join(self.work, "share")
        self.backend_kind = backend
        self.backend_args = list(backend_args)
        self.options = options
        self.backend = self.daemon = None
        for path in (self.mnt, self.share):
            os.makedirs(path, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            self.clean(kind is None)
        finally:
            if self.daemon and self.daemon.poll() is None:
                self.daemon.kill()
            if self.backend and self.backend.poll() is None:
                self.backend.kill()
            for child in (self.daemon, self.backend):
                if child:
                    child.wait(10)
            while is_mounted(self.mnt):
                run(["umount", "-l", self.mnt])
            self.forget_records()
            shutil.rmtree(self.work, ignore_errors=True)
        return False

    def records(self):
        """Paths of what the daemon has in /run; its socket is at the same with ".sock"."""
        mine = []
        for record in glob.glob("/run/virtiofs-vfio/vhost-user-*"):
            try:
                with open(record, encoding="utf-8", errors="surrogateescape") as f:
                    if f"mountpoint={self.mnt}\n" in f.read():
                        mine.append(record)
            except OSError:
                continue
        return mine

    def forget_records(self):
        """What a daemon that had to be killed has left, at once, whoever holds it still."""
        for record in self.records():
            os.unlink(record)
            os.unlink(record + ".sock")

    def clean(self, good):
        """After a test: nothing may be left, and no sanitizer may have spoken."""
        reports = "".join(open(f, encoding="utf-8", errors="replace").read()
                          for f in glob.glob(os.path.join(self.work, "san.*")))
        if reports:
            sys.stderr.write(reports)
            raise Failure("a sanitizer reports: " + reports.strip().split("\n")[0][:300])
        if not good:
            sys.stderr.write(f"--- daemon:\n{self.said()}--- back end:\n{self.backend_said()}")
            return
        check("DRIVER FAULT" not in self.backend_said(), self.backend_said())
        if self.daemon:
            check(self.daemon.poll() is not None, "the daemon is still there")
            check(not is_mounted(self.mnt), "the mount is still there")

    def backend_argv(self):
        if self.backend_kind == "device":
            return [DEVICE, "--socket", self.socket, "--control", self.control_path]
        if self.backend_kind == "c":
            return [C_VIRTIOFSD, f"--socket-path={self.socket}", "-o", f"source={self.share}",
                    "-o", "sandbox=chroot", "-o", "xattr", "-o", "modcaps=+sys_admin"]
        return [FORKY_VIRTIOFSD if self.backend_kind == "forky" else RUST_VIRTIOFSD,
                f"--socket-path={self.socket}", f"--shared-dir={self.share}",
                "--sandbox=chroot", "--xattr", "--modcaps=+sys_admin"]

    def start_backend(self, stays=True):
        """One that doesn't stay is soon refused by a front end that waits for it."""
        with open(os.path.join(self.work, "backend.log"), "wb") as log:
            self.backend = subprocess.Popen(self.backend_argv() + self.backend_args,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: is_listening(self.socket) or self.backend.poll() is not None, 10,
                   "the back end's socket")
        check(not stays or self.backend.poll() is None, "the back end: " + self.backend_said())

    def daemon_argv(self, foreground=True):
        argv = [DAEMON] + (["-f"] if foreground else [])
        options = ",".join(filter(None, (self.options, os.environ.get("VIOFS_OPTIONS"))))
        if options:
            argv += ["-o", options]
        return argv + ["vhost-user:" + self.socket, self.mnt]

    def environment(self):
        """Sanitizers write to files: the daemon's standard error is for its messages."""
        log = f"log_path={self.work}/san"
        return dict(os.environ, ASAN_OPTIONS=f"{log}:exitcode=99:detect_leaks=1:handle_sigbus=0",
                    UBSAN_OPTIONS=f"{log}:halt_on_error=1:print_stacktrace=1",
                    TSAN_OPTIONS=f"{log}:exitcode=99",
                    LSAN_OPTIONS=f"{log}:suppressions={LEAKS}:print_suppressions=0")

    def start_daemon(self):
        with open(os.path.join(self.work, "daemon.log"), "wb") as log:
            self.daemon = subprocess.Popen(self.daemon_argv(), env=self.environment(),
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def mount(self):
        """Back end and daemon, and it answers."""
        self.start_backend()
        self.start_daemon()
        wait_until(lambda: " is mounted at " in self.said() or self.daemon.poll() is not None, 20,
                   "the mount")
        check(self.daemon.poll() is None, "no mount: " + self.said())
        return self

    def refuse(self, seconds=12):
        """Back end and daemon, and there is to be no mount: what the daemon says."""
        self.start_backend()
        status, out = run(self.daemon_argv(), seconds, env=self.environment())
        check(status == 1, f"exit status {status} where 1 is due: {out}")
        check(not is_mounted(self.mnt), "a mount was left")
        return out

    def umount(self, seconds=10):
        """umount(8), and the daemon ends well."""
        must(["umount", self.mnt], seconds)
        self.ends(0, seconds)

    def ends(self, status, seconds=10):
        """The daemon ends by itself, with @status."""
        try:
            got = self.daemon.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"the daemon has not ended within {seconds} s: {self.said()}") from None
        check(got == status, f"the daemon ended with {got} where {status} is due: {self.said()}")
        check(not is_mounted(self.mnt), "the mount is still there")

    def is_lost(self, said="has closed its socket"):
        """The back end is gone: errors, but the mount stays until an unmount, which is quick."""
        wait_until(lambda: "The device is lost" in self.said(), 2, "the loss is said")
        check(said in self.said(), self.said())
        start = time.monotonic()
        status, out = run(["ls", self.mnt], 5)
        check(status and "Input/output error" in out,
              f"ls of a lost device: status {status}: {out}")
        check(is_mounted(self.mnt), "the mount went by itself, and uncovered what is below")
        must(["umount", self.mnt], 5)
        check(time.monotonic() - start < 1, f"ls and umount took {time.monotonic() - start:.2f} s")
        self.ends(1, 2)

    def log(self, name):
        try:
            with open(os.path.join(self.work, name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def said(self):
        return self.log("daemon.log")

    def backend_said(self):
        return self.log("backend.log")

    def control(self, line):
        """An order for the device, and its answer."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(self.control_path)
            s.sendall(line.encode() + b"\n")
            answer = s.recv(8192).decode().strip()
        check(answer != "error", f"the device knows no {line}")
        return answer

    def stats(self):
        return json.loads(self.control("stats"))

    def path(self, *names):
        return os.path.join(self.mnt, *names)

    def signal_backend(self, number):
        """To all processes of the back end. Return: when (time.monotonic())."""
        pid = self.backend.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            pids = [int(word) for word in f.read().split()] + [pid]
        start = time.monotonic()
        for pid in pids:
            os.kill(pid, number)
        return start

    def stop_worker(self):
        """The daemon's: it does nothing any more, not even what its own time-out is for. Return:
        its pid."""
        pid = self.daemon.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            worker = int(f.read().split()[0])
        os.kill(worker, signal.SIGSTOP)
        return worker

    def kill_backend(self):
        self.backend.send_signal(signal.SIGKILL)
        self.backend.wait(10)


def skip_all(reason):
    """There is nothing to run here."""
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def need_root():
    """What every test here takes."""
    if os.geteuid():
        skip_all("not root: mounting needs it")
    if not os.path.exists("/dev/fuse"):
        skip_all("no /dev/fuse: modprobe fuse")
    status, out = run([DAEMON, "--version"])
    if status:
        skip_all("the daemon does not run: " + out.strip())


def run_case(case):
    """The end of a line of TAP."""
    name, function = case
    start = time.monotonic()
    result = "ok"
    try:
        function()
    except Exception:  # pylint: disable=broad-except
        result = "not ok"
        traceback.print_exc()
    return result, f"{name} # {time.monotonic() - start:.1f} s"


def run_cases(cases, at_once=1, alone=()):
    """TAP: each a name and a function. The exit status says nothing: the lines do. Those that mind
    company come first, @alone (a list there is of such that don't mind each other), and of the
    others there are several @at_once."""
    # sessions end well then, too
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    groups = [group if isinstance(group, list) else [group] for group in alone]
    print(f"1..{sum(map(len, groups)) + len(cases)}", flush=True)
    if at_once == 1:
        groups, cases = groups + [[case] for case in cases], []
    with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
        def ends():
            for group in groups:
                yield from map(run_case, group) if len(group) == 1 else threads.map(run_case, group)
            yield from threads.map(run_case, cases)
        try:
            for number, (result, rest) in enumerate(ends(), 1):
                print(f"{result} {number} - {rest}", flush=True)
        finally:
            threads.shutdown(cancel_futures=True)


# fio's processes wait for each other, and for ever where one meets an error at the wrong time.
JOB = """
import os, random, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
end = time.monotonic() + 30
while time.monotonic() < end:
    at = random.randrange(128) << 16
    os.pwrite(fd, bytes(65536), at)
    os.pread(fd, 65536, at)
"""


def start_jobs(s, count):
    """Processes that read and write on the mount of a session until they meet an error, or for 30
    s."""
    return [subprocess.Popen([sys.executable, "-c", JOB, os.path.join(s.mnt, f"load{i}")],
                             stderr=subprocess.DEVNULL,
                             cwd=s.work) for i in range(count)]


def all_meet_an_error(jobs):
    check(all([job.wait(10) for job in jobs]), "one met no error")


def named(functions):
    """Cases from functions, named by what their names say."""
    return [(f.__name__.replace("_", " "), f) for f in functions]
