# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tests execute what: learnt once, by a build that counts.

clang's counters are mapped from files of the module's own, which all processes of a test share. So
a worker that has no files left, and one that is killed, are counted too. What was learnt is kept
beside the build: a test is run again where its programs, or the texts that it is made of, have
changed.
"""

import bisect
import collections
import glob
import hashlib
import json
import os
import shutil
import subprocess

from mutate_build import must

SETUP = ["-Dbuildtype=plain", "-Dman=disabled", "-Dfuzz=disabled"]
FLAGS = "-w -fprofile-instr-generate={} -fcoverage-mapping -mllvm -runtime-counter-relocation"


class Counts:
    """What one test executes of one file: from each place on, how often."""

    def __init__(self, segments):
        self.places = [(line, column) for line, column, *_ in segments]
        self.executed = [bool(count) or not is_known for _, _, count, is_known, *_ in segments]

    def has(self, line, column):
        """Whether what stands there was executed; true where nothing is known of it."""
        at = bisect.bisect_right(self.places, (line, column)) - 1
        return at < 0 or self.executed[at]


class Coverage:
    """A build of @tree that counts, in @work, and what the tests in it have executed."""

    def __init__(self, tree, work):
        self.tree, self.work = tree, work
        self.dir, self.raw = os.path.join(work, "counting"), os.path.join(work, "raw")
        self.store = os.path.join(work, "coverage.json")
        # test -> {"digest": of what it is made of, "seconds": , "files": {path: segments}, or None}
        self.learnt = {}
        self.shares = {}  # test -> folder -> see share()
        self.counts = collections.defaultdict(dict)  # test -> file -> Counts

    def prepare(self, programs):
        """
        Builds these programs, paths below the build directory; reads what an earlier run has
        learnt.
        """
        if not os.path.exists(os.path.join(self.dir, "build.ninja")):
            flags = FLAGS.format(os.path.join(self.raw, "%m%c.profraw"))
            compiler = "ccache clang" if shutil.which("ccache") else "clang"
            must(["env", f"CC={compiler}", "meson", "setup", self.dir, self.tree,
                  f"-Dc_args={flags}", f"-Dc_link_args={flags.split()[1]}"] + SETUP)
        must(["ninja", "-C", self.dir, "build.ninja"])
        must(["ninja", "-C", self.dir] + programs)
        if os.path.exists(self.store):
            with open(self.store, encoding="utf-8") as f:
                self.learnt = json.load(f)

    def write(self):
        with open(self.store + ".new", "w", encoding="utf-8") as f:
            json.dump(self.learnt, f)
        os.rename(self.store + ".new", self.store)

    @staticmethod
    def digest(test):
        """Of a test's programs and command, and of the scripts beside its own."""
        made = hashlib.sha256(repr((test.command, sorted(test.env.items()))).encode())
        scripts = [word for word in test.command if word.endswith(".py")]
        for folder in {os.path.dirname(os.path.realpath(script)) for script in scripts}:
            scripts += glob.glob(os.path.join(folder, "*.py"))
        for path in sorted(set(test.programs() + scripts)):
            with open(path, "rb") as f:
                made.update(f.read())
        return made.hexdigest()

    def learn(self, test):
        """Runs @test, which is one of this build; whether it had to be run."""
        digest = self.digest(test)
        if self.learnt.get(test.key, {}).get("digest") == digest:
            return False
        shutil.rmtree(self.raw, ignore_errors=True)
        os.makedirs(self.raw, mode=0o777)
        failed, seconds = test.timed()
        self.learnt[test.key] = {"digest": digest, "seconds": seconds,
                                 "files": None if failed else self._export(test)}
        self.counts.pop(test.key, None)
        return True

    def _export(self, test):
        """
        The segments of each file of src/, as llvm-cov tells them: line, column, count, whether that
        is known.
        """
        raw = glob.glob(os.path.join(self.raw, "*.profraw"))
        data = os.path.join(self.raw, "all.profdata")
        merge = ["llvm-profdata", "merge", "-o", data] + raw
        if not raw or subprocess.run(merge, capture_output=True, check=False).returncode:
            return None
        objects = [word for path in test.programs() for word in ("-object", path)]
        export = ["llvm-cov", "export", "-format=text", "-skip-expansions", "-skip-functions",
                  "-instr-profile", data] + objects[1:] + [os.path.join(self.tree, "src")]
        done = subprocess.run(export, capture_output=True, check=False)
        if done.returncode:
            return None
        return {os.path.relpath(file["filename"],
                                self.tree): [part[:4] for part in file["segments"]]
                for file in json.loads(done.stdout)["data"][0]["files"]}

    def share(self, key, folder):
        """Of all places that the test executes, the part that is in this folder of src/."""
        if key not in self.shares:
            places = collections.Counter()
            for path, segments in (self.learnt[key]["files"] or {}).items():
                places[path.split("/")[1]] += sum(1 for _, _, count, _ in segments if count)
            whole = sum(places.values()) or 1
            self.shares[key] = {name: count / whole for name, count in places.items()}
        return self.shares[key].get(folder, 0)

    def seconds(self, key):
        """How long the test took."""
        return self.learnt[key]["seconds"]

    def executes(self, key, path, line, column):
        """
        Whether the test executes what stands there of the file @path; true where that is not known.
        """
        files = self.learnt[key]["files"]
        if files is None:
            return True
        if path not in files:
            return False
        if path not in self.counts[key]:
            self.counts[key][path] = Counts(files[path])
        return self.counts[key][path].has(line, column)
