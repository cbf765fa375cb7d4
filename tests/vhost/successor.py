# SPDX-License-Identifier: GPL-2.0-or-later
"""A worker that dies, and another that goes on: programs see nothing of it; all is done once."""

import contextlib
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time

from channel import ASYNC_DIO, DIO_INTO_MAP
from outage import JOB
from vhostlib import (CTL, RUST_VIRTIOFSD, Session, check, must, named, need_root, python, run,
                      run_cases, wait_until)

FULL = bool(os.environ.get("VIOFS_TEST_FULL"))
# A sanitizer takes SIGSEGV for a finding.
SIGNALS = [signal.SIGKILL, signal.SIGABRT]
if "sanitized" not in os.environ["VIOFS_DAEMON"]:
    SIGNALS.append(signal.SIGSEGV)
SERVES = re.compile(r"warning: (.*); a successor serves \(restart (\d+), (\d+) ms\)")
STUCK = "one of its threads is stuck in the kernel"
# What is read is checked against what was written, 16 requests at a time.
FIO = ["fio", "--name=f", "--rw=randrw", "--bs=16k", "--size=8m", "--ioengine=libaio",
       "--iodepth=16", "--direct=1", "--verify=crc32c", "--verify_fatal=1", "--time_based",
       "--minimal"]


# Each in one of its own, or they'd wait for one another in the kernel.
DIRECTORIES = "import os, sys\nfor i in range(int(sys.argv[2])): os.mkdir(f'{sys.argv[1]}{i}')"
LOCK = """
import fcntl, sys
f = open(sys.argv[1], 'w')
fcntl.lockf(f, fcntl.LOCK_EX)
print('locked', flush=True)
sys.stdin.read()
"""


def session(args=(), options="", backend="device", restarts=1000):
    return Session(backend, args, ",".join(filter(None, [f"restarts={restarts}", options])))


def status_of(s):
    return json.loads(must([CTL, "status", "--json", s.mnt], 10))


def worker_of(s):
    """The process that serves now; a dead one that nobody has waited for is none."""
    pid = s.daemon.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        for word in f.read().split():
            with open(f"/proc/{word}/stat", encoding="ascii", errors="replace") as stat:
                if stat.read().rpartition(") ")[2][0] not in "ZX":
                    return int(word)
    return 0


def restarts(s):
    return [(reason, int(count), int(ms)) for reason, count, ms in SERVES.findall(s.said())]


def kill(s, number=signal.SIGKILL):
    """Another one serves then. Return: how long nobody did, in ms, as the supervisor says."""
    before = len(restarts(s))
    os.kill(wait_until(lambda: worker_of(s), 10, "a worker"), number)
    wait_until(lambda: len(restarts(s)) > before or s.daemon.poll() is not None, 30, "a successor")
    check(s.daemon.poll() is None, "the session has ended: " + s.said()[-800:])
    reason, count, ms = restarts(s)[before]
    check(count == before + 1 and (STUCK in reason or f"signal {int(number)} (" in reason),
          str(restarts(s)[before]))
    return ms


@contextlib.contextmanager
def jobs_on(s, count):
    """Programs each operation of which must work, once; at the end they say what they did."""
    python(DIRECTORIES, s.path("j"), str(count))
    stop = os.path.join(s.work, "stop")
    jobs = [subprocess.Popen([sys.executable, "-c", JOB, s.path(f"j{i}"), f"seed{i}", stop],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE) for i in range(count)]
    done = {"MKDIR": count}
    try:
        yield done
        early = [j.communicate()[1][-600:] for j in jobs if j.poll() is not None]
        check(not early, f"jobs have ended early: {early}")
        must(["touch", stop])
        for j in jobs:
            out, err = j.communicate(timeout=120)
            check(j.returncode == 0, err.decode()[-600:])
            for name, n in json.loads(out.decode().replace("'", '"')).items():
                done[name] = done.get(name, 0) + n
    finally:
        for j in jobs:
            j.kill()
            j.wait(20)


def references(s):
    """Of the device to files, when the kernel has forgotten all that it can."""
    must(["sh", "-c", "sync; echo 2 >/proc/sys/vm/drop_caches"], 60)
    time.sleep(0.1)
    return s.stats()["references"]


def all_was_done_once(s, done):
    """By the device's own count. Each FORGET came to it, once: of more it reports a fault."""
    counts = s.stats()["requests"]
    counts["RENAME"] = counts.get("RENAME", 0) + counts.get("RENAME2", 0)
    check(all(counts.get(name, 0) == n for name, n in done.items()),
          f"done {done}, the device says {counts}")
    # The kernel keeps what is in use, and nobody uses anything any more.
    wait_until(lambda: references(s) <= 1, 20, "the device has all FORGETs")


def no_slot_is_lost(s):
    wait_until(lambda: status_of(s)["slots"]["used"] == 0, 10, "slots")
    status = status_of(s)
    check(status["parked"]["now"] == 0, str(status["parked"]))
    check(all(q["in_flight"] == 0 for q in status["queues"]), str(status["queues"]))


