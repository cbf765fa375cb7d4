# SPDX-License-Identifier: GPL-2.0-or-later
"""A device that dies, stalls or storms: errors in bounded time, no hang, nothing left; hiprio's
job."""

import os
import select
import signal
import subprocess
import sys
import time

from vhostlib import (C_VIRTIOFSD, FORKY_VIRTIOFSD, RUST_VIRTIOFSD, Session, all_meet_an_error,
                      check, must, named,
                      need_root, python, run, run_cases, start_jobs, wait_until)

HIPRIO, REQUESTS = 0, 1
# Slots of the daemon, and as many callers more as the issue asks for.
SLOTS, MORE = 128, 64
BLOCKED = "import os, sys\ntry:\n os.stat(sys.argv[1])\nexcept OSError:\n pass\n"


def killed_under_load(kind, args=()):
    """Who reads and writes gets errors within 2 s of the back end's death, and whoever comes
    later."""
    with Session(kind, args).mount() as s:
        jobs = start_jobs(s, 3)
        time.sleep(2)
        check(all(job.poll() is None for job in jobs), "one has ended early")
        s.kill_backend()
        start = time.monotonic()
        all_meet_an_error(jobs)
        check(time.monotonic() - start < 2, f"they went on for {time.monotonic() - start:.1f} s")
        s.is_lost()


def killed_while_idle():
    """It is noticed with nobody asking."""
    with Session(options="poll=irq").mount() as s:
        s.kill_backend()
        s.is_lost()


def killed_before_init_is_answered():
    with Session(backend_args=["--evil", "silent@INIT"]) as s:
        s.start_backend()
        s.start_daemon()
        time.sleep(0.5)
        start = time.monotonic()
        s.kill_backend()
        s.ends(1, 5)
        check(time.monotonic() - start < 2, "INIT was waited for all the same")
        check("closed its socket" in s.said(), s.said())


def silence_and_a_signal():
    """A device that says nothing any more: two signals end it, and who waits gets an error."""
    with Session(backend_args=["--no-cache"], options="grace=1").mount() as s:
        s.control("silent")
        with subprocess.Popen([sys.executable, "-c", BLOCKED, s.path("x")]) as caller:
            time.sleep(0.3)
            check(caller.poll() is None, "the device answers")
            s.daemon.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            s.daemon.send_signal(signal.SIGTERM)
            caller.wait(5)
        s.daemon.wait(20)
        check(s.daemon.returncode is not None, "the daemon hangs")


def interrupts_that_never_come():
    """Completions without a signal are found all the same, if late."""
    with Session(backend_args=["--no-cache"], options="poll=irq").mount() as s:
        s.control("interrupts off")
        s.control("latency 50000")
        start = time.monotonic()
        run(["stat", s.path("x")], 10)
        check(time.monotonic() - start < 5, "too late")
        s.control("latency 0")
        s.control("interrupts on")
        s.umount(20)


def a_storm_of_interrupts():
    with Session(options="poll=irq").mount() as s:
        s.control("storm on")
        python("import sys; open(sys.argv[1], 'w').write('x' * 1000000)", s.path("f"))
        check(len(must(["cat", s.path("f")])) == 1000000, "not what was written")
        s.umount()


def held_queues_and_many_callers():
    """Every slot taken and more callers waiting: FORGET and INTERRUPT get through."""
    args = ["--no-cache", "--queues", "2", "--posix-locks"]
    with Session("device", args, options="queues=2").mount() as s:
        python("import sys\nfor i in range(300): open(f'{sys.argv[1]}/{i}', 'w')", s.mnt)
        must(["ls", "-l", s.mnt])
        first = locker(s)
        says(first, b"locked\n")
        second = locker(s)
        wait_until(lambda: s.stats()["locks_waiting"] == 1, 5, "the second waits")
        s.control("hold")
        callers = [subprocess.Popen([sys.executable, "-S", "-E", "-c", BLOCKED, s.path(f"new{i}")])
                   for i in range(SLOTS + MORE)]
        try:
            wait_until(lambda: sum(q["waiting"] for q in s.stats()["queues"][REQUESTS:]) >= SLOTS
                       - 1, 30,
                       "all slots taken")
            before = s.stats()
            must(["sh", "-c", "echo 2 >/proc/sys/vm/drop_caches"], 20)
            wait_until(lambda: s.stats()["forgotten"] > before["forgotten"] + 200, 10, "FORGETs")
            second.kill()
            wait_until(lambda: s.stats()["requests"].get("INTERRUPT", 0) > 0, 10, "an INTERRUPT")
            check(s.stats()["queues"][REQUESTS]["popped"] == before["queues"][REQUESTS]["popped"],
                  "the request queue was not held")
        finally:
            s.control("release")
            for caller in callers:
                caller.wait(20)
        second.communicate(timeout=5)
        first.communicate(timeout=5)
        s.umount()


