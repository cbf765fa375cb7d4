# SPDX-License-Identifier: GPL-2.0-or-later
"""The two suites that a broken file meets: the unit tests, then a few of those over vhost-user."""

import os
import resource
import signal
import subprocess
import threading
import time

# Of the suite vhost, with the folders of src/ that each is for: a short list of what is done with a
# mount, the library's calls, starts that are refused, changes on the device's side, another back
# end.
NATIVE = {
    "library-tree": {"client", "virtio", "vhost", "fs", "fuse", "dma", "attach", "base"},
    "library-queues": {"client", "virtio", "fs"},
    "tree-in-memory": {"daemon", "relay", "kernel", "attach", "virtio", "vhost", "fs", "fuse",
                       "dma",
                       "base"},
    "notifications": {"relay", "fs", "fuse"},
    "refusals": {"daemon", "attach", "vhost", "kernel", "base"},
    "outage": {"daemon", "vhost"},
    "messages": {"daemon", "attach"},
    "mounts": {"daemon", "kernel"},
}
DAEMON = "src/daemon/virtiofs-vfio"
LIBRARY = "src/libviofs.so.0.1.0"
MEMORY_MAX = 8 << 30
# A broken program that takes so many times as long as a whole one may hang; one that takes twice
# that and some seconds more does, whatever else runs on the machine.
LATE, HANGING, MOMENT = 3, 2, 20
# How likely a test notices a change that it executes, before it has been tried: any test, and so
# much more one with all that it executes in the same folder, and one that is named like the file.
CHANCE, BY_FOLDER, BY_NAME = 0.05, 0.5, 0.4
END_MAX = 10  # seconds for what was killed to be gone


def _limits():
    for what, most in ((resource.RLIMIT_AS, MEMORY_MAX), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, resource.getrlimit(what)[1]))


def _is_bad(line):
    """
    A line of TAP: the tests in Python say all in it, and their exit status says nothing. What
    cmocka skips is "not ok" to it, and "# SKIP".
    """
    return line.startswith((b"not ok", b"Bail out!")) and b"# SKIP" not in line


def _mounts():
    """
    FUSE mounts of this namespace: {minor device number, which is the connection's name: mount
    point}.
    """
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        lines = [line.split() for line in f]
    return {line[2].split(":")[1]: line[4] for line in lines
            if line[line.index("-") + 1].startswith("fuse.")}


NOT_OURS = _mounts()


def _abort_mounts():
    """
    Of what a test has left: a program that waits for a daemon that was killed might wait for ever.
    """
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
    """
    How it fails: "", "failed", or "late" where it takes longer than @seconds. It ends with its
    first bad line, and all that it has started.
    """
    late = threading.Event()

    def end():
        late.set()
        os.kill(-1, signal.SIGKILL)

    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, env=env, cwd=cwd, start_new_session=True,
                             preexec_fn=_limits)
    alarm = threading.Timer(seconds, end)
    alarm.start()
    with child.stdout:
        # Who holds the pipe beside it may stay for ever.
        lines = iter(child.stdout.readline, b"")
        failed = any(map(_is_bad, lines)) or child.wait() != 0
    alarm.cancel()
    _end_all()
    return "late" if late.is_set() else "failed" if failed else ""


