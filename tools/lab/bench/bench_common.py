# SPDX-License-Identifier: GPL-2.0-or-later
"""What the programs of tools/bench share: messages, the build, the shared directory, the
options."""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
BUILD = os.environ.get("VIOFS_BUILD", os.path.join(ROOT, "build"))
SHARE_PARENT = "/dev/shm"
DATA_MIB = 256
ENTRIES = 10000
# of the machine's CPU time; what is measured needs nearly all of two CPUs
NOISY = 0.05

CHANNELS = ("auto", "uring", "dev")
POLL_MODES = ("adaptive", "busy", "irq")
ENABLE_URING = "/sys/module/fuse/parameters/enable_uring"


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def fail(text):
    say(text)
    sys.exit(1)


def output_of(*command):
    """The first line that a program prints, or None."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
    except OSError:
        return None
    text = (done.stdout or done.stderr).strip()
    return text.splitlines()[0] if text else None


def built(name):
    """The path of a program in the build directory."""
    for folder in ("tools/lab/bench", "tests/device", "src/daemon", "tools", "tools/viofs"):
        path = os.path.join(BUILD, folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return fail(f"there is no {name} below {BUILD}")


class HostCpu:
    """How much of this machine's CPU time others take, from here until share_of_others()."""

    def __init__(self):
        self.begin = self.now()

    @staticmethod
    def now():
        """Seconds of all CPUs together: busy, all, and of what this program has started and seen
        the end of."""
        with open("/proc/stat", encoding="ascii") as stat:
            ticks = [int(n) for n in stat.readline().split()[1:9]]
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        per_s = os.sysconf("SC_CLK_TCK")
        return (sum(ticks) - ticks[3]
                - ticks[4]) / per_s, sum(ticks) / per_s, own.ru_utime + own.ru_stime

    def share_of_others(self):
        busy, total, own = (after - before for before, after in zip(self.begin, self.now()))
        return round(max(busy - own, 0) / max(total, 0.01), 2)

    def warn(self):
        """The share, and a word about it where it is large."""
        others = self.share_of_others()
        if others > NOISY:
            say(f"other programs took {others:.0%} of this machine's CPU time: the figures are "
                "noisy")
        return others


class Share:
    """A directory in memory with the files that the work needs."""

    def __init__(self, data_mib=DATA_MIB, entries=ENTRIES):
        if not os.path.ismount(SHARE_PARENT):
            fail(f"{SHARE_PARENT} is no tmpfs: the share must be in memory")
        if shutil.disk_usage(SHARE_PARENT).free < (data_mib + 64) << 20:
            fail(f"{SHARE_PARENT} has less than {data_mib + 64} MiB free")
        self.data_mib, self.entries = data_mib, entries
        self.path = tempfile.mkdtemp(prefix="viofs-bench-", dir=SHARE_PARENT)
        os.chmod(self.path, 0o755)

    def __enter__(self):
        done = subprocess.run([built("viofs-bench-ops"), "--dir", self.path, "--prepare", "--size",
                               str(self.data_mib << 20), "--entries", str(self.entries)],
                              check=False)
        if done.returncode:
            self.remove()
            fail(f"the files in {self.path} could not be made")
        return self.path

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def __exit__(self, *exc):
        self.remove()


VIRTIOFSD_OPTIONS = "--cache auto --allow-direct-io"
GUEST_CPUS = 2


def run_in_guest(share, timeout_s, script, arguments, line, options=(),
                 backend=("rust", VIRTIOFSD_OPTIONS)):
    """Both drivers' guest: runs tools/lab/bench/SCRIPT in it, and has line() take what that prints,
    as it comes."""
    files = [word for name in ("bench_steps.sh", script)
             for word in ("--file", f"{os.path.join(ROOT, 'tools/lab/bench', name)}:/{name}")]
    command = [os.path.join(ROOT, "tools/vm"), "run", "--driver", "none", "--virtiofsd", backend[0],
               "--virtiofsd-opts",
               backend[1], "--share", share, "--smp", str(GUEST_CPUS), "--timeout",
               str(int(timeout_s)),
               "--put", built("viofs-bench-ops"), *options, *files, "--", "sh", "/" + script,
               *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True) as guest:
        try:
            for text in guest.stdout:
                line(text.rstrip("\r\n"))
        except BaseException:
            guest.send_signal(signal.SIGTERM)
            guest.wait()
            raise
    if guest.returncode:
        fail(f"the guest ended with status {guest.returncode}")


