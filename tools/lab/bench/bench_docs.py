# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/bench all: puts what was measured into docs/performance.md, and all rows and the charts
beside it.

In the document a block is what stands between these lines, and is replaced whole:
    <!-- bench: NAME -->
    <!-- bench: end -->
"""

import json
import os
import re
import sys

import bench_guest
import bench_native
import bench_profile
import bench_report
import bench_scale

CHARTS = {
    "guest": (bench_guest.chart, "ratio to the kernel's driver, row by row"),
    "native": (bench_native.chart, "ratio to libfuse's servers, row by row"),
    "scale": (bench_scale.chart, "operations a second and their CPU time, as things get more"),
}
BLOCK = re.compile(r"(<!-- bench: ([a-z ]+) -->\n)(.*?)(<!-- bench: end -->)", re.DOTALL)


def goals(result):
    """How many are met, and those that are not."""
    missed = [f"{g['work']} x{g['jobs']}, {g['of']}, {g['what']} {g['have']:.2f} of "
              f"{g['least']:.2f}"
              for g in result["goals"] if not g["met"]]
    met = f"{len(result['goals']) - len(missed)} of {len(result['goals'])} goals are met."
    return met + (f" Missed: {'; '.join(missed)}." if missed else "") + "\n"


def blocks(name, result):
    """{block name: text}"""
    if name in ("guest", "native"):
        return {f"{name} rows": bench_report.for_document(*bench_report.matrix(result["rows"])),
                f"{name} goals": goals(result)}
    if name == "profile":
        return {"profile calls": bench_report.for_document(*bench_profile.summary(result))}
    return {}


def keep_rows(path, result):
    """One row a line, so that a difference can be read."""
    head = {key: value for key, value in result.items() if key != "rows"}
    rows = ",\n".join(json.dumps(row) for row in result["rows"])
    with open(path, "w", encoding="utf-8") as out:
        out.write(json.dumps(head, indent=1)[:-2] + ',\n "rows": [\n' + rows + "\n]}\n")


def main():
    source, docs = sys.argv[1:]
    folder = os.path.join(docs, "performance")
    os.makedirs(folder, exist_ok=True)
    texts = {}
    for name in ("guest", "native", "scale", "profile"):
        path = os.path.join(source, name + ".json")
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as rows:
            result = json.load(rows)
        keep_rows(os.path.join(folder, name + ".json"), result)
        texts.update(blocks(name, result))
        if name in CHARTS:
            make, what = CHARTS[name]
            texts[f"{name} chart"] = f"![{what}](performance/{name}.svg)\n"
            with open(os.path.join(folder, name + ".svg"), "w", encoding="utf-8") as out:
                out.write(make(result))
    document = os.path.join(docs, "performance.md")
    with open(document, encoding="utf-8") as old:
        text = old.read()
    text = BLOCK.sub(lambda m: m[1] + ("\n" + texts[m[2]] if m[2] in texts else m[3]) + m[4], text)
    with open(document, "w", encoding="utf-8") as out:
        out.write(text)


if __name__ == "__main__":
    main()
