# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest of tools/vm boot, from its kernel's first line to its end, by its serial console."""

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# For a step of a boot or a command. Only a guest that hangs needs it all.
PATIENCE = 1200


class Failure(Exception):
    """What was expected did not happen."""


def check(condition, text):
    """Fails with @text."""
    if not condition:
        raise Failure(text)


class Guest:
    """One boot. As a context; nothing is left of it afterwards."""

    def __init__(self, *options, qemu_opts=""):
        self.work = tempfile.mkdtemp(prefix="viofs-console.")
        self.pidfile = os.path.join(self.work, "qemu.pid")
        self.text = ""  # all of the console
        self.seen = 0  # what was expected has come so far
        self.commands = 0
        self.console = open(os.path.join(self.work, "console"), "wb")  # to look at meanwhile
        self.messages = open(os.path.join(self.work, "messages"), "w+b")
        argv = [os.path.join(TOP, "tools", "vm"), "boot", "--timeout", "0", *options,
                "--qemu-opts", f"-pidfile {self.pidfile} {qemu_opts}"]
        self.vm = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=self.messages)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.vm.poll() is None:
            self.vm.terminate()
        self.vm.wait()
        self.vm.stdin.close()
        self.vm.stdout.close()
        if kind:
            self.messages.seek(0)
            sys.stderr.write(self.text[-6000:] + "\n--- tools/vm:\n" +
                             self.messages.read().decode(errors="replace"))
        self.console.close()
        self.messages.close()
        for name in os.listdir(self.work):
            os.unlink(os.path.join(self.work, name))
        os.rmdir(self.work)
        return False

    def read(self, seconds):
        """More of the console, if there is more within that time. Return: False at its end."""
        if not select.select([self.vm.stdout], [], [], seconds)[0]:
            return True
        data = os.read(self.vm.stdout.fileno(), 65536)
        self.console.write(data)
        self.console.flush()
        self.text += data.decode(errors="replace").replace("\r", "")
        return bool(data)

    def expect(self, pattern, patience=PATIENCE):
        """Waits for @pattern in what hasn't been looked at yet. Return: the match."""
        end = time.monotonic() + patience
        what = re.compile(pattern, re.MULTILINE)
        while True:
            match = what.search(self.text, self.seen)
            if match:
                self.seen = match.end()
                return match
            check(time.monotonic() < end, f"no '{pattern}' within {patience} s")
            check(self.read(1), f"the guest has ended, with no '{pattern}'")

    def send(self, line):
        """What somebody types."""
        self.vm.stdin.write(line.encode() + b"\n")
        self.vm.stdin.flush()

    def login(self):
        """As root, who has no password; then a plain shell, which echoes nothing."""
        self.expect(r"\S+ login: ")
        self.send("root")
        self.expect(r"root@\S+# ")
        self.send("exec env PS1= TERM=dumb sh")
        self.send("stty -echo; dmesg -n 1; echo shell-''ready")
        self.expect(r"shell-ready$")

    def run(self, command, patience=PATIENCE):
        """A command in the guest: its status, and its output and errors."""
        self.commands += 1
        begin, end = f"begin-{self.commands}", f"end-{self.commands}"
        self.send(f"echo {begin}; ( {command} ) 2>&1 </dev/null; echo {end} $?")
        self.expect(f"{begin}$", patience)
        start = self.seen
        match = self.expect(rf"{end} (\d+)$", patience)
        return int(match.group(1)), self.text[start:match.start()].strip()

    def must(self, command, patience=PATIENCE):
        """One that has to work: its output."""
        status, out = self.run(command, patience)
        check(status == 0, f"in the guest: {command}: status {status}: {out}")
        return out

    def ends(self):
        """The guest's power goes, and QEMU with it."""
        end = time.monotonic() + PATIENCE
        while self.read(1):
            check(time.monotonic() < end, f"no end within {PATIENCE} s")
        check(self.vm.wait() == 0, f"tools/vm: status {self.vm.returncode}")

    def kill(self):
        """QEMU, at once."""
        with open(self.pidfile, encoding="ascii") as f:
            os.kill(int(f.read()), signal.SIGKILL)
        self.vm.wait()
