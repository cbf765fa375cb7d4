#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# viofs-device (tests/device) behind QEMU: do the kernel's driver and ours take it for a device?
#   own-device.sh DRIVER DEVICE-OPTIONS QEMU-OPTIONS     4 request queues each time
. "$(dirname "$0")/hostlib.sh"

mkdir "$work/share"
# shellcheck disable=SC2016,SC2154
set -- "$1" "$2 --queues 4" ${3:+--qemu-opts "$3"}
driver=$1 device=$2
shift 2
vm --share "$work/share" --driver "$driver" --queues 4 --virtiofsd "$VIOFS_BUILD/tests/device/viofs-device" \
	--virtiofsd-opts "$device" "$@" --timeout 100 -- sh -ec '
dd if=/dev/urandom of=/tmp/random bs=1M count=8 2>/dev/null
cp /tmp/random /mnt/random
cmp /tmp/random /mnt/random
cp -a /etc /mnt/etc
diff -r --no-dereference /etc /mnt/etc
rm -r /mnt/etc /mnt/random
for device in /sys/bus/virtio/devices/*; do
	[ "$(cat $device/device)" != 0x001a ] || echo "features $(cat $device/features)"
done' >"$work/lines" 2>&1 || {
	cat "$work/lines"
	fail "in the guest: exit status $?"
}
[ -z "$(ls -A "$work/share")" ] || fail "the share isn't empty afterwards"
case $device in
*--packed*)
	# Bit 34, counted from the left.
	cut -c1-44 "$work/lines" | grep -Eq '^features .{34}1' || {
		cat "$work/lines"
		fail "the rings were not packed"
	}
	;;
esac
