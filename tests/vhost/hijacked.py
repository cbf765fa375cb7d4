# SPDX-License-Identifier: GPL-2.0-or-later
"""A worker that was taken over: what it has open, and what it may say. Of the shipped binary; the
worker's pipes are written to from here, as it could."""

import ctypes
import glob
import json
import os
import struct
import time

from vhostlib import (CTL, Session, check, is_mounted, must, named, need_root, python, run,
                      run_cases, wait_until)

SERVING, FAILED, LOST = range(3)
MNT_DETACH = 2
O_ACCMODE, O_NONBLOCK = 0o3, 0o4000


def pids(s):
    status = json.loads(must([CTL, "status", "--json", s.mnt]))
    return status["supervisor"], status["worker"]


def descriptors(pid):
    """Of a process: what each is, and its flags."""
    found = {}
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        number = os.path.basename(path)
        with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as f:
            flags = next(int(line.split()[1], 8) for line in f if line.startswith("flags:"))
        found[int(number)] = (os.readlink(path), flags)
    return found


def worker_pipe(s, blocks):
    """A descriptor of its own of the worker's pipe for reports, which blocks, or for messages."""
    _, worker = pids(s)
    for number, (what, flags) in descriptors(worker).items():
        if what.startswith("pipe:") and bool(flags & O_NONBLOCK) != blocks:
            return os.open(f"/proc/{worker}/fd/{number}", os.O_WRONLY | os.O_NONBLOCK)
    raise AssertionError("the worker has no such pipe")


def report(kind, rc=0, text=b""):
    return struct.pack("<iiI508s", kind, rc, 0, text)


ESCAPES = b"\x1b]0;owned\x07\x1b[2J\r\n\xff evil"
# What is written, and what is said then.
LIES = {
    "serving twice": (report(SERVING), 'reported "serving" while it serves'),
    "serving after a loss": (report(LOST, -5, b"gone") + report(SERVING),
                             'reported "serving" while it has lost'),
    "two losses": (report(LOST, -5, b"gone") * 2, 'reported "lost" while it has lost'),
    "a failure after a loss": (report(LOST, -5, b"gone") + report(FAILED, -5),
                               'reported "failed" while it has lost'),
    "many of all": ((report(LOST, -5) + report(SERVING) + report(FAILED, -5)) * 20,
                    'reported "serving"'),
    "an unknown kind": (report(77), "no report"),
    "a good number of a failure": (report(FAILED, 5), "no report"),
    "half a report": (report(SERVING)[:100], "no report"),
    "a byte": (b"x", "no report"),
    "escapes": (report(LOST, -5, ESCAPES) * 2, "\\033]0;owned\\a\\033[2J\\r\\n\\377 evil"),
}


def lie(what, said):
    with Session("device", options="grace=1").mount() as s:
        pipe = worker_pipe(s, True)
        os.write(pipe, what)
        os.close(pipe)
        s.ends(1, 5)
        check(said in s.said(), s.said())
        check("the worker is killed" in s.said(), s.said())
        check(not any(ord(c) < 32 and c != "\n" for c in s.said()), repr(s.said()))


def a_failure_that_does_not_end():
    """Who says that it has failed has to end; nobody listens to it any more."""
    with Session("device").mount() as s:
        pipe = worker_pipe(s, True)
        os.write(pipe, report(FAILED, -5, ESCAPES))
        wait_until(lambda: "the session failed: \\033]0;owned" in s.said(), 3, "it is said")
        os.write(pipe, report(SERVING))
        os.close(pipe)
        s.ends(1, 5)


def status_is_asked_after_a_false_loss():
    """What the supervisor had open is closed then. The worker may find that out, and say so, which
    it may not."""
    with Session("device").mount() as s:
        pipe = worker_pipe(s, True)
        os.write(pipe, report(LOST, -5, ESCAPES))
        os.close(pipe)
        for _ in range(3):
            run([CTL, "status", "--json", s.mnt])
        # umount(8) asks the file system first, which may have nobody to answer.
        # And the mount is gone already if the worker has said what it may not.
        check(ctypes.CDLL(None).umount2(os.fsencode(s.mnt), MNT_DETACH) == 0
              or not is_mounted(s.mnt), "umount2")
        s.ends(1, 20)
        check("The device is lost" in s.said(), s.said())


