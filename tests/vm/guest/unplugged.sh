#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The device is unplugged under load: EIO until unmounted, and the kernel has it back meanwhile; then
# another one comes and is mounted. The host unplugs it when it sees the file unplug.
. guestlib.sh
address=$(devices | head -n 1)

no_device() {
	[ ! -e "/sys/bus/pci/devices/$address" ]
}

a_device() {
	[ -n "$(devices)" ] && [ "$(driver_of "$(devices)")" != none ]
}

step "load, then no device"
virtiofs-vfio -f "$TAG" "$MNT" 2>/tmp/said &
supervisor=$!
within 30 is_mounted || fail "not mounted after 30 s"
mkdir "$MNT/load" || fail "mkdir"
churn "$MNT/load" 1000000000 >/dev/null 2>&1 &
load=$!
sleep 1
touch "$MNT/unplug" || fail "touch"
wait $load && fail "a user of the mount saw no error"
cat /tmp/said
grep -q "unplugged" /tmp/said || fail "the daemon does not say that the kernel wants it back"

step "the kernel has it back while the mount is there"
within 20 no_device || fail "the device does not go: $(cat /proc/$supervisor/wchan)"
is_mounted || fail "the mount went by itself"
ls "$MNT" >/dev/null 2>/tmp/error && fail "ls works with no device"
grep -q "Input/output error" /tmp/error || fail "ls says $(cat /tmp/error)"
viofsctl status "$MNT" | grep -q "session *lost" || fail "status: $(viofsctl status "$MNT")"

step "umount"
timeout 5 umount "$MNT" || fail "umount: exit status $?"
wait $supervisor
status=$?
[ $status = 1 ] || fail "exit status $status where 1 is due"
[ -z "$(daemons)" ] || fail "daemons are left"
[ ! -e /run/virtiofs-vfio ] || fail "left: $(ls /run/virtiofs-vfio)"

step "another device"
within 30 a_device || fail "no new device"
mount_viofs '' again
[ "$(cat "$MNT/who")" = "the second one" ] || fail "the second one's file reads differently"
umount_viofs
step "done"
