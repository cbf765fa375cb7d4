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
    "cpu60us": "60 us of CPU, no request",
}
# of what the rows may have, and where it is said
NATIVE_COLUMNS = ("callers us", "server us", "backend us", "ran on")
COLUMNS = ("work", "jobs", "driver", "median us", "p99 us", "p99.9 us", "CPU us/op", "ops/s",
           "spread",
           "ratio", "min-max", "p99 ratio")


def driver_name(row):
    if row["driver"] == "kernel":
        return "kernel"
    is_auto = "auto" in row.get("variant", "")
    chosen = "(default)" if row["default"] else "(auto)" if is_auto else None
    per_cpu = "per-cpu" if row.get("per_cpu") else None
    parts = (row["driver"], row.get("backend"), row["channel"], row["poll"], per_cpu, chosen)
    return " ".join(part for part in parts if part)


def ratio(row):
    """To what it is compared with, or None."""
    if row["driver"] == "kernel":
        return None
    return row.get("ratio_to_kernel") or row.get("ratio_to_peer")


def number(value):
    """Three figures are as many as a measurement like this gives."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def where(row):
    """The CPUs that each side was seen on: most of the time, or which ones."""
    out = []
    for side, shares in row["ran_on"].items():
        cpus = [cpu for cpu, share in shares.items() if share >= 0.1]
        if cpus:
            out.append(f"{side} {'+'.join(cpus)}")
    return ", ".join(out)


def cells(row, native):
    own = ratio(row)
    out = [row["work"], str(row["jobs"]), driver_name(row), number(row["median_us"]),
           number(row["p99_us"]),
           number(row["p999_us"]), number(row["cpu_us"]), number(row["ops_per_s"]),
           f"{100 * row['spread']:.0f}%",
           "" if own is None else f"{own:.2f}",
           "" if own is None else f"{row['ratio_min']:.2f}-{row['ratio_max']:.2f}",
           "" if own is None or row["p99_ratio"] is None else f"{row['p99_ratio']:.2f}"]
    if native:
        out += [number(row["callers_us"]), number(row["server_us"]), number(row["backend_us"]),
                where(row)]
    return out


def lines_of(rows):
    """The table's lines and whether each column is text."""
    native = any("ran_on" in row for row in rows)
    head = list(COLUMNS + NATIVE_COLUMNS if native else COLUMNS)
    is_text = [name in ("work", "driver", "ran on") for name in head]
    return [head] + [cells(row, native) for row in rows], is_text


