# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices that do right, each in its own way: features, queues, order, latency, polling; and
ours."""

import os
import sys

from vhostlib import Session, check, must, need_root, run_cases

DEVICES = {
    "as it is": [],
    "everything in one thread's own time": ["--poll"],
    "any order": ["--shuffle"],
    "late, in any order": ["--shuffle", "--latency", "500"],
    "no EVENT_IDX": ["--no", "event-idx"],
    "no INDIRECT": ["--no", "indirect"],
    "neither": ["--no", "event-idx", "--no", "indirect"],
    "no acknowledgements": ["--no", "reply-ack"],
    "no MQ": ["--no", "mq"],
    "a configuration": ["--tag", "t" * 36, "--queues", "3"],
    "8 queues in any order": ["--queues", "8", "--shuffle", "--tag", "eight"],
    "packed rings": ["--packed"],
    "packed rings, polled": ["--packed", "--poll"],
    "packed rings, late, in any order": ["--packed", "--shuffle", "--latency", "500"],
    "packed rings, no EVENT_IDX": ["--packed", "--no", "event-idx"],
    "packed rings, no INDIRECT": ["--packed", "--no", "indirect", "--shuffle"],
    "packed rings, neither": ["--packed", "--no", "event-idx", "--no", "indirect"],
    "8 queues of packed rings in any order": ["--packed", "--queues", "8", "--shuffle", "--tag",
                                              "p"],
    "requests of 4 KiB": ["--init", "max_write=4096", "--init", "max_pages=1"],
    "one request at a time": ["--init", "max_background=1"],
}

PACKED = 1 << 34  # VIRTIO_F_RING_PACKED

OURS = ["", "poll=busy", "poll=irq", "no-hugepages", "max-data=128K,no-hugepages"]


def work(session):
    """A bit of everything, and all of it right."""
    source = os.path.join(session.work, "source")
    must(["cp", "-r", "/usr/include/linux/netfilter", source])
    must(["dd", "if=/dev/urandom", f"of={source}/large", "bs=1M", "count=5", "status=none"])
    must(["cp", "-a", source, session.path("copy")], 30)
    must(["cmp", source + "/large", session.path("copy", "large")], 30)
    must(["diff", "-r", source, session.path("copy")], 30)
    must(["fio", f"--directory={session.mnt}", "--name=v", "--size=4m", "--rw=randrw",
          "--bs=4k-64k",
          "--ioengine=libaio", "--iodepth=8", "--direct=1", "--numjobs=2", "--verify=crc32c",
          "--minimal"], 60, cwd=session.work)
    must(["rm", "-r", session.path("copy")], 30)


def case(args, options):
    """One device, one way of ours."""
    if "--queues" in args and "--tag" not in args:
        options = ",".join(filter(None, [options, "queues=2"]))
    with Session(backend_args=["--strict"] + args, options=options).mount() as s:
        work(s)
        packed = bool(s.stats()["features"] & PACKED)
        check(packed == ("--packed" in args and "ring=split" not in options),
              f"packed rings: {packed}")
        if "--queues" in args:
            # The driver takes them in turns.
            used = [q["popped"] for q in s.stats()["queues"][1:]]
            check(min(used) > 0, f"a queue was not used: {used}")
        s.umount()
        check(s.backend.wait(10) == 0, s.backend_said())


def null_device():
    """Nothing is stored, everything is answered."""
    with Session(backend_args=["--serve", "null", "--poll"]).mount() as s:
        must(["dd", f"if={s.path('any')}", "of=/dev/null", "bs=1M", "count=64", "status=none"], 30)
        must(["dd", "if=/dev/zero", f"of={s.path('any')}", "bs=1M", "count=64", "conv=notrunc",
              "oflag=direct", "status=none"], 30)
        s.umount()


def directory():
    """What is written is there on the other side, and the other way round."""
    share = "/tmp/viofs-vhost-share." + str(os.getpid())
    os.mkdir(share)
    try:
        with Session(backend_args=["--serve", share, "--strict"], share=share).mount() as s:
            work(s)
            must(["sh", "-c", "echo one >$0/a && echo two >$1/b && cat $0/b $1/a", s.mnt, share])
            s.umount()
    finally:
        must(["rm", "-r", share])


def main():
    need_root()
    cases = [(f"device: {name}", lambda a=args: case(a, "")) for name, args in DEVICES.items()]
    cases += [(f"daemon: -o {options or 'nothing'}", lambda o=options: case([], o))
              for options in OURS]
    cases += [(f"daemon: -o {options}, packed rings", lambda o=options: case(["--packed"], o))
              for options in ("ring=split", "ring=packed,poll=irq", "poll=busy", "no-hugepages")]
    cases += [("daemon: -o no-hugepages, no INDIRECT, packed rings",
               lambda: case(["--no", "indirect", "--packed"], "no-hugepages"))]
    cases += [("daemon: -o no-hugepages, no INDIRECT",
               lambda: case(["--no", "indirect"], "no-hugepages")),
              ("device: null", null_device), ("device: a directory", directory)]
    run_cases(cases, at_once=2)


if __name__ == "__main__":
    sys.exit(main())
