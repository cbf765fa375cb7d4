#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What must neither hang nor harm a program that uses libviofs, with a back end of the kind
argv[1].

argv[2]: what watches the program: nothing, "valgrind" or "threads". Its cases ask for what is to
happen to the back end.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading

from vhostlib import (C_VIRTIOFSD, DEVICE, RUST_VIRTIOFSD, Session, check, run, run_cases, skip_all,
                      wait_until)

TROUBLE = os.environ["VIOFS_TROUBLE"]
KIND, WITH = sys.argv[1:3]
ARGS = {"device": ["--posix-locks", "--no-cache"], "c": ["-o", "posix_lock"], "rust": []}
FOUND, SKIPPED = 99, 77
ORDERS = {"stop": signal.SIGSTOP, "go": signal.SIGCONT, "kill": signal.SIGKILL}
# Beside a busy machine's: whoever hangs is ended then.
PATIENCE = 120
VALGRIND = ["valgrind", "--quiet", f"--error-exitcode={FOUND}", "--leak-check=full",
            "--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect",
            "--fair-sched=yes"]
# What is about processes, signals and closing, and no more: it takes a hundred times as long.
UNDER_VALGRIND = ("fork", "signal", "clos")


def prefix():
    """What runs the program."""
    if WITH == "valgrind":
        return VALGRIND
    # Addresses that change from run to run are no good for a sanitizer's shadow on some kernels.
    return ["setarch", "-R"] if WITH == "threads" else []


def is_stopped(pid):
    """All threads of it."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii", errors="replace") as f:
            if f.read().rpartition(")")[2].split()[0] != "T":
                return False
    return True


def do(s, what):
    """What the program has asked for."""
    s.signal_backend(ORDERS[what])
    if what == "stop":
        wait_until(lambda: is_stopped(s.backend.pid), 10, "the back end stands still")


def serve(s, p):
    """Until the program's end: what it says of itself."""
    said = []
    for line in p.stdout:
        if line.strip() in ORDERS:
            do(s, line.strip())
            p.stdin.write("done\n")
            p.stdin.flush()
        else:
            said.append(line)
    return "".join(said)


def case(name):
    """One case, in a process and with a back end of its own."""
    with Session(KIND, ARGS[KIND]) as s:
        s.start_backend()
        argv = [*prefix(), TROUBLE, "vhost-user:" + s.socket, name]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=s.environment(), text=True) as p:
            hangs = threading.Timer(PATIENCE, p.kill)
            hangs.start()
            said = serve(s, p)
            status = p.wait()
            hangs.cancel()
        check(status != -signal.SIGKILL, f"it hangs: {said}")
        check(status in (0, SKIPPED), f"status {status}: {said}")
        if said:
            print("# " + said.strip().replace("\n", "\n# "))


def main():
    """TAP."""
    program = {"device": DEVICE, "c": C_VIRTIOFSD, "rust": RUST_VIRTIOFSD}[KIND]
    if os.geteuid():
        skip_all("not root")
    if not os.path.exists(program):
        skip_all(f"no {program}")
    if WITH == "valgrind" and not shutil.which("valgrind"):
        skip_all("no valgrind")
    names = run([TROUBLE])[1].splitlines()
    check(len(names) > 10, "the program has no cases")
    if WITH == "valgrind":
        names = [name for name in names if any(word in name for word in UNDER_VALGRIND)]
    wanted = sys.argv[3:]
    run_cases([(name, lambda name=name: case(name)) for name in names
               if not wanted or name in wanted], at_once=2)


if __name__ == "__main__":
    main()
