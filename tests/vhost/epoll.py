# SPDX-License-Identifier: GPL-2.0-or-later
"""A mount whose processes wait by epoll: where io_uring is not allowed, or where it was asked
for."""

import json
import os
import signal

from notify import (a_change_is_seen_at_once, hostile_notifications_are_refused,
                    names_that_go_and_come_are_seen_at_once)
from vhostlib import (CTL, IO_URING_ENTER, IO_URING_SETUP, Session, check, must, need_root, python,
                      run, run_cases,
                      wait_until, without_call)

WAYS = {"": [], "poll=irq": [], "poll=busy": [], "lanes=4,queues=4": ["--queues", "4"],
        "poll=irq,lanes=4,queues=4": ["--queues", "4"],
        "no-hugepages": ["--packed"]}
WORK = """
import os, sys, threading
def work(n):
    for i in range(60):
        name = f'{sys.argv[1]}/{n}.{i}'
        with open(name, 'wb') as f: f.write(bytes([n]) * 150000)
        assert open(name, 'rb').read() == bytes([n]) * 150000
        if i % 2: os.unlink(name)
threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
for t in threads: t.start()
for t in threads: t.join()
assert len(os.listdir(sys.argv[1])) == 6 * 30
"""


def pids(s):
    status = json.loads(must([CTL, "status", "--json", s.mnt]))
    check(status["events"] == "epoll", status["events"])
    return status["supervisor"], status["worker"]


def rings(pid):
    """io_urings that a process has open."""
    folder = f"/proc/{pid}/fd"
    return sum(os.readlink(f"{folder}/{fd}") == "anon_inode:[io_uring]"
               for fd in os.listdir(folder))


def serves(s):
    python(WORK, s.mnt, timeout=60)
    check(not any(map(rings, pids(s))), "an io_uring")


def works(options, args):
    with Session(backend_args=["--strict", "--no-cache", *args], options=options).mount() as s:
        serves(s)
        s.umount()
        check(s.backend.wait(10) == 0, s.backend_said())


def it_is_chosen_where_io_uring_is_refused(call):
    with Session() as s:
        s.start_backend()
        pid = os.fork()
        if not pid:
            without_call(call)
            status, _ = run(s.daemon_argv(False), 20, env=s.environment())
            os._exit(status)
        check(os.waitpid(pid, 0)[1] == 0, "no mount")
        serves(s)
        supervisor, _ = pids(s)
        must(["umount", s.mnt])
        wait_until(lambda: not os.path.exists(f"/proc/{supervisor}/exe"), 5, "the end")


def it_says_so():
    with Session() as s:
        s.start_backend()
        # Ended at once, by what it was told to do: its messages are what counts.
        status, out = run(["sh", "-c", '"$@" & sleep 2; umount "$0"; wait $!', s.mnt,
                           *s.daemon_argv()], 20,
                          preexec_fn=lambda: without_call(IO_URING_SETUP))
        check(status == 0 and "epoll is used to wait. io_uring: Operation not permitted" in out,
              f"{status}: {out}")


def entries_need_io_uring():
    with Session(options="channel=uring,events=epoll") as s:
        status, out = run(s.daemon_argv(), 5)
        check(status == 2 and "leave one of them out" in out, f"{status}: {out}")


def a_lost_device(options, args):
    """Its descriptors are open in the supervisor for a while: nobody waits for them any more."""
    with Session(backend_args=args, options=options).mount() as s:
        serves(s)
        s.kill_backend()
        s.is_lost()


def a_signal_ends_it():
    with Session(backend_args=["--no-cache"]).mount() as s:
        serves(s)
        s.daemon.send_signal(signal.SIGTERM)
        s.ends(0)


def by_epoll(function, *args):
    """A case for the runner: what Session's options are added to."""
    def case():
        os.environ["VIOFS_OPTIONS"] = "events=epoll"
        try:
            function(*args)
        finally:
            del os.environ["VIOFS_OPTIONS"]
    return case


def main():
    need_root()
    os.environ.pop("VIOFS_OPTIONS", None)
    cases = [(f"it is chosen where system call {call} is refused",
              lambda c=call: it_is_chosen_where_io_uring_is_refused(c))
             for call in (IO_URING_SETUP, IO_URING_ENTER)]
    cases += [("it says so", it_says_so), ("entries need io_uring", entries_need_io_uring)]
    cases += [(f"{function.__name__.replace('_', ' ')}: {options} {' '.join(args)}",
               by_epoll(function, options, args))
              for function in (works, a_lost_device) for options, args in WAYS.items()]
    cases += [(c.__name__.replace("_", " "), by_epoll(c)) for c in (
        a_signal_ends_it, a_change_is_seen_at_once, names_that_go_and_come_are_seen_at_once,
        hostile_notifications_are_refused)]
    run_cases(cases)


if __name__ == "__main__":
    main()
