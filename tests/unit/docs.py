#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Do the docs name what there is: options, commands, members of JSON, build options, tests,
packages, files?"""

import os
import re
import subprocess
import sys

# In the docs, but no test of meson's: what a suite or a page is called.
TEST_WORD = re.compile(r"`([a-z0-9][a-z0-9_.-]*)`")
# A path of this tree: no pattern, no part of another path, and nothing that is built.
PATH = re.compile(r"(?<![\w./-])(?<!build-san )"
                  r"((?:src|include|tools|tests|docs)/[\w./-]*\w)(?![\w*<{])")


class Docs:
    def __init__(self, root, programs):
        self.root = root
        self.programs = programs
        self.wrong = []

    def read(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8") as f:
            return f.read()

    def help(self, name, *args):
        done = subprocess.run([self.programs[name], *args, "--help"], capture_output=True,
                              text=True, check=False)
        return done.stdout + done.stderr

    def need(self, what, names, where, text,
             form=lambda name: rf"(?<![\w-]){re.escape(name)}(?![\w-])"):
        for name in sorted(names):
            if not re.search(form(name), text):
                self.wrong.append(f"{where} lacks {what} {name}")

    def options_of_the_daemon(self):
        """Name, alias, default, bounds and words of each option, where the pages describe it."""
        done = subprocess.run([self.programs["print-options"]], capture_output=True, text=True,
                              check=True)
        table = [line.split("\t") for line in done.stdout.splitlines()]
        assert len(table) > 20, "the options' table is short"
        page = self.read("docs/virtiofs-vfio.8.scd")
        page = page[page.index("# OPTIONS"):page.index("# EXIT STATUS")]
        guide = self.read("docs/guide.md")
        for name, alias, standard, bounds, words in table:
            # The parts of the page whose heads name the option: the other spelling of one may stand
            # by itself.
            parts = re.findall(rf"(?m)^\*{re.escape(name)}[=*].*\n(?:(?!\*).*\n)*", page)
            self.need_each("docs/virtiofs-vfio.8.scd", name,
                           "".join(parts) + (page if alias.startswith("-") else ""), standard,
                           [alias, bounds, *words.split()])
            if not name.startswith("-"):
                rows = re.findall(rf"(?m)^\| `{re.escape(name)}[=`].*", guide)
                self.need_each("docs/guide.md", name, "\n".join(rows), standard,
                               [alias, bounds, *words.split()])

    def need_each(self, where, name, text, standard, others):
        """@text is what @where says of the option: its default, and whatever else is there."""
        if not text:
            self.wrong.append(f"{where} lacks the option {name}")
            return
        text = re.sub(r"\s+", " ", text)
        for word in [word for word in others if word]:
            if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text):
                self.wrong.append(f"{where} lacks {word} at the option {name}")
        for word in re.findall(r"\w+", standard):
            if not re.search(rf"\b{re.escape(word)}\b", text, re.I):
                self.wrong.append(f"{where} has another default of {name} than {standard}")

    def commands_of_viofsctl(self):
        commands = re.findall(r"(?m)^  ([a-z-]+) ", self.help("viofsctl"))
        assert len(commands) > 5, "viofsctl --help has another form: mend this test"
        page = self.read("docs/viofsctl.8.scd")
        self.need("the command", commands, "SYNOPSIS of docs/viofsctl.8.scd",
                  page.split("# DESCRIPTION")[0],
                  lambda name: rf"\*viofsctl {name}\*")
        self.need("the command", commands, "COMMANDS of docs/viofsctl.8.scd",
                  page.split("# COMMANDS")[1],
                  lambda name: rf"(?m)^\*{name}\*")

    def commands_of_viofs(self):
        commands = re.findall(r"(?m)^  ([a-z-]+) ", self.help("viofs"))
        assert len(commands) > 10, "viofs --help has another form: mend this test"
        self.need("the command", commands, "docs/viofs.1.scd", self.read("docs/viofs.1.scd"),
                  lambda name: rf"\*viofs\*? ?\*?{name}\b|(?m:^\*{name}\*)")

    def members_of_status(self):
        words = set()
        for name in ("src/daemon/status.c", "src/daemon/outage.c", "src/daemon/latency.c"):
            words |= set(re.findall(r'"([a-z]+(?:_[a-z0-9]+)*)"', self.read(name)))
        assert len(words) > 40, "status.c has another form: mend this test"
        self.need("the member or word", words, "JSON in docs/viofsctl.8.scd",
                  self.read("docs/viofsctl.8.scd"))

    def build_options(self):
        names = re.findall(r"(?m)^option\('([a-z]+)'", self.read("meson_options.txt"))
        self.need("the build option", names, "docs/hacking.md", self.read("docs/hacking.md"),
                  lambda name: rf"-D{name}=")

    def tests(self, listed):
        """Each test of meson's has its row."""
        names = {line.split(" / ")[-1].strip() for line in listed.splitlines() if " / " in line}
        text = self.read("docs/hacking.md") + self.read("docs/reach.md")
        named = set(TEST_WORD.findall(text))
        groups = tuple(re.findall(r"`([a-z-]+-)\*`", text))
        for name in sorted({re.sub(r"-(threads|sanitized)$", "", name) for name in names}):
            if name not in named and not name.startswith(groups):
                self.wrong.append(f"docs/hacking.md lacks the test {name}")

    def packages(self):
        build = [line.split("#")[0].strip()
                 for line in self.read("tools/lib/packages/build").splitlines()]
        wanted = [name for name in build if re.match(r"lib(?!c6).*-dev$|meson$|ninja-build$|scdoc$",
                                                     name)]
        self.need("the package", wanted, "README.md", self.read("README.md"))

    def calls_of_the_library(self):
        """Each has an entry in a header, of which its page is made, and is in the index by task."""
        exported = re.findall(r"(?m)^\t(viofs_\w+);", self.read("src/client/viofs.map"))
        assert len(exported) > 100, "viofs.map has another form: mend this test"
        described = set()
        for name in os.listdir(os.path.join(self.root, "include/viofs")):
            found = subprocess.run([sys.executable, os.path.join(self.root, "docs/header2man.py"),
                                    "names",
                                    os.path.join(self.root, "include/viofs", name)],
                                   capture_output=True, text=True, check=True)
            described |= set(found.stdout.split())
        for name in sorted(set(exported) ^ described):
            self.wrong.append(f"{name}: has no comment of its own in its header" if name in exported
                              else f"{name}: described, and not exported")
        index = self.read("docs/viofs.3.scd").split("# CALLS BY TASK")[1].split("\n# ")[0]
        listed = set(re.findall(r"\*(viofs_\w+)\*\(3\)", index))
        # A twin is found by the call that it is one of.
        alone = {name for name in exported if not name.endswith("_async")
                 or name[:-len("_async")] not in exported}
        for name in sorted(alone - listed):
            self.wrong.append(f"docs/viofs.3.scd's index by task lacks {name}")
        for name in sorted(listed - set(exported)):
            self.wrong.append(f"docs/viofs.3.scd's index by task has {name}, which isn't exported")

    def files_and_links(self):
        """A path that a page names, or links to, is there."""
        pages = ["README.md"] + [f"docs/{name}"
                                 for name in os.listdir(os.path.join(self.root, "docs"))
                                 if name.endswith(".md")]
        for page in pages:
            text = self.read(page)
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
                if "://" not in target and not os.path.exists(
                        os.path.join(self.root, os.path.dirname(page), target)):
                    self.wrong.append(f"{page} links to {target}, which isn't there")
            for path in sorted(set(PATH.findall(text))):
                if not os.path.exists(os.path.join(self.root, path)):
                    self.wrong.append(f"{page} names {path}, which isn't there")

    def functions(self):
        """A function that a page names is there."""
        names = set()
        for folder in ("src", "include", "tools", "tests"):
            for path, _, files in os.walk(os.path.join(self.root, folder)):
                for name in files:
                    if name.endswith((".c", ".h", ".py")):
                        names |= set(re.findall(r"\w+", self.read(os.path.join(path, name))))
        for page in ["README.md"] + [f"docs/{name}"
                                     for name in os.listdir(os.path.join(self.root, "docs"))
                                     if name.endswith(".md")]:
            for name in sorted(set(re.findall(r"`(\w+(?<!_X))\(\)`", self.read(page))) - names):
                self.wrong.append(f"{page} names {name}(), which isn't there")

    def files_in_comments(self):
        """A file that a comment of src/ names, by its layer or alone, is there."""
        layers = sorted(os.listdir(os.path.join(self.root, "src")))
        form = re.compile(r"(?<![\w/<])((?:" + "|".join(layers) + r")/\w+\.[ch])\b")
        sources = []
        for folder in ("src", "include", "tools"):
            for path, _, names in os.walk(os.path.join(self.root, folder)):
                sources += [os.path.relpath(os.path.join(path, name), self.root) for name in names
                            if name.endswith((".c", ".h"))]
        assert len(sources) > 100, "there are few sources: mend this test"
        known = {os.path.basename(source) for source in sources}
        for source in sorted(sources):
            comments = "\n".join(re.findall(r"(?s)/\*.*?\*/", self.read(source)))
            for name in re.findall(r"(?<![\w/<.-])(\w+\.c)\b", comments):
                if name not in known:
                    self.wrong.append(f"{source} names {name}, which isn't there")
            for name in form.findall(self.read(source)):
                if not os.path.exists(os.path.join(self.root, "src", name)):
                    self.wrong.append(f"{source} names {name}, which isn't there")

    def headings(self):
        """A link to a part of a page finds it."""
        anchors = {}
        names = [name for name in os.listdir(os.path.join(self.root, "docs"))
                 if name.endswith(".md")]
        for page in ["README.md"] + [f"docs/{name}" for name in names]:
            found = re.findall(r"(?m)^#+ (.*)$", self.read(page))
            anchors[page] = {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
                             for text in found}
        for page in anchors:
            for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]*)\)", self.read(page)):
                other = os.path.normpath(os.path.join(os.path.dirname(page),
                                                      target)) if target else page
                if "://" not in target and anchor not in anchors.get(other, {anchor}):
                    self.wrong.append(f"{page} links to #{anchor} of {other}, which has no such "
                                      "heading")

    def lengths(self):
        """Pages that somebody reads from one end to the other stay that short."""
        for page, most in (("README.md", 160), ("docs/performance.md", 250)):
            count = len(self.read(page).splitlines())
            if count > most:
                self.wrong.append(f"{page} has {count} lines, {most} are the most")


def main(root, build, *programs):
    docs = Docs(root, {os.path.basename(path): path for path in programs})
    docs.options_of_the_daemon()
    docs.commands_of_viofsctl()
    docs.commands_of_viofs()
    docs.members_of_status()
    docs.build_options()
    listed = subprocess.run(["meson", "test", "-C", build, "--list"], capture_output=True,
                            text=True, check=False)
    docs.tests(listed.stdout)
    docs.packages()
    docs.calls_of_the_library()
    docs.files_and_links()
    docs.functions()
    docs.files_in_comments()
    docs.headings()
    docs.lengths()
    for line in docs.wrong:
        print(line)
    return 1 if docs.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
