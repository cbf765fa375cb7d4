#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`viofsctl metrics`: text that Prometheus takes, and numbers that are those of status."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

from vhostlib import CTL, Session, check, must, named, need_root, run, run_cases

FETCHED = os.path.join(os.environ["VIOFS_DOWNLOAD"], "bookworm/prometheus/usr/bin/promtool")
PROMTOOL = FETCHED if os.path.exists(FETCHED) else shutil.which("promtool")
DASHBOARD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs",
                         "grafana-dashboard.json")
SAMPLE = re.compile(r'^([a-z_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} (\S+)$')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')


def unescaped(text):
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)


def parsed(text):
    """[(name, labels, value)], and {family: type} in the order of the text."""
    samples, types = [], {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            check(name not in types, f"{name} comes twice")
            types[name] = kind
        elif not line.startswith("# "):
            match = SAMPLE.match(line)
            check(match, f"no sample: {line}")
            labels = {name: unescaped(value) for name, value in LABEL.findall(match[2])}
            samples.append((match[1], labels, float(match[3])))
    return samples, types


def value(samples, name, **labels):
    found = [v for n, had, v in samples if n == name and labels.items() <= had.items()]
    check(len(found) == 1, f"{name} {labels}: {found}")
    return found[0]


def use(s):
    with open(s.path("file"), "wb") as f:
        f.write(b"x" * 100000)
    check(not os.path.exists(s.path("none")), "there is such a file")


def numbers_are_those_of_status():
    with Session() as s:
        s.mnt = os.path.join(s.work, 'a "b" c\\d')
        os.mkdir(s.mnt)
        s.mount()
        use(s)
        samples, types = parsed(must([CTL, "metrics", s.mnt]))
        status = json.loads(must([CTL, "status", "--json", s.mnt]))
        check(samples and all(labels["mount"] for _, labels, _ in samples), samples)
        check({labels["mount"].replace("\\\\", "\\") for _, labels, _ in samples} == {s.mnt},
              samples[0])
        check(value(samples, "virtiofs_vfio_replies_total") == status["counts"]["replies"],
              "replies")
        check(value(samples, "virtiofs_vfio_written_bytes_total")
              == status["counts"]["bytes_written"] == 100000, "written")
        check(value(samples, "virtiofs_vfio_queue_requests_total", queue="1")
              == status["queues"][1]["requests"], "queue 1")
        check(types["virtiofs_vfio_replies_total"] == "counter", types)
        check(types["virtiofs_vfio_request_duration_seconds"] == "histogram", types)
        check(all(any(name.startswith(family) for name, _, _ in samples) for family in types),
              types)
        s.umount()


def histograms_are_cumulative_and_end_with_all():
    with Session().mount() as s:
        use(s)
        samples, _ = parsed(must([CTL, "metrics", s.mnt]))
        for name in ("virtiofs_vfio_request_duration_seconds",
                     "virtiofs_vfio_device_duration_seconds"):
            buckets = [(labels["le"], v) for n, labels,
                       v in samples if n == name + "_bucket" and labels["op"] == "WRITE"]
            counts = [v for _, v in buckets]
            ends = [float(end) for end, _ in buckets]
            check(counts == sorted(counts) and ends == sorted(set(ends)), buckets)
            check(buckets[-1][0] == "+Inf", buckets[-1])
            check(counts[-1] == value(samples, name + "_count", op="WRITE") > 0, counts)
            check(value(samples, name + "_sum", op="WRITE") > 0, name)
        s.umount()


def requests_are_counted_by_opcode():
    with Session().mount() as s:
        use(s)
        samples, types = parsed(must([CTL, "metrics", s.mnt]))
        check(types["virtiofs_vfio_requests_total"] == "counter", types)
        ops = {labels["op"]: v for name, labels, v in samples
               if name == "virtiofs_vfio_requests_total"}
        check(ops["WRITE"] > 0 and ops["LOOKUP"] > 0, ops)
        for op, count in ops.items():
            check(count == value(samples, "virtiofs_vfio_request_duration_seconds_count", op=op),
                  ops)
        s.umount()


def mounts_have_their_version():
    with Session().mount() as s:
        version = must([CTL, "--version"]).split()[1]
        for more in ([], ["--openmetrics"]):
            samples, _ = parsed(must([CTL, "metrics", *more, s.mnt]))
            value(samples, "virtiofs_vfio_mount_info", version=version, transport="vhost-user",
                  mount=s.mnt)
        s.umount()


def what_counts_never_shrinks():
    """Prometheus would take that for a start anew, and all that was counted for what is new."""
    with Session().mount() as s:
        use(s)
        before = {}
        for _ in range(10):
            samples, types = parsed(must([CTL, "metrics", s.mnt]))
            now = {(name, tuple(sorted(labels.items()))): v for name, labels, v in samples
                   if types.get(name) == "counter" or re.search("_(bucket|sum|count)$", name)}
            check(len(now) > 100, now)
            for one, v in before.items():
                check(now[one] >= v, f"{one}: {v!r}, then {now[one]!r}")
            before = now
        s.umount()


def openmetrics_has_its_own_heads_and_an_end():
    with Session().mount() as s:
        text = must([CTL, "metrics", "--openmetrics", s.mnt])
        samples, types = parsed(text)
        check(text.endswith("\n# EOF\n") and text.count("# EOF") == 1, text[-50:])
        check(types["virtiofs_vfio_replies"] == "counter"
              and value(samples, "virtiofs_vfio_replies_total") >= 0, types)
        for family, unit in re.findall(r"(?m)^# UNIT (\S+) (\S+)$", text):
            check(family.endswith("_" + unit) and family in types, family)
        s.umount()


def several_mounts_share_their_families():
    with Session().mount() as s, Session().mount() as other:
        samples, _ = parsed(must([CTL, "metrics"]))
        told = json.loads(must([CTL, "metrics", "--json"]))
        check({one["mountpoint"] for one in told} == {s.mnt, other.mnt}, told)
        check(all("latency" in one for one in told), told)
        for which in (s, other):
            value(samples, "virtiofs_vfio_lanes", mount=which.mnt)
            which.umount()


def a_file_is_whole_or_as_it_was():
    with Session().mount() as s:
        path = os.path.join(s.work, "out", "x.prom")
        os.mkdir(os.path.dirname(path))
        victim = os.path.join(s.work, "victim")
        with open(victim, "w", encoding="ascii") as f:
            f.write("as it was")
        os.symlink(victim, path)
        # As the unit has it: root with hardly a right.
        must(["setpriv", "--bounding-set", "-all", "--no-new-privs", CTL, "metrics", "--output",
              path])
        with open(path, encoding="utf-8") as f:
            samples, _ = parsed(f.read())
        value(samples, "virtiofs_vfio_lanes", mount=s.mnt)
        check(not os.path.islink(path) and os.stat(path).st_mode & 0o777 == 0o644, path)
        with open(victim, encoding="ascii") as f:
            check(f.read() == "as it was", "a link was followed")
        before = os.stat(path)
        for words in (["--output", os.path.join(s.work, "none", "x")], ["--output", s.work]):
            status, out = run([CTL, "metrics", *words])
            check(status == 1 and "can't be written" in out, out)
        # No room for it: what was there stays.
        status, out = run(["prlimit", "--fsize=1000", CTL, "metrics", "--output", path],
                          preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                          restore_signals=False)
        check(status == 1 and "can't be written" in out, out)
        check(os.stat(path).st_ino == before.st_ino, "it was replaced")
        check(os.listdir(os.path.dirname(path)) == ["x.prom"], os.listdir(os.path.dirname(path)))
        status, out = run([CTL, "metrics", "--json", "--output", path])
        check(status == 2 and "--output" in out, out)
        s.umount()


def dashboard_targets():
    with open(DASHBOARD, encoding="utf-8") as f:
        targets = [target for panel in json.load(f)["panels"] for target in panel["targets"]]
    check(len(targets) > 10, targets)
    return targets


def the_dashboard_names_what_there_is():
    with Session().mount() as s:
        use(s)
        labels = {}
        for name, had, _ in parsed(must([CTL, "metrics", s.mnt]))[0]:
            labels.setdefault(name, set()).update(had)
        for target in dashboard_targets():
            named_there = re.findall(r"virtiofs_vfio_\w+", target["expr"])
            check(named_there, target)
            needed = set(re.findall(r"(\w+)=~?\"", target["expr"]))
            for group in re.findall(r"by \(([\w, ]+)\)", target["expr"]):
                needed |= set(group.split(", "))
            needed |= set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
            for name in named_there:
                check(needed <= labels.get(name, set()), f"{target}: {labels.get(name)}")
        s.umount()


def without_a_mount_there_is_nothing():
    status, out = run([CTL, "metrics"])
    check(status == 0 and not out, out)
    check(must([CTL, "metrics", "--openmetrics"]) == "# EOF\n", "only its end")
    status, out = run([CTL, "status", "--openmetrics"])
    check(status == 2 and "--openmetrics" in out, out)


def promtool_has_nothing_to_say():
    with Session().mount() as s:
        use(s)
        text = must([CTL, "metrics", s.mnt])
        done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True,
                              text=True, timeout=60, check=False)
        check(done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr)
        s.umount()


def promtool_takes_the_dashboard():
    """Each expression, as a rule."""
    rules = [{"record": "x", "expr": target["expr"].replace("$__rate_interval", "1m"),
              "labels": {"number": str(i)}} for i, target in enumerate(dashboard_targets())]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as f:
        json.dump({"groups": [{"name": "x", "rules": rules}]}, f)
        f.flush()
        must([PROMTOOL, "check", "rules", f.name], 60)


def promtool_cases():
    cases = named([promtool_has_nothing_to_say, promtool_takes_the_dashboard])
    if PROMTOOL:
        return cases
    return [(f"{name} # SKIP no promtool (Debian's package prometheus)", lambda: None) for name,
            _ in cases]


def main():
    need_root()
    run_cases(named([
        numbers_are_those_of_status, histograms_are_cumulative_and_end_with_all,
        requests_are_counted_by_opcode, mounts_have_their_version,
        what_counts_never_shrinks, openmetrics_has_its_own_heads_and_an_end,
        the_dashboard_names_what_there_is, several_mounts_share_their_families,
        a_file_is_whole_or_as_it_was,
        without_a_mount_there_is_nothing,
    ]) + promtool_cases())


if __name__ == "__main__":
    main()
