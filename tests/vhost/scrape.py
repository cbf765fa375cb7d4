#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`viofsctl metrics --http`: an HTTP client gets what it asks for, and none can keep it."""

import contextlib
import os
import socket
import subprocess
import tempfile

from vhostlib import CTL, Session, check, must, named, need_root, run, run_cases

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
# What is no more than a machine under load needs; the program's own limits are 10 s.
LONG = 100


class Client:
    """A connection, and the program that has its other end, as systemd starts it."""

    def __init__(self, tcp=False, room=None):
        self.near, far = self.tcp() if tcp else socket.socketpair()
        self.near.settimeout(LONG)
        if room:  # for what the program has sent and nobody has read
            far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        with far, tempfile.TemporaryFile() as log:
            # pylint: disable=consider-using-with
            self.program = subprocess.Popen([CTL, "metrics", "--http"], stdin=far,
                                            stdout=subprocess.DEVNULL, stderr=log)
            self.log = os.dup(log.fileno())

    @staticmethod
    def tcp():
        with socket.create_server(("127.0.0.1", 0)) as server:
            near = socket.create_connection(server.getsockname())
            return near, server.accept()[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.near.close()
        self.program.kill()
        self.program.wait(LONG)
        os.close(self.log)

    def read(self):
        """(status, head, body); the connection has to end."""
        data = b""
        while more := self.near.recv(65536):
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        check(fields["Connection"] == "close", fields)
        return int(first.split()[1]), fields, body.decode()

    def end(self):
        """(exit status, what it has said)."""
        status = self.program.wait(LONG)
        return status, os.pread(self.log, 4096, 0).decode()


def ask(request, tcp=False):
    """(status, fields, body) of a client that sends it, and is a good one."""
    with Client(tcp) as client:
        client.near.sendall(request)
        answer = client.read()
        client.near.close()
        status, said = client.end()
        check(status == 0 and not said, f"exit status {status}: {said}")
        if not request.startswith(b"HEAD"):
            check(int(answer[1]["Content-Length"]) == len(answer[2].encode()), answer[1])
        return answer


def names(text):
    """Of all samples, with labels."""
    return [line.rsplit(" ", 1)[0] for line in text.splitlines() if line[0] != "#"]


def what_metrics_prints_is_served():
    with Session().mount() as s:
        for tcp in (False, True):
            status, fields, body = ask(GET + b"\r\n", tcp)
            check(status == 200, status)
            check(fields["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", fields)
            check(names(body) == names(must([CTL, "metrics"])), body[:2000])
            check(f'mount="{s.mnt}"' in body and "# EOF" not in body, body[:2000])
        s.umount()


def openmetrics_for_who_takes_it():
    with Session().mount() as s:
        accept = b"Accept: application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1\r\n\r\n"
        status, fields, body = ask(GET + accept)
        check(status == 200, status)
        check(fields["Content-Type"] == "application/openmetrics-text; version=1.0.0; "
              "charset=utf-8", fields)
        check(body.endswith("\n# EOF\n") and "# UNIT " in body, body[-100:])
        s.umount()


def head_has_no_body_and_its_length():
    with Session().mount() as s:
        status, fields, body = ask(b"HEAD /metrics HTTP/1.0\r\n\r\n")
        check(status == 200 and not body, body)
        check(int(fields["Content-Length"]) > 1000, fields)
        s.umount()


def with_no_mount_the_answer_is_empty():
    status, fields, body = ask(GET + b"\r\n")
    check(status == 200 and not body and fields["Content-Length"] == "0", body)


def all_else_is_refused():
    for request, due in ((b"GET / HTTP/1.0\r\n\r\n", 404),
                         (b"POST /metrics HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", 405),
                         (b"GET /metrics HTTP/1.1\r\n\r\n", 400),
                         (b"\x16\x03\x01\0\n\n", 400)):
        for tcp in (False, True):
            status, fields, body = ask(request, tcp)
            check(status == due, f"{request}: {status}")
            check(fields["Content-Type"] == "text/plain; charset=utf-8" and body, fields)
            check(("Allow" in fields) == (due == 405), fields)


def a_head_without_end_is_refused():
    for tcp in (False, True):
        with Client(tcp) as client:
            with contextlib.suppress(BrokenPipeError):
                client.near.sendall(GET + b"a: " + b"b" * 100000)
            client.near.shutdown(socket.SHUT_WR)
            status, _, body = client.read()
            check(status == 400 and "too long" in body, f"{status} {body}")
            check(client.end()[0] == 0, "it has ended")


def in_pieces_it_is_the_same():
    with Client() as client:
        for byte in b"GET /nix HTTP/1.0\r\n\r\n":
            client.near.sendall(bytes([byte]))
        check(client.read()[0] == 404, "bytes one by one")


def who_goes_is_not_waited_for():
    for sent in (b"", GET):
        with Client() as client:
            client.near.sendall(sent)
            client.near.close()
            status, said = client.end()
            check(status == 1 and "got no answer" in said, f"{status} {said}")


def who_is_slow_is_not_served_for_ever():
    """One that sends no whole request, one that takes no answer, one that never goes."""
    gone = (1, "viofsctl: A client of --http got no answer: Connection timed out.\n")
    with Session().mount() as s, Client() as silent, Client(room=1) as deaf, Client() as staying:
        silent.near.sendall(GET)
        deaf.near.sendall(GET + b"\r\n")
        staying.near.sendall(b"GET /nix HTTP/1.0\r\n\r\n")
        check(staying.read()[0] == 404, "an answer")
        for client, due in ((silent, gone), (deaf, gone), (staying, (0, ""))):
            check(client.end() == due, client.end())
        s.umount()


def it_needs_a_connection():
    for stdin in (subprocess.DEVNULL, subprocess.PIPE):
        status, out = run([CTL, "metrics", "--http"], stdin=stdin)
        check(status == 1 and "--http answers a connection" in out, out)
    status, out = run([CTL, "metrics", "--http", "--output", "/nix"])
    check(status == 2 and "--http" in out, out)


def main():
    need_root()
    run_cases(named([
        what_metrics_prints_is_served, openmetrics_for_who_takes_it,
        head_has_no_body_and_its_length, with_no_mount_the_answer_is_empty, all_else_is_refused,
        a_head_without_end_is_refused, in_pieces_it_is_the_same, who_goes_is_not_waited_for,
        who_is_slow_is_not_served_for_ever, it_needs_a_connection,
    ]))


if __name__ == "__main__":
    main()
