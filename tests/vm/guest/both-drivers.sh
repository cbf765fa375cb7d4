#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The same transcript under the kernel's virtiofs, then under ours, each line marked with its
# driver.
#   both-drivers.sh [SCENARIO...]
. guestlib.sh

run_under() {
	driver=$1
	shift
	mkdir "$MNT/transcript" || fail "mkdir under $driver"
	transcript "$MNT/transcript" "$@" >"/tmp/$driver" || fail "transcript under $driver"
	rmdir "$MNT/transcript" || fail "transcript left something under $driver"
	sed "s/^/$driver: /" "/tmp/$driver"
}

mount -t virtiofs "$TAG" "$MNT" || fail "mount -t virtiofs"
run_under kernel "$@"
umount "$MNT" || fail "umount of the kernel's"
if [ "${VIOFS_TEST_AGAINST:-viofs}" = kernel ]; then
	# For the test's own sake: what differs between two runs of the kernel's driver is noise.
	mount -t virtiofs "$TAG" "$MNT" || fail "mount -t virtiofs"
	run_under viofs "$@"
	umount "$MNT" || fail "umount of the kernel's"
	exit
fi
mount_viofs ''
run_under viofs "$@"
short_list "$MNT/short"
umount_viofs
