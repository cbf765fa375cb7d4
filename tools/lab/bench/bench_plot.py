# SPDX-License-Identifier: GPL-2.0-or-later
"""Line charts (SVG): panels side by side, logarithmic on both axes."""

import math
from xml.sax.saxutils import escape

import bench_report

WIDTH, PANEL_WIDTH, PANEL_HEIGHT = 820, 400, 240
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 40, 62
LEGEND_LINE = 16


def short(value):
    """Axis labels: 512, 4K, 1M; sizes come in powers of two, all else in powers of ten."""
    for step, suffixes in ((1024, ("", "Ki", "Mi")), (1000, ("", "k", "M"))):
        power = 0
        while value >= step and value % step == 0 and power < 2:
            value, power = value / step, power + 1
        if power:
            return f"{value:g}{suffixes[power]}"
    return f"{value:g}"


def ticks(low, high):
    """1, 10, 100 around the values; with 2 and 5 between where that is less than two decades."""
    factors = (1, 2, 5) if high / low < 100 else (1,)
    out = []
    for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1):
        out += [factor * 10.0 ** power for factor in factors]
    first = max([t for t in out if t <= low] or [low])
    last = min([t for t in out if t >= high] or [high])
    return [t for t in out if first <= t <= last]


class Panel:
    """One coordinate system. lines: {label: [(x, y, lowest y, highest y)]}; x of 0 is drawn as
    x_zero."""

    def __init__(self, title, x_label, lines):
        self.title, self.x_label = title, x_label
        self.lines = {label: points for label, points in lines.items() if points}
        self.xs = sorted({point[0] for points in self.lines.values() for point in points})
        lows = [point[2] for points in self.lines.values() for point in points if point[2] > 0]
        highs = [point[3] for points in self.lines.values() for point in points if point[3] > 0]
        self.ticks = ticks(min(lows), max(highs))
        self.out = []

    def x(self, value):
        """By the logarithm; nothing at all has a place of its own, left of the rest."""
        positive = [x for x in self.xs if x > 0]
        low, high = math.log(positive[0]), math.log(positive[-1])
        room = 0.08 if self.xs[0] == 0 else 0
        part = 0 if value == 0 else (math.log(value) - low) / (high - low) if high > low else 0.5
        share = 0 if value == 0 else room + (1 - room) * part
        return self.left + LEFT + share * (PANEL_WIDTH - LEFT - RIGHT)

    def y(self, value):
        low, high = math.log(self.ticks[0]), math.log(self.ticks[-1])
        share = (math.log(max(value, self.ticks[0])) - low) / (high - low) if high > low else 0.5
        return self.top + TOP + (1 - share) * (PANEL_HEIGHT - TOP - BOTTOM)

    def text(self, x, y, text, anchor="start", cls=None):
        name = f' class="{cls}"' if cls else ""
        self.out.append(f'<text x="{x:.1f}" y="{y:.1f}" '
                        f'text-anchor="{anchor}"{name}>{escape(text)}</text>')

    def axes(self):
        left, right = self.left + LEFT, self.left + PANEL_WIDTH - RIGHT
        bottom = self.top + PANEL_HEIGHT - BOTTOM
        for tick in self.ticks:
            y = self.y(tick)
            self.out.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" '
                            'class="grid"/>')
            self.text(left - 6, y + 4, short(tick), "end")
        last = -100
        for x in self.xs:
            if self.x(x) - last < 28:
                continue
            last = self.x(x)
            self.text(last, bottom + 16, short(x), "middle")
        self.text((left + right) / 2, bottom + 32, self.x_label, "middle")
        self.text(self.left + 16, self.top + 22, self.title, cls="title")

    def line(self, index, points):
        points = [point for point in points if point[1] > 0]
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y, _, _ in points)
        self.out.append(f'<polyline points="{path}" class="s{index}"/>')
        for x, y, low, high in points:
            at = self.x(x)
            self.out.append(f'<line x1="{at:.1f}" y1="{self.y(low):.1f}" x2="{at:.1f}" '
                            f'y2="{self.y(high):.1f}" '
                            f'class="range"/><circle cx="{at:.1f}" cy="{self.y(y):.1f}" r="2.5" '
                            f'class="v{index}"/>')

    def draw(self, left, top):
        """Return: its elements."""
        self.left, self.top = left, top
        self.axes()
        for i, points in enumerate(self.lines.values()):
            self.line(i % 6, points)
        x, y = left + LEFT, top + PANEL_HEIGHT - 8
        for i, label in enumerate(self.lines):
            if x + 14 + 6 * len(label) > left + PANEL_WIDTH:
                x, y = left + LEFT, y + LEGEND_LINE
            self.out.append(f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10" '
                            f'class="v{i % 6}"/>')
            self.text(x + 14, y, label, cls="note")
            x += 28 + 6 * len(label)
        return self.out


def page(title, rows_of_panels, **origin):
    """An SVG: rows of two panels each."""
    out = [f'<text x="16" y="24" class="title">{escape(title)}</text>']
    for i, panels in enumerate(rows_of_panels):
        for j, panel in enumerate(panels):
            out += panel.draw(j * (PANEL_WIDTH + 12), 32 + i * (PANEL_HEIGHT + 24))
    return bench_report.svg(title, WIDTH, 32 + len(rows_of_panels) * (PANEL_HEIGHT + 24), out,
                            **origin)
