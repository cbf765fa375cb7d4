# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/bench library: libviofs beside the kernel's driver and ours in one guest, and natively on a
device of nothing."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from statistics import median

import bench_common as common
import bench_mount
from bench_common import DATA_MIB, VIRTIOFSD_OPTIONS, built, fail, say

DRIVERS = ("kernel", "viofs", "library")
TREE_FILES = 20000
# What is compared with what of the kernel's: reads of 1 MiB also with what the kernel's reading
# ahead makes of them.
WORKS = {"statx": "statx", "statx_polling": "statx_polling", "read4k": "read4k",
         "read1m_direct": "read1m_direct", "read1m_buffered": "read1m_buffered",
         "read1m_depth4": "read1m_buffered", "tree": "tree"}
LABELS = {"statx": "GETATTR", "statx_polling": "GETATTR, from a device that polls",
          "read4k": "4 KiB random read", "read1m_direct": "1 MiB read", "read1m_buffered":
          "1 MiB read, buffered", "read1m_depth4": "1 MiB reads, 4 in flight",
          "tree": "tree of small files",
          "null": "null request", "null_batch": "null requests, 32 in flight"}
# The library looks after the device's socket some 100 times a second: calls for a time, not for a
# request.
FEW = 0.001
# (work, figure, at least or at most, goal, aim)
GUEST_GOALS = (("statx", "ratio_to_kernel", "min", 12, 30),
               ("read4k", "ratio_to_kernel", "min", 8, 20),
               ("read1m_direct", "ratio_to_kernel", "min", 1.4, 2),
               ("statx", "p99_to_p50", "max", 3, 3),
               ("read4k", "p99_to_p50", "max", 3, 3), ("tree", "ratio_to_kernel", "min", 1, 1))
NATIVE_GOALS = (("null", "median_us", "max", 1.5, 1.5),
                ("null_batch", "ops_per_s", "min", 1e6, 1e6),
                ("null", "allocations_per_op", "max", 0, 0),
                ("null", "syscalls_per_op", "max", FEW, 0),
                ("null_batch", "allocations_per_op", "max", 0, 0),
                ("null_batch", "syscalls_per_op", "max", FEW, 0))


class Share(common.Share):
    """With a tree of small files beside the data."""

    def __init__(self, tree):
        super().__init__(entries=10)
        self.tree = tree

    def __enter__(self):
        path = super().__enter__()
        try:
            self.make_tree()
        except BaseException:
            self.remove()
            raise
        return path

    def make_tree(self):
        random.seed(1)
        for i in range(self.tree):
            folder = os.path.join(self.path, "tree", str(i % 20), str(i % 11))
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"file{i}"), "wb") as f:
                f.write(random.randbytes(int(random.expovariate(1 / 1500)) % 20000))


class Guest:
    """What the guest's part prints, as it comes."""

    def __init__(self):
        self.rounds, self.facts, self.driver = [], {}, None

    def line(self, line):
        word, _, rest = line.partition(" ")
        if line.startswith("{"):
            sample = json.loads(line)
            self.rounds[-1].setdefault(self.driver, {})[sample["work"]] = sample
        elif word == "#round":
            number, _, self.driver = rest.partition(" ")
            while len(self.rounds) < int(number):
                self.rounds.append({})
            say(f"round {number}: {self.driver}")
        elif word == "#tree":
            us = 1e6 * float(rest)
            self.rounds[-1].setdefault(self.driver, {})["tree"] = {"median_us": us, "p99_us": us,
                                                                   "p999_us": us, "cpu_us": None,
                                                                    "ops_per_s": 1e6 / us, "ops": 1}
        elif word == "#fact":
            name, _, self.facts[name] = rest.partition(" ")
        else:
            print(line, file=sys.stderr)

    def run(self, args, share):
        timeout = 180 + args.rounds * len(args.drivers) * (20 + 6 * args.seconds + args.tree / 100)
        common.run_in_guest(share, timeout, "bench_library.sh",
                            [str(args.rounds), str(args.seconds), " ".join(args.drivers),
                                                                 str(args.tree)], self.line)
        self.check(args)

    def run_polling(self, args, share):
        """What a device costs that sleeps: GETATTR once more, from one that doesn't."""
        timeout = 180 + args.rounds * len(args.drivers) * (20 + args.seconds)
        common.run_in_guest(share, timeout, "bench_library.sh",
                            [str(args.rounds), str(args.seconds), " ".join(args.drivers),
                                                                 "0", "statx_polling"], self.line,
                            backend=(built("viofs-device"), "--poll --no-cache"))
        self.check(args)

    def check(self, args):
        if len(self.rounds) != args.rounds:
            fail(f"the guest's part ended after {len(self.rounds)} rounds")


def speedup(kernel, ours, work):
    """More is better. Of 1 MiB at once what passes through counts, else the time of one."""
    if work.startswith("read1m"):
        return ours["ops_per_s"] / kernel["ops_per_s"]
    return kernel["median_us"] / ours["median_us"]


