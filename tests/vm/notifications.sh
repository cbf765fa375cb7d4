#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A notification queue over VFIO. QEMU's virtio-fs device has none, so here QEMU only stands for the
# PCI function: queues, features and configuration are viofs-device's. What the guest prints as
# "order: ..." goes to viofs-device's control socket.
. "$(dirname "$0")/hostlib.sh"
device=

# shellcheck disable=SC2064 # $work is known
trap "kill \$device 2>/dev/null; rm -rf '$work'" EXIT
"$VIOFS_BUILD/tests/device/viofs-device" --socket "$work/sock" --control "$work/control" \
	--strict --notify \
	--tag myfs --cache 3600 --queues 2 >"$work/device.log" 2>&1 &
device=$!
until [ -S "$work/sock" ] && [ -S "$work/control" ]; do
	kill -0 $device 2>/dev/null || fail "viofs-device: $(cat "$work/device.log")"
	sleep 0.1
done

# hiprio, notification, two for requests; tag, num_request_queues and notify_buf_size are 44 bytes
vm --driver none --qemu 11 --timeout 150 --qemu-opts "-chardev socket,id=cn,path=$work/sock \
-device pcie-root-port,id=rpn,bus=pcie.0,chassis=9,slot=9,addr=1a \
-device vhost-user-test-device-pci,bus=rpn,chardev=cn,virtio-id=26,num_vqs=4,vq_size=128,\
config_size=44" \
	-- notified.sh >"$work/lines" 2>&1 &
guest=$!
# Orders as they come; the end when the guest has ended.
python3 - "$work" "$guest" <<'END'
import os
import socket
import sys
import time

work, guest = sys.argv[1:]
taken, lines = 0, []
while os.path.exists(f"/proc/{guest}/exe"):
    time.sleep(0.05)
    lines = [line for line in open(f"{work}/lines", errors="replace")
             if line.startswith("order: ") and line.endswith("\n")]
    for line in lines[taken:]:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{work}/control")
            s.sendall(line[len("order: "):].encode())
            answer = s.recv(8192).decode()
        assert answer.strip() == "ok", f"{line!r}: {answer!r}"
    taken = len(lines)
assert taken, "the guest ordered nothing"
END
orders=$?
wait $guest
status=$?
cat "$work/lines" "$work/device.log"
[ $status = 0 ] || fail "in the guest: exit status $status"
[ $orders = 0 ] || fail "an order was not taken, or there was none"
! grep -q "DRIVER FAULT" "$work/device.log" || fail "the driver did what it may not"
