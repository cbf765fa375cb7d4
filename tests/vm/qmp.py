#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Talks to QEMU's monitor: qmp.py SOCKET STEP...

A STEP is a command with its arguments as a JSON object, or event:NAME, which waits for that event.
"""

import json
import socket
import sys

SECONDS = 60


def read(lines):
    """The next message."""
    line = lines.readline()
    if not line:
        sys.exit("qmp: QEMU has closed the socket")
    return json.loads(line)


def execute(sock, lines, events, step):
    """A command and its result; events that come meanwhile are kept."""
    sock.sendall(json.dumps(step).encode() + b"\n")
    while True:
        message = read(lines)
        if "event" in message:
            events.append(message["event"])
        elif "error" in message:
            sys.exit(f"qmp: {step}: {message['error']['desc']}")
        elif "return" in message:
            # What the human monitor would print.
            if isinstance(message["return"], str):
                print(message["return"].strip())
            return


def main():
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(SECONDS)
    sock.connect(sys.argv[1])
    lines, events = sock.makefile("r", encoding="utf-8"), []
    read(lines)
    execute(sock, lines, events, {"execute": "qmp_capabilities"})
    for step in sys.argv[2:]:
        if not step.startswith("event:"):
            execute(sock, lines, events, json.loads(step))
            continue
        while step[6:] not in events:
            events.append(read(lines).get("event"))
        events.remove(step[6:])


main()
