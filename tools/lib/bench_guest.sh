#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The bench's part inside the guest: mounts with each driver in turn and has every row measured.
# usage: bench_guest.sh ROUNDS SECONDS 'VARIANT...' 'WORK[:JOBS]...'
# A variant is "kernel", "default", or a poll mode. What comes out, for tools/lib/bench_guest.py:
#   #fact NAME VALUE    #daemon JSON    #status JSON    #round N VARIANT    and the rows of viofs-bench-ops
set -eu

rounds=$1
seconds=$2
variants=$3
rows=$4
tag=myfs
dir=/mnt

fail() {
	echo "bench: in the guest: $*" >&2
	exit 1
}

fact() {
	echo "#fact $1 $2"
}

# until_true WHAT COMMAND...: tries for 20 s
until_true() {
	what=$1
	shift
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ "$tries" -lt 400 ] || fail "waited 20 s for $what"
		sleep 0.05
	done
}

kernel_has_device() {
	for link in /sys/bus/virtio/drivers/virtiofs/virtio*; do
		[ -e "$link" ] && return 0
	done
	return 1
}

daemon_is_gone() {
	! pidof virtiofs-vfio >/dev/null
}

mount_variant() {
	case $1 in
	kernel) mount -t virtiofs "$tag" "$dir" ;;
	default) virtiofs-vfio "$tag" "$dir" ;;
	*) virtiofs-vfio -o "poll=$1" "$tag" "$dir" ;;
	esac || fail "can't mount with the driver $1"
}

# leaves the device with the kernel's driver, as it was found
unmount_variant() {
	umount "$dir" || fail "can't unmount from the driver $1"
	until_true 'the daemon to end' daemon_is_gone
	until_true "the device to be back with the kernel's driver" kernel_has_device
}

measure_variant() {
	echo "#round $2 $1"
	mount_variant "$1"
	# shellcheck disable=SC2086 # a list
	viofs-bench-ops --dir "$dir" --seconds "$seconds" --drop-caches $rows ||
		fail "round $2 with the driver $1 failed"
	unmount_variant "$1"
}

reverse() {
	back=
	for word; do
		back="$word $back"
	done
	echo "$back"
}

facts() {
	fact kernel "$(uname -r)"
	fact cpu "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
	fact cpus "$(grep -c '^processor' /proc/cpuinfo)"
	fact memory_kib "$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
	fact clocksource "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
}

# memory and CPU of a mount that has just done some work and is then left alone
idle_daemon() {
	mount_variant default
	viofs-bench-ops --dir "$dir" --seconds 0.5 read1m_direct write4k:16 >/dev/null ||
		fail 'the work before the idle time failed'
	sleep 1
	idle=$(viofs-bench-daemon --seconds 10 virtiofs-vfio) || fail 'no figures of the idle daemon'
	echo "#daemon $idle"
	if status=$(viofsctl status --json "$dir" 2>/dev/null); then
		echo "#status $(echo "$status" | tr -d '\n')"
	fi
	unmount_variant default
}

facts
round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	# ABBA: every other round goes backwards, so that drift hits all alike
	order=$variants
	# shellcheck disable=SC2086 # a list
	[ $((round % 2)) = 1 ] || order=$(reverse $variants)
	for variant in $order; do
		measure_variant "$variant" "$round"
	done
done
case " $variants " in
*' default '*) idle_daemon ;;
esac
