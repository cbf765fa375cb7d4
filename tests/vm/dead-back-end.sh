#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kill -9 of virtiofsd, which QEMU hides from the guest: to the guest it is silence.
. "$(dirname "$0")/hostlib.sh"

mkdir "$work/share"
vm --share "$work/share" --driver none --timeout 250 -- silence.sh &
guest=$!
# The guest asks for it by a file. It may as well end before, with a failure of its own.
until [ -e "$work/share/kill-the-back-end" ]; do
	kill -0 $guest 2>/dev/null || break
	sleep 0.1
done
pkill -9 -f -- "--shared-dir=$work/share" || echo "no virtiofsd to kill" >&2
wait $guest
