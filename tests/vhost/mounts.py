# SPDX-License-Identifier: GPL-2.0-or-later
"""Mounts: where they go, whose they are, how they end. Nobody else's directory or mount is
touched."""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from vhostlib import (CTL, Failure, Session, check, is_mounted, must, named, need_root, python, run,
                      run_cases, wait_until)

NOBODY = 65534
FUSECTL = "/sys/fs/fuse/connections"
# Two names change places until it is killed: each is always there.
FLIP = """
import ctypes, sys
libc = ctypes.CDLL(None)
while True:
    libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)
"""


def mount_ids(path):
    """Of all mounts at @path, by the kernel's list; the last one is on top."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as f:
        return [int(line.split()[0]) for line in f if line.split()[4] == path]


def link_of_nobody(target, path):
    os.symlink(target, path)
    os.lchown(path, NOBODY, NOBODY)


def a_symbolic_link_of_somebody_else_is_not_followed():
    with Session() as s:
        victim = os.path.join(s.work, "roots-own")
        os.mkdir(victim)
        s.mnt = os.path.join(s.work, "link")
        link_of_nobody(victim, s.mnt)
        out = s.refuse()
        check("is not root's" in out, out)
        check(not is_mounted(victim), "it is mounted where somebody else said")


def a_symbolic_link_of_root_is_followed():
    with Session() as s:
        there, back = s.mnt, os.path.join(s.work, "back")
        os.mkdir(os.path.join(s.work, "sub"))
        os.symlink("../mnt", os.path.join(s.work, "sub", "one"))
        os.symlink(os.path.join(s.work, "sub"), back)
        s.mnt = os.path.join(back, "one")
        s.mount()
        check(is_mounted(there), s.said())
        s.mnt = there
        s.umount()


def a_mount_point_that_flips_leads_nowhere_else():
    """Its owner exchanges the directory and a link to one of root's, as fast as can be."""
    tries = 0
    with Session() as s:
        victim, link, real = (os.path.join(s.work, name) for name in ("roots-own", "link", "mnt"))
        os.mkdir(victim)
        link_of_nobody(victim, link)
        with subprocess.Popen([sys.executable, "-c", FLIP, real, link]) as flip:
            try:
                while tries < 12:
                    tries += 1
                    s.start_backend(stays=False)
                    s.start_daemon()
                    wait_until(lambda: s.daemon.poll() is not None or " is mounted at " in s.said(),
                               20, "an outcome")
                    check(not is_mounted(victim), f"root's own directory is covered in try {tries}")
                    if s.daemon.poll() is None:
                        s.daemon.send_signal(signal.SIGTERM)
                        check(s.daemon.wait(10) == 0, s.said())
                    s.kill_backend()
            finally:
                flip.kill()
        check(not is_mounted(real) and not is_mounted(link), "a mount is left")


def ending(s):
    """Unmounted, and its device owes the answer to DESTROY: for 5 s it is there still."""
    s.mount()
    must(["umount", s.mnt], 5)
    wait_until(lambda: s.stats()["requests"] and not is_mounted(s.mnt), 5, "the mount is gone")


def an_ending_daemon_leaves_the_next_mount_alone():
    """At the same place: the kernel gives its numbers again at once."""
    with Session(backend_args=["--evil", "used-never@DESTROY"]) as a, Session() as b:
        ending(a)
        b.mnt = a.mnt
        b.mount()
        a.daemon.wait(20)
        time.sleep(0.2)
        must(["ls", b.mnt], 5)
        check(is_mounted(b.mnt), "another's mount was detached")
        b.umount()


@contextlib.contextmanager
def fusectl():
    """Where it usually is, as long as it takes."""
    mine = not os.path.ismount(FUSECTL)
    if mine:
        must(["mount", "-t", "fusectl", "none", FUSECTL])
    try:
        yield
    finally:
        if mine:
            must(["umount", FUSECTL])


def abort_of_one_that_ends_is_not_anothers():
    with fusectl(), Session(backend_args=["--evil", "used-never@DESTROY"]) as a, Session() as b:
        ending(a)
        b.mount()
        must([CTL, "abort", a.mnt], 10)
        must(["ls", b.mnt], 5)
        a.daemon.wait(20)
        must(["ls", b.mnt], 5)
        b.umount()


