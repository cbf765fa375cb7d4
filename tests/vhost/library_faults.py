#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a device does wrong, with a program that uses libviofs: an error in bounded time, never a
crash."""

import os
import subprocess
import threading
import time

from misbehaviour import INIT_TABLE, TABLE
from vhostlib import Session, check, named, run_cases

VICTIM = os.environ["VIOFS_VICTIM"]


class Victim:
    """The program, which takes orders."""

    def __init__(self, session, *args):
        self.p = subprocess.Popen([VICTIM, "vhost-user:" + session.socket, *args],
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, env=session.environment(), text=True)
        self.opened = self.answer()

    def answer(self):
        """(number, text)"""
        line = self.p.stdout.readline()
        check(line, f"the program is gone: {self.p.poll()}")
        number, _, text = line.strip().partition(" ")
        return int(number), text

    def do(self, order, seconds=6):
        """An order's answer, in bounded time."""
        start = time.monotonic()
        self.p.stdin.write(order + "\n")
        self.p.stdin.flush()
        got = self.answer()
        took = time.monotonic() - start
        check(took < seconds, f"{order} took {took:.1f} s")
        return got

    def end(self):
        """It must end, and well."""
        self.p.stdin.close()
        check(self.p.wait(10) == 0, f"the program ended with {self.p.returncode}")


ORDERS = {"LOOKUP": "stat file", "READ": "read file", "OPEN": "read file"}


def case(kind, opcode, end, said):
    """One line of the daemon's table."""
    with Session("device", ["--no-cache"]) as s:
        s.start_backend()
        v = Victim(s)
        check(v.opened[0] == 0, v.opened[1])
        check(v.do("write file some")[0] > 0, "the file could not be written")
        s.control(f"evil {kind}@{opcode}" + ("" if end.startswith(("fatal", "lost")) else "*"))
        got, text = v.do(ORDERS[opcode])
        if end.endswith("-after"):
            # The second lie is met with a later request.
            for _ in range(3):
                got, text = v.do(ORDERS[opcode]) if got >= 0 else (got, text)
        if end == "harmless":
            check(got >= 0, f"{got} {text}")
        elif end == "denied":
            check(got == -13, f"{got} {text}")
        elif end.startswith(("fatal", "lost")):
            check(got < 0 and text.startswith("failed: "), f"{got} {text}")
            check(v.do("stat file")[0] < 0, "a failed device still answers")
        else:
            check(got == -5, f"{got} {text}")
        if not end.startswith("fatal") and not end.startswith("lost"):
            s.control("good")
            check(v.do(ORDERS[opcode])[0] >= 0, "the next request fails too")
            if end == "refused" and said:
                check(said in text or "reply header" in text, f"'{said}' is not in: {text}")
        elif said:
            check(said.rstrip(": ") in text or "device" in text, text)
        v.end()


def init_case(args, works, said):
    """One line of the daemon's table for INIT."""
    with Session("device", args + ["--no-cache"]) as s:
        s.start_backend()
        v = Victim(s, "1000")
        check((v.opened[0] == 0) == works, f"{v.opened}")
        if works:
            check(v.do("write file abc")[0] > 0 and v.do("read file")[0] > 0, "no data")
            v.end()
        else:
            check(said in v.opened[1], f"'{said}' is not in: {v.opened[1]}")
            check(v.p.wait(10) == 0, "it did not end well")


def a_device_that_falls_silent_is_an_error_after_the_time_out():
    with Session("device", ["--no-cache"]) as s:
        s.start_backend()
        v = Victim(s)
        check(v.do("write file abc")[0] > 0, "no data")
        s.control("silent")
        got, text = v.do("stat file", 4)  # the time-out is 2 s, and nobody waits for the reset
        check(got < 0 and "has not answered" in text, f"{got} {text}")
        v.end()


