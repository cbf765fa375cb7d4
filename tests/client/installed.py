#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The program of docs/library.md and those of docs/examples, built in C and C++ against an installed libviofs, and run.

The shared library, and in C the static one with everything else inside too.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

SOURCE, BUILD, DEVICE = sys.argv[1:4]
# Python, and where libviofs for it is installed; nothing where that isn't built.
PYTHON, PYTHON_DIR = (sys.argv[4:] + [None, None])[:2]
FLAGS = ["-Wall", "-Wextra", "-Werror"]
C, CPP = ["cc", "-std=c11", "-pedantic"], ["c++", "-std=c++11", "-x", "c++"]
# The compiler, and what it and pkg-config(1) are asked for.
WAYS = {"C11": (C, []), "C++11": (CPP, []), "C11, static": (C, ["--static"])}


def run(argv, **more):
    """Must work: its output."""
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False, **more)
    if p.returncode:
        raise RuntimeError(f"{argv}: {p.returncode}: {p.stdout.decode(errors='replace')}")
    return p.stdout


def documented_program():
    """The lines of docs/library.md that are C."""
    with open(os.path.join(SOURCE, "docs", "library.md"), encoding="utf-8") as f:
        found = re.search(r"```c\n(.*?)```", f.read(), re.S)
    return found.group(1)


def pkg_config(prefix, *what):
    """What a build system would ask."""
    where = [root for root, _, names in os.walk(prefix) if "viofs.pc" in names]
    env = dict(os.environ, PKG_CONFIG_PATH=where[0])
    return run(["pkg-config", f"--define-variable=prefix={prefix}", *what, "viofs"], env=env).decode().split()


def with_device(work, program, libs):
    """Run it on a file that a back end shares."""
    share = os.path.join(work, "share")
    os.makedirs(share, exist_ok=True)
    data = b"the contents of a file\n" * 100000
    with open(os.path.join(share, "file"), "wb") as f:
        f.write(data)
    sock = os.path.join(work, "sock")
    if os.path.exists(sock):
        os.unlink(sock)
    with subprocess.Popen([DEVICE, "--socket", sock, "--serve", share]) as device:
        for _ in range(500):
            with open("/proc/net/unix", encoding="ascii") as table:
                # Listening, not only bound: __SO_ACCEPTCON.
                if any(line.rstrip().endswith(" " + sock) and line.split()[3] == "00010000" for line in table):
                    break
            time.sleep(0.01)
        try:
            out = run([program, "vhost-user:" + sock, "file"], env=dict(os.environ, LD_LIBRARY_PATH=libs))
        finally:
            device.terminate()
    return out, data


def names_of_others(archive):
    """What a program that is linked with the archive can't call its own, though it doesn't begin with viofs_."""
    out = run(["nm", "--extern-only", "--defined-only", archive]).decode()
    symbols = [line.split()[2] for line in out.splitlines() if len(line.split()) == 3]
    assert len(symbols) > 100, "nm(1) prints another form: mend this test"
    return " ".join(sorted(name for name in symbols if not name.startswith("viofs_")))


def python_finds_it(work, libs):
    """Where it is installed is where this Python looks, and it works from there."""
    looks = run([PYTHON, "-c", "import sys; print(sys.path)"]).decode()
    place = os.path.dirname(PYTHON_DIR)
    out = run([PYTHON, "-c", "import viofs; print(viofs.__file__, viofs.version(), len(viofs.OPS))"],
              env=dict(os.environ, LD_LIBRARY_PATH=libs, PYTHONPATH=work + place), cwd="/").decode()
    if repr(place) not in looks or work + PYTHON_DIR not in out:
        raise RuntimeError(f"installed at {place}; {PYTHON} looks at {looks}, and has {out}")


def main():
    """TAP."""
    if os.geteuid():
        print("1..0 # SKIP not root: a device's record can't be written")
        return
    for need in ("cc", "c++", "pkg-config"):
        if not shutil.which(need):
            print(f"1..0 # SKIP no {need}")
            return
    work = tempfile.mkdtemp(prefix="viofs-installed.")
    number = 0
    try:
        run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", work])
        prefix = next(root for root, dirs, _ in os.walk(work) if "include" in dirs)
        programs = {"library-page": documented_program()}
        for name in sorted(n for n in os.listdir(os.path.join(SOURCE, "docs", "examples")) if n.endswith(".c")):
            with open(os.path.join(SOURCE, "docs", "examples", name), encoding="utf-8") as f:
                programs[name.split(".")[0]] = f.read()
        archive = os.path.join(pkg_config(prefix, "--variable=libdir")[0], "libviofs.a")
        print(f"1..{len(programs) * len(WAYS) + 2}")
        for name, text in programs.items():
            path = os.path.join(work, name + ".c")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            for way, (compiler, more) in WAYS.items():
                number += 1
                program = os.path.join(work, name)
                if more and not os.path.exists(archive):
                    print(f"ok {number} # SKIP {name} in {way}: the build directory has -Ddefault_library=shared")
                    continue
                try:
                    run([*compiler, *FLAGS, *[word[1:] for word in more], *pkg_config(prefix, "--cflags"), path,
                         "-x", "none", "-o", program, *pkg_config(prefix, *more, "--libs")])
                    libs = pkg_config(prefix, "--variable=libdir")[0]
                    out, data = with_device(work, program, libs if not more else "")
                    good = out == data or f"{len(data)} bytes, ".encode() in out
                    print(f"{'ok' if good else 'not ok'} {number} - {name} in {way}")
                except RuntimeError as e:
                    print("# " + str(e).replace("\n", "\n# "))
                    print(f"not ok {number} - {name} in {way}")
        number += 1
        if os.path.exists(archive):
            strangers = names_of_others(archive)
            print(f"{'not ok' if strangers else 'ok'} {number} - the static library's names begin with viofs_ {strangers}")
        else:
            print(f"ok {number} # SKIP no static library")
        number += 1
        if PYTHON:
            try:
                python_finds_it(work, pkg_config(prefix, "--variable=libdir")[0])
                print(f"ok {number} - Python finds the package")
            except RuntimeError as e:
                print("# " + str(e).replace("\n", "\n# "))
                print(f"not ok {number} - Python finds the package")
        else:
            print(f"ok {number} # SKIP built without libviofs for Python")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