def abort_is_for_the_mount_that_is_there_now():
    """Two daemons have the same mount point in their records; one of them is mounted."""
    with Session(backend_args=["--evil", "used-never@DESTROY"]) as a, Session() as b:
        ending(a)
        b.mnt = a.mnt
        b.mount()
        one = json.loads(must([CTL, "status", "--json", b.mnt]))
        check(one["supervisor"] == b.daemon.pid, "status is another one's")
        check(one["mounts"] == [{"mountpoint": b.mnt, "id": mount_ids(b.mnt)[0]}],
              str(one["mounts"]))
        check(a.daemon.poll() is None, "this test came too late")
        must([CTL, "abort", b.mnt], 10)
        check(b.daemon.wait(1) == 0, b.said())
        a.daemon.wait(20)


def a_mount_that_is_moved_is_still_its_own():
    """By its ID: a signal unmounts it where it is, and what was made at its old place stays."""
    with Session() as s:
        old, new = s.mnt, os.path.join(s.work, "new")
        os.mkdir(new)
        s.mount()
        must(["mount", "--move", old, new])
        must(["mount", "-t", "tmpfs", "none", old])
        try:
            must(["ls", new], 5)
            s.daemon.send_signal(signal.SIGTERM)
            check(s.daemon.wait(10) == 0, s.said())
            check(not is_mounted(new), "it is still mounted")
            check(is_mounted(old), "what is at its old place was unmounted")
        finally:
            must(["umount", old])


def a_covered_mount_ends_without_harm_to_what_covers_it():
    with Session() as s:
        s.mount()
        must(["mount", "-t", "tmpfs", "none", s.mnt])
        top = mount_ids(s.mnt)[-1]
        try:
            s.daemon.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            s.daemon.send_signal(signal.SIGTERM)
            s.daemon.wait(10)
            check(top in mount_ids(s.mnt), "what covers it was unmounted")
        finally:
            while is_mounted(s.mnt):
                must(["umount", "-l", s.mnt])


def by_force_while_busy():
    """The abort ends it; the daemon takes the dead mount away."""
    with Session() as s:
        s.mount()
        with open(s.path("file"), "w", encoding="ascii") as f:
            run(["umount", "-i", "-f", s.mnt], 10)
            wait_until(lambda: not is_mounted(s.mnt), 5, "the dead mount is taken away")
            try:
                f.close()
            except OSError:
                pass
        s.ends(0)


def a_mount_inside_itself_ends_though_the_device_hangs():
    """The way to the inner one leads through the outer one, and a look there waits for the
    device."""
    for argv in ([CTL, "abort"], None):
        with Session() as s:
            s.mount()
            inner = s.path("inner")
            os.mkdir(inner)
            must(["mount", "--bind", s.mnt, inner])
            s.signal_backend(signal.SIGSTOP)
            time.sleep(1.5)  # until what the kernel knows of it has expired
            if argv:
                must(argv + [s.mnt], 5)
            else:
                for _ in range(2):
                    s.daemon.send_signal(signal.SIGTERM)
                    time.sleep(0.5)
            wait_until(lambda: not is_mounted(s.mnt), 5, "the mount is taken down")
            s.signal_backend(signal.SIGCONT)
            s.ends(0, 15)


# Mounts in a mount namespace of its own and says so; its end is the end of its line of input.
APART = """
import subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print("mounted", flush=True)
sys.stdin.read()
"""


