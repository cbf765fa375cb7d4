# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/bench all: puts what was measured into docs/performance.md and the charts beside it.

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
    "guest": (bench_guest.chart, "performance.svg", "ratio to the kernel's driver, row by row"),
    "native": (bench_native.chart, "performance-native.svg", "ratio to libfuse's servers, row by row"),
    "scale": (bench_scale.chart, "performance-scale.svg", "operations a second and their CPU time, as things get more"),
}
BLOCK = re.compile(r"(<!-- bench: ([a-z ]+) -->\n)(.*?)(<!-- bench: end -->)", re.DOTALL)


def conditions(result):
    """As a list; what was left out, and idle mounts, in lines of their own."""
    return "".join(f"- {line}\n" for line in bench_report.conditions(result["conditions"]).splitlines())


def blocks(name, result):
    """{block name: text}"""
    out = {f"{name} conditions": conditions(result)}
    if name in ("guest", "native"):
        out[f"{name} rows"] = bench_report.markdown(result["rows"])
        out[f"{name} goals"] = bench_report.for_document(*bench_report.goals_lines(result["goals"]))
    elif name == "profile":
        out["profile calls"] = bench_report.for_document(*bench_profile.table(result))
        out["profile files"] = bench_profile.files_text(result, bench_report.for_document)
    else:
        out["scale rows"] = bench_report.for_document(*bench_scale.table(result))
    return out


def main():
    source, docs = sys.argv[1:]
    texts = {}
    for name in ("guest", "native", "scale", "profile"):
        path = os.path.join(source, name + ".json")
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as rows:
            result = json.load(rows)
        texts.update(blocks(name, result))
        if name in CHARTS:
            make, file, what = CHARTS[name]
            texts[f"{name} chart"] = f"![{what}]({file})\n"
            with open(os.path.join(docs, file), "w", encoding="utf-8") as out:
                out.write(make(result))
    document = os.path.join(docs, "performance.md")
    with open(document, encoding="utf-8") as old:
        text = old.read()
    text = BLOCK.sub(lambda m: m[1] + ("\n" + texts[m[2]] + "\n" if m[2] in texts else m[3]) + m[4], text)
    with open(document, "w", encoding="utf-8") as out:
        out.write(text)


if __name__ == "__main__":
    main()
