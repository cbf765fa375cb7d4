#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# QEMU's random number devices behind the IOMMU, one with split and one with packed rings: rng_dma.
. guestlib.sh

found=0
for device in /sys/bus/pci/devices/*; do
	[ "$(cat "$device/vendor"):$(cat "$device/device")" = 0x1af4:0x1044 ] || continue
	address=${device##*/}
	echo vfio-pci >"$device/driver_override"
	[ ! -e "$device/driver" ] || echo "$address" >"$device/driver/unbind"
	echo "$address" >/sys/bus/pci/drivers_probe
	found=$((found + 1))
	# The second has packed rings.
	step "$address"
	if [ $found = 1 ]; then
		rng_dma "$address" || fail "split ring"
	else
		rng_dma "$address" packed || fail "packed ring"
	fi
done
[ $found = 2 ] || fail "$found devices, where 2 are expected"
# The IOMMU has its own word for it.
if [ -e /sys/class/iommu/dmar0 ]; then
	dmesg | grep -q "DMAR:.*\[DMA Write" ||
		fail "no fault was reported: $(dmesg | grep DMAR | tail -5)"
	dmesg | grep "DMAR:.*\[DMA Write" | tail -4
fi
step "done"
