#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How long requests take, as `viofsctl status --latency` tells it, of a device whose time is
known."""

import json
import os

from vhostlib import CTL, Session, check, must, named, need_root, run, run_cases

SLOW_S = 0.02
STEP = 1 + 1 / 16


def times(s, *more):
    """{opcode: {device, total}} of the mount."""
    answer = json.loads(must([CTL, "status", "--latency", "--json", *more, s.mnt]))
    check(answer["mountpoint"] == s.mnt, answer["mountpoint"])
    return {one["op"]: one for one in answer["latency"]}


def stat_slowly(s, count):
    s.control(f"latency {int(SLOW_S * 1e6)}")
    for i in range(count):
        check(not os.path.exists(s.path(f"none-{os.getpid()}-{i}")), "there is such a file")
    s.control("latency 0")


def each_request_is_counted_with_the_time_that_the_device_took():
    with Session().mount() as s:
        before = times(s).get("LOOKUP", {"device": {"count": 0}})["device"]["count"]
        stat_slowly(s, 5)
        lookup = times(s)["LOOKUP"]
        for what in ("device", "total"):
            check(lookup[what]["count"] == before + 5, lookup[what])
            check(sum(count for _, count in lookup[what]["steps"]) == before + 5, lookup[what])
            check(lookup[what]["max"] >= lookup[what]["p99"] >= lookup[what]["p90"]
                  >= lookup[what]["p50"], lookup[what])
            check(5 * SLOW_S * 0.99 < lookup[what]["sum_s"] < 5 * SLOW_S + 5, lookup[what])
        check(lookup["device"]["max"] >= SLOW_S, lookup)
        check(lookup["total"]["sum_s"] >= lookup["device"]["sum_s"], lookup)
        slow = [end for end, _ in lookup["device"]["steps"] if end >= SLOW_S]
        check(slow and all(end / STEP > SLOW_S * 0.9 for end in slow), slow)
        s.umount()


def since_tells_what_came_after_the_last_look():
    with Session().mount() as s:
        stat_slowly(s, 2)
        check(times(s, "--since")["LOOKUP"]["total"]["count"] >= 2, "the first look has all")
        check("LOOKUP" not in times(s, "--since"), "nothing came since")
        check(times(s)["LOOKUP"]["total"]["count"] >= 2, "a look without --since has all")
        stat_slowly(s, 3)
        new = times(s, "--since")["LOOKUP"]["device"]
        check(new["count"] == 3 and new["p50"] >= SLOW_S, new)
        s.umount()


def the_table_has_microseconds():
    with Session().mount() as s:
        stat_slowly(s, 1)
        lines = must([CTL, "status", "--latency", s.mnt]).splitlines()
        check(lines[0].endswith(f" on {s.mnt}"), lines[0])
        check(lines[1].split()[-5:] == ["p50", "p90", "p99", "p99.9", "max"], lines[1])
        row = next(line.split() for line in lines if line.split()[0] == "LOOKUP")
        check(row[1:4] == ["in", "the", "device"] and float(row[-1]) >= SLOW_S * 1e6, row)
        s.umount()


def a_wrong_command_line_is_refused():
    for words in (["list", "--latency"], ["status", "--since"],
                  ["abort", "/", "--latency", "--since"]):
        status, out = run([CTL, *words])
        check(status == 2, out)
        check("does not go with" in out or "--since lacks --latency" in out, out)


def main():
    need_root()
    run_cases(named([
        each_request_is_counted_with_the_time_that_the_device_took,
        since_tells_what_came_after_the_last_look,
        the_table_has_microseconds, a_wrong_command_line_is_refused,
    ]))


if __name__ == "__main__":
    main()
