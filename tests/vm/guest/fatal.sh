#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The device reports a fatal PCI error under load: EIO until unmounted; then it is mounted again.
# The host injects the error when it sees the file inject.
. guestlib.sh

step "load, then the error"
load_until_lost inject
dmesg | grep -E "AER|vfio" | tail -n 12
grep -q "has reported an uncorrectable PCI error" /tmp/said ||
	fail "the daemon does not say what it was"
is_lost

step "umount"
umount_lost

step "a new mount"
mount_viofs
touch "$MNT/again" || fail "touch"
umount_viofs
step "done"
