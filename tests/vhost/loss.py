# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtiofsd that is killed or stopped under load: errors in bounded time, a clean end, nothing
left."""

import concurrent.futures
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

from vhostlib import (C_VIRTIOFSD, CTL, Session, check, is_mounted, must, named, need_root, run,
                      run_cases, skip_all, wait_until)

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
EIO = 5


def child(code, path):
    return subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)


def timed(argv, seconds):
    """A child that has to work within @seconds: how long it took."""
    start = time.monotonic()
    must(argv, seconds)
    return time.monotonic() - start


class Load:
    """Four users of a mount. As a context: none of them outlives it."""

    def __init__(self, session):
        self.users = [child(USER, session.path(f"f{i}")) for i in range(4)]

    def __enter__(self):
        time.sleep(1)
        check(all(u.poll() is None for u in self.users), "a user failed before anything happened")
        return self

    def __exit__(self, kind, value, trace):
        for u in self.users:
            u.kill()
            u.communicate(timeout=10)
        return False

    def fails(self, since, seconds):
        """Every user has an error within @seconds after @since: (errnos, when the last one
        came)."""
        errnos, last = set(), 0.0
        for u in self.users:
            out, _ = u.communicate(timeout=max(0.1, since + seconds + 10 - time.monotonic()))
            errno, when = out.split()
            errnos.add(int(errno))
            last = max(last, float(when) - since)
        print(f"# the last error after {last:.3f} s")
        check(last < seconds, f"the last error came after {last:.2f} s, {seconds} s are allowed")
        return errnos, last


def killed_under_load():
    """kill -9: EIO at once and from then on, an unmount within a second, status 1; then a new
    one."""
    with Session("c") as s:
        s.mount()
        with Load(s) as load:
            start = s.signal_backend(signal.SIGKILL)
            errnos, _ = load.fails(start, 2)
        check(errnos == {EIO}, f"errors {errnos}, only EIO is due")
        _, out = run([CTL, "status", "--json", s.mnt], 5)
        status = json.loads(out)
        check(status["session"] == "lost" and "socket" in status["reason"], out)
        s.is_lost()
        check(s.said().count("The device is lost") == 1, "it must be said once: " + s.said())
        os.unlink(s.socket)
        s.mount()
        s.umount(15)


def killed_while_idle():
    """It is noticed with nothing in flight; a signal ends a mount at once, busy or not."""
    with Session("c", options="poll=irq") as s:
        s.mount()
        holder = child(HOLDER, s.mnt)
        check(holder.stdout.readline() == b"in\n", "the mount can't be entered")
        time.sleep(0.5)
        s.signal_backend(signal.SIGKILL)
        wait_until(lambda: "is lost" in s.said(), 1, "the loss is noticed")
        s.daemon.terminate()
        s.ends(1, 1)
        holder.kill()
        holder.communicate(timeout=10)


def silent_with_a_timeout():
    """A back end that is stopped: errors after timeout=, and the daemon ends by itself."""
    with Session("c", options="timeout=2") as s:
        s.mount()
        with Load(s) as load:
            _, last = load.fails(s.signal_backend(signal.SIGSTOP), 4)
        check(last > 1.8, f"errors after {last:.2f} s, before the time-out")
        s.ends(1, 8)
        check("the limit is 2" in s.said(), s.said())


def silent_and_aborted():
    """viofsctl abort: errors at once, and it returns when all is as before."""
    with Session("c") as s:
        s.mount()
        with Load(s) as load:
            s.signal_backend(signal.SIGSTOP)
            time.sleep(0.5)
            start = time.monotonic()
            took = timed([CTL, "abort", s.mnt], 5)
            load.fails(start, 1)
        print(f"# abort took {took:.2f} s")
        s.ends(0, 0)


def serving_and_aborted():
    """viofsctl abort of a mount that works."""
    with Session("c") as s:
        s.mount()
        with Load(s) as load:
            start = time.monotonic()
            timed([CTL, "abort", s.mnt], 3)
            load.fails(start, 1)
        s.ends(0, 0)
        status, out = run([CTL, "abort", s.mnt], 10)
        check(status == 1 and "No virtiofs-vfio serves" in out,
              f"abort of nothing: {status}, {out}")


def silent_and_terminated_twice():
    """The second signal ends it, whoever waits for what."""
    with Session("c") as s:
        s.mount()
        with Load(s) as load:
            s.signal_backend(signal.SIGSTOP)
            time.sleep(0.5)
            s.daemon.terminate()
            time.sleep(0.5)
            check(s.daemon.poll() is None, "one signal is to write dirty pages first")
            start = time.monotonic()
            s.daemon.terminate()
            load.fails(start, 1)
        s.ends(0, 12)


def silent_and_terminated_once():
    """Nor does one signal wait for ever: 30 s without an answer are enough."""
    with Session("c") as s:
        s.mount()
        with Load(s) as load:
            start = s.signal_backend(signal.SIGSTOP)
            time.sleep(0.5)
            s.daemon.terminate()
            load.fails(start, 40)
        s.ends(1, 12)
        check("answered nothing" in s.said(), s.said())


def stop_worker(session):
    """With requests in flight, so that its supervisor can see them grow old."""
    session.signal_backend(signal.SIGSTOP)
    time.sleep(0.3)
    pid = session.daemon.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        for word in f.read().split():
            os.kill(int(word), signal.SIGSTOP)
    return time.monotonic()


def a_stuck_worker_with_a_timeout():
    """A worker that can't look after its own time-out is killed by its supervisor."""
    with Session("c", options="timeout=1,restarts=0") as s:
        s.mount()
        with Load(s) as load:
            load.fails(stop_worker(s), 9)
        s.ends(1, 5)
        check("it is killed" in s.said(), s.said())


