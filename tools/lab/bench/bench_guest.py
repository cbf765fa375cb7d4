# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/bench guest: runs both drivers in turns in one guest and reports how they compare."""

import json
import os
import sys

import bench_common as common
import bench_goals
import bench_report
import bench_stats
from bench_common import built, fail, say

# how many jobs, where not told; one for all others
JOBS = {"statx": (1, 4, 16), "open_close": (1,), "create_unlink": (1,), "readdir": (1,),
        "read4k": (1, 4, 16),
        "write4k": (1, 4, 16), "read1m_direct": (1,), "write1m_direct": (1,),
        "read1m_buffered": (1,),
        "write1m_buffered": (1,), "statx_after_10ms": (1,)}
DRIVERS = ("default", "irq", "uring")
ALL_DRIVERS = ("default", "auto", "dev", "dev:busy", "dev:irq", "uring", "uring:busy", "uring:irq")
# boot, mounts, warming up and settling, beside the measured seconds
BASE_TIMEOUT_S = 120
BOOT_S = 25
MOUNT_S = 3
ROW_S = 0.35


class Session:
    """What the guest's part prints, as it comes."""

    def __init__(self, rounds, variants):
        self.wanted = rounds
        self.names = list(variants)
        self.rounds = []
        self.facts = {}
        self.idle = {}
        self.status = {}
        self.left_out = {}
        self.variant = None

    def line(self, line):
        if line.startswith("{"):
            sample = json.loads(line)
            self.rounds[-1].setdefault(self.variant, {})[sample["work"], sample["jobs"]] = sample
            return
        word, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        if word == "#round":
            self.variant = value
            while len(self.rounds) < int(name):
                self.rounds.append({})
            say(f"round {name} of {self.wanted}: {value}")
        elif word == "#fact":
            self.facts[name] = value
        elif word == "#idle":
            self.idle[name] = json.loads(value)
        elif word == "#status":
            self.status[name] = json.loads(value)
        elif word == "#left_out":
            self.left_out[name] = value
            self.names.remove(name)
            say(f"{name} is left out: {value}")
        else:
            print(line, file=sys.stderr)

    def check(self, rows):
        if len(self.rounds) != self.wanted:
            fail(f"{len(self.rounds)} of {self.wanted} rounds were run")
        for number, measured in enumerate(self.rounds, 1):
            for name in self.names:
                missing = set(rows) - set(measured.get(name, {}))
                if missing:
                    fail(f"round {number}, {name}: no figures for {sorted(missing)}")


def measured_seconds(args):
    """A round of one variant; think time takes twice as long, warming up a fifth."""
    return sum(1.2 * args.seconds * (2 if work == "statx_after_10ms" else 1) + ROW_S for work,
               _ in args.rows)


def expected_seconds(args):
    mounts = args.rounds * len(args.variants)
    return BOOT_S + 15 * len(args.idle) + mounts * (MOUNT_S + measured_seconds(args))


def run_guest(args, session):
    timeout = BASE_TIMEOUT_S + 2 * expected_seconds(args) + 30 * args.rounds * len(args.variants)
    rows = " ".join(f"{work}:{jobs}" for work, jobs in args.rows)
    options = ["--put", built("viofs-bench-daemon")]
    options += ["--kernel", args.kernel] if args.kernel else []
    with common.Share() as share:
        common.run_in_guest(share, timeout, "bench_guest.sh",
                            [str(args.rounds), str(args.seconds), " ".join(args.variants),
                                                               rows, " ".join(args.idle)],
                            session.line, options)
    session.check(args.rows)


def variant_info(name, session):
    """How a variant is called in the rows: the channel and poll mode that it had, whatever it asked
    for."""
    if name == "kernel":
        return {"name": name, "variant": name, "driver": "kernel", "channel": None, "poll": None,
                "default": False,
                "reference": "kernel"}
    status = session.status[name]
    return {"name": name, "variant": name, "driver": "viofs", "channel": status["channel"],
            "poll": status["poll"],
            "default": name == "default", "reference": "kernel"}


