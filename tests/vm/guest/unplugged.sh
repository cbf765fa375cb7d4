#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The device is unplugged under load: EIO until unmounted, and the kernel has it back meanwhile;
# then another one comes and is mounted. The host unplugs it when it sees the file unplug.
. guestlib.sh
address=$(devices | head -n 1)

no_device() {
	[ ! -e "/sys/bus/pci/devices/$address" ]
}

a_device() {
	[ -n "$(devices)" ] && [ "$(driver_of "$(devices)")" != none ]
}

step "load, then no device"
load_until_lost unplug
grep -q "unplugged" /tmp/said || fail "the daemon does not say that the kernel wants it back"

step "the kernel has it back while the mount is there"
within 20 no_device || fail "the device does not go: $(cat /proc/$supervisor/wchan)"
is_lost
viofsctl status "$MNT" | grep -q "session *lost" || fail "status: $(viofsctl status "$MNT")"

step "umount"
umount_lost

step "another device"
within 30 a_device || fail "no new device"
mount_viofs '' again
[ "$(cat "$MNT/who")" = "the second one" ] || fail "the second one's file reads differently"
umount_viofs
step "done"
