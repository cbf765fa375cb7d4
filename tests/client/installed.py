#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs of docs/library.md and docs/examples, installed with libviofs, built in C and C++
against it, and run.

The shared library, and in C the static one with everything else inside too. In C against each
virtiofsd there is, beside viofs-device.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUILD, DEVICE = sys.argv[1:3]
DOWNLOAD = os.environ["VIOFS_DOWNLOAD"]
# Back ends, and their options with {sock} and {share}.
BACK_ENDS = {
    "viofs-device": [DEVICE, "--socket", "{sock}", "--serve", "{share}", "--posix-locks"],
    "virtiofsd (C)": ["/usr/lib/qemu/virtiofsd", "--socket-path={sock}", "-o", "source={share}",
                      "-o", "sandbox=chroot", "-o",
                      "posix_lock"],
    "virtiofsd (Rust)": [os.path.join(DOWNLOAD, "trixie/virtiofsd/run"), "--socket-path={sock}",
                         "--shared-dir={share}",
                         "--sandbox=chroot"],
}
SIZE = 2300000
FILES = 3000
# What each program gets beside SOURCE, and prints.
PROGRAMS = {
    "library-page": (["file"], None),  # the file itself
    "many_reads": (["file"], f"{SIZE} bytes, "),
    "du": (["/"], re.compile(rf" KiB in {FILES + 2} names, up to \d{{3,}} calls")),
    "copy_out": (["file", "{work}/copy"], f"{SIZE} bytes copied"),
    "epoll_loop": (["file"], f"10 looks, {SIZE} bytes"),
    "uring_loop": (["file"], None),
    "uv_loop": (["file"], f"{SIZE // 23} lines\n"),
    "raw_threads": ([], "12800 answers, 0 errors"),
    "errors": (["file"], "the device was given up by the program"),
    "signals": (["file"], "ended, "),
    "fork": (["file"], f"{SIZE}\n"),
    "users": ([], "hi\nopen hello: Permission denied.\n"),
    "replace": (["many/name0", "text"], "many/name0 has other contents"),
    "locks": (["file"], re.compile("got it: Success|the device keeps no locks|with this device "
                                   "nobody can wait")),
}
# And on its standard input.
INPUTS = {"users": b"0 0 put hello hi\n0 0 get hello\n1000 1000 get hello\n0 0 remove hello\n"}
# Python, where libviofs for it is installed, and whether it looks "there"; nothing where that isn't
# built.
PYTHON, PYTHON_DIR, LOOKS = (sys.argv[3:] + [None] * 3)[:3]
# Those that need more than libviofs: what pkg-config(1) is asked for, for a dynamic and for a
# static program.
OTHERS = {"uring_loop": ("liburing", "liburing"), "uv_loop": ("libuv", "libuv-static")}
FLAGS = ["-Wall", "-Wextra", "-Werror"]
C, CPP = ["cc", "-std=c11", "-pedantic"], ["c++", "-std=c++11", "-x", "c++"]
# The compiler, and what it and pkg-config(1) are asked for.
WAYS = {"C11": (C, []), "C++11": (CPP, []), "C11, static": (C, ["--static"])}


def run(argv, **more):
    """Must work: its output."""
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                       check=False, **more)
    if p.returncode:
        raise RuntimeError(f"{argv}: {p.returncode}: {p.stdout.decode(errors='replace')}")
    return p.stdout


def documented_program(prefix):
    """The lines of docs/library.md that are C."""
    with open(os.path.join(prefix, "share/doc/libviofs-dev/library.md"), encoding="utf-8") as f:
        found = re.search(r"```c\n(.*?)```", f.read(), re.S)
    return found.group(1)


def pkg_config(prefix, *what):
    """What a build system would ask."""
    where = [root for root, _, names in os.walk(prefix) if "viofs.pc" in names]
    env = dict(os.environ, PKG_CONFIG_PATH=where[0])
    return run(["pkg-config", f"--define-variable=prefix={prefix}", *what, "viofs"],
               env=env).decode().split()


