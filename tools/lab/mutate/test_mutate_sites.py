# SPDX-License-Identifier: GPL-2.0-or-later
"""Where tools/mutate finds something to change in a C file, what it makes of it, and what counts as noticed."""

import glob
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import mutate_build  # noqa: E402
import mutate_sites  # noqa: E402
import mutate_suites  # noqa: E402


def changes(*lines):
    """The lines that may come of a function with these."""
    text = "int f(int a)\n{\n" + "".join(f"\t{line}\n" for line in lines) + "}\n"
    return {site.new for site in mutate_sites.find("f.c", text)}


class Sites(unittest.TestCase):
    def test_comparisons_are_turned_round_and_moved_by_one(self):
        self.assertLessEqual({"if (a >= b)", "if (a <= b)", "if (!(a < b))"}, changes("if (a < b)", "\tg();"))

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
        self.assertLessEqual({"return 0;", "return a + 2;", "return a - 1;"}, changes("return a + 1;"))
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
            self.build._learn_compile({"file": os.path.join(self.build.tree, "src/f.c"), "output": output,
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
                             {("src/a/b.c", "x = 1;", "x = 2;"), ("src/a/b.c", "if (a)", "if (!(a))")})


class Kills(unittest.TestCase):
    """What counts as noticed: a test fails twice with what was broken, and not without."""

    def notices(self, *failing):
        """@failing: whether each run in turn fails."""
        test = object.__new__(mutate_suites.Test)
        runs = iter(failing)
        test.is_failing = lambda broken=(), is_patient=False: next(runs)
        return test.notices({"a": "b"})

    def test_a_failure_is_seen_again_with_more_time_and_not_without_the_fault(self):
        self.assertTrue(self.notices(True, True, False))

    def test_late_once_or_failing_anyway_is_no_kill(self):
        self.assertFalse(self.notices(False))
        self.assertFalse(self.notices(True, False))
        self.assertFalse(self.notices(True, True, True))

    def test_the_second_run_has_time_in_plenty(self):
        test = object.__new__(mutate_suites.Test)
        test.build, test.command, test.env, test.seconds = mutate_build.Build(HERE, HERE), ["true"], {}, 3
        given = []
        run, mutate_suites.run = mutate_suites.run, lambda command, seconds, *rest: given.append(seconds) or True
        try:
            test.notices({})
        finally:
            mutate_suites.run = run
        self.assertEqual(given, [3, 3 * mutate_suites.HANGING, 3 * mutate_suites.HANGING])


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
