# SPDX-License-Identifier: GPL-2.0-or-later
"""The notification queue: a change on the device's side is seen at once, and a device that lies
isn't believed."""

import json
import struct
import subprocess
import sys
import time

from vhostlib import CTL, Session, check, must, named, need_root, python, run, run_cases, wait_until

POLL, INVAL_INODE, INVAL_ENTRY, STORE, RETRIEVE, DELETE, RESEND, INC_EPOCH, PRUNE = range(1, 10)
OPEN_AND_READ = "import sys; print(open(sys.argv[1]).read(), end='')"
# Reads the same open file again for each line of its input: no open drops what is cached.
KEEP_READING = ("import os, sys\nfd = os.open(sys.argv[1], os.O_RDONLY)\n"
                "while True:\n print(os.pread(fd, 100, 0).decode(), flush=True)\n"
                " if not sys.stdin.readline(): break\n")


def session(options="", *args):
    """Names and attributes may be believed for an hour."""
    return Session("device", ["--notify", "--tag", "notify", "--cache", "3600", *args],
                   options=options)


def write(s, name, text):
    python("import sys; open(sys.argv[1], 'w').write(sys.argv[2])", s.path(name), text)


def size(s, name):
    """-1: it isn't there."""
    code = ("import os, sys\ntry:\n print(os.stat(sys.argv[1]).st_size)\n"
            "except FileNotFoundError:\n print(-1)\n")
    return int(python(code, s.path(name)))


def notifications(s):
    """What viofsctl status says of them."""
    status = json.loads(must([CTL, "status", "--json", s.mnt]))
    return (status[0] if isinstance(status, list) else status)["notifications"]


def seen(condition, text):
    """Within a second, of the hour that the cache may be believed."""
    wait_until(condition, 1.0, text)


