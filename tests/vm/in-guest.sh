#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs a guest-side test on empty shares; its exit status is the test's.
#   in-guest.sh SHARES VM-OPTION... -- COMMAND...
. "$(dirname "$0")/hostlib.sh"

shares=$1
shift
for i in $(seq "$shares"); do
	mkdir "$work/$i"
	set -- --share "$work/$i" "$@"
done
# With --full it may take ten times as long, and the guest's part knows.
before=
for arg; do
	shift
	[ "$before" != --timeout ] || arg=$(full_or "$arg" "${arg}0")
	set -- "$@" "$arg"
	[ "$arg" != -- ] || set -- "$@" env "VIOFS_TEST_FULL=${VIOFS_TEST_FULL:-}"
	before=$arg
done
vm "$@"
