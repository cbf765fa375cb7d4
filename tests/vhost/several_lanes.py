# SPDX-License-Identifier: GPL-2.0-or-later
"""Several lanes: each serves a share of the queues, on both channels; they end together, however
they end."""

import itertools
import json
import os
import signal
import sys
import time

import outage
from channel import (all_end, completions_that_wait_for_pages, ended_by_death_of_the_back_end,
                     ended_by_death_of_the_worker, ended_by_fusectl, ended_by_two_signals,
                     ended_by_viofsctl,
                     hold_requests, run_on_both, session, work, worker_of)
from failure import locker, says
from vhostlib import (Session, all_meet_an_error, check, is_mounted, must, need_root, run,
                      start_jobs, wait_until)

QUEUES = ["--queues", "4"]
QUICK = [ended_by_viofsctl, ended_by_death_of_the_worker, ended_by_death_of_the_back_end]
CPUS = len(os.sched_getaffinity(0))
SANITIZED = "threads" in os.environ["VIOFS_DAEMON"]


def status_of(s):
    return json.loads(must([os.environ["VIOFS_CTL"], "status", "--json", s.mnt]))


def lanes_of(s):
    status = status_of(s)
    return (status[0] if isinstance(status, list) else status)["lanes"]


def team(channel, poll, options="", lanes=4):
    """A mount with so many, or as many as the kernel has queues."""
    s = session(f"poll={poll},queues=4,lanes={lanes}{options}", *QUEUES, channel=channel)
    try:
        most = lanes if channel == "dev" else min(lanes, os.cpu_count())
        check(lanes_of(s) == most, f"{lanes_of(s)} lanes where {most} are due")
    except Exception:
        s.__exit__(*sys.exc_info())
        raise
    return s


def works(channel, poll):
    with team(channel, poll) as s:
        work(s)
        idle = [q for q in s.stats()["queues"] if not q["popped"]]
        check(not idle, "queues that nobody has used")
        s.umount()
        check(s.backend.wait(10) == 0, s.backend_said())


def ends(how, channel, poll):
    """With requests at the device, of several lanes: nobody is left waiting, and nothing is
    left."""
    with team(channel, poll) as s:
        waiting = hold_requests(s)
        how(s)
        all_end(waiting)
        run(["umount", "-l", s.mnt])
        s.daemon.wait(20)
        check(not is_mounted(s.mnt), "the mount is still there")


def load(s):
    jobs = start_jobs(s, 4)
    wait_until(lambda: s.stats()["requests"].get("WRITE", 0) > 50, 10, "load")
    check(all(job.poll() is None for job in jobs), "one has ended early")
    return jobs


def killed_under_load(channel, poll):
    with team(channel, poll) as s:
        jobs = load(s)
        s.kill_backend()
        start = time.monotonic()
        all_meet_an_error(jobs)
        check(time.monotonic() - start < 2, f"they went on for {time.monotonic() - start:.1f} s")
        s.is_lost()


def unmounted_under_load(channel, poll):
    with team(channel, poll) as s:
        jobs = load(s)
        s.daemon.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        s.daemon.send_signal(signal.SIGTERM)
        all_meet_an_error(jobs)
        s.daemon.wait(10)
        check(not is_mounted(s.mnt), "the mount is still there")


def left_under_load():
    """umount -l: who has files open goes on with all lanes, and its end is theirs."""
    with team("dev", "adaptive") as s:
        jobs = load(s)
        must(["umount", "-l", s.mnt])
        time.sleep(0.3)
        check(all(job.poll() is None for job in jobs), "one has ended early")
        for job in jobs:
            job.kill()
        for job in jobs:
            job.wait(10)
        s.ends(0)


