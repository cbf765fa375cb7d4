# SPDX-License-Identifier: GPL-2.0-or-later
"""What the bench makes of its samples: medians of rounds, their spread, ratios to the kernel's
driver."""

from statistics import median

# In these rows the sum of all that is done counts; in all others the time that one operation takes.
THROUGHPUT_WORK = ("read1m_direct", "write1m_direct", "read1m_buffered", "write1m_buffered")


def ratio_of(work, jobs):
    """The figure that a row's ratio compares."""
    return "ops_per_s" if jobs > 1 or work in THROUGHPUT_WORK else "median_us"


def speedup(reference, ours, figure):
    """How many times better than what it is compared with; more is better, whatever the figure."""
    if not reference[figure] or not ours[figure]:
        return None  # CPU time can be too little to be seen
    if figure == "ops_per_s":
        return ours[figure] / reference[figure]
    return reference[figure] / ours[figure]


def spread(values):
    """(max - min) / median"""
    return (max(values) - min(values)) / median(values)


def rounded(value, digits=2):
    return round(value, digits)


def median_ratio(pairs, figure):
    ratios = [r for r in (speedup(k, s, figure) for k, s in pairs) if r is not None]
    return rounded(median(ratios), 3) if ratios else None


def add_sides(samples):
    """What callers and servers took of the CPU time, and where the servers ran, where that was
    watched."""
    if "sides" not in samples[0]:
        return samples
    for sample in samples:
        sample["server_us"] = sample["sides"].get("server", {}).get("cpu_us", 0)
        # what relaying costs: the server and the kernel's work in the callers' time; no back end
        sample["relay_us"] = sample["server_us"] + sample["callers_us"]
    return samples


def seen_on(samples):
    """{side: {cpu: share of the looks}}"""
    out = {}
    for side in samples[0]["sides"]:
        looks = {}
        for sample in samples:
            for cpu, times in sample["sides"][side]["seen_on"].items():
                looks[cpu] = looks.get(cpu, 0) + times
        total = sum(looks.values())
        out[side] = {cpu: rounded(times / total) for cpu, times in sorted(looks.items())}
    return out


def compare(samples, references, figure):
    pairs = list(zip(references, samples))
    ratios = [speedup(k, s, figure) for k, s in pairs]
    out = {
        "ratio": rounded(median(ratios), 3),
        "ratio_min": rounded(min(ratios), 3),
        "ratio_max": rounded(max(ratios), 3),
        "p99_ratio": median_ratio(pairs, "p99_us"),
        "cpu_ratio": median_ratio(pairs, "cpu_us"),
    }
    if "relay_us" in samples[0]:
        out["relay_ratio"] = median_ratio(pairs, "relay_us")
    return out


def summarize_row(samples, work, jobs):
    """samples: what viofs-bench-ops printed for this row, one a round."""
    figure = ratio_of(work, jobs)
    row = {name: rounded(median(s[name] for s in samples))
           for name in ("median_us", "p99_us", "p999_us", "cpu_us", "callers_us")}
    if "sides" in samples[0]:
        row["server_us"] = rounded(median(s["server_us"] for s in samples))
        row["relay_us"] = rounded(median(s["relay_us"] for s in samples))
        row["backend_us"] = rounded(median(s["sides"].get("backend", {}).get("cpu_us", 0)
                                           for s in samples))
        row["ran_on"] = seen_on(samples)
    row.update({
        "ops_per_s": rounded(median(s["ops_per_s"] for s in samples), 1),
        "ops": sum(s["ops"] for s in samples),
        "rounds": len(samples),
        "spread": rounded(spread([s[figure] for s in samples]), 3),
        "ratio_of": figure,
    })
    return row


def summarize(rounds, variants):
    """The rows, in the order of the first round.

    rounds: a list of {variant name: {(work, jobs): sample}}, samples as viofs-bench-ops prints
    them. variants: [{name, driver, channel, poll, default, ...}], and the name of a variant as
    reference where it is compared with one. A variant need not have all rows.
    """
    rows = []
    works = dict.fromkeys(key for variant in variants for key in rounds[0].get(variant["name"], ()))
    for work, jobs in works:
        for variant in variants:
            name, reference = variant["name"], variant.get("reference")
            if (work, jobs) not in rounds[0].get(name, ()):
                continue
            samples = add_sides([r[name][work, jobs] for r in rounds])
            row = {"work": work, "jobs": jobs}
            row.update((key, value) for key, value in variant.items()
                       if key not in ("name", "default", "reference"))
            row.update(summarize_row(samples, work, jobs))
            row["ratio_to_kernel"] = row["p99_ratio"] = None
            if reference and (work, jobs) in rounds[0].get(reference, ()):
                compared = compare(samples, add_sides([r[reference][work, jobs] for r in rounds]),
                                   row["ratio_of"])
                ratio = compared.pop("ratio")
                row["ratio_to_kernel" if reference == "kernel" else "ratio_to_peer"] = ratio
                row.update(compared)
                row["peer"] = reference
            row["default"] = variant["default"]
            rows.append(row)
    return rows
