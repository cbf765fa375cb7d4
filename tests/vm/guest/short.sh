#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The short list on the mount at $MNT.
#   short.sh [no-virtiofs]     first makes sure that this kernel has no virtio-fs driver of its own
. guestlib.sh

if [ "${1:-}" = no-virtiofs ]; then
	grep -qw virtiofs /proc/filesystems && fail "this kernel has virtiofs: nothing is shown"
fi
grep -q " $MNT fuse.virtiofs-vfio " /proc/mounts || fail "mounted as: $(grep " $MNT " /proc/mounts)"
short_list "$MNT/short"
step "done"
