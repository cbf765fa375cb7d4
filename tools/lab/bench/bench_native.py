# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/bench native: our relay over vhost-user on this machine, beside libfuse's own file
systems."""

import json
import os
import subprocess

import bench_common as common
import bench_goals
import bench_mount
import bench_report
import bench_stats
from bench_common import built, fail, say

JOBS = {"statx": (1, 4, 16), "open_close": (1,), "create_unlink": (1,), "readdir": (1,),
        "read4k": (1, 4, 16),
        "write4k": (1, 4, 16), "read1m_direct": (1,), "write1m_direct": (1,),
        "read1m_buffered": (1,),
        "write1m_buffered": (1,), "statx_after_10ms": (1,)}
# what a server of nothing can do
NULL_WORK = ("statx", "read4k", "write4k", "read1m_direct", "write1m_direct", "statx_after_10ms")
BACKENDS = ("virtiofsd", "virtiofsd-c", "null-device")
PEERS = ("passthrough_hp", "null")
DRIVERS = ("virtiofsd", "virtiofsd:uring", "passthrough_hp:dev", "passthrough_hp:uring",
           "null-device", "null-device:uring", "null:dev", "null:uring")
MORE_DRIVERS = ("virtiofsd:auto", "virtiofsd:dev:busy", "virtiofsd:dev:irq", "virtiofsd:uring:busy",
                "virtiofsd:uring:irq", "virtiofsd-c", "virtiofsd-c:uring", "null-device:auto",
                "null-device:dev:busy", "null-device:dev:irq", "null-device:uring:busy",
                "null-device:uring:irq")
SIDES = ("callers", "server", "backend")
MOUNT_S = 0.6
ROW_S = 0.2


def has_channel_option():
    done = subprocess.run([built("virtiofs-vfio"), "--help"], capture_output=True, text=True,
                          check=False)
    return "channel=" in done.stdout


class Variant:
    """A server to be measured: SERVER[:CHANNEL][:POLL]"""

    def __init__(self, name):
        self.name = name
        self.server, *words = name.split(":")
        self.cpus = sorted(os.sched_getaffinity(0)) if "per-cpu" in words else []
        if self.cpus and self.server != "null-device":
            raise ValueError(f"only null-device has a queue for each CPU: {name}")
        words = ":".join(word for word in words if word != "per-cpu")
        self.channel, self.poll = common.variant_words(words) if words else (None, None)
        if self.server not in BACKENDS + PEERS:
            raise ValueError(f"unknown server {self.server}")
        if self.server in PEERS and (self.poll or self.channel == "auto"):
            raise ValueError(f"{self.server} has no such choice: {name}")
        self.is_ours = self.server in BACKENDS
        self.is_null = self.server in ("null", "null-device")
        if not self.is_ours:
            self.channel = self.channel or "dev"
        self.status = {}

    def wants_uring(self):
        return self.channel in ("uring", "auto")

    def options(self):
        out = []
        if self.channel and has_channel_option():
            out.append(f"channel={self.channel}")
        elif self.wants_uring():
            raise bench_mount.NotHere("this virtiofs-vfio has no channel= option")
        if self.cpus:
            count = len(self.cpus)
            out += [f"lanes={count}", f"queues={count}",
                    "cpus=" + ":".join(str(cpu) for cpu in self.cpus)]
        return out + ([f"poll={self.poll}"] if self.poll else [])

    def mount(self, share, cached=True):
        if self.is_ours:
            backend = ["--queues", str(len(self.cpus))] if self.cpus else []
            return bench_mount.Relay(self.server, share, self.options(), backend)
        if self.server == "null":
            return bench_mount.Null(self.channel)
        return bench_mount.PassthroughHp(share, self.channel, cached)

    def check_again(self, mount):
        """The switch for io_uring is the whole machine's: is it what it was?"""
        if self.is_ours and mount.status["channel"] != self.status["channel"]:
            fail(f"{self.name} had the channel {self.status['channel']} and now has "
                 f"{mount.status['channel']}: "
                 f"has somebody written to {common.ENABLE_URING} meanwhile?")

    def check(self, share):
        """Once, to see that it can be had and what it is. NotHere."""
        with self.mount(share) as mount:
            if self.is_ours:
                self.status = mount.status
                if self.channel == "uring" and self.status["channel"] != "uring":
                    raise bench_mount.NotHere("the mount came up without io_uring")
                if self.cpus and self.status["lanes"] != len(self.cpus):
                    raise bench_mount.NotHere(
                        f"the mount came up with {self.status['lanes']} lanes")

    def groups(self, rows):
        """[(cached, rows)]: the rows, by how passthrough_hp has to be mounted for them.

        It caches names and attributes for ever, so that a forced statx is one GETATTR as with us,
        but then also collects writes in the page cache. So where the page cache counts, it caches
        nothing.
        """
        rows = [row for row in rows if not self.is_null or row[0] in NULL_WORK]
        if self.server != "passthrough_hp":
            return [(True, rows)]
        plain = [row for row in rows if not row[0].endswith("_buffered")]
        buffered = [row for row in rows if row[0].endswith("_buffered")]
        return [group for group in ((True, plain), (False, buffered)) if group[1]]

    def info(self, names):
        """How it is called in the rows."""
        if self.is_ours:
            channel = self.status["channel"]
            peer = ("null:" if self.is_null else "passthrough_hp:") + channel
            return {"name": self.name, "variant": self.name, "driver": "viofs",
                    "backend": self.server,
                    "channel": channel, "poll": self.status["poll"],
                    "default": self.name == self.server,
                    "per_cpu": bool(self.cpus) or None,
                    "reference": peer if peer in names else None}
        return {"name": self.name, "variant": self.name, "driver": self.server, "backend": None,
                "channel": self.channel, "poll": None, "default": False}


