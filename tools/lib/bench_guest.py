# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/bench guest: runs both drivers in turns in one guest and reports how they compare."""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

import bench_report
import bench_stats

ROWS = ("statx", "open_close", "create_unlink", "readdir", "read4k", "read4k:16", "write4k", "write4k:16",
        "read1m_direct", "write1m_direct", "read1m_buffered", "write1m_buffered", "statx_after_10ms")
POLL_MODES = ("irq", "busy", "adaptive")
VIRTIOFSD_OPTIONS = "--cache auto --allow-direct-io"
SHARE_PARENT = "/dev/shm"
GUEST_CPUS = 2
DATA_MIB = 256
ENTRIES = 10000
# boot, mounts, warming up and settling, beside the measured seconds
BASE_TIMEOUT_S = 120
# of the machine's CPU time; the guest and its virtiofsd need nearly all of two CPUs
NOISY = 0.05

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
BUILD = os.environ.get("VIOFS_BUILD", os.path.join(ROOT, "build"))


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def fail(text):
    say(text)
    sys.exit(1)


def output_of(*command):
    """The first line that a program prints, or None."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError:
        return None
    text = (done.stdout or done.stderr).strip()
    return text.splitlines()[0] if text else None


def built(name):
    """The path of a program in the build directory."""
    for folder in ("tests/bench", "src/daemon", "tools"):
        path = os.path.join(BUILD, folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    fail(f"there is no {name} below {BUILD}")


class HostCpu:
    """How much of this machine's CPU time others take, from here until share_of_others()."""

    def __init__(self):
        self.begin = self.now()

    @staticmethod
    def now():
        """Seconds of all CPUs together: busy, all, and of what this program has started and seen the end of."""
        with open("/proc/stat", encoding="ascii") as stat:
            ticks = [int(n) for n in stat.readline().split()[1:9]]
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        per_s = os.sysconf("SC_CLK_TCK")
        return (sum(ticks) - ticks[3] - ticks[4]) / per_s, sum(ticks) / per_s, own.ru_utime + own.ru_stime

    def share_of_others(self):
        busy, total, own = (after - before for before, after in zip(self.begin, self.now()))
        return round(max(busy - own, 0) / max(total, 0.01), 2)


class Share:
    """A directory in memory with the files that the work needs."""

    def __init__(self, ops):
        if not os.path.ismount(SHARE_PARENT):
            fail(f"{SHARE_PARENT} is no tmpfs: the share must be in memory")
        if shutil.disk_usage(SHARE_PARENT).free < (DATA_MIB + 64) << 20:
            fail(f"{SHARE_PARENT} has less than {DATA_MIB + 64} MiB free")
        self.path = tempfile.mkdtemp(prefix="viofs-bench-", dir=SHARE_PARENT)
        os.chmod(self.path, 0o755)
        self.ops = ops

    def __enter__(self):
        done = subprocess.run([self.ops, "--dir", self.path, "--prepare", "--size", str(DATA_MIB << 20),
                               "--entries", str(ENTRIES)], check=False)
        if done.returncode:
            self.remove()
            fail(f"the files in {self.path} could not be made")
        return self.path

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def __exit__(self, *exc):
        self.remove()


class Session:
    """What the guest's part prints, as it comes."""

    def __init__(self, rounds, variants):
        self.wanted = rounds
        self.names = variants
        self.rounds = []
        self.facts = {}
        self.daemon = None
        self.status = None
        self.variant = None

    def line(self, line):
        if line.startswith("{"):
            sample = json.loads(line)
            self.rounds[-1].setdefault(self.variant, {})[sample["work"], sample["jobs"]] = sample
            return
        word, _, rest = line.partition(" ")
        if word == "#round":
            number, _, self.variant = rest.partition(" ")
            while len(self.rounds) < int(number):
                self.rounds.append({})
            say(f"round {number} of {self.wanted}: {self.variant}")
        elif word == "#fact":
            name, _, self.facts[name] = rest.partition(" ")
        elif word == "#daemon":
            self.daemon = json.loads(rest)
        elif word == "#status":
            status = json.loads(rest)
            self.status = status[0] if isinstance(status, list) else status
        else:
            print(line, file=sys.stderr)

    def check(self, rows):
        want = {(spec.partition(":")[0], int(spec.partition(":")[2] or 1)) for spec in rows}
        if len(self.rounds) != self.wanted:
            fail(f"{len(self.rounds)} of {self.wanted} rounds were run")
        for number, measured in enumerate(self.rounds, 1):
            for name in self.names:
                missing = want - set(measured.get(name, {}))
                if missing:
                    fail(f"round {number}, {name}: no figures for {sorted(missing)}")


def vm_command(share, args, ops):
    timeout = BASE_TIMEOUT_S + args.rounds * len(args.variants) * (30 + len(args.rows) * (3 + 2 * args.seconds))
    command = [os.path.join(ROOT, "tools/vm"), "run", "--driver", "none", "--virtiofsd", "rust",
               "--virtiofsd-opts", VIRTIOFSD_OPTIONS, "--share", share, "--smp", str(GUEST_CPUS),
               "--timeout", str(int(timeout)), "--put", ops, "--put", built("viofs-bench-daemon"),
               "--file", os.path.join(ROOT, "tools/lib/bench_guest.sh") + ":/bench_guest.sh"]
    return command + ["--", "sh", "/bench_guest.sh", str(args.rounds), str(args.seconds), " ".join(args.variants),
                      " ".join(args.rows)]


