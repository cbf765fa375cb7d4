# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has a device: what list, status and a new mount say agrees, whatever has become of the
daemon; and nobody without rights holds a start up."""

import json
import os
import signal
import stat
import subprocess
import sys
import time

from vhostlib import (CTL, Failure, Session, check, is_mounted, must, named, need_root, run,
                      run_cases, wait_until)

NOBODY = 65534
LIMIT = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"
LOCKER = """
import fcntl, os, sys, time
os.setgroups([]); os.setgid(65534); os.setuid(65534)
f = open(sys.argv[1])
fcntl.flock(f, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(600)
"""
HOLDER = "import sys, time; f = open(sys.argv[1]); print('open', flush=True); time.sleep(600)"


def refused_elsewhere(s):
    """What a second mount of the same says."""
    other = os.path.join(s.work, "other")
    os.makedirs(other, exist_ok=True)
    status, out = run([s.daemon_argv()[0], "vhost-user:" + s.socket, other], 30)
    check(status == 1 and not is_mounted(other), f"a second mount: status {status}: {out}")
    return out


def complains(*words, argv):
    status, out = run([CTL, *argv], 20)
    check(status == 1, f"{argv}: status {status}: {out}")
    for word in words:
        check(word in out, f"{argv}: nothing of '{word}' in: {out}")


def kill_supervisor(s):
    pid = s.daemon.pid
    s.daemon.send_signal(signal.SIGKILL)
    s.daemon.wait(10)
    return pid


def a_killed_supervisor_is_said_by_all():
    with Session().mount() as s:
        pid = kill_supervisor(s)
        must(["ls", s.mnt])
        complains("was killed", s.mnt, str(pid), argv=["status", s.mnt])
        complains("was killed", s.mnt, argv=["status"])
        out = refused_elsewhere(s)
        check("was killed" in out and s.mnt in out and "in use by another" not in out, out)
        # The mount goes elsewhere: it is known by its file system, not by a path.
        bound = os.path.join(s.work, "bound")
        os.mkdir(bound)
        must(["mount", "--bind", s.mnt, bound])
        must(["umount", s.mnt])
        complains("was killed", bound, argv=["status", bound])
        out = refused_elsewhere(s)
        check("in use at " + bound in out, out)
        must(["umount", bound])
        s.backend.wait(10)
        wait_until(lambda: "is running" in run([CTL, "status"])[1], 5, "nothing is left")


def a_dead_mount_is_said():
    with Session().mount() as s:
        worker = json.loads(must([CTL, "status", "--json", s.mnt]))["worker"]
        kill_supervisor(s)
        os.kill(worker, signal.SIGKILL)
        s.backend.wait(10)
        complains("Nobody answers for the mount", s.mnt, argv=["status", s.mnt])
        check("is running" in must([CTL, "status"]), "nobody is running")
        must(["umount", s.mnt])


def a_record_that_was_removed_is_said():
    """A daemon whose directory somebody has cleaned away serves on, and umount ends it."""
    for back in (None, "a file"):
        with Session().mount() as s:
            must(["rm", "-r", "/run/virtiofs-vfio"])
            if back:
                with open("/run/virtiofs-vfio", "w", encoding="ascii"):
                    pass
            try:
                must(["touch", s.path("file")])
                for command in ("status", "abort"):
                    complains("the record in /run/virtiofs-vfio was removed", s.mnt,
                              argv=[command, s.mnt])
                must([CTL, "umount", s.mnt], 10)
                s.ends(0, 5)
            finally:
                if back:
                    os.unlink("/run/virtiofs-vfio")


def an_unmounted_one_that_is_in_use_is_said():
    with Session().mount() as s:
        must(["touch", s.path("f")])
        with subprocess.Popen([sys.executable, "-c", HOLDER, s.path("f")],
                              stdout=subprocess.PIPE) as holder:
            try:
                holder.stdout.readline()
                must(["umount", "-l", s.mnt])
                check("unmounted, but in use" in must([CTL, "status"]),
                      "status says nothing of umount -l")
                check(json.loads(must([CTL, "status", "--json"]))[0]["mounts"] == [],
                      "JSON: mounts")
            finally:
                holder.kill()
        s.ends(0)


def status_takes_a_tag_a_socket_and_a_place_in_the_mount():
    with Session(backend_args=["--tag", "mytag"]).mount() as s:
        must(["mkdir", "-p", s.path("a", "b")])
        for where in (s.mnt, s.path("a", "b"), "mytag", "tag:mytag", "vhost-user:" + s.socket):
            out = json.loads(must([CTL, "status", "--json", where]))
            check(out["mountpoint"] == s.mnt and len(out["mounts"]) == 1, f"{where}: {out}")
        complains("No virtiofs-vfio serves", argv=["status", s.work])
        complains("No virtiofs-vfio serves", argv=["status", "othertag"])
        complains("lies in the mount at " + s.mnt, argv=["abort", s.path("a")])
        must(["mount", "-t", "tmpfs", "tmpfs", s.path("a")])
        try:
            complains("No virtiofs-vfio serves", argv=["status", s.path("a")])
        finally:
            must(["umount", s.path("a")])
        s.umount()


def as_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def an_ordinary_user_is_told_to_be_root():
    """Each of them once, with a program that anybody may run."""
    with Session(backend_args=["--tag", "mytag"]).mount() as s:
        os.chmod(s.work, 0o755)
        ctl = os.path.join(s.work, "viofsctl")
        must(["cp", CTL, ctl])
        for argv in (["status"], ["status", s.mnt], ["status", "mytag"],
                     ["show", "vhost-user:" + s.socket],
                     ["abort", s.mnt]):
            status, out = run([ctl, *argv], 10, preexec_fn=as_nobody)
            check(status == 1 and "as root" in out, f"{argv}: status {status}: {out}")
        s.umount()


def a_lock_that_anybody_can_take_stops_nobody():
    if not os.path.exists(LIMIT):
        raise Failure("no hugepages here")
    with subprocess.Popen([sys.executable, "-c", LOCKER, LIMIT], stdout=subprocess.PIPE) as locker:
        try:
            check(locker.stdout.readline() == b"locked\n", "the lock was not to be had")
            start = time.monotonic()
            with Session().mount() as s:
                check(time.monotonic() - start < 10, "the start took too long")
                s.umount()
        finally:
            locker.kill()


def the_worker_cannot_write_to_the_record():
    with Session().mount() as s:
        status = json.loads(must([CTL, "status", "--json", s.mnt]))
        record = os.stat(s.records()[0])
        check(stat.S_IMODE(record.st_mode) == 0o600, oct(record.st_mode))
        held = 0
        for fd in os.listdir(f"/proc/{status['worker']}/fd"):
            path = f"/proc/{status['worker']}/fd/{fd}"
            if (os.stat(path).st_dev, os.stat(path).st_ino) == (record.st_dev, record.st_ino):
                with open(f"/proc/{status['worker']}/fdinfo/{fd}", encoding="ascii") as f:
                    flags = next(int(line.split()[1], 8) for line in f if line.startswith("flags:"))
                check(flags & os.O_ACCMODE == os.O_RDONLY, f"descriptor {fd}: flags {flags:o}")
                held += 1
        check(held == 1, f"{held} descriptors of the record, where one holds the lock")
        s.umount()
        wait_until(lambda: not os.path.exists("/run/virtiofs-vfio"), 5, "nothing is left in /run")


def a_copy_in_another_mount_namespace_is_said():
    """Which anybody may have: unmounted here, it serves on for that one."""
    with Session().mount() as s:
        with subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                               "echo there; exec sleep 600"],
                              stdout=subprocess.PIPE, cwd="/") as other:
            try:
                check(other.stdout.readline() == b"there\n", "no namespace")
                must(["umount", "-i", s.mnt], 5)
                out = refused_elsewhere(s)
                check(f"at {s.mnt} in the mount namespace of process {other.pid}" in out
                      and "viofsctl abort" in out, out)
            finally:
                other.kill()
        s.ends(0)


def main():
    need_root()
    run_cases(named([
        a_killed_supervisor_is_said_by_all, a_dead_mount_is_said, a_record_that_was_removed_is_said,
        an_unmounted_one_that_is_in_use_is_said,
        status_takes_a_tag_a_socket_and_a_place_in_the_mount, an_ordinary_user_is_told_to_be_root,
        a_copy_in_another_mount_namespace_is_said,
        a_lock_that_anybody_can_take_stops_nobody, the_worker_cannot_write_to_the_record,
    ]))


if __name__ == "__main__":
    main()
