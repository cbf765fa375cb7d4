# SPDX-License-Identifier: GPL-2.0-or-later
"""Both channels to the kernel, in each way to wait: what a mount is for, and every way it can
end."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time

from vhostlib import Session, check, is_mounted, must, need_root, python, run, run_cases, wait_until

ENABLE = "/sys/module/fuse/parameters/enable_uring"
DIO_INTO_MAP = os.environ["VIOFS_DIO_INTO_MAP"]
# Of the kernel's INIT flags: its end of a direct read may wait for a page only with this one.
ASYNC_DIO = 1 << 15


class Uring:
    """FUSE over io_uring switched on, or off, and as it was afterwards."""

    def __init__(self, value="Y"):
        self.value = value

    def __enter__(self):
        with open(ENABLE, encoding="ascii") as f:
            self.before = f.read()
        self.write(self.value)

    def __exit__(self, kind, value, trace):
        self.write(self.before)

    @staticmethod
    def write(value):
        with open(ENABLE, "w", encoding="ascii") as f:
            f.write(value)


def why_not():
    """None, or why this kernel's io_uring channel can't be tested."""
    if not os.path.exists(ENABLE):
        return "this kernel has no FUSE over io_uring"
    try:
        with Uring():
            return None
    except OSError as e:
        return f"{ENABLE}: {e.strerror}"


def session(options, *args, channel="uring"):
    """A mount whose requests come that way, and no other."""
    s = Session(backend_args=["--strict", *args], options=f"channel={channel},restarts=0,{options}")
    try:
        s.mount()
        check_channel(s, channel)
    except Exception:
        s.__exit__(*sys.exc_info())
        raise
    return s


def check_channel(s, channel):
    status = must([os.environ["VIOFS_CTL"], "status", s.mnt])
    check(f"channel {channel}," in status, status)


def requests(s):
    """Of the device's request queues, so far."""
    return sum(q["popped"] for q in s.stats()["queues"][1:])


def work(s):
    """Names, contents, attributes; all sizes of transfers; several at a time."""
    python("""
import ctypes, os, sys, threading
os.chdir(sys.argv[1])
for size in (0, 1, 80, 4095, 4096, 4097, 65536, 1 << 20, 5 * (1 << 20) + 17):
    data = os.urandom(size)
    with open('f', 'wb', buffering=0) as f:
        assert f.write(data) == size if size < 1 << 20 else True
        if size >= 1 << 20:
            f.seek(0); f.truncate()
            view = memoryview(data)
            while view:
                view = view[f.write(view):]
    fd = os.open('f', os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    got = b''
    while len(got) < size:
        got += os.read(fd, size)
    assert got == data, size
    os.close(fd)
name = 'n' * 255
open(name, 'w').close()
os.rename(name, 'm' * 255)
os.symlink('t' * 4000, 'link')
assert os.readlink('link') == 't' * 4000
for size in (1, 100, 5000, 65536):
    os.setxattr('f', 'user.x', b'v' * size)
    assert os.getxattr('f', 'user.x') == b'v' * size
assert os.listxattr('f') == ['user.x']
def many(i):
    for j in range(100):
        with open(f'{i}.{j}', 'wb') as f:
            f.write(bytes([i]) * 5000)
        with open(f'{i}.{j}', 'rb') as f:
            assert f.read() == bytes([i]) * 5000
        if j % 2:
            os.unlink(f'{i}.{j}')
threads = [threading.Thread(target=many, args=(i,)) for i in range(6)]
[t.start() for t in threads]
[t.join() for t in threads]
assert len(os.listdir('.')) == 6 * 50 + 3
for n in os.listdir('.'):
    os.unlink(n)
""", s.mnt, timeout=60)
    must(["fio", f"--directory={s.mnt}", "--name=v", "--size=4m", "--rw=randrw", "--bs=4k-1m",
          "--ioengine=libaio", "--iodepth=8", "--direct=1", "--numjobs=2", "--verify=crc32c",
          "--minimal"], 60, cwd=s.work)


