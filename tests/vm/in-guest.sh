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
vm "$@"