def pin(pids, cpus):
    for pid in pids:
        for tid in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(tid), cpus)


def ops_command(mount, args, rows):
    command = [built("viofs-bench-ops"), "--dir", mount.dir, "--seconds", str(args.seconds),
               "--size",
               str(args.data_mib << 20), "--entries", str(args.entries), "--drop-caches"]
    for side, pids in mount.sides().items():
        command += ["--watch", f"{side}=" + "+".join(str(pid) for pid in pids)]
    return command + [f"{work}:{jobs}" for work, jobs in rows]


def run_rows(mount, args, rows):
    """{(work, jobs): sample}"""
    for side, pids in mount.sides().items():
        if side in args.pin:
            pin(pids, args.pin[side])
    command = ops_command(mount, args, rows)
    if "callers" in args.pin:
        command = ["taskset", "-c", ",".join(str(cpu) for cpu in args.pin["callers"])] + command
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode:
        fail(f"the work ended with status {done.returncode}; {mount.said()}")
    samples = [json.loads(line) for line in done.stdout.splitlines()]
    return {(sample["work"], sample["jobs"]): sample for sample in samples}


def usable(args, share, switch):
    """The variants that can be had here, and why the others can't."""
    variants, left_out = [], {}
    for variant in args.variants:
        try:
            switch.set(variant.wants_uring())
            variant.check(share)
            variants.append(variant)
        except bench_mount.NotHere as error:
            # io_uring, and others' programs, may be missing; ours over /dev/fuse may not
            if variant.is_ours and not variant.wants_uring() and variant.server != "virtiofsd-c":
                fail(f"{variant.name}: {error}")
            left_out[variant.name] = str(error)
            say(f"{variant.name} is left out: {error}")
    return variants, left_out


def measure_rounds(args, share, switch, variants):
    rounds = []
    for number in range(1, args.rounds + 1):
        measured = {}
        # ABBA: every other round goes backwards, so that drift hits all alike
        for variant in variants if number % 2 else reversed(variants):
            say(f"round {number} of {args.rounds}: {variant.name}")
            switch.set(variant.wants_uring())
            samples = {}
            for cached, rows in variant.groups(args.rows):
                with variant.mount(share, cached) as mount:
                    variant.check_again(mount)
                    samples.update(run_rows(mount, args, rows))
            measured[variant.name] = samples
        rounds.append(measured)
    return rounds


