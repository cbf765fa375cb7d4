#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest with the write-back cache on ends without a word right after fsync(2), then after viofsctl
# sync: what was written before must be here, on the host. What was written after isn't, or nothing
# would be shown.
#   kill-after-sync.sh [VM-OPTION...]
# shellcheck disable=SC2154
. "$(dirname "$0")/hostlib.sh"

# lose_guest HOW: until the guest says so, then off with it.
lose_guest() {
	rm -rf "$work/share" "$work/said"
	mkdir "$work/share"
	vm --share "$work/share" --qmp "$work/qmp" \
		--virtiofsd-opts --writeback --timeout 150 "$@" -- \
		synced.sh "$how" >"$work/said" 2>"$work/errors" &
	guest=$!
	until grep -q '^synced$' "$work/said" 2>/dev/null; do
		kill -0 $guest 2>/dev/null || {
			cat "$work/said" "$work/errors" >&2
			fail "$how: the guest has ended by itself"
		}
		sleep 0.05
	done
	"$here/qmp.py" "$work/qmp" '{"execute": "quit"}' || fail "$how: QEMU does not quit"
	wait $guest && fail "$how: the guest ended as if nothing had happened"
}

for how in fsync sync; do
	lose_guest "$@"
	grep '^sum ' "$work/said" | sed 's/^sum //' >"$work/sums"
	[ "$(wc -l <"$work/sums")" -ge 1 ] || fail "$how: no sums"
	(cd "$work/share" && sha256sum --quiet -c "$work/sums") ||
		fail "$how: lost what was written"
	[ "$(tr -d '\0' <"$work/share/after" | wc -c)" -lt 200000 ] ||
		fail "$how: what was not synced is here too: there was no write-back cache"
	echo "$how: $(wc -l <"$work/sums") files are all here"
done