def make_share(work):
    """What the programs look at: its path, and the contents of the file."""
    share = os.path.join(work, "share")
    os.makedirs(os.path.join(share, "many"))
    data = (b"the contents of a file\n" * 100000)[:SIZE]
    with open(os.path.join(share, "file"), "wb") as f:
        f.write(data)
    for i in range(FILES):
        with open(os.path.join(share, "many", f"name{i}"), "wb"):
            pass
    return share, data


def is_listening(sock):
    """__SO_ACCEPTCON, not only bound."""
    with open("/proc/net/unix", encoding="ascii", errors="replace") as table:
        return any(line.rstrip().endswith(" " + sock) and line.split()[3] == "00010000"
                   for line in table)


def interrupt_when_reading(argv, env):
    """For the one that ends by a signal: its output."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env) as p:
        first = p.stdout.readline()
        p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=60)
    if p.returncode:
        raise RuntimeError(f"{argv}: {p.returncode}: {(first + out).decode(errors='replace')}")
    return first + out


def with_device(back_end, program, work, libs):
    """Run it on a share: its output."""
    name, sock = os.path.basename(program), os.path.join(work, "sock")
    if os.path.exists(sock):
        os.unlink(sock)
    fill = {"sock": sock, "share": os.path.join(work, "share"), "work": work}
    argv = [program, "vhost-user:" + sock, *[word.format(**fill) for word in PROGRAMS[name][0]]]
    env = dict(os.environ, LD_LIBRARY_PATH=libs)
    with subprocess.Popen([word.format(**fill) for word in BACK_ENDS[back_end]],
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as device:
        try:
            for _ in range(500):
                if is_listening(sock):
                    break
                time.sleep(0.01)
            return interrupt_when_reading(argv, env) if name == "signals" else \
                run(argv, env=env, input=INPUTS.get(name))
        finally:
            device.terminate()


def is_good(name, out, data, work):
    """Did the program do what it is for?"""
    wanted = PROGRAMS[name][1]
    if wanted is None:
        return out == data
    if name == "copy_out":
        with open(os.path.join(work, "copy"), "rb") as f:
            if f.read() != data:
                return False
    text = out.decode(errors="replace")
    return bool(wanted.search(text)) if isinstance(wanted, re.Pattern) else wanted in text


def package_of(name, more):
    """The other library that a program needs."""
    return OTHERS[name]["--static" in more]


def missing(name, way):
    """The package that isn't there, or None."""
    if name not in OTHERS:
        return None
    package = package_of(name, WAYS[way][1])
    return package if subprocess.run(["pkg-config", "--exists", package],
                                     check=False).returncode else None


def build(compiler, prefix, more, work, name):
    """The program's path."""
    program = os.path.join(work, name)
    others = run(["pkg-config", "--libs", *more,
                  package_of(name, more)]).decode().split() if name in OTHERS else []
    run([*compiler, *FLAGS, *[word[1:] for word in more], *pkg_config(prefix, "--cflags"),
         program + ".c", "-x", "none",
         "-pthread", "-o", program, *pkg_config(prefix, *more, "--libs"), *others])
    return program


class Tap:
    """Numbered lines."""

    def __init__(self):
        self.number = 0

    def skip(self, what, why):
        self.number += 1
        print(f"ok {self.number} # SKIP {what}: {why}")

    def case(self, what, function):
        """@function: returns whether all is good, or raises RuntimeError."""
        self.number += 1
        try:
            good, said = function(), ""
        except (RuntimeError, subprocess.TimeoutExpired) as e:
            good, said = False, str(e)
        if said:
            print("# " + said.replace("\n", "\n# "))
        print(f"{'ok' if good else 'not ok'} {self.number} - {what}", flush=True)


