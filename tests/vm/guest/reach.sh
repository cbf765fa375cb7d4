#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The short list by given interfaces: reach.sh BACK-END [DMA [RING [QUEUES]]]
#   BACK-END    of VFIO, as `viofsctl status` names it; "group", "noiommu": /dev/iommu is taken
#               away first, so that there is no better
#   DMA         physical (default) or translated
#   RING        split (default) or packed
#   QUEUES      request queues that the device has (default 1)
. guestlib.sh
way=$1 dma=${2:-physical} ring=${3:-split} queues=${4:-1}
before=$(system_state)

# said PATTERN WHAT
said() {
	grep -qE -e "$1" /tmp/status || fail "$2: $(cat /tmp/status)"
}

case $way in
group | noiommu) rm -f /dev/iommu ;;
esac
case $way in
noiommu*) options=allow-unsafe-noiommu ;;
*) options= ;;
esac
step "mount by $way, Linux $(uname -r)"
mount_viofs "$options"
viofsctl status >/tmp/status || fail "viofsctl status"
step "$(sed -n 's/^  device *//p' /tmp/status)"
said "^  device .*, vfio $way, DMA $dma" "not by $way, DMA $dma"
case $ring in
split) ! grep -q '^  features.*RING_PACKED' /tmp/status ||
	fail "packed rings: $(cat /tmp/status)" ;;
packed) said '^  features.*RING_PACKED' "no packed rings" ;;
esac
[ "$(grep -cE '^  queue [0-9]+ +request' /tmp/status)" = "$queues" ] ||
	fail "not $queues queues: $(cat /tmp/status)"
short_list "$MNT/short"
umount_viofs
nothing_left "$before" "a mount by $way"
step "done"
