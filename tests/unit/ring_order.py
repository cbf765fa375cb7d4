#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""spin(1) goes through src/virtio/rings.pml: right with all barriers, and wrong without any one of
them."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
FORMS = ("", "-DPACKED")
# What is left out, and what must be found then.
FAULTS = {
    "-DNO_PUBLISH": "assertion violated",
    "-DRELEASE_IS_WMB": "assertion violated (memory[late_at]==late_is)",
    "-DNO_KICK": "invalid end state",
    "-DNO_READ": "assertion violated (value==token[buf])",
    "-DNO_ARM": "invalid end state",
}
# A third one takes a buffer again; a fourth comes to where the counters begin anew.
REQUESTS = 4 if os.environ.get("VIOFS_TEST_FULL") else 3


def search(model, work, *defines):
    """All interleavings. Return: how many states there are, and what spin has found, if
    anything."""
    options = [d for d in defines if d] + [f"-DREQUESTS={REQUESTS}"]
    subprocess.run(["spin", *options, "-a", model], cwd=work, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cc", "-w", "-O1", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"], cwd=work,
                   check=True)
    out = subprocess.run(["./pan", "-m100000"], cwd=work, check=True, capture_output=True,
                         text=True).stdout
    if "error: max search depth too small" in out:
        sys.exit("the search is cut off: " + out)
    states = re.search(r"(\d+) states, stored", out.replace("e+", ""))
    found = re.search(r"^pan:\d+: (.*) \(at depth", out, re.M)
    assert states and ("errors: 0" in out) == (not found), out
    return states.group(1), found and found.group(1)


def main():
    if not shutil.which("spin"):
        print("spin isn't installed (package spin)")
        return SKIPPED
    failed = 0
    model = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as work:
        for form in FORMS:
            name = "packed" if form else "split"
            states, found = search(model, work, form)
            print(f"{name}: {states} states: {found or 'right'}")
            failed += bool(found)
            for left_out, fault in FAULTS.items():
                _, found = search(model, work, form, left_out)
                print(f"{name}, {left_out}: {found or 'nothing found'}")
                failed += not (found or "").startswith(fault)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
