#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# device_del under I/O, then device_add with another back end: hot-unplug.sh [VM-OPTION...]
. "$(dirname "$0")/hostlib.sh"
virtiofsd=$VIOFS_BUILD/guest/download/trixie/virtiofsd/run
second=

mkdir "$work/share" "$work/share2"
echo "the second one" >"$work/share2/who"
# shellcheck disable=SC2064 # $work is known
trap "kill \$second 2>/dev/null; rm -rf '$work'" EXIT

# wanted FILE: until the guest has made it; false when the guest has ended.
wanted() {
	until [ -e "$work/share/$1" ]; do
		kill -0 $guest 2>/dev/null || return 1
		sleep 0.1
	done
}

plug_in_another() {
	"$virtiofsd" --socket-path="$work/second.sock" --shared-dir="$work/share2" \
		--sandbox=chroot \
		>"$work/second.log" 2>&1 &
	second=$!
	until [ -S "$work/second.sock" ]; do
		kill -0 $second 2>/dev/null || return 1
		sleep 0.1
	done
	"$here/qmp.py" "$work/qmp" \
		'{"execute": "chardev-add", "arguments": {"id": "again", "backend":
			{"type": "socket", "data": {"server": false, "addr":
			{"type": "unix", "data": {"path": "'"$work"'/second.sock"}}}}}}' \
		'{"execute": "device_add", "arguments": {"driver": "vhost-user-fs-pci",
			"id": "again", "bus": "rp0", "chardev": "again", "tag": "again"}}'
}

vm --share "$work/share" --driver none --qmp "$work/qmp" --timeout 250 "$@" -- unplugged.sh &
guest=$!
if wanted unplug; then
	"$here/qmp.py" "$work/qmp" '{"execute": "device_del", "arguments": {"id": "fs0"}}' \
		event:DEVICE_DELETED && echo "QEMU has the device back" && plug_in_another ||
		echo "FAIL: device_del or device_add" >&2
fi
wait $guest
