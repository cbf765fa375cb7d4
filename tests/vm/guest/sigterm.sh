#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGTERM while a writer fsyncs and a mapping is dirty. Prints what the host must find afterwards.
. guestlib.sh
PAGES=512
before=$(system_state)

virtiofs-vfio -f "$TAG" "$MNT" &
supervisor=$!
within 30 is_mounted || fail "not mounted after 30 s"
durable map "$MNT" $PAGES /tmp/mapped &
mapper=$!
durable write "$MNT" /tmp/records &
writer=$!
within 60 test -s /tmp/mapped || fail "the mapping never got dirty"
within 60 grep -q '^20$' /tmp/records || fail "20 records took over a minute"
kill -TERM $supervisor
SECONDS_LEFT=60
while kill -0 $supervisor 2>/dev/null && [ $SECONDS_LEFT -gt 0 ]; do
	sleep 1
	SECONDS_LEFT=$((SECONDS_LEFT - 1))
done
[ $SECONDS_LEFT -gt 0 ] || fail "the daemon still runs a minute after SIGTERM"
wait $supervisor || fail "exit status $? after SIGTERM"
kill $mapper $writer 2>/dev/null
wait $mapper $writer 2>/dev/null
nothing_left "$before" "SIGTERM under load"
echo "records $(tail -n 1 /tmp/records) pages $PAGES"
