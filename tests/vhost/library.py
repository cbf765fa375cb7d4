#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every call of libviofs, by its public headers, against a back end: argv[1]. TAP comes from
viofs-calls."""

import os
import subprocess
import sys

from vhostlib import C_VIRTIOFSD, DEVICE, RUST_VIRTIOFSD, Session, need_root, run, skip_all

CALLS = os.environ["VIOFS_CALLS"]
KIND = sys.argv[1]
# What the back end is started as, and with.
BACKENDS = {
    "tree": ("device", ["--strict", "--posix-locks"]),
    "queues": ("device", ["--queues", "4", "--posix-locks", "--shuffle"]),
    "no-indirect": ("device", ["--no", "indirect", "--no", "event-idx", "--no-cache"]),
    "directory": ("device", []),
    "beside-daemon": ("device", ["--posix-locks"]),
    "c": ("c", []),
    "rust": ("rust", []),
}
# Writes and reads until it is killed, or what it reads isn't what it wrote.
LOAD = """
import os, sys
n = 0
while True:
    n += 1
    with open(sys.argv[1], 'w') as f:
        f.write(str(n) * 5000)
    os.stat(sys.argv[1])
    if open(sys.argv[1]).read() != str(n) * 5000:
        sys.exit(1)
"""
# Addresses that change from run to run are no good for a sanitizer's shadow on some kernels.
PREFIX = ["setarch", "-R"] if "tsan" in CALLS else []


def beside_a_daemon(function):
    """While the daemon has another share mounted, and is worked with."""
    with Session("device") as s:
        s.mount()
        load = subprocess.Popen([sys.executable, "-c", LOAD, s.path("file")])
        try:
            function()
            status = load.poll()
        finally:
            load.kill()
            load.wait(10)
        if status is not None:
            print("Bail out! the mount beside it failed")
        s.umount()


def main():
    """Back end, program; then what the back end thinks of it."""
    if KIND == "beside-daemon":
        need_root()
        beside_a_daemon(calls)
    else:
        calls()


def calls():
    """One back end, and the program."""
    backend, args = BACKENDS[KIND]
    program = {"device": DEVICE, "c": C_VIRTIOFSD, "rust": RUST_VIRTIOFSD}[backend]
    if os.geteuid():
        skip_all("not root")
    if not os.path.exists(program):
        skip_all(f"no {program}")
    with Session(backend, args) as s:
        if KIND == "directory":
            s.backend_args = ["--serve", s.share]
        s.start_backend()
        host = [s.share] if KIND in ("directory", "c", "rust") else []
        env = dict(s.environment(), TSAN_OPTIONS=f"log_path={s.work}/san:exitcode=66")
        if backend == "device":
            env["VIOFS_CONTROL"] = s.control_path
        if KIND == "directory":
            env["VIOFS_HAS_TMPFILE"] = "1"
        status, out = run(PREFIX + [CALLS, "vhost-user:" + s.socket] + host, 250, env=env)
        s.backend.wait(10)
        lines = out.splitlines()
        plan = next((int(line[3:]) for line in lines if line.startswith("1..")), 0)
        print(f"1..{plan + 2}")
        print("\n".join(line for line in lines if not line.startswith("1..")))
        print(f"{'ok' if plan and status == 0 else 'not ok'} {plan + 1} - the program ends well "
              f"({status})")
        good = backend != "device" or s.backend.returncode == 0
        print(f"{'ok' if good else 'not ok'} {plan + 2} - the back end ends well "
              f"({s.backend.returncode})")
        if not good:
            print("# " + s.backend_said().replace("\n", "\n# "))


if __name__ == "__main__":
    main()
