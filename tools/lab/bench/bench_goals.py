# SPDX-License-Identifier: GPL-2.0-or-later
"""What the figures are wanted to be, and whether they are."""

MIB = ("read1m_direct", "write1m_direct", "read1m_buffered", "write1m_buffered")
SMALL = ("statx", "read4k", "write4k")
LATENCY = SMALL + ("open_close", "create_unlink")


class Goals:
    """A list of what is wanted: more is better in all of it."""

    def __init__(self, rows):
        self.rows = rows
        self.found = []

    def want(self, works, jobs, figure, least, aim, what, **match):
        for row in self.rows:
            if row["work"] not in works or row["jobs"] not in jobs:
                continue
            if any(row.get(key) != value for key,
                   value in match.items()) or row.get(figure) is None:
                continue
            name = " ".join(str(part) for part in (row.get("backend"), row["channel"], row["poll"])
                            if part)
            self.found.append({"work": row["work"], "jobs": row["jobs"], "of": name, "what": what,
                               "have": row[figure],
                               "least": least, "aim": aim, "met": row[figure] >= least})


def guest(result):
    """Ratios to the kernel's driver."""
    goals = Goals(result["rows"])

    def want(works, jobs, least, aim, figure="ratio_to_kernel", what="ratio", **match):
        goals.want(works, jobs, figure, least, aim, what, driver="viofs",
                   **(match or {"default": True}))

    want(SMALL, (1,), 2.0, 4.0)
    want(("open_close", "create_unlink"), (1,), 2.2, 4.0)
    want(("readdir",), (1,), 1.3, 2.0)
    want(("read4k", "write4k"), (4, 16), 1.1, 1.5)
    want(LATENCY, (1,), 2.0, 4.0, "p99_ratio", "p99 ratio")
    want(MIB, (1,), 0.6, 1.0)
    want(("statx_after_10ms",), (1,), 1.0, 2.0)
    want(LATENCY, (1,), 0.6, 1.0, poll="irq")
    return goals.found


def native(result):
    """Ratios to libfuse's passthrough_hp and null, on the same channel."""
    goals = Goals(result["rows"])
    relayed = {"driver": "viofs", "backend": "virtiofsd", "poll": "adaptive"}
    goals.want(MIB, (1,), "ratio_to_peer", 0.8, 1.0, "ratio", **relayed)
    goals.want(SMALL, (1,), "ratio_to_peer", 0.7, 0.7, "ratio", channel="dev", **relayed)
    goals.want(SMALL, (1,), "ratio_to_peer", 0.4, 0.7, "ratio", channel="uring", **relayed)
    goals.want(SMALL + MIB, (1, 4, 16), "relay_ratio", round(1 / 1.3, 3), 1.0,
               "CPU of worker and kernel",
               driver="viofs", backend="null-device", poll="adaptive", per_cpu=None)
    return goals.found