def middle(samples, name, digits=3):
    values = [s[name] for s in samples if s.get(name) is not None]
    return round(median(values), digits) if values else None


def make_row(work, driver, samples, kernels):
    figures = [s["ops_per_s"] if work.startswith("read1m") else s["median_us"] for s in samples]
    ratios = [speedup(k, s, work) for k,
              s in zip(kernels, samples)] if kernels and driver != "kernel" else []
    p99s = [k["p99_us"] / s["p99_us"] for k, s in zip(kernels, samples)
            if s["p99_us"]] if ratios else []
    row = {"work": work, "jobs": 1, "driver": driver, "channel": None,
           "poll": "busy" if driver == "library" else None,
           "ops": sum(s["ops"] for s in samples), "rounds": len(samples),
           "spread": round((max(figures) - min(figures)) / median(figures), 3), "default": True,
           "ratio_of": "ops_per_s" if work.startswith("read1m") else "median_us",
           "ratio_to_kernel": round(median(ratios), 3) if ratios else None,
           "ratio_min": round(min(ratios), 3) if ratios else None,
           "ratio_max": round(max(ratios), 3) if ratios else None,
           "p99_ratio": round(median(p99s), 3) if p99s else None}
    for name in ("median_us", "p99_us", "p999_us", "p9999_us", "cpu_us", "ops_per_s"):
        row[name] = middle(samples, name)
    row["p99_to_p50"] = round(row["p99_us"] / row["median_us"], 3) if row["median_us"] else None
    return row


def guest_rows(rounds, drivers):
    rows = []
    for work, of_kernel in WORKS.items():
        for driver in drivers:
            samples = [r[driver][work] for r in rounds if work in r.get(driver, {})]
            kernels = [r["kernel"][of_kernel] for r in rounds if of_kernel in r.get("kernel", {})]
            if samples:
                rows.append(make_row(work, driver, samples,
                                     kernels if len(kernels) == len(samples) else []))
    return rows


class Null:
    """viofs-device that has nothing to do and polls, as the back end of one run."""

    def __init__(self, cpus):
        self.work = tempfile.mkdtemp(prefix="viofs-bench-null.")
        self.socket = os.path.join(self.work, "sock")
        command = [built("viofs-device"), "--socket", self.socket, "--serve", "null", "--poll"]
        self.device = subprocess.Popen((["taskset", "-c", str(cpus[0])] if cpus else []) + command,
                                       stderr=subprocess.DEVNULL)

    def __enter__(self):
        for _ in range(1000):
            if bench_mount.is_listening(self.socket):
                return self
            time.sleep(0.01)
        return fail("viofs-device does not listen")

    def __exit__(self, *exc):
        try:
            self.device.wait(10)
        except subprocess.TimeoutExpired:
            self.device.kill()
            self.device.wait()
        shutil.rmtree(self.work, ignore_errors=True)

    def bench(self, words, before=(), env=None):
        command = [*before, built("viofs-bench"), "--json", *words, "vhost-user:" + self.socket]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False,
                              env=dict(os.environ, **(env or {})))
        if done.returncode:
            fail(f"viofs-bench ended with status {done.returncode}")
        return json.loads(done.stdout)


def pin(cpus):
    return ["taskset", "-c", str(cpus[1])] if cpus else []


def count_calls(path):
    """All system calls in a table of strace -c."""
    with open(path, encoding="utf-8") as table:
        for line in table:
            if line.rstrip().endswith(" total"):
                return int(re.split(r"\s+", line.strip())[3])
    return fail("strace's table has no total")


def count(args, words, requests):
    """(allocations, system calls besides kicks) of a run of so many requests."""
    with Null(args.cpus) as null:
        path = os.path.join(null.work, "allocations")
        null.bench([*words, "-n", str(requests)], pin(args.cpus),
                   {"LD_PRELOAD": built("count-allocations.so"), "COUNT_ALLOCATIONS": path})
        with open(path, encoding="ascii") as f:
            allocations = int(f.read())
    with Null(args.cpus) as null:
        path = os.path.join(null.work, "calls")
        row = null.bench([*words, "-n", str(requests)], ["strace", "-f", "-c", "-o", path])
        return allocations, count_calls(path) - row["kicks"]


def native_rows(args):
    rows = []
    for name, words in (("null", ["-d", "1"]), ("null_batch", ["-d", "32", "-B", "8"])):
        samples = []
        for number in range(1, args.rounds + 1):
            say(f"round {number}: {name}, native")
            with Null(args.cpus) as null:
                samples.append(null.bench([*words, "-t", str(args.seconds), "--name", name],
                                          pin(args.cpus)))
        row = make_row(name, "library", samples, [])
        few, many = 20000, 60000
        less, more = count(args, words, few), count(args, words, many)
        row["depth"] = samples[0]["depth"]
        row["kicks_per_op"] = round(sum(s["kicks"] for s in samples)
                                    / max(sum(s["ops"] for s in samples), 1), 5)
        row["allocations_per_op"] = round((more[0] - less[0]) / (many - few), 5)
        row["syscalls_per_op"] = round(max(more[1] - less[1], 0) / (many - few), 5)
        rows.append(row)
    return rows


