#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Public headers as pages of the manual: their comments are the text, so that there is one.

header2man.py page HEADER                  the header's page (scdoc), on standard output
header2man.py names HEADER                 for each page of a call, a line: its name, then those
that are described with it header2man.py calls HEADER SCDOC OUT...    those pages
"""

import os
import re
import subprocess
import sys

COMMENT = re.compile(r"/\*\*?(.*?)\*/", re.S)
# A comment with its declarations, which end at a blank line or at the next comment.
ENTRY = re.compile(r"/\*\* ?\n? ?\*? ?(?P<names>viofs_\w+\(\)(?:, viofs_\w+\(\))*) - "
                   r"(?P<text>(?:(?!\*/).)*)\*/\n"
                   r"(?P<code>(?:(?!/\*|\n\n).)*)", re.S)
NAME = re.compile(r"\b(viofs_\w+)\(")
# Words that begin a part of an entry's text.
PART = re.compile(r"(?:^|(?<=[.;:)] )|(?<=\n))(@\w+(?:, @\w+)*(?:, @\w+)*:|Context:|Return:)")


def plain(comment):
    """A comment without its frame."""
    lines = [re.sub(r"^\s*\*? ?", "", line).rstrip() for line in comment.strip().splitlines()]
    return "\n".join(lines).strip("\n")


def escape(text):
    """For scdoc outside of literal blocks."""
    return re.sub(r"([_*\\`<>#~\[\]])", r"\\\1", text)


def marked(text):
    """A paragraph for scdoc: one line, with names of calls in bold."""
    text = re.sub(r"\s+", " ", text).strip()
    text = escape(text)
    text = re.sub(r"\b(viofs(?:\\_\w+)+)\(\)", lambda m: f"*{m.group(1)}*()", text)
    return re.sub(r"@(\w+)", r"_\1_", text)


class Header:
    """A public header, and what is in it."""

    def __init__(self, path):
        self.base = os.path.splitext(os.path.basename(path))[0]
        self.page = f"viofs-{self.base.replace('_', '-')}"
        with open(path, encoding="utf-8") as f:
            self.text = f.read()
        self.what = plain(COMMENT.findall(self.text)[1])
        # No directives, no guards: what is left is declarations and what is said of them.
        body = self.text[self.text.index("#define"):]
        body = re.sub(r"^#(ifdef|ifndef|endif|if |include|define VIOFS_\w+_H).*\n", "", body,
                      flags=re.M)
        body = body.replace('extern "C" {\n', "").replace("\n}\n\n", "\n")
        self.body = re.sub(r"\n{3,}", "\n\n", body).strip()

    def entries(self):
        """(names, text, declarations) of each call, or of several that are described together."""
        for m in ENTRY.finditer(self.body):
            names = list(dict.fromkeys(NAME.findall(COMMENT.sub("", m.group("code")))))
            if names:
                yield names, plain(m.group("text")), m.group("code").strip()


def whole(header):
    """The page of a header."""
    names = [name for entry in header.entries() for name in entry[0] if not name.endswith("_async")]
    title = ", ".join(names) or f"viofs/{header.base}.h"
    return f"""{header.page}(3)

# NAME

{escape(title)} - {escape(header.what[0].lower() + header.what[1:].rstrip('.'))}

# SYNOPSIS

*#include <viofs/{header.base}.h>*

cc ... $(pkg-config --cflags --libs viofs)

# DESCRIPTION

The header, with what it says of each call.

```
{header.body.replace(chr(9), '        ')}
```

# SEE ALSO

*viofs*(3), *viofs_event_loop*(7)
"""


def one(header, names, text, code):
    """The page of a call."""
    first, _, rest = text.partition("\n")
    # A summary may go on in the next line.
    while rest and not re.search(r"[.:;]$", first) and \
            not rest.startswith(("@", "Context", "Return", "\n")) and \
            not rest[0].isupper():
        more, _, rest = rest.partition("\n")
        first += " " + more
    summary, _, tail = first.partition(". ")
    # apropos(1) shows it.
    if re.match(r"NULL\b|Context:|Return:|@", summary):
        sys.exit(f"{header.base}.h: the first line on {names[0]}() must say what it does")
    pieces = PART.split("\n".join(part for part in (tail, rest) if part))
    out = [f"{names[0]}(3)\n", "# NAME\n", f"{escape(', '.join(names))} - "
                                           f"{escape(summary.rstrip('.').replace('@', ''))}\n",
           "# SYNOPSIS\n",
           f"*#include <viofs/{header.base}.h>*\n", "```", code.replace("\t", "        "), "```\n",
           "# DESCRIPTION\n"]
    described = [marked(pieces[0])] if pieces[0].strip() else []
    out += [paragraph + "\n" for paragraph in described]
    ends = {}
    for word, said in zip(pieces[1::2], pieces[2::2]):
        if word in ("Context:", "Return:"):
            ends.setdefault(word, []).append(marked(said))
        else:
            out.append(f"{marked(word)}\n\t{marked(said)}\n")
    if header.base in ("path", "files", "dirs"):
        out.append("What _flags_, _err_ and the numbers mean that all calls return is in "
                   "*viofs-path*(3).\n")
    for word, title in (("Context:", "CONTEXT"), ("Return:", "RETURN VALUE")):
        if word in ends:
            out += [f"# {title}\n", " ".join(ends[word]) + "\n"]
    out += ["# SEE ALSO\n", f"*{header.page}*(3), *viofs*(3)"]
    return "\n".join(out) + "\n"


def main(action, path, *more):
    """One of the actions above."""
    header = Header(path)
    if action == "page":
        print(whole(header), end="")
    elif action == "names":
        for names, _, _ in header.entries():
            print(*names)
    else:
        scdoc, *outputs = more
        wanted = {os.path.basename(out): out for out in outputs}
        for names, text, code in header.entries():
            page = one(header, names, text, code)
            done = subprocess.run([scdoc], input=page.encode(), capture_output=True, check=False)
            if done.returncode:
                sys.exit(f"{path}: {names[0]}: {done.stderr.decode()}\n{page}")
            with open(wanted.pop(names[0] + ".3"), "wb") as f:
                f.write(done.stdout)
        if wanted:
            sys.exit(f"{path}: no entries for {' '.join(wanted)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
