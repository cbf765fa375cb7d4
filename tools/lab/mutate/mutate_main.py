#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/mutate: how many small faults, put into src/ at random, do the tests notice?"""

import argparse
import collections
import fcntl
import os
import random
import sys

import mutate_build
import mutate_coverage
import mutate_sites
import mutate_suites

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
EQUIVALENT = os.path.join(ROOT, "tools/lab/mutate/equivalent")
GOAL, FOLDER_GOAL = 85, 75
# A folder has this part of all changes at the least, so that its rate means something.
SHARE_MIN = 0.05
DESCRIPTION = """
Puts small faults into src/ at random, one after the other: a comparison turned round or moved by
one, another operator, a condition negated, another value returned, a number off by one, a statement
left out. For each it runs the unit tests that execute the place, the likeliest and quickest first,
until one fails; where none does, those of a short form of the suite vhost. What each test executes
is learnt once, by a build that counts. It prints those that nobody noticed, and the part of them
that was noticed in each folder: the goal is 85 % of all, and 75 % in each folder. What changes
nothing (the same object code, or a line of tools/lab/mutate/equivalent) does not count. All happens
in a copy, in $VIOFS_BUILD/mutate, in namespaces of its own. Exit status 1: a goal was missed.
"""


def say(text):
    print(f"tools/mutate: {text}", file=sys.stderr, flush=True)


def parse():
    parser = argparse.ArgumentParser(prog="tools/mutate", description=DESCRIPTION)
    parser.add_argument("--seed", type=int, default=1,
                        help="the same seed on the same tree chooses the same changes")
    parser.add_argument("--count", type=int, default=200,
                        help="of changes that count; 200 as it comes")
    parser.add_argument("--unit", action="store_true", help="the unit tests only")
    parser.add_argument("--part", action="store_true",
                        help="--count is for all of src/, and each PATH, a folder of it, has its "
                             "part: a run in pieces")
    parser.add_argument("--budget", type=float, default=float("inf"), metavar="SECONDS",
                        help="of tests for one change, as they take without it; no bound as it "
                             "comes")
    parser.add_argument("--again", metavar="FILE",
                        help="those that an earlier run has printed into FILE, and no others")
    parser.add_argument("path", nargs="*", metavar="PATH",
                        help="files or folders of src/; all as it comes")
    args = parser.parse_args()
    if args.count < 1:
        parser.error("--count takes a number above 0")
    if args.part and not all(os.path.dirname(os.path.relpath(path, ROOT)) == "src"
                             for path in args.path):
        parser.error("--part takes folders of src/")
    return args


def choose_files(paths, tree):
    """The C files of @paths as @tree has them, by folder of src/."""
    chosen = collections.defaultdict(list)
    wanted = [os.path.relpath(os.path.abspath(path), ROOT) for path in paths] or ["src"]
    for folder, _, names in sorted(os.walk(os.path.join(tree, "src"))):
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), tree)
            is_wanted = any(path == w or path.startswith(w + os.sep) for w in wanted)
            if name.endswith(".c") and is_wanted:
                chosen[path.split(os.sep)[1]].append(path)
    if not chosen:
        raise SystemExit(f"tools/mutate: no C file of src/ is in {' '.join(paths)}")
    return chosen


def quotas(sites, count):
    """How many of each folder: as many as it has of all, but some of each."""
    everything = sum(map(len, sites.values()))
    shares = {folder: max(len(found) / everything, SHARE_MIN) for folder, found in sites.items()}
    whole = sum(shares.values())
    numbers = {folder: max(1, int(count * share / whole)) for folder, share in shares.items()}
    # What rounding left goes to the largest.
    for folder in sorted(shares, key=shares.get, reverse=True) * count:
        if sum(numbers.values()) >= count:
            break
        numbers[folder] += 1
    return numbers


