# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by the parts of tools/bench that run in a guest: bench_guest.sh and bench_library.sh.
# shellcheck shell=sh

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

cpu_facts() {
	fact kernel "$(uname -r)"
	fact cpu "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
	fact cpus "$(grep -c '^processor' /proc/cpuinfo)"
}

reverse() {
	back=
	for word; do
		back="$word $back"
	done
	echo "$back"
}
