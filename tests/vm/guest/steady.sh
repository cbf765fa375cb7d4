#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory and descriptors of the daemon stay as they are over OPERATIONS file system calls.
. guestlib.sh
OPERATIONS=${OPERATIONS:-${VIOFS_TEST_FULL:+20000000}}
OPERATIONS=${OPERATIONS:-200000}
# Nothing has been seen to grow; a few pages touched for the first time are no leak.
SLACK_KIB=64

# "RSS-in-KiB DESCRIPTORS", summed over supervisor and worker.
usage() {
	rss=0
	descriptors=0
	for pid in $(daemons); do
		kib=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
		rss=$((rss + kib))
		descriptors=$((descriptors + $(find "/proc/$pid/fd" -mindepth 1 | wc -l)))
	done
	echo "$rss $descriptors"
}

workers | grep -q . || fail "no daemon runs"
mkdir "$MNT/steady" || fail "mkdir"
churn "$MNT/steady" $((OPERATIONS / 20)) || fail "first calls"
# Forgets are part of the cycle: inodes must be given back before as after.
drop_caches
sleep 2
first=$(usage)
step "memory and descriptors at first: $first"
churn "$MNT/steady" "$OPERATIONS" || fail "file system calls"
drop_caches
sleep 2
last=$(usage)
step "memory and descriptors at last: $last"
rmdir "$MNT/steady"
[ "${first#* }" = "${last#* }" ] || fail "descriptors: ${first#* } at first, ${last#* } at last"
[ $((${last% *} - ${first% *})) -le $SLACK_KIB ] ||
	fail "memory: ${first% *} KiB at first, ${last% *} KiB at last"
