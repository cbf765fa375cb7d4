#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Has Python all of libviofs' public calls and flags? python3 python_whole.py INCLUDE PACKAGE

A call counts where the package uses it, or its asynchronous twin. What is left out on purpose is
named here, with the reason.
"""

import glob
import os
import re
import sys

# Python's own way to the same.
LEFT_OUT = {
    "viofs_dir_next": "portions are taken by viofs_dir_next_many()",
    "viofs_dir_read": "Dir is an iterator, made of portions",
    "viofs_dir_read_many": "Dir is an iterator, made of portions",
    "viofs_file_read": "File keeps the position, as io.RawIOBase",
    "viofs_file_readv": "File keeps the position, as io.RawIOBase",
    "viofs_file_write": "File keeps the position, as io.RawIOBase",
    "viofs_file_writev": "File keeps the position, as io.RawIOBase",
    "viofs_async_pending": "a lane has a table of its calls",
    "viofs_session_cancel": "cancel() does it, call by call: all of them are asynchronous",
    "viofs_session_dev": "session.device",
    "viofs_tree_close": "tree() is a generator, whose calls can be interrupted",
    "viofs_tree_next": "tree() is a generator, whose calls can be interrupted",
    "viofs_tree_open": "tree() is a generator, whose calls can be interrupted",
    "viofs_tree_skip": "tree() is a generator, whose calls can be interrupted",
    "VIOFS_TREE_AFTER": "tree(after=True)",
    "VIOFS_REQUEST_ARGS_MAX": "the library refuses what is longer",
    "VIOFS_REQUEST_REPLY_MAX": "the library refuses what is longer",
}
# The text says what helps; and which version the headers were of is the build's business.
LEFT_OUT_ALL = re.compile(r"VIOFS_(REMED\w*|VERSION_\w*)$")


def public(include):
    """Names of calls, flags and numbers."""
    names = set()
    for path in glob.glob(os.path.join(include, "viofs", "*.h")):
        with open(path, encoding="utf-8") as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
        names |= set(re.findall(r"\b(viofs_\w+)\(", text))
        names |= set(re.findall(r"(?m)^#define (VIOFS_\w+)[ \t(]", text))
        for body in re.findall(r"(?s)\benum \w+ \{(.*?)\}", text):
            names |= set(re.findall(r"\b(VIOFS_\w+)\b", body))
    return names


def main(include, package):
    """The exit status."""
    used = set()
    for path in glob.glob(os.path.join(package, "*.py")):
        with open(path, encoding="utf-8") as f:
            used |= set(re.findall(r"\b[_a-z]*lib\.(\w+)", f.read()))
    calls = public(include)
    assert len(calls) > 150, "the headers have another form: mend this test"
    wrong = []
    for name in sorted(calls):
        done = name in used or name + "_async" in used or name.removesuffix("_async") in used
        reason = name.removesuffix("_async") in LEFT_OUT or LEFT_OUT_ALL.match(name)
        if done and name in LEFT_OUT:
            wrong.append(f"{name} is used, and said to be left out")
        if not done and not reason:
            wrong.append(f"{name} can't be reached from Python")
    wrong += [f"{name} is left out, and isn't there" for name in sorted(set(LEFT_OUT) - calls)]
    for line in wrong:
        print(line)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
