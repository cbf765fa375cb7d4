#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`viofsctl capture`: what passes is shown and written, whoever captures stalls, dies or lies."""

import collections
import os
import re
import signal
import struct
import subprocess

from vhostlib import CTL, Session, check, must, named, need_root, python, run, run_cases, wait_until

SECTION, INTERFACE, PACKET, STATISTICS = 0x0a0d0d0a, 1, 6, 5
LINE = re.compile(r"^\d\d:\d\d:\d\d\.\d{9} (lane \d|hiprio|notifications) (\w+) ?(.*)$")
HEAD = struct.Struct("<BBHHHIIQQQIiIIIIQQQ")
Packet = collections.namedtuple(
    "Packet", "version kind queue slot flags header len kernel_unique device_unique nodeid opcode "
    "error uid gid pid fixed waited_ns device_ns total_ns time interface original message")
REQUEST, REPLY = 1, 2
LOOKUP, WRITE, READ, RELEASE = 1, 16, 15, 18


class Capture:
    """One that runs; is_on once the daemon has said so."""

    def __init__(self, s, *options):
        self.said = os.path.join(s.work, "captured")
        self.session = s
        before = s.said().count("captures what passes")
        with open(self.said, "wb") as out:
            self.process = subprocess.Popen([CTL, "capture", s.mnt, *options], stdout=out,
                stderr=subprocess.STDOUT)
        wait_until(lambda: s.said().count("captures what passes") > before
            or self.process.poll() is not None, 10, "the capture")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait(10)

    def text(self):
        with open(self.said, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, number=signal.SIGINT):
        """Its output."""
        self.process.send_signal(number)
        check(self.process.wait(10) == (0 if number == signal.SIGINT else -number),
              f"status {self.process.returncode}: {self.text()}")
        return self.text()

    def lines(self):
        return [match.groups() for match in map(LINE.match, self.text().splitlines()) if match]

    def waits_for(self, pattern):
        wait_until(lambda: re.search(pattern, self.text()), 10,
            f"{pattern} in {self.text()[-2000:]}")


def blocks(data):
    """(type, body) of each whole block; whatever follows is none."""
    at = 0
    while at + 12 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if at + size > len(data):
            break
        check(size % 4 == 0 and struct.unpack_from("<I", data, at + size - 4)[0] == size,
              f"block at {at}: {size}")
        yield kind, data[at + 8:at + size - 4]
        at += size
    check(at == len(data), f"{len(data) - at} bytes are no block")


def packets(path):
    with open(path, "rb") as f:
        data = f.read()
    found = list(blocks(data))
    check(found[0][0] == SECTION and struct.unpack_from("<I", found[0][1])[0] == 0x1a2b3c4d,
          found[0])
    for kind, body in found:
        if kind == INTERFACE:
            check(struct.unpack_from("<HH", body) == (147, 0), body)
        if kind == PACKET:
            interface, high, low, captured, original = struct.unpack_from("<IIIII", body)
            yield Packet(*HEAD.unpack_from(body, 20), high << 32 | low, interface, original,
                body[20 + HEAD.size:20 + captured])


def use(s):
    python("import os, sys\nopen(sys.argv[1] + '/file', 'w').write('secret text')\n"
           "print(open(sys.argv[1] + '/file').read())\n"
           "print(os.path.exists(sys.argv[1] + '/none'), os.listdir(sys.argv[1]))", s.mnt)


def everything_is_shown_but_contents_of_files():
    with Session().mount() as s, Capture(s, "-v") as c:
        use(s)
        c.waits_for(r"LOOKUP ENOENT .*\n(.*\n)*.* RELEASE")
        text = c.stop()
        lines = c.lines()
        check(any(kind == "request" and re.search(r"LOOKUP nodeid 1 uid 0 pid \d+, 45 bytes none$",
              rest) for _, kind, rest in lines), text)
        check(any(kind == "reply"
              and re.search(
            r"LOOKUP ENOENT 16 bytes, [\d.]+ us, [\d.]+ in the device$", rest)
              for _, kind, rest in lines), text)
        check(any(kind == "request" and " WRITE " in rest for _, kind, rest in lines), text)
        check(any(kind == "kick" and rest.startswith("queue 1") for _, kind, rest in lines), text)
        check("  name               none" in text and "secret" not in text
              and "73 65 63" not in text, text)
        check(re.search(r"viofsctl: \d+ packets, 0 lost$", text), text[-200:])
        s.umount()


def contents_are_shown_where_asked_for():
    with Session().mount() as s, Capture(s, "-v", "--data", "--filter", "opcode = WRITE") as c:
        use(s)
        c.waits_for(" reply queue 1 slot .* WRITE ")
        text = c.stop()
        check("secret text" in text, text)
        check({kind for _, kind, _ in c.lines()} == {"request", "reply"}, text)
        s.umount()


