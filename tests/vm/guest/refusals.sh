#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Bad input: each with its own message, a non-zero exit, and nothing left behind.
. guestlib.sh
need setpriv unshare
before=$(system_state)
address=$(devices | head -n 1)
: >/tmp/messages

# refuse WHAT WORD COMMAND...: COMMAND fails with a message of its own that has WORD in it.
refuse() {
	what=$1
	word=$2
	shift 2
	timeout 60 "$@" >/tmp/said 2>&1
	status=$?
	[ $status != 0 ] || fail "$what: accepted"
	[ $status -lt 124 ] || fail "$what: exit status $status"
	grep -qi -e "$word" /tmp/said || fail "$what: nothing about '$word' in: $(cat /tmp/said)"
	message=$(head -n 1 /tmp/said)
	! grep -qxF -e "$message" /tmp/messages || fail "$what: same words as before: $message"
	echo "$message" >>/tmp/messages
	nothing_left "$before" "$what"
	echo "ok: $what: $message"
}

not_virtiofs() {
	for device in /sys/bus/pci/devices/*; do
		case $(devices) in
		*"${device##*/}"*) ;;
		*) echo "${device##*/}" && return ;;
		esac
	done
}

bad_sources() {
	refuse "unknown tag" nosuchtag virtiofs-vfio nosuchtag "$MNT"
	refuse "no such address" 0000:7f:1f.7 virtiofs-vfio 0000:7f:1f.7 "$MNT"
	refuse "malformed address" "address" virtiofs-vfio 0000:00:zz.0 "$MNT"
	refuse "not a virtio-fs device" virtio-fs virtiofs-vfio "$(not_virtiofs)" "$MNT"
	refuse "no mount point given" MOUNTPOINT virtiofs-vfio "$TAG"
}

bad_mount_points() {
	refuse "no such mount point" /no/such/place virtiofs-vfio "$TAG" /no/such/place
	echo file >/tmp/file
	refuse "mount point no directory" /tmp/file virtiofs-vfio "$TAG" /tmp/file
	mkdir -p /tmp/mounted
	mount -t tmpfs none /tmp/mounted || fail "mount -t tmpfs"
	refuse "already a mount" "mount" virtiofs-vfio "$TAG" /tmp/mounted
	umount /tmp/mounted
}

bad_options() {
	refuse "unknown option" nosuchoption virtiofs-vfio -o nosuchoption=1 "$TAG" "$MNT"
	refuse "unknown poll mode" sometimes virtiofs-vfio -o poll=sometimes "$TAG" "$MNT"
	refuse "unknown switch" nosuchswitch virtiofs-vfio --nosuchswitch "$TAG" "$MNT"
	for option in spin dma-mem max-data init-timeout grace; do
		refuse "$option out of range" "$option" virtiofs-vfio \
			-o "$option=99999999999" "$TAG" "$MNT"
		refuse "$option no number" "$option" virtiofs-vfio -o "$option=many" "$TAG" "$MNT"
	done
}

bad_circumstances() {
	refuse "not root" root setpriv --reuid 4001 --regid 4001 --clear-groups \
		virtiofs-vfio "$TAG" "$MNT"
	mv /dev/fuse /dev/fuse.away
	refuse "no /dev/fuse" /dev/fuse virtiofs-vfio "$TAG" "$MNT"
	mv /dev/fuse.away /dev/fuse
	mv /dev/vfio /dev/vfio.away
	refuse "no VFIO" vfio virtiofs-vfio "$TAG" "$MNT"
	mv /dev/vfio.away /dev/vfio
	refuse "memory too small" memory virtiofs-vfio -o max-data=1M,dma-mem=1000M "$TAG" "$MNT"
}

# Taken by the kernel's driver: here, and in another mount namespace where we can't see it.
taken_by_kernel() {
	mkdir -p /tmp/kernel
	mount -t virtiofs "$TAG" /tmp/kernel || fail "mount -t virtiofs"
	refuse "mounted by the kernel" "/tmp/kernel" virtiofs-vfio "$TAG" "$MNT"
	ls /tmp/kernel >/dev/null || fail "the kernel's mount suffered"
	umount /tmp/kernel
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare -m --propagation private sh -c \
		'mount -t virtiofs "$1" /tmp/kernel && touch /tmp/ready && exec sleep 1000' sh \
		"$TAG" &
	holder=$!
	within 10 test -e /tmp/ready || fail "mount in another namespace"
	refuse "mounted in another namespace" "$TAG" virtiofs-vfio "$address" "$MNT"
	kill $holder
	wait $holder 2>/dev/null
}

taken_by_another_daemon() {
	mount_viofs ''
	mkdir -p /tmp/second
	unused=$before
	before=$(system_state)
	refuse "second daemon" "foreground" virtiofs-vfio -f "$TAG" /tmp/second
	refuse "other options" "poll=irq" virtiofs-vfio -o poll=irq "$TAG" /tmp/second
	ls "$MNT" >/dev/null || fail "the first daemon's mount suffered"
	refuse "unbind of a device in use" "use" viofsctl unbind "$TAG"
	umount_viofs
	before=$unused
}

two_with_one_tag() {
	[ -n "${TWIN_TAG:-}" ] || fail "TWIN_TAG not set: no two devices with one tag"
	refuse "two devices with one tag" "$TWIN_TAG" virtiofs-vfio "$TWIN_TAG" "$MNT"
}

bad_sources
bad_mount_points
bad_options
bad_circumstances
taken_by_kernel
taken_by_another_daemon
two_with_one_tag
