#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Has the daemon the trace points that docs/tracing.md names, with so many arguments?"""

import collections
import re
import subprocess
import sys


def main():
    program, page = sys.argv[1:]
    notes = subprocess.run(["readelf", "-n", program], capture_output=True, text=True, check=True)
    found = collections.defaultdict(set)
    for provider, name, arguments in re.findall(
            r"Provider: (\S+)\n\s+Name: (\S+)\n.*\n\s+Arguments: (.*)", notes.stdout):
        if provider == "virtiofs_vfio":
            found[name].add(len(arguments.split()))
    with open(page, encoding="utf-8") as f:
        rows = re.findall(r"(?m)^\| `(\w+)` \| ([^|]+) \|", f.read())
    said = {name: {len(arguments.split(","))} for name, arguments in rows}
    print(dict(found), said)
    return found != said or len(said) != 7


if __name__ == "__main__":
    sys.exit(main())
