# SPDX-License-Identifier: GPL-2.0-or-later
"""A back end that dies and comes back: requests wait, and none of them is lost or done twice."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

from vhostlib import (CTL, Session, check, is_mounted, must, named, need_root, python, run,
                      run_cases,
                      wait_until)

WAIT = "on-loss=wait,backend-keeps-state"
REQUESTS = 1
EIO = 5
WAITS, BACK = "requests wait until one is there again", "the back end is there again after"

# Each of its operations works only where it was done not at all before; what it reads is what it
# wrote.
JOB = """
import hashlib, os, sys
top, seed, stop = sys.argv[1:]
block = hashlib.sha256(seed.encode()).digest() * 4096
done = {"CREATE": 0, "MKDIR": 0, "UNLINK": 0, "RENAME": 0, "LINK": 0}
round = 0
while not os.path.exists(stop):
    d = f"{top}/{seed}.{round}"
    os.mkdir(d)
    data = block[round:] + block[:round]
    fd = os.open(f"{d}/a", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    assert os.write(fd, data) == len(data)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.rename(f"{d}/a", f"{d}/b")
    os.link(f"{d}/b", f"{d}/c")
    os.unlink(f"{d}/b")
    assert os.pread(fd, len(data), 0) == data, "not what was written"
    assert os.fstat(fd).st_nlink == 1
    os.close(fd)
    for name in done:
        done[name] += 1
    round += 1
for i in range(round):
    data = block[i:] + block[:i]
    assert open(f"{top}/{seed}.{i}/c", "rb").read() == data, f"{i} is not what was written"
print(done)
"""
STAT = ("import os, sys, time\ntry:\n os.stat(sys.argv[1])\n print(0)\nexcept OSError as e:\n "
        "print(e.errno)\n")


def session(args=(), options="", wait=WAIT):
    """A device that keeps its state, in a folder that the test's end removes."""
    s = Session("device", args, options=",".join(filter(None, [wait, options])))
    s.backend_args += ["--keep", os.path.join(s.work, "kept")]
    return s


def status_of(s):
    """What viofsctl says, in bounded time."""
    return json.loads(must([CTL, "status", "--json", s.mnt], 6))


def is_away(s):
    """Waits until the outage is known."""
    wait_until(lambda: status_of(s)["back_end"]["state"] == "away", 3, "the outage is known")


def is_back(s, reconnects):
    """Waits until the session goes on."""
    wait_until(lambda: status_of(s)["back_end"]["reconnects"] == reconnects, 6,
               "the back end is back")


def caller(s, name="new"):
    """A process that asks for what the device must be asked for."""
    return subprocess.Popen([sys.executable, "-c", STAT, s.path(name)], stdout=subprocess.PIPE)


def answer(child, seconds=5):
    """Its errno, in bounded time."""
    out, _ = child.communicate(timeout=seconds)
    return int(out)


def waits(s, child):
    """It does, with the device gone."""
    time.sleep(0.5)
    check(child.poll() is None, "there was an answer from nobody")
    check("EIO" not in s.said(), s.said())


def in_flight(s):
    return sum(q["in_flight"] for q in status_of(s)["queues"])


def kill_with(s, order):
    """Kill the device in the middle of something: what is on the rings, taken, or run and not given
    back."""
    if order:
        s.control(order)
    time.sleep(random.uniform(0.2, 0.5))
    if order in ("hold", "take"):
        wait_until(lambda: in_flight(s) >= 3, 5, "requests that the device has")
    if order == "take":
        check(s.stats()["taken"] > 0, "nothing was taken")
    s.kill_backend()


def killed_again_and_again_under_load(args, options):
    """Four jobs, six deaths of four kinds; everything is done, once, and right."""
    with session(args, options).mount() as s:
        # Each in a directory of its own, or they'd wait for one another in the kernel.
        python("import os, sys\nfor i in range(4): os.mkdir(f'{sys.argv[1]}{i}')", s.path("j"))
        stop = os.path.join(s.work, "stop")
        jobs = [subprocess.Popen([sys.executable, "-c", JOB, s.path(f"j{i}"), f"seed{i}", stop],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE) for i in range(4)]
        try:
            for death, order in enumerate(["", "hold", "take", "latency 400000", "take", ""], 1):
                kill_with(s, order)
                s.start_backend()
                is_back(s, death)
                check(all(j.poll() is None for j in jobs), "a job has ended early")
            must(["touch", stop])
            done = {}
            for j in jobs:
                out, err = j.communicate(timeout=60)
                check(j.returncode == 0, err.decode()[-600:])
                for name, count in json.loads(out.decode().replace("'", '"')).items():
                    done[name] = done.get(name, 0) + count
        finally:
            for j in jobs:
                j.kill()
        print(f"# {done}")
        counts = s.stats()["requests"]
        counts["RENAME"] = counts.get("RENAME", 0) + counts.get("RENAME2", 0)
        done["MKDIR"] += len(jobs)
        check(all(counts[name] == done[name] for name in done),
              f"done {done}, the device says {counts}")
        check(s.said().count(WAITS) == 6 and s.said().count(BACK) == 6, s.said())
        s.umount()
        check(s.backend.wait(10) == 0, s.backend_said())


def away_for_seconds():
    """Callers wait, status tells, and there are two lines in the log."""
    with session().mount() as s:
        first = caller(s, "before")
        check(answer(first) == 2, "ENOENT is due")
        s.kill_backend()
        os.unlink(s.socket)
        child = caller(s)
        is_away(s)
        waits(s, child)
        time.sleep(2.5)
        b = status_of(s)["back_end"]
        check(b["away_s"] > 2 and b["reconnects"] == 0 and "does not exist" in b["last_try"],
              str(b))
        text = must([CTL, "status", s.mnt])
        check("back end   away, 0 reconnects; since" in text, text)
        check(s.said().count("warning:") == 1 and WAITS in s.said(), s.said())
        s.start_backend()
        check(answer(child) == 2, "ENOENT is due")
        # The worker answers before the supervisor has told of it.
        wait_until(lambda: BACK in s.said(), 10,
                   "it is not logged that the back end is there again")
        check(s.said().count(WAITS) == 1 and s.said().count(BACK) == 1, s.said())
        check(status_of(s)["on_loss"] == "wait", "status does not say what on-loss is")
        s.umount()


def killed_while_idle():
    """With nobody asking. The worker is woken: the dead one may have answered and not said so."""
    with session(options="poll=irq").mount() as s:
        for death in range(1, 4):
            before = status_of(s)["queues"][REQUESTS]["interrupts"]
            s.kill_backend()
            is_away(s)
            s.start_backend()
            is_back(s, death)
            wait_until(lambda: status_of(s)["queues"][REQUESTS]["interrupts"] > before, 3,
                       "the worker is woken")
            check(answer(caller(s)) == 2, "ENOENT is due")
        s.umount()


def eventfds_that_are_full_and_block():
    """Who goes on with the next one waits for none of them."""
    with session(options="poll=irq").mount() as s:
        s.control("kicks-full")
        s.kill_backend()
        is_away(s)
        s.start_backend()
        is_back(s, 1)
        check(answer(caller(s)) == 2, "ENOENT is due")
        s.umount()


def open_files_go_on():
    """Descriptors, what was written through them, and a directory that is being read."""
    with session().mount() as s:
        with subprocess.Popen([sys.executable, "-c", """
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.unlink(sys.argv[1])
os.write(fd, b'before')
print('open', flush=True)
sys.stdin.readline()
os.write(fd, b' after')
os.fsync(fd)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
print(os.pread(fd, 100, 0), flush=True)
""", s.path("f")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            check(child.stdout.readline() == "open\n", "no file")
            s.kill_backend()
            s.start_backend()
            is_back(s, 1)
            out, _ = child.communicate("go\n", timeout=10)
            check(out == "b'before after'\n", out)
        s.umount()


def another_comes_back(args, first, said):
    """It can't go on with the session: as with eio, and the reason is told."""
    with session(first).mount() as s:
        s.control("take")
        child = caller(s)
        wait_until(lambda: s.stats()["taken"], 5, "a request taken")
        s.kill_backend()
        is_away(s)
        s.backend_args += args
        s.start_backend(stays=False)
        check(answer(child) == EIO, "EIO is due")
        s.is_lost(said)


def one_that_closes_comes_back_in_between():
    """It is no reason to give up."""
    with session().mount() as s:
        s.kill_backend()
        child = caller(s)
        is_away(s)
        for message in ("GET_FEATURES", "SET_INFLIGHT_FD", "SET_MEM_TABLE", "SET_VRING_ENABLE"):
            args = s.backend_args
            # Not by start_backend(), which wants it to stay.
            with subprocess.Popen(s.backend_argv() + args + ["--message", message + "=close"],
                                  stderr=subprocess.DEVNULL) as closer:
                check(closer.wait(5) == 0, "it did not close")
        waits(s, child)
        s.start_backend()
        check(answer(child) == 2, "ENOENT is due")
        s.umount()


def silent(s):
    """Who listens in the dead one's place, and says nothing."""
    s.backend_args += ["--message", "GET_FEATURES=mute"]
    s.start_backend()


def lose(s, then=None):
    """The device is gone with a caller waiting for it."""
    child = caller(s)
    answer(child)
    s.control("take")
    child = caller(s)
    wait_until(lambda: s.stats()["taken"], 5, "a request taken")
    s.kill_backend()
    is_away(s)
    if then:
        then(s)
    waits(s, child)
    return child


def aborted_during_the_outage(then=None):
    with session().mount() as s:
        child = lose(s, then)
        start = time.monotonic()
        must([CTL, "abort", s.mnt], 12)
        answer(child, 5)
        print(f"# aborted in {time.monotonic() - start:.2f} s")
        s.ends(0, 5)


def aborted_while_a_silent_one_is_tried():
    aborted_during_the_outage(silent)


def terminated_during_the_outage():
    """It has grace= seconds to come back."""
    with session(options="grace=1").mount() as s:
        child = lose(s)
        start = time.monotonic()
        s.daemon.send_signal(signal.SIGTERM)
        check(answer(child, 8) == EIO, "EIO is due")
        s.ends(1, 8)
        check(time.monotonic() - start < 8, "that took long")
        check("has not come back" in s.said(), s.said())


def terminated_twice_during_the_outage():
    with session(options="grace=60").mount() as s:
        child = lose(s)
        s.daemon.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        s.daemon.send_signal(signal.SIGTERM)
        answer(child, 5)
        s.daemon.wait(10)


def back_after_a_signal():
    """What was waited for is done, and then the mount goes."""
    with session(options="grace=20").mount() as s:
        child = lose(s)
        s.daemon.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        s.start_backend()
        check(answer(child) == 2, "ENOENT is due")
        s.ends(0, 10)


def unmounted_during_the_outage():
    """umount2(2) of what nobody uses is done at once. (umount(8) asks for statfs(2) first, and
    waits.)"""
    with session().mount() as s:
        answer(caller(s))
        s.kill_backend()
        is_away(s)
        start = time.monotonic()
        python("import ctypes, sys\n"
               "assert not ctypes.CDLL(None).umount2(sys.argv[1].encode(), 0)", s.mnt, timeout=5)
        s.ends(0, 5)
        print(f"# unmounted in {time.monotonic() - start:.2f} s")


def unmounted_by_force_during_the_outage():
    """umount -f, with somebody who waits."""
    with session().mount() as s:
        child = lose(s)
        start = time.monotonic()
        # "target is busy", where the one who waits has not gone yet
        run(["umount", "-f", s.mnt], 5)
        check(answer(child, 5) != 0, "an answer from nobody")
        # The daemon may have unmounted it in the meantime.
        run(["umount", "-f", s.mnt], 5)
        check(not is_mounted(s.mnt), "it is still mounted")
        s.ends(0, 5)
        print(f"# unmounted in {time.monotonic() - start:.2f} s")


def a_question_is_heard_whatever_happens_meanwhile():
    """viofsctl has connected, and its question comes just after the loss."""
    with session().mount() as s, socket.socket(socket.AF_UNIX) as ctl:
        ctl.settimeout(5)
        record, = s.records()
        ctl.connect(record + ".sock")
        time.sleep(0.3)
        s.kill_backend()
        time.sleep(0.3)
        ctl.sendall(b"status\n")
        status = json.loads(b"".join(iter(lambda: ctl.recv(1 << 16), b"")))
        check(status.get("mountpoint") == s.mnt, f"the answer is {status}")
        s.start_backend()
        is_back(s, 1)
        s.umount()


def supervisor_killed():
    """The worker goes on alone; a back end that dies then is lost, and nobody hangs."""
    with session().mount() as s:
        s.daemon.kill()
        s.daemon.wait(5)
        check(answer(caller(s)) == 2, "ENOENT is due")
        s.kill_backend()
        check(answer(caller(s), 8) == EIO, "EIO is due")
        must(["umount", s.mnt], 5)


def a_timeout_goes_on():
    with session(options="timeout=2").mount() as s:
        start = time.monotonic()
        child = lose(s)
        check(answer(child, 10) == EIO, "EIO is due")
        check(1.5 < time.monotonic() - start < 8, f"after {time.monotonic() - start:.1f} s")
        s.daemon.wait(10)
        check("the limit is 2" in s.said(), s.said())


def killed_before_init_is_answered():
    """There is nothing to go on with yet."""
    with session(["--evil", "silent@INIT"]) as s:
        s.start_backend()
        s.start_daemon()
        time.sleep(0.5)
        s.kill_backend()
        s.ends(1, 5)
        check("closed its socket" in s.said(), s.said())


def no_wait(args, options, said):
    """What was asked for can't be had: that is said, and it is eio."""
    with session(args, options, wait="on-loss=wait").mount() as s:
        check(s.said().count("on-loss=eio is used") == 1 and said in s.said(), s.said())
        check(status_of(s)["on_loss"] == "eio", "status says something else")
        s.kill_backend()
        s.is_lost()


KEEPS = "backend-keeps-state"
OTHERS = {
    "without EVENT_IDX": (["--no", "event-idx"], [], "came back without VIRTIO_F_EVENT_IDX"),
    "without INFLIGHT": (["--no", "inflight"], [],
                         "came back without VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD"),
    "with fewer queues": (["--queues", "1"], ["--queues", "4"], "with 2 virtqueues, it had 5"),
    "with another tag": (["--tag", "two"], ["--tag", "one"], "came back with another tag"),
    "and refuses the memory": (["--message", "SET_INFLIGHT_FD=refuse"], [],
                               "came back and refused SET_INFLIGHT_FD"),
    "and talks rubbish": (["--message", "GET_FEATURES=garbage"], [],
                          "came back and gave an answer"),
}


def main():
    need_root()
    random.seed(1)
    cases = [("killed again and again under load",
              lambda: killed_again_and_again_under_load([], "")),
             ("killed again and again under load, 3 queues, shuffled",
              lambda: killed_again_and_again_under_load(["--queues", "3", "--shuffle"],
                                                        "queues=3"))]
    cases += named([away_for_seconds, killed_while_idle, eventfds_that_are_full_and_block,
                    open_files_go_on,
                    one_that_closes_comes_back_in_between])
    cases += [(f"another comes back {name}", lambda c=case: another_comes_back(*c))
              for name, case in OTHERS.items()]
    cases += named([
        aborted_during_the_outage, aborted_while_a_silent_one_is_tried,
        terminated_during_the_outage,
        terminated_twice_during_the_outage, back_after_a_signal, unmounted_during_the_outage,
        unmounted_by_force_during_the_outage, a_question_is_heard_whatever_happens_meanwhile,
        supervisor_killed,
        a_timeout_goes_on, killed_before_init_is_answered,
    ])
    cases += [("eio: the user does not assert that state is kept",
               lambda: no_wait([], "", "unless you assert with -o backend-keeps-state")),
              ("eio: the back end tracks nothing",
               lambda: no_wait(["--no", "inflight"], KEEPS,
                               "VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD"))]
    run_cases(cases, at_once=2)


if __name__ == "__main__":
    main()
