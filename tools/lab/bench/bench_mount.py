# SPDX-License-Identifier: GPL-2.0-or-later
"""Mounts on this machine for the bench: our daemon in front of a back end, libfuse's passthrough_hp
and null."""

import glob
import json
import os
import shutil
import subprocess
import tempfile
import time

import bench_common as common
from bench_common import built

C_VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
LIBFUSE = os.path.join(common.BUILD, "libfuse/example")
START_S = 20
END_S = 20
ANSWER_S = 10


class NotHere(Exception):
    """Something that this machine or this build hasn't got: why."""


def rust_virtiofsd():
    return os.path.join(common.BUILD, "guest/download/trixie/virtiofsd/run")


def is_mounted(path):
    """By the kernel's list, which asks nobody."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as table:
        return any(line.split(" ")[4] == path for line in table)


def is_listening(path):
    """Does somebody take connections there? A look that needs no connection: back ends take one
    only."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
        return any(line.split()[3] == "00010000" and line.rstrip().endswith(" " + path)
                   for line in table)


def family(pid):
    """A process and its children: virtiofsd's sandbox makes some."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [pid] + [p for child in children.read().split() for p in family(int(child))]


class Folder:
    """A directory while the context lasts."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="viofs-bench-")
        return self.path

    def __exit__(self, *exc):
        shutil.rmtree(self.path, ignore_errors=True)


class EnableUring:
    """The kernel's switch for FUSE over io_uring, and afterwards as it was before."""

    def __enter__(self):
        self.before = None
        if os.path.exists(common.ENABLE_URING):
            with open(common.ENABLE_URING, encoding="ascii") as switch:
                self.before = switch.read().strip()
        return self

    def put(self, value):
        with open(common.ENABLE_URING, "w", encoding="ascii") as switch:
            switch.write(value)

    def set(self, wanted):
        """For the next mount: on where it is about io_uring, else off, which is the kernel's own
        default."""
        if self.before is not None:
            self.put("Y" if wanted else "N")
        elif wanted:
            raise NotHere("this kernel has no FUSE over io_uring")

    def __exit__(self, *exc):
        if self.before is not None:
            self.put(self.before)


