# SPDX-License-Identifier: GPL-2.0-or-later
"""Where tools/mutate finds something to change in a C file, what it makes of it, and what counts as
noticed."""

import argparse
import contextlib
import glob
import io
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import mutate_build  # noqa: E402
import mutate_coverage  # noqa: E402
import mutate_main  # noqa: E402
import mutate_sites  # noqa: E402
import mutate_suites  # noqa: E402


def changes(*lines):
    """The lines that may come of a function with these."""
    text = "int f(int a)\n{\n" + "".join(f"\t{line}\n" for line in lines) + "}\n"
    return {site.new for site in mutate_sites.find("f.c", text)}


class Sites(unittest.TestCase):
    def test_comparisons_are_turned_round_and_moved_by_one(self):
        self.assertLessEqual({"if (a >= b)", "if (a <= b)", "if (!(a < b))"},
                             changes("if (a < b)", "\tg();"))

    def test_a_pointer_is_no_product(self):
        self.assertEqual(changes("char *p, **q;", "int c = *p;"), set())
        self.assertIn("int c = a / b;", changes("int c = a * b;"))

    def test_statements_are_left_out_and_declarations_stay(self):
        self.assertIn(";", changes("g(a);"))
        self.assertIn(";", changes("a = g(3,", "\t  4);"))
        self.assertEqual(changes("struct x *p;", "size_t n;", "assert(a == 1);"), set())

    def test_a_block_is_no_statement(self):
        self.assertEqual(changes("for_each(a) {", "}"), set())

    def test_values_that_are_returned(self):
        self.assertLessEqual({"return 0;", "return a + 2;", "return a - 1;"},
                             changes("return a + 1;"))
        self.assertLessEqual({"return -1;", "return 1;"}, changes("return 0;"))
        self.assertEqual(changes("return true;"), {"return false;"})

    def test_numbers_keep_their_base_and_suffix(self):
        self.assertLessEqual({"a = 0601;", "a = 0577;"}, changes("a = 0600;"))
        self.assertIn("a = 0x100U;", changes("a = 0xffU;"))
        self.assertEqual(changes("char buf[64], more[80];"), set())
        self.assertIn("a[4] = b;", changes("a[3] = b;"))

    def test_words_in_strings_and_comments_stay(self):
        self.assertEqual(changes("/* a == 1 */", 'char *s = "a == 1";', "// a < 2"), set())

    def test_nothing_outside_of_functions(self):
        self.assertEqual(mutate_sites.find("f.c", "static int x[] = {\n\t1 + 2,\n};\n"), [])

    def test_the_number_of_lines_stays(self):
        root = os.path.join(HERE, "../../../src")
        for path in glob.glob(os.path.join(root, "*/*.c")):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            for site in mutate_sites.find(path, text):
                changed = mutate_sites.apply(site, text)
                self.assertNotEqual(changed, text)
                self.assertEqual(changed.count("\n"), text.count("\n"), site)
                self.assertNotIn("", (site.old, site.new), site)


class Objects(unittest.TestCase):
    """What is linked is the changed file, also after a look at how it was."""

    def setUp(self):
        self.work = tempfile.TemporaryDirectory()
        self.build = mutate_build.Build(HERE, self.work.name)
        for path in (self.build.broken, self.build.dir, os.path.join(self.build.tree, "src")):
            os.makedirs(path)
        with open(os.path.join(self.build.tree, "src/f.c"), "w", encoding="utf-8") as f:
            f.write("int f(void)\n{\n\treturn 1;\n}\n")
        self.build.compiles["src/f.c"] = (["cc", "-O1"], "f.o")

    def tearDown(self):
        self.work.cleanup()

    def test_the_changed_object_is_the_one_that_is_there(self):
        made = self.build.compile("src/f.c", "int f(void)\n{\n\treturn 2;\n}\n")
        with open(os.path.join(self.build.broken, "f.c.o"), "rb") as f:
            self.assertEqual(f.read(), made)

    def test_a_file_is_compiled_as_for_the_programs_and_not_as_for_their_sanitized_likes(self):
        for output in ("src/f.p/f.c.o", "tests/f-sanitized.p/f.c.o"):
            self.build._learn_compile({"file": os.path.join(self.build.tree, "src/f.c"),
                                       "output": output,
                                       "command": f"ccache cc -O1 -o {output} -c src/f.c"})
        self.assertEqual(self.build.compiles["src/f.c"], (["cc", "-O1", "-w"], "src/f.p/f.c.o"))

    def test_what_compiles_to_the_same_or_not_at_all_does_not_count(self):
        self.assertIsNone(self.build.compile("src/f.c", "int f(void)\n{\n\treturn 2 - 1;\n}\n"))
        self.assertIsNone(self.build.compile("src/f.c", "int f(void)\n{\n\treturn x;\n}\n"))


