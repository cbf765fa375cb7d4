# SPDX-License-Identifier: GPL-2.0-or-later
"""A worker that dies at each point of a request's way, and one that dies of a request."""

import contextlib
import os
import signal
import subprocess
import sys
import time

from successor import FULL, all_was_done_once, jobs_on, no_slot_is_lost, restarts, worker_of
from vhostlib import Session, check, must, named, need_root, python, run_cases, wait_until

# Each worker dies when it has come there so often.
POINTS = {"read": 150, "submit": 100, "submitted": 101, "pop": 102, "popped": 103, "reply": 104,
          "replied": 105, "freed": 106}
LISTXATTR = 23
DEATHS = 50 if FULL else 3
ASK = """
import os, sys
try:
    os.listxattr(sys.argv[1])
    print(0)
except OSError as e:
    print(e.errno)
"""
EIO = 5


class Mortal(Session):
    """A session with a daemon whose workers die as @when says, with more successors than needed."""

    def __init__(self, when, args=(), options=""):
        super().__init__("device", args, ",".join(filter(None, ["restarts=1000", options])))
        self.when = when

    def environment(self):
        return dict(super().environment(), **self.when)


def at(point, args, options):
    """It dies there again and again: all that programs ask for is done, once."""
    with Mortal({"VIOFS_DIES_AT": f"{point}:{POINTS[point]}"}, args, options).mount() as s:
        with jobs_on(s, 4) as done:
            wait_until(lambda: len(restarts(s)) >= DEATHS or s.daemon.poll() is not None, 100,
                       f"{DEATHS} deaths")
        all_was_done_once(s, done)
        no_slot_is_lost(s)
        must(["umount", s.mnt], 30)
        # It may die once more when the mount is gone, of which nobody has anything but the status.
        check(s.daemon.wait(30) in (0, 1), s.said())


def of_a_request():
    """Two die of it; then it has an error, and others go on, before it and after it."""
    with Mortal({"VIOFS_DIES_OF": str(LISTXATTR)}).mount() as s:
        must(["touch", s.path("file")])
        for asked in (1, 2):
            got = python(ASK, s.path("file")).strip()
            check(got == str(EIO), f"error {got} where {EIO} is due")
            wait_until(lambda n=asked: len(restarts(s)) == 2 * n, 20, "two deaths for each")
            check(s.said().count("LISTXATTR of node") == asked, s.said())
            check("it is answered with EIO" in s.said(), s.said())
        with jobs_on(s, 2) as done:
            time.sleep(0.2)
        done["CREATE"] += 1
        all_was_done_once(s, done)
        no_slot_is_lost(s)
        s.umount(30)


def others_wait_meanwhile():
    """Who asks for something else at the same time gets it."""
    with Mortal({"VIOFS_DIES_OF": str(LISTXATTR)}).mount() as s:
        must(["touch", s.path("file")])
        with jobs_on(s, 3) as done:
            for _ in range(3):
                with subprocess.Popen([sys.executable, "-c", ASK, s.path("file")],
                                      stdout=subprocess.PIPE) as child:
                    out, _ = child.communicate(timeout=60)
                check(int(out) == EIO, f"error {out} where {EIO} is due")
        done["CREATE"] += 1
        all_was_done_once(s, done)
        s.umount(30)


def rights(pid):
    """Of each of its threads: what it may do."""
    names = ("CapEff", "CapPrm", "NoNewPrivs", "Seccomp", "State")
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as f:
            fields = dict(line.split(":", 1) for line in f)
        found.append({name: fields[name].strip() for name in names})
    return found


def has_stopped(s):
    pid = worker_of(s)
    with contextlib.suppress(FileNotFoundError):
        return pid and all(r["State"][0] == "T" for r in rights(pid))
    return False


def a_successor_is_confined_before_it_reads():
    """What a dead worker has left is a device's word, perhaps: it is read in the sandbox."""
    with Mortal({"VIOFS_STOPS": "1"}).mount() as s:
        confined = [{k: v for k, v in r.items() if k != "State"} for r in rights(worker_of(s))]
        for deaths in range(1, 3):
            os.kill(worker_of(s), signal.SIGKILL)
            wait_until(lambda: has_stopped(s), 20, "a successor that has stopped")
            for r in rights(worker_of(s)):
                check(r.pop("State") and r == confined[0], f"{r}, not {confined[0]}")
            check(confined[0]["NoNewPrivs"] == "1", str(confined))
            os.kill(worker_of(s), signal.SIGCONT)
            wait_until(lambda n=deaths: len(restarts(s)) == n, 20, "it serves")
            must(["touch", s.path(f"file{deaths}")], 20)
        s.umount(30)


def main():
    need_root()
    cases = [(f"at {point}: {' '.join(args)}", lambda c=(point, args, options): at(*c))
             for point in POINTS for args, options in
             (([], ""), (["--packed", "--queues", "2"], "queues=2,lanes=2"))]
    run_cases(cases + named([of_a_request, others_wait_meanwhile,
                             a_successor_is_confined_before_it_reads]), at_once=2)


if __name__ == "__main__":
    main()
