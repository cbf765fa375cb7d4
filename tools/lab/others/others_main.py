#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/test --suites-of-others: pjdfstest and xfstests, from directories with their sources, on a
mount of this machine.

Started in a mount namespace of its own, with a /run of its own. A suite is copied and built below
$VIOFS_BUILD.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import others_results as results

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ["VIOFS_BUILD"]
DAEMON = os.environ.get("VIOFS_DAEMON", os.path.join(BUILD, "src/daemon/virtiofs-vfio"))
KNOWN = os.environ.get("VIOFS_OTHERS_LIST", os.path.join(HERE, "others.list"))
RUST = os.path.join(BUILD, "guest/download/trixie/virtiofsd/run")
C = "/usr/lib/qemu/virtiofsd"
# Seconds for one program of pjdfstest, for all of xfstests, for building.
ONE_MAX, ALL_MAX, BUILD_MAX = 600, 6 * 3600, 1800
HELPER = """#!/bin/bash
# mount.fuse.virtiofs-vfio SOURCE DIR OPTION...: a back end for one mount, which ends with it, and
# the daemon.
socket=${{1#vhost-user:}}
rm -f "$socket"
{backend} </dev/null >>"$socket.log" 2>&1 &
for ((i = 0; i < 200; i++)); do
	[[ ! -S $socket ]] || break
	sleep 0.05
done
exec -a mount.fuse.virtiofs-vfio {daemon} "$@" </dev/null
"""
BACKENDS = {
    RUST: '{program} --socket-path="$socket" --shared-dir="${{socket%.sock}}" --sandbox=chroot '
          '--xattr '
          '--modcaps=+sys_admin',
    C: '{program} --socket-path="$socket" -o source="${{socket%.sock}}" -o sandbox=chroot -o xattr '
       '-o modcaps=+sys_admin',
}


def say(text):
    print(f"tools/test: {text}", file=sys.stderr, flush=True)


def fail(text):
    say(text)
    sys.exit(1)


def run(command, seconds, cwd=None, env=None):
    """(exit status, output); status None: it took longer. Nothing of its process group stays."""
    child = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True)
    try:
        out, status = child.communicate(timeout=seconds)[0], child.returncode
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, status = child.communicate()[0], None
    return status, out.decode(errors="replace")


class Mounts:
    """Directories that are shared, each with a back end of its own while it is mounted."""

    def __init__(self):
        # On a disk, as far as $TMPDIR is: both suites want attributes that a file system in memory
        # may lack.
        self.work = tempfile.mkdtemp(prefix="viofs-others.")
        program = next((p for p in BACKENDS if os.path.exists(p)), None)
        if not program:
            fail("there is no virtiofsd: tools/vm prepare --virtiofsd rust")
        self.helpers = os.path.join(self.work, "sbin")
        os.mkdir(self.helpers)
        path = os.path.join(self.helpers, "mount.fuse.virtiofs-vfio")
        with open(path, "w", encoding="utf-8") as f:
            f.write(HELPER.format(backend=BACKENDS[program].format(program=program), daemon=DAEMON))
        os.chmod(path, 0o755)
        # mount(8) looks there and nowhere else. The namespace ends with us.
        sbin = os.path.realpath("/sbin")
        status, out = run(["mount", "-t", "overlay", "overlay", "-o",
                           f"lowerdir={self.helpers}:{sbin}", sbin], 30)
        if status:
            fail(f"{sbin} can't have a helper for mount(8) put into it: {out}")

    def add(self, name):
        """(the source, a folder to mount it on)"""
        folder = os.path.join(self.work, name + ".mnt")
        for path in (os.path.join(self.work, name), folder):
            os.mkdir(path)
            os.chmod(path, 0o755)
        os.chmod(self.work, 0o755)
        return f"vhost-user:{self.work}/{name}.sock", folder

    def end(self):
        for name in os.listdir(self.work):
            if name.endswith(".mnt"):
                while os.path.ismount(os.path.join(self.work, name)):
                    if run(["umount", os.path.join(self.work, name)], 60)[0] != 0:
                        run(["umount", "-l", os.path.join(self.work, name)], 60)
        shutil.rmtree(self.work, ignore_errors=True)


def prepare(source, name, product, commands):
    """A copy of @source that is built: where it has @product it is. The copy's path."""
    copy = os.path.join(BUILD, "others", name)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    if os.path.exists(os.path.join(copy, product)):
        return copy
    for command in commands:
        say(f"{name}: {' '.join(command)}")
        status, out = run(command, BUILD_MAX, cwd=copy)
        if status != 0:
            sys.stderr.write(out[-3000:])
            fail(f"{name}: {' '.join(command)} failed; see its messages above")
    return copy


def run_pjdfstest(source, mounts):
    suite = prepare(source, "pjdfstest", "pjdfstest",
                    [["autoreconf", "-ifs"], ["./configure"], ["make", "pjdfstest"]])
    device, folder = mounts.add("pjdfstest")
    status, out = run(["mount", "-t", "fuse.virtiofs-vfio", device, folder], 60)
    if status != 0:
        fail(f"the mount failed: {out}")
    found, tests = {}, os.path.join(suite, "tests")
    for path, dirs, names in os.walk(tests):
        dirs.sort()
        for file in sorted(name for name in names if name.endswith(".t")):
            test = os.path.relpath(os.path.join(path, file), tests)
            here = os.path.join(folder, re.sub(r"\W", "_", test))
            os.mkdir(here)
            status, out = run(["sh", os.path.join(path, file)], ONE_MAX, cwd=here)
            found.update(results.read_tap(test, out))
            if status is None:
                found[test + ":end"] = results.FAILED
    return found


def run_xfstests(source, mounts):
    suite = prepare(source, "xfstests", "ltp/fsstress", [["make"]])
    with open(os.path.join(suite, "local.config"), "w", encoding="utf-8") as f:
        for name in ("TEST", "SCRATCH"):
            device, folder = mounts.add(name.lower())
            f.write(f"export {name}_DEV={device}\nexport "
                    f"{name}_{'DIR' if name == 'TEST' else 'MNT'}={folder}\n")
        f.write("export FSTYP=fuse\nexport FUSE_SUBTYP=.virtiofs-vfio\n"
                "export MOUNT_OPTIONS=\nexport TEST_FS_MOUNT_OPTS=\n")
    _, out = run(["./check"] + os.environ.get("VIOFS_OTHERS_CHECK", "-g generic/quick").split(),
                 ALL_MAX, cwd=suite)
    found = results.read_check(out)
    if found is None:
        sys.stderr.write(out[-3000:])
        fail("xfstests has not come to its end; see its messages above")
    return found


def kind_of(path):
    """By what the directory has in it."""
    if os.path.exists(os.path.join(path, "check")) and os.path.isdir(os.path.join(path, "tests")):
        return "xfstests"
    if any(os.path.exists(os.path.join(path, name)) for name in ("pjdfstest.c", "pjdfstest")):
        return "pjdfstest"
    fail(f"{path}: neither the sources of pjdfstest nor those of xfstests")
    return None


def main():
    known = results.read_known(KNOWN)
    suites = {kind_of(path): os.path.abspath(path) for path in sys.argv[1:]}
    mounts, found = Mounts(), {}
    try:
        for kind, path in suites.items():
            say(f"{kind} from {path}")
            found[kind] = {"pjdfstest": run_pjdfstest, "xfstests": run_xfstests}[kind](path, mounts)
    finally:
        mounts.end()
    lines, good = results.table(found, known)
    print("\n".join(lines))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
