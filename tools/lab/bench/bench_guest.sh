#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The bench's part inside the guest: mounts with each driver in turn and has every row measured.
# usage: bench_guest.sh ROUNDS SECONDS 'VARIANT...' 'WORK[:JOBS]...' 'VARIANT-TO-LEAVE-IDLE...'
# A variant is "kernel", "default", a channel, a poll mode, or CHANNEL:POLL. What comes out, for
# tools/lab/bench/bench_guest.py:
#   #fact NAME VALUE    #status VARIANT JSON    #left_out VARIANT WHY
#   #round N VARIANT    #idle VARIANT JSON
# and the rows of viofs-bench-ops.
set -eu

rounds=$1
seconds=$2
variants=$3
rows=$4
idle=$5
tag=myfs
dir=/mnt
enable_uring=/sys/module/fuse/parameters/enable_uring
log=/tmp/bench.log

. /bench_steps.sh

# has_word WORD VARIANT
has_word() {
	case ":$2:" in
	*":$1:"*) return 0 ;;
	esac
	return 1
}

has_channel_option() {
	virtiofs-vfio --help | grep -q 'channel='
}

# options_of VARIANT: what it is with -o; nothing for the default. A daemon with one channel only
# has no option for it.
options_of() {
	options=
	for word in $(echo "$1" | tr : ' '); do
		case $word in
		uring | dev | auto) ! has_channel_option || options="$options,channel=$word" ;;
		adaptive | busy | irq) options="$options,poll=$word" ;;
		esac
	done
	echo "${options#,}"
}

# the kernel's own default is N; only what is about io_uring gets a Y
set_enable_uring() {
	[ -e "$enable_uring" ] || return 0
	if has_word uring "$1" || has_word auto "$1"; then
		echo Y >"$enable_uring"
	else
		echo "$uring_before" >"$enable_uring"
	fi
}

try_mount() {
	set_enable_uring "$1"
	options=$(options_of "$1")
	case $1 in
	kernel) mount -t virtiofs "$tag" "$dir" ;;
	*) virtiofs-vfio ${options:+-o "$options"} "$tag" "$dir" ;;
	esac
}

mount_variant() {
	try_mount "$1" || fail "can't mount with the driver $1"
}

# leaves the device with the kernel's driver, as it was found
unmount_variant() {
	umount "$dir" || fail "can't unmount from the driver $1"
	until_true 'the daemon to end' daemon_is_gone
	until_true "the device to be back with the kernel's driver" kernel_has_device
	[ ! -e "$enable_uring" ] || echo "$uring_before" >"$enable_uring"
}

# why_not VARIANT: what this guest lacks for it, if anything
why_not() {
	has_word uring "$1" || has_word auto "$1" || return 0
	if ! has_channel_option; then
		echo 'this virtiofs-vfio has no channel= option'
	elif [ ! -e "$enable_uring" ]; then
		echo 'this kernel has no FUSE over io_uring'
	fi
}

# check_variant VARIANT: mounts it once to see what it is. Sets $usable.
check_variant() {
	[ "$1" != kernel ] || return 0
	why=$(why_not "$1")
	if [ -z "$why" ] && ! try_mount "$1" 2>"$log"; then
		has_word uring "$1" || {
			cat "$log" >&2
			fail "can't mount with the driver $1"
		}
		why="refused: $(tail -n 1 "$log")"
	fi
	if [ -z "$why" ]; then
		# fails where the status is none, and then so does the script
		status=$(viofsctl status --json "$dir" | tr -d '\n')
		if has_word uring "$1" && ! echo "$status" | grep -q '"channel": *"uring"'; then
			why='the mount came up without io_uring'
		else
			echo "#status $1 $status"
		fi
		unmount_variant "$1"
	fi
	[ -n "$why" ] || return 0
	echo "#left_out $1 $why"
	usable=no
}

measure_variant() {
	echo "#round $2 $1"
	mount_variant "$1"
	# shellcheck disable=SC2086 # a list
	viofs-bench-ops --dir "$dir" --seconds "$seconds" --drop-caches $rows ||
		fail "round $2 with the driver $1 failed"
	unmount_variant "$1"
}


facts() {
	cpu_facts
	fact memory_kib "$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
	fact clocksource "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
	fact enable_uring "$uring_before"
}

# memory and CPU of a mount that has just done some work and is then left alone
idle_daemon() {
	mount_variant "$1"
	viofs-bench-ops --dir "$dir" --seconds 0.5 read1m_direct write4k:16 >/dev/null ||
		fail 'the work before the idle time failed'
	sleep 1
	idle=$(viofs-bench-daemon --seconds 10 virtiofs-vfio) ||
		fail 'no figures of the idle daemon'
	echo "#idle $1 $idle"
	unmount_variant "$1"
}

uring_before='none'
[ ! -e "$enable_uring" ] || uring_before=$(cat "$enable_uring")
facts
checked=
for variant in $variants; do
	usable=yes
	check_variant "$variant"
	[ $usable = no ] || checked="$checked $variant"
done
round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	# ABBA: every other round goes backwards, so that drift hits all alike
	order=$checked
	# shellcheck disable=SC2086 # a list
	[ $((round % 2)) = 1 ] || order=$(reverse $checked)
	for variant in $order; do
		measure_variant "$variant" "$round"
	done
done
for variant in $idle; do
	idle_daemon "$variant"
done
