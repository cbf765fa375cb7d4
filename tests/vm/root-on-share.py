#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots a Debian whose root is a directory of this machine: root-on-share.py 12|13 INITRAMFS

The guest has no disk. The kernel's virtiofs can't be loaded there: only ours can have done it.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

from console import TOP, Failure, Guest, check

# What is started: a journal and a login, with nothing that waits for a device. All of Debian's
# services take minutes more where the CPU is emulated.
UNITS = {
    "rooted.target": """[Unit]
DefaultDependencies=no
Requires=systemd-journald.service rooted.service
""",
    "rooted.service": """[Unit]
DefaultDependencies=no
After=systemd-journald.service
[Service]
ExecStart=-/sbin/agetty --noclear --keep-baud - 115200 vt220
StandardInput=tty
StandardOutput=tty
TTYPath=/dev/console
""",
}
# The command line is the initramfs' too.
WORDS = "modprobe.blacklist=virtiofs rootflags=poll=irq systemd.unit=rooted.target"
PACKAGE = """Package: made-here
Version: 1
Architecture: all
Maintainer: nobody <nobody@localhost>
Description: a package to install
"""


def write(path, text):
    """A file."""
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def prepare(root, work):
    """Units, and made-here.deb with one file to install."""
    for name, text in UNITS.items():
        write(f"{root}/etc/systemd/system/{name}", text)
    os.makedirs(root + "/var/log/journal", exist_ok=True)
    tree = os.path.join(work, "made-here")
    os.makedirs(tree + "/DEBIAN")
    os.makedirs(tree + "/usr/share/made-here")
    write(tree + "/DEBIAN/control", PACKAGE)
    write(tree + "/usr/share/made-here/file", "made here\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, root + "/root/made-here.deb"],
                   check=True, stdout=subprocess.DEVNULL)


def looks_right(guest):
    """A system that has booted, from us alone."""
    print(guest.must("echo $(readlink /proc/1/exe), $(uname -r), $(grep PRETTY /etc/os-release)"))
    root = guest.must("findmnt -no FSTYPE,SOURCE /")
    check(root.split() == ["fuse.virtiofs-vfio", "rootfs"], f"the root is {root}")
    drivers = guest.must("cat /proc/modules; ls /sys/bus/virtio/drivers")
    check("virtiofs" not in drivers, "the kernel's driver is there")
    check(guest.must("ls /sys/block") == "", "there is a disk")
    daemons = guest.must("grep -l '^@.*virtiofs-vfio' /proc/[0-9]*/cmdline")
    check(len(daemons.split()) == 2, f"not two processes: {daemons}")
    guest.must("viofsctl status /")


def use(guest):
    """apt, the journal, and a file that nobody syncs. Return: its sum."""
    guest.must("apt-get install /root/made-here.deb")
    guest.must("journalctl --flush && echo a line of the journal | systemd-cat")
    total = guest.must("head -c 20000000 /dev/urandom >/root/last && sha256sum </root/last")
    return total.split()[0]


def power_off(guest):
    """The guest's own way, and QEMU is killed when the kernel says that it is done."""
    guest.send("ls / >/dev/null; dmesg -n 7; systemctl poweroff")
    guest.expect(r"reboot: Power down")
    guest.kill()
    check("virtiofs-vfio.shutdown failed" not in guest.text, "the last sync has failed")


def is_on_the_host(root, total):
    """All that was written."""
    with open(root + "/root/last", "rb") as f:
        check(hashlib.sha256(f.read()).hexdigest() == total, "what was written last is lost")
    with open(root + "/usr/share/made-here/file", encoding="ascii") as f:
        check(f.read() == "made here\n", "the package's file is lost")
    with open(root + "/var/lib/dpkg/status", encoding="utf-8") as f:
        installed = "Package: made-here\nStatus: install ok installed\n" in f.read()
    check(installed, "dpkg's note is lost")
    journals = glob.glob(root + "/var/log/journal/*/system.journal")
    check(len(journals) == 1, f"journals: {journals}")
    with open(journals[0], "rb") as f:
        check(b"a line of the journal" in f.read(), "the journal's line is lost")


def boot(root):
    """From the kernel to the end of its power."""
    with Guest("--root", root, "--cmdline", WORDS, qemu_opts="-no-shutdown") as guest:
        guest.login()
        looks_right(guest)
        total = use(guest)
        power_off(guest)
    is_on_the_host(root, total)


def main(release, initramfs):
    """With a system that is made for this."""
    if os.geteuid():
        print("SKIP: a system must be root's")
        return 77
    work = tempfile.mkdtemp(prefix="viofs-root.", dir=os.environ["VIOFS_BUILD"])
    try:
        root = os.path.join(work, "root")
        subprocess.run([os.path.join(TOP, "tools", "package"), "--debian", release,
                        "--system", root, "--initramfs", initramfs], check=True)
        prepare(root, work)
        boot(root)
    except Failure as failure:
        print(f"FAIL: {failure}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
