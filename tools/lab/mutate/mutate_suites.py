# SPDX-License-Identifier: GPL-2.0-or-later
"""The two suites that a broken file meets: the unit tests, then a few of those over vhost-user."""

import os
import resource
import signal
import subprocess
import threading
import time

# Of the suite vhost, with the folders of src/ that each is for: a short list of what is done with a mount, the library's
# calls, starts that are refused, changes on the device's side, another back end.
NATIVE = {
    "library-tree": {"client", "virtio", "vhost", "fs", "fuse", "dma", "attach", "base"},
    "library-queues": {"client", "virtio", "fs"},
    "tree-in-memory": {"daemon", "relay", "kernel", "attach", "virtio", "vhost", "fs", "fuse", "dma", "base"},
    "notifications": {"relay", "fs", "fuse"},
    "refusals": {"daemon", "attach", "vhost", "kernel", "base"},
    "outage": {"daemon", "vhost"},
    "messages": {"daemon", "hold"},
    "mounts": {"daemon", "kernel"},
}
DAEMON = "src/daemon/virtiofs-vfio"
LIBRARY = "src/libviofs.so.0.1.0"
MEMORY_MAX = 8 << 30
# A broken program that takes so many times as long as a whole one may hang; and so many times that, it does, whatever
# else runs on the machine.
LATE, HANGING = 5, 4
END_MAX = 10  # seconds for what was killed to be gone


def _limits():
    for what, most in ((resource.RLIMIT_AS, MEMORY_MAX), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, resource.getrlimit(what)[1]))


def _is_bad(line):
    """A line of TAP, in which the tests in Python say all; their exit status says nothing."""
    return line.startswith((b"not ok", b"Bail out!"))


def _mounts():
    """FUSE mounts of this namespace: {minor device number, which is the connection's name: mount point}."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        lines = [line.split() for line in f]
    return {line[2].split(":")[1]: line[4] for line in lines if line[line.index("-") + 1].startswith("fuse.")}


NOT_OURS = _mounts()


def _abort_mounts():
    """Of what a test has left: a program that waits for a daemon that was killed might wait for ever."""
    for minor, folder in _mounts().items():
        if minor in NOT_OURS:
            continue
        try:
            with open(f"/sys/fs/fuse/connections/{minor}/abort", "w", encoding="utf-8") as f:
                f.write("1")
        except OSError:
            pass
        subprocess.run(["umount", "-l", folder], stderr=subprocess.DEVNULL, check=False)


def _end_all():
    """Everything that was started, daemons too: this process is the first one of its namespace."""
    assert os.getpid() == 1
    _abort_mounts()
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass
    end = time.monotonic() + END_MAX
    try:
        while time.monotonic() < end:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(0.01)
    except ChildProcessError:
        pass


def run(command, seconds, env=None, cwd=None):
    """Whether it fails, or takes longer than @seconds. It ends with its first bad line, and all that it has started."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             env=env, cwd=cwd, start_new_session=True, preexec_fn=_limits)
    alarm = threading.Timer(seconds, os.kill, (-1, signal.SIGKILL))
    alarm.start()
    with child.stdout:
        # Who holds the pipe beside it may stay for ever.
        lines = iter(child.stdout.readline, b"")
        failed = any(map(_is_bad, lines)) or child.wait() != 0
    alarm.cancel()
    _end_all()
    return failed


