# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/bench profile: what one request takes: instructions, system calls, context switches, kicks.

None of it depends on how fast the machine is, and little on what else it does.
"""

import glob
import os
import re
import signal
import subprocess
import time

import bench_common as common
import bench_mount
import bench_native
import bench_report
from bench_common import built, fail, say

JOBS = {"statx": (1, 16), "read4k": (1,), "write4k": (1,), "read1m_direct": (1,),
        "write1m_direct": (1,)}
DRIVERS = ("null-device", "null-device:dev:irq", "null-device:uring", "null:dev", "null:uring")
PROFILED_DAEMON = os.path.join(common.BUILD, "profile/src/daemon/virtiofs-vfio")
VALGRIND = os.path.join(common.BUILD, "guest/download/forky/valgrind/callgrind")
# the worker's loop: all that a session costs, but nothing of its beginning and end
LOOP = "viofs_serve"
# what it does while there is nothing to do
POLLING = ("viofs_spin_look", "viofs_spin_waits_for_device", "viofs_spin_budget")
SMALL_OPS, LARGE_OPS = 10000, 1000
STRACE_ATTACH_S = 10
# from callgrind_annotate: "1,234 (5.67%)  path/file.c:function [object]"
LINE = re.compile(r"^\s*([\d,]+) \([^)]*\)\s+(\S*?):(\S.*?)(?: \[(\S+)\])?$")


def operations(args, work, jobs):
    """Of each job, and of all with what comes before to warm up, as viofs-bench-ops counts."""
    each = max((args.count or (LARGE_OPS if work.startswith(("read1m", "write1m")) else SMALL_OPS))
               // jobs, 5)
    return each, jobs * (each + (each + 4) // 5)


def run_work(mount, work, jobs, each):
    done = subprocess.run([built("viofs-bench-ops"), "--dir", mount.dir, "--count", str(each),
                           f"{work}:{jobs}"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        fail(f"the work ended with status {done.returncode}; {mount.said()}")


class Counters:
    """What is counted anyway: by the kernel for each thread, and by our daemon."""

    def __init__(self, mount, ours):
        self.values = {"voluntary": 0, "involuntary": 0}
        for pid in mount.sides()["server"]:
            for path in glob.glob(f"/proc/{pid}/task/*/status"):
                self.add_switches(path)
        if ours:
            mount.read_status()
            counts, queues = mount.status["counts"], mount.status["queues"]
            self.values.update(requests=counts["replies"], sleeps=counts["sleeps"],
                               kicks=sum(queue["kicks"] for queue in queues),
                               interrupts=sum(queue["interrupts"] for queue in queues))

    def add_switches(self, path):
        with open(path, encoding="utf-8", errors="replace") as status:
            for line in status:
                name, _, value = line.partition(":")
                if name.endswith("voluntary_ctxt_switches"):
                    self.values["involuntary" if name.startswith("non")
                                else "voluntary"] += int(value)

    def since(self, before):
        return {name: value - before.values[name] for name, value in self.values.items()}


def path_in_source(path):
    """Without what depends on where the tree is."""
    for part in ("/src/", "src/"):
        if part in path:
            return path.rpartition(part)[2]
    return os.path.basename(path) or "?"


def annotated(path, inclusive):
    """{(file, function): instructions} of a callgrind file."""
    command = ["callgrind_annotate", "--auto=no", "--threshold=100",
               "--inclusive=" + ("yes" if inclusive else "no")]
    done = subprocess.run(command + [path], capture_output=True, text=True, check=False)
    if done.returncode:
        raise bench_mount.NotHere(f"callgrind_annotate: {done.stderr.strip()[-200:]}")
    out = {}
    for line in done.stdout.splitlines():
        match = LINE.match(line)
        if match:
            key = path_in_source(match[2]), match[3]
            cost = int(match[1].replace(",", ""))
            # one function can come under two spellings of its file: parts of it, or twice the whole
            out[key] = max(out.get(key, 0), cost) if inclusive else out.get(key, 0) + cost
    return out


def total_of(path):
    """All instructions of a callgrind file."""
    with open(path, encoding="utf-8", errors="replace") as data:
        totals = [line.split()[1] for line in data if line.startswith(("totals:", "summary:"))]
    if not totals:
        raise bench_mount.NotHere("callgrind has left no figures")
    return int(totals[-1])


def callgrind(args, variant, work, jobs, each, folder):
    """The file that callgrind leaves of the server."""
    # symbols are looked up at the start, and not by the first requests
    wrap = ["env", "LD_BIND_NOW=1", VALGRIND, "--vgdb=no",
            f"--callgrind-out-file={folder}/callgrind.%p"]
    if variant.is_ours:
        mount = bench_mount.Relay(variant.server, None, variant.options() + ["seccomp=none"], (),
                                  wrap, PROFILED_DAEMON)
    else:
        mount = bench_mount.Null(variant.channel, wrap)
    with mount:
        pid = mount.sides()["server"][0]
        run_work(mount, work, jobs, each)
    path = os.path.join(folder, f"callgrind.{pid}")
    if not os.path.exists(path):
        raise bench_mount.NotHere(f"callgrind has left no file: {mount.last_words}")
    if args.keep:
        name = f"callgrind.{variant.name}.{work}.{jobs}".replace(":", ".")
        kept = os.path.join(args.keep, name)
        os.replace(path, kept)
        return kept
    return path


def instructions_of_ours(path, requests):
    """Instructions of one request: all, by function, by file. Only what the worker's loop calls."""
    whole, own = annotated(path, True), annotated(path, False)
    loop = max((cost for (_, name), cost in whole.items() if name == LOOP), default=0)
    if not loop:
        raise bench_mount.NotHere(f"callgrind has seen no {LOOP}()")
    functions = {}
    for (file, name), cost in own.items():
        entry = functions.setdefault(name, {"file": file, "self": 0, "with_callees": 0})
        entry["self"] += cost
        # code that is inlined from a header is named by it
        if cost > entry.get("most", 0):
            entry["file"], entry["most"] = file, cost
    for (_, name), cost in whole.items():
        if name in functions:
            functions[name]["with_callees"] = max(functions[name]["with_callees"], cost)
    files = {}
    for (file, name), cost in own.items():
        if functions[name]["with_callees"] <= loop and name not in POLLING:
            file = file if "/" in file else "libc"
            files[file] = files.get(file, 0) + cost / requests
    out = [{"function": name, "file": entry["file"], "self": round(entry["self"] / requests, 1),
            "with_callees": round(entry["with_callees"] / requests, 1)}
           for name, entry in functions.items() if entry["with_callees"] <= loop and entry["self"]
           >= requests / 2]
    polling = sum(functions[name]["with_callees"] for name in POLLING if name in functions)
    return {"instructions": round(loop / requests, 1), "polling": round(polling / requests, 1),
            "functions": sorted(out, key=lambda entry: -entry["self"]),
            "files": {file: round(cost, 1) for file,
                      cost in sorted(files.items(), key=lambda item: -item[1])
                      if cost >= 1}}


