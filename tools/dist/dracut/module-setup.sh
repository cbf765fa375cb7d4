#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# dracut: what mounting a root file system through virtiofs-vfio needs. Whoever installs this module
# wants it.

check() {
	require_binaries virtiofs-vfio mount modprobe || return 1
}

depends() {
	echo base shutdown
}

installkernel() {
	hostonly='' instmods fuse overlay virtio_pci virtio_iommu vfio-pci vfio_iommu_type1 iommufd
}

install() {
	inst_multiple virtiofs-vfio mount modprobe
	ln_r "$(command -v virtiofs-vfio)" /sbin/mount.fuse.virtiofs-vfio
	# shellcheck disable=SC2154 # dracut's
	inst_hook cmdline 95 "$moddir/parse-root.sh"
	inst_hook pre-mount 99 "$moddir/mount-root.sh"
}
