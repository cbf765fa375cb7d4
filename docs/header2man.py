#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A public header as a page of the manual (scdoc): its comments are the text, so that there is one."""

import os
import re
import sys

COMMENT = re.compile(r"/\*\*?(.*?)\*/", re.S)


def plain(comment):
    """A comment without its frame."""
    lines = [re.sub(r"^\s*\*? ?", "", line).rstrip() for line in comment.strip().splitlines()]
    return "\n".join(lines).strip("\n")


def escape(text):
    """For scdoc outside of literal blocks."""
    return re.sub(r"([_*\\`<>#])", r"\\\1", text)


def main():
    """The header at argv[1], on standard output."""
    path = sys.argv[1]
    base = os.path.splitext(os.path.basename(path))[0]
    with open(path, encoding="utf-8") as f:
        text = f.read()
    what = plain(COMMENT.findall(text)[1])
    # No directives, no guards: what is left is declarations and what is said of them.
    body = text[text.index("#define"):]
    body = re.sub(r"^#(ifdef|ifndef|endif|if |include|define VIOFS_\w+_H).*\n", "", body, flags=re.M)
    body = body.replace('extern "C" {\n', "").replace("\n}\n\n", "\n")
    body = re.sub(r"\n{3,}", "\n\n", body).strip()
    names = re.findall(r"\b(viofs_\w+)\(", COMMENT.sub("", body))
    seen = list(dict.fromkeys(n for n in names if not n.endswith("_async")))
    print(f"viofs-{base.replace('_', '-')}(3)\n")
    print("# NAME\n")
    print(f"{escape(', '.join(seen) or 'viofs/' + base + '.h')} - {escape(what[0].lower() + what[1:].rstrip('.'))}\n")
    print("# SYNOPSIS\n")
    print(f"*#include <viofs/{base}.h>*\n")
    print("cc ... $(pkg-config --cflags --libs viofs)\n")
    print("# DESCRIPTION\n")
    print("The header, with what it says of each call.\n")
    print("```")
    print(body.replace("\t", "        "))
    print("```\n")
    print("# SEE ALSO\n")
    print("*viofs*(3)")


if __name__ == "__main__":
    main()