def measure_instructions(args, variant, work, jobs, folder):
    each, total = operations(args, work, jobs)
    path = callgrind(args, variant, work, jobs, each, folder)
    if variant.is_ours:
        return instructions_of_ours(path, total)
    # another's loop has no name that would stay: what more requests take more
    much = total_of(path)
    fewer = max(each // 10, 5)
    fewer_total = jobs * (fewer + (fewer + 4) // 5)
    little = total_of(callgrind(args, variant, work, jobs, fewer, folder))
    return {"instructions": round((much - little) / (total - fewer_total), 1)}


def strace_table(path):
    """{system call: (calls, errors)} from what strace -c leaves."""
    out = {}
    with open(path, encoding="utf-8", errors="replace") as table:
        for line in table:
            words = line.split()
            if len(words) in (5, 6) and words[3].isdigit() and words[-1] != "total":
                out[words[-1]] = (int(words[3]), int(words[4]) if len(words) == 6 else 0)
    return out


class Strace:
    """Counts the system calls of all threads of a process."""

    def __init__(self, pids, folder):
        self.path = os.path.join(folder, "strace")
        self.said = os.path.join(folder, "strace.said")
        command = ["strace", "-f", "-c", "-o", self.path]
        for pid in pids:
            command += ["-p", str(pid)]
        with open(self.said, "wb") as said:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said,
                                          stderr=said)
        self.pids = pids

    def wait_attached(self):
        end = time.monotonic() + STRACE_ATTACH_S
        while not all(self.traced(path) for pid in self.pids
                      for path in glob.glob(f"/proc/{pid}/task/*/status")):
            if self.child.poll() is not None or time.monotonic() > end:
                with open(self.said, encoding="utf-8", errors="replace") as said:
                    raise bench_mount.NotHere("strace has not attached: "
                                              f"{said.read().strip()[-200:]}")
            time.sleep(0.02)

    @staticmethod
    def traced(path):
        with open(path, encoding="utf-8", errors="replace") as status:
            return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in status)

    def stop(self):
        self.child.send_signal(signal.SIGINT)
        try:
            self.child.wait(STRACE_ATTACH_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def measure_calls(args, variant, work, jobs, folder):
    """System calls under strace, and what is counted without it."""
    each, total = operations(args, work, jobs)
    out = {}
    with variant.mount(None) as mount:
        # names and caches are warm, and the ring's threads there
        run_work(mount, work, jobs, 5)
        before = Counters(mount, variant.is_ours)
        run_work(mount, work, jobs, each)
        counted = Counters(mount, variant.is_ours).since(before)
        requests = counted.pop("requests", total)
        out.update({name: round(value / requests, 3) for name, value in counted.items()})
        out["requests_per_op"] = round(requests / total, 2)
        if variant.is_ours:
            out.update(channel=mount.status["channel"], poll=mount.status["poll"])
        strace = Strace(mount.sides()["server"], folder)
        try:
            strace.wait_attached()
            run_work(mount, work, jobs, each)
        finally:
            strace.stop()
    calls = strace_table(strace.path)
    out["system_calls"] = {name: {"calls": round(number / total, 3),
                                  "errors": round(errors / total, 3)}
                           for name,
                           (number, errors) in sorted(calls.items(), key=lambda item: -item[1][0])
                           if number * 1000 >= total}
    out["system_calls_all"] = round(sum(number for number, _ in calls.values()) / total, 3)
    out["system_calls_in_vain"] = round(sum(errors for _, errors in calls.values()) / total, 3)
    return out


def measure_row(args, variant, work, jobs, left_out):
    row = {"work": work, "jobs": jobs, "driver": "viofs" if variant.is_ours else variant.server,
           "backend":
           variant.server if variant.is_ours else None, "channel": variant.channel,
           "poll": variant.poll,
           "default": variant.name == variant.server and variant.is_ours}
    with bench_mount.Folder() as folder:
        row.update(measure_calls(args, variant, work, jobs, folder))
        # not every use of a kernel interface works under valgrind; one try is enough
        what = f"instructions of {variant.name}"
        row["instructions"] = None
        if what in left_out:
            return row
        try:
            row.update(measure_instructions(args, variant, work, jobs, folder))
        except bench_mount.NotHere as error:
            left_out[what] = f"under callgrind: {error}"
            say(f"its instructions are left out: {error}")
    return row


def measure(args):
    if os.geteuid():
        fail("mounting needs root")
    rows, left_out = [], {}
    with bench_mount.EnableUring() as switch:
        variants, left_out = bench_native.usable(args, None, switch)
        for work, jobs in args.rows:
            for variant in variants:
                say(f"{work}, {jobs} jobs: {variant.name}")
                switch.set(variant.wants_uring())
                rows.append(measure_row(args, variant, work, jobs, left_out))
    return {"rows": rows, "conditions": {
        "kernel": os.uname().release, "cpus": os.cpu_count(),
        "valgrind": common.output_of(VALGRIND, "--version"),
        "strace": common.output_of("strace", "--version"),
        "daemon_version": common.output_of(built("virtiofs-vfio"), "--version"),
        "left_out": left_out}}


HEAD = ("work", "jobs", "server", "instructions", "polling beside", "system calls",
        "of them in vain",
        "context switches", "not voluntary", "kicks", "interrupts", "sleeps", "which calls")


def calls_text(row):
    return ", ".join(f"{name} {entry['calls']:.2f}" for name, entry in row["system_calls"].items()
                     if entry["calls"] >= 0.02)


def optional(row, name, digits):
    return "" if row.get(name) is None else f"{row[name]:.{digits}f}"


def table(result):
    lines = []
    for row in result["rows"]:
        work = None if row["instructions"] is None else row["instructions"] - row.get("polling", 0)
        lines.append([row["work"], str(row["jobs"]), bench_report.driver_name(row)] +
                     ["" if work is None else f"{work:.0f}", optional(row, "polling", 0)] +
                     [optional(row, name, 2) for name in ("system_calls_all",
                                                          "system_calls_in_vain", "voluntary",
                                                          "involuntary", "kicks", "interrupts",
                                                          "sleeps")] +
                     [calls_text(row)])
    return [list(HEAD)] + lines, [i in (0, 2, 12) for i in range(len(HEAD))]


def summary(result):
    """The rows and columns that a reader compares first."""
    lines, is_text = table(dict(result,
                                rows=[row for row in result["rows"] if row["work"] == "statx"]))
    wanted = [HEAD.index(name) for name in ("work", "jobs", "server", "instructions",
                                            "system calls", "context switches",
                                            "kicks", "interrupts", "sleeps")]
    return [[line[i] for i in wanted] for line in lines], [is_text[i] for i in wanted]


def file_table(rows):
    """Where the instructions of each are, by source file; polling left out."""
    files = {}
    for row in rows:
        for file, cost in row["files"].items():
            files[file] = max(files.get(file, 0), cost)
    lines = [["file"] + [bench_report.driver_name(row) for row in rows]]
    for file in sorted(files, key=lambda name: -files[name]):
        lines.append([file] + [f"{row['files'].get(file, 0):.0f}" for row in rows])
    return lines, [True] + [False] * len(rows)


def function_table(row, most):
    lines = [["function", "file", "itself", "with what it calls"]]
    lines += [[entry["function"], entry["file"], f"{entry['self']:.0f}",
               f"{entry['with_callees']:.0f}"]
              for entry in row["functions"][:most]]
    return lines, [True, True, False, False]


def files_text(result, make):
    known = [row for row in result["rows"] if row.get("files")]
    texts = []
    for work, jobs in dict.fromkeys((row["work"], row["jobs"]) for row in known):
        texts.append(f"Instructions of one request by source file, {work}, jobs: {jobs}\n\n" +
                     make(*file_table([row for row in known if (row["work"], row["jobs"])
                                       == (work, jobs)])))
    return "\n".join(texts)


def all_text(result, make, most):
    out = make(*table(result)) + "\n" + files_text(result, make)
    for row in [row for row in result["rows"] if row.get("functions")] if most else ():
        out += f"\nInstructions of one request by function, {row['work']}, jobs: {row['jobs']}, "
        out += bench_report.driver_name(row) + "\n\n" + make(*function_table(row, most))
    return out


def parse_arguments():
    parser = common.parser_of("profile", "Counts over vhost-user on this machine, as root, with "
                                         "the null device, what "
                              "one request takes of our worker, and of libfuse's null: "
                              "instructions (callgrind), "
                              "system calls (strace), context switches, kicks.")
    common.output_options(parser, chart=False)
    parser.add_argument("--work", metavar="LIST",
                        help="work[:jobs] with commas (statx:1,statx:16,read4k,write4k,"
                        "read1m_direct,write1m_direct)")
    parser.add_argument("--jobs", type=common.number_list, metavar="LIST",
                        help="jobs for each work")
    parser.add_argument("--driver", metavar="LIST", 
                        help=f"as for native; null-device and null only ({','.join(DRIVERS)})")
    parser.add_argument("--count", type=int, metavar="N", 
                        help=f"operations of a row ({SMALL_OPS}, of 1 MiB {LARGE_OPS})")
    parser.add_argument("--functions", type=int, default=12, metavar="N", 
                        help="functions to show of each (%(default)s)")
    parser.add_argument("--keep", metavar="DIR", 
                        help="keep callgrind's files here, for kcachegrind or callgrind_annotate")
    args = parser.parse_args()
    try:
        args.variants = [bench_native.Variant(name)
                         for name in (args.driver.split(",") if args.driver else DRIVERS)]
    except ValueError as error:
        parser.error(str(error))
    if not all(variant.is_null for variant in args.variants):
        parser.error("only null-device and null are profiled: another back end would be measured "
                     "too")
    if args.keep:
        os.makedirs(args.keep, exist_ok=True)
    args.rows = common.work_rows(args, parser, {work: True for work in bench_native.NULL_WORK},
                                 JOBS)
    return args


def main():
    args = parse_arguments()

    def text(result):
        return all_text(result, bench_report.aligned, args.functions) + "\n" + \
            bench_report.conditions(result["conditions"])

    common.deliver(args, common.outcome(args, measure), text, None,
                   lambda result: all_text(result, bench_report.for_document, args.functions))


if __name__ == "__main__":
    common.run(main)