def who_waits_for_a_lock_can_be_killed():
    """The INTERRUPT is read by any of them, and has to find the one that has the lock."""
    with Session(backend_args=["--posix-locks", *QUEUES],
                 options="channel=dev,queues=4,lanes=4,poll=irq").mount() as s:
        first = locker(s)
        says(first, b"locked\n")
        others = [locker(s) for _ in range(8)]
        wait_until(lambda: s.stats()["locks_waiting"] == 8, 5, "all wait")
        for left, other in enumerate(others[:6], 1):
            other.kill()
            other.wait(3)
            wait_until(lambda left=left: s.stats()["locks_waiting"] == 8 - left, 3,
                       "it waits no more")
        first.communicate(timeout=5)
        for other in others[6:]:
            other.kill()
            other.wait(5)
        s.umount()


def each_on_a_cpu_of_its_own():
    cpus = sorted(os.sched_getaffinity(0))[:2]
    with team("dev", "irq", options=f",cpus={cpus[0]}:{cpus[1]}", lanes=2) as s:
        must(["ls", s.mnt])
        threads = f"/proc/{worker_of(s)}/task"
        lists = []
        for thread in os.listdir(threads):
            with open(f"{threads}/{thread}/status", encoding="ascii") as f:
                lists += [line.split()[1] for line in f if line.startswith("Cpus_allowed_list")]
        for cpu in cpus:
            check(lists.count(str(cpu)) >= 2, f"a lane and its standby on {cpu}: {lists}")
        s.umount()


def never_more_than_queues():
    with Session(options="channel=dev,lanes=64").mount() as s:
        check(lanes_of(s) == 1, "lanes")
        check("64 lanes are asked for, 1 in use" in s.said(), s.said())
        s.umount()


def idle_takes_no_time():
    def ticks(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    with team("dev", "adaptive") as s:
        must(["ls", s.mnt])
        time.sleep(0.3)
        before = ticks(worker_of(s))
        time.sleep(1)
        check(ticks(worker_of(s)) - before <= 1,
              f"{ticks(worker_of(s)) - before} ticks in 1 s of nothing")
        s.umount()


def another_back_end_goes_on():
    outage.killed_again_and_again_under_load(QUEUES, "channel=dev,queues=4,lanes=4")


def ends_of_reads_wait_for_pages():
    completions_that_wait_for_pages("dev", "irq", "queues=2,lanes=2")


def main():
    need_root()
    both = ["dev", "uring"]
    cases = [(f"{c}, {p}: it works", lambda c=c, p=p: works(c, p)) for c, p in
             itertools.product(both, ["adaptive", "irq"])]
    # With held requests an unmount takes the 5 s that the device has: one of these is enough.
    slow = [ended_by_fusectl] if SANITIZED else [ended_by_two_signals]
    cases += [(f"{c}: {how.__name__.replace('_', ' ')}", lambda h=how, c=c, p=p: ends(h, c, p))
              for how, c, p in zip(slow + QUICK + QUICK[::-1], itertools.cycle(both),
                                   itertools.cycle(["irq", "adaptive", "busy"]))]
    cases += [(f"{c}: killed under load", lambda c=c: killed_under_load(c, "adaptive"))
              for c in both]
    cases += [(f"{c}: unmounted under load", lambda c=c: unmounted_under_load(c, "irq"))
              for c in both]
    cases += [("dev: left under load", left_under_load),
              ("dev: who waits for a lock can be killed", who_waits_for_a_lock_can_be_killed),
              ("dev: never more of them than queues", never_more_than_queues)]
    if not SANITIZED:
        cases += [("dev: ends of reads wait for pages", ends_of_reads_wait_for_pages),
                  ("dev: idle takes no time", idle_takes_no_time),
                  ("dev: another back end goes on", another_back_end_goes_on),
                  ("dev: each on a CPU of its own" + (" # SKIP one CPU" if CPUS < 2 else ""),
                   each_on_a_cpu_of_its_own if CPUS > 1 else lambda: None)]
    run_on_both(cases)


if __name__ == "__main__":
    sys.exit(main())
