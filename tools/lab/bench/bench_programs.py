# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/bench native and scale do their work here and clean up: a tiny run of each. Nothing is
timed."""

import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

LIB = os.path.dirname(os.path.abspath(__file__))
ENABLE_URING = "/sys/module/fuse/parameters/enable_uring"
TINY = ["--rounds", "1", "--seconds", "0.02"]
# as the rows of all modes have them
MEMBERS = {"work", "jobs", "driver", "channel", "poll", "median_us", "p99_us", "p999_us", "cpu_us",
           "rounds", "spread",
           "ratio_to_kernel", "p99_ratio", "default", "backend", "ran_on", "server_us",
           "callers_us"}


def check(condition, text):
    if not condition:
        sys.exit(f"FAILED: {text}")


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def uring_switch():
    if not os.path.exists(ENABLE_URING):
        return None
    with open(ENABLE_URING, encoding="ascii") as switch:
        return switch.read()


def shares():
    """Somebody else may be measuring too."""
    return set(glob.glob("/dev/shm/viofs-bench-*"))


def bench(mode, folder, *args):
    """The JSON of a run whose files are in a folder of its own."""
    done = subprocess.run([sys.executable, "-B", os.path.join(LIB, f"bench_{mode}.py"), "--json",
                           *args],
                          env=dict(os.environ, TMPDIR=folder), stdout=subprocess.PIPE, text=True,
                          check=False)
    check(done.returncode == 0, f"{mode} ended with status {done.returncode}")
    return json.loads(done.stdout)


def native(folder):
    before = uring_switch()
    result = bench("native", folder, *TINY, "--data-mib", "8", "--entries", "50", "--driver",
                   "null-device,null-device:dev:irq,null-device:uring,virtiofsd-c,"
                   "passthrough_hp:dev",
                   "--work", "statx,read4k:2,read1m_direct,write1m_buffered,create_unlink,readdir")
    rows = result["rows"]
    for row in rows:
        check(MEMBERS <= set(row), f"a row lacks {MEMBERS - set(row)}")
        check(row["ops"] > 0 and row["median_us"] > 0, f"nothing was done: {row}")
    ours = {(row["backend"], row["poll"]) for row in rows}
    check({("null-device", "adaptive"), ("null-device", "irq")} <= ours,
          f"rows are missing: {ours}")
    check(any(row["channel"] == "uring" for row in rows)
          or "null-device:uring" in result["conditions"]["left_out"],
          "io_uring is neither measured nor left out")
    check([row["default"] for row in rows if row["backend"] == "null-device" and row["work"]
           == "statx"][:2] ==
          [True, False], "default is wrong")
    check(not any(row["work"] == "readdir" for row in rows if row["backend"] == "null-device"),
          "the null device lists")
    check(uring_switch() == before, "enable_uring is not as it was")


def scale(folder):
    rows = bench("scale", folder, *TINY, "--data-mib", "8", "--dimensions", "queues",
                 "--chart", folder + "/chart")["rows"]
    check({row["x"] for row in rows} == {1, 2, 3, 4, 6, 8}, "queues are missing")
    with open(folder + "/chart", encoding="utf-8") as chart:
        check("<polyline" in chart.read(), "the chart has no lines")


def stopped(folder):
    """Told to stop in the middle of a round: everything goes back."""
    before = uring_switch()
    with subprocess.Popen([sys.executable, "-B", os.path.join(LIB, "bench_native.py"), "--rounds",
                           "9",
                           "--seconds", "1", "--data-mib", "8", "--entries", "50",
                           "--driver", "null-device", "--work", "statx"],
                          env=dict(os.environ, TMPDIR=folder), stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE,
                          text=True) as child:
        for line in child.stderr:
            if "round 1" in line:
                break
        time.sleep(0.5)
        child.send_signal(signal.SIGTERM)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
    check(child.returncode in (143, 130), f"it ended with {child.returncode}")
    check(uring_switch() == before, "enable_uring is not as it was")


def main():
    if os.geteuid():
        skip("not root: mounting needs it")
    if not os.path.exists("/dev/fuse"):
        skip("no /dev/fuse: modprobe fuse")
    if not os.path.ismount("/dev/shm"):
        skip("/dev/shm is no tmpfs")
    foreign = shares()
    for run in (native, scale, stopped):
        with tempfile.TemporaryDirectory(prefix="viofs-test-") as folder:
            run(folder)
            check(not glob.glob(folder + "/viofs-bench-*"),
                  f"{run.__name__} has left something in {folder}")
        print(f"{run.__name__}: done", flush=True)
    check(not shares() - foreign, f"left over: {shares() - foreign}")


if __name__ == "__main__":
    main()