class Campaign:
    """One run: what was chosen, and what came of it."""

    def __init__(self, args, build, suites):
        self.args, self.build, self.suites = args, build, suites
        self.texts, self.seen = {}, set()
        self.tried, self.noticed = collections.Counter(), collections.Counter()
        self.kills, self.survivors, self.by_native = [], [], 0

    def sites(self):
        """By folder, in the order of chance; without those that change nothing."""
        listed = mutate_sites.read_equivalents(EQUIVALENT)
        again = mutate_sites.read_survivors(self.args.again) if self.args.again else None
        found = {}
        wanted = [] if self.args.part else self.args.path
        for folder, paths in choose_files(wanted, self.build.tree).items():
            found[folder] = []
            for path in paths:
                with open(os.path.join(self.build.tree, path), encoding="utf-8") as f:
                    self.texts[path] = f.read()
                found[folder] += mutate_sites.find(path, self.texts[path])
        every = {(site.path, site.old, site.new) for some in found.values() for site in some}
        for path, old, new in sorted(listed - every):
            if path in self.texts:
                say(f"{EQUIVALENT}: this is not in {path} any more: {old} -> {new}")
        for folder, some in found.items():
            some[:] = [site for site in some if (site.path, site.old, site.new) not in listed
                       and (again is None or (site.path, site.old, site.new) in again)]
            random.Random(f"{self.args.seed} {folder}").shuffle(some)
        return found

    def counts(self, site):
        """Whether it compiles, and is neither as before nor as another one."""
        made = self.build.compile(site.path, mutate_sites.apply(site, self.texts[site.path]))
        if made is None or (site.path, made) in self.seen:
            return False
        self.seen.add((site.path, made))
        return True

    def survives(self, site, why=""):
        self.survivors.append(site)
        print(f"{site.path}:{site.line}\n- {site.old}\n+ {site.new}\n" + why, flush=True)

    def try_one(self, folder, site):
        """Appends to the kills, or to the survivors."""
        self.tried[folder] += 1
        text = self.texts[site.path]
        column = site.start - text.rfind("\n", 0, site.start)
        tests, taking = self.suites.executing(site, site.line, column)
        killer = self.suites.killer(site.path, tests, taking)
        if killer:
            say(f"{site.path}:{site.line}: {getattr(killer, 'name', killer)}")
            self.kills.append((folder, site, killer))
        else:
            self.survives(site, "" if tests else "(no test executes it)\n")

    def settle(self):
        """Kills count where the test passes without them, still."""
        whole = {}
        for folder, site, killer in self.kills:
            if isinstance(killer, mutate_suites.Test):
                if killer not in whole:
                    whole[killer] = killer.is_whole()
                if not whole[killer]:
                    self.survives(site, f"(noticed by {killer.name}, which fails as the tree is)\n")
                    continue
                self.by_native += not killer.is_unit
            self.noticed[folder] += 1
        self.kills = []

    def learn(self, found):
        """What the tests execute."""
        names = {site.path for some in found.values() for site in some}
        entries = mutate_build.tests_of(self.suites.coverage.dir)
        learnt = [name for name, is_new in self.suites.learn(names, entries) if is_new]
        say(f"learnt what {len(learnt)} tests execute")

    def run(self):
        found = self.sites()
        if self.args.again:
            numbers = {folder: len(some) for folder, some in found.items()}
        else:
            numbers = quotas(found, self.args.count)
        if self.args.part:
            chosen = choose_files(self.args.path, self.build.tree)
            found = {folder: found[folder] for folder in chosen}
        self.learn(found)
        for folder, some in sorted(found.items(), key=lambda item: len(item[1])):
            for site in some:
                if self.tried[folder] == numbers[folder]:
                    break
                self.build.forget_programs()
                if self.counts(site):
                    self.try_one(folder, site)
            self.settle()
            if some:
                say(f"{folder}: {self.noticed[folder]} of {self.tried[folder]} noticed")
        for test in self.suites.failing:
            say(f"the test {test.name} fails as the tree is, and was left out")

    def report(self):
        """The table; whether the goals are reached."""
        tried, noticed = sum(self.tried.values()), sum(self.noticed.values())
        print(f"seed {self.args.seed}: {noticed} of {tried} noticed, "
              f"{self.by_native} of them by the suite vhost alone")
        reached = 100 * noticed >= GOAL * tried
        for folder in sorted(self.tried):
            rate = 100 * self.noticed[folder] / max(self.tried[folder], 1)
            reached = reached and rate >= FOLDER_GOAL
            print(f"  {folder:8} {self.noticed[folder]:4} of {self.tried[folder]:4}  {rate:5.1f} %")
        print(f"  {'all':8} {noticed:4} of {tried:4}  {100 * noticed / max(tried, 1):5.1f} %")
        return reached


def lock_work(work):
    """The directory is one run's: a descriptor that holds the lock."""
    os.makedirs(work, exist_ok=True)
    lock = os.open(os.path.join(work, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"tools/mutate: another run is at work in {work}") from None
    return lock


def main():
    args = parse()
    if os.getpid() != 1:
        raise SystemExit("this is started by tools/mutate, as the first process of its namespace")
    work = os.path.join(os.environ.get("VIOFS_BUILD") or os.path.join(ROOT, "build"), "mutate")
    build = mutate_build.Build(ROOT, os.path.abspath(work))
    coverage = mutate_coverage.Coverage(build.tree, os.path.abspath(work))
    suites = mutate_suites.Suites(build, coverage, not args.unit, args.budget)
    choose_files(args.path, ROOT)
    lock = lock_work(work)
    say(f"building a copy of the tree in {work}")
    try:
        coverage.prepare(build.prepare(suites.choose))
    except mutate_build.BuildError as error:
        raise SystemExit(f"tools/mutate: {error}") from None
    os.environ["CCACHE_DISABLE"] = "1"
    campaign = Campaign(args, build, suites)
    campaign.run()
    os.close(lock)
    return 0 if campaign.report() else 1


if __name__ == "__main__":
    sys.exit(main())
