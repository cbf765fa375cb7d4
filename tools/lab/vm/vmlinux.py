#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes the kernel out of its compressed image: vmlinux.py IMAGE TARGET

A guest that unpacks its kernel itself needs a second and more for it under TCG, at every start.
QEMU starts an unpacked one where that has PVH's entry (CONFIG_PVH). Status 1: it has not, or IMAGE
is nothing that can be unpacked here.
"""
import struct
import subprocess
import sys

PROGRAMS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
# the note's type XEN_ELFNOTE_PHYS32_ENTRY, and whose note it is
PVH_ENTRY = struct.pack("<I", 18) + b"Xen\0"


def payload(image):
    """What is packed, by the header of Linux' x86 boot protocol, 2.08 and later."""
    if image[0x202:0x206] != b"HdrS" or struct.unpack_from("<H", image, 0x206)[0] < 0x208:
        return b""
    start, size = struct.unpack_from("<II", image, 0x248)
    start += ((image[0x1f1] or 4) + 1) * 512
    return image[start:start + size]


def unpacked(packed):
    for magic, program in PROGRAMS.items():
        if packed.startswith(magic):
            # gzip's own format ends with the size; behind the others' the kernel has put it.
            data = packed if program == "gzip" else packed[:-4]
            return subprocess.run([program, "-dc"], input=data, stdout=subprocess.PIPE,
                                  check=True).stdout
    return b""


def main():
    source, target = sys.argv[1:]
    with open(source, "rb") as f:
        kernel = unpacked(payload(f.read()))
    if not kernel.startswith(b"\x7fELF") or PVH_ENTRY not in kernel:
        sys.exit(1)
    with open(target, "wb") as f:
        f.write(kernel)


main()
