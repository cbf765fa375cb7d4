#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# viofs-device (tests/device) behind QEMU: do the kernel's driver and ours take it for a device?
#   own-device.sh DRIVER QUEUES DEVICE-OPTIONS QEMU-OPTIONS
# For ours it is also seen that each of the QUEUES is used, and each that has a vector interrupts. A
# device that writes where it may not (--evil stray-...) has to say that it was refused.
. "$(dirname "$0")/hostlib.sh"

mkdir "$work/share"
driver=$1 queues=$2 device=$3 qemu=$4
# shellcheck disable=SC2016,SC2086
vm --share "$work/share" --driver "$driver" --queues "$queues" \
	--virtiofsd "$VIOFS_BUILD/tests/device/viofs-device" \
	--virtiofsd-opts "$device --queues $queues" ${qemu:+--qemu-opts "$qemu"} --timeout 150 \
	$([ "$driver" = kernel ] || echo --mount-opts poll=irq) $(case $device in *stray*) echo \
	--verbose ;; esac) -- sh -ec '
dd if=/dev/urandom of=/tmp/random bs=1M count=8 2>/dev/null
cp /tmp/random /mnt/random
cmp /tmp/random /mnt/random
cp -a /etc /mnt/etc
diff -r --no-dereference /etc /mnt/etc
rm -r /mnt/etc /mnt/random
for device in /sys/bus/virtio/devices/*; do
	[ "$(cat $device/device)" != 0x001a ] || echo "features $(cat $device/features)"
done
if viofsctl status --json /mnt >/tmp/status 2>/dev/null; then
	echo "status $(tr -d "\n" </tmp/status)"
fi' >"$work/lines" 2>&1 || {
	cat "$work/lines"
	fail "in the guest: exit status $?"
}
[ -z "$(ls -A "$work/share")" ] || fail "the share isn't empty afterwards"

for how in $(echo "$device" | grep -o 'stray-[a-z-]*'); do
	grep "stray write to .*: refused" "$work/lines" || fail "$how was not tried, or not refused"
done
! grep "stray write.*LANDED" "$work/lines" || fail "a stray write has landed"
python3 - "$work/lines" "$driver" "$queues" "$device" "$qemu" <<'END' || fail "not as asked for"
import json
import sys

lines, driver, queues, device, qemu = sys.argv[1:]
words = dict(line.rstrip("\n").split(" ", 1) for line in open(lines)
             if line.startswith(("features ", "status ")))
if driver == "kernel":
    features = words["features"]
    have = {bit for bit, is_set in enumerate(features) if is_set == "1"}
    packed, translated = 34 in have, 33 in have
else:
    status = json.loads(words["status"])
    status = status[0] if isinstance(status, list) else status
    have = status["device"]["features"]
    packed, translated = "VIRTIO_F_RING_PACKED" in have, "VIRTIO_F_ACCESS_PLATFORM" in have
    print(status["device"], status["queues"], sep="\n")
    assert status["device"]["num_request_queues"] == int(queues), "number of queues"
    requests = [q for q in status["queues"] if q["name"] == "request"]
    assert len(requests) == int(queues), "queues in use"
    assert all(q["requests"] for q in requests), "a queue was never used"
    assert all(q["interrupts"] for q in requests), "a queue never interrupted"
    assert (status["device"]["dma"] == "translated") == translated, "addresses"
assert packed == ("--packed" in device and "packed=on" in qemu), "packed rings"
assert translated == ("iommu_platform=on" in qemu), "translated addresses"
END