class Test:
    """One test of meson's list, and the programs of the build directory in its command and environment."""

    def __init__(self, build, entry):
        self.build, self.name = build, entry["name"]
        self.command = [self._plain(word) for word in entry["cmd"]]
        self.env = {name: self._plain(value) for name, value in entry["env"].items()}
        suites = {suite.split(":")[-1] for suite in entry["suite"]}
        self.is_unit = "unit" in suites
        self.folders = NATIVE.get(self.name, set()) if "vhost" in suites else set()
        self.seconds = float(entry["timeout"])
        self.killed = {}  # file of src/ -> how many of its changes it has noticed

    def _plain(self, value):
        """A path without detours; sanitized daemons aren't built here."""
        value = os.path.normpath(value) if value.startswith(self.build.dir) else value
        return value.replace("tests/vhost/virtiofs-vfio-sanitized", DAEMON)

    def programs(self):
        """Paths of programs that it runs, the library among them."""
        named = [word for word in self.command + list(self.env.values()) if word.startswith(self.build.dir + os.sep)]
        named = [word for word in named if not os.path.isdir(word) and "/guest/" not in word
                 and not word.endswith(".so")]
        return named if self.is_unit else named + [os.path.join(self.build.dir, LIBRARY)]

    def is_failing(self, broken=(), is_patient=False):
        """With the programs of the dict @broken in place of those that they are named after."""
        put = dict(broken)
        env = dict(os.environ, VIOFS_TEST_SHORT="1", TMPDIR="/dev/shm",
                   **{name: put.get(value, value) for name, value in self.env.items()})
        library = put.get(os.path.join(self.build.dir, LIBRARY))
        if library:
            env["LD_LIBRARY_PATH"] = os.path.dirname(library)
            name = os.path.join(os.path.dirname(library), "libviofs.so.0")
            if not os.path.lexists(name):
                os.symlink(os.path.basename(library), name)
        seconds = self.seconds * (HANGING if is_patient else 1)
        return run([put.get(word, word) for word in self.command], seconds, env, self.build.dir)

    def notices(self, broken):
        """
        Fails with @broken, and again with time in plenty, and not with whole programs a moment later: a test may fail,
        or be late, for what else runs on the machine.
        """
        return (self.is_failing(broken) and self.is_failing(broken, is_patient=True)
                and not self.is_failing(is_patient=True))

    def measure(self):
        """Runs it as the tree is: whether it fails. From then on it has some seconds more than that took."""
        start = time.monotonic()
        if self.is_failing():
            return True
        took = time.monotonic() - start
        self.seconds = 2 + LATE * took
        self.took = took
        return False

    def likeness(self, name):
        """The order for a broken file @name: what noticed changes of it, then tests of its name, then quick ones."""
        folder, stem = name.split("/")[1], os.path.splitext(os.path.basename(name))[0]
        words = set(self.name.split("_"))
        like = 2 * bool(words & set(stem.split("_"))) + (folder in words)
        return (-self.killed.get(name, 0), -like, self.took)


class Suites:
    """All tests, and what becomes of a broken file."""

    def __init__(self, build, with_native):
        self.build, self.tests, self.with_native = build, [], with_native

    def choose(self, entries):
        """Of meson's list; the programs that may have to be linked anew."""
        for entry in entries:
            test = Test(self.build, entry)
            is_program = test.command[0].startswith(self.build.dir + os.sep)
            if (test.is_unit and is_program) or (self.with_native and test.folders):
                self.tests.append(test)
        self.tests.sort(key=lambda test: not test.is_unit)
        return sorted({program for test in self.tests for program in test.programs()})

    def takers(self, name):
        """The tests that may notice a change of the file @name, and the programs that have it in them: where it is
        built, and its name."""
        taking = {os.path.join(self.build.dir, program): program for program in self.build.programs_with(name)}
        folder = name.split("/")[1]
        return [test for test in self.tests if (test.is_unit or folder in test.folders) and
                any(program in taking for program in test.programs())], taking

    def measure(self, names):
        """As the tree is, those that the files @names concern; the names of those that fail then, which are left out."""
        concerned = {id(test) for name in names for test in self.takers(name)[0]}
        failing = [test for test in self.tests if id(test) in concerned and test.measure()]
        self.tests = [test for test in self.tests if test not in failing]
        return [test.name for test in failing]

    def killer(self, name):
        """The test that notices what compile() made last of the file @name: None where it survives them all."""
        tests, taking = self.takers(name)
        linked = {}
        for test in sorted(tests, key=lambda test: (not test.is_unit,) + test.likeness(name)):
            for program in test.programs():
                if program in taking and program not in linked:
                    linked[program] = self.build.link(name, taking[program])
                    if not linked[program]:
                        return "the linker"
            if test.notices(linked):
                test.killed[name] = test.killed.get(name, 0) + 1
                return test
        return None
