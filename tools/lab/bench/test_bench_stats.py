# SPDX-License-Identifier: GPL-2.0-or-later
"""What tools/bench computes and draws, on made-up rows; needs no guest."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from xml.dom import minidom

sys.dont_write_bytecode = True
LIB = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, LIB)

import bench_goals  # noqa: E402
import bench_plot  # noqa: E402
import bench_profile  # noqa: E402
import bench_report  # noqa: E402
import bench_stats  # noqa: E402

VARIANTS = [
    {"name": "kernel", "driver": "kernel", "channel": None, "poll": None, "default": False,
     "reference": "kernel"},
    {"name": "default", "driver": "viofs", "channel": "dev", "poll": "adaptive", "default": True,
     "reference": "kernel"},
]


def sample(median_us, ops_per_s=1000.0):
    return {"median_us": median_us, "p99_us": 2 * median_us, "p999_us": 3 * median_us,
            "cpu_us": median_us / 2,
            "callers_us": 5.0,            "ops_per_s": ops_per_s, "ops": 100}


def made_up_rounds():
    kernel = [(200.0, 100), (220.0, 100), (210.0, 100)]
    ours = [(100.0, 50), (100.0, 60), (70.0, 200)]
    return [{"kernel": {("statx", 1): sample(*k), ("read1m_direct", 1): sample(*k)},
             "default": {("statx", 1): sample(*o), ("read1m_direct", 1): sample(*o)}}
            for k, o in zip(kernel, ours)]


def watched(median_us, server_us, cpus):
    """A sample of a row whose server was watched."""
    sides = {"callers": {"cpu_us": 5.0, "seen_on": {"0": 10}},
             "server": {"cpu_us": server_us, "seen_on": cpus}}
    return dict(sample(median_us), sides=sides)


class Peers(unittest.TestCase):
    """Natively it is compared with whatever server has the same channel."""

    VARIANTS = [
        {"name": "virtiofsd", "driver": "viofs", "backend": "virtiofsd", "channel": "dev",
         "poll": "adaptive",
         "default": True, "reference": "passthrough_hp:dev"},
        {"name": "passthrough_hp:dev", "driver": "passthrough_hp", "backend": None,
         "channel": "dev", "poll": None,
         "default": False},
        {"name": "null:dev", "driver": "null", "backend": None, "channel": "dev", "poll": None,
         "default": False},
    ]

    def setUp(self):
        rounds = [{"virtiofsd": {("statx", 1): watched(10.0, 15.0, {"0": 1, "1": 3}),
                                 ("readdir", 1): watched(9.0, 1.0, {})},
                   "passthrough_hp:dev": {("statx", 1): watched(8.0, 5.0, {"1": 2})},
                   "null:dev": {("statx", 1): watched(4.0, 5.0, {"1": 2})}}]
        self.rows = bench_stats.summarize(rounds, self.VARIANTS)

    def test_the_ratio_is_to_the_peer_and_not_to_the_kernel(self):
        row = self.rows[0]
        self.assertIsNone(row["ratio_to_kernel"])
        self.assertEqual((row["ratio_to_peer"], row["peer"]), (0.8, "passthrough_hp:dev"))

    def test_relaying_costs_the_server_and_the_callers(self):
        row = self.rows[0]
        self.assertEqual((row["server_us"], row["relay_us"]), (15.0, 20.0))
        self.assertEqual(row["relay_ratio"], 0.5)

    def test_where_a_side_ran_is_a_share_of_the_looks(self):
        self.assertEqual(self.rows[0]["ran_on"]["server"], {"0": 0.25, "1": 0.75})

    def test_a_row_that_its_peer_has_not_has_no_ratio(self):
        row = next(r for r in self.rows if r["work"] == "readdir")
        self.assertNotIn("ratio_to_peer", row)
        self.assertIsNone(row["p99_ratio"])

    def test_the_goals_name_what_is_missed(self):
        goals = bench_goals.native({"rows": self.rows})
        self.assertEqual([(g["work"], g["have"], g["met"]) for g in goals], [("statx", 0.8, True)])

    def test_the_table_has_the_sides_too(self):
        self.assertIn("callers 0, server 0+1", bench_report.table(self.rows))


class Documents(unittest.TestCase):
    def test_a_block_is_replaced_and_what_is_around_it_is_not(self):
        result = {"rows": bench_stats.summarize(made_up_rounds(), VARIANTS),
                  "conditions": {"host_cpus": 2},
                  "goals": []}
        with tempfile.TemporaryDirectory() as folder:
            document = os.path.join(folder, "performance.md")
            with open(document, "w", encoding="utf-8") as text:
                text.write("above\n<!-- bench: guest rows -->\nold\n<!-- bench: end -->\nbetween\n"
                           "<!-- bench: native rows -->\nkept\n<!-- bench: end -->\n")
            with open(os.path.join(folder, "guest.json"), "w", encoding="utf-8") as rows:
                json.dump(result, rows)
            subprocess.run([sys.executable, "-B", os.path.join(LIB, "bench_docs.py"), folder,
                            folder], check=True)
            with open(document, encoding="utf-8") as text:
                new = text.read()
            self.assertTrue(os.path.exists(os.path.join(folder, "performance", "guest.svg")))
            with open(os.path.join(folder, "performance", "guest.json"), encoding="utf-8") as rows:
                self.assertEqual(json.load(rows), result)
        self.assertNotIn("old", new)
        self.assertRegex(new, r"\| work \| jobs \| kernel \|.*\n.*\n\| statx \| 1 \| [0-9.]+ \| "
                              r"[0-9.]+ \([0-9.]+\)")
        self.assertTrue(new.startswith("above\n") and "between\n" in new and "kept\n" in new)


class Plots(unittest.TestCase):
    def test_the_values_are_within_the_ticks(self):
        for low, high in ((3, 7), (1, 1), (0.2, 90000), (50, 2000)):
            ticks = bench_plot.ticks(low, high)
            self.assertLessEqual(ticks[0], low)
            self.assertGreaterEqual(ticks[-1], high)

    def test_a_page_is_xml_with_a_line_for_each_label(self):
        lines = {"a": [(0, 5, 4, 6), (10, 50, 40, 60)], "b": [(10, 500, 500, 500)]}
        page = minidom.parseString(bench_plot.page("a < b", [[bench_plot.Panel("t", "x", lines)]]))
        self.assertEqual(len(page.getElementsByTagName("polyline")), 2)


class Profiles(unittest.TestCase):
    def test_straces_table_is_read_with_and_without_errors(self):
        with tempfile.NamedTemporaryFile("w+", encoding="utf-8") as table:
            table.write("% time     seconds  usecs/call     calls    errors syscall\n"
                        "------ ----------- ----------- --------- --------- ----------------\n"
                        " 60.00    0.000600           1       300       100 readv\n"
                        " 40.00    0.000400           1       200           writev\n"
                        "100.00    0.001000           1       500       100 total\n")
            table.flush()
            self.assertEqual(bench_profile.strace_table(table.name),
                             {"readv": (300, 100), "writev": (200, 0)})

    def test_a_source_files_name_does_not_depend_on_where_the_tree_is(self):
        for path in ("/src/viofs/build/profile/../../src/relay/serve.c",
                     "build/profile/../../src/relay/serve.c"):
            self.assertEqual(bench_profile.path_in_source(path), "relay/serve.c")
        self.assertEqual(bench_profile.path_in_source("./misc/../sysdeps/unix/readv.c"), "readv.c")


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
        bars = [r for r in svg.getElementsByTagName("rect") if r.getAttribute("height")
                == str(bench_report.BAR - 2)]
        self.assertEqual(len(bars), 2)
        self.assertEqual(svg.getElementsByTagName("title")[0].firstChild.data, "a < b")


if __name__ == "__main__":
    unittest.main()