def tell(pauses):
    print(f"# {len(pauses)} deaths, nobody served for {statistics.median(pauses)} ms (median), "
          f"{max(pauses)} ms at most", flush=True)
    return statistics.median(pauses)


def under_load(args, options, deaths):
    """Programs go on; nothing is lost or done twice."""
    with session(args, options).mount() as s:
        first = descriptors(worker_of(s))
        pauses = []
        with jobs_on(s, 4) as done:
            for i in range(deaths):
                time.sleep(random.uniform(0, 0.2))
                pauses.append(kill(s, SIGNALS[i % len(SIGNALS)]))
        all_was_done_once(s, done)
        no_slot_is_lost(s)
        tell(pauses)
        last = descriptors(worker_of(s))
        check(last == first, f"{first} became {last}")
        status = status_of(s)
        check(status["restarts"] == deaths, str(status["restarts"]))
        check("the worker was killed by signal" in status["last_death"], status["last_death"])
        text = must([CTL, "status", s.mnt])
        check(f"restarts   {deaths}, last: the worker was killed by signal" in text, text)
        check(s.said().count(" is mounted at ") == 1, s.said())
        s.umount(30)


def descriptors(pid):
    """How many of each kind a process has open."""
    count = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            kind = re.sub(r"\d+", "N", os.readlink(f"/proc/{pid}/fd/{fd}"))
            count[kind] = count.get(kind, 0) + 1
    return count