class Reader:
    """A child that has the file open."""

    def __init__(self, path):
        self.child = subprocess.Popen([sys.executable, "-c", KEEP_READING, path], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.first = self.child.stdout.readline().rstrip("\n")

    def again(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().rstrip("\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.wait(10)
        self.child.stdout.close()


def without_notifications_an_old_state_is_seen():
    """What the other cases would show if nothing worked."""
    for options in ("notify=off", ""):
        with session(options).mount() as s:
            write(s, "file", "one")
            check(size(s, "file") == 3, "size")
            s.control(("" if options else "quietly ") + "change file longer text")
            time.sleep(1.2)
            check(size(s, "file") == 3, "the change was seen without a notification")
            check(s.stats()["features"] & 1 == (0 if options else 1), "NOTIFICATION")
            s.umount()


def a_change_is_seen_at_once(*args):
    with session("", *args).mount() as s:
        write(s, "file", "one")
        with Reader(s.path("file")) as reader:
            check(reader.first == "one", reader.first)
            for text in ("two", "something longer", "x"):
                s.control(f"change file {text}")
                seen(lambda t=text: size(s, "file") == len(t), "the size")
                seen(lambda t=text: reader.again() == t, "the text")
        check(notifications(s)["passed"] >= 3, "counted")
        check(notifications(s)["refused"] == 0, str(notifications(s)))
        s.umount()


def names_that_go_and_come_are_seen_at_once():
    with session().mount() as s:
        for name in ("a", "b"):
            write(s, name, name * 10)
        check(size(s, "a") == 10, "a")
        s.control("rename a c")
        seen(lambda: size(s, "a") == -1, "a is gone")
        check(size(s, "c") == 10, "c is there")
        s.control("remove b")
        seen(lambda: size(s, "b") == -1, "b is gone")
        s.control("quietly rename c d")
        check(size(s, "c") == 10, "c is still believed")
        s.control("epoch")
        if "the kernel doesn't accept it" in s.said():
            check("INC_EPOCH" in s.said(), s.said())
        s.umount()


def data_are_stored_only_where_asked_for():
    for options, text in (("", "what the file has"), ("notify=store", "WHAT the file has")):
        with session(options).mount() as s:
            write(s, "file", "what the file has")
            with Reader(s.path("file")) as reader:
                s.control("store file WHAT")
                if options:
                    seen(lambda: reader.again() == text, "the stored text")
                else:
                    wait_until(lambda: notifications(s)["refused"] == 1, 2, "the refusal")
                    check(reader.again() == text, "the text")
                    check("STORE" in s.said() and "page cache" in s.said(), s.said())
            s.umount()


def request_queues_are_behind_it():
    with session("", "--queues", "3", "--packed").mount() as s:
        write(s, "file", "one")
        for i in range(8):
            python(OPEN_AND_READ, s.path("file"))
            s.control(f"change file {i}")
        queues = s.stats()["queues"]
        check(len(queues) == 5, str(queues))
        check(all(q["popped"] for q in queues[1:]), str(queues))
        s.umount()


INODE = struct.pack("<Qqq", 2, 0, 0).hex()
ENTRY = struct.pack("<QII", 1, 4, 0).hex()
GONE = struct.pack("<QQII", 1, 2, 4, 0).hex()

# Code, unique, the header's length, the used length, payload; a part of what is said.
HOSTILE = [
    (INVAL_INODE, 5, "-", "-", INODE, "reply"),
    (INVAL_INODE, 0, "39", "-", INODE, "length"),
    (INVAL_INODE, 0, "41", "-", INODE, "length"),
    (INVAL_INODE, 0, "4294967295", "-", INODE, "length"),
    (INVAL_INODE, 0, "0", "0", "", "shorter than its header"),
    (INVAL_INODE, 0, "-", "15", "", "shorter than its header"),
    (INVAL_INODE, 0, "-", "39", INODE, "length"),
    (INVAL_INODE, 0, "-", "-", INODE + "00", "length"),
    (INVAL_INODE, 0, "-", "-", INODE[:-2], "length"),
    (INVAL_INODE, 0, "-", "-", "", "length"),
    (INVAL_ENTRY, 0, "-", "-", ENTRY + b"file".hex(), "length"),
    (INVAL_ENTRY, 0, "-", "-", ENTRY + b"file\0x".hex(), "length"),
    (INVAL_ENTRY, 0, "-", "-", ENTRY + b"fileX".hex(), "name"),
    (INVAL_ENTRY, 0, "-", "-", ENTRY + b"f/le\0".hex(), "name"),
    (INVAL_ENTRY, 0, "-", "-", ENTRY + b"f\0le\0".hex(), "name"),
    (INVAL_ENTRY, 0, "-", "-", struct.pack("<QII", 1, 0, 0).hex() + "00", "name"),
    (INVAL_ENTRY, 0, "-", "-", struct.pack("<QII", 1, 2**32 - 1, 0).hex() + b"file\0".hex(),
     "name"),
    (INVAL_ENTRY, 0, "-", "-", struct.pack("<QII", 1, 1025, 0).hex() + "41" * 1025 + "00", "name"),
    (DELETE, 0, "-", "-", GONE + b"file".hex(), "length"),
    (DELETE, 0, "-", "-", GONE[:-8], "length"),
    (POLL, 0, "-", "-", "0011", "length"),
    (INC_EPOCH, 0, "-", "-", "00", "length"),
    (STORE, 0, "-", "-", struct.pack("<QQII", 2, 0, 4, 0).hex() + b"evil".hex(), "not agreed to"),
    (RETRIEVE, 0, "-", "-", struct.pack("<QQQII", 1, 2, 0, 4096, 0).hex(),
     "not taken from a device"),
    (RESEND, 0, "-", "-", "", "not taken from a device"),
    (PRUNE, 0, "-", "-", struct.pack("<IIQQ", 1, 0, 0, 2).hex(), "not taken from a device"),
    (0, 0, "-", "-", "", "unknown"),
    (10, 0, "-", "-", INODE, "unknown"),
    (-5, 0, "-", "-", "", "unknown"),
    (-2**31, 0, "-", "-", "", "unknown"),
    (2**31 - 1, 0, "-", "-", "", "unknown"),
]


def hostile_notifications_are_refused():
    with session().mount() as s:
        write(s, "file", "one")
        for number, (code, unique, length, written, payload, said) in enumerate(HOSTILE, 1):
            s.control(f"notify {code} {unique} {length} {written} {payload}")
            wait_until(lambda n=number: notifications(s)["refused"] == n, 2, f"number {number}")
            fault = notifications(s)["last_fault"]
            check(said in fault, f"number {number}: '{said}' is not in '{fault}'")
        check("refused" in s.said(), s.said())
        check(notifications(s)["passed"] == 0, "passed")
        # It goes on, and so do good ones.
        s.control("change file other text")
        seen(lambda: size(s, "file") == 10, "a good one after them")
        s.umount()


def a_store_beyond_any_file_is_refused():
    with session("notify=store").mount() as s:
        write(s, "file", "one")
        for offset, length, data in ((2**63 - 2, 4, b"evil"), (2**64 - 1, 4, b"evil"),
                                     (0, 5, b"evil"),
                                     (0, 2**32 - 1, b"evil")):
            s.control(f"notify {STORE} 0 - - "
                      + struct.pack("<QQII", 2, offset, length, 0).hex() + data.hex())
        wait_until(lambda: notifications(s)["refused"] == 4, 2, "refusals")
        s.umount()


def a_flood_holds_nobody_up():
    with session().mount() as s:
        write(s, "file", "one")
        s.control(f"flood 20000 {INVAL_INODE} {INODE}")
        start = time.monotonic()
        for _ in range(5):
            check(python(OPEN_AND_READ, s.path("file")) == "one", "the text")
        check(time.monotonic() - start < 10, "requests were held up")
        wait_until(lambda: s.stats()["notified"] == 20000, 20, "all are taken")
        s.umount()


def a_flood_of_lies_is_no_longer_listened_to():
    with session().mount() as s:
        write(s, "file", "one")
        s.control(f"flood 5000 {RESEND}")
        wait_until(lambda: "no more notifications are taken" in s.said(), 10, "it is said")
        check(notifications(s)["refused"] == 1000, str(notifications(s)))
        check(s.stats()["notified"] < 5000, "they are all taken")
        check(python(OPEN_AND_READ, s.path("file")) == "one", "the session goes on")
        s.umount()


def a_notification_that_waits_for_a_lock_holds_nobody_up():
    """INVAL_ENTRY takes the directory's lock, which somebody has whose LOOKUP the device holds
    back."""
    with session().mount() as s:
        for name in ("a", "other"):
            write(s, name, "text")
        # What is asked for before the lock is taken is known then.
        python("import os, sys; os.stat(sys.argv[1])", s.mnt)
        s.control("hold")
        child = subprocess.Popen(["touch", s.path("new")])
        wait_until(lambda: s.stats()["queues"][2]["waiting"], 5, "LOOKUP on the ring")
        s.control("rename a c")
        time.sleep(0.3)
        check(notifications(s)["passed"] < 2, "it did not have to wait: nothing is shown")
        s.control("release")
        check(child.wait(10) == 0, "touch")
        seen(lambda: size(s, "a") == -1, "the name is gone")
        s.umount()


def a_ring_that_breaks_ends_the_session():
    for ring in ([], ["--packed"]):
        with session("poll=irq", *ring).mount() as s:
            write(s, "file", "one")
            s.control("notify-id 9999")
            s.ends(1)
            check("notification queue: a used entry's id" in s.said(), s.said())


def an_unmount_with_one_under_way():
    with session().mount() as s:
        write(s, "file", "one")
        s.control(f"flood 100000 {INVAL_INODE} {INODE}")
        s.umount()


def sizes_that_make_no_sense_are_refused():
    for number in (0, 15, 2**20 + 1, 2**32 - 1):
        with session("", "--notify-size", str(number)) as s:
            out = s.refuse()
            check(f"{number} bytes for a notification" in out and "notify=off" in out, out)
        with session("notify=off", "--notify-size", str(number)).mount() as s:
            s.umount()


def main():
    need_root()
    cases = named([without_notifications_an_old_state_is_seen])
    cases += [(f"a change is seen at once {' '.join(args)}",
               lambda a=args: a_change_is_seen_at_once(*a))
              for args in ([], ["--packed"], ["--no", "event-idx"],
                           ["--no", "indirect", "--packed"],
                           ["--notify-size", "65536"], ["--notify-size", str(2**20)])]
    cases += named([
        names_that_go_and_come_are_seen_at_once, data_are_stored_only_where_asked_for,
        request_queues_are_behind_it, hostile_notifications_are_refused,
        a_store_beyond_any_file_is_refused, a_flood_holds_nobody_up,
        a_flood_of_lies_is_no_longer_listened_to,
        a_notification_that_waits_for_a_lock_holds_nobody_up, a_ring_that_breaks_ends_the_session,
        an_unmount_with_one_under_way, sizes_that_make_no_sense_are_refused,
    ])
    run_cases(cases, at_once=2)


if __name__ == "__main__":
    main()
