# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/bench scale: how the cost of a request grows with queues, jobs, sizes and files."""

import json
import os
import resource
import subprocess
from statistics import median

import bench_common as common
import bench_mount
import bench_plot
import bench_report
import bench_stats
from bench_common import built, fail, say

QUEUES = (1, 2, 3, 4, 6, 8)
JOBS = (1, 2, 4, 8, 16, 32, 64)
BLOCKS = tuple(1 << shift for shift in (9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22))
FILES = (10, 100, 1000, 10000, 100000, 1000000)
HELD = (0, 10, 100, 1000, 10000, 100000)
DIMENSIONS = ("queues", "jobs", "size", "files", "held")
AXES = {"queues": "request queues of the device", "jobs": "jobs",
        "size": "bytes of one read or write",
        "files": "files in the directory", "held": "files held open"}
# descriptors of virtiofsd: one for the open file, none for the inode; and some of its own
FDS_PER_FILE, FDS_SPARE = 1, 200
FILE_COST_S = 25e-6


class Point:
    """One x of one line: what is mounted, and what viofs-bench-ops is told."""

    def __init__(self, dimension, x, work, jobs, backend, label, **more):
        self.dimension, self.x, self.work, self.jobs = dimension, x, work, jobs
        self.backend, self.label = backend, label
        self.queues = more.get("queues", 1)
        self.files = more.get("files", 1)
        self.arguments = more.get("arguments", [])
        # a listing is counted by its entries
        self.units = self.files if work == "readdir" else 1

    def mount_key(self):
        """Points that can share a mount are alike in this."""
        return self.backend, self.queues, self.files

    def key(self):
        return self.dimension, self.label, self.x


def queue_points(limit):
    """The null device: what is left is our own cost."""
    return [Point("queues", n, "read4k", jobs, "null-device",
                  f"read4k, {jobs} job{'s' if jobs > 1 else ''}", queues=n)
            for jobs in (1, 4, 16, 64) for n in QUEUES]


def job_points(limit):
    return [Point("jobs", n, work, n, "null-device", f"{work}, {label}", queues=queues)
            for queues, label in ((1, "1 queue"), (4, "4 queues")) for work in ("statx", "read4k")
            for n in JOBS]


def size_points(limit):
    return [Point("size", n, work, jobs, "null-device",
                  f"{work}, {jobs} job{'s' if jobs > 1 else ''}",
                  arguments=["--block", str(n)])
            for work in ("read", "write") for jobs in (1, 4) for n in BLOCKS]


def file_points(limit):
    return [Point("files", n, work, 1, "virtiofsd", label, files=n)
            for work, label in (("lookup", "lookup"), ("readdir", "readdir, by entry"))
            for n in FILES if n <= limit]


