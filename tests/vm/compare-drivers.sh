#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel's virtiofs is the reference: both drivers' transcripts on one virtiofsd must be the
# same.
#   compare-drivers.sh DAEMON [SCENARIO...]     DAEMON: rust or c, as for tools/vm --virtiofsd
. "$(dirname "$0")/hostlib.sh"

daemon=$1
shift
case $daemon in
rust) options='--xattr --posix-acl --modcaps=+sys_admin --allow-direct-io' ;;
*) options='--xattr --posix-acl --modcaps=+sys_admin' ;;
esac
mkdir "$work/share"
vm --share "$work/share" --driver none --virtiofsd "$daemon" --virtiofsd-opts "$options" \
	--timeout 400 -- \
	env "VIOFS_TEST_AGAINST=${VIOFS_TEST_AGAINST:-viofs}" both-drivers.sh "$@" >"$work/lines" ||
	fail "in the guest: exit status $?"
[ -z "$(ls -A "$work/share")" ] || fail "the share isn't empty afterwards: $(ls -A "$work/share")"
[ -z "${VIOFS_TEST_KEEP:-}" ] || cp "$work/lines" "$VIOFS_TEST_KEEP"
awk -f "$here/compare-transcripts.awk" -v daemon="$daemon" "$here/known-differences" "$work/lines"
