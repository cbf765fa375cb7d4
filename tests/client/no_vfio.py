#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Built without VFIO: what is left works over vhost-user, and says what it doesn't take."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

SOURCE, DEVICE = sys.argv[1:3]
OFF = ["-Dvfio=false"] + [
    f"-D{name}=disabled" for name in ("python", "man", "xxhash", "libedit", "systemd", "fuzz")]


def run(argv, **more):
    """Exit status, and what was said."""
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
                       check=False, text=True, **more)
    return p.returncode, p.stdout


def must(argv, **more):
    """What was said; it has to work."""
    status, out = run(argv, **more)
    if status:
        raise RuntimeError(f"{argv}: {status}: {out}")
    return out


NOBODY = 65534


def cat(viofs, work, **who):
    """A file of a back end, by the user @who, as subprocess.run() has it."""
    share, sock, runtime = (os.path.join(work, name) for name in ("share", "sock", "runtime"))
    for path in (share, runtime):
        os.makedirs(path, exist_ok=True)
    os.chown(runtime, NOBODY, NOBODY)
    for path in (work, share):
        os.chmod(path, 0o755)
    with open(os.path.join(share, "file"), "w", encoding="ascii") as f:
        f.write("contents")
    if os.path.exists(sock):
        os.unlink(sock)
    with subprocess.Popen([DEVICE, "--socket", sock, "--serve", share]) as device:
        try:
            for _ in range(500):
                if os.path.exists(sock):
                    break
                time.sleep(0.01)
            os.chmod(sock, 0o666)
            return must([viofs, "cat", "vhost-user:" + sock, "file"],
                        env=dict(os.environ, XDG_RUNTIME_DIR=runtime), **who)
        finally:
            device.terminate()


def main():
    """TAP."""
    if os.geteuid():
        print("1..0 # SKIP not root")
        return
    os.umask(0o022)
    work = tempfile.mkdtemp(prefix="viofs-no-vfio.")
    try:
        build = os.path.join(work, "build")
        must(["meson", "setup", build, SOURCE, *OFF])
        must(["ninja", "-C", build, "src/libviofs.so.0.1.0", "tools/viofs/viofs",
              "src/daemon/virtiofs-vfio"])
        viofs = os.path.join(build, "tools/viofs/viofs")
        out = cat(viofs, work)
        status, said = run([viofs, "ls", "0000:00:04.0"])
        named = [line.split()[-1]
                 for line in must(["nm", os.path.join(build, "src/libviofs.so.0.1.0")]).splitlines()
                 if "viofs_vfio" in line]
        nobody = cat(viofs, work, user=NOBODY, group=NOBODY, extra_groups=[])
        print("1..4")
        print(f"{'ok' if out == 'contents' else 'not ok'} 1 - it reads over vhost-user")
        good = status == 1 and "built without VFIO" in said
        print(f"{'ok' if good else 'not ok'} 2 - it says that it takes no PCI device # "
              f"{said.strip()}")
        print(f"{'not ok' if named else 'ok'} 3 - nothing of VFIO is in the library "
              f"{named[:3] or ''}")
        good = nobody == "contents" and not os.listdir(os.path.join(work, "runtime"))
        print(f"{'ok' if good else 'not ok'} 4 - an ordinary user needs no rights")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