def mount_apart(s, *unshare, argv=None):
    """A daemon in the background, in another mount namespace, and the only other process there."""
    s.start_backend()
    # Linux 6.18 may take the new namespace for an older one, and gives it no name then: its numbers
    # come from the CPU, each has a range of its own.
    for cpu in sorted(os.sched_getaffinity(0)):
        apart = subprocess.Popen(["taskset", "-c", str(cpu), "unshare", *unshare, sys.executable,
                                  "-c", APART,
                                  *(argv or s.daemon_argv(foreground=False))],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
        if apart.stdout.readline() == b"mounted\n":
            return apart
        apart.wait(5)
    raise Failure("no mount: " + s.backend_said())


def namespace_cases():
    """Whose mount namespace the first process has, a daemon must be able to see: else it takes its
    own for that."""
    cases = named([stays_while_its_mount_namespace_has_a_name,
                   ends_with_the_last_user_of_its_mount_namespace,
                   ends_where_a_daemon_of_an_older_program_is_the_only_other_user])
    try:
        os.readlink("/proc/1/ns/mnt")
    except OSError as e:
        return [(f"{name} # SKIP /proc/1/ns/mnt: {e.strerror}", lambda: None) for name, _ in cases]
    return cases


def ends_with_the_last_user_of_its_mount_namespace():
    with Session() as s:
        apart = mount_apart(s, "--mount", "--propagation", "private")
        record, = s.records()
        time.sleep(8)
        check(os.path.exists(record + ".sock"), "it has ended while somebody is in the namespace")
        apart.stdin.close()
        apart.wait(5)
        wait_until(lambda: not os.path.exists(record), 15, "nobody is there, and the daemon ends")
        check(s.backend.wait(5) == 0, s.backend_said())


def ends_where_a_daemon_of_an_older_program_is_the_only_other_user():
    """An update has put another file in the place of the program of the first one."""
    with Session() as s, Session() as other:
        program = os.path.join(s.work, "virtiofs-vfio")
        shutil.copy(s.daemon_argv()[0], program)
        other.start_backend()
        first, second = (shlex.join([program, *who.daemon_argv(foreground=False)[1:]])
                         for who in (s, other))
        apart = mount_apart(s, "--mount", "--propagation", "private", argv=[
            "sh", "-ec", f"{first}; cp {program} {program}.new; mv {program}.new {program}; "
                         f"{second}"])
        check(s.records() and other.records(), "two daemons")
        apart.stdin.close()
        apart.wait(5)
        wait_until(lambda: not s.records() + other.records(), 20,
                   "nobody else is there, and both end")


def stays_while_its_mount_namespace_has_a_name():
    """unshare --mount=FILE: no process needs to be in it."""
    with Session() as s:
        name = os.path.join(s.work, "names", "ns")
        os.mkdir(os.path.dirname(name))
        must(["mount", "-t", "tmpfs", "none", os.path.dirname(name)])
        must(["mount", "--make-private", os.path.dirname(name)])
        with open(name, "w", encoding="ascii"):
            pass
        try:
            apart = mount_apart(s, f"--mount={name}", "--propagation", "private")
            record, = s.records()
            apart.stdin.close()
            apart.wait(5)
            time.sleep(9)
            check(os.path.exists(record), "it has ended, and its namespace is there")
        finally:
            must(["umount", "-R", "-l", os.path.dirname(name)])
        wait_until(lambda: not os.path.exists(record), 15,
                   "the namespace is gone, and the daemon ends")


def helper(s, name, program):
    """As it is installed: a link that is called by its own name."""
    path = os.path.join(s.work, name)
    os.symlink(program, path)
    return path


def umount_returns_when_the_device_is_back(argv_of):
    """Four times: by then the daemon has ended, and its record is gone."""
    for _ in range(4):
        with Session() as s:
            s.mount()
            record, = s.records()
            must(argv_of(s), 10)
            check(not os.path.exists(record), "the record is still there")
            s.ends(0, 1)


def umount_of_a_mount_that_is_bound_elsewhere_returns():
    """The session goes on: there is nothing to wait for."""
    with Session() as s:
        bound = os.path.join(s.work, "bound")
        os.mkdir(bound)
        s.mount()
        must(["mount", "--bind", s.mnt, bound])
        one = json.loads(must([CTL, "status", "--json", bound]))
        check([m["mountpoint"] for m in one["mounts"]] == [s.mnt, bound], str(one["mounts"]))
        start = time.monotonic()
        must([CTL, "umount", s.mnt], 10)
        check(time.monotonic() - start < 4, "it waited for a session that goes on")
        must(["ls", bound], 5)
        must([CTL, "umount", bound], 10)
        s.ends(0, 1)


def umount_by_force_of_a_busy_mount_succeeds():
    with Session() as s:
        s.mount()
        user = subprocess.Popen(["sleep", "60"], cwd=s.mnt)
        try:
            umount = helper(s, "umount.fuse.virtiofs-vfio", CTL)
            status, out = run([umount, s.mnt], 10)
            check(status == 32 and "in use" in out, f"{status}: {out}")
            must([umount, s.mnt, "-f"], 20)
            s.ends(0, 1)
        finally:
            user.kill()
            user.wait()


def umount_of_a_dead_mount_just_unmounts():
    """Its daemon was killed: there is nobody to wait for, and nothing to say."""
    with Session() as s:
        s.mount()
        worker = json.loads(must([CTL, "status", "--json", s.mnt]))["worker"]
        s.daemon.kill()
        s.daemon.wait(5)
        os.kill(worker, signal.SIGKILL)
        out = must([helper(s, "umount.fuse.virtiofs-vfio", CTL), s.mnt], 10)
        check(not out and not is_mounted(s.mnt), out)


def others_fuse_mounts_go_back_to_umount():
    """umount.fuse gets them, too; one that isn't FUSE will do for this."""
    with Session() as s:
        must(["mount", "-t", "tmpfs", "none", s.mnt])
        must([helper(s, "umount.fuse", CTL), s.mnt, "-n"])
        check(not is_mounted(s.mnt), "it is still mounted")


def mounts_as_mount_calls_its_helper():
    """-s, -n, -v and -t are no business of the daemon's."""
    with Session() as s:
        s.start_backend()
        mount = helper(s, "mount.virtiofs-vfio", s.daemon_argv()[0])
        must([mount, "vhost-user:" + s.socket, s.mnt, "-s", "-n", "-v", "-t", "fuse.virtiofs-vfio",
              "-o",
              "ro,noatime,silent,nofail"])
        must(["grep", f" {s.mnt} fuse.virtiofs-vfio ro,noatime,", "/proc/mounts"])
        must([CTL, "umount", s.mnt])


class Automount:
    """A directory that this process group mounts something over when somebody else enters it, as
    systemd does it."""

    READY, FAIL, CATATONIC = 0x9360, 0x9361, 0x9362

    def __init__(self, path):
        self.path = path
        self.pipe, there = os.pipe()
        words = f"fd={there},pgrp={os.getpgrp()},minproto=5,maxproto=5,direct"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"automount", path.encode(), b"autofs", 0, words.encode()):
            raise Failure(f"autofs: {os.strerror(ctypes.get_errno())}")
        os.close(there)
        self.root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def asked(self):
        """Waits until somebody has entered it: a token for answered()."""
        check(select.select([self.pipe], [], [], 10)[0], "nobody was kept waiting by the automount")
        return struct.unpack_from("iiI", os.read(self.pipe, 4096))[2]

    def answered(self, token, good):
        fcntl.ioctl(self.root, self.READY if good else self.FAIL, token)

    def close(self):
        fcntl.ioctl(self.root, self.CATATONIC, 0)
        os.close(self.root)
        os.close(self.pipe)
        run(["umount", self.path])


