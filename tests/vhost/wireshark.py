#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `viofsctl capture` writes, as tshark reads it with our dissector; and the program that
Wireshark starts."""

import os
import shutil
import subprocess

from vhostlib import CTL, Session, check, must, named, need_root, python, run_cases, skip_all, \
    wait_until

LUA = os.environ["VIOFS_LUA"]
FIELDS = ("kind", "op", "nodeid", "uid", "error", "name", "total_ns", "fuse.size", "fuse.mode",
          "data", "opcode")


def tshark(path, *more):
    """Rows of FIELDS, as text."""
    words = ["tshark", "-X", f"lua_script:{LUA}", "-r", path, "-T", "fields", "-E", "separator=|",
             *more]
    for field in FIELDS:
        words += ["-e", "viofs." + field]
    out = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    check("Lua" not in out.stderr, out.stderr)
    return [dict(zip(FIELDS, line.split("|"))) for line in out.stdout.splitlines()]


def use(s):
    """Its requests are known."""
    python("import os, sys\nos.mkdir(sys.argv[1] + '/folder', 0o700)\n"
           "open(sys.argv[1] + '/folder/file', 'w').write('text')\n"
           "os.rename(sys.argv[1] + '/folder/file', sys.argv[1] + '/other')\n"
           "os.setxattr(sys.argv[1] + '/other', 'user.key', b'value')\n"
           "print(os.path.exists(sys.argv[1] + '/none'))\n", s.mnt)


def capture(s, path, *options):
    with subprocess.Popen([CTL, "capture", s.mnt, "-w", path, *options], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as p:
        wait_until(lambda: "captures what passes" in s.said() or p.poll() is not None, 10,
                   "the capture")
        use(s)
        wait_until(lambda: b"none\0" in open(path, "rb").read(), 10, "the last name")
        p.terminate()
        check(p.wait(10) == 0, p.stdout.read())


def tshark_reads_what_passed():
    with Session().mount() as s:
        path = os.path.join(s.work, "a.pcapng")
        capture(s, path)
        rows = tshark(path)
        requests = [row for row in rows if row["kind"] == "1"]
        names = {(row["op"], row["name"]) for row in requests}
        check({("MKDIR", "folder"), ("CREATE", "file"), ("RENAME2", "file,other"),
               ("SETXATTR", "user.key"), ("LOOKUP", "none")} <= names or
              ("RENAME", "file,other") in names, names)
        mkdir = next(row for row in requests if row["op"] == "MKDIR")
        check(int(mkdir["fuse.mode"]) & 0o777 == 0o700 and mkdir["nodeid"] == "1", mkdir)
        write = next(row for row in requests if row["op"] == "WRITE")
        check(write["fuse.size"] == "4" and not write["data"], write)
        none = [row for row in rows if row["kind"] == "2" and row["error"] == "-2"]
        check(none and all(int(row["total_ns"]) > 0 for row in none), none)
        kinds = {row["kind"] for row in rows}
        check({"1", "2", "4"} <= kinds, kinds)
        # Wireshark's own filters work on it.
        some = tshark(path, "-Y", 'viofs.op == "WRITE" && viofs.kind == 2')
        check(len(some) == 1 and some[0]["fuse.size"] == "4", some)
        s.umount()


def contents_come_with_data():
    with Session().mount() as s:
        path = os.path.join(s.work, "a.pcapng")
        capture(s, path, "--data", "--filter", "opcode=WRITE or opcode=SETXATTR or opcode=LOOKUP")
        rows = tshark(path, "-Y", "viofs.kind == 1")
        data = {row["op"]: row["data"] for row in rows}
        check(data["WRITE"] == b"text".hex() and data["SETXATTR"] == b"value".hex(), rows)
        s.umount()


def extcap(s, *words):
    program = os.path.join(s.work, "viofs-extcap")
    if not os.path.exists(program):
        os.symlink(CTL, program)
    return must([program, *words], 20)


def wireshark_can_list_and_capture():
    with Session().mount() as s:
        check(f"interface {{value=viofs:{s.mnt}}}" in extcap(s, "--extcap-interfaces"), "listed")
        name = ["--extcap-interface", "viofs:" + s.mnt]
        check("dlt {number=147}" in extcap(s, *name, "--extcap-dlts"), "link type")
        check("{call=--snaplen}" in extcap(s, *name, "--extcap-config"), "options")
        fifo = os.path.join(s.work, "fifo")
        os.mkfifo(fifo)
        path = os.path.join(s.work, "a.pcapng")
        with open(path, "wb") as out, subprocess.Popen(["cat", fifo], stdout=out) as reader, \
                subprocess.Popen([os.path.join(s.work, "viofs-extcap"), *name, "--capture",
                                  "--fifo", fifo, "--filter", "opcode=LOOKUP"],
                                 stderr=subprocess.DEVNULL) as p:
            wait_until(lambda: "captures what passes" in s.said(), 10, "the capture")
            use(s)
            wait_until(lambda: b"none\0" in open(path, "rb").read(), 10, "the last name")
            # Wireshark stops by closing the pipe.
            reader.kill()
            use_again = "import os, sys\nprint(os.path.exists(sys.argv[1] + '/none2'))"
            python(use_again, s.mnt)
            check(p.wait(10) == 0, "it ends well")
        rows = tshark(path)
        check(rows and {row["op"] for row in rows} == {"LOOKUP"}, rows)
        s.umount()


def main():
    need_root()
    if not shutil.which("tshark"):
        skip_all("no tshark (Debian's package of that name)")
    run_cases(named([tshark_reads_what_passed, contents_come_with_data,
                     wireshark_can_list_and_capture]))


if __name__ == "__main__":
    main()
