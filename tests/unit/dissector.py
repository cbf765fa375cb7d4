#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Has the dissector for Wireshark the fields that viofs raw has? --write: make it so."""

import subprocess
import sys

BEGIN, END = "local OPS = {\n", "}\n-- end of table\n"


def main():
    program, path = sys.argv[1:3]
    rows = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    assert rows.count("\n") > 100, "the program prints no table"
    with open(path, encoding="utf-8") as f:
        text = f.read()
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    if table == rows:
        return 0
    if sys.argv[3:] == ["--write"]:
        with open(path, "w", encoding="utf-8") as f:
            f.write(before + BEGIN + rows + END + after)
        return 0
    print(f"the table in {path} isn't raw_table.c's: {' '.join(sys.argv)} --write")
    return 1


if __name__ == "__main__":
    sys.exit(main())