def messages_without_end_hold_nobody_up():
    with Session("device", options="grace=1").mount() as s:
        pipe = worker_pipe(s, False)
        letter = struct.pack("<i1020s", 3, b"x")  # a debugging message: it is not shown
        end = time.monotonic() + 10
        child = os.fork()
        if not child:
            while time.monotonic() < end:
                try:
                    os.write(pipe, letter)
                except BlockingIOError:
                    pass
                except BrokenPipeError:
                    break
            os._exit(0)
        os.close(pipe)
        time.sleep(0.3)
        supervisor, _ = pids(s)
        must([CTL, "status", s.mnt], 3)
        os.kill(supervisor, 15)
        try:
            s.ends(0, 5)
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)


def kind_of(what):
    for start, kind in (("/dev/null", "null"), ("/dev/fuse", "fuse"),
                        ("anon_inode:[eventfd]", "eventfd"),
                        ("anon_inode:[io_uring]", "io_uring"),
                        ("anon_inode:[eventpoll]", "eventpoll"),
                        ("pipe:", "pipe"), ("socket:", "socket"),
                        ("/run/virtiofs-vfio/", "record"),
                        ("/memfd:viofs-capture", "capture")):
        if what.startswith(start):
            return kind
    return what


def it_has_open_what_it_needs(args, options, foreground):
    """No terminal, no memory to be mapped but what a capture goes to, no control socket, nothing in
    /run but a lock that is only read."""
    lanes = 2 if "lanes=2" in options else 1
    with Session("device", args, options=options) as s:
        s.start_backend()
        if foreground:
            s.start_daemon()
        else:
            must(s.daemon_argv(False), 20, env=s.environment())
        wait_until(lambda: is_mounted(s.mnt), 10, "the mount")
        python("import os, sys; os.listdir(sys.argv[1])", s.mnt)
        supervisor, worker = pids(s)
        found = descriptors(worker)
        count = {}
        for what, flags in found.values():
            kind = kind_of(what)
            count[kind] = count.get(kind, 0) + 1
            check(kind != "pipe" or flags & O_ACCMODE == os.O_WRONLY, f"{what} can be read")
            check(kind != "record" or flags & O_ACCMODE == os.O_RDONLY, f"{what} can be written")
        check({n for n, (what, _) in found.items() if what == "/dev/null"} == {0, 1, 2}, str(found))
        eventfds, rings = count.pop("eventfd"), count.pop("io_uring")
        check(count == {"null": 3, "fuse": lanes, "eventpoll": 1, "pipe": 2, "socket": 1,
                        "record": 1, "capture": 1}, str(found))
        check(eventfds <= 20 and rings <= 12, str(found))
        must(["umount", s.mnt])
        wait_until(lambda: not os.path.exists(f"/proc/{supervisor}/exe"), 5, "the end")
        if foreground:
            s.ends(0)


KEPT = "on-loss=wait,backend-keeps-state"
KINDS = [([], ""), (["--queues", "2"], "lanes=2,queues=2"), (["--notify", "--tag", "t"], ""),
         ([], KEPT)]


def main():
    need_root()
    cases = [(f"it says: {name}", lambda c=case: lie(*c)) for name, case in LIES.items()]
    cases += [(f"it has open what it needs: {' '.join(args)} {options}, "
               f"{'-f' if foreground else 'in the background'}",
               lambda c=(args, options, foreground): it_has_open_what_it_needs(*c))
              for args, options in KINDS for foreground in (True, False)]
    run_cases(cases + named([a_failure_that_does_not_end, status_is_asked_after_a_false_loss,
                             messages_without_end_hold_nobody_up]), at_once=3)


if __name__ == "__main__":
    main()
