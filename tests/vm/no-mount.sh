#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# viofs in a guest that mounts nothing: over VFIO, and the device is back with its driver
# afterwards.
. "$(dirname "$0")/hostlib.sh"

mkdir "$work/share"
cp -a /usr/include/linux "$work/share/tree"
head -c 5000000 /dev/urandom >"$work/share/large"
echo "What the host wrote." >"$work/share/FILE"
find "$work/share/tree" -printf '%P %m %s %T@\n' | sort >"$work/share/list"
vm --share "$work/share" --driver none --timeout 200 -- sh -c '
step() { read -r uptime _ </proc/uptime; echo "== [$uptime] $*"; }
driver() {
	for link in /sys/bus/virtio/drivers/virtiofs/virtio*; do
		[ -e "$link" ] && basename "$link"
	done
}
before=$(driver)
[ -n "$before" ] || { echo "no device with the kernel driver"; exit 1; }
fail() { echo "FAIL: $*"; exit 1; }
viofs cat myfs FILE || fail "cat"
! grep -Eq "^[^ ]+ [^ ]+ (virtiofs|fuse|fuse[.][^ ]*) " /proc/mounts || fail "something is mounted"
[ "$(driver)" ] || fail "the device is not back after cat"
step get
viofs get -r --verify myfs tree large list /tmp || fail "get"
find /tmp/tree -printf "%P %m %s %T@\n" | sort | cmp - /tmp/list || fail "the tree differs"
viofs cat myfs large | cmp - /tmp/large || fail "large differs"
step put
viofs mkdir myfs back || fail "mkdir"
viofs put -r --verify myfs /tmp/tree /tmp/large back || fail "put"
step interrupted
# Interrupted in the middle: it ends, and the device is given back too.
mkfifo /tmp/silent
exec 3<>/tmp/silent
timeout -s INT 2 viofs shell myfs <&3 >/dev/null
[ "$(driver)" ] || fail "the device is not back after SIGINT"
viofs ls -l myfs nix && fail "no error for what is not there"
step probe
viofs probe --json myfs >/tmp/probe || fail "probe"
grep -q "\"transport\": \"pci\"" /tmp/probe || fail "probe says $(cat /tmp/probe)"
viofs-bench -t 0.5 myfs || fail "viofs-bench"
step kernel
mount -t virtiofs myfs /mnt || fail "the kernel driver has not got it back"
cmp /mnt/back/large /mnt/large || fail "the copy differs"
umount /mnt' >"$work/lines" 2>&1 || {
	status=$?
	cat "$work/lines"
	fail "in the guest: exit status $status"
}
grep -qx "What the host wrote." "$work/lines" || {
	cat "$work/lines"
	fail "cat printed something else"
}
diff -r "$work/share/tree" "$work/share/back/tree" || fail "what was put differs"
for left in "$work/share"/viofs-probe-*; do
	[ ! -e "$left" ] || fail "probe has left something"
done