def who_asks_for_errors_or_slow_replies_sees_their_requests():
    with Session().mount() as s:
        with Capture(s, "--filter", "error = ENOENT and latency >= 20ms") as c:
            use(s)
            s.control("latency 25000")
            check(not os.path.exists(s.path("slow")), "there is such a file")
            s.control("latency 0")
            c.waits_for(r"bytes slow\n.*LOOKUP ENOENT")
            text = c.stop()
            lines = c.lines()
            check(lines and lines[-2][2].split()[-1] == "slow", text)
            # Whatever else was slow for its own reasons: requests, and their replies.
            check([kind for _, kind, _ in lines] == ["request", "reply"] * (len(lines) // 2), text)
            for _, _, rest in lines[1::2]:
                took = float(re.search(r"ENOENT .*?([\d.]+) us,", rest)[1])
                check(took >= 20000, rest)
        s.umount()


def a_wrong_filter_is_pointed_at():
    for text, at, why in (("opcod = 1", 0, "no such field"), ("opcode LOOKUP", 7, "comparison"),
        ("opcode = LOKUP", 9, "no such opcode"),
                          ("pid = 1 uid = 2", 8, "due here"), ("(pid = 1", 8, ") is missing"),
                          ("latency > 5", 11, "unit"), ("", 0, "missing"),
                          ("error = EFOO", 8, "no such error"), ("not", 3, "missing"), ("pid = 1x",
                          6, "no number"),
                          ("(" * 40 + "pid=1", 32, "too many")):
        status, out = run([CTL, "capture", "/", "--filter", text])
        lines = out.split("\n")
        check(status == 2 and why in lines[0] and lines[1][2:] == text
              and lines[2].index("^") == at + 2, out)


def wrong_words_are_refused():
    for words in ((), ("/", "/"), ("/", "--snaplen", "0"), ("/", "--snaplen", "131073"), ("/",
        "--count", "x"), ("/", "--seconds", "0"),
                  ("/", "--nothing"), ("/", "-v", "-w", "-")):
        status, out = run([CTL, "capture", *words])
        check(status == 2 and out, f"{words}: {status}: {out}")
    status, out = run([CTL, "capture", "/proc"])
    check(status == 1 and "No virtiofs-vfio serves" in out, out)


def a_file_has_every_packet_and_its_times():
    with Session().mount() as s:
        path = os.path.join(s.work, "a.pcapng")
        with Capture(s, "-w", path) as c:
            use(s)
            wait_until(lambda: any(p.opcode == RELEASE and p.kind == REPLY for p in packets(path)),
                10, "RELEASE")
            c.stop()
        check(os.stat(path).st_mode & 0o777 == 0o600, "others may read it")
        all_of_them = list(packets(path))
        requests = {p.device_unique: p for p in all_of_them if p.kind == REQUEST
            and p.interface == 0}
        replies = [p for p in all_of_them if p.kind == REPLY and p.interface == 0]
        check(replies and all(p.device_unique in requests for p in replies),
              "a reply without its request")
        for p in replies:
            request = requests[p.device_unique]
            check(p.time >= request.time and p.total_ns >= p.device_ns > 0
                  and p.opcode == request.opcode, p)
            check(p.pid == request.pid and p.nodeid == request.nodeid and p.slot == request.slot, p)
            check(struct.unpack_from("<IiQ", p.message) == (p.len, p.error, p.device_unique), p)
        for p in requests.values():
            length, opcode, unique, nodeid = struct.unpack_from("<IIQQ", p.message)
            check((length, opcode, unique, nodeid) == (p.len, p.opcode, p.device_unique, p.nodeid),
                  p)
        write = next(p for p in requests.values() if p.opcode == WRITE)
        check(len(write.message) == 80 and write.len == 91 and write.original == 91 + HEAD.size,
              write)
        read = next(p for p in replies if p.opcode == READ)
        check(len(read.message) == 16 < read.len, read)
        s.umount()


def a_capture_that_is_killed_leaves_a_whole_file():
    with Session().mount() as s:
        path = os.path.join(s.work, "a.pcapng")
        with Capture(s, "-w", path) as c:
            use(s)
            wait_until(lambda: any(p.opcode == LOOKUP for p in packets(path)), 10, "a packet")
            c.stop(signal.SIGKILL)
        check(len(list(packets(path))) > 1, "nothing was written")
        s.umount()


def one_that_stalls_loses_packets_and_nobody_else_minds():
    with Session().mount() as s:
        path = os.path.join(s.work, "a.pcapng")
        with Capture(s, "-w", path, "--data") as c:
            c.process.send_signal(signal.SIGSTOP)
            python("import os, sys\nf = os.open(sys.argv[1] + '/big', os.O_CREAT | os.O_WRONLY)\n"
                   "for i in range(64): os.write(f, bytes(1 << 17)), os.fsync(f)", s.mnt)
            c.process.send_signal(signal.SIGCONT)
            use(s)
            wait_until(lambda: any(p.opcode == RELEASE for p in packets(path)), 10, "RELEASE")
            text = c.stop()
        lost = int(re.search(r"packets, (\d+) lost", text)[1])
        check(lost > 64, text)
        check(any(kind == STATISTICS and struct.pack("<HHQ", 5, 8, lost) in body for kind,
              body in blocks(open(path, "rb").read())), "the file says so")
        s.umount()


def memory_of(s):
    """Bytes that records have."""
    fds = f"/proc/{s.daemon.pid}/fd"
    found = [f for f in os.listdir(fds) if "viofs-capture" in os.readlink(f"{fds}/{f}")]
    check(len(found) == 1, found)
    return os.stat(f"{fds}/{found[0]}").st_blocks * 512


def one_at_a_time_captures_and_nothing_stays_behind():
    with Session().mount() as s:
        use(s)
        before = memory_of(s)
        check(before < 1 << 20, f"{before} bytes with no capture")
        with Capture(s) as c:
            check(memory_of(s) >= 3 * (4 << 20), "no memory")
            status, out = run([CTL, "capture", s.mnt])
            check(status == 1 and "somebody else captures" in out, out)
            c.stop(signal.SIGKILL)
        wait_until(lambda: memory_of(s) < 1 << 20, 10, "memory is given back")
        with Capture(s) as c:
            use(s)
            c.waits_for("LOOKUP ENOENT")
            c.stop()
        s.umount()


def it_ends_by_count_by_time_and_with_the_mount():
    with Session().mount() as s:
        with Capture(s, "--count", "3") as c:
            use(s)
            check(c.process.wait(10) == 0 and "viofsctl: 3 packets, 0 lost" in c.text(), c.text())
        with Capture(s, "--seconds", "0.2") as c:
            check(c.process.wait(10) == 0, c.text())
        with Capture(s) as c:
            s.umount()
            check(c.process.wait(10) == 0 and " DESTROY " in c.text(), c.text())


def a_capture_goes_on_when_the_worker_is_replaced():
    with Session().mount() as s, Capture(s) as c:
        use(s)
        c.waits_for("LOOKUP ENOENT")
        before = len(c.lines())
        os.kill(s.stop_worker(), signal.SIGKILL)
        python("import os, sys\nprint(os.path.exists(sys.argv[1] + '/later'))", s.mnt)
        c.waits_for("bytes later\n")
        check(len(c.lines()) > before, c.text())
        s.umount()
        check(c.process.wait(10) == 0, c.text())


def send_again(path, number):
    with Session() as s:
        s.start_backend()
        return run([os.environ["VIOFS_CLI"], "raw", "vhost-user:" + s.socket, "--from", path,
                    "--packet", str(number)], 20)


def a_captured_request_is_sent_again():
    with Session().mount() as s:
        path = os.path.join(s.work, "a.pcapng")
        with Capture(s, "-w", path) as c:
            use(s)
            wait_until(lambda: any(p.opcode == RELEASE for p in packets(path)), 10, "RELEASE")
            c.stop()
        s.umount()
        found = list(packets(path))
        lookup = next(n for n, p in enumerate(found, 1)
                      if p.opcode == LOOKUP and p.kind == REQUEST and p.message.endswith(b"none\0"))
        status, out = send_again(path, lookup)
        check(status == 1 and "LOOKUP (1) nodeid 1" in out, out)
        check("name               none" in out, out)
        check("reply: error -2" in out, out)
        reply = next(n for n, p in enumerate(found, 1) if p.kind == REPLY)
        write = next(n for n, p in enumerate(found, 1) if p.opcode == WRITE and p.kind == REQUEST)
        for number, why in ((reply, "no request"), (write, "80 of its 91 bytes"),
                            (len(found) + 1, "no such packet"), ("x", "--packet")):
            status, out = send_again(path, number)
            check(status in (1, 2) and why in out, out)
        status, out = send_again("/proc/self/status", 1)
        check(status == 1 and "no file of viofsctl capture" in out, out)


def every_lane_has_its_ring():
    with Session(backend_args=["--queues", "2"], options="queues=2,lanes=2").mount() as s:
        path = os.path.join(s.work, "a.pcapng")
        with Capture(s, "-w", path) as c:
            use(s)
            wait_until(lambda: any(p.opcode == RELEASE for p in packets(path)), 10, "RELEASE")
            c.stop()
        with open(path, "rb") as f:
            names = [body for kind, body in blocks(f.read()) if kind == INTERFACE]
        check(len(names) == 4 and b"lane 1" in names[1] and b"hiprio" in names[2]
              and b"notifications" in names[3], names)
        s.umount()


def main():
    need_root()
    run_cases(named([
        everything_is_shown_but_contents_of_files, contents_are_shown_where_asked_for,
        who_asks_for_errors_or_slow_replies_sees_their_requests, a_wrong_filter_is_pointed_at,
            wrong_words_are_refused,
        a_file_has_every_packet_and_its_times, a_capture_that_is_killed_leaves_a_whole_file,
        one_that_stalls_loses_packets_and_nobody_else_minds,
            one_at_a_time_captures_and_nothing_stays_behind,
        it_ends_by_count_by_time_and_with_the_mount, a_capture_goes_on_when_the_worker_is_replaced,
        a_captured_request_is_sent_again, every_lane_has_its_ring,
    ]))


if __name__ == "__main__":
    main()
