#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does completion offer what --help has, all of it and nothing else, in bash and in zsh? And is
what a device calls itself no command?"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

LIST = """#!/bin/sh
[ "$1" = list ] || exec "$REAL_VIOFSCTL" "$@"
cat <<'END'
ADDRESS       TAG                  DRIVER      IOMMU  MOUNTED AT
0000:00:04.0  myfs                 vfio-pci    3      -
0000:00:05.0  ?                    -           4      -
0000:00:06.0  $(touch${IFS}hacked) -           5      -
0000:00:07.0  `touch>hacked`       -           6      -
END
"""
SOURCES = {"0000:00:04.0", "myfs", "0000:00:05.0", "0000:00:06.0", "0000:00:07.0"}
# bash calls a function with the command, the word to complete and the one before, and these
# variables set.
BASH = """
compopt() { :; }
source "$1"
COMP_LINE=$2 COMP_POINT=${#2}
read -ra COMP_WORDS <<<"$2"
[[ $2 != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
spec=$(complete -p "${COMP_WORDS[0]}") || exit
function=${spec#*-F }
"${function%% *}" "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
# zsh sources the file as a function's body; the completion system's own commands are stood in for.
ZSH = """
compadd() {
	[[ $1 != -S ]] || shift 2
	[[ $1 == -a ]] || exit 1
	local word
	for word in ${(P)2}; do [[ $word != $PREFIX* ]] || print -r -- $word; done
}
compset() { PREFIX=${PREFIX##$~2}; }
_files() { :; }
file=$1 words=(${=2})
[[ $2 != *' ' ]] || words+=('')
CURRENT=$#words PREFIX=$words[-1] service=$words[1]
source $file
"""


class Completion:
    def __init__(self, where, programs):
        self.where = where
        self.programs = {os.path.basename(path): os.path.abspath(path) for path in programs}
        self.wrong = []

    def help(self, name, *args):
        done = subprocess.run([self.programs[name], *args, "--help"], capture_output=True,
                              text=True, check=False)
        return done.stdout + done.stderr

    def run(self, shell, line, work):
        name = line.split()[0]
        stem = "virtiofs-vfio" if name in ("virtiofs-vfio", "viofsctl") else "viofs"
        path = os.path.join(self.where, f"{stem}.{shell}")
        start = ([shell, "--norc", "-c", BASH, shell] if shell == "bash"
                 else [shell, "-f", "-c", ZSH, shell])
        env = dict(os.environ, PATH=work + ":" + os.environ["PATH"],
                   REAL_VIOFSCTL=self.programs["viofsctl"])
        done = subprocess.run([*start, path, line], capture_output=True, text=True, check=False,
                              cwd=work, env=env, timeout=60)
        if done.returncode or done.stderr:
            self.wrong.append(f"{shell}, '{line}': exit status {done.returncode}, {done.stderr}")
        return done.stdout.split()

    def same(self, shell, line, wanted, work):
        found = self.run(shell, line, work)
        if sorted(found) != sorted(wanted):
            self.wrong.append(f"{shell}, '{line}': {sorted(found)} instead of {sorted(wanted)}")

    def daemon(self, shell, work):
        text = self.help("virtiofs-vfio")
        table = re.search(r"(?ms)^Options for -o.*?:\n(.*?)\n\n", text)[1]
        options = re.findall(r"(?m)^  ([a-z-]+=?[a-z_]*)(?=[A-Z ,])", table)
        assert len(options) > 20, "virtiofs-vfio --help has another form: mend this test"
        self.same(shell, "virtiofs-vfio -o ", options, work)
        done = "ro," if shell == "bash" else ""  # zsh sets it aside, bash's words have all of it
        self.same(shell, "virtiofs-vfio -o ro,n",
                  [done + word for word in options if word.startswith("n")], work)
        self.same(shell, "virtiofs-vfio -o poll=b", ["busy" if shell == "bash" else "poll=busy"],
                  work)
        switches = re.findall(r"(?m)^  (-[a-zA-Z]), (--[a-z]+)", text)
        assert len(switches) > 3
        self.same(shell, "virtiofs-vfio -", [word for pair in switches for word in pair] + ["-o"],
                  work)
        self.same(shell, "virtiofs-vfio ", SOURCES, work)

    def viofsctl(self, shell, work):
        text = self.help("viofsctl")
        commands = re.findall(r"(?m)^  ([a-z-]+) ", text)
        assert len(commands) > 5, "viofsctl --help has another form: mend this test"
        self.same(shell, "viofsctl ", commands + ["--help", "--version"], work)
        options = {}
        for command, rest in re.findall(r"(?ms)^  ([a-z-]+) (.*?)(?=^  [a-z]|^$)", text):
            options[command] = re.findall(r"(?<=\s)--?[a-z]+", rest) + ["--json"]
        options["capture"] = [word for pair in re.findall(
            r"(?m)^ +(?:(-[a-z]), )?(--[a-z]+)", self.help("viofsctl", "capture")) for word in pair
            if word]
        assert set(options) == set(commands)
        assert {"--batch", "-n", "--sort"} < set(options["top"]) and {
            "--output", "--http"} < set(options["metrics"]) and {
            "-w", "--write", "--data"} < set(options["capture"])
        for command, words in options.items():
            self.same(shell, f"viofsctl {command} -", words, work)
        self.same(shell, "viofsctl metrics --o", ["--openmetrics", "--output"], work)
        if shell == "bash":
            for line in ("metrics --output ", "capture x -w "):
                self.same(shell, "viofsctl " + line + "viofs-b", ["viofs-bench"], work)
        for command in re.findall(r"(?m)^  ([a-z-]+) SOURCE", text):
            self.same(shell, f"viofsctl {command} ", SOURCES, work)
        self.same(shell, "viofsctl show my", ["myfs"], work)

    def viofs(self, shell, work):
        commands = re.findall(r"(?m)^  ([a-z]+) ", self.help("viofs"))
        assert len(commands) > 10, "viofs --help has another form: mend this test"
        self.same(shell, "viofs ", commands + ["--help"], work)
        for command, *line in [("viofs", command) for command in commands] + [("viofs-bench",)]:
            found = re.findall(r"(?m)^ +(?:(-[A-Za-z]), )?(--[a-z-]+)", self.help(command, *line))
            wanted = [word for pair in found for word in pair if word]
            assert "--help" in wanted or command == "viofs-bench"
            self.same(shell, " ".join([command, *line, "-"]), wanted, work)
            self.same(shell, " ".join([command, *line, "my"]), ["myfs"], work)


def main(where, *programs):
    completion = Completion(where, programs)
    shells = [shell for shell in ("bash", "zsh") if shutil.which(shell)]
    with tempfile.TemporaryDirectory() as work:
        stand_in = os.path.join(work, "viofsctl")
        with open(stand_in, "w", encoding="ascii") as f:
            f.write(LIST)
        os.chmod(stand_in, 0o755)
        for name, path in completion.programs.items():
            if name != "viofsctl":
                os.symlink(path, os.path.join(work, name))
        for shell in shells:
            completion.daemon(shell, work)
            completion.viofsctl(shell, work)
            completion.viofs(shell, work)
        if os.path.exists(os.path.join(work, "hacked")):
            completion.wrong.append("a tag was run as a command")
    for line in completion.wrong:
        print(line)
    if "zsh" not in shells and not completion.wrong:
        print("no zsh here; bash's completion is right")
        return 77
    return 1 if completion.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