def goals(rows, wanted):
    """Which figures are as they are wanted to be."""
    found = []
    for work, figure, how, goal, aim in wanted:
        for row in rows:
            if row["work"] == work and row["driver"] == "library" and row.get(figure) is not None:
                have = row[figure]
                found.append({"work": work, "figure": figure, "have": have, "goal": goal,
                              "aim": aim, "how": how,
                              "met": have >= goal if how == "min" else have <= goal})
    return found


def text_of(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return (f"{value:.0f}" if value >= 1000 else f"{value:.2f}" if value >= 0.01 or not value
                else f"{value:.5f}")
    return str(value)


def table(result):
    columns = ("work", "driver", "median_us", "p99_us", "p999_us", "ops_per_s", "cpu_us", "spread",
               "ratio_to_kernel",
               "p99_ratio", "p99_to_p50", "kicks_per_op", "syscalls_per_op", "allocations_per_op")
    lines = [columns] + [[LABELS.get(row["work"], row["work"]) if c == "work"
                          else text_of(row.get(c)) for c in columns]
                         for row in result["rows"]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    out = ["  ".join(v.ljust(w) if i < 2 else v.rjust(w) for i,
                     (v, w) in enumerate(zip(line, widths))).rstrip()
           for line in lines]
    for goal in result["goals"]:
        sign = "at least" if goal["how"] == "min" else "at most"
        out.append(f"{'met' if goal['met'] else 'NOT MET':8} {LABELS.get(goal['work'])}, "
                   f"{goal['figure']}: "
                   f"{text_of(goal['have'])} ({sign} {goal['goal']:g}, aim {goal['aim']:g})")
    return "\n".join(out) + "\n"


def markdown(result):
    columns = ("work", "driver", "median_us", "p99_us", "ops_per_s", "ratio_to_kernel",
               "p99_to_p50")
    out = ["| " + " | ".join(columns) + " |", "|--|--|" + "--:|" * (len(columns) - 2)]
    for row in result["rows"]:
        out.append("| " + " | ".join([LABELS.get(row["work"], row["work"])]
                                     + [text_of(row.get(c)) for c in columns[1:]]) + " |")
    return "\n".join(out) + "\n"


def cpu_pair(text):
    pair = [int(word) for word in text.split(",")]
    if len(pair) != 2:
        raise ValueError
    return pair


def parse_arguments():
    parser = common.parser_of("library", "libviofs beside the kernel's virtiofs driver and ours in "
                                         "one guest, on one "
                              "virtiofsd, and natively on a device of nothing.")
    common.output_options(parser, chart=False)
    common.effort_options(parser, None)
    parser.add_argument("--where", choices=("guest", "native", "all"), default="all",
                        help="one of the two only")
    parser.add_argument("--drivers", default=",".join(DRIVERS), metavar="LIST",
                        help="with commas (%(default)s)")
    parser.add_argument("--tree", type=int, default=TREE_FILES, metavar="N",
                        help="files of the tree; 0 = no tree (%(default)s)")
    parser.add_argument("--cpus", type=cpu_pair,
                        default=[0, 1] if (os.cpu_count() or 1) > 1 else None, metavar="A,B",
                        help="natively: the device's CPU and ours (0,1)")
    args = parser.parse_args()
    common.settle_effort(args, parser)
    args.drivers = args.drivers.split(",")
    unknown = [d for d in args.drivers if d not in DRIVERS]
    if unknown:
        parser.error(f"unknown driver {unknown[0]}")
    return args


def measure(args):
    rows, facts = [], {}
    if args.where != "native":
        guest = Guest()
        with Share(args.tree) as share:
            guest.run(args, share)
            polling = Guest()
            polling.run_polling(args, share)
        for of_one, of_other in zip(guest.rounds, polling.rounds):
            for driver, samples in of_other.items():
                of_one[driver].update(samples)
        rows += guest_rows(guest.rounds, args.drivers)
        facts = guest.facts
    if args.where != "guest":
        rows += native_rows(args)
    cpu = facts.get("cpu", "")
    return {"rows": rows, "goals": goals(rows, GUEST_GOALS) + goals(rows, NATIVE_GOALS),
            "conditions": {
        "accelerator": None if not facts else "tcg" if "TCG" in cpu else "kvm",
        "guest_kernel": facts.get("kernel"),
        "guest_cpus": int(facts.get("cpus", 0)), "host_kernel": os.uname().release,
        "host_cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0], "virtiofsd_options": VIRTIOFSD_OPTIONS,
        "share": "tmpfs", "data_mib": DATA_MIB,
        "tree_files": args.tree, "seconds_per_row": args.seconds, "rounds": args.rounds,
        "order": "alternating, every other round backwards"}}


def main():
    args = parse_arguments()
    common.deliver(args, common.outcome(args, measure), table, None, markdown)


if __name__ == "__main__":
    common.run(main)