def an_automount_is_mounted_over():
    """The daemon leaves its starter's process group, but not before it has entered the directory
    and mounted."""
    with open("/proc/filesystems", encoding="ascii") as f:
        if "\tautofs\n" not in f.read():
            print("this kernel has no autofs: not tried")
            return
    with Session() as s:
        s.start_backend()
        automount = Automount(s.mnt)
        with subprocess.Popen(["ls", "-d", s.mnt + "/."], stdout=subprocess.DEVNULL,
                              start_new_session=True) as reader:
            token, good = automount.asked(), False
            try:
                must(s.daemon_argv(foreground=False))
                good = True
            finally:
                automount.answered(token, good)
                reader.wait(10)
        check(reader.returncode == 0, "who entered it has got an error")
        must(["grep", f" {s.mnt} fuse.virtiofs-vfio ", "/proc/mounts"])
        must([CTL, "umount", s.mnt])
        automount.close()


def again(s, *more, place="second"):
    """Another start with the same source: (exit status, what it says, where)."""
    there = os.path.join(s.work, place)
    os.makedirs(there, exist_ok=True)
    status, out = run([s.daemon_argv()[0], *more, "vhost-user:" + s.socket, there], 10)
    return status, out, there


def a_second_mount_is_the_same_file_system():
    with Session(options="poll=irq") as s:
        s.mount()
        status, out, second = again(s, "-o", "poll=irq,ro,nosuid")
        check(status == 0, out)
        python("""
import os, sys
a, b = sys.argv[1:]
assert os.stat(a).st_dev == os.stat(b).st_dev
with open(a + "/file", "w") as f:
    f.write("text")
assert open(b + "/file").read() == "text"
try:
    open(b + "/other", "w")
    sys.exit("the second one lets write")
except OSError:
    pass
""", s.mnt, second)
        must(["grep", f" {second} fuse.virtiofs-vfio ro,nosuid,", "/proc/mounts"])
        one = json.loads(must([CTL, "status", "--json", second]))
        check([m["mountpoint"] for m in one["mounts"]] == [s.mnt, second], str(one["mounts"]))
        check(f"mount      {second}" in must([CTL, "status", s.mnt]), "status doesn't list it")
        must(["umount", "-i", s.mnt], 5)
        must(["ls", second], 5)
        # From what is left of them.
        status, out, third = again(s, place="third")
        check(status == 0, out)
        must(["umount", "-i", second], 5)
        must(["ls", third], 5)
        must(["umount", "-i", third], 5)
        s.ends(0)


