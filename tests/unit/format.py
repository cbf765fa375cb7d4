#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is every C file as .clang-format has it? Other versions than Debian 12's format some lines
otherwise."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = 14
SKIPPED = 77


def main(root):
    program = shutil.which(f"clang-format-{VERSION}") or shutil.which("clang-format")
    if not program:
        print("no clang-format (Debian 12: package clang-format)")
        return SKIPPED
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)", said)
    if not found or int(found[1]) != VERSION:
        print(f"{said.strip()}: version {VERSION} is needed")
        return SKIPPED
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "*.c",
                             "*.h"],
                            capture_output=True, text=True, check=False)
    if listed.returncode:
        print(f"which files are the project's isn't known: {listed.stderr.strip()}")
        return SKIPPED
    # A file that was removed is still listed until that is committed.
    names = [name for name in listed.stdout.splitlines() if (Path(root) / name).exists()]
    done = subprocess.run([program, "--dry-run", "--Werror", "--ferror-limit=1", *names], cwd=root,
                          capture_output=True, text=True, check=False)
    wrong = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", done.stderr, re.M)))
    for name in wrong:
        print(f"{name} isn't formatted: clang-format -i {name}")
    return 1 if wrong or done.returncode else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