class Mount:
    """A server, mounted at self.dir while the context lasts. What must be told apart is in the
    subclasses."""

    def __init__(self):
        self.work = tempfile.mkdtemp(prefix="viofs-bench-mount-")
        self.dir = os.path.join(self.work, "mnt")
        self.mounts = [self.dir]
        os.mkdir(self.dir)
        self.children = []
        self.last_words = ""

    def start(self, *argv, env=None):
        """A child that stays, with its messages in a file."""
        log = os.path.join(self.work, f"log.{len(self.children)}")
        with open(log, "wb") as out:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                     env=env)
        self.children.append((child, log))
        return child

    def said(self):
        out = []
        for _, log in self.children:
            with open(log, encoding="utf-8", errors="replace") as text:
                # valgrind's own lines tell nothing
                out += [line for line in text.read().strip().splitlines()
                        if not line.startswith("==")][-4:]
        return "; ".join(out) or "it says nothing"

    def wait_for(self, condition, what):
        end = time.monotonic() + START_S
        while not condition():
            if any(child.poll() is not None for child, _ in self.children):
                raise NotHere(f"{what}: {self.said()}")
            if time.monotonic() > end:
                raise NotHere(f"{what}: not within {START_S} s: {self.said()}")
            time.sleep(0.01)

    def reach(self, path):
        """A request that is answered, or the server is killed: by a child, since it may never
        return."""
        with subprocess.Popen(["stat", path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as child:
            try:
                child.wait(ANSWER_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise NotHere(f"no answer within {ANSWER_S} s: {self.said()}") from None
        if child.returncode:
            raise NotHere(f"{path} can't be looked at: {self.said()}")

    def kill(self):
        """The servers: then the kernel ends whatever waits for them."""
        for child, _ in self.children:
            child.kill()
            child.wait()

    def __enter__(self):
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        self.close()

    def open(self):
        raise NotImplementedError

    def sides(self):
        """{name: pids} of what is to be watched."""
        raise NotImplementedError

    def close(self):
        for path in reversed(self.mounts):
            self.unmount(path)
        end = time.monotonic() + END_S
        for child, _ in reversed(self.children):
            try:
                child.wait(max(end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.last_words = self.said()
        self.forget_record()
        shutil.rmtree(self.work, ignore_errors=True)

    def unmount(self, path):
        if not is_mounted(path):
            return
        with subprocess.Popen(["umount", path], stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as child:
            try:
                child.wait(END_S)
            except subprocess.TimeoutExpired:
                self.kill()
        if is_mounted(path):
            subprocess.run(["umount", "-l", path], check=False)

    def forget_record(self):
        """What a daemon that had to be killed has left, at once, whoever holds it still."""
        for record in glob.glob("/run/virtiofs-vfio/vhost-user-*"):
            try:
                with open(record, encoding="utf-8") as text:
                    mine = f"mountpoint={self.dir}\n" in text.read()
            except OSError:
                continue
            if mine:
                for path in (record, record + ".sock"):
                    if os.path.exists(path):
                        os.unlink(path)


class Relay(Mount):
    """Our daemon in front of a back end. options: for -o. wrap: what the daemon is run under."""

    def __init__(self, backend, share, options=(), backend_options=(), wrap=(), daemon=None):
        super().__init__()
        self.backend_name, self.share = backend, share
        self.options, self.backend_options = list(options), list(backend_options)
        self.wrap, self.program = list(wrap), daemon or built("virtiofs-vfio")
        self.socket = os.path.join(self.work, "sock")
        self.backend = self.daemon = self.status = None

    def backend_argv(self):
        if self.backend_name == "virtiofsd":
            return [rust_virtiofsd(), f"--socket-path={self.socket}", f"--shared-dir={self.share}",
                    "--sandbox=chroot",
                    "--cache=auto", "--allow-direct-io", "--log-level=error"]
        if self.backend_name == "virtiofsd-c":
            if not os.path.exists(C_VIRTIOFSD):
                raise NotHere(f"there is no {C_VIRTIOFSD}")
            return [C_VIRTIOFSD, f"--socket-path={self.socket}", "-o", f"source={self.share}", "-o",
                    "sandbox=chroot",
                    "-o", "cache=auto", "-o", "allow_direct_io"]
        serve = {"null-device": ["null"], "tree-device": ["tree", "--no-cache"]}[self.backend_name]
        return [built("viofs-device"), "--socket", self.socket, "--poll", "--serve"] + serve

    def open(self):
        self.backend = self.start(*self.backend_argv(), *self.backend_options)
        self.wait_for(lambda: is_listening(self.socket), "the back end has not started")
        options = ["-o", ",".join(self.options)] if self.options else []
        self.daemon = self.start(*self.wrap, self.program, "-f", *options,
                                 "vhost-user:" + self.socket, self.dir)
        self.wait_for(lambda: is_mounted(self.dir), "the daemon refused")
        self.wait_for(self.read_status, "the daemon has no status")

    def read_status(self):
        """Return: whether it is serving; then self.status is how it is now."""
        done = subprocess.run([built("viofsctl"), "status", "--json", self.dir],
                              capture_output=True, text=True,
                              check=False, timeout=END_S)
        if done.returncode:
            return False
        status = json.loads(done.stdout)
        self.status = status[0] if isinstance(status, list) else status
        return self.status["session"] == "serving"

    def sides(self):
        return {"server": [self.status["worker"]], "backend": family(self.backend.pid)}


class LibfuseMount(Mount):
    """One of libfuse's examples. channel: dev or uring."""

    def __init__(self, channel, wrap=()):
        super().__init__()
        self.channel, self.wrap = channel, list(wrap)
        self.server = None

    def serve(self, *argv):
        program, *rest = argv
        path = os.path.join(LIBFUSE, program)
        if not os.path.exists(path):
            raise NotHere(f"there is no {path}")
        options = ["-o", "io_uring"] if self.channel == "uring" else []
        self.server = self.start(*self.wrap, path, *options, *rest)

    def check_channel(self):
        """libfuse goes on over /dev/fuse where its ring fails: has it one?"""
        pid = self.server.pid
        links = [os.readlink(link) for link in glob.glob(f"/proc/{pid}/fd/*")
                 if os.path.islink(link)]
        if self.channel == "uring" and not any("io_uring" in link for link in links):
            raise NotHere(f"it came up without io_uring: {self.said()}")

    def sides(self):
        return {"server": family(self.server.pid)}


class PassthroughHp(LibfuseMount):
    """libfuse's passthrough file system. The kernel's own pass-through is off: it would be no
    server's work."""

    def __init__(self, share, channel, cached=True, wrap=()):
        super().__init__(channel, wrap)
        self.share, self.cached = share, cached

    def open(self):
        self.serve("passthrough_hp", "--foreground", "--nopassthrough",
                   *([] if self.cached else ["--nocache"]),
                   self.share, self.dir)
        self.wait_for(lambda: is_mounted(self.dir), "passthrough_hp")
        self.reach(self.dir)
        self.check_channel()


class Null(LibfuseMount):
    """libfuse's null: one file of zeros, which is mounted on a file. It stands for both that the
    work uses."""

    def open(self):
        data, small = (os.path.join(self.dir, name) for name in ("data", "small"))
        for path in (data, small):
            with open(path, "w", encoding="ascii"):
                pass
        self.mounts += [data, small]
        self.serve("null", "-f", data)
        self.wait_for(lambda: is_mounted(data), "null")
        self.reach(data)
        self.check_channel()
        subprocess.run(["mount", "--bind", data, small], check=True)