class Survivors(unittest.TestCase):
    def test_what_a_run_has_printed_is_read_back(self):
        with tempfile.NamedTemporaryFile("w", suffix=".out") as f:
            f.write("src/a/b.c:12\n- x = 1;\n+ x = 2;\n\nsrc/a/b.c:13\n- if (a)\n+ if (!(a))\n\n"
                    "seed 1: 1 of 3 noticed\n")
            f.flush()
            self.assertEqual(mutate_sites.read_survivors(f.name),
                             {("src/a/b.c", "x = 1;", "x = 2;"),
                              ("src/a/b.c", "if (a)", "if (!(a))")})


class Kills(unittest.TestCase):
    """What counts as noticed: a test fails twice with what was broken, and passes without, then and
    at the end."""

    def made(self, *failing):
        """A test whose runs fail in turn: "" stands for a run that passes."""
        test = object.__new__(mutate_suites.Test)
        test.name, test.key, test.is_unit, test.given = "a_test", "a", True, []
        test.is_known_whole = False
        test.programs = lambda: []
        test.tried, test.noticed = {}, {}
        runs = iter(failing)

        def fails(broken=(), is_patient=False):
            test.given.append((bool(broken), is_patient))
            return next(runs)

        test.fails = fails
        return test

    def notices(self, *failing):
        return self.made(*failing).notices({"a": "b"})

    def test_a_failure_is_seen_again(self):
        self.assertTrue(self.notices("failed", "failed"))
        self.assertTrue(self.notices("late", "late"))

    def test_failing_once_is_no_kill(self):
        self.assertFalse(self.notices(""))
        self.assertFalse(self.notices("failed", ""))
        self.assertFalse(self.notices("late", ""))

    def test_the_second_run_has_time_in_plenty(self):
        test = self.made("late", "late")
        test.notices({"a": "b"})
        self.assertEqual(test.given, [(True, False), (True, True)])

    @staticmethod
    def suites(budget=float("inf")):
        """Of tests that take a second each."""
        coverage = argparse.Namespace(seconds=lambda key: 1)
        return mutate_suites.Suites(None, coverage, True, budget)

    def test_no_more_tests_than_there_is_time_for(self):
        tests = [self.made(""), self.made(""), self.made("failed", "failed", "")]
        self.assertIsNone(self.suites(2).killer("src/a/b.c", tests, {}))
        tests = [self.made(""), self.made(""), self.made("failed", "failed", "")]
        self.assertEqual(self.suites(3).killer("src/a/b.c", tests, {}), tests[2])
        tests = [self.made("failed", "failed", "")]
        self.assertEqual(self.suites(0.5).killer("src/a/b.c", tests, {}), tests[0])

    def test_what_fails_as_the_tree_is_finds_nothing(self):
        test = self.made(*["failed"] * 4)
        suites = self.suites()
        self.assertIsNone(suites.killer("src/a/b.c", [test], {}))
        self.assertEqual(suites.failing, [test])

    def test_whether_a_test_passes_as_the_tree_is_is_asked_where_it_first_failed(self):
        test = self.made("", "failed", "failed", "", "failed", "failed")
        suites = self.suites()
        found = [suites.killer("src/a/b.c", [test], {}) for _ in range(3)]
        self.assertEqual(found, [None, test, test])

    def test_what_is_skipped_is_no_failure(self):
        lines = [b"ok 1 - a", b"not ok 2 - b", b"not ok 11 # SKIP c", b"ok 3 # skip d",
                 b"Bail out!"]
        self.assertEqual([mutate_suites._is_bad(line) for line in lines],
                         [False, True, False, False, True])

    def campaign(self, test):
        args = argparse.Namespace(seed=1)
        campaign = mutate_main.Campaign(args, None, None)
        campaign.kills = [("a", mutate_sites.Site("src/a/b.c", 1, 0, 1, "", "x", "y"), test)]
        campaign.tried["a"] = 1
        with contextlib.redirect_stdout(io.StringIO()) as out:
            campaign.settle()
        return campaign, out.getvalue()

    def test_a_kill_counts_where_the_test_still_passes_without_it(self):
        campaign, out = self.campaign(self.made("failed", ""))
        self.assertEqual((campaign.noticed["a"], out), (1, ""))

    def test_a_kill_by_what_fails_anyway_by_now_is_none(self):
        campaign, out = self.campaign(self.made("failed", "failed"))
        self.assertEqual(campaign.noticed["a"], 0)
        self.assertTrue(out.startswith("src/a/b.c:1\n- x\n+ y\n(noticed by a_test"), out)

    def test_likely_means_by_what_it_executes_by_name_and_then_by_what_was_noticed(self):
        test, name = self.made(), "src/relay/lanes.c"
        test.name = "relay_lanes"
        others, much, own = (test.chance("src/relay/pump.c", 0.1),
                             test.chance("src/relay/pump.c", 0.5),
                             test.chance(name, 0.5))
        self.assertLess(others, much)
        self.assertLess(much, own)
        test.tried[name] = 9
        self.assertLess(test.chance(name, 0.5), others)
        test.noticed[name] = 9
        self.assertGreater(test.chance(name, 0.5), own)


