#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""fio with the engine on libviofs: what it writes is there, what is wrong is said, and a lost
device ends it."""

import json
import os
import shutil
import subprocess
import time

from vhostlib import RUST_VIRTIOFSD, Session, check, named, run, run_cases, skip_all, wait_until

ENGINE = os.environ["VIOFS_FIO_ENGINE"]
MIB = 1 << 20


class Share(Session):
    """A directory behind a back end, which ends with its front end."""

    def __init__(self, backend):
        super().__init__("device" if backend == "directory" else backend)
        if backend == "directory":
            self.backend_args += ["--serve", self.share]

    def argv(self, *options, engine=ENGINE, thread=("--thread",)):
        named_source = [] if any(o.startswith("--source")
                                 for o in options) else [f"--source=vhost-user:{self.socket}"]
        return ["fio", "--ioengine=external:" + engine, *thread, "--name=job",
                "--output-format=json", *named_source,
                *(o for o in options if o != "--source")]

    def fio(self, *options):
        """A run that has to be good: its record. What comes before that are messages."""
        self.start_backend()
        status, out = run(self.argv(*options), 60, cwd=self.work, env=self.environment())
        self.backend.wait(10)
        check(status == 0, f"fio ended with {status}: {out[-800:]}")
        check(not os.path.exists(os.path.join(self.work, "file")),
              "fio has made a file here, not on the share")
        return json.loads(out[out.index("{"):])

    def fails(self, said, *options, **how):
        """A run that can't be good, and says why."""
        status, out = run(self.argv(*options, **how), 15, cwd=self.work)
        check(status == 1 and said in out, f"status {status}, '{said}' is not in: {out}")

    def file(self, name="file"):
        return os.path.join(self.share, name)


def both(function):
    """With the project's own device, and with virtiofsd."""
    def case():
        for backend in ("directory", "rust"):
            with Share(backend) as s:
                function(s)
    case.__name__ = function.__name__
    return case


@both
def what_is_written_is_read_again_and_is_in_the_file(s):
    job = s.fio("--filename=file", "--rw=randwrite", "--bs=4k", "--iodepth=8", "--size=8m",
                "--verify=crc32c",
                "--fsync=64", "--fdatasync=100")["jobs"][0]
    check(job["error"] == 0 and job["write"]["io_bytes"] == 8 * MIB,
          f"{job['write']['io_bytes']} bytes written")
    check(job["read"]["io_bytes"] == 8 * MIB, f"{job['read']['io_bytes']} bytes verified")
    check(job["sync"]["total_ios"] > 0, "no fsync")
    check(job["iodepth_level"]["8"] > 50, "there were not 8 in flight")
    # fio itself, by the kernel, on the host's file: each block has its sum and the place that it is
    # for.
    status, out = run(["fio", "--name=job", "--ioengine=psync", "--filename=" + s.file(),
                       "--rw=randwrite", "--bs=4k",
                       "--size=8m", "--verify=crc32c", "--verify_only"], 30, cwd=s.work)
    check(status == 0, "the host's file: " + out[-800:])


@both
def what_the_host_has_changed_is_found(s):
    s.fio("--filename=file", "--rw=write", "--bs=64k", "--size=1m", "--verify=crc32c")
    with open(s.file(), "r+b") as f:
        f.seek(300000)
        f.write(b"wrong")
    s.start_backend()
    s.fails("verify", "--filename=file", "--rw=write", "--bs=64k", "--size=1m", "--verify=crc32c",
            "--verify_only")


@both
def files_that_are_to_be_read_are_made_on_the_share(s):
    job = s.fio("--filename=file", "--rw=randread", "--bs=16k", "--iodepth=8",
                "--size=2m")["jobs"][0]
    check(os.path.getsize(s.file()) == 2 * MIB, "the file was not made")
    check(job["read"]["io_bytes"] == 2 * MIB and job["read"]["short_ios"] == 0, "bytes are missing")
    again = s.fio("--filename=file", "--rw=read", "--bs=1m", "--direct=1")["jobs"][0]
    check(again["read"]["io_bytes"] == 2 * MIB, "the file's own size was not taken")


@both
def jobs_share_a_device(s):
    jobs = s.fio("--numjobs=3", "--rw=randrw", "--bs=4k", "--iodepth=8", "--size=1m",
                 "--unlink=1")["jobs"]
    check(len(jobs) == 3 and all(j["error"] == 0 for j in jobs), "a job failed")
    check(os.listdir(s.share) == [], f"left: {os.listdir(s.share)}")


def what_makes_no_sense_is_refused():
    with Share("directory") as s:
        s.fails("jobs must be threads", "--rw=read", "--size=1m", thread=())
        s.fails("source= is missing", "--rw=read", "--size=1m", "--source")
        s.fails("No such file", "--rw=read", "--size=1m", "--source=vhost-user:/nowhere/sock")
        s.fails("fill_device=", "--rw=write", "--size=1m", "--fill_device=1")
        s.start_backend()
        s.fails("job.0.0", "--rw=read", "--size=1m", "--allow_file_create=0")


def an_engine_for_another_fio_says_so():
    with Share("directory") as s:
        version = subprocess.check_output(["fio", "--version"]).strip()
        other = os.path.join(s.work, "other.so")
        with open(ENGINE, "rb") as f:
            data = f.read()
        check(data.count(version + b"\0") == 1, "the engine names no version, or more than one")
        with open(other, "wb") as f:
            f.write(data.replace(version + b"\0", b"x" * len(version) + b"\0"))
        s.fails("made for xxx", "--rw=read", "--size=1m", engine=other)


def a_back_end_that_dies_ends_the_run():
    with Share("directory") as s:
        s.start_backend()
        with subprocess.Popen(s.argv("--filename=file", "--rw=randrw", "--bs=4k", "--iodepth=8",
                                     "--size=4m",
                                     "--time_based", "--runtime=30"), cwd=s.work,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
            try:
                wait_until(lambda: os.path.exists(s.file()) and os.path.getsize(s.file()) == 4
                           * MIB, 10, "the file")
                time.sleep(1)
                check(p.poll() is None, "fio has ended by itself")
                s.kill_backend()
                start = time.monotonic()
                out = p.communicate(timeout=10)[0].decode()
            finally:
                p.kill()
        took = time.monotonic() - start
        check(p.returncode == 1 and took < 5, f"fio ended with {p.returncode} after {took:.1f} s")
        check("closed its socket" in out, out[:800])


def main():
    if os.geteuid():
        skip_all("not root")
    for program, how in ((ENGINE, "tools/fio-engine makes it"),
                         (RUST_VIRTIOFSD, "tools/test fetches it")):
        if not os.path.exists(program):
            skip_all(f"no {program}: {how}")
    if not shutil.which("fio"):
        skip_all("no fio")
    run_cases(named([what_is_written_is_read_again_and_is_in_the_file,
                     what_the_host_has_changed_is_found,
                     files_that_are_to_be_read_are_made_on_the_share, jobs_share_a_device,
                     what_makes_no_sense_is_refused, an_engine_for_another_fio_says_so,
                     a_back_end_that_dies_ends_the_run]))


if __name__ == "__main__":
    main()