def conditions(args, session, others):
    cpu = session.facts.get("cpu", "")
    out = {
        "accelerator": "tcg" if "TCG" in cpu else "kvm",
        "guest_kernel": session.facts.get("kernel"),
        "guest_cpus": int(session.facts.get("cpus", 0)),
        "guest_memory_mib": int(session.facts.get("memory_kib", 0)) // 1024,
        "guest_clocksource": session.facts.get("clocksource"),
        "enable_uring": session.facts.get("enable_uring"),
        "host_cpus": os.cpu_count(),
        "host_cpu_of_others": others,
        "qemu": common.output_of("qemu-system-x86_64", "--version"),
        "virtiofsd": common.output_of(os.path.join(common.BUILD,
                                                   "guest/download/trixie/virtiofsd/run"),
                                      "--version"),
        "virtiofsd_options": common.VIRTIOFSD_OPTIONS,
        "share": "tmpfs",
        "data_mib": common.DATA_MIB,
        "directory_entries": common.ENTRIES,
        "seconds_per_row": args.seconds,
        "rounds": args.rounds,
        "order": "alternating, every other round backwards",
        "daemon_version": common.output_of(built("virtiofs-vfio"), "--version"),
        "left_out": session.left_out,
        "idle": session.idle,
    }
    if "default" in session.idle:
        out["daemon_idle"] = session.idle["default"]
    return out


def parse_arguments():
    parser = common.parser_of("guest", "Boots one guest and measures the kernel's virtiofs driver "
                                       "and ours in turns, "
                              "on the same virtiofsd.")
    common.output_options(parser)
    common.effort_options(parser, "all variants, and 1, 4 and 16 jobs of everything (about 45 "
                                  "minutes)")
    parser.add_argument("--work", "--rows", metavar="LIST", help="work[:jobs] with commas (all)")
    parser.add_argument("--jobs", type=common.number_list, metavar="LIST",
                        help="jobs for each work (1,4,16 for statx and 4 KiB, else 1)")
    parser.add_argument("--driver", "--variants", dest="variants", metavar="LIST",
                        help="beside the kernel's: default, a channel (auto, uring, dev), a poll "
                             "mode (adaptive, busy, "
                        f"irq), or both as in uring:busy ({','.join(DRIVERS)})")
    parser.add_argument("--kernel", metavar="NAME", help="the guest's kernel, as tools/vm calls it")
    args = parser.parse_args()
    common.settle_effort(args, parser)
    if args.full and not args.jobs:
        args.jobs = [1, 4, 16]
    every = ALL_DRIVERS if args.full else DRIVERS
    variants = args.variants.split(",") if args.variants else list(every)
    args.variants = ["kernel"]
    for name in variants:
        if name == "kernel":
            continue
        try:
            common.variant_words(name)
        except ValueError as error:
            parser.error(str(error))
        args.variants.append(name)
    args.rows = common.work_rows(args, parser, bench_report.LABELS, JOBS)
    # what an idle mount takes is of interest where it may be nothing
    args.idle = [] if args.quick else [name for name in args.variants if name in ("default", "irq")]
    return args


def measure(args):
    say(f"this takes about {common.duration(expected_seconds(args))} once everything is fetched "
        "and built")
    host = common.HostCpu()
    session = Session(args.rounds, args.variants)
    run_guest(args, session)
    variants = [variant_info(name, session) for name in session.names]
    result = {"rows": bench_stats.summarize(session.rounds, variants),
              "conditions": conditions(args, session, host.warn())}
    result["goals"] = bench_goals.guest(result)
    return result


def chart(result):
    return bench_report.chart(result["rows"], "virtiofs-vfio against the kernel's virtiofs, same "
                                              "guest and virtiofsd",
                              "times as fast as the kernel's virtiofs driver (more is better)")


def main():
    args = parse_arguments()
    result = common.outcome(args, measure)
    common.deliver(args, result, bench_report.whole_table, chart,
                   lambda r: bench_report.markdown(r["rows"]))


if __name__ == "__main__":
    common.run(main)
