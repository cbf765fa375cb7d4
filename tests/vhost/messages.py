# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon, viofsctl and viofs say: of names that somebody else has chosen, of failures, and
by which exit status."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys

from vhostlib import (CTL, EPOLL_WAIT, IO_URING_ENTER, IO_URING_SETUP, Session, check, is_mounted,
                      must, named,
                      need_root, run, run_cases, wait_until, without_call)

VIOFS = os.environ["VIOFS_TOOL"]
OVERCOMMIT = "/proc/sys/vm/nr_overcommit_hugepages"
# A name that is no UTF-8, that colours a terminal and sets its title; how it is printed, and as a
# string of JSON.
ODD = "m\udcff\x1b[31m\x1b]0;x\a\\n\u202e"
SHOWN = "m\\377\\033[31m\\033]0;x\\a\\\\n\\342\\200\\256"
JSON = "m\\377\x1b[31m\x1b]0;x\a\\\\n\u202e"


def harmless(out):
    """@out as run() has it."""
    check(not any(c < " " and c != "\n" or "\x7f" <= c < "\xa0" or c in "\u202e\ufffd"
                  for c in out), repr(out))


class Odd(Session):
    """Its mount point and its socket have the odd name."""

    def __init__(self, **more):
        super().__init__(**more)
        os.rmdir(self.mnt)
        self.mnt = os.path.join(self.work, ODD)
        os.mkdir(self.mnt)
        os.mkdir(os.path.join(self.work, "s"))
        self.socket = os.path.join(self.work, "s", ODD)

    def start_backend(self, stays=True):
        """It listens under a plain name; the odd one is a link to that."""
        odd, self.socket = self.socket, os.path.join(self.work, "sock")
        super().start_backend(stays)
        self.socket = odd
        os.symlink("../sock", odd)


def check_status(s, status):
    """One of --json."""
    check(status["mountpoint"] == os.path.join(s.work, JSON), status["mountpoint"])
    check(status["source"] == "vhost-user:" + os.path.join(s.work, "s", JSON), status["source"])


def a_mount_point_that_is_not_utf8_has_its_status():
    with Odd().mount() as s:
        harmless(s.said())
        check(f"is mounted at {s.work}/" in s.said(), s.said())
        for argument in ([], [s.mnt]):
            out = must([CTL, "status", *argument])
            harmless(out)
            check(f"vhost-user:{s.work}/s/{SHOWN} on {s.work}/{SHOWN}\n" in out, out)
        out = must([CTL, "status", "--json", s.mnt])
        check(out.isascii(), out)
        check_status(s, json.loads(out))
        check_status(s, [one for one in json.loads(must([CTL, "status", "--json"]))
                         if s.work in one["source"]][0])
        out = must([CTL, "show", "vhost-user:" + s.socket])
        harmless(out)
        s.umount()


def a_lost_mount_whose_name_is_not_utf8_keeps_its_supervisor():
    with Odd().mount() as s:
        s.kill_backend()
        wait_until(lambda: "The device is lost" in s.said(), 5, "the loss is said")
        for _ in range(2):
            status = json.loads(must([CTL, "status", "--json", s.mnt]))
            check_status(s, status)
            check(status["session"] == "lost", status["session"])
        check(s.daemon.poll() is None, f"the supervisor has ended with {s.daemon.poll()}")
        must(["umount", s.mnt])
        s.ends(1)


def names_in_errors_are_harmless():
    with Odd() as s:
        for argv in ([s.daemon_argv()[0], "-o", ODD, "vhost-user:/x", s.mnt],
                     [s.daemon_argv()[0], "vhost-user:" + s.socket, s.mnt],
                     [s.daemon_argv()[0], "vhost-user:" + s.socket, s.mnt + "/nix"],
                     [s.daemon_argv()[0], "--" + ODD],
                     [s.daemon_argv()[0], "-o", "poll=" + ODD, "vhost-user:/x", s.mnt],
                     [s.daemon_argv()[0], ODD, s.mnt],
                     [CTL, ODD], [CTL, "--" + ODD], [CTL, "status", s.mnt], [CTL, "abort", s.mnt],
                     [CTL, "show", ODD],
                     [CTL, "bind", ODD], [CTL, "show", "vhost-user:" + s.socket],
                     [VIOFS, ODD], [VIOFS, "ls", "--" + ODD], [VIOFS, "ls", ODD],
                     [VIOFS, "get", "vhost-user:" + s.socket, ODD],
                     [VIOFS, "mkdir", "-m", ODD, "vhost-user:" + s.socket, "x"]):
            status, out = run(argv, env=dict(os.environ, LC_ALL="C.UTF-8"))
            check(status in (1, 2), f"{argv}: status {status}")
            harmless(out)


