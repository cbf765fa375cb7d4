#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every public header compiles alone, as C11 and as C++; what they declare is what the library
exports."""

import glob
import os
import re
import shutil
import subprocess
import sys

SOURCE, LIBRARY = sys.argv[1:3]
INCLUDE = os.path.join(SOURCE, "include")
COMPILERS = [["cc", "-x", "c", "-std=c11", "-pedantic"], ["cc", "-x", "c", "-std=gnu11"],
             ["c++", "-x", "c++", "-std=c++11", "-pedantic"]]


def declared():
    """Functions of all headers."""
    names = set()
    for path in glob.glob(INCLUDE + "/viofs/*.h"):
        with open(path, encoding="utf-8") as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
        names |= set(re.findall(r"\b(viofs_\w+)\(", text))
    return names


def exported():
    """Symbols of the shared object."""
    out = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], capture_output=True, check=True,
                         text=True)
    return {line.split()[2].split("@")[0] for line in out.stdout.splitlines() if " A " not in line}


def main():
    """Exit status 1 where something is wrong."""
    bad = False
    if not shutil.which("c++"):
        print("SKIP: no c++ to compile the headers with (g++)")
        return 77
    for path in sorted(glob.glob(INCLUDE + "/viofs/*.h")):
        name = os.path.relpath(path, INCLUDE)
        for compiler in COMPILERS:
            p = subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I",
                                INCLUDE, "-"],
                               input=f"#include <{name}>\n".encode(), stderr=subprocess.PIPE,
                               check=False)
            if p.returncode:
                bad = True
                print(f"{name}: {' '.join(compiler)}: {p.stderr.decode()}")
    for name in sorted(declared() - exported()):
        bad = True
        print(f"{name} is declared and not exported: src/client/viofs.map")
    for name in sorted(exported() - declared()):
        bad = True
        print(f"{name} is exported and not declared")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