def a_second_mount_elsewhere_is_seen_there_only():
    """Who asks puts it: where that is nobody else's business."""
    with Session() as s:
        s.mount()
        second = os.path.join(s.work, "second")
        os.mkdir(second)
        must(["unshare", "-m", "sh", "-e", "-c",
              '"$1" "$2" "$3"; ls "$3"; grep " $3 " /proc/mounts', "sh",
              s.daemon_argv()[0], "vhost-user:" + s.socket, second])
        check(not is_mounted(second), "it came back")
        s.umount()


def a_second_mount_with_other_options_is_refused():
    with Session(options="poll=irq,ro") as s:
        s.mount()
        for words, why in (("poll=busy,ro", "poll=busy"), ("ro,timeout=3", "timeout=3"),
                           ("ro,sync", "sync"),
                           ("nosuid", "rw"), ("ro,context=x", "context=x")):
            status, out, second = again(s, "-o", words)
            check(status == 1 and f'"{why}"' in out and s.mnt in out, f"{words}: {status}: {out}")
            check(not is_mounted(second), f"{words}: mounted all the same")
        status, out, second = again(s, "-f", "-o", "ro")
        check(status == 1 and "foreground" in out, out)
        s.umount()


def one_signal_ends_all_mounts():
    with Session() as s:
        s.mount()
        _, _, second = again(s)
        check(is_mounted(second), "not mounted")
        s.daemon.send_signal(signal.SIGTERM)
        s.ends(0)
        check(not is_mounted(second), "the second one is left")


def abort_by_the_second_mount_ends_all():
    with Session() as s:
        s.mount()
        _, _, second = again(s)
        must([CTL, "abort", second], 10)
        s.ends(0, 1)
        check(not is_mounted(second), "the second one is left")


def ends_within_one_that_is_silent():
    """Its own device answers. It ends, and gives that back, though nobody can look where it is
    mounted."""
    with Session(backend_args=["--no-cache"]) as outer, Session() as s:
        outer.mount()
        s.mnt = outer.path("sub")
        python("import os, sys; os.mkdir(sys.argv[1])", s.mnt)
        s.mount()
        outer.control("evil silent*")
        status, out, _ = again(s)
        check(status == 1 and "in use" in out, out)
        s.daemon.send_signal(signal.SIGTERM)
        # Its thread is in the walk by then, and no second mount is given any more.
        time.sleep(1)
        s.daemon.send_signal(signal.SIGTERM)
        wait_until(lambda: not s.records(), 15, "the device is given back")
        check("does not answer; umount it" in s.said(), s.said())
        must([CTL, "abort", outer.mnt], 10)
        outer.ends(0, 1)
        # Its thread was in the kernel's hands until now.
        s.daemon.wait(5)
        check(not is_mounted(s.mnt), "the dead mount is left")


def a_remount_that_changes_nothing_is_refused():
    with Session(options="poll=irq") as s:
        s.mount()

        def remount(words):
            return run([s.daemon_argv()[0], "-o", "remount," + words, "vhost-user:" + s.socket,
                        s.mnt], 10)
        for words, flags in (("ro,nosuid", "ro,nosuid,relatime"),
                             ("rw,noatime,poll=irq", "rw,noatime")):
            status, out = remount(words)
            check(status == 0, out)
            must(["grep", f" {s.mnt} fuse.virtiofs-vfio {flags},", "/proc/mounts"])
        for word in ("poll=busy", "timeout=5", "context=x"):
            status, out = remount(word)
            check(status == 1 and f'"{word}"' in out and "Unmount" in out,
                  f"{word}: {status}: {out}")
        must(["grep", f" {s.mnt} fuse.virtiofs-vfio rw,noatime,", "/proc/mounts"])
        status, out = run([s.daemon_argv()[0], "-o", "remount,ro", "x", s.work], 10)
        check(status == 1 and "no mount" in out, out)
        s.umount()


