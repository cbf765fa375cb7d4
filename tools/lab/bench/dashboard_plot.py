#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws the panels of docs/grafana-dashboard.json, each with what a Prometheus that scrapes our
metrics answers to its expressions."""

import argparse
import json
import math
import re
import time
import urllib.parse
import urllib.request

import bench_plot

# Grafana's names.
UNITS = {"reqps": "", "Bps": "", "short": "", "s": "s", "bytes": "bytes"}


def linear_ticks(most):
    """Four or five steps of 1, 2 or 5 from 0 up."""
    power = 10.0 ** math.floor(math.log10(most)) if most > 0 else 1.0
    step = next(factor * power for factor in (0.2, 0.5, 1, 2) if most <= 5 * factor * power)
    return [round(step * i, 12) for i in range(max(1, math.ceil(most / step)) + 1)]


class TimePanel(bench_plot.Panel):
    """Linear on both axes, x in seconds."""

    # pylint: disable=super-init-not-called # that one is logarithmic
    def __init__(self, title, unit, seconds, lines):
        unit = UNITS[unit]
        self.title, self.x_label = f"{title} ({unit})" if unit else title, "s"
        self.lines, self.seconds = lines, seconds
        self.xs = range(0, seconds + 1, 10)
        self.ticks = linear_ticks(max(y for points in lines.values() for _, y in points))
        self.out = []

    def x(self, value):
        return (self.left + bench_plot.LEFT + value / self.seconds
                * (bench_plot.PANEL_WIDTH - bench_plot.LEFT - bench_plot.RIGHT))

    def y(self, value):
        return (self.top + bench_plot.TOP + (1 - value / self.ticks[-1])
                * (bench_plot.PANEL_HEIGHT - bench_plot.TOP - bench_plot.BOTTOM))

    def line(self, index, points):
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        self.out.append(f'<polyline points="{path}" class="s{index}"/>')


class Source:
    """A Prometheus, and the time that is looked at."""

    def __init__(self, url, seconds, interval):
        self.url, self.seconds, self.interval = url, seconds, interval
        self.end = time.time()

    def lines(self, target):
        """{label: [(second, value)]}"""
        expression = target["expr"].replace("$__rate_interval", self.interval)
        words = {"query": expression.replace("$mount", ".*"), "start": self.end - self.seconds,
                 "end": self.end, "step": 1}
        with urllib.request.urlopen(f"{self.url}/api/v1/query_range?"
                                    + urllib.parse.urlencode(words), timeout=60) as answer:
            series = json.load(answer)["data"]["result"]
        out = {}
        for one in series:
            label = re.sub(r"\{\{(\w+)\}\}", lambda m, have=one["metric"]: have.get(m[1], ""),
                           target["legendFormat"])
            out[label] = [(at - self.end + self.seconds, float(value)) for at, value
                          in one["values"] if math.isfinite(float(value))]
        return out

    def panel(self, panel):
        lines = {}
        for target in panel["targets"]:
            lines |= self.lines(target)
        busiest = sorted((label for label, points in lines.items() if points),
                         key=lambda label: -max(y for _, y in lines[label]))[:6]
        if not busiest:
            raise SystemExit(f"Prometheus has nothing for the panel \"{panel['title']}\".")
        return TimePanel(panel["title"], panel["fieldConfig"]["defaults"]["unit"], self.seconds,
                         {label: lines[label] for label in lines if label in busiest})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dashboard")
    parser.add_argument("url", help="of Prometheus, such as http://127.0.0.1:9090")
    parser.add_argument("svg", help="the file to write")
    parser.add_argument("--seconds", type=int, default=60, help="how many, until now")
    parser.add_argument("--interval", default="4s", help="what rates are of: four scrapes")
    args = parser.parse_args()
    with open(args.dashboard, encoding="utf-8") as f:
        panels = [panel for panel in json.load(f)["panels"] if panel["type"] == "timeseries"]
    source = Source(args.url, args.seconds, args.interval)
    drawn = [source.panel(panel) for panel in panels]
    rows = [drawn[i:i + 2] for i in range(0, len(drawn), 2)]
    with open(args.svg, "w", encoding="utf-8") as f:
        f.write(bench_plot.page("virtiofs-vfio: one mount", rows,
                                origin="docs/operating.md; made by tools/lab/bench/"
                                       "dashboard_plot.py"))


if __name__ == "__main__":
    main()