def a_stuck_worker_is_aborted():
    """viofsctl abort needs nothing of the worker."""
    with Session("c") as s:
        s.mount()
        with Load(s) as load:
            start = stop_worker(s)
            timed([CTL, "abort", s.mnt], 6)
            load.fails(start, 1)
        s.ends(0, 0)


def stopped_before_the_mount():
    """A back end that answers nothing from the beginning: refused in bounded time, and said."""
    with Session("c") as s:
        s.start_backend()
        s.signal_backend(signal.SIGSTOP)
        status, out = run(s.daemon_argv(), 10, env=s.environment())
        check(status == 1 and "did not answer" in out, f"status {status}: {out}")
        check(not is_mounted(s.mnt), "a mount was left")


def is_gone(record):
    left = [path for path in (record, record + ".sock") if os.path.exists(path)]
    check(not left, f"left: {left}")


def supervisor_killed(look):
    """The worker serves on, and its record stays; when it has ended, whoever looks removes that."""
    with Session("c") as s:
        s.mount()
        record, = s.records()
        worker = json.loads(must([CTL, "status", "--json", s.mnt]))["worker"]
        s.daemon.kill()
        s.daemon.wait(5)
        must(["ls", s.mnt], 5)
        run([CTL, "status"], 5)
        check(os.path.exists(record), "the record went while a worker holds it")
        must(["umount", s.mnt], 10)
        s.backend.wait(10)
        # It has closed the device, and ends.
        wait_until(lambda: not os.path.exists(f"/proc/{worker}/exe"), 5, "the worker's end")
        check(os.path.exists(record), "nobody has looked yet")
        look(s)
        is_gone(record)


def the_next_daemon(s):
    """Another start, of anything: it need not come to a mount."""
    with Session("c") as other:
        other.mount()
        other.umount()


def killed_with_its_worker():
    with Session("c") as s:
        s.mount()
        record, = s.records()
        _, out = run([CTL, "status", "--json", s.mnt], 5)
        s.daemon.kill()
        os.kill(json.loads(out)["worker"], signal.SIGKILL)
        s.daemon.wait(5)
        wait_until(lambda: run(["ls", s.mnt], 5)[0], 5, "the mount is dead")
        must(["umount", s.mnt], 5)
        must([CTL, "list"], 5)
        is_gone(record)