def names_of_others(archive):
    """What a program that is linked with the archive can't call its own, though it doesn't begin
    with viofs_."""
    out = run(["nm", "--extern-only", "--defined-only", archive]).decode()
    symbols = [line.split()[2] for line in out.splitlines() if len(line.split()) == 3]
    assert len(symbols) > 100, "nm(1) prints another form: mend this test"
    return " ".join(sorted(name for name in symbols if not name.startswith("viofs_")))


def python_finds_it(work, libs):
    """Where it is installed is where this Python looks, and it works from there."""
    looks = run([PYTHON, "-c", "import sys; print(sys.path)"]).decode()
    place = os.path.dirname(PYTHON_DIR)
    out = run([PYTHON, "-c",
               "import viofs; print(viofs.__file__, viofs.version(), len(viofs.OPS))"],
              env=dict(os.environ, LD_LIBRARY_PATH=libs, PYTHONPATH=work + place), cwd="/").decode()
    if repr(place) not in looks or work + PYTHON_DIR not in out:
        raise RuntimeError(f"installed at {place}; {PYTHON} looks at {looks}, and has {out}")
    return True


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
    try:
        run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", work])
        in_place(work, next(root for root, dirs, _ in os.walk(work) if "include" in dirs))
    finally:
        shutil.rmtree(work)


def in_place(work, prefix):
    """All cases, with what is installed."""
    tap = Tap()
    libs = pkg_config(prefix, "--variable=libdir")[0]
    archive = os.path.join(libs, "libviofs.a")
    _, data = make_share(work)
    programs = {"library-page": documented_program(prefix)}
    examples = os.path.join(prefix, "share/doc/libviofs-dev/examples")
    for name in sorted(n for n in os.listdir(examples) if n.endswith(".c")):
        with open(os.path.join(examples, name), encoding="utf-8") as f:
            programs[name[:-2]] = f.read()
    assert set(programs) == set(PROGRAMS), \
        f"PROGRAMS and docs/examples differ: {set(programs) ^ set(PROGRAMS)}"
    print(f"1..{len(programs) * (len(WAYS) + len(BACK_ENDS) - 1) + 2}")

    def works(name, way, back_end):
        compiler, more = WAYS[way]
        program = build(compiler, prefix, more, work, name)
        out = with_device(back_end, program, work, "" if more else libs)
        if not is_good(name, out, data, work):
            raise RuntimeError(f"{name} printed {out[-300:].decode(errors='replace')}")
        return True

    for name, text in programs.items():
        with open(os.path.join(work, name + ".c"), "w", encoding="utf-8") as f:
            f.write(text)
        for way in WAYS:
            if WAYS[way][1] and not os.path.exists(archive):
                tap.skip(f"{name} in {way}", "the build directory has -Ddefault_library=shared")
            elif missing(name, way):
                tap.skip(f"{name} in {way}", f"no package {missing(name, way)}")
            else:
                tap.case(f"{name} in {way}", lambda n=name, w=way: works(n, w, "viofs-device"))
        for back_end in list(BACK_ENDS)[1:]:
            if missing(name, "C11"):
                tap.skip(f"{name} with {back_end}", f"no package {missing(name, 'C11')}")
            elif os.path.exists(BACK_ENDS[back_end][0]):
                tap.case(f"{name} with {back_end}", lambda n=name, b=back_end: works(n, "C11", b))
            else:
                tap.skip(f"{name} with {back_end}", f"no {BACK_ENDS[back_end][0]}")
    if os.path.exists(archive):
        strangers = names_of_others(archive)
        tap.case(f"the static library's names begin with viofs_ {strangers}", lambda: not strangers)
    else:
        tap.skip("names of the static library", "there is none")
    if PYTHON and LOOKS != "there":
        tap.skip("Python finds the package",
                 f"{PYTHON} doesn't look in {PYTHON_DIR}, and no other Python has cffi and headers")
    elif PYTHON:
        tap.case("Python finds the package", lambda: python_finds_it(work, libs))
    else:
        tap.skip("Python finds the package", "built without libviofs for Python")


if __name__ == "__main__":
    main()
