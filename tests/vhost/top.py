#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`viofsctl top`: on a terminal, whose screen is looked at, and in batches."""

import json
import os
import re
import signal
import subprocess
import sys

from screen import Terminal
from vhostlib import CTL, Session, check, must, named, need_root, run, run_cases, wait_until

SLOW_S = 0.02
HEAD = "   REQ/S   MIB/S      P50      P99 FLIGHT   OLDEST PARKED CPU%  MOUNT"
OPS = "OPCODE              REQ/S      P50      P90      P99    P99.9  DEV P50  DEV P99"
KEYS = "q quit; by r requests b bytes l latency i in flight o oldest c CPU n name"
LOAD = """
import os, sys
i = 0
while True:
    i += 1
    os.path.exists(os.path.join(sys.argv[1], f"none-{i}"))
"""
HAS_CURSES = os.environ["VIOFS_CURSES"] == "yes"


class Load:
    """Looks for files that aren't there, on a mount."""

    def __init__(self, s):
        self.child = subprocess.Popen([sys.executable, "-c", LOAD, s.mnt])

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.child.kill()
        self.child.wait(30)
        return False


def top(*words):
    return Terminal([CTL, "top", *words])


def seconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1}[unit]


def has(text):
    return lambda lines: any(text in line for line in lines)


def row_of(lines, word, column=0):
    return next((line.split() for line in lines if len(line.split()) > 7
                 and line.split()[column] == word), None)


def a_slow_device_shows():
    with Session().mount() as s:
        s.control(f"latency {int(SLOW_S * 1e6)}")
        with Load(s), top("--interval", "0.5") as t:
            lines = t.wait_for(lambda lines: row_of(lines, "LOOKUP"))
            check(len(lines) == 24 and max(map(len, lines)) <= 80, lines)
            check(re.fullmatch(r"viofsctl top  \d\d:\d\d:\d\d  1 mount, every 0.5 s, by requests",
                               lines[0]), lines[0])
            check(lines[1] == HEAD and 1 in t.screen.reversed_rows, lines[1])
            check(lines[6] == OPS and 6 in t.screen.reversed_rows, lines[6])
            check(lines[23] == KEYS, lines[23])
            check(lines[3] == "" and lines[4].startswith(f"{s.mnt}: "[:80]), lines[4])
            check(re.match(r"read 0\.0, written 0\.0 MiB/s; a request: \d\.\d\d kicks", lines[5]),
                  lines[5])
            row = row_of(lines, "LOOKUP")
            check(0 < float(row[1]) <= 1 / SLOW_S + 1, row)
            times = [seconds(word) for word in row[2:]]
            check(all(one >= SLOW_S for one in times), row)
            mount = lines[2].split()
            check(len(mount) == 9 and s.mnt.startswith(mount[8]) and seconds(mount[2]) >= SLOW_S,
                  mount)
            t.type("q")
            check(t.ends() == 0, "its exit status")
        s.control("latency 0")
        s.umount()


def mounts_are_sorted_and_chosen():
    with Session().mount() as s, Session().mount() as other:
        busy, idle = max(s, other, key=lambda one: one.mnt), min(s, other, key=lambda one: one.mnt)
        shown = [f"{one.mnt}: " for one in (busy, idle)]
        with Load(busy), top("--interval", "0.3") as t:
            lines = t.wait_for(lambda lines: row_of(lines, "LOOKUP") and lines[3].split()[2] == "-")
            check(lines[2].split()[8] == busy.mnt[:17] or busy.mnt.startswith(lines[2].split()[8]),
                  lines[2])
            check("2 mounts" in lines[0], lines[0])
            t.type("n")
            t.wait_for(lambda lines: "by name" in lines[0] and has(shown[1])(lines))
            t.type("\x1bOB")  # down
            t.wait_for(has(shown[0]))
            t.type("l")
            t.wait_for(lambda lines: "by latency" in lines[0] and has(shown[0])(lines))
            t.type("\x1bOB\x1bOB\x1bOB")
            t.wait_for(has(shown[1]))
            t.type("\x1bOA\x1bOA\x1bOA")
            t.wait_for(has(shown[0]))
            for key, name in (("b", "bytes"), ("i", "in-flight"), ("o", "oldest"), ("c", "cpu"),
                              ("r", "requests")):
                t.type("?" + key)
                t.wait_for(lambda lines, name=name: f"by {name}" in lines[0])
            t.type("q")
            check(t.ends() == 0, "its exit status")
        s.umount()
        other.umount()


def the_size_may_change():
    with Session().mount() as s:
        with top("--interval", "0.3") as t:
            t.wait_for(lambda lines: lines[23] == KEYS)
            for rows, columns in ((40, 132), (10, 60), (3, 20), (1, 5), (24, 80)):
                t.resize(rows, columns)
                t.wait_for(lambda lines, columns=columns:
                           lines[0].startswith("viofsctl top"[:columns]))
                if rows > 1:
                    t.wait_for(lambda lines, rows=rows, columns=columns:
                               lines[rows - 1] == KEYS[:columns].rstrip())
            t.type("q")
            check(t.ends() == 0, "its exit status")
        s.umount()


