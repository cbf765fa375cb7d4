#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Files change on the device's side; what the kernel may believe for an hour is forgotten at once.
# The host passes lines "order: ..." on to viofs-device.
. guestlib.sh

has() {
	[ "$(stat -c %s "$MNT/file")" = ${#1} ] && [ "$(cat "$MNT/file")" = "$1" ]
}

step "mount"
mount_viofs
viofsctl status >/tmp/status || fail "viofsctl status"
grep -q '^  features.*NOTIFICATION' /tmp/status || fail "no notification queue: $(cat /tmp/status)"
[ "$(grep -cE '^  queue [0-9]+ +request' /tmp/status)" = 2 ] ||
	fail "not 2 request queues: $(cat /tmp/status)"
printf one >"$MNT/file"
has one || fail "the file is not what was written"

step "a change that is not told"
echo "order: quietly change file three"
sleep 2
[ "$(stat -c %s "$MNT/file")" = 3 ] || fail "it was seen: nothing is shown by what follows"
step "changes that are told"
for text in four eleven "something longer"; do
	echo "order: change file $text"
	within 5 has "$text" || fail "'$text' is not seen: $(viofsctl status)"
done
viofsctl status --json >/tmp/status || fail "viofsctl status --json"
tr -d '\n ' </tmp/status | grep -q '"passed":[1-9]' || fail "none was counted: $(cat /tmp/status)"
tr -d '\n ' </tmp/status | grep -q '"refused":0' || fail "some were refused: $(cat /tmp/status)"

step "files as ever"
short_list "$MNT/short"
umount_viofs
step "done"