LOCKER = """
import fcntl, sys
f = open(sys.argv[1], 'w')
print('open', flush=True)
fcntl.lockf(f, fcntl.LOCK_EX)
print('locked', flush=True)
sys.stdin.read()
"""


def locker(session):
    """A child that locks, says so, and unlocks when its input ends."""
    child = subprocess.Popen([sys.executable, "-c", LOCKER, session.path("lock")], bufsize=0,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    says(child, b"open\n")
    return child


def says(child, line):
    """The child's next line, in bounded time."""
    ready, _, _ = select.select([child.stdout], [], [], 5)
    got = child.stdout.readline() if ready else b"nothing"
    if got != line:
        child.kill()
        check(False, f"{line} was due, not {got}")


def who_waits_for_a_lock_can_be_killed():
    with Session(backend_args=["--posix-locks"]).mount() as s:
        first = locker(s)
        says(first, b"locked\n")
        second, third = locker(s), locker(s)
        wait_until(lambda: s.stats()["locks_waiting"] == 2, 5, "both wait")
        second.kill()
        second.wait(3)
        wait_until(lambda: s.stats()["locks_waiting"] == 1, 3, "the killed one waits no more")
        first.communicate(timeout=5)
        says(third, b"locked\n")
        third.communicate(timeout=5)
        s.umount()


def a_device_that_knows_no_interrupt():
    """The killed one waits until the lock is free, as with the kernel's driver; nothing worse."""
    with Session(backend_args=["--posix-locks", "--interrupt-enosys"]).mount() as s:
        first = locker(s)
        says(first, b"locked\n")
        second = locker(s)
        wait_until(lambda: s.stats()["locks_waiting"] == 1, 5, "the second waits")
        second.kill()
        time.sleep(0.3)
        must(["ls", s.mnt])
        first.communicate(timeout=5)
        second.wait(5)
        s.umount()


def a_signal_and_the_first_answer_at_once():
    """The supervisor finds both: the mount is aborted, and nobody is told that it is there."""
    with Session("device", ["--latency", "300000"]) as s:
        s.start_backend()
        s.start_daemon()
        children = f"/proc/{s.daemon.pid}/task/{s.daemon.pid}/children"

        def worker():
            with open(children, encoding="ascii") as f:
                return f.read().split()
        wait_until(worker, 20, "a worker")
        os.kill(s.daemon.pid, signal.SIGSTOP)
        os.kill(s.daemon.pid, signal.SIGTERM)
        # A report that comes later finds no mount: that is told in the same way.
        time.sleep(1)
        os.kill(s.daemon.pid, signal.SIGCONT)
        s.ends(1, 60)
        check("before the mount answered" in s.said(), s.said())
        check("is mounted at" not in s.said(), s.said())


def main():
    need_root()
    cases = []
    for kind, program, args in (("device", "/", ["--queues", "2"]), ("c", C_VIRTIOFSD, []),
                                ("rust", RUST_VIRTIOFSD, []), ("forky", FORKY_VIRTIOFSD, [])):
        name = f"killed under load: {kind}"
        if os.path.exists(program):
            cases.append((name, lambda a=(kind, args): killed_under_load(*a)))
        else:
            cases.append((name + f" # SKIP no {program}", lambda: None))
    run_cases(cases + named([
        killed_while_idle, killed_before_init_is_answered, silence_and_a_signal,
        a_signal_and_the_first_answer_at_once,
        interrupts_that_never_come, a_storm_of_interrupts, held_queues_and_many_callers,
        who_waits_for_a_lock_can_be_killed, a_device_that_knows_no_interrupt,
    ]))


if __name__ == "__main__":
    main()
