#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Real files through the driver, checked in the guest and again here: guest/trees.sh.
#   real-trees.sh [VM-OPTION...]
. "$(dirname "$0")/hostlib.sh"

FILES=$(full_or 3200 20000)
HUGE=$(full_or 20000 50000)
# virtiofsd holds a descriptor for each file and directory that the guest's kernel knows.
# Directories come on top.
limit=$(ulimit -Hn)
[ "$limit" = unlimited ] || [ "$FILES" -le $((limit / 3 * 2)) ] || FILES=$((limit / 3 * 2))

# Real files of this machine, none larger than 64 KiB, under their own paths.
collect_tree() {
	find /usr/include /usr/share /usr/lib /usr/bin -xdev -type f -size -64k \
		-print0 2>/dev/null |
		sort -z | head -z -n "$FILES" | tar -P --null -T - -cf - --transform 's,^/,,' |
		tar -C "$1" -xf -
	found=$(find "$1" -type f | wc -l)
	[ "$found" -ge 3000 ] || skip "only $found real files to copy on this machine"
}

mkdir "$work/first" "$work/second" "$work/first/origin"
collect_tree "$work/first/origin"
(cd "$work/first/origin" && find . -type f -print0 | sort -z |
	xargs -0 sha256sum) >"$work/first/origin.sums"
"$programs/listing" make "$work/first/huge" $HUGE || fail "making $HUGE entries"
vm --share "$work/first" --share "$work/second" --timeout 900 --virtiofsd-opts --xattr "$@" -- \
	env HUGE=$HUGE "ROWS=$(full_or 25 200)" "RECORDS=$(full_or 200 2000)" trees.sh ||
	exit $?
(cd "$work/first/copied" && sha256sum --quiet -c "$work/first/origin.sums") ||
	fail "what the guest wrote differs here"
[ "$(find "$work/first/copied" -type f | wc -l)" = "$(wc -l <"$work/first/origin.sums")" ] ||
	fail "files in the copy which the tree hasn't got"