def a_tag_is_printed_harmlessly():
    with Session(backend_args=["--tag", "t\u202e\\"]) as s:
        s.start_backend()
        out = must([CTL, "show", "vhost-user:" + s.socket])
        harmless(out)
        check("t\\342\\200\\256\\\\\n" in out, out)
        s.backend.wait(5)
        os.unlink(s.socket)
        s.start_backend()
        status = json.loads(must([CTL, "show", "--json", "vhost-user:" + s.socket]))
        check(status["tag"] == "t\u202e\\\\", status["tag"])


def viofs_prints_names_harmlessly():
    with Session() as s:
        target = os.path.join(s.work, "there")
        os.makedirs(os.path.join(target, ODD))
        for command in (["get", "nix", os.path.join(target, ODD)],
                        ["put", os.path.join(target, ODD, "nix"), "/"],
                        ["cat", ODD], ["ls", ODD], ["stat", ODD], ["chmod", ODD, "x"],
                        ["cp", "-r", "/", "/" + ODD],
                        ["raw", ODD], ["raw", "LOOKUP", ODD], ["raw", "LOOKUP", ODD + "=1"],
                        ["df", ODD]):
            s.start_backend()
            status, out = run([VIOFS, command[0], "vhost-user:" + s.socket, *command[1:]],
                              env=dict(os.environ, LC_ALL="C.UTF-8"))
            check(status in (1, 2), f"{command}: status {status}: {out}")
            harmless(out)
            s.backend.terminate()
            s.backend.wait(5)
            if os.path.exists(s.socket):
                os.unlink(s.socket)


def a_socket_whose_name_is_no_tag():
    with Session() as s:
        s.socket = os.path.join(s.work, ODD)
        s.start_backend()
        s.start_daemon()
        wait_until(lambda: " is mounted at " in s.said() or s.daemon.poll() is not None, 10,
                   "the mount")
        check(s.daemon.poll() is None, s.said())
        status = json.loads(must([CTL, "status", "--json", s.mnt]))
        check(status["device"]["tag"] == "m\\\\377\\\\033[31m\\\\033]0;x\\\\a\\\\n\\\\342\\\\200",
              status["device"]["tag"])
        s.umount()