def an_event_loop_hears_of_a_device_that_falls_silent():
    with Session("device", ["--no-cache"]) as s:
        s.start_backend()
        v = Victim(s)
        check(v.do("write file abc")[0] > 0, "no data")
        check(v.do("loop file")[0] == 0, "no stat")
        s.control("silent")
        got, text = v.do("loop file", 4)
        check(got < 0 and "has not answered" in text, f"{got} {text}")
        v.end()


def an_event_loop_hears_of_a_device_that_is_killed():
    """While it sleeps, and long before the time-out."""
    with Session("device", ["--no-cache"]) as s:
        s.start_backend()
        v = Victim(s)
        check(v.do("write file abc")[0] > 0, "no data")
        s.control("silent")
        killer = threading.Timer(0.5, s.kill_backend)
        killer.start()
        got, text = v.do("loop file", 1.5)
        killer.join()
        check(got < 0 and "closed its socket" in text, f"{got} {text}")
        v.end()


def a_device_that_is_killed_is_an_error_at_once():
    with Session("device", ["--no-cache"]) as s:
        s.start_backend()
        v = Victim(s)
        s.kill_backend()
        got, text = v.do("stat file", 2)
        check(got < 0 and "closed its socket" in text, f"{got} {text}")
        v.end()


def what_was_begun_when_the_device_goes_is_freed():
    """The paths are known, so it is OPEN and OPENDIR that can't be sent; the program is checked for
    leaks."""
    with Session("device", ["--cache", "60"]) as s:
        s.start_backend()
        v = Victim(s)
        check(v.do("write file abc")[0] > 0, "no data")
        s.kill_backend()
        for order in ("read file", "list") * 2:
            check(v.do(order, 2)[0] < 0, f"{order} without a device")
        v.end()


def entries_that_make_no_sense_are_refused():
    with Session("device", ["--no-cache"]) as s:
        s.start_backend()
        v = Victim(s)
        check(v.do("write file abc")[0] > 0, "no data")
        for kind in ("len-short", "payload-short", "error-positive", "used-len-short"):
            s.control(f"evil {kind}@READDIRPLUS")
            v.do("list")
        s.control("good")
        check(v.do("list")[0] >= 1, "the folder can't be read any more")
        v.end()


def no_byte_that_was_not_written_reaches_the_program():
    """READ replies that are shorter than what they say: never a byte of an earlier reply."""
    for kind in ("used-len-room", "used-len-short", "used-len-zero", "payload-none"):
        with Session("device", []) as s:
            s.start_backend()
            v = Victim(s)
            check(v.do("write secret secret")[0] > 0 and v.do("write mine x")[0] > 0, "no data")
            check(v.do("read secret")[0] > 0, "no data")
            s.control(f"evil {kind}@READ*")
            check(v.do("read mine")[0] != -74, "leaked")
            v.end()


def kick_eventfds_that_are_full_and_block():
    """Who writes to one waits for ever. The program kicks all the same, and is answered."""
    with Session("device", ["--no-cache"]) as s:
        s.start_backend()
        v = Victim(s)
        check(v.do("write file abc")[0] > 0, "no data")
        check(s.control("kicks-full") == "ok", "the device could not do it")
        for _ in range(20):
            check(v.do("read file", 2)[0] > 0, "no data")
        v.end()


def main():
    cases = [(f"{kind} at {opcode}: {end}", lambda a=(kind, opcode, end, said): case(*a))
             for kind, opcode, end, said in TABLE]
    cases += [(f"INIT {' '.join(args)}: {'works' if works else 'is refused'}",
               lambda a=(args, works, said): init_case(*a)) for args, works, said in INIT_TABLE]
    cases += named([a_device_that_falls_silent_is_an_error_after_the_time_out,
                    an_event_loop_hears_of_a_device_that_falls_silent,
                    an_event_loop_hears_of_a_device_that_is_killed,
                    a_device_that_is_killed_is_an_error_at_once,
                    what_was_begun_when_the_device_goes_is_freed,
                    entries_that_make_no_sense_are_refused, kick_eventfds_that_are_full_and_block,
                    no_byte_that_was_not_written_reaches_the_program])
    run_cases(cases, at_once=2)


if __name__ == "__main__":
    main()
