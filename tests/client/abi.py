#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is the library's binary interface the one of the committed baseline? --renew writes a new
baseline.

A change that is meant: ninja -C build abi-baseline, and commit what that writes. docs/hacking.md
says when to.
"""

import glob
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

SKIP = 77
# What is not of the library, or differs between machines that build the same interface, is left
# out.
ABIDW = ["abidw", "--drop-private-types", "--drop-undefined-syms", "--exported-interfaces-only",
         "--no-corpus-path",
         "--no-comp-dir-path", "--no-show-locs", "--no-elf-needed", "--no-write-default-sizes",
         "--type-id-style", "hash"]


def describe(library, headers):
    """The interface as XML, which abidiff(1) takes in a library's place."""
    return subprocess.run([*ABIDW, "--headers-dir", headers, library], check=True,
                          capture_output=True, text=True).stdout


def opaque(headers):
    """What abidiff is not to look into, as its suppressions say it: structs that headers have the
    names of only."""
    names = []
    for path in sorted(glob.glob(os.path.join(headers, "viofs", "*.h"))):
        with open(path, encoding="utf-8") as f:
            names += re.findall(r"(?m)^struct (viofs_\w+);", f.read())
    assert names, "the headers have another form: mend this test"
    return f"[suppress_type]\n  name_regexp = ^({'|'.join(names)})$\n"


def compare(baseline, interface, suppressions):
    """abidiff's exit status, and what it says."""
    p = subprocess.run(["abidiff", "--harmless", "--no-show-locs", "--suppr", suppressions,
                        baseline, interface],
                       check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return p.returncode, p.stdout


def unnoticed(baseline, interface, suppressions, work):
    """Faults in a baseline that abidiff must find: those that it doesn't."""
    with open(baseline, encoding="utf-8") as f:
        text = f.read()
    missed = []
    for what, old, new in (("a call's name", r"viofs_dev_open'", "viofs_dev_opened'"),
                           ("a struct's size", r"(name='viofs_dev_options' size-in-bits=)'\d+'",
                            r"\1'64'"),
                           ("a member's name", r"(var-decl name=)'max_data'", r"\1'most_data'")):
        changed = os.path.join(work, "changed.abi")
        with open(changed, "w", encoding="utf-8") as f:
            f.write(re.sub(old, new, text))
        if not compare(changed, interface, suppressions)[0]:
            missed.append(what)
    return missed


def main(library, headers, baseline, renew=None):
    """The exit status that meson knows."""
    for program in ("abidw", "abidiff"):
        if not shutil.which(program):
            print(f"SKIP: no {program} (Debian: package abigail-tools)")
            return SKIP
    if platform.machine() != "x86_64":
        print("SKIP: the baseline is of amd64")
        return SKIP
    sections = subprocess.run(["readelf", "-S", "--wide", library], check=True, capture_output=True,
                              text=True).stdout
    if ".debug_info" not in sections:
        print("SKIP: the library has no debug information, where its types are")
        return SKIP
    if renew:
        with open(baseline, "w", encoding="utf-8") as f:
            f.write(describe(library, headers))
        return 0
    with tempfile.TemporaryDirectory() as work:
        interface = os.path.join(work, "interface.abi")
        with open(interface, "w", encoding="utf-8") as f:
            f.write(describe(library, headers))
        suppressions = os.path.join(work, "opaque.suppr")
        with open(suppressions, "w", encoding="utf-8") as f:
            f.write(opaque(headers))
        status, text = compare(baseline, interface, suppressions)
        if status:
            print(text)
            print(f"The interface is not that of {os.path.relpath(baseline)}. If that is meant: "
                  "ninja -C build abi-baseline")
            return 1
        missed = unnoticed(baseline, interface, suppressions, work)
    if missed:
        print(f"abidiff doesn't notice another {', '.join(missed)}: is this another libabigail?")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