def variant_words(name):
    """(channel, poll) of a variant of our driver, None where it is the default; ValueError."""
    channel = poll = None
    for word in name.split(":"):
        if word in CHANNELS and not channel:
            channel = word
        elif word in POLL_MODES and not poll:
            poll = word
        elif word != "default" or ":" in name:
            raise ValueError(f"unknown variant {name}")
    return channel, poll


def number_list(text):
    """1,4,16"""
    numbers = [int(word) for word in text.split(",")]
    if min(numbers) < 1:
        raise ValueError
    return numbers


number_list.__name__ = "list of numbers"


def work_rows(args, parser, labels, jobs_of):
    """(work, jobs) pairs of --work and --jobs; without --jobs those that jobs_of names for each
    work."""
    rows = []
    for word in args.work.split(",") if args.work else list(jobs_of):
        work, colon, jobs = word.partition(":")
        if work not in labels or (colon and (not jobs.isdigit() or int(jobs) < 1)):
            parser.error(f"unknown work {word}")
        if colon:
            rows.append((work, int(jobs)))
        else:
            rows += [(work, n) for n in args.jobs or jobs_of.get(work, (1,))]
    return list(dict.fromkeys(rows))


def output_options(parser, chart=True):
    """How the outcome is wanted, the same for all."""
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE",
                        help="the rows as JSON to FILE, or to standard output instead of the table")
    if chart:
        parser.add_argument("--chart", metavar="FILE", help="a chart (SVG) to FILE")
    else:
        parser.set_defaults(chart=None)
    parser.add_argument("--markdown", metavar="FILE", help="the table for a document to FILE")
    parser.add_argument("--from", dest="source", metavar="FILE",
                        help="measure nothing: show the rows of a JSON file made earlier")


def effort_options(parser, full, rounds=5, seconds=1.0):
    """How much is measured. full: what --full does, or None where there is no such thing."""
    parser.add_argument("--rounds", type=int, metavar="N",
                        help=f"rounds ({rounds}, with --quick {min(rounds, 3)})")
    parser.add_argument("--seconds", type=float, metavar="S",
                        help=f"how long each row is measured in each round ({seconds:g}, with "
                             "--quick 0.3)")
    parser.add_argument("--quick", action="store_true",
                        help="fewer and shorter rounds, for a first look")
    if full:
        parser.add_argument("--full", action="store_true", help=full)
    parser.set_defaults(all_rounds=rounds, all_seconds=seconds, full=False)


def settle_effort(args, parser):
    args.rounds = args.rounds or (min(args.all_rounds, 3) if args.quick else args.all_rounds)
    args.seconds = args.seconds or (0.3 if args.quick else args.all_seconds)
    if args.rounds < 1 or args.seconds <= 0:
        parser.error("--rounds and --seconds must be above zero")


def duration(seconds):
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def deliver(args, result, table, chart, markdown):
    """The outcome where it is wanted; the three make text of it."""
    text = json.dumps(result, indent=1) + "\n"
    if args.json == "-":
        sys.stdout.write(text)
    else:
        sys.stdout.write(table(result))
    if args.json and args.json != "-":
        write(args.json, text)
    if args.chart:
        write(args.chart, chart(result))
    if args.markdown:
        write(args.markdown, markdown(result))


def outcome(args, measure):
    """Of an earlier run, or of one now."""
    if args.source:
        with open(args.source, encoding="utf-8") as source:
            return json.load(source)
    return measure(args)


def parser_of(prog, description):
    return argparse.ArgumentParser(prog=f"tools/bench {prog}", description=description)


def stop(number, _):
    """Told to stop: once, so that the clean-up is not stopped too."""
    for other in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def run(main):
    """main() with clean-up also where it is told to stop."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)
    main()