def data_is_right(backend, seconds):
    """Reads and writes of a virtiofsd's files, with checksums, and a death now and then."""
    with session((), "", backend).mount() as s:
        argv = FIO + [f"--filename={s.path('f')}", f"--runtime={seconds}"]
        pauses = []
        with subprocess.Popen(argv, cwd=s.work, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as fio:
            try:
                while fio.poll() is None and len(pauses) < 1000:
                    time.sleep(random.uniform(0, 0.2))
                    pauses.append(kill(s, SIGNALS[len(pauses) % len(SIGNALS)]))
                out, _ = fio.communicate(timeout=seconds + 60)
            finally:
                fio.kill()
        check(fio.returncode == 0, f"fio: {fio.returncode}: {out.decode()[-800:]}")
        tell(pauses)
        no_slot_is_lost(s)
        s.umount(30)


def with_none_the_session_ends():
    """restarts=0: the first death is the last."""
    with session(restarts=0).mount() as s:
        os.kill(worker_of(s), signal.SIGKILL)
        s.ends(1, 20)
        check("the session failed: the worker was killed by signal 9" in s.said(), s.said())
        check(not restarts(s), s.said())


def the_fifth_death_ends_the_session():
    """As many as four are succeeded in a minute, by default."""
    with Session("device").mount() as s:
        for _ in range(4):
            kill(s)
        os.kill(worker_of(s), signal.SIGKILL)
        s.ends(1, 20)
        check("5 workers have died in 60 s" in s.said(), s.said())


def it_dies_while_it_is_unmounted():
    """Dirty pages get to the device all the same."""
    with session(["--latency", "20000"]).mount() as s:
        must(["dd", "if=/dev/zero", f"of={s.path('dirty')}", "bs=1M", "count=8", "status=none"], 60)
        s.daemon.send_signal(signal.SIGTERM)
        # Anywhere in it: before it has begun, in the middle, or when only DESTROY is left.
        with contextlib.suppress(ProcessLookupError):
            pid = worker_of(s)
            if pid:
                os.kill(pid, signal.SIGKILL)
        s.ends(0, 60)


def it_dies_while_the_mount_is_busy():
    """The thread that unmounts has the mount open now and then. No successor may keep it so."""
    with session(["--latency", "5000"], "grace=90").mount() as s:
        with open(s.path("used"), "wb") as used:
            used.write(bytes(4 << 20))
            used.flush()
            s.daemon.send_signal(signal.SIGTERM)
            wait_until(lambda: "the mount is busy" in s.said(), 20, "it is busy")
            for i in range(20):
                # It tries again each 100 ms.
                time.sleep(0.013 * (i % 8))
                kill(s)
                links = [os.readlink(f"/proc/{worker_of(s)}/fd/{fd}")
                         for fd in os.listdir(f"/proc/{worker_of(s)}/fd")]
                check(not any(link.startswith(s.mnt) or link == s.work for link in links),
                      str(links))
        s.ends(0, 80)
        check("still busy" not in s.said(), s.said())


def one_that_is_stuck_is_succeeded():
    """Stopped, it answers nothing; the one that asked gets its answer when another serves."""
    with session(["--no-cache"], "timeout=1").mount() as s:
        s.stop_worker()
        status, out = run(["ls", s.mnt], 30)
        check(status == 0, out)
        check("the worker has done nothing about a request" in s.said(), s.said())
        check(len(restarts(s)) == 1, s.said())
        s.umount()


def a_lock_is_kept_waiting_for():
    """Who waits for a lock waits on, and gets it; an INTERRUPT comes through."""
    with session(["--posix-locks"]).mount() as s:
        lockers = []

        def locker():
            lockers.append(subprocess.Popen([sys.executable, "-c", LOCK, s.path("lock")],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        locker()
        try:
            check(lockers[0].stdout.readline() == b"locked\n", "no lock")
            locker()
            locker()
            wait_until(lambda: s.stats()["locks_waiting"] == 2, 20, "two wait")
            kill(s)
            check(s.stats()["locks_waiting"] == 2, "they wait no more")
            lockers[1].kill()
            lockers[1].wait(20)
            wait_until(lambda: s.stats()["locks_waiting"] == 1, 20, "only one waits")
            lockers[0].communicate(timeout=20)
            check(lockers[2].stdout.readline() == b"locked\n", "no lock")
            lockers[2].communicate(timeout=20)
        finally:
            for locker in lockers:
                locker.kill()
                locker.wait(20)
        s.umount(20)


def it_dies_with_a_thread_that_is_stuck(deaths):
    """A thread that waits in the kernel for a page that somebody has who waits for another answer:
    it ends when that answer is given, by the successor."""
    with session(["--init", f"flags={ASYNC_DIO}"]).mount() as s:
        with subprocess.Popen([DIO_INTO_MAP, s.mnt, str(1 + deaths // 10)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as users:
            try:
                time.sleep(0.5)
                pauses = []
                for _ in range(deaths):
                    time.sleep(random.uniform(0, 0.1))
                    pauses.append(kill(s))
                out, _ = users.communicate(timeout=110)
            finally:
                users.kill()
        check(users.returncode == 0, out.decode())
        tell(pauses)
        print(f"# {s.said().count(STUCK)} of the dead had a thread that was stuck", flush=True)
        no_slot_is_lost(s)
        s.umount(30)


def notifications_go_on(args):
    """What the device says unasked comes through, before a death, after it, and in between."""
    with session(["--notify", "--tag", "n", "--cache", "3600", *args]).mount() as s:
        for i in range(20):
            must(["touch", s.path(f"a{i}")])
        for i in range(20):
            must(["stat", s.path(f"a{i}")])
            if i % 2:
                s.control(f"rename a{i} b{i}")
                kill(s)
            else:
                kill(s)
                s.control(f"rename a{i} b{i}")
            wait_until(lambda name=f"a{i}": run(["stat", s.path(name)])[0], 20, "the name is gone")
            must(["stat", s.path(f"b{i}")])
        no_slot_is_lost(s)
        s.umount(30)


def a_successor_kicks_eventfds_that_are_full_and_block():
    """It does, as it can't know whether the one before did. Who writes to one waits for ever."""
    with session(["--no-cache"], "poll=irq").mount() as s:
        s.control("hold")
        with subprocess.Popen(["stat", s.path("nothing")], stderr=subprocess.PIPE) as p:
            wait_until(lambda: any(q["in_flight"] for q in status_of(s)["queues"]), 10,
                       "a request with the device")
            check(s.control("kicks-full") == "ok", "the device could not fill its eventfds")
            kill(s)
            s.control("release")
            check(b"No such file" in p.communicate(timeout=20)[1], "stat had another answer")
        s.umount()


def aborted_while_nobody_serves():
    """Whatever comes first."""
    with session().mount() as s:
        os.kill(worker_of(s), signal.SIGKILL)
        must([CTL, "abort", s.mnt], 10)
        s.ends(0, 30)


KINDS = [([], ""), (["--packed"], ""), (["--queues", "3"], "queues=3,lanes=3"),
         (["--packed", "--queues", "2", "--shuffle"], "queues=2,lanes=2"), ([], "events=epoll"),
         ([], "poll=irq")]


def main():
    need_root()
    deaths = 200 if FULL else 6
    cases = [(f"under load: {' '.join(args)} {options}",
              lambda c=(args, options): under_load(*c, deaths)) for args, options in KINDS]
    cases += named([with_none_the_session_ends, the_fifth_death_ends_the_session,
                    it_dies_while_it_is_unmounted, it_dies_while_the_mount_is_busy,
                    one_that_is_stuck_is_succeeded, a_lock_is_kept_waiting_for,
                    a_successor_kicks_eventfds_that_are_full_and_block,
                    aborted_while_nobody_serves])
    if os.path.exists(RUST_VIRTIOFSD):
        cases.append(("data is right: virtiofsd", lambda: data_is_right("rust", 60 if FULL else 4)))
    cases += [(f"notifications go on {' '.join(args)}", lambda a=args: notifications_go_on(a))
              for args in ([], ["--packed"])]
    if os.path.exists(DIO_INTO_MAP):
        cases.append(("it dies with a thread that is stuck",
                      lambda: it_dies_with_a_thread_that_is_stuck(deaths)))
    run_cases(cases, at_once=2)


if __name__ == "__main__":
    main()
