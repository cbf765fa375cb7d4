# SPDX-License-Identifier: GPL-2.0-or-later
"""Which units are started when a device is plugged in: plugged.py START-ENABLED.IN

The programs that it calls are made up.
"""

import json
import os
import subprocess
import sys
import tempfile

ADDRESS, OTHER = "0000:01:00.0", "0000:02:00.0"
# Instance: what is in its file, is it enabled, does it run.
UNITS = {
    "myfs": ("MOUNTPOINT=/srv/a\n", True, False),
    "other": ("MOUNTPOINT=/srv/b\n", True, False),
    "by-address": (f"SOURCE='{ADDRESS}'\nMOUNTPOINT=/srv/c\n", True, False),
    "by-tag": ('SOURCE=other\nSOURCE="tag:myfs"\n', True, False),
    "elsewhere": (f"SOURCE={OTHER}\n", True, False),
    "socket": ("SOURCE=vhost-user:/run/myfs.sock\n", True, False),
    "off": ("SOURCE=myfs\n", False, False),
    "runs": ("SOURCE=myfs\n", True, True),
    r"two\x20words": ("#SOURCE=myfs\n", True, False),
}
SYSTEMCTL = """#!/bin/sh
[ "$1" != -q ] || shift
case $1 in
is-enabled) grep -qxF "$2" "$WORK/enabled" ;;
is-active) grep -qxF "$2" "$WORK/active" ;;
start) echo "$3" >>"$WORK/started" ;;
esac
"""
ESCAPE = """#!/bin/bash
[ "$1 $2" = '--unescape --' ] || exit 1
printf '%b\\n' "$3"
"""


CTL = """#!/bin/sh
[ "$*" = '--json list' ] && cat "$WORK/list"
"""


def write(path, text, mode=0o644):
    """A file."""
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def units(condition):
    """Names, a line each."""
    return "".join(f"virtiofs-vfio@{name}.service\n"
                   for name, unit in UNITS.items() if condition(unit))


def started(script, tag, address=ADDRESS):
    """The instances that are started where the device there has this tag."""
    with tempfile.TemporaryDirectory() as work:
        confs = os.path.join(work, "confs")
        os.mkdir(confs)
        for name, (text, _, _) in UNITS.items():
            write(os.path.join(confs, name + ".conf"), text)
        write(work + "/enabled", units(lambda unit: unit[1]))
        write(work + "/active", units(lambda unit: unit[2]))
        devices = [{"address": OTHER, "tag": "other"}, {"address": ADDRESS, "tag": tag}]
        write(work + "/list", json.dumps(devices, indent=2))
        write(work + "/systemctl", SYSTEMCTL, 0o755)
        write(work + "/systemd-escape", ESCAPE, 0o755)
        write(work + "/viofsctl", CTL, 0o755)
        with open(script, encoding="utf-8") as f:
            write(work + "/start-enabled", f.read().replace("@sbindir@", work), 0o755)
        subprocess.run([work + "/start-enabled", address], check=True,
                       env={"PATH": work + ":/usr/bin:/bin", "WORK": work,
                            "VIRTIOFS_VFIO_CONFS": confs})
        try:
            with open(work + "/started", encoding="utf-8") as f:
                return {line[len("virtiofs-vfio@"):-len(".service\n")] for line in f}
        except FileNotFoundError:
            return set()


def main():
    """All cases."""
    failed = 0
    by_tag = {"myfs", "other", "by-tag", r"two\x20words"}
    for tag, address, due in (("myfs", ADDRESS, {"myfs", "by-address", "by-tag"}),
                              ("two words", ADDRESS, {r"two\x20words", "by-address"}),
                              ("nobody's", ADDRESS, {"by-address"}),
                              ("myfs", OTHER, {"other", "elsewhere"}),
                              # It can't be told: whoever waits for a tag.
                              (None, ADDRESS, by_tag | {"by-address"}),
                              ("caf\u00e9", ADDRESS, by_tag | {"by-address"}),
                              ("myfs", "0000:03:00.0", by_tag)):
        got = started(sys.argv[1], tag, address)
        if got != due:
            print(f"tag {tag} at {address}: {sorted(got)} where {sorted(due)} is due")
            failed = 1
    return failed


sys.exit(main())
