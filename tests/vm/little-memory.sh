#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest of 256 MiB fills more than that through a mapping with the write-back cache on.
#   little-memory.sh [VM-OPTION...]
. "$(dirname "$0")/hostlib.sh"

SIZE=$(full_or 320 1024)
mkdir "$work/share"
vm --share "$work/share" --mem 256M --virtiofsd-opts --writeback --timeout 600 "$@" -- \
	mapwriter write /mnt/mapped "$SIZE" || fail "in the guest: exit status $?"
"$programs/mapwriter" check "$work/share/mapped" "$SIZE" || fail "the file differs here"
