#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is each file that meson installs in one Debian package, does systemd take the units, and does sh
take the scripts?"""

import fnmatch
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile


# What there is only where it was asked for (-Ddefault_library=) or could be built (-Dpython=);
# packages always have it.
OPTIONAL = {"usr/lib/*/libviofs.a", "usr/lib/python3*/*-packages/viofs",
            "usr/share/man/man3/python-viofs*"}

# What a build has only after tools/fio-engine: fio takes no engine that was built for another fio.
NOT_PACKAGED = {"usr/lib/TRIPLET/viofs/viofs-fio.so"}


class Installed:
    def __init__(self, source, build):
        self.dist = os.path.join(source, "tools", "dist")
        done = subprocess.run(["meson", "introspect", "--installed", build], capture_output=True,
                              text=True, check=True)
        self.files = json.loads(done.stdout)
        self.prefix = json.loads(subprocess.run(["meson", "introspect", "--buildoptions", build],
                                                capture_output=True, text=True,
                                                check=True).stdout)
        self.prefix = next(option["value"] for option in self.prefix if option["name"] == "prefix")
        self.wrong = []

    def in_packages(self):
        """As Debian has it: below /usr, helpers in /usr/sbin."""
        names = set()
        for path in self.files.values():
            path = re.sub(rf"^{re.escape(self.prefix)}/|^/(?=sbin/)", "usr/", path)
            names.add(re.sub(r"^usr/lib/[^/]+-linux-[^/]+/", "usr/lib/TRIPLET/", path))
        patterns = {}
        for path in glob.glob(os.path.join(self.dist, "debian", "*.install")):
            with open(path, encoding="ascii") as f:
                for line in f:
                    patterns[line.split()[0]] = os.path.basename(path)
        for pattern in patterns:
            if not any(self.matches(name, pattern) for name in names) and pattern not in OPTIONAL:
                self.wrong.append(f"{patterns[pattern]}: nothing is installed as {pattern}")
        for name in sorted(names):
            found = {patterns[pattern] for pattern in patterns if self.matches(name, pattern)}
            if len(found) != 1 and name not in NOT_PACKAGED:
                self.wrong.append(f"{name} is in {sorted(found) or 'no package'}")

    @staticmethod
    def matches(name, pattern):
        """A star stays within a directory; a directory means all in it."""
        have, wanted = name.split("/"), pattern.split("/")
        return len(have) >= len(wanted) and all(fnmatch.fnmatchcase(*pair)
                                                for pair in zip(have, wanted)) and (
            len(have) == len(wanted) or not wanted[-1].endswith("*"))

    def units(self, work):
        """An instance of each template, with the programs of the build directory, and those of
        every system in place."""
        if not shutil.which("systemd-analyze"):
            print("no systemd-analyze here: units not verified")
            return
        units = {path: self.unit(built) for built, path in self.files.items()
                 if path.endswith((".service", ".socket", ".timer"))}
        for path, text in units.items():
            # A socket's own template, and an instance to look at.
            for name in {os.path.basename(path), os.path.basename(path).replace("@", "@myfs")}:
                with open(os.path.join(work, name), "w", encoding="utf-8") as f:
                    f.write(text)
        for path, text in units.items():
            unit = os.path.join(work, os.path.basename(path).replace("@", "@myfs"))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit],
                                  capture_output=True, text=True, check=False)
            if done.returncode or os.path.basename(unit) in done.stdout + done.stderr:
                self.wrong.append(f"{os.path.basename(path)}: {done.stdout}{done.stderr}")
            if re.match("virtiofs-vfio-metrics[.@]", os.path.basename(path)):
                continue  # it mounts nothing, and has a namespace of its own
            for word in re.findall(
                    r"(?m)^ExecStop\w*=.*|"
                    r"^(?:Protect\w+|Private(?!Network)\w+|\w+Paths|MountFlags)=.*", text):
                self.wrong.append(f"{os.path.basename(path)} has {word}: an unmount of others' "
                                  "mounts, or a namespace of its own")

    def unit(self, built):
        """With the programs of the build directory."""
        with open(built, encoding="utf-8") as f:
            text = f.read()
        for program, where in self.files.items():
            if os.access(program, os.X_OK):
                text = re.sub(rf"(?<=[=]){re.escape(where)}\b", program, text)
        return text

    def scripts(self):
        for root, _, names in os.walk(self.dist):
            for name in names:
                path = os.path.join(root, name)
                with open(path, encoding="utf-8") as f:
                    first = f.readline()
                shell = re.match(r"#!/bin/(sh|bash)$", first)
                if shell:
                    done = subprocess.run([shell[1], "-n", path], capture_output=True, text=True,
                                          check=False)
                    if done.returncode:
                        self.wrong.append(done.stderr)


def main(source, build):
    installed = Installed(source, build)
    installed.in_packages()
    installed.scripts()
    with tempfile.TemporaryDirectory() as work:
        installed.units(work)
    for line in installed.wrong:
        print(line)
    return 1 if installed.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
