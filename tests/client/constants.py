#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Have the public flags and numbers the values that programs were compiled with? python3
constants.py INCLUDE BASELINE

abidiff doesn't see them: flags are plain integers in the interface. ninja -C build abi-baseline
writes a new baseline.
"""

import glob
import os
import re
import subprocess
import sys
import tempfile

# How many there are may grow, and each version has its own.
NOT_FIXED = re.compile(r"VIOFS_(REMEDIES|VERSION_\w*)$")


def names(include):
    """Of enums, and of macros that are numbers."""
    found = set()
    for path in glob.glob(os.path.join(include, "viofs", "*.h")):
        with open(path, encoding="utf-8") as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
        found |= set(re.findall(r"(?m)^#define (VIOFS_\w+)[ \t]", text))
        for body in re.findall(r"(?s)\benum \w+ \{(.*?)\}", text):
            found |= set(re.findall(r"\b(VIOFS_\w+)\b", body))
    found = {name for name in found if not NOT_FIXED.match(name)}
    assert len(found) > 15, "the headers have another form: mend this test"
    return sorted(found)


def values(include):
    """Lines of a name and its value."""
    prints = "".join(f'printf("{name} %lld\\n", (long long){name});\n' for name in names(include))
    text = f"#include <viofs/viofs.h>\n#include <stdio.h>\nint main(void)\n{{\n{prints}}}\n"
    with tempfile.TemporaryDirectory() as work:
        program = os.path.join(work, "values")
        subprocess.run(["cc", "-x", "c", "-I", include, "-", "-o", program], input=text, check=True,
                       text=True)
        return subprocess.run([program], check=True, capture_output=True, text=True).stdout


def main(include, baseline, renew=None):
    """The exit status."""
    now = values(include)
    if renew:
        with open(baseline, "w", encoding="ascii") as f:
            f.write(now)
        return 0
    with open(baseline, encoding="ascii") as f:
        was = f.read().splitlines()
    wrong = sorted(set(was) ^ set(now.splitlines()))
    for line in wrong:
        print(f"{'no longer' if line in was else 'now'}: {line}")
    if wrong:
        print("If that is meant: ninja -C build abi-baseline")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
