# SPDX-License-Identifier: GPL-2.0-or-later
"""What tools/bench computes and draws, on made-up rows; needs no guest."""

import os
import sys
import unittest
from xml.dom import minidom

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/lib"))

import bench_report  # noqa: E402
import bench_stats  # noqa: E402

VARIANTS = [
    {"name": "kernel", "driver": "kernel", "channel": None, "poll": None, "default": False, "reference": "kernel"},
    {"name": "default", "driver": "viofs", "channel": "dev", "poll": "adaptive", "default": True,
     "reference": "kernel"},
]


def sample(median_us, ops_per_s=1000.0):
    return {"median_us": median_us, "p99_us": 2 * median_us, "p999_us": 3 * median_us, "cpu_us": median_us / 2,
            "callers_us": 5.0,            "ops_per_s": ops_per_s, "ops": 100}


def made_up_rounds():
    kernel = [(200.0, 100), (220.0, 100), (210.0, 100)]
    ours = [(100.0, 50), (100.0, 60), (70.0, 200)]
    return [{"kernel": {("statx", 1): sample(*k), ("read1m_direct", 1): sample(*k)},
             "default": {("statx", 1): sample(*o), ("read1m_direct", 1): sample(*o)}}
            for k, o in zip(kernel, ours)]


class Stats(unittest.TestCase):
    def setUp(self):
        self.rows = bench_stats.summarize(made_up_rounds(), VARIANTS)

    def row(self, work, driver):
        return next(r for r in self.rows if r["work"] == work and r["driver"] == driver)

    def test_ratio_is_the_median_of_the_rounds_ratios(self):
        row = self.row("statx", "viofs")
        self.assertEqual(row["ratio_to_kernel"], 2.2)
        self.assertEqual((row["ratio_min"], row["ratio_max"]), (2.0, 3.0))
        self.assertEqual(row["p99_ratio"], 2.2)

    def test_median_and_spread_are_over_the_rounds(self):
        row = self.row("statx", "viofs")
        self.assertEqual(row["median_us"], 100.0)
        self.assertEqual(row["spread"], 0.3)
        self.assertEqual(row["rounds"], 3)

    def test_streaming_compares_throughput(self):
        row = self.row("read1m_direct", "viofs")
        self.assertEqual(row["ratio_of"], "ops_per_s")
        self.assertEqual(row["ratio_to_kernel"], 0.6)

    def test_many_jobs_compare_throughput(self):
        self.assertEqual(bench_stats.ratio_of("read4k", 16), "ops_per_s")
        self.assertEqual(bench_stats.ratio_of("read4k", 1), "median_us")

    def test_kernel_rows_have_ratio_one_and_are_no_default(self):
        row = self.row("statx", "kernel")
        self.assertEqual(row["ratio_to_kernel"], 1.0)
        self.assertFalse(row["default"])
        self.assertIsNone(row["poll"])

    def test_cpu_time_too_little_to_be_seen_gives_no_ratio(self):
        rounds = made_up_rounds()
        for measured in rounds:
            measured["default"]["statx", 1]["cpu_us"] = 0
        row = bench_stats.summarize(rounds, VARIANTS)[1]
        self.assertIsNone(row["cpu_ratio"])

    def test_the_table_has_a_line_for_each_row(self):
        lines = bench_report.table(self.rows).splitlines()
        self.assertEqual(len(lines), 2 + len(self.rows))
        self.assertIn("viofs dev adaptive", lines[3])

    def test_the_chart_is_xml_with_a_bar_for_each_of_our_rows(self):
        svg = minidom.parseString(bench_report.chart(self.rows, "a < b", "times"))
        bars = [r for r in svg.getElementsByTagName("rect") if r.getAttribute("height") == str(bench_report.BAR - 2)]
        self.assertEqual(len(bars), 2)
        self.assertEqual(svg.getElementsByTagName("title")[0].firstChild.data, "a < b")


if __name__ == "__main__":
    unittest.main()
