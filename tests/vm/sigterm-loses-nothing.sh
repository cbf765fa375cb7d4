#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# After SIGTERM under load, every acknowledged record and every dirty page must be here, on the
# host.
. "$(dirname "$0")/hostlib.sh"

mkdir "$work/share"
for options in '' --writeback; do
	vm --share "$work/share" --driver none --virtiofsd-opts "$options" --timeout 200 -- \
		sigterm.sh >"$work/said" || fail "in the guest: exit status $?"
	# shellcheck disable=SC2046 # words of the line "records N pages N"
	set -- $(grep '^records ' "$work/said")
	[ $# = 4 ] || fail "no line of records and pages"
	echo "$2 acknowledged records, $4 dirty pages${options:+, $options}"
	"$programs/durable" check "$work/share" "$2" "$4" || exit 1
done