def a_mount_comes_and_goes():
    with Session() as s, top("--interval", "0.3") as t:
        t.wait_for(has("0 mounts"))
        s.mount()
        t.wait_for(has("1 mount,"))
        s.umount()
        t.wait_for(has("0 mounts"))
        t.type("q")
        check(t.ends() == 0, "its exit status")


def a_daemon_that_hangs_holds_up_no_key():
    with Session().mount() as s:
        with top("--interval", "0.3") as t:
            t.wait_for(has(s.mnt[:10]))
            s.daemon.send_signal(signal.SIGSTOP)
            try:
                t.type("n")
                t.wait_for(has("by name"))
                t.wait_for(has("timed out"))
                t.type("q")
                check(t.ends() == 0, "its exit status")
            finally:
                s.daemon.send_signal(signal.SIGCONT)
        s.umount()


def a_signal_leaves_the_terminal_as_it_was():
    for number in (signal.SIGTERM, signal.SIGINT):
        with top() as t:
            t.wait_for(lambda lines: lines[23] == KEYS)
            t.child.send_signal(number)
            check(t.ends() is not None, "it has not ended")
            done = subprocess.run(["stty", "-a"], stdin=t.slave, capture_output=True, text=True,
                                  timeout=30, check=True)
            check(re.search(r"(?<!-)\becho\b", done.stdout) and " icanon" in done.stdout,
                  done.stdout)


def a_terminal_that_nobody_knows_is_refused():
    with Terminal([CTL, "top"], term="no-such-terminal") as t:
        check(t.ends() == 1, "its exit status")
        t.wait_for(has("--batch"))


def without_ncurses_it_says_so():
    with top() as t:
        check(t.ends() == 1, "its exit status")
        t.wait_for(has("built without ncurses"))


def batch(*words):
    return must([CTL, "top", "--batch", "--interval", "0.5", *words], 60)


def batches_are_for_logs():
    with Session().mount() as s:
        with Load(s):
            # Where others want the CPU, half a second may go by with no request.
            frames = wait_until(lambda: [frame for frame in batch("-n", "2", s.mnt)
                                         .split("viofsctl top  ")[1:] if "\nLOOKUP " in frame],
                                120, "a frame with requests")
            for frame in frames:
                check(not re.search(r"[^ -~\n]", frame), frame)
                check(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  1 mount", frame), frame)
                lines = frame.splitlines()
                check(lines[1] == HEAD and lines[2].endswith("  " + s.mnt), frame)
                check(float(row_of(lines, "LOOKUP")[1]) > 0, frame)
        s.umount()


def batches_are_for_programs():
    with Session().mount() as s:
        with Load(s):
            before = json.loads(must([CTL, "status", "--json", s.mnt]))
            lines = batch("--json", "-n", "3").splitlines()
            after = json.loads(must([CTL, "status", "--json", s.mnt]))
            check(len(lines) == 3, lines)
            told = [json.loads(line)["mounts"][0] for line in lines]
            check(all(one["mountpoint"] == s.mnt for one in told), told)
            # Frames lie within that time. Numbers have 6 digits.
            most = after["counts"]["replies"] - before["counts"]["replies"]
            for one in told:
                of_ops = sum(op["per_s"] for op in one["ops"])
                check(max(of_ops, one["per_s"]) * one["interval_s"] <= most * 1.001 + 1,
                      (told, most))
        s.umount()


def wrong_words_are_refused():
    for words, says in ((["-n", "0"], "-n takes"), (["-n", "x", "--batch"], "-n takes"),
                        (["--interval", "0"], "--interval takes"), (["-n", "1"], "--batch"),
                        (["--interval", "nan"], "--interval takes"),
                        (["--sort", "size"], "--sort takes"), (["--json"], "--batch"),
                        (["--sort"], "--sort"), (["a", "b"], "Too many")):
        status, out = run([CTL, "top", *words])
        check(status == 2 and says in out, f"{words}: {status}: {out}")
    status, out = run([CTL, "list", "--batch"])
    check(status == 2 and "does not go with" in out, out)
    status, out = run([CTL, "top", "--batch", "/nix"])
    check(status == 1 and "/nix" in out, out)
    if HAS_CURSES:
        status, out = run([CTL, "top"], stdin=subprocess.DEVNULL)
        check(status == 1 and "--batch" in out, out)


def main():
    need_root()
    on_screen = [a_slow_device_shows, mounts_are_sorted_and_chosen, the_size_may_change,
                 a_mount_comes_and_goes, a_daemon_that_hangs_holds_up_no_key,
                 a_signal_leaves_the_terminal_as_it_was, a_terminal_that_nobody_knows_is_refused]
    if not HAS_CURSES:
        on_screen = [without_ncurses_it_says_so]
    run_cases(named(on_screen + [batches_are_for_logs, batches_are_for_programs,
                                 wrong_words_are_refused]))


if __name__ == "__main__":
    main()