def a_remount_changes_that_mount_alone():
    """Not the file system, which others have mounted; of SOURCE nothing is asked: it may name
    another device."""
    with Session(options="poll=irq") as s, tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        s.mount()
        daemon, socket = s.daemon_argv()[0], "vhost-user:" + s.socket
        must([daemon, socket, other], 10)
        try:
            must([daemon, "-o", "remount,ro,poll=irq", "vhost-user:/nowhere", other], 10)
            must(["grep", f" {other} fuse.virtiofs-vfio ro,", "/proc/mounts"])
            must(["touch", s.path("written")])
            status, _ = run(["touch", f"{other}/refused"], 10)
            check(status == 1, "the mount is to be written to")
            must([daemon, "-o", "remount,rw", "vhost-user:/nowhere", other], 10)
            must(["touch", f"{other}/written-too"])
            status, out = run([daemon, "-o", "remount,poll=busy", "vhost-user:/nowhere", other], 10)
            check(status == 1 and '"poll=busy"' in out, out)
        finally:
            must(["umount", other], 10)
        s.umount()


def a_remount_gives_a_read_only_file_system_back_for_writing():
    with Session(options="ro") as s:
        s.mount()
        must([s.daemon_argv()[0], "-o", "remount,rw", "x", s.mnt], 10)
        must(["touch", s.path("written")])
        s.umount()


def a_remount_follows_no_links_of_others():
    with Session() as s:
        s.mount()
        link = f"{s.work}/link"
        os.symlink(s.mnt, link)
        os.chown(link, 1000, 1000, follow_symlinks=False)
        status, out = run([s.daemon_argv()[0], "-o", "remount,ro", "x", link], 10)
        check(status == 1 and "not root's" in out, out)
        must(["grep", f" {s.mnt} fuse.virtiofs-vfio rw,", "/proc/mounts"])
        s.umount()


def main():
    need_root()
    run_cases([("viofsctl umount returns when the device is back",
                lambda: umount_returns_when_the_device_is_back(lambda s: [CTL, "umount", s.mnt])),
               ("so does the helper",
                lambda: umount_returns_when_the_device_is_back(
                    lambda s: [helper(s, "umount.fuse", CTL), s.mnt, "-n"]))] + named([
        umount_of_a_mount_that_is_bound_elsewhere_returns,
        umount_by_force_of_a_busy_mount_succeeds, umount_of_a_dead_mount_just_unmounts,
        others_fuse_mounts_go_back_to_umount,
        mounts_as_mount_calls_its_helper, an_automount_is_mounted_over,
        a_second_mount_is_the_same_file_system,
        a_second_mount_with_other_options_is_refused,
        one_signal_ends_all_mounts, abort_by_the_second_mount_ends_all,
        ends_within_one_that_is_silent, a_remount_that_changes_nothing_is_refused,
        a_remount_changes_that_mount_alone,
        a_remount_gives_a_read_only_file_system_back_for_writing,
        a_remount_follows_no_links_of_others,
        a_symbolic_link_of_somebody_else_is_not_followed, a_symbolic_link_of_root_is_followed,
        abort_is_for_the_mount_that_is_there_now,
        a_mount_that_is_moved_is_still_its_own, a_covered_mount_ends_without_harm_to_what_covers_it,
        by_force_while_busy, a_mount_inside_itself_ends_though_the_device_hangs]), at_once=2,
              # A new mount namespace has copies of all mounts, and their sessions go on for that
              # time. Those that make one mount in it alone.
              alone=[namespace_cases()] + named([
        a_second_mount_elsewhere_is_seen_there_only, a_mount_point_that_flips_leads_nowhere_else,
        # The number that one gives up must be the next one's.
        an_ending_daemon_leaves_the_next_mount_alone, abort_of_one_that_ends_is_not_anothers]))


if __name__ == "__main__":
    main()