def a_daemon_that_hangs_holds_up_nobody_elses():
    with Session("c") as s, Session("c") as other:
        s.mount()
        other.mount()
        other.daemon.send_signal(signal.SIGSTOP)
        try:
            took = timed([CTL, "status", "--json", s.mnt], 5)
            everybody = subprocess.run([CTL, "status", "--json"], capture_output=True, timeout=10,
                                       check=False)
            took += timed([CTL, "abort", s.mnt], 5)
            check(took < 3, f"status and abort took {took:.1f} s")
            check(everybody.returncode == 1 and b"timed out" in everybody.stderr, str(everybody))
            mounts = [one["mountpoint"] for one in json.loads(everybody.stdout)]
            check(s.mnt in mounts and other.mnt not in mounts, str(mounts))
        finally:
            other.daemon.send_signal(signal.SIGCONT)
        s.ends(0, 0)
        other.umount()


def a_mount_point_with_a_line_break_is_found():
    with Session("c") as s:
        s.mnt = os.path.join(s.work, "m\nt")
        os.mkdir(s.mnt)
        s.mount()
        check(is_mounted(s.mnt), "it is not in mountinfo")
        status = json.loads(must([CTL, "status", "--json", s.mnt]))
        check(status["mountpoint"] == s.mnt, str(status))
        s.umount()


def one_that_ends_while_it_is_asked():
    """It is as good as gone: what is left of it is a question that nobody has heard."""
    with Session("c") as s, socket.socket(socket.AF_UNIX) as listener:
        s.mount()
        record = s.records()[0] + "-ends"
        with open(record, "w", encoding="utf-8") as held:
            held.write("mountpoint=/nowhere\n")
            held.flush()
            fcntl.flock(held, fcntl.LOCK_EX)
            listener.bind(record + ".sock")
            try:
                listener.listen()
                listener.settimeout(5)
                asked = subprocess.Popen([CTL, "status", "--json"], stdout=subprocess.PIPE)
                # The first one only looks whether somebody listens.
                heard = False
                while not heard:
                    question, _ = listener.accept()
                    select.select([question], [], [], 5)
                    heard = question.recv(1, socket.MSG_PEEK) != b""
                    question.close()
                out, _ = asked.communicate(timeout=5)
            finally:
                os.unlink(record + ".sock")
                os.unlink(record)
        check(asked.returncode == 0, f"viofsctl status ended with {asked.returncode}")
        check(s.mnt in [one["mountpoint"] for one in json.loads(out)], out.decode())
        s.umount()


def main():
    need_root()
    if not os.access(C_VIRTIOFSD, os.X_OK):
        skip_all(f"no {C_VIRTIOFSD}: it is in Debian 12's qemu-system-common")
    with concurrent.futures.ThreadPoolExecutor() as beside:
        # It waits for half a minute: that goes on beside the others.
        patient = beside.submit(silent_and_terminated_once)
        run_cases([("supervisor killed: viofsctl status cleans up",
                    lambda: supervisor_killed(lambda s: run([CTL, "status"], 5))),
                   ("supervisor killed: viofsctl list cleans up",
                    lambda: supervisor_killed(lambda s: run([CTL, "list"], 5))),
                   ("supervisor killed: the next daemon cleans up",
                    lambda: supervisor_killed(the_next_daemon))] + named([
            killed_with_its_worker, killed_under_load, killed_while_idle, silent_with_a_timeout,
            silent_and_aborted,
            serving_and_aborted, silent_and_terminated_twice, a_stuck_worker_with_a_timeout,
            a_stuck_worker_is_aborted,
            stopped_before_the_mount, a_daemon_that_hangs_holds_up_nobody_elses,
            one_that_ends_while_it_is_asked, a_mount_point_with_a_line_break_is_found])
                  + [("silent and terminated once", patient.result)])


if __name__ == "__main__":
    main()
