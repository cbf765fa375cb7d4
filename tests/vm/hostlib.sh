#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the host side of the guest tests shares; to be sourced.
#
#   $work      a directory in memory, removed at the end (ext4 takes no xattrs of 64 KiB)
#   $programs  the built test programs, which run here as well as in the guest
#   vm ARG...  tools/vm run
# VIOFS_TEST_FULL=1 asks for larger sizes than a routine run has time for.

set -u
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
VIOFS_BUILD=${VIOFS_BUILD:-$here/../../build}
export VIOFS_BUILD
export programs="$VIOFS_BUILD/tests/vm"

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

skip() {
	echo "SKIP: $*"
	exit 77
}

vm() {
	"$here/../../tools/vm" run "$@"
}

# full_or VALUE FULL: the value for a routine run, or that for a full one.
full_or() {
	if [ -n "${VIOFS_TEST_FULL:-}" ]; then
		echo "$2"
	else
		echo "$1"
	fi
}

[ "$(id -u)" = 0 ] || skip "virtiofsd must be root to keep owners and devices"
[ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] || skip "/dev/shm is no tmpfs"
work=$(mktemp -d /dev/shm/viofs-vm.XXXXXX) || fail "mktemp"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$work"
