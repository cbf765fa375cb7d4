#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a device takes for single requests: a histogram of each kind as SVG. latency.py SOURCE
OUT.svg [COUNT]"""

import math
import os
import sys

import viofs

# 20 bins for each power of ten, from 1 us to 100 ms.
PER_DECADE, FIRST, DECADES = 20, 1e3, 5
COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0")


def measure(raw, opcode, count, /, **fields):
    """Nanoseconds of each of @count requests, one at a time; the first tenth warms up and is left
    out."""
    request = raw.build(opcode, **fields)
    times = []
    for _ in range(count + count // 10):
        raw.queue.call(request)
        times.append(request.ns)
        if opcode == "LOOKUP":
            raw.forget(nodeid=raw.decode(request).nodeid, nlookup=1)
    return sorted(times[count // 10:])


def percentile(times, part):
    """Of sorted @times."""
    return times[min(int(len(times) * part), len(times) - 1)]


def histogram(times):
    """Each bin's share."""
    bins = [0] * (PER_DECADE * DECADES)
    for ns in times:
        at = int(math.log10(max(ns, FIRST) / FIRST) * PER_DECADE)
        bins[min(at, len(bins) - 1)] += 1
    return [n / len(times) for n in bins]


def draw(series, title):
    """SVG: a line for each of @series, name -> times."""
    width, height, left, top = 760, 300, 50, 70
    shares = {name: histogram(times) for name, times in series.items()}
    highest = max(max(bins) for bins in shares.values())
    used = [i for bins in shares.values() for i, share in enumerate(bins) if share > 0.001]
    low, high = max(min(used) - 2, 0), max(used) + 3

    def x(i):
        return left + (i - low) / (high - low) * (width - left - 20)

    def y(share):
        return top + (1 - share / highest) * (height - top - 50)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/><text x="{left}" y="20" '
           f'font-size="14">{title}</text>']
    for i in range(low, high + 1):
        for step in (1, 2, 5):
            at = math.log10(step) * PER_DECADE + i
            if i % PER_DECADE == 0 and low <= at <= high:
                us = 10 ** (i // PER_DECADE) * step
                label = f"{us} µs" if us < 1000 else f"{us // 1000} ms"
                out.append(f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{top}" y2="{y(0)}" '
                           'stroke="#ddd"/>'
                           f'<text x="{x(at):.1f}" y="{y(0) + 18}" '
                           f'text-anchor="middle">{label}</text>')
    for k, (name, bins) in enumerate(shares.items()):
        points = " ".join(f"{x(i + side):.1f},{y(bins[i]):.1f}"
                          for i in range(low, min(high, len(bins))) for side in (0, 1))
        times, colour = series[name], COLOURS[k % len(COLOURS)]
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
                   f'<text x="{left + k * 175}" y="40" fill="{colour}" '
                   f'font-weight="bold">{name}</text>'
                   f'<text x="{left + k * 175}" y="56">p50 {percentile(times, .5) / 1e3:.0f}, p99 '
                   f'{percentile(times, .99) / 1e3:.0f} µs</text>')
    out.append(f'<text x="{left - 8}" y="{y(highest) + 4:.0f}" '
               f'text-anchor="end">{highest:.0%}</text>'
               f'<text x="{left - 8}" y="{y(0)}" text-anchor="end">0</text></svg>')
    return "\n".join(out) + "\n"


def main(source, path, count="3000"):
    """Measures, prints and draws."""
    count = int(count)
    with viofs.open(source) as device, device.session() as share, share.raw() as raw:
        name = f"latency-{os.getpid()}"
        share.write_file(name, os.urandom(65536))
        try:
            node = raw.lookup(nodeid=1, name=name)
            fh = raw.open(nodeid=node.nodeid, flags=os.O_RDWR).fh
            series = {
                "GETATTR": measure(raw, "GETATTR", count, nodeid=node.nodeid),
                "LOOKUP": measure(raw, "LOOKUP", count, nodeid=1, name=name),
                "READ 4 KiB": measure(raw, "READ", count, nodeid=node.nodeid, fh=fh, size=4096),
                "WRITE 4 KiB": measure(raw, "WRITE", count, nodeid=node.nodeid, fh=fh,
                                       data=bytes(4096)),
            }
            raw.release(nodeid=node.nodeid, fh=fh)
        finally:
            share.unlink(name)
    for what, times in series.items():
        print(f"{what:12} p50 {percentile(times, .5) / 1e3:8.1f} us   p99 "
              f"{percentile(times, .99) / 1e3:8.1f} us")
    with open(path, "w", encoding="utf-8") as f:
        f.write(draw(series, f"{len(series)} x {count} requests, one at a time"))


if __name__ == "__main__":
    main(*sys.argv[1:])