def works(channel, poll):
    with session(f"poll={poll}", "--queues", "2", "--shuffle", channel=channel) as s:
        work(s)
        s.umount()
        check(s.backend.wait(10) == 0, s.backend_said())


def completions_that_wait_for_pages(channel, poll, options="lanes=1"):
    """The deadlock that dio_into_map is about. Its end comes after 45 s of standing still."""
    with session(f"poll={poll},{options}", "--queues", "2", "--init", f"flags={ASYNC_DIO}",
                 channel=channel) as s:
        must([DIO_INTO_MAP, s.mnt, "2"], 110)
        s.umount()


def reads_end_in_the_readers_thread():
    """Where that is asked for: no user can hold up a thread of ours by pages that he keeps
    locked."""
    for options, agreed in (("poll=irq", True), ("poll=irq,no-async-dio", False)):
        with session(options, "--init", f"flags={ASYNC_DIO}", channel="dev") as s:
            status = json.loads(must([os.environ["VIOFS_CTL"], "status", "--json", s.mnt]))
            check(("ASYNC_DIO" in status["init"]["flags"]) == agreed,
                  f"{options}: {status['init']['flags']}")
            must(["fio", f"--directory={s.mnt}", "--name=v", "--size=1m", "--rw=randrw",
                  "--ioengine=libaio", "--iodepth=8",
                  "--direct=1", "--verify=crc32c", "--minimal"], 60, cwd=s.work)
            s.umount()


def hold_requests(s):
    """The device answers nothing any more; some wait for it. Return: those who wait."""
    must(["touch", s.path("file")])
    s.control("evil silent@GETATTR*")
    waiting = [subprocess.Popen([sys.executable, "-c",
                                 "import os, sys; os.open(sys.argv[1] + '/file',"
                                 "os.O_RDONLY); os.statvfs(sys.argv[1]); os.stat(sys.argv[1] + "
                                 "'/file')",
                                 s.mnt], stderr=subprocess.DEVNULL) for _ in range(4)]
    before = time.monotonic()
    while requests(s) == 0 or time.monotonic() - before < 0.3:
        time.sleep(0.01)
    return waiting


def all_end(waiting, seconds=5):
    for child in waiting:
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            raise


def worker_of(s):
    with open(f"/proc/{s.daemon.pid}/task/{s.daemon.pid}/children", encoding="ascii") as f:
        return int(f.read().split()[0])


def ended_by_fusectl(s):
    with open("/proc/self/mountinfo", encoding="ascii") as f:
        device = [line.split()[2] for line in f if line.split()[4] == s.mnt][0].split(":")[1]
    control = os.path.join(s.work, "fusectl")
    os.makedirs(control)
    must(["mount", "-t", "fusectl", "none", control])
    try:
        with open(os.path.join(control, device, "abort"), "w", encoding="ascii") as f:
            f.write("1")
    finally:
        must(["umount", control])


def ended_by_force(s):
    run(["umount", "-f", s.mnt])  # busy, but by then all is aborted


def ended_by_two_signals(s):
    s.daemon.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    s.daemon.send_signal(signal.SIGTERM)


def ended_by_viofsctl(s):
    must([os.environ["VIOFS_CTL"], "abort", s.mnt])


def ended_by_death_of_the_worker(s):
    os.kill(worker_of(s), signal.SIGKILL)


def ended_by_death_of_the_back_end(s):
    s.kill_backend()
    wait_until(lambda: "The device is lost" in s.said(), 5, "the loss is said")
    status, out = run(["ls", s.mnt], 5)
    check(status and "Input/output error" in out, f"ls of a lost device: {status}: {out}")
    run(["umount", "-l", s.mnt])


ENDS = [ended_by_fusectl, ended_by_force, ended_by_two_signals, ended_by_viofsctl,
        ended_by_death_of_the_worker, ended_by_death_of_the_back_end]


def ends(how, poll):
    """With requests at the device: nobody is left waiting, and nothing is left."""
    with session(f"poll={poll}") as s:
        waiting = hold_requests(s)
        how(s)
        all_end(waiting)
        run(["umount", "-l", s.mnt])
        s.daemon.wait(20)
        check(not is_mounted(s.mnt), "the mount is still there")


