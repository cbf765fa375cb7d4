#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the scripts inside the guest share; to be sourced.

set -u
export LC_ALL=C

# Both may be given before sourcing; the tag and place of the first share.
TAG=${TAG:-myfs}
MNT=${MNT:-/mnt}

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# step TEXT: says what follows, with the seconds since boot, so that a log shows where time went.
step() {
	read -r uptime _ </proc/uptime
	echo "== [$uptime] $*"
}

# need PROGRAM...: a missing program makes the test a skipped one, not a passed one.
need() {
	for program; do
		command -v "$program" >/dev/null || {
			echo "SKIP: no $program in the guest" >&2
			exit 77
		}
	done
}

# within SECONDS COMMAND...: asks again four times a second until COMMAND succeeds.
within() {
	tries=$(($1 * 4))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.25
	done
}

# After this, reads go to the device again.
drop_caches() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

is_mounted() {
	grep -q " ${1:-$MNT} " /proc/mounts
}

# A mount is there a moment before it answers, and a signal until then is a failed start.
answers() {
	is_mounted && timeout 10 ls "$MNT" >/dev/null
}

not_mounted() {
	! is_mounted "$@"
}

# PCI addresses of all virtio-fs devices, in order.
devices() {
	for device in /sys/bus/pci/devices/*; do
		read -r vendor <"$device/vendor"
		read -r model <"$device/device"
		if [ "$vendor:$model" = 0x1af4:0x105a ]; then
			echo "${device##*/}"
		fi
	done
}

driver_of() {
	link=$(readlink "/sys/bus/pci/devices/$1/driver") || link=none
	echo "${link##*/}"
}

# Pids of all virtiofs-vfio processes, supervisors and workers. (A process for each question takes
# seconds in an emulated guest: hence one ls for all.)
daemons() {
	# shellcheck disable=SC2012 # these names are numbers
	ls -l /proc/[0-9]*/exe 2>/dev/null |
		sed -n 's,.*/proc/\([0-9]*\)/exe -> .*/virtiofs-vfio\( (deleted)\)*$,\1,p'
}

no_daemons() {
	[ -z "$(daemons)" ]
}

parent_of() {
	sed -n 's/^PPid:[[:space:]]*//p' "/proc/$1/status"
}

# The worker is a child of its supervisor; both run the same executable.
workers() {
	all=" $(daemons | tr '\n' ' ')"
	for pid in $all; do
		case $all in
		*" $(parent_of "$pid") "*) echo "$pid" ;;
		esac
	done
}

supervisors() {
	for pid in $(workers); do
		parent_of "$pid"
	done
}

# All that a daemon which ended, or never started, must not have changed.
system_state() {
	for address in $(devices); do
		read -r override <"/sys/bus/pci/devices/$address/driver_override"
		echo "$address $(driver_of "$address") $override"
	done
	grep -E '^HugePages_(Total|Surp)' /proc/meminfo
	grep " $MNT" /proc/mounts
	echo "daemons:" "$(daemons)"
	echo "at run time:" /run/virtiofs-vfio/*
}

is_as_before() {
	[ "$(system_state)" = "$before" ]
}

# nothing_left BEFORE WHAT: the state must come back to BEFORE; endings take a moment.
nothing_left() {
	before=$1
	within 15 is_as_before || {
		printf 'before:\n%s\nnow:\n%s\n' "$before" "$(system_state)" >&2
		fail "$2: left something behind"
	}
}

# mount_viofs OPTIONS [SOURCE]: our driver; it must return only when the mount answers.
mount_viofs() {
	virtiofs-vfio ${1:+-o "$1"} "${2:-$TAG}" "$MNT" || fail "virtiofs-vfio $*: exit status $?"
	grep -q " $MNT fuse.virtiofs-vfio " /proc/mounts ||
		fail "virtiofs-vfio $*: returned before it had mounted"
	timeout 10 ls "$MNT" >/dev/null ||
		fail "virtiofs-vfio $*: returned before the mount answered"
}

umount_viofs() {
	umount "$MNT" || fail "umount $MNT"
	within 15 no_daemons || fail "the daemon outlives its mount"
}

# load_until_lost FILE: mounts and puts load on it; the host takes the device away when it sees
# FILE. Users get errors.
load_until_lost() {
	virtiofs-vfio -f "$TAG" "$MNT" 2>/tmp/said &
	supervisor=$!
	within 30 is_mounted || fail "not mounted after 30 s"
	mkdir "$MNT/load" || fail "mkdir"
	churn "$MNT/load" 1000000000 >/dev/null 2>&1 &
	load=$!
	sleep 1
	touch "$MNT/$1" || fail "touch"
	wait $load && fail "a user of the mount saw no error"
	cat /tmp/said
}

# is_lost: the mount is there still, and has no device.
is_lost() {
	is_mounted || fail "the mount went by itself"
	ls "$MNT" >/dev/null 2>/tmp/error && fail "ls works with no device"
	grep -q "Input/output error" /tmp/error || fail "ls says $(cat /tmp/error)"
}

# umount_lost: it ends at once, and leaves nothing.
umount_lost() {
	timeout 5 umount "$MNT" || fail "umount: exit status $?"
	wait $supervisor
	status=$?
	[ $status = 1 ] || fail "exit status $status where 1 is due"
	[ -z "$(daemons)" ] || fail "daemons are left"
	[ ! -e /run/virtiofs-vfio ] || fail "left: $(ls /run/virtiofs-vfio)"
}

# short_list DIR: a little of everything, some seconds long.
short_list() {
	mkdir "$1" || fail "mkdir $1"
	dd if=/dev/urandom of=/tmp/random bs=64k count=48 2>/dev/null
	cp /tmp/random "$1/copy" || fail "copying into $1"
	drop_caches
	cmp /tmp/random "$1/copy" || fail "a file came back different"
	listing make "$1/list" 400 || fail "making 400 files"
	listing check "$1/list" 400 || fail "directory of 400 entries"
	appenders "$1/appended" 4 50 || fail "appending"
	mapwriter write "$1/mapped" 2 || fail "writing through a mapping"
	drop_caches
	mapwriter check "$1/mapped" 2 || fail "reading back what was mapped"
	mkdir "$1/churn"
	churn "$1/churn" 1000 || fail "file system calls"
	rm -r "$1" || fail "removing $1"
	rm /tmp/random
}