def aligned(lines, is_text):
    """Columns for a terminal, a rule below the first line."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    lines = lines[:1] + [["-" * width for width in widths]] + lines[1:]
    out = []
    for line in lines:
        texts = [v.ljust(w) if text else v.rjust(w) for v, w, text in zip(line, widths, is_text)]
        out.append("  ".join(texts).rstrip())
    return "\n".join(out) + "\n"


def for_document(lines, is_text):
    """The same in Markdown."""
    rule = ["--" if text else "--:" for text in is_text]
    out = ["| " + " | ".join(lines[0]) + " |", "|" + "|".join(rule) + "|"]
    out += ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
            for line in lines[1:]]
    return "\n".join(out) + "\n"


def table(rows):
    return aligned(*lines_of(rows))


def markdown(rows):
    return for_document(*lines_of(rows))


def matrix(rows):
    """A line for each work, a column for each driver: its median in us, in brackets the ratio."""
    drivers = list(dict.fromkeys(driver_name(row) for row in rows))
    found = {(row["work"], row["jobs"], driver_name(row)): row for row in rows}
    lines = [["work", "jobs"] + [name.replace(" (default)", "") for name in drivers]]
    for work, jobs in dict.fromkeys((row["work"], row["jobs"]) for row in rows):
        line = [work, str(jobs)]
        for name in drivers:
            row = found.get((work, jobs, name))
            own = ratio(row) if row else None
            line.append(("" if row is None else number(row["median_us"]))
                        + ("" if own is None else f" ({own:.2f})"))
        lines.append(line)
    return lines, [True] + [False] * (len(lines[0]) - 1)


def goals_lines(goals):
    lines = [["work", "jobs", "of", "what", "have", "at least", "aim", ""]]
    lines += [[g["work"], str(g["jobs"]), g["of"], g["what"], f"{g['have']:.2f}",
               f"{g['least']:.2f}",
               f"{g['aim']:.2f}", "" if g["met"] else "MISSED"] for g in goals]
    return lines, [i in (0, 2, 3, 7) for i in range(8)]


def idle_line(name, idle):
    return (f"idle, {name}: {idle['processes']} processes, {idle['resident_kib'] / 1024:.1f} MiB "
            "resident + "
            f"{idle['dma_kib'] / 1024:.1f} MiB DMA = {idle['total_kib'] / 1024:.1f} MiB; "
            f"{idle['idle_cpu_ms']:.2f} ms of CPU time in {idle['idle_s']:.0f} s\n")


def conditions(facts):
    out = "".join(f"{name}: {value}\n" for name, value in facts.items()
                  if name not in ("daemon_idle", "idle", "left_out"))
    out += "".join(f"left out, {name}: {why}\n" for name, why in facts.get("left_out", {}).items())
    return out + "".join(idle_line(name, idle) for name, idle in facts.get("idle", {}).items())


def whole_table(result):
    """All there is to tell about a run."""
    out = table(result["rows"]) + "\n" + conditions(result["conditions"])
    if result.get("goals"):
        out += "\n" + aligned(*goals_lines(result["goals"]))
    return out


STYLE = """
text { font-family: sans-serif; font-size: 12px; fill: #1f2328; }
text.title { font-size: 14px; font-weight: bold; }
text.note { fill: #59636e; font-size: 11px; }
line.grid { stroke: #d1d9e0; stroke-width: 1; }
line.one { stroke: #cf222e; stroke-width: 1.5; }
line.range { stroke: #59636e; stroke-width: 1.5; }
.v0 { fill: #218bff; } .v1 { fill: #bf8700; } .v2 { fill: #1a7f37; } .v3 { fill: #8250df; }
.v4 { fill: #bc4c00; } .v5 { fill: #0a7f87; }
polyline { fill: none; stroke-width: 2; }
.s0 { stroke: #218bff; } .s1 { stroke: #bf8700; } .s2 { stroke: #1a7f37; } .s3 { stroke: #8250df; }
.s4 { stroke: #bc4c00; } .s5 { stroke: #0a7f87; }
rect.back { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  text.note { fill: #9198a1; }
  line.grid { stroke: #3d444d; }
  line.one { stroke: #ff7b72; }
  line.range { stroke: #9198a1; }
  .v0 { fill: #1f6feb; } .v1 { fill: #9e6a03; } .v2 { fill: #238636; } .v3 { fill: #8957e5; }
  .v4 { fill: #d4732f; } .v5 { fill: #2aa5ad; }
  .s0 { stroke: #1f6feb; } .s1 { stroke: #9e6a03; } .s2 { stroke: #238636; }
  .s3 { stroke: #8957e5; } .s4 { stroke: #d4732f; } .s5 { stroke: #2aa5ad; }
  rect.back { fill: #0d1117; }
}
"""
WIDTH, LEFT, RIGHT, BOTTOM = 760, 210, 60, 56
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

    def __init__(self, rows, axis):
        rows = [row for row in rows if ratio(row) is not None]
        self.axis = axis
        self.variants = list(dict.fromkeys(driver_name(row) for row in rows))
        self.groups = {}
        for row in rows:
            self.groups.setdefault((row["work"], row["jobs"]), []).append(row)
        top = max([1.0] + [row["ratio_max"] for row in rows]) * 1.02
        self.step = tick_step(top)
        self.top = self.step * -(-top // self.step)
        self.out = []
        self.legend_y = 34
        self.head = self.legend() + 28
        self.bottom = self.head + sum(BAR * len(group) + GAP for group in self.groups.values())

    def x(self, value):
        return LEFT + (WIDTH - LEFT - RIGHT) * value / self.top

    def text(self, x, y, text, anchor="start", cls=None):
        name = f' class="{cls}"' if cls else ""
        self.out.append(f'<text x="{x:.1f}" y="{y:.1f}" '
                        f'text-anchor="{anchor}"{name}>{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, cls):
        self.out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                        f'class="{cls}"/>')

    def axes(self):
        for i in range(int(self.top / self.step + 0.5) + 1):
            tick = i * self.step
            self.line(self.x(tick), self.head, self.x(tick), self.bottom, "grid")
            self.text(self.x(tick), self.bottom + 16, f"{tick:g}", "middle")
        self.text((LEFT + WIDTH - RIGHT) / 2, self.bottom + 34,
                  self.axis, "middle")

    def bar(self, row, y):
        variant = self.variants.index(driver_name(row))
        low, high = self.x(row["ratio_min"]), self.x(row["ratio_max"])
        width = self.x(ratio(row)) - LEFT
        self.out.append(f'<rect x="{LEFT}" y="{y:.1f}" width="{width:.1f}" height="{BAR - 2}" '
                        f'class="v{variant % 6}"/>')
        self.line(low, y + BAR / 2 - 1, high, y + BAR / 2 - 1, "range")
        self.text(max(high, LEFT + width) + 5, y + BAR - 4, f"{ratio(row):.2f}")

    def legend(self):
        """Return: where its last line is."""
        x, y = LEFT, self.legend_y
        for i, variant in enumerate(self.variants + [None]):
            width = 30 + 7 * len(variant or "lines: lowest and highest round")
            if x > LEFT and x + width > WIDTH:
                x, y = LEFT, y + 18
            if variant:
                self.out.append(f'<rect x="{x}" y="{y}" width="11" height="11" class="v{i % 6}"/>')
                self.text(x + 16, y + 10, variant)
            else:
                self.text(x, y + 10, "lines: lowest and highest round", cls="note")
            x += width
        return y

    def draw(self, title):
        height = self.bottom + BOTTOM
        self.text(16, 22, title, cls="title")
        self.axes()
        y = self.head + GAP / 2
        for rows in self.groups.values():
            self.text(LEFT - 8, y + BAR * len(rows) / 2 + 4, row_label(rows[0]), "end")
            for j, row in enumerate(rows):
                self.bar(row, y + j * BAR)
            y += BAR * len(rows) + GAP
        self.line(self.x(1), self.head - 4, self.x(1), self.bottom + 4, "one")
        return svg(title, WIDTH, height, self.out)


def svg(title, width, height, elements, origin="docs/performance.md; made by tools/bench"):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" '
            f'height="{height}" role="img">\n<!-- SPDX-License-Identifier: GPL-2.0-or-later -->\n'
            f'<!-- A chart of {origin}. -->\n'
            f'<title>{escape(title)}</title>\n<style>{STYLE}</style>\n'
            f'<rect x="0" y="0" width="{width}" height="{height}" class="back"/>\n' +
            "\n".join(elements) + "\n</svg>\n")


def chart(rows, title, axis):
    return Chart(rows, axis).draw(title)
