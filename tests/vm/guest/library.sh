#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every call of libviofs over VFIO; the device is taken from its driver and given back, and nothing
# is mounted.
. guestlib.sh
before=$(system_state)

for source in "$TAG" "$(devices | head -n 1)"; do
	timeout 200 library-calls "$source" >/tmp/calls ||
		fail "$source: exit status $?: $(cat /tmp/calls)"
	! grep -v -e '^ok ' -e '^1\.\.' /tmp/calls || fail "$source"
	echo "ok: $source: $(grep -c '^ok ' /tmp/calls) cases"
	! grep -q virtiofs /proc/mounts || fail "something is mounted"
	nothing_left "$before" "$source"
done
step "done"
