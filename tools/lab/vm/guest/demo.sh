#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's part of tools/demo.  usage: demo.sh NAME-OF-THE-FILE-TO-WRITE
set -eu
written=$1

run() {
	printf '\n# %s\n' "$*"
	"$@"
}

driver() {
	lspci -k -d 1af4:105a | sed -n 's/.*Kernel driver in use: //p'
}

hugepages() {
	grep -E 'HugePages_(Total|Surp)' /proc/meminfo | tr -s ' ' | tr '\n' ' '
}

pages_before=$(hugepages)
driver_before=$(driver)
printf '== in the guest: the device as the kernel found it\n'
run uname -r
run lspci -nnk -d 1af4:105a
run viofsctl list

printf '\n== mounted through VFIO\n'
run virtiofs-vfio myfs /mnt
run grep /mnt /proc/mounts
run lspci -k -d 1af4:105a
[ "$(driver)" = vfio-pci ]
run ls -l /mnt
find /mnt -maxdepth 1 -type f | sort | head -n 3 | while read -r file; do
	sum=$(sha256sum <"$file")
	echo "${sum%% *}  ${file#/mnt/}"
done >/tmp/sums
printf '\n# sha256sum of the first files\n'
cat /tmp/sums
{
	echo "Hello through the mount, from kernel $(uname -r). Checksums seen there:"
	cat /tmp/sums
} >"/mnt/$written"
run viofsctl status /mnt

printf '\n== unmounted: what is left behind\n'
run umount /mnt
i=0
while pidof virtiofs-vfio >/dev/null; do
	i=$((i + 1))
	[ $i -lt 100 ]
	sleep 0.1
done
run lspci -k -d 1af4:105a
[ "$(driver)" = "$driver_before" ]
echo "hugepages: $(hugepages) (before: $pages_before)"
[ "$(hugepages)" = "$pages_before" ]
[ ! -e /run/virtiofs-vfio ]
echo 'processes: none. files in /run/virtiofs-vfio: none'
