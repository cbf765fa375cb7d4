# SPDX-License-Identifier: GPL-2.0-or-later
"""A mount that has nothing to do takes no CPU time, whatever state it is in. Of the shipped binary:
its worker has limits and a filter that a sanitized one has not."""

import fcntl
import json
import os
import subprocess
import time

from vhostlib import CTL, Session, check, must, need_root, run_cases, wait_until

SECONDS = 2.0
MOST = 0.1  # of CPU time within them: a wake-up now and then


def processes(s):
    """Supervisor and worker, by what viofsctl says."""
    status = json.loads(must([CTL, "status", "--json", s.mnt]))
    return {name: status[name] for name in ("supervisor", "worker")}


def cpu_time(pid):
    """Of all its threads, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def takes_nothing(s):
    pids = processes(s)
    time.sleep(0.7)
    before = {name: cpu_time(pid) for name, pid in pids.items()}
    time.sleep(SECONDS)
    for name, pid in pids.items():
        used = cpu_time(pid) - before[name]
        check(used <= MOST, f"the {name} took {used:.2f} s of CPU time in {SECONDS} s")


def mounted(_):
    """Nothing more."""


def used_before(s):
    for i in range(20):
        must(["sh", "-c", f"echo {i} >$0 && cat $0 && ls -l $1", s.path(f"f{i}"), s.mnt])


def request_without_an_answer(s):
    s.control("hold")
    return subprocess.Popen(["stat", s.path("nothing")], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def lost(s):
    s.kill_backend()
    wait_until(lambda: "The device is lost" in s.said(), 3, "the loss")


def away(s):
    s.kill_backend()
    wait_until(lambda: "requests wait until" in s.said(), 3, "the outage")


def used_after_an_outage(s):
    away(s)
    s.start_backend()
    wait_until(lambda: "the back end is there again" in s.said(), 6, "the back end")
    used_before(s)


def lock_that_waits(s):
    with open(s.path("lock"), "w", encoding="utf-8") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        takes_nothing_with_a_waiter(s)


def takes_nothing_with_a_waiter(s):
    code = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'w'), fcntl.LOCK_EX)"
    with subprocess.Popen(["python3", "-c", code, s.path("lock")]) as waiter:
        try:
            wait_until(lambda: s.stats()["locks_waiting"] == 1, 5, "it waits")
            takes_nothing(s)
        finally:
            waiter.kill()


def notified(s):
    used_before(s)
    for i in range(5):
        s.control(f"change f{i} other")


NOTIFY = ["--notify", "--tag", "idle"]
KEPT = "on-loss=wait,backend-keeps-state"
# Name, device, options, what is done before.
STATES = [
    ("mounted", [], "", mounted),
    ("used before", [], "", used_before),
    ("used before, poll=irq", [], "poll=irq", used_before),
    ("used before, four lanes", ["--queues", "4"], "lanes=4,queues=4", used_before),
    ("used before, packed rings", ["--packed"], "", used_before),
    ("a notification queue", NOTIFY, "", mounted),
    ("a notification queue, used before", NOTIFY, "", notified),
    ("a notification queue, poll=irq", NOTIFY, "poll=irq", notified),
    ("a notification queue, four lanes", [*NOTIFY, "--queues", "4"], "lanes=4", notified),
    ("a notification queue, packed rings", [*NOTIFY, "--packed"], "", notified),
    ("a notification queue, no EVENT_IDX", [*NOTIFY, "--no", "event-idx"], "", notified),
    ("a request without an answer", ["--no-cache"], "poll=irq", request_without_an_answer),
    ("a request without an answer, timeout=", ["--no-cache"], "timeout=60",
     request_without_an_answer),
    ("a lock that waits", ["--posix-locks"], "", lock_that_waits),
    ("a lost device", [], "", lost),
    ("a lost device, notifications", NOTIFY, "", lost),
    ("a back end that is away", [], KEPT, away),
    ("a back end that is away, notifications", NOTIFY, KEPT, away),
    ("after an outage", [], KEPT, used_after_an_outage),
    ("after an outage, notifications", NOTIFY, KEPT, used_after_an_outage),
]


def case(args, options, before):
    with Session("device", args, options=options) as s:
        if KEPT in options:
            s.backend_args += ["--keep", os.path.join(s.work, "kept")]
        s.mount()
        asking = before(s)
        takes_nothing(s)
        if asking:
            s.control("release")
            asking.wait(10)
        must([CTL, "abort", s.mnt])
        s.daemon.wait(10)


def main():
    need_root()
    run_cases([(name, lambda c=rest: case(*c)) for name, *rest in STATES], at_once=5)


if __name__ == "__main__":
    main()