class Executed(unittest.TestCase):
    """What tests execute, by clang's counters."""

    SOURCE = r"""
        #include <signal.h>
        #include <sys/wait.h>
        #include <unistd.h>
        static int f(int a, int b)
        {
                if (a && b)
                        return 1;
                return 2;
        }
        int main(void)
        {
                if (fork())
                        _exit(wait(NULL) < 0);
                if (f(1, 0) == 2)
                        kill(getpid(), SIGKILL);
                return 0;
        }
    """

    def setUp(self):
        self.work = tempfile.TemporaryDirectory()
        self.tree = os.path.join(self.work.name, "tree")
        self.coverage = mutate_coverage.Coverage(self.tree, self.work.name)
        self.addCleanup(self.work.cleanup)

    def test_places_between_two_segments(self):
        counts = mutate_coverage.Counts([[2, 1, 5, True], [3, 4, 0, True], [4, 1, 0, False]])
        self.assertEqual([counts.has(*place) for place in [(1, 9), (2, 1), (3, 3), (3, 4), (3, 80),
                                                           (4, 2)]],
                         [True, True, True, False, False, True])

    def test_what_is_not_known_is_taken_for_executed(self):
        self.coverage.learnt["t"] = {"files": None}
        self.assertTrue(self.coverage.executes("t", "src/a.c", 1, 1))
        self.coverage.learnt["u"] = {"files": {}}
        self.assertFalse(self.coverage.executes("u", "src/a.c", 1, 1))

    def test_the_part_of_a_folder_in_what_is_executed(self):
        self.coverage.learnt["t"] = {"files": {
            "src/a/x.c": [[1, 1, 5, True], [2, 1, 0, True]], "src/a/y.c": [[1, 1, 1, True]],
            "src/b/z.c": [[1, 1, 1, True], [2, 1, 0, True], [3, 1, 9, True]]}}
        shares = [self.coverage.share("t", folder) for folder in "abc"]
        self.assertEqual(shares, [0.5, 0.5, 0])

    @unittest.skipUnless(shutil.which("clang") and shutil.which("llvm-cov"),
                         "clang and llvm are not there")
    def test_a_child_that_is_killed_counts_and_a_test_is_run_again_only_where_it_changed(self):
        os.makedirs(os.path.join(self.tree, "src"))
        source, program = os.path.join(self.tree, "src/a.c"), os.path.join(self.work.name, "a")
        with open(source, "w", encoding="utf-8") as f:
            f.write(textwrap.dedent(self.SOURCE))
        flags = mutate_coverage.FLAGS.format(os.path.join(self.coverage.raw,
                                                          "%m%c.profraw")).split()

        class Test:
            key, command, env, runs = "a", [program], {}, 0

            def programs(self):
                return [program]

            def timed(self):
                self.runs += 1
                subprocess.run([program], check=True)
                return "", 0.3

        test = Test()
        subprocess.run(["clang", "-g"] + flags + [source, "-o", program], check=True)
        self.assertTrue(self.coverage.learn(test))
        self.assertFalse(self.coverage.learn(test))
        self.assertEqual(test.runs, 1)
        self.assertEqual([self.coverage.executes("a", "src/a.c", *place)
                          for place in [(7, 15), (8, 17), (9, 9), (16, 17)]],
                         [True, False, True, True])
        subprocess.run(["clang", "-O2"] + flags + [source, "-o", program], check=True)
        self.assertTrue(self.coverage.learn(test))


class Runs(unittest.TestCase):
    def test_a_directory_is_one_runs(self):
        with tempfile.TemporaryDirectory() as work:
            lock = mutate_main.lock_work(work)
            with self.assertRaises(SystemExit):
                mutate_main.lock_work(work)
            os.close(lock)
            os.close(mutate_main.lock_work(work))


class Numbers(unittest.TestCase):
    def test_each_folder_has_its_part_and_some_at_the_least(self):
        numbers = mutate_main.quotas({"large": range(900), "small": range(10)}, 100)
        self.assertEqual(sum(numbers.values()), 100)
        self.assertGreaterEqual(numbers["small"], 4)


class Equivalents(unittest.TestCase):
    def read(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".list") as f:
            f.write(text)
            f.flush()
            return mutate_sites.read_equivalents(f.name)

    def test_an_entry_has_a_reason(self):
        self.assertEqual(self.read("# words\nsrc/a.c\n- x = 1;\n+ x = 2;\nNobody reads it.\n"),
                         {("src/a.c", "x = 1;", "x = 2;")})
        with self.assertRaises(ValueError):
            self.read("src/a.c\n- x = 1;\n+ x = 2;\n")

    def test_the_list_of_the_tree_is_well_formed(self):
        mutate_sites.read_equivalents(os.path.join(HERE, "equivalent"))


if __name__ == "__main__":
    unittest.main()