def sigterm_loses_nothing(poll):
    with session(f"poll={poll}") as s:
        must(["dd", "if=/dev/zero", f"of={s.path('dirty')}", "bs=1M", "count=20", "status=none"])
        s.daemon.send_signal(signal.SIGTERM)
        s.ends(0, 20)


def death_of_both(poll):
    with session(f"poll={poll}") as s:
        waiting = hold_requests(s)
        worker = worker_of(s)
        s.daemon.kill()
        os.kill(worker, signal.SIGKILL)
        all_end(waiting)
        status, out = run(["ls", s.mnt], 5)
        check(status and "not connected" in out, out)
        must(["umount", s.mnt])
        s.daemon.wait(10)


def idle_takes_no_time(channel, poll):
    def ticks(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    with session(f"poll={poll}", channel=channel) as s:
        worker = worker_of(s)
        must(["ls", s.mnt])
        time.sleep(0.5)
        before = ticks(worker)
        time.sleep(2)
        check(ticks(worker) - before <= 1, f"{ticks(worker) - before} ticks in 2 s of nothing")
        s.umount()


def enabling_is_said():
    with Uring("N"):
        with Session(options="channel=uring") as s:
            out = s.refuse()
            check("enable_uring" in out and "echo Y" in out, out)
            s.backend.kill()
        with Session(options="") as s:
            s.mount()
            must(["ls", s.mnt])
            s.umount()


def locks_go_over_dev_fuse():
    with Session(backend_args=["--posix-locks"], options="channel=uring") as s:
        s.mount()
        check("file locks" in s.said(), s.said())
        must(["touch", s.path("a")])
        s.umount()


def a_stopped_worker_is_noticed():
    """Nothing shows at /dev/fuse there: its lanes are to have turns, and have none."""
    with session("poll=irq,timeout=1,lanes=2", "--no-cache", "--queues", "2") as s:
        time.sleep(3)  # idle, they have
        check(s.daemon.poll() is None, s.said())
        s.stop_worker()
        run(["stat", s.path("x")], 15)
        s.ends(1, 5)
        check("it is killed" in s.said(), s.said())


def run_on_both(cases, at_once=1, alone=()):
    """As run_cases(), with FUSE over io_uring switched on; where this kernel has it not, those that
    it is for are skipped."""
    reason = why_not()

    def possible(cases):
        return [(f"{name} # SKIP {reason}", lambda: None) if reason and name.startswith("uring")
                else (name, function)
                for name, function in cases]

    with contextlib.nullcontext() if reason else Uring():
        run_cases(possible(cases), at_once, possible(alone))


def main():
    need_root()
    polls = ["adaptive", "busy", "irq"]
    cases = [(f"{channel}, {poll}: it works", lambda c=channel, p=poll: works(c, p))
             for channel, poll in itertools.product(["uring", "dev"], polls)]
    cases += [(f"{channel}, {poll}: ends of reads wait for pages",
               lambda c=channel, p=poll: completions_that_wait_for_pages(c, p))
              for channel, poll in (("uring", "adaptive"), ("uring", "irq"), ("dev", "irq"))]
    cases += [(f"uring, {poll}: {how.__name__.replace('_', ' ')}", lambda h=how, p=poll: ends(h, p))
              for how, poll in zip(ENDS, itertools.cycle(polls))]
    cases += [("uring: SIGTERM loses nothing", lambda: sigterm_loses_nothing("adaptive")),
              ("uring: both processes die", lambda: death_of_both("irq")),
              ("uring, adaptive: idle takes no time",
               lambda: idle_takes_no_time("uring", "adaptive")),
              ("dev, irq: idle takes no time", lambda: idle_takes_no_time("dev", "irq")),
              ("dev, irq: reads end in the reader's thread", reads_end_in_the_readers_thread),
              ("uring: not with locks of the device", locks_go_over_dev_fuse),
              ("uring, irq: a stopped worker is noticed", a_stopped_worker_is_noticed)]
    run_on_both(cases, at_once=2, alone=[("uring: how to enable it is said", enabling_is_said)])


if __name__ == "__main__":
    sys.exit(main())
