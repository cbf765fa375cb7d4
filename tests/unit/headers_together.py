#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Can one file include all headers, public ones and those of src/, in either order? Then no name of
theirs stands for two things."""

import glob
import os
import subprocess
import sys


def main(root, build, *compiler):
    """Return: the exit status."""
    folders = [os.path.join(root, "src"), os.path.join(root, "include")]
    names = sorted(os.path.relpath(path, folder) for folder in folders
                   for path in glob.glob(folder + "/*/*.h"))
    if len(names) < 100:
        print(f"{len(names)} headers: is {root} the project's root?")
        return 1
    folders = [os.path.join(root, "src"), os.path.join(root, "include"), build]
    for order in (names, names[::-1]):
        text = "".join(f"#include <{name}>\n" for name in order)
        done = subprocess.run([*compiler, "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra",
                               "-Wno-unused-parameter", "-Werror",
                               "-fsyntax-only", *(f"-I{folder}" for folder in folders), "-x", "c",
                               "-"],
                              input=text, text=True, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            print(done.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
