# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon as a container starts it: with few capabilities and a limit on locked memory. What it
can do without, it does without. Of the shipped binary: a sanitized one has another sandbox."""

import json
import resource
import shutil

from vhostlib import CTL, Session, check, must, need_root, run_cases, skip_all

# What Docker gives by default, and what mounting takes.
DOCKER = ("chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw "
          "sys_chroot mknod "
          "audit_write setfcap sys_admin").split()
MIB = 1 << 20
NONE, IPC_LOCK = 0, 1 << 14
# Name, capabilities, bytes that may be locked, the worker's capabilities.
STARTS = [
    ("a limit that suffices, if it may be had", DOCKER, 64 * MIB, NONE),
    ("a limit that is too low", DOCKER, MIB, NONE),
    ("with CAP_IPC_LOCK", [*DOCKER, "ipc_lock"], MIB, IPC_LOCK),
    ("without CAP_SETPCAP", [c for c in DOCKER if c != "setpcap"], 64 * MIB, NONE),
]


def within(limit):
    """This machine may be a container itself."""
    most = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    return limit if most == resource.RLIM_INFINITY else min(limit, most)


class Few(Session):
    """A session whose daemon has @capabilities."""

    def __init__(self, capabilities, limit):
        super().__init__("device", options="lanes=2,queues=2")
        self.backend_args = ["--queues", "2"]
        self.prefix = ["prlimit", f"--memlock={within(limit)}:{within(limit)}",
                       "setpriv", "--inh-caps=-all",
                       "--bounding-set=-all," + ",".join("+" + c for c in capabilities)]

    def daemon_argv(self, foreground=True):
        return self.prefix + super().daemon_argv(foreground)


def case(capabilities, limit, left):
    with Few(capabilities, limit) as s:
        s.mount()
        # Long enough requests for whatever it allocates late.
        for i in range(20):
            must(["sh", "-c", 'head -c 3000000 /dev/zero >"$0" && cmp "$0" /dev/zero -n 3000000',
                  s.path(f"f{i}")], 60)
        worker = json.loads(must([CTL, "status", "--json", s.mnt]))["worker"]
        with open(f"/proc/{worker}/status", encoding="utf-8") as f:
            has = next(int(line.split()[1], 16) for line in f if line.startswith("CapEff:"))
        check(has == left, f"the worker has capabilities {has:x}, not {left:x}")
        s.umount()


def main():
    need_root()
    if not shutil.which("setpriv") or not shutil.which("prlimit"):
        skip_all("no setpriv and prlimit (util-linux)")
    run_cases([(name, lambda c=rest: case(*c)) for name, *rest in STARTS], at_once=3)


if __name__ == "__main__":
    main()