class Test:
    """
    One test of meson's list, and the programs of the build directory @dir in its command and
    environment.
    """

    def __init__(self, folder, entry):
        self.dir, self.name = folder, entry["name"]
        self.command = [self._plain(word) for word in entry["cmd"]]
        self.env = {name: self._plain(value) for name, value in entry["env"].items()}
        suites = {suite.split(":")[-1] for suite in entry["suite"]}
        self.is_unit = "unit" in suites
        self.is_native = "vhost" in suites and self.name in NATIVE
        self.key = ("unit/" if self.is_unit else "vhost/") + self.name
        self.seconds = float(entry["timeout"])
        self.is_known_whole = False
        # file of src/ -> how many of its changes it has met, and noticed
        self.tried, self.noticed = {}, {}

    def _plain(self, value):
        """A path without detours; sanitized daemons aren't built here."""
        value = os.path.normpath(value) if value.startswith(self.dir) else value
        return value.replace("tests/vhost/virtiofs-vfio-sanitized", DAEMON)

    def programs(self):
        """Paths of programs that it runs, the library among them."""
        named = self.command + list(self.env.values())
        named = [word for word in named if word.startswith(self.dir + os.sep)]
        named = [word for word in named if not os.path.isdir(word) and "/guest/" not in word
                 and not word.endswith(".so")]
        return named if self.is_unit else named + [os.path.join(self.dir, LIBRARY)]

    def fails(self, broken=(), is_patient=False):
        """
        How, with the programs of the dict @broken in place of those that they are named after; ""
        where it doesn't.
        """
        put = dict(broken)
        env = dict(os.environ, VIOFS_TEST_SHORT="1", TMPDIR="/dev/shm", CMOCKA_MESSAGE_OUTPUT="TAP",
                   **{name: put.get(value, value) for name, value in self.env.items()})
        library = put.get(os.path.join(self.dir, LIBRARY))
        if library:
            env["LD_LIBRARY_PATH"] = os.path.dirname(library)
            name = os.path.join(os.path.dirname(library), "libviofs.so.0")
            if not os.path.lexists(name):
                os.symlink(os.path.basename(library), name)
        seconds = self.seconds * HANGING + MOMENT if is_patient else self.seconds
        return run([put.get(word, word) for word in self.command], seconds, env, self.dir)

    def notices(self, broken):
        """
        Fails with @broken, and again with time in plenty: a test may be late for what else runs on
        the machine.
        """
        return bool(self.fails(broken) and self.fails(broken, is_patient=True))

    def is_whole(self):
        """Whether it passes as the tree is; of two tries, for the same reason."""
        return not (self.fails(is_patient=True) and self.fails(is_patient=True))

    def timed(self):
        """How it fails as the tree is, and how many seconds that takes."""
        start = time.monotonic()
        how = self.fails(is_patient=True)
        return how, time.monotonic() - start

    def chance(self, name, share):
        """
        Of noticing a change of the file @name: as its name, and the @share of what it executes in
        that folder, have it first, then as it was.
        """
        stem = os.path.splitext(os.path.basename(name))[0]
        is_named = bool(set(self.name.split("_")) & set(stem.split("_")))
        guess = CHANCE + BY_FOLDER * share + BY_NAME * is_named
        return (guess + self.noticed.get(name, 0)) / (1 + self.tried.get(name, 0))


class Suites:
    """All tests, and what becomes of a broken file."""

    def __init__(self, build, coverage, with_native, budget):
        self.build, self.coverage, self.tests, self.with_native = build, coverage, [], with_native
        self.budget = budget  # seconds of tests for one change
        self.failing = []  # tests that fail as the tree is

    def _choose(self, folder, entries):
        """Of meson's list for the build directory @folder."""
        for entry in entries:
            test = Test(folder, entry)
            is_program = test.command[0].startswith(folder + os.sep)
            if test.is_native and self.with_native or test.is_unit and is_program:
                yield test

    def choose(self, entries):
        """Of meson's list; the programs that may have to be linked anew."""
        self.tests = list(self._choose(self.build.dir, entries))
        return sorted({program for test in self.tests for program in test.programs()})

    def takers(self, name):
        """
        The tests that may notice a change of the file @name, and the programs that have it in them:
        where it is built, and its name.
        """
        taking = {os.path.join(self.build.dir, program): program
                  for program in self.build.programs_with(name)}
        folder = name.split("/")[1]
        return [test for test in self.tests if (test.is_unit or folder in NATIVE[test.name]) and
                any(program in taking for program in test.programs())], taking

    def learn(self, names, entries):
        """
        What the tests that the files @names concern execute; @entries: meson's list for the build
        that counts.
        """
        keys = {test.key for name in names for test in self.takers(name)[0]}
        for test in self._choose(self.coverage.dir, entries):
            if test.key in keys:
                yield test.name, self.coverage.learn(test)
        self.coverage.write()

    def executing(self, site, line, column):
        """
        The tests that execute what is to be changed, the likeliest and quickest first; and
        takers()' programs.
        """
        tests, taking = self.takers(site.path)
        tests = [test for test in tests
                 if self.coverage.executes(test.key, site.path, line, column)]
        for test in tests:
            test.seconds = 2 + LATE * self.coverage.seconds(test.key)
        folder = site.path.split("/")[1]

        def order(test):
            chance = test.chance(site.path, self.coverage.share(test.key, folder))
            # The same program again, on the loop's other back end, say.
            is_again = test.is_unit and bool(test.env) and folder != "loop"
            return not test.is_unit, is_again, self.coverage.seconds(test.key) / chance

        tests.sort(key=order)
        return tests, taking

    def killer(self, name, tests, taking):
        """
        Which of @tests notices what compile() made last of the file @name: None where it survives
        them all.
        """
        linked, left = {}, self.budget
        for test in tests:
            left -= self.coverage.seconds(test.key)
            if test in self.failing or (left < 0 and test != tests[0]):
                continue
            for program in test.programs():
                if program in taking and program not in linked:
                    linked[program] = self.build.link(name, taking[program])
                    if not linked[program]:
                        return "the linker"
            test.tried[name] = test.tried.get(name, 0) + 1
            if test.notices(linked):
                test.is_known_whole = test.is_known_whole or test.is_whole()
                if test.is_known_whole:
                    test.noticed[name] = test.noticed.get(name, 0) + 1
                    return test
                self.failing.append(test)
        return None
