# SPDX-License-Identifier: GPL-2.0-or-later
"""
A copy of the tree, built once; then only what one broken file takes part in is linked anew, beside
it.
"""

import json
import os
import shlex
import shutil
import subprocess

SETUP = ["-Dbuildtype=plain", "-Doptimization=1", "-Dman=disabled", "-Dfuzz=disabled"]


class BuildError(Exception):
    """The tree as it is can't be built."""


def must(command, cwd=None):
    """Its output."""
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True,
                          check=False)
    if done.returncode:
        raise BuildError(f"{shlex.join(command)}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def tests_of(folder):
    """Meson's list for a build directory."""
    return json.loads(must(["meson", "introspect", folder, "--tests"]))


def _copy(root, tree):
    """
    What git knows, or would take, of @root: files that are the same are left alone, so that little
    is built.
    """
    listed = must(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], root)
    names = listed.split("\0")
    wanted = {name for name in names if name and os.path.isfile(os.path.join(root, name))}
    for path, _, files in os.walk(tree):
        for name in files:
            if os.path.relpath(os.path.join(path, name), tree) not in wanted:
                os.unlink(os.path.join(path, name))
    for name in wanted:
        source, copy = os.path.join(root, name), os.path.join(tree, name)
        with open(source, "rb") as f:
            content = f.read()
        if os.path.exists(copy):
            with open(copy, "rb") as f:
                if f.read() == content:
                    continue
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copy(source, copy)
        os.utime(copy)


class Build:
    """The copy of @root in @work, and the programs of @work/broken that have one file broken."""

    def __init__(self, root, work):
        self.root, self.tree = root, os.path.join(work, "tree")
        self.dir = os.path.join(work, "build")
        self.broken = os.path.join(work, "broken")
        self.compiles = {}  # file of src/ -> (command without input and output, object)
        self.links = {}     # program -> (command without output, the objects of src/ in it)
        self.originals = {}  # file -> the object made of it unchanged, as bytes

    def prepare(self, programs):
        """
        Copies and builds; @programs(tests of meson) says which programs may be linked anew: what it
        said.
        """
        _copy(self.root, self.tree)
        if not os.path.exists(os.path.join(self.dir, "build.ninja")):
            must(["meson", "setup", self.dir, self.tree] + SETUP)
        must(["ninja", "-C", self.dir, "build.ninja"])
        tests = tests_of(self.dir)
        wanted = [os.path.relpath(program, self.dir) for program in programs(tests)]
        must(["ninja", "-C", self.dir] + wanted)
        with open(os.path.join(self.dir, "compile_commands.json"), encoding="utf-8") as f:
            for entry in json.load(f):
                self._learn_compile(entry)
        for program in wanted:
            self._learn_link(program)
        shutil.rmtree(self.broken, ignore_errors=True)
        os.makedirs(self.broken)
        return wanted

    def _learn_compile(self, entry):
        name = os.path.relpath(os.path.join(self.dir, entry["file"]), self.tree)
        # Sanitized programs of the tests' are built of the same files once more.
        if not name.startswith("src/") or not entry["output"].startswith("src/"):
            return
        words = shlex.split(entry["command"])
        if os.path.basename(words[0]) == "ccache":
            del words[0]
        command, skip = [], 0
        for word in words:
            if skip or word in ("-MQ", "-MF", "-o", "-c"):
                skip = 0 if skip else 1
            elif word != "-MD":
                command.append(word)
        self.compiles[name] = (command + ["-w"], entry["output"])

    def _learn_link(self, program):
        lines = must(["ninja", "-C", self.dir, "-t", "commands", "-s", program])
        lines = lines.strip().splitlines()
        words = shlex.split(lines[-1])
        at = words.index("-o")
        command = words[:at] + words[at + 2:]
        traced = must(command + ["-Wl,--trace", "-o", os.path.join(self.dir, "traced")], self.dir)
        traced = traced.splitlines()
        self.links[program] = (command, set(traced))

    def programs_with(self, name):
        """Those that have the file @name in them."""
        taken = self.compiles[name][1]
        return [program for program, (_, objects) in self.links.items() if taken in objects]

    def _compile(self, name, text):
        """The object, as bytes; None where it doesn't compile."""
        source = os.path.join(self.broken, os.path.basename(name))
        with open(source, "w", encoding="utf-8") as f:
            f.write(text)
        command = self.compiles[name][0] + ["-o", source + ".o", "-c", source]
        done = subprocess.run(command, cwd=self.dir, stdin=subprocess.DEVNULL, capture_output=True,
                              check=False)
        if done.returncode:
            return None
        with open(source + ".o", "rb") as f:
            return f.read()

    def original(self, name):
        """The object of the file unchanged: for comparison."""
        if name not in self.originals:
            with open(os.path.join(self.tree, name), encoding="utf-8") as f:
                self.originals[name] = self._compile(name, f.read())
        return self.originals[name]

    def compile(self, name, text):
        """
        The object of the file with @text; None where that doesn't compile, or is the same as
        before.
        """
        original = self.original(name)  # before the other one: link() takes what was compiled last
        made = self._compile(name, text)
        return None if made == original else made

    def link(self, name, program):
        """The program with what compile() made last; its path, or None where it can't be linked."""
        out = os.path.join(self.broken, os.path.basename(program))
        made = os.path.join(self.broken, os.path.basename(name) + ".o")
        command = list(self.links[program][0])
        # Before the archives, so theirs isn't asked for; where archives are taken whole, the first
        # one counts.
        command[1:1] = [made, "-Wl,--allow-multiple-definition"]
        command += ["-o", out]
        # A program's own objects come without an archive.
        command = [word for word in command if word != self.compiles[name][1]]
        done = subprocess.run(command, cwd=self.dir, stdin=subprocess.DEVNULL, capture_output=True,
                              check=False)
        return out if not done.returncode else None

    def forget_programs(self):
        """Nothing of one broken file may be taken for that of the next."""
        for name in os.listdir(self.broken):
            os.unlink(os.path.join(self.broken, name))
