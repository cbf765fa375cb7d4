# SPDX-License-Identifier: GPL-2.0-or-later
"""What the bench makes of its samples: medians of rounds, their spread, ratios to the kernel's driver."""

from statistics import median

# In these rows the sum of all that is done counts; in all others the time that one operation takes.
THROUGHPUT_WORK = ("read1m_direct", "write1m_direct", "read1m_buffered", "write1m_buffered")


def ratio_of(work, jobs):
    """The figure that a row's ratio compares."""
    return "ops_per_s" if jobs > 1 or work in THROUGHPUT_WORK else "median_us"


def speedup(kernel, ours, figure):
    """How many times better than the kernel's driver; more is better, whatever the figure."""
    if not kernel[figure] or not ours[figure]:
        return None  # CPU time can be too little to be seen
    if figure == "ops_per_s":
        return ours[figure] / kernel[figure]
    return kernel[figure] / ours[figure]


def spread(values):
    """(max - min) / median"""
    return (max(values) - min(values)) / median(values)


def rounded(value, digits=2):
    return round(value, digits)


def median_ratio(pairs, figure):
    ratios = [r for r in (speedup(k, s, figure) for k, s in pairs) if r is not None]
    return rounded(median(ratios), 3) if ratios else None


def summarize_row(samples, kernel_samples, work, jobs):
    """samples, kernel_samples: what viofs-bench-ops printed for this row, one a round, same order."""
    figure = ratio_of(work, jobs)
    pairs = list(zip(kernel_samples, samples))
    ratios = [speedup(k, s, figure) for k, s in pairs]
    return {
        "median_us": rounded(median(s["median_us"] for s in samples)),
        "p99_us": rounded(median(s["p99_us"] for s in samples)),
        "p999_us": rounded(median(s["p999_us"] for s in samples)),
        "cpu_us": rounded(median(s["cpu_us"] for s in samples)),
        "ops_per_s": rounded(median(s["ops_per_s"] for s in samples), 1),
        "ops": sum(s["ops"] for s in samples),
        "rounds": len(samples),
        "spread": rounded(spread([s[figure] for s in samples]), 3),
        "ratio_of": figure,
        "ratio_to_kernel": rounded(median(ratios), 3),
        "ratio_min": rounded(min(ratios), 3),
        "ratio_max": rounded(max(ratios), 3),
        "p99_ratio": median_ratio(pairs, "p99_us"),
        "cpu_ratio": median_ratio(pairs, "cpu_us"),
    }


def summarize(rounds, variants):
    """rounds: a list of {variant name: {(work, jobs): sample}}; variants: [{name, driver, channel, poll, default}].

    The first variant is the kernel's driver. Rows come in the order of the first round.
    """
    rows = []
    kernel = variants[0]["name"]
    for work, jobs in rounds[0][kernel]:
        kernel_samples = [r[kernel][work, jobs] for r in rounds]
        for variant in variants:
            samples = [r[variant["name"]][work, jobs] for r in rounds]
            row = {"work": work, "jobs": jobs}
            row.update((key, variant[key]) for key in ("driver", "channel", "poll"))
            row.update(summarize_row(samples, kernel_samples, work, jobs))
            row["default"] = variant["default"]
            rows.append(row)
    return rows
