#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# dracut, to be sourced: mounts the root. With virtiofs-vfio.overlay on the kernel's command line
# the root is an overlay whose changes are in memory; what is below it is at
# /run/virtiofs-vfio-root.
# shellcheck disable=SC2154 # dracut's
if [ "$fstype" = fuse.virtiofs-vfio ] && ! ismounted "$NEWROOT"; then
	for module in fuse virtio_pci virtio_iommu iommufd vfio_iommu_type1 vfio-pci; do
		modprobe -q "$module"
	done
	mount -t "$fstype" -o "$rflags" "$root" "$NEWROOT" 2>&1 | vinfo
	ismounted "$NEWROOT" || die "virtiofs-vfio: no root file system"
	if getargbool 0 virtiofs-vfio.overlay; then
		base=/run/virtiofs-vfio-root
		modprobe -q overlay
		mkdir -p $base/below $base/changes
		# A mount can't be moved out of a shared one, such as systemd's /.
		mount --make-private / 2>/dev/null
		mount --bind "$NEWROOT" $base/below && umount -l "$NEWROOT"
		mount -t tmpfs -o mode=755 tmpfs $base/changes
		mkdir $base/changes/upper $base/changes/work
		dirs=lowerdir=$base/below,upperdir=$base/changes/upper,workdir=$base/changes/work
		mount -t overlay -o "$dirs" overlay "$NEWROOT" ||
			die "virtiofs-vfio.overlay: no overlay"
	fi
fi
