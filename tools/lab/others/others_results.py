# SPDX-License-Identifier: GPL-2.0-or-later
"""What others' test suites print, as results by name; and a table against the list of known
differences."""

import collections
import re

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
TAP = re.compile(r"^(not )?ok\b\s*(\d+)?(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)")
NAME = re.compile(r"\b[a-z0-9_-]+/\d{3,4}\b")


def read_tap(name, text):
    """One program's output in TAP: {"NAME:NUMBER": result}. A plan that isn't kept is a failure of
    its own."""
    results, planned, count = {}, None, 0
    for line in text.splitlines():
        plan, case = PLAN.match(line), TAP.match(line)
        if plan and planned is None:
            planned = int(plan.group(1))
        if not case:
            continue
        count += 1
        rest = case.group(3).upper()
        left_out = "# SKIP" in rest or "# TODO" in rest
        result = NOT_RUN if left_out else FAILED if case.group(1) else PASSED
        results[f"{name}:{case.group(2) or count}"] = result
    if planned is None or planned != count:
        results[f"{name}:plan"] = FAILED
    return results


def read_check(text):
    """xfstests' summary: lines that begin with Ran:, Not run: and Failures:. None: it has not come
    to its end."""
    lists = collections.defaultdict(list)
    for line in text.splitlines():
        word, colon, names = line.partition(":")
        if colon and word in ("Ran", "Not run", "Failures"):
            lists[word] += NAME.findall(names)
    if not lists["Ran"]:
        return None
    results = dict.fromkeys(lists["Ran"], PASSED)
    results.update(dict.fromkeys(lists["Not run"], NOT_RUN))
    results.update(dict.fromkeys(lists["Failures"], FAILED))
    return results


def read_known(path):
    """The list: {(suite, test): reason}."""
    known = {}
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            words = line.split("#")[0].split(None, 2)
            if not words:
                continue
            if len(words) < 3:
                raise ValueError(f"{path}:{number}: a line has a suite, a test and a reason")
            known[words[0], words[1]] = words[2].strip()
    return known


def compare(suite, results, known):
    """(names that fail and are not known to, names that are known to fail and pass)."""
    new = [name for name, result in results.items() if result == FAILED
           and (suite, name) not in known]
    mended = [name for name, result in results.items() if result == PASSED
              and (suite, name) in known]
    return sorted(new), sorted(mended)


def table(all_results, known):
    """Lines to print, and whether nothing new fails."""
    lines, good = [f"{'suite':12}{'passed':>8}{'failed':>8}{'known':>8}{'not run':>9}"], True
    for suite, results in all_results.items():
        count = collections.Counter(results.values())
        new, mended = compare(suite, results, known)
        lines.append(f"{suite:12}{count[PASSED]:8}{count[FAILED]:8}{count[FAILED] - len(new):8}"
                     f"{count[NOT_RUN]:9}")
        lines += [f"  new: {suite} {name}" for name in new]
        lines += [f"  known, but it passes: {suite} {name} ({known[suite, name]})"
                  for name in mended]
        good = good and not new and count[PASSED] > 0
    return lines, good
