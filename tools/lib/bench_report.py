# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench's rows as a table for a terminal or a document, and as a chart (SVG)."""

from xml.sax.saxutils import escape

LABELS = {
    "statx": "statx, forced",
    "open_close": "open + close",
    "create_unlink": "create + unlink",
    "readdir": "readdir, 10,000 entries",
    "read4k": "4 KiB random read",
    "write4k": "4 KiB random write",
    "read1m_direct": "1 MiB read, direct",
    "write1m_direct": "1 MiB write, direct",
    "read1m_buffered": "1 MiB read, buffered",
    "write1m_buffered": "1 MiB write, buffered",
    "statx_after_10ms": "statx after 10 ms",
}
COLUMNS = ("work", "jobs", "driver", "median us", "p99 us", "p99.9 us", "CPU us/op", "ops/s", "spread",
           "ratio", "min-max", "p99 ratio")


def driver_name(row):
    if row["driver"] == "kernel":
        return "kernel"
    return " ".join(part for part in (row["driver"], row["channel"], row["poll"]) if part)


def number(value):
    """Three figures are as many as a measurement like this gives."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cells(row):
    kernel = row["driver"] == "kernel"
    return [row["work"], str(row["jobs"]), driver_name(row), number(row["median_us"]), number(row["p99_us"]),
            number(row["p999_us"]), number(row["cpu_us"]), number(row["ops_per_s"]), f"{100 * row['spread']:.0f}%",
            "" if kernel else f"{row['ratio_to_kernel']:.2f}",
            "" if kernel else f"{row['ratio_min']:.2f}-{row['ratio_max']:.2f}",
            "" if kernel else f"{row['p99_ratio']:.2f}"]


def align(values, widths):
    texts = [v.ljust(w) if i in (0, 2) else v.rjust(w) for i, (v, w) in enumerate(zip(values, widths))]
    return "  ".join(texts).rstrip()


def table(rows):
    lines = [list(COLUMNS)] + [cells(row) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    out = [align(lines[0], widths), "  ".join("-" * w for w in widths)]
    out += [align(line, widths) for line in lines[1:]]
    return "\n".join(out) + "\n"


def markdown(rows):
    rule = ["--" if i in (0, 2) else "--:" for i in range(len(COLUMNS))]
    out = ["| " + " | ".join(COLUMNS) + " |", "|" + "|".join(rule) + "|"]
    out += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(out) + "\n"


STYLE = """
text { font-family: sans-serif; font-size: 12px; fill: #1f2328; }
text.title { font-size: 14px; font-weight: bold; }
text.note { fill: #59636e; font-size: 11px; }
line.grid { stroke: #d1d9e0; stroke-width: 1; }
line.one { stroke: #cf222e; stroke-width: 1.5; }
line.range { stroke: #59636e; stroke-width: 1.5; }
rect.v0 { fill: #218bff; } rect.v1 { fill: #bf8700; } rect.v2 { fill: #1a7f37; } rect.v3 { fill: #8250df; }
rect.back { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  text.note { fill: #9198a1; }
  line.grid { stroke: #3d444d; }
  line.one { stroke: #ff7b72; }
  line.range { stroke: #9198a1; }
  rect.v0 { fill: #1f6feb; } rect.v1 { fill: #9e6a03; } rect.v2 { fill: #238636; } rect.v3 { fill: #8957e5; }
  rect.back { fill: #0d1117; }
}
"""
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 210, 60, 62, 56
BAR, GAP = 15, 11


def tick_step(top):
    """A step that gives about five to ten grid lines."""
    for step in (0.25, 0.5, 1, 2, 5, 10, 20, 50):
        if top / step <= 10:
            return step
    return 100


def row_label(row):
    label = LABELS.get(row["work"], row["work"])
    return f"{label}, {row['jobs']} jobs" if row["jobs"] > 1 else label


class Chart:
    """Horizontal bars, a group for each work, a bar for each of our variants."""

    def __init__(self, rows):
        rows = [row for row in rows if row["driver"] != "kernel"]
        self.variants = list(dict.fromkeys(driver_name(row) for row in rows))
        self.groups = {}
        for row in rows:
            self.groups.setdefault((row["work"], row["jobs"]), []).append(row)
        top = max([1.0] + [row["ratio_max"] for row in rows]) * 1.02
        self.step = tick_step(top)
        self.top = self.step * -(-top // self.step)
        self.group_height = BAR * len(self.variants) + GAP
        self.bottom = TOP + self.group_height * len(self.groups)
        self.out = []

    def x(self, ratio):
        return LEFT + (WIDTH - LEFT - RIGHT) * ratio / self.top

    def text(self, x, y, text, anchor="start", cls=None):
        name = f' class="{cls}"' if cls else ""
        self.out.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{name}>{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, cls):
        self.out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{cls}"/>')

    def axes(self):
        for i in range(int(self.top / self.step + 0.5) + 1):
            ratio = i * self.step
            self.line(self.x(ratio), TOP, self.x(ratio), self.bottom, "grid")
            self.text(self.x(ratio), self.bottom + 16, f"{ratio:g}", "middle")
        self.text((LEFT + WIDTH - RIGHT) / 2, self.bottom + 34,
                  "times as fast as the kernel's virtiofs driver (more is better)", "middle")

    def bar(self, row, y):
        variant = self.variants.index(driver_name(row))
        low, high = self.x(row["ratio_min"]), self.x(row["ratio_max"])
        width = self.x(row["ratio_to_kernel"]) - LEFT
        self.out.append(f'<rect x="{LEFT}" y="{y:.1f}" width="{width:.1f}" height="{BAR - 2}" class="v{variant % 4}"/>')
        self.line(low, y + BAR / 2 - 1, high, y + BAR / 2 - 1, "range")
        self.text(max(high, LEFT + width) + 5, y + BAR - 4, f"{row['ratio_to_kernel']:.2f}")

    def legend(self):
        x = LEFT
        for i, variant in enumerate(self.variants):
            self.out.append(f'<rect x="{x}" y="34" width="11" height="11" class="v{i % 4}"/>')
            self.text(x + 16, 44, variant)
            x += 30 + 7 * len(variant)
        self.text(x, 44, "lines: lowest and highest round", cls="note")

    def draw(self, title):
        height = self.bottom + BOTTOM
        self.out.append(f'<rect x="0" y="0" width="{WIDTH}" height="{height}" class="back"/>')
        self.text(16, 22, title, cls="title")
        self.legend()
        self.axes()
        for i, rows in enumerate(self.groups.values()):
            y = TOP + GAP / 2 + i * self.group_height
            self.text(LEFT - 8, y + (self.group_height - GAP) / 2 + 4, row_label(rows[0]), "end")
            for j, row in enumerate(rows):
                self.bar(row, y + j * BAR)
        self.line(self.x(1), TOP - 4, self.x(1), self.bottom + 4, "one")
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
                f'height="{height}" role="img">\n<!-- SPDX-License-Identifier: GPL-2.0-or-later -->\n'
                f'<!-- The ratios of docs/performance.md; made by tools/bench. -->\n'
                f'<title>{escape(title)}</title>\n<style>{STYLE}</style>\n' + "\n".join(self.out) + "\n</svg>\n")


def chart(rows, title):
    return Chart(rows).draw(title)
