#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The part of tools/bench library that runs in the guest: the kernel's driver, ours, and libviofs,
# in turns. usage: bench_library.sh ROUNDS SECONDS 'DRIVER...' TREE-FILES [NAME] With NAME only
# GETATTR is measured, and called so.
# What comes out, for tools/lab/bench/bench_library.py:
#   #fact NAME VALUE    #round N DRIVER    #tree SECONDS
# and rows of viofs-bench-ops or viofs-bench.
set -eu

rounds=$1
seconds=$2
drivers=$3
tree=$4
only=${5:-}
tag=myfs
dir=/mnt
work=/tmp/bench-tree

. /bench_steps.sh

# uptime in hundredths of a second is coarse; date has nanoseconds
now() {
	date +%s.%N
}

measure_library() {
	if [ "$only" ]; then
		viofs-bench --json -t "$seconds" --name "$only" "$tag" || fail 'viofs-bench getattr'
		return
	fi
	viofs-bench --json -t "$seconds" --name statx "$tag" || fail 'viofs-bench getattr'
	viofs-bench --json -t "$seconds" --name read4k -o read -b 4k -f data "$tag" ||
		fail 'viofs-bench read 4k'
	viofs-bench --json -t "$seconds" --name read1m_direct -o read -b 1m -f data "$tag" ||
		fail 'viofs-bench read 1m'
	# as many as the kernel has under way, which reads ahead
	viofs-bench --json -t "$seconds" --name read1m_depth4 -o read -b 1m -d 4 -S \
		-f data "$tag" ||
		fail 'viofs-bench read 1m, 4 in flight'
}

measure_mount() {
	if [ "$only" ]; then
		viofs-bench-ops --dir "$dir" --prepare --size 16777216 --entries 10 \
			--seconds "$seconds" --drop-caches statx |
			sed "s/\"work\":\"statx\"/\"work\":\"$only\"/"
		return
	fi
	viofs-bench-ops --dir "$dir" --seconds "$seconds" --drop-caches statx read4k read1m_direct \
		read1m_buffered ||
		fail "the work on the mount of $1"
}

# The tree of small files: viofs get -r beside cp -r from a mount, into memory, with nothing cached.
copy_tree() {
	[ "$tree" -gt 0 ] || return 0
	rm -rf "$work"
	mkdir "$work"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	begin=$(now)
	case $1 in
	library) viofs get -r "$tag" tree "$work" || fail 'viofs get -r' ;;
	*) cp -r "$dir/tree" "$work" || fail 'cp -r' ;;
	esac
	end=$(now)
	copied=$(find "$work" -type f | wc -l)
	[ "$copied" = "$tree" ] || fail "$1 copied $copied files of $tree"
	rm -rf "$work"
	echo "#tree $(echo "$end $begin" | awk '{ print $1 - $2 }')"
}

run_driver() {
	echo "#round $2 $1"
	case $1 in
	kernel) mount -t virtiofs "$tag" "$dir" || fail 'mount -t virtiofs' ;;
	viofs) virtiofs-vfio "$tag" "$dir" || fail 'virtiofs-vfio' ;;
	esac
	if [ "$1" = library ]; then
		measure_library
		copy_tree "$1"
		until_true 'the device to be back' kernel_has_device
		return
	fi
	measure_mount "$1"
	copy_tree "$1"
	umount "$dir" || fail "umount of $1"
	until_true 'the daemon to end' daemon_is_gone
	until_true 'the device to be back' kernel_has_device
}

cpu_facts
round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	# every other round backwards, so that drift hits all alike
	order=$drivers
	# shellcheck disable=SC2086 # a list
	[ $((round % 2)) = 1 ] || order=$(reverse $drivers)
	for driver in $order; do
		run_driver "$driver" "$round"
	done
done