def starter_of(s, **more):
    """The daemon that leaves the terminal, on its way to a back end that says nothing: the process
    that waits for it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(s.socket)
    listener.listen(1)
    p = subprocess.Popen(s.daemon_argv(foreground=False), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, **more)
    return listener, p


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(word) for word in f.read().split()]


def a_daemon_that_is_killed_at_its_start():
    with Session() as s:
        listener, p = starter_of(s)
        with listener, p:
            with listener.accept()[0]:
                os.kill(wait_until(lambda: children(p.pid), 5, "the daemon")[0], signal.SIGKILL)
                out = p.communicate(timeout=5)[0].decode()
        check(p.returncode == 1 and "by signal 9 (Killed)" in out and "memory" in out,
              f"{p.returncode}: {out}")


def a_daemon_that_may_write_no_file():
    with Session() as s:
        s.start_backend()
        status, out = run(s.daemon_argv(foreground=False),
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
        check(status == 1 and ("limit on the size of files" in out or "File too large" in out),
              f"{status}: {out}")


def with_few_descriptors():
    """A hard limit that the daemon may not widen, as it lacks CAP_SYS_RESOURCE. What it raises it
    lowers again."""
    limit = must(["cat", OVERCOMMIT])
    for count in (5, 6, 8, 10, 12):
        with Session() as s:
            s.start_backend()
            status, out = run(["setpriv", "--bounding-set=-sys_resource",
                               "--inh-caps=-sys_resource", *s.daemon_argv()],
                              preexec_fn=lambda n=count: resource.setrlimit(resource.RLIMIT_NOFILE,
                                                                            (n, n)))
            check(status == 1 and "open files" in out.split("\n")[-2], f"{count}: {status}: {out}")
            check(must(["cat", OVERCOMMIT]) == limit,
                  f"{count}: the limit of hugepages stays raised")


def without_proc():
    with Session() as s:
        s.start_backend()
        status, out = run(["unshare", "--mount", "sh", "-c",
                           'while umount -l /proc; do :; done 2>/dev/null; exec "$@"', "sh",
                           *s.daemon_argv()])
        check(status == 1 and "is /proc mounted" in out, f"{status}: {out}")


def without_io_uring():
    """io_uring_setup or io_uring_enter, as in a container of Docker's: where io_uring is asked for,
    it is said why."""
    for call in (IO_URING_SETUP, IO_URING_ENTER):
        with Session(options="events=io_uring") as s:
            s.start_backend()
            status, out = run(s.daemon_argv(), preexec_fn=lambda c=call: without_call(c))
            check(status == 1 and "seccomp" in out and "Operation not permitted" in out,
                  f"{status}: {out}")


def a_loop_that_can_not_wait():
    """epoll_wait: the supervisor sees the end all the same, and takes no CPU time until then."""
    for foreground in (True, False):
        with Session(options="events=epoll") as s:
            s.start_backend()
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            status, out = run(s.daemon_argv(foreground), 10,
                              preexec_fn=lambda: without_call(EPOLL_WAIT))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            check(status == 1 and "epoll" in out and "Operation not permitted" in out,
                  f"{status}: {out}")
            check(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1,
                  "CPU time")
            wait_until(lambda s=s: not s.records() and not is_mounted(s.mnt), 5, "all is as before")


def exit_statuses():
    """Wrong command lines and failures, by both names that the daemon is called by; and of the
    other programs."""
    with Session() as s:
        nobody = "vhost-user:" + s.work + "/nobody"
        wrong = [[], [nobody], ["-o", "bogus", nobody, s.mnt], ["-o", "poll=fast", nobody, s.mnt],
                 ["-x", nobody, s.mnt],
                 ["-o", "cpus=1000", nobody, s.mnt], ["-o", "cpus=a", nobody, s.mnt],
                 ["-o", "queues=2", "myfs", s.mnt],
                 ["-o", "queues=2", "0000:7f:1f.7", s.mnt], ["-o", "queues=99", nobody, s.mnt],
                 ["vhost-user:", s.mnt], ["", s.mnt],
                 ["-o", "dax=always", nobody, s.mnt], ["-o", "fsname=x", nobody, s.mnt],
                 [nobody, s.mnt, "more"], [nobody, s.mnt, "-t"], ["-o"],
                 ["-o", "workers=0", nobody, s.mnt], ["-o", "backend-keeps-state", nobody, s.mnt]]
        failing = [[nobody, s.mnt], [nobody, s.mnt + "/nix"], ["-f", nobody, s.mnt],
                   ["tag:nobody-has-it", s.mnt],
                   ["0000:7f:1f.7", s.mnt], [nobody, "/proc/self/status"]]
        for name, usage, failure in (("virtiofs-vfio", 2, 1), ("mount.fuse.virtiofs-vfio", 1, 32),
                                     ("/sbin/mount.virtiofs-vfio", 1, 32)):
            for rows, due in ((wrong, usage), (failing, failure), ([["--help"], ["--version"]], 0)):
                for argv in rows:
                    status, out = run([name, *argv], executable=s.daemon_argv()[0])
                    check(status == due,
                          f"{name} {argv}: status {status} where {due} is due: {out}")
    for argv, due in (([CTL], 2), ([CTL, "bogus"], 2), ([CTL, "show"], 2), ([CTL, "list", "x"], 2),
                      ([CTL, "metrics", "--openmetrics", "--json"], 2),
                      ([CTL, "metrics", "--openmetrics", "--http"], 2),
                      ([CTL, "status", "--http"], 2), ([CTL, "metrics", "--http"], 1),
                      ([CTL, "--bogus"], 2), ([CTL, "show", nobody], 1), ([CTL, "bind", "x"], 1),
                      ([CTL, "status", "/nix"], 1),
                      ([CTL, "status"], 0), ([CTL, "--help"], 0),
                      ([VIOFS], 2), ([VIOFS, "bogus"], 2), ([VIOFS, "ls"], 2),
                      ([VIOFS, "ls", "-Z", "x"], 2), ([VIOFS, "get", "x", "y"], 2),
                      ([VIOFS, "ls", "--timeout=x", "x"], 2), ([VIOFS, "ls", nobody], 1),
                      ([VIOFS, "ls", "--help"], 0)):
        status, out = run(argv)
        check(status == due, f"{argv}: status {status} where {due} is due: {out}")


# A mount namespace with a /dev/log of its own, where the daemon in the background mounts; it is
# left by a line.
APART = """
set -e
dev=$1; shift
for node in fuse null zero urandom; do : >$dev/$node; mount --bind /dev/$node $dev/$node; done
mkdir $dev/shm
mount --rbind /dev/shm $dev/shm
mount --rbind $dev /dev
"$@"
echo mounted
while read line; do sh -c "$line" || echo "status $?"; done
"""


class Logged(Session):
    """The daemon leaves the terminal; what it says from then on comes to a socket."""

    def start_apart(self):
        """The shell of that namespace, as it takes commands."""
        dev = os.path.join(self.work, "dev")
        os.mkdir(dev)
        self.log_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.log_socket.settimeout(15)
        self.log_socket.bind(os.path.join(dev, "log"))
        self.start_backend()
        shell = subprocess.Popen(["unshare", "--mount", "sh", "-c", APART, "sh", dev,
                                  *self.daemon_argv(foreground=False)],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        lines = []
        for line in shell.stdout:
            if line == "mounted\n":
                break
            lines.append(line)
        else:
            check(False, f"no mount: {lines}")
        return shell, lines

    def lines_until(self, word):
        """Of the log, up to the one with @word."""
        lines = [self.log_socket.recv(4096).decode()]
        while word not in lines[-1]:
            lines.append(self.log_socket.recv(4096).decode())
        return lines


def ended_by(order, asked, why, options=""):
    """What the log has of a mount that @order ends."""
    with Logged(options=options) as s:
        shell, said = s.start_apart()
        with shell:
            begin = s.lines_until("is mounted at")
            pid, = [one["supervisor"] for one in json.loads(must([CTL, "status", "--json"]))
                    if one["mountpoint"] == s.mnt]
            shell.stdin.write(order.format(pid=pid, mnt=s.mnt, ctl=CTL) + "\n")
            shell.stdin.flush()
            end = s.lines_until("has ended")
            shell.stdin.close()
            shell.wait(10)
        check(all(f"{s.mnt}: " in line for line in begin + end), begin + end)
        for line in said:
            check(any(line.strip().split(": ", 2)[-1] in logged for logged in begin),
                  f"{line} is not in {begin}")
        check(not asked or any(asked.format(pid=os.getpid()) in line for line in end),
              f"no '{asked}' in {end}")
        check(why in end[-1] and " s: " in end[-1], end[-1])
        return said


def the_log_tells_begin_and_end():
    ended_by("umount {mnt}", None, "it was unmounted")
    ended_by("umount -l {mnt}", None, "it was unmounted")
    ended_by("umount -f {mnt}", None, "it was unmounted")
    ended_by("cd {mnt}; umount -f {mnt}; cd /", None, "its connection was aborted")
    ended_by("kill {pid}", "asked to end by signal 15 (Terminated) of process",
             "by signal 15 (Terminated) of process")
    ended_by("kill -INT {pid}", "asked to end by signal 2 (Interrupt)", "user 0")
    ended_by("{ctl} abort {mnt}", "asked to end by viofsctl abort", "by viofsctl abort")
    ended_by("kill -KILL $(cat /proc/{pid}/task/{pid}/children)", None, "killed by signal 9",
             "restarts=0")


def the_log_tells_of_a_second_mount():
    with Logged() as s:
        second = os.path.join(s.work, "second")
        os.mkdir(second)
        shell, _ = s.start_apart()
        with shell:
            s.lines_until("is mounted at")
            shell.stdin.write(f"{s.daemon_argv()[0]} vhost-user:{s.socket} {second}; umount -i "
                              f"{second}; umount -i {s.mnt}\n")
            shell.stdin.flush()
            lines = s.lines_until("has ended")
            shell.stdin.close()
            shell.wait(10)
        check(any(f"{s.mnt}: another virtiofs-vfio asks" in line for line in lines), lines)
        check(any(f"{second}: {s.socket} is mounted at {second} too" in line for line in lines),
              lines)


def warnings_of_the_start_are_in_the_log():
    said = ended_by("umount {mnt}", None, "it was unmounted", options="on-loss=wait")
    check(any("warning: " in line for line in said), f"no warning at the start: {said}")


def main():
    need_root()
    wanted = sys.argv[1:]
    cases = [
        a_mount_point_that_is_not_utf8_has_its_status,
        a_lost_mount_whose_name_is_not_utf8_keeps_its_supervisor,
        names_in_errors_are_harmless, a_tag_is_printed_harmlessly, viofs_prints_names_harmlessly,
        a_socket_whose_name_is_no_tag, a_daemon_that_is_killed_at_its_start,
        a_daemon_that_may_write_no_file, without_io_uring,
        a_loop_that_can_not_wait,
        exit_statuses, the_log_tells_begin_and_end, the_log_tells_of_a_second_mount,
        warnings_of_the_start_are_in_the_log,
        with_few_descriptors, without_proc,
    ]
    run_cases(named([case for case in cases if not wanted or case.__name__ in wanted]))


if __name__ == "__main__":
    main()