def held_points(limit):
    """One job holds the files, and does the work beside them."""
    most = max((resource.getrlimit(resource.RLIMIT_NOFILE)[1] - FDS_SPARE) // FDS_PER_FILE, 0)
    for n in HELD:
        if n > most:
            say(f"{n} files held open are left out: the limit of descriptors (ulimit -Hn) allows "
                f"{most} for virtiofsd")
    return [Point("held", n, work, 1, "virtiofsd", work, files=max(HELD[-1], 1) if n else 1000,
                  arguments=["--hold", str(n)])
            for work in ("statx", "read4k", "open_close") for n in HELD if n <= min(most, limit)]


POINTS = {"queues": queue_points, "jobs": job_points, "size": size_points, "files": file_points,
          "held": held_points}


def open_mount(args, point, share):
    options = list(args.mount_opts) + ([f"queues={point.queues}"] if point.queues > 1 else [])
    if point.backend == "virtiofsd":
        # names are asked for again each time; inodes without descriptors, or a million is too many
        # for most limits
        backend = ["--cache=never"] if point.dimension == "files" else []
        backend += ["--inode-file-handles=prefer", "--modcaps=+dac_read_search"]
        return bench_mount.Relay("virtiofsd", share, options, backend)
    backend = ["--queues", str(point.queues), "--tag", "scale"] if point.queues > 1 else []
    return bench_mount.Relay(point.backend, share, options, backend)


def run_point(mount, args, point):
    command = [built("viofs-bench-ops"), "--dir", mount.dir, "--seconds", str(args.seconds),
               "--size",
               str(args.data_mib << 20), "--entries", str(point.files)] + point.arguments
    for side, pids in mount.sides().items():
        command += ["--watch", f"{side}=" + "+".join(str(pid) for pid in pids)]
    done = subprocess.run(command + [f"{point.work}:{point.jobs}"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE,
                          text=True, check=False)
    if done.returncode:
        fail(f"{point.dimension} {point.x}, {point.label}: the work ended with status "
             f"{done.returncode}; "
             f"{mount.said()}")
    return json.loads(done.stdout)


def run_points(args, points, samples, facts):
    """All rounds of points that share a back end's directory."""
    share = None
    try:
        if points[0].backend == "virtiofsd":
            share = common.Share(args.data_mib, points[0].files)
            share.__enter__()  # pylint: disable=unnecessary-dunder-call
        for number in range(1, args.rounds + 1):
            say(f"{points[0].dimension} ({points[0].backend}, {points[0].files} files, "
                f"{points[0].queues} queues): "
                f"round {number} of {args.rounds}")
            with open_mount(args, points[0], share.path if share else None) as mount:
                facts.update(channel=mount.status["channel"], poll=mount.status["poll"])
                for point in points if number % 2 else points[::-1]:
                    samples.setdefault(point.key(), []).append(run_point(mount, args, point))
    finally:
        if share:
            share.remove()


def row_of(point, taken, facts):
    bench_stats.add_sides(taken)
    row = {"dimension": point.dimension, "x": point.x, "line": point.label, "work": point.work,
           "jobs": point.jobs,
           "backend": point.backend, "queues": point.queues, "channel": facts["channel"],
           "poll": facts["poll"]}
    row.update(bench_stats.summarize_row(taken, point.work, point.jobs))
    rates = [sample["ops_per_s"] * point.units for sample in taken]
    costs = [sample["cpu_us"] / point.units for sample in taken]
    for name, values, digits in (("per_s", rates, 1), ("each_cpu_us", costs, 3)):
        row[name] = round(median(values), digits)
        row[name + "_range"] = [round(min(values), digits), round(max(values), digits)]
    return row


def measure(args):
    if os.geteuid():
        fail("mounting needs root")
    points = [point for name in args.dimensions for point in POINTS[name](args.files)]
    say(f"this takes about {common.duration(expected_seconds(args, points))}")
    host = common.HostCpu()
    samples, facts = {}, {}
    groups = {}
    for point in points:
        groups.setdefault((point.dimension,) + point.mount_key(), []).append(point)
    with bench_mount.EnableUring() as switch:
        switch.set("channel=uring" in args.mount_opts)
        for group in groups.values():
            run_points(args, group, samples, facts)
    return {"rows": [row_of(point, samples[point.key()], facts) for point in points],
            "conditions": {
        "kernel": os.uname().release, "cpus": os.cpu_count(), "cpu_of_others": host.warn(),
        "mount_options": ",".join(args.mount_opts), "virtiofsd":
        common.output_of(bench_mount.rust_virtiofsd(), "--version"),
        "seconds_per_point": args.seconds,
        "rounds": args.rounds, "data_mib": args.data_mib,
        "daemon_version": common.output_of(built("virtiofs-vfio"), "--version")}}


def expected_seconds(args, points):
    mounts = {(p.dimension,) + p.mount_key() for p in points}
    made = sum(2 * FILE_COST_S * files for files in {key[-1] for key in mounts if key[-1] > 1})
    return made + args.rounds * (len(mounts) * 0.8 + len(points) * (1.2 * args.seconds + 0.1))


def table(result):
    head = ["dimension", "x", "line", "backend", "per s", "CPU us each", "of it server us/op",
            "median us",
            "p99 us", "spread"]
    number = bench_report.number
    lines = [[row["dimension"], bench_plot.short(row["x"]), row["line"], row["backend"],
              number(row["per_s"]),
              number(row["each_cpu_us"]), number(row["server_us"]), number(row["median_us"]),
              number(row["p99_us"]),
              f"{100 * row['spread']:.0f}%"] for row in result["rows"]]
    return [head] + lines, [i in (0, 2, 3) for i in range(len(head))]


def panel(rows, dimension, title, value, value_range):
    lines = {}
    for row in rows:
        if row["dimension"] == dimension:
            lines.setdefault(row["line"], []).append((row["x"], row[value], *row[value_range]))
    return bench_plot.Panel(title, AXES[dimension], lines)


def chart(result):
    rows = result["rows"]
    panels = []
    for dimension in DIMENSIONS:
        if any(row["dimension"] == dimension for row in rows):
            panels.append([panel(rows, dimension, "Operations a second", "per_s", "per_s_range"),
                           panel(rows, dimension, "CPU time of each (us, all sides)", "each_cpu_us",
                                 "each_cpu_us_range")])
    return bench_plot.page("How cost grows: operations a second, and CPU time of each", panels)


def parse_arguments():
    parser = common.parser_of("scale", "Measures over vhost-user on this machine, as root, how the "
                                       "cost of a request "
                              "grows with queues, jobs and sizes (null device) and with files "
                              "(virtiofsd on tmpfs).")
    common.output_options(parser)
    common.effort_options(parser, None, rounds=3, seconds=0.5)
    parser.add_argument("--dimensions", default=",".join(DIMENSIONS), metavar="LIST",
                        help="with commas: %(default)s")
    parser.add_argument("--files", type=int, default=FILES[-1], metavar="N",
                        help="files at most (%(default)s)")
    parser.add_argument("--mount-opts", default="", metavar="OPT,...",
                        help="options of the daemon, as after -o")
    parser.add_argument("--data-mib", type=int, default=common.DATA_MIB, metavar="N",
                        help="size of the data file")
    args = parser.parse_args()
    common.settle_effort(args, parser)
    args.dimensions = args.dimensions.split(",")
    args.mount_opts = [word for word in args.mount_opts.split(",") if word]
    for name in args.dimensions:
        if name not in DIMENSIONS:
            parser.error(f"unknown dimension {name}")
    return args


def main():
    args = parse_arguments()

    def text(result):
        return (bench_report.aligned(*table(result)) + "\n"
                + bench_report.conditions(result["conditions"]))

    common.deliver(args, common.outcome(args, measure), text, chart,
                   lambda result: bench_report.for_document(*table(result)))


if __name__ == "__main__":
    common.run(main)