def conditions(args, switch, left_out, others):
    return {
        "kernel": os.uname().release,
        "cpus": os.cpu_count(),
        "cpu_of_others": others,
        "enable_uring": switch.before,
        "libfuse": common.output_of("pkg-config", "--modversion",
                                    os.path.join(common.BUILD, "libfuse/meson-private/fuse3.pc")),
        "virtiofsd": common.output_of(bench_mount.rust_virtiofsd(), "--version"),
        "virtiofsd_options": "--cache auto --allow-direct-io",
        "share": "tmpfs",
        "data_mib": args.data_mib,
        "directory_entries": args.entries,
        "seconds_per_row": args.seconds,
        "rounds": args.rounds,
        "order": "alternating, every other round backwards",
        "pinned": {side: sorted(cpus) for side, cpus in args.pin.items()},
        "daemon_version": common.output_of(built("virtiofs-vfio"), "--version"),
        "left_out": left_out,
    }


def pins(text):
    """callers=0,server=1+2"""
    out = {}
    for word in text.split(","):
        side, _, cpus = word.partition("=")
        if side not in SIDES:
            raise ValueError
        out[side] = {int(cpu) for cpu in cpus.split("+")}
    return out


pins.__name__ = "pinning"


def parse_arguments():
    parser = common.parser_of("native", "Measures our relay over vhost-user on this machine, as "
                                        "root, beside libfuse's "
                              "passthrough_hp and null.")
    common.output_options(parser)
    common.effort_options(parser, "every back end, channel and poll mode, and 1, 4 and 16 jobs of "
                                  "everything "
                          "(about 45 minutes)", seconds=0.6)
    parser.add_argument("--work", metavar="LIST", help="work[:jobs] with commas (all)")
    parser.add_argument("--jobs", type=common.number_list, metavar="LIST",
                        help="jobs for each work (1,4,16 for statx and 4 KiB, else 1)")
    parser.add_argument("--driver", metavar="LIST",
                        help="SERVER[:CHANNEL][:POLL][:per-cpu] with commas. Ours in front of "
                             "virtiofsd, virtiofsd-c "
                        "or null-device (per-cpu: a queue and a worker for each CPU); libfuse's "
                        "passthrough_hp or null "
                        f"({','.join(DRIVERS)})")
    parser.add_argument("--pin", type=pins, default={}, metavar="SIDE=CPU[+CPU...],...",
                        help="keep callers, server, backend on these CPUs (free)")
    parser.add_argument("--data-mib", type=int, default=common.DATA_MIB, metavar="N",
                        help="size of the data file")
    parser.add_argument("--entries", type=int, default=common.ENTRIES, metavar="N",
                        help="files in the large directory")
    args = parser.parse_args()
    common.settle_effort(args, parser)
    if args.full and not args.jobs:
        args.jobs = [1, 4, 16]
    try:
        every = DRIVERS + (MORE_DRIVERS if args.full else ())
        names = args.driver.split(",") if args.driver else every
        args.variants = [Variant(name) for name in names]
    except ValueError as error:
        parser.error(str(error))
    args.rows = common.work_rows(args, parser, bench_report.LABELS, JOBS)
    return args


def expected_seconds(args):
    total = 0
    for variant in args.variants:
        for _, rows in variant.groups(args.rows):
            total += MOUNT_S + sum(1.2 * args.seconds * (2 if work == "statx_after_10ms" else 1)
                                   + ROW_S
                                   for work, _ in rows)
    return args.rounds * total


def measure(args):
    if os.geteuid():
        fail("mounting needs root")
    say(f"this takes about {common.duration(expected_seconds(args))}")
    host = common.HostCpu()
    with common.Share(args.data_mib, args.entries) as share, bench_mount.EnableUring() as switch:
        variants, left_out = usable(args, share, switch)
        rounds = measure_rounds(args, share, switch, variants)
        names = [variant.name for variant in variants]
        result = {"rows": bench_stats.summarize(rounds,
                                                [variant.info(names) for variant in variants]),
                  "conditions": conditions(args, switch, left_out, host.warn())}
    result["goals"] = bench_goals.native(result)
    return result


def chart(result):
    return bench_report.chart(
        result["rows"], "virtiofs-vfio natively, against libfuse's passthrough_hp and null on the "
                        "same channel",
        "times as fast as libfuse's server (more is better)")


def main():
    args = parse_arguments()
    result = common.outcome(args, measure)
    common.deliver(args, result, bench_report.whole_table, chart,
                   lambda r: bench_report.markdown(r["rows"]))


if __name__ == "__main__":
    common.run(main)
