#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket of a daemon: wrong lines, many clients, other users, levels of the log."""

import concurrent.futures
import json
import os
import re
import socket

from vhostlib import CTL, Session, check, must, named, need_root, run, run_cases, wait_until

NOBODY = 65534
JOURNAL = "/run/systemd/journal/socket"


def status_of(s):
    return json.loads(must([CTL, "status", "--json", s.mnt]))


def path_of(s):
    return status_of(s)["socket"]


def ask(path, data, ends=False):
    """All that comes back for these bytes."""
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(path)  # waits where there are many
        c.settimeout(60)
        c.sendall(data)
        if ends:
            c.shutdown(socket.SHUT_WR)
        answer = b""
        while more := c.recv(65536):
            answer += more
    return answer


def answer(path, data):
    text = ask(path, data)
    check(text.endswith(b"}\n"), text[-100:])
    return json.loads(text)


def it_tells_what_it_knows():
    with Session().mount() as s:
        path = path_of(s)
        told = answer(path, b"protocol\n")
        check(told["protocol"] == 1 and re.match(r"\d+\.\d+", told["version"]), told)
        words = {one["word"] for one in told["commands"]}
        check({"status", "latency", "log-level", "abort", "clone"} <= words, words)
        for word in words - {"abort", "clone", "latency-since"}:
            check("error" not in answer(path, word.encode() + b"\n"), word)
        s.umount()


def wrong_lines_have_errors_and_end_nothing():
    with Session().mount() as s:
        path = path_of(s)
        for line in (b"\n", b"stat\n", b"status \n", b"abort now\n", b"\xff\n", b"sta\0tus\n",
                     b"x" * 1000000, b"log-level loud\n", b"log-level \n", b"{\"status\":1}\n"):
            try:
                check("error" in answer(path, line), line[:20])
            except (ConnectionResetError, BrokenPipeError):
                check(len(line) > 1000, line)  # it closes before it has read so much
        check(ask(path, b"", True) == b"", "nothing was asked")
        check(answer(path, b"status\n")["session"] == "serving", "status")
        s.umount()


def a_silent_client_holds_up_nobody_for_long():
    with Session().mount() as s:
        path = path_of(s)
        with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as half:
            silent.connect(path)
            half.connect(path)
            half.sendall(b"stat")
            check(answer(path, b"status\n")["session"] == "serving", "status")
            check(json.loads(half.recv(4096))["error"], "half a line")
        s.umount()


def each_of_many_clients_has_an_answer():
    with Session().mount() as s:
        path = path_of(s)
        with concurrent.futures.ThreadPoolExecutor(50) as threads:
            for one in threads.map(lambda i: answer(path, b"status\n"), range(500)):
                check(one["mountpoint"] == s.mnt, one)
        s.umount()


def the_socket_is_roots():
    with Session().mount() as s:
        path = path_of(s)
        st = os.stat(path)
        check(st.st_mode & 0o777 == 0o600 and st.st_uid == 0, oct(st.st_mode))
        child = os.fork()
        if not child:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with socket.socket(socket.AF_UNIX) as c:
                try:
                    c.connect(path)
                except PermissionError:
                    os._exit(0)
            os._exit(1)
        check(os.waitpid(child, 0)[1] == 0, "somebody else may ask")
        s.umount()


def levels_change_while_it_runs():
    with Session().mount() as s:
        check(must([CTL, "log-level", s.mnt]) == "info\n", "at first")
        check(must([CTL, "log-level", s.mnt, "error"]) == "", "nothing to print")
        check("up to the level error are logged from now on" in s.said(), s.said())
        s.control("evil len-short@LOOKUP*")
        status, out = run(["ls", s.path("a")])
        check(status, out)
        wait_until(lambda: status_of(s)["counts"]["faults"], 10, "a fault")
        told = json.loads(must([CTL, "log-level", "--json", s.mnt]))
        check(told == {"log_level": "error"}, told)
        check(status_of(s)["log_level"] == "error", "in the status")
        before = s.said()
        check("was refused" not in before, before)
        must([CTL, "log-level", s.mnt, "debug"])
        run(["ls", s.path("b")])
        wait_until(lambda: "was refused" in s.said(), 10, "a warning")
        status, out = run([CTL, "log-level", s.mnt, "loud"])
        check(status == 1 and "error, warning, info or debug" in out, out)
        status, out = run([CTL, "log-level", s.mnt, "x" * 500])
        check(status == 1 and "error, warning, info or debug" in out, out)
        s.control("good")
        s.umount()


def json_says_whether_it_was_done():
    with Session().mount() as s:
        status, out = run([CTL, "umount", "--json", s.work])
        text = out[out.index("{"):]
        told = json.loads(text)
        check(status == 1 and told["done"] is False and s.work in told["error"], out)
        done = json.loads(must([CTL, "abort", "--json", s.mnt], 30))
        check(done == {"command": "abort", "argument": s.mnt, "done": True}, done)
        s.ends(0)
    with Session().mount() as s:
        done = json.loads(must([CTL, "umount", "--json", s.mnt], 60))
        check(done == {"command": "umount", "argument": s.mnt, "done": True}, done)
        s.ends(0)
    status, out = run([CTL, "bind", "--json", "0000:ff:1f.7"])
    check(status == 1 and json.loads(out[out.index("{"):])["done"] is False, out)


def the_journal_gets_fields():
    os.makedirs(os.path.dirname(JOURNAL), exist_ok=True)
    with (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal,
          Session(backend_args=["--tag", "my\\fs"]) as s):
        journal.bind(JOURNAL)
        journal.setblocking(False)
        s.start_backend()
        must(s.daemon_argv(foreground=False), 20, env=s.environment())
        s.control("evil len-short@LOOKUP*")
        run(["ls", s.path("a")])
        s.control("good")
        must(["umount", s.mnt])
        entries = []

        def has_ended():
            try:
                while True:
                    lines = journal.recv(65536).decode().splitlines()
                    entries.append(dict(line.split("=", 1) for line in lines))
            except BlockingIOError:
                return any("has ended after" in one["MESSAGE"] for one in entries)
        try:
            wait_until(has_ended, 20, "the line about the end")
        finally:
            os.unlink(JOURNAL)
        check({one["MOUNTPOINT"] for one in entries} == {s.mnt}, entries)
        check({one["SYSLOG_IDENTIFIER"] for one in entries} == {"virtiofs-vfio"}, entries)
        check({one["TAG"] for one in entries} == {"my\\\\fs"}, entries)
        faults = [one for one in entries if "was refused" in one["MESSAGE"]]
        check(faults and faults[0]["OPCODE"] == "LOOKUP", entries)
        check(faults[0]["PRIORITY"] == "4", faults)
        check(faults[0]["RULE"] and faults[0]["RULE"] in faults[0]["MESSAGE"], faults)
        check(all("OPCODE" not in one for one in entries if one not in faults), entries)


def journal_cases():
    cases = named([the_journal_gets_fields])
    if not os.path.exists(JOURNAL):
        return cases
    why = "a journal of this machine's own has the socket"
    return [(f"{name} # SKIP {why}", lambda: None) for name, _ in cases]


def main():
    need_root()
    run_cases(named([
        it_tells_what_it_knows, wrong_lines_have_errors_and_end_nothing,
        a_silent_client_holds_up_nobody_for_long, each_of_many_clients_has_an_answer,
        the_socket_is_roots, levels_change_while_it_runs, json_says_whether_it_was_done,
    ]) + journal_cases())


if __name__ == "__main__":
    main()
