# SPDX-License-Identifier: GPL-2.0-or-later
"""A back end that abuses what it shares with the daemon: eventfds, and the memory they work in."""

import json
import socket
import time

from vhostlib import CTL, Session, check, must, named, need_root, python, run, run_cases

# The daemon has these pages where it gets them.
PAGES = (("no-hugepages", 4096), ("", 2 << 20))


def order(session, line):
    """An order that may fail: what the device answers."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(session.control_path)
        s.sendall(line.encode() + b"\n")
        return s.recv(100).decode().strip()


def do(session, line):
    check(order(session, line) == "ok", f"the device could not do {line}")


def works(session):
    """Requests of all sizes, none of which waits for a second look."""
    start = time.monotonic()
    python("import os, sys\n"
           "for i in range(50):\n"
           " with open(sys.argv[1] + f'/f{i}', 'wb') as f: f.write(b'x' * 100000)\n"
           " assert os.stat(f.name).st_size == 100000\n"
           " assert open(f.name, 'rb').read() == b'x' * 100000\n", session.mnt, timeout=10)
    check(time.monotonic() - start < 3, f"it took {time.monotonic() - start:.1f} s")


def page_size(session):
    return json.loads(must([CTL, "status", "--json", session.mnt]))["dma_memory"]["page_size"]


def kick_eventfds_that_are_full_and_block():
    """Who writes to one waits for ever. Nobody does."""
    with Session(backend_args=["--no-cache"], options="poll=irq").mount() as s:
        do(s, "kicks-full")
        works(s)
        s.umount(5)


def an_error_of_a_virtqueue():
    """VRING_ERR: the device is lost, at once, with a reason."""
    with Session(options="poll=irq").mount() as s:
        do(s, "error")
        s.is_lost("reports an error of a virtqueue")


def an_err_eventfd_that_blocks():
    """Who reads it waits for ever: under load, idle, and at the end."""
    with Session(backend_args=["--no-cache"], options="poll=irq").mount() as s:
        do(s, "error-block")
        works(s)
        time.sleep(0.2)
        works(s)
        s.umount(5)


def call_eventfds_that_do_not_block():
    """A read of one waits no more: it costs CPU time, and requests go on."""
    with Session(backend_args=["--no-cache"], options="poll=irq").mount() as s:
        do(s, "calls-nonblock")
        works(s)
        s.umount(5)


def memory_keeps_its_size():
    """Cut short, it would have the daemon killed."""
    for options, _ in PAGES:
        with Session(options=options).mount() as s:
            for what in ("cut", "grow", "seal"):
                check(order(s, what) == "failed", f"the device was let do: {what}")
            works(s)
            s.umount()


def hugepages_can_be_had():
    """By the pool, or by a limit that somebody else has raised; what we raise is put back."""
    with open("/proc/sys/vm/nr_overcommit_hugepages", encoding="ascii") as limit:
        if int(limit.read()):
            return True
    with open("/proc/meminfo", encoding="ascii") as f:
        return any(line.startswith("HugePages_Free:") and int(line.split()[1]) for line in f)


def holes(options):
    """All pages are given back to the system: the session ends, and says why."""
    with Session(backend_args=["--no-cache"], options=options).mount() as s:
        works(s)
        got = page_size(s)
        refilled = got == 4096 or hugepages_can_be_had()
        do(s, "punch")
        start = time.monotonic()
        status, out = run(["stat", s.path("f0")], 8)
        check(status, f"stat of a file behind lost memory: {status} {out}")
        s.ends(1, 5)
        check(time.monotonic() - start < 5, "too late")
        said = s.said()
    if refilled:
        check("the session failed: virtqueue 1: used.idx" in said, said)
    else:
        check("SIGBUS" in said and "holes" in said, said)
    return got


def holes_in_small_pages():
    """They read as zeros, so the ring makes no sense."""
    holes(PAGES[0][0])


def holes_in_hugepages():
    """There may be none to fill them with: the kernel kills who looks, successors too, and the
    supervisor says so."""
    if holes(PAGES[1][0]) != PAGES[1][1]:
        print("# no hugepages were to be had")


def main():
    need_root()
    run_cases(named([
        kick_eventfds_that_are_full_and_block, an_error_of_a_virtqueue, an_err_eventfd_that_blocks,
        call_eventfds_that_do_not_block, memory_keeps_its_size, holes_in_small_pages,
        holes_in_hugepages,
    ]))


if __name__ == "__main__":
    main()
