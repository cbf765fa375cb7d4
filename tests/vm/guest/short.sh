#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The short list on the mount at $MNT.
#   short.sh [no-virtiofs|io-uring]    first makes sure that this kernel has no virtio-fs driver of
#                                      its own, or that requests come over io_uring
. guestlib.sh

if [ "${1:-}" = no-virtiofs ]; then
	grep -qw virtiofs /proc/filesystems && fail "this kernel has virtiofs: nothing is shown"
fi
if [ "${1:-}" = io-uring ]; then
	viofsctl status "$MNT" | grep -q "channel uring" || fail "requests don't come over io_uring"
fi
grep -q " $MNT fuse.virtiofs-vfio " /proc/mounts || fail "mounted as: $(grep " $MNT " /proc/mounts)"
short_list "$MNT/short"
step "done"