def run_guest(args, session):
    ops = built("viofs-bench-ops")
    with Share(ops) as share:
        with subprocess.Popen(vm_command(share, args, ops), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True) as guest:
            try:
                for line in guest.stdout:
                    session.line(line.rstrip("\r\n"))
            except BaseException:
                guest.send_signal(signal.SIGTERM)
                guest.wait()
                raise
        if guest.returncode:
            fail(f"the guest ended with status {guest.returncode}")
    session.check(args.rows)


def variant_info(name, session):
    """How a variant is called in the rows."""
    if name == "kernel":
        return {"name": name, "driver": "kernel", "channel": None, "poll": None, "default": False}
    status = session.status or {}
    poll = status.get("poll", "adaptive") if name == "default" else name
    return {"name": name, "driver": "viofs", "channel": status.get("channel", "dev"), "poll": poll,
            "default": name == "default"}


def conditions(args, session, others):
    cpu = session.facts.get("cpu", "")
    out = {
        "accelerator": "tcg" if "TCG" in cpu else "kvm",
        "guest_kernel": session.facts.get("kernel"),
        "guest_cpus": int(session.facts.get("cpus", 0)),
        "guest_memory_mib": int(session.facts.get("memory_kib", 0)) // 1024,
        "guest_clocksource": session.facts.get("clocksource"),
        "host_cpus": os.cpu_count(),
        "host_cpu_of_others": others,
        "qemu": output_of("qemu-system-x86_64", "--version"),
        "virtiofsd": output_of(os.path.join(BUILD, "guest/download/trixie/virtiofsd/run"), "--version"),
        "virtiofsd_options": VIRTIOFSD_OPTIONS,
        "share": "tmpfs",
        "data_mib": DATA_MIB,
        "directory_entries": ENTRIES,
        "seconds_per_row": args.seconds,
        "rounds": args.rounds,
        "order": "alternating, every other round backwards",
        "daemon_version": output_of(built("virtiofs-vfio"), "--version"),
    }
    if session.daemon:
        out["daemon_idle"] = session.daemon
    return out


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="tools/bench guest",
        description="Boots one guest and measures the kernel's virtiofs driver and ours in turns, "
                    "on the same virtiofsd.")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE",
                        help="the rows as JSON to FILE, or to standard output instead of the table")
    parser.add_argument("--chart", metavar="FILE", help="the ratios as a chart (SVG) to FILE")
    parser.add_argument("--markdown", metavar="FILE", help="the table for a document to FILE")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds (5, with --quick 3)")
    parser.add_argument("--seconds", type=float, metavar="S",
                        help="how long each row is measured in each round (1.5, with --quick 0.5)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, for a first look")
    parser.add_argument("--variants", default="default", metavar="LIST",
                        help="of our driver, with commas: default, " + ", ".join(POLL_MODES) + " (default)")
    parser.add_argument("--rows", default=",".join(ROWS), metavar="LIST", help="work[:jobs] with commas (all)")
    parser.add_argument("--from", dest="source", metavar="FILE",
                        help="measure nothing: show the rows of a JSON file made earlier")
    args = parser.parse_args()
    args.rounds = args.rounds or (3 if args.quick else 5)
    args.seconds = args.seconds or (0.5 if args.quick else 1.5)
    variants = args.variants.split(",")
    unknown = [v for v in variants if v != "default" and v not in POLL_MODES]
    if unknown:
        parser.error(f"unknown variant {unknown[0]}")
    args.variants = ["kernel"] + variants
    args.rows = args.rows.split(",")
    unknown = [r for r in args.rows if r.partition(":")[0] not in bench_report.LABELS]
    if unknown:
        parser.error(f"unknown row {unknown[0]}")
    if args.rounds < 1 or args.seconds <= 0:
        parser.error("--rounds and --seconds must be above zero")
    return args


def measure(args):
    host = HostCpu()
    session = Session(args.rounds, args.variants)
    run_guest(args, session)
    others = host.share_of_others()
    if others > NOISY:
        say(f"other programs took {others:.0%} of this machine's CPU time: the figures are noisy")
    variants = [variant_info(name, session) for name in args.variants]
    return {"rows": bench_stats.summarize(session.rounds, variants), "conditions": conditions(args, session, others)}


def show_conditions(facts):
    for name, value in facts.items():
        if name != "daemon_idle":
            print(f"{name}: {value}")
    idle = facts.get("daemon_idle")
    if idle:
        print(f"daemon, idle: {idle['processes']} processes, {idle['resident_kib'] / 1024:.1f} MiB resident + "
              f"{idle['dma_kib'] / 1024:.1f} MiB DMA = {idle['total_kib'] / 1024:.1f} MiB; "
              f"{idle['idle_cpu_ms']:.2f} ms of CPU time in {idle['idle_s']:.0f} s")


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def report(args, result):
    text = json.dumps(result, indent=1) + "\n"
    if args.json == "-":
        sys.stdout.write(text)
    else:
        print(bench_report.table(result["rows"]))
        show_conditions(result["conditions"])
    if args.json and args.json != "-":
        write(args.json, text)
    if args.chart:
        write(args.chart, bench_report.chart(
            result["rows"], "virtiofs-vfio against the kernel's virtiofs, same guest and virtiofsd"))
    if args.markdown:
        write(args.markdown, bench_report.markdown(result["rows"]))


def main():
    args = parse_arguments()
    if args.source:
        with open(args.source, encoding="utf-8") as source:
            result = json.load(source)
    else:
        result = measure(args)
    report(args, result)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
