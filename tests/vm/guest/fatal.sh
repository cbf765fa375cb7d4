#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The device reports a fatal PCI error under load: EIO until unmounted; then it is mounted again. The host
# injects the error when it sees the file inject.
. guestlib.sh

step "load, then the error"
virtiofs-vfio -f "$TAG" "$MNT" 2>/tmp/said &
supervisor=$!
within 30 is_mounted || fail "not mounted after 30 s"
mkdir "$MNT/load" || fail "mkdir"
churn "$MNT/load" 1000000000 >/dev/null 2>&1 &
load=$!
sleep 1
touch "$MNT/inject" || fail "touch"
wait $load && fail "a user of the mount saw no error"
cat /tmp/said
dmesg | grep -E "AER|vfio" | tail -n 12
grep -q "has reported an uncorrectable PCI error" /tmp/said || fail "the daemon does not say what it was"
is_mounted || fail "the mount went by itself"
ls "$MNT" >/dev/null 2>/tmp/error && fail "ls works with no device"
grep -q "Input/output error" /tmp/error || fail "ls says $(cat /tmp/error)"

step "umount"
timeout 5 umount "$MNT" || fail "umount: exit status $?"
wait $supervisor
status=$?
[ $status = 1 ] || fail "exit status $status where 1 is due"
[ -z "$(daemons)" ] || fail "daemons are left"
[ ! -e /run/virtiofs-vfio ] || fail "left: $(ls /run/virtiofs-vfio)"

step "a new mount"
mount_viofs
touch "$MNT/again" || fail "touch"
umount_viofs
step "done"
