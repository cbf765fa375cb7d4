#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# An uncorrectable PCI error of the device under I/O: AER, as QEMU injects it.
. "$(dirname "$0")/hostlib.sh"

mkdir "$work/share"
vm --share "$work/share" --driver none --qmp "$work/qmp" --qemu-opts '-set device.fs0.aer=on' \
	--timeout 250 \
	"$@" -- fatal.sh &
guest=$!
# The guest asks for it by a file. It may as well end before, with a failure of its own.
until [ -e "$work/share/inject" ]; do
	kill -0 $guest 2>/dev/null || break
	sleep 0.1
done
"$here/qmp.py" "$work/qmp" '{"execute": "human-monitor-command", "arguments":
	{"command-line": "pcie_aer_inject_error fs0 DLP"}}' ||
		echo "FAIL: the error could not be injected" >&2
wait $guest
