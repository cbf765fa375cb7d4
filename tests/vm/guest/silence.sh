#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The back end dies under load, silently: errors after timeout=, all is as before, and a start that
# fails in bounded time. The host kills it when it sees the file kill-the-back-end.
. guestlib.sh
TIMEOUT=5
before=$(system_state)
address=$(devices | head -n 1)

now() {
	cut -d ' ' -f 1 /proc/uptime
}

# not_later SECONDS SINCE WHAT
not_later() {
	took=$(echo "$(now) $2" | awk '{ print $1 - $2 }')
	echo "$3: $took s"
	[ "$(echo "$took $1" | awk '{ print $1 <= $2 }')" = 1 ] || fail "$3: not within $1 s"
}

# Blocked for good, whatever signal comes: nobody may be.
stuck() {
	sed -n 's/^\([0-9]*\) (\(.*\)) D .*/\1 \2/p' /proc/[0-9]*/stat 2>/dev/null |
		grep -v '\[*kworker' | sort
}

nobody_is_stuck() {
	first=$(stuck)
	[ -z "$first" ] && return
	sleep 3
	again=$(stuck)
	[ -n "$again" ] && [ "$first" = "$again" ] && fail "in D state: $again"
}

step "load, then no back end"
virtiofs-vfio -f -o timeout=$TIMEOUT "$TAG" "$MNT" 2>/tmp/said &
supervisor=$!
within 30 is_mounted || fail "not mounted after 30 s"
mkdir "$MNT/load" || fail "mkdir"
churn "$MNT/load" 1000000000 >/dev/null 2>&1 &
load=$!
dd if=/dev/zero of="$MNT/dirty" bs=1M count=8 2>/dev/null || fail "writing"
sleep 1
touch "$MNT/kill-the-back-end" || fail "touch"
start=$(now)
wait $load && fail "a user of the mount saw no error"
not_later $((TIMEOUT + 5)) "$start" "kill -9 of virtiofsd to the user's error"
wait $supervisor
status=$?
not_later $((TIMEOUT + 15)) "$start" "kill -9 of virtiofsd to the daemon's end"
cat /tmp/said
[ $status = 1 ] || fail "exit status $status where 1 is due"
grep -q "the limit is $TIMEOUT" /tmp/said || fail "the daemon does not say why"
nothing_left "$before" "the time-out"
nobody_is_stuck

step "a mount of the dead back end"
start=$(now)
timeout 60 virtiofs-vfio -o init-timeout=5 "$address" "$MNT" 2>/tmp/said
status=$?
not_later 20 "$start" "the refusal"
cat /tmp/said
[ $status = 1 ] || fail "exit status $status where 1 is due"
nothing_left "$before" "a mount of a dead back end"
nobody_is_stuck
step "done"
