# SPDX-License-Identifier: GPL-2.0-or-later
"""viofs and viofs-bench on shares with no mount, compared with the host's directory: viofs_tool.py
directory|c|rust."""

import json
import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time

from vhostlib import (C_VIRTIOFSD, RUST_VIRTIOFSD, Session, check, must, named, run, run_cases,
                      skip_all, wait_until)

BACKEND = sys.argv[1]
VIOFS = os.environ["VIOFS_TOOL"]
BENCH = os.environ["VIOFS_BENCH"]
MIB = 1 << 20
UMASK = 0o027
ODD = ["a\nb", "tab\there", "-r", " ", "$(x)", "\\n", "é漢", "n" * 255]
ODD_BYTES = [name.encode() for name in ODD] + [b"\xff\xfe", b"\x1b[31m"]


class Share(Session):
    """A directory, and a back end for each run of a program: it ends with its front end."""

    def __init__(self, backend=BACKEND, backend_args=()):
        super().__init__("device" if backend in ("directory", "null") else backend, backend_args)
        self.local = os.path.join(self.work, "local")
        os.mkdir(self.local)
        if backend == "directory":
            self.backend_args += ["--serve", self.share]
        elif backend == "null":
            self.backend_args += ["--serve", "null"]

    def __exit__(self, kind, value, trace):
        if kind:
            sys.stderr.write(self.backend_said())
        self.end_backend()
        return super().__exit__(kind, value, trace)

    def end_backend(self):
        """It goes with its front end; else something is wrong with one of them."""
        if not self.backend:
            return
        try:
            status = self.backend.wait(10)
        finally:
            if self.backend.poll() is None:
                self.backend.kill()
        said = self.backend_said()
        self.backend = None
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        check("DRIVER FAULT" not in said, said)
        check(status in (0, 1), f"the back end ended with {status}: {said}")

    def start(self, *words, program=VIOFS, **more):
        """viofs COMMAND SOURCE ARGUMENT..."""
        self.start_backend()
        argv = [program] + ([words[0]] if program == VIOFS else []) + ["vhost-user:" + self.socket]
        argv += words[1:] if program == VIOFS else words
        return subprocess.Popen(argv, stdin=more.pop("stdin", subprocess.DEVNULL),
                                stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE,
                                env=dict(self.environment(), LC_ALL="C.UTF-8"), umask=UMASK, **more)

    def viofs(self, *words, status=0, given=None, program=VIOFS):
        """Output and errors, both bytes; the exit status is checked."""
        with self.start(*words, program=program, stdin=subprocess.PIPE) as p:
            try:
                out, err = p.communicate(given, timeout=60)
            except subprocess.TimeoutExpired:
                p.kill()
                raise
        self.end_backend()
        check(p.returncode == status, f"{words}: status {p.returncode} where {status} is due: "
                                      f"{err.decode()[-800:]}")
        return out, err

    def path(self, *names):
        return os.path.join(self.share, *names)

    def write(self, name, data, mode=0o644):
        path = self.path(name)
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, mode)
        return path


def library_of(program):
    """The libviofs that @program is run with here."""
    lines = must(["ldd", program]).splitlines()
    return next(line.split()[2] for line in lines if "libviofs.so" in line)


def facts(top):
    """What a copy keeps, of everything below."""
    found = {}
    for folder, dirs, files in os.walk(os.fsencode(top)):
        for name in dirs + files + [b"."]:
            path = os.path.join(folder, name)
            s = os.lstat(path)
            entry = (s.st_mode, s.st_mtime_ns)
            if stat.S_ISREG(s.st_mode):
                with open(path, "rb") as f:
                    entry += (s.st_size, f.read())
            elif stat.S_ISLNK(s.st_mode):
                entry += (os.readlink(path),)
            found[os.path.relpath(path, os.fsencode(top))] = entry
    return found


def same(one, other, owner=False):
    """Is @other a copy of @one?"""
    first, second = facts(one), facts(other)
    if not owner:
        first = {path: (stat.S_IFMT(mode)
                        | (mode & 0o777 & ~UMASK if not stat.S_ISLNK(mode) else 0o777), *rest)
                 for path, (mode, *rest) in first.items()}
    for path in sorted(set(first) | set(second)):
        check(first.get(path) == second.get(path),
              f"{path}: {str(first.get(path))[:200]} is {str(second.get(path))[:200]}")


def make_tree(top):
    """Names, types, modes, sizes and times of all kinds."""
    random.seed(3)
    os.makedirs(os.path.join(top, "deep/er/and/er"), exist_ok=True)
    for i in range(300):
        folder = os.path.join(top, f"folder{i % 7}")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"file{i}")
        with open(path, "wb") as f:
            f.write(random.randbytes((0, 1, 4095, 4096, 65535, 65536, 65537, MIB, MIB + 1)[i % 9]
                                     if i < 36 else i * 7))
        os.chmod(path, (0o644, 0o600, 0o755, 0o6711, 0o444)[i % 5])
        os.utime(path, ns=(10**18 + i, 10**18 + 10**9 * i + i))
    for name in ODD_BYTES:
        with open(os.path.join(os.fsencode(top), b"deep", name), "wb") as f:
            f.write(name)
    os.mkfifo(os.path.join(top, "fifo"))
    os.symlink("folder1/file1", os.path.join(top, "link"))
    os.symlink("/nowhere/" + "x" * 3000, os.path.join(top, "dangling"))
    os.chmod(os.path.join(top, "folder2"), 0o700)
    for folder, _, _ in os.walk(top, topdown=False):
        os.utime(folder, ns=(10**18, 10**18 + 17))


def a_tree_goes_there_and_back_and_within():
    with Share() as s:
        tree, back = os.path.join(s.local, "tree"), os.path.join(s.local, "back")
        make_tree(tree)
        s.viofs("put", "-r", tree, "/")
        same(tree, s.path("tree"))
        s.viofs("put", "-r", "--owner", tree, "/owned")
        same(tree, s.path("owned"), owner=True)
        s.viofs("cp", "-r", "--owner", "owned", "/copy")
        same(tree, s.path("copy"), owner=True)
        s.viofs("get", "-r", "--verify", "copy", back)
        same(tree, back)
        s.viofs("rm", "-r", "tree", "/copy", "owned")
        check(not os.listdir(s.share), "rm -r has left something")


def a_tree_is_merged_into_what_is_there():
    with Share() as s:
        tree, back = os.path.join(s.local, "tree"), os.path.join(s.local, "back")
        make_tree(tree)
        s.viofs("put", "-r", tree, "/")
        for _ in range(2):
            s.viofs("get", "-r", "tree/.", back)
        same(tree, back)
        with open(os.path.join(tree, "folder1/file1"), "ab") as f:
            f.write(b"more")
        os.unlink(os.path.join(back, "link"))
        s.viofs("put", "-c", "-r", "--verify", tree, "/")
        s.viofs("get", "-c", "-r", "tree/.", back)
        same(tree, s.path("tree"))
        same(tree, back)


def make_traps(top):
    """What must not become root's: somebody's programs with set-user-ID and the like, and nodes of
    devices."""
    os.mkdir(top)
    for name, mode in (("suid", 0o4755), ("sgid", 0o2777), ("plain", 0o666)):
        path = os.path.join(top, name)
        with open(path, "wb") as f:
            f.write(b"x" * (MIB + 1 if name == "sgid" else 3))
        os.chown(path, 65534, 65533)
        os.chmod(path, mode)
    os.mkdir(os.path.join(top, "folder"))
    os.chown(os.path.join(top, "folder"), 65534, 65533)
    os.chmod(os.path.join(top, "folder"), 0o3777)
    os.mkfifo(os.path.join(top, "fifo"), 0o600)
    os.chmod(os.path.join(top, "fifo"), 0o4666)
    os.mknod(os.path.join(top, "null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(os.path.join(top, "loop"), stat.S_IFBLK | 0o660, os.makedev(7, 99))


def rights(top):
    found = {}
    for name in sorted(os.listdir(top)):
        s = os.lstat(os.path.join(top, name))
        found[name] = (oct(s.st_mode), s.st_uid, s.st_gid, s.st_rdev)
    return found


def set_user_id_and_devices_take_their_owner():
    plain = {"suid": (oct(stat.S_IFREG | 0o750), 0, 0, 0),
             "sgid": (oct(stat.S_IFREG | 0o750), 0, 0, 0),
             "plain": (oct(stat.S_IFREG | 0o640), 0, 0, 0),
             "folder": (oct(stat.S_IFDIR | 0o750), 0, 0, 0),
             "fifo": (oct(stat.S_IFIFO | 0o640), 0, 0, 0)}
    with Share() as s:
        make_traps(s.path("traps"))
        make_traps(os.path.join(s.local, "traps"))
        all_of_it = rights(s.path("traps"))
        for words, made in ((("get", "-r", "traps"), os.path.join(s.local, "plain")),
                            (("put", "-r", os.path.join(s.local, "traps")), s.path("put")),
                            (("cp", "-r", "traps"), s.path("copied"))):
            target = made if words[0] == "get" else "/" + os.path.basename(made)
            _, err = s.viofs(*words, target, status=1)
            check(err.count(b"Is a device node; --owner copies those.") == 2 and err.count(b"\n")
                  == 2, err)
            check(rights(made) == plain, f"{words}: {rights(made)}")
            s.viofs(words[0], "--owner", *words[1:], target + "-owned")
            check(rights(made + "-owned") == all_of_it,
                  f"{words}: {rights(made + '-owned')} of {all_of_it}")


def a_folder_that_is_there_keeps_its_rights():
    with Share() as s:
        target = os.path.join(s.local, "there")
        os.makedirs(s.path("d/inner"))
        s.write("d/f", b"1", 0o666)
        os.mkdir(target)
        os.mkdir(os.path.join(target, "inner"))
        os.chmod(target, 0o2700)
        os.chmod(os.path.join(target, "inner"), 0o1711)
        os.mkdir(s.path("d/new"))
        for name in ("d", "d/inner", "d/new"):
            os.chmod(s.path(name), 0o777)
        os.chown(target, -1, 65533)
        s.viofs("get", "-r", "d/.", target)
        modes = {name: oct(os.stat(os.path.join(target, name)).st_mode & 0o7777)
                 for name in (".", "inner", "new", "f")}
        check(modes == {".": "0o2700", "inner": "0o1711", "new": "0o2750", "f": "0o640"}, modes)
        s.viofs("get", "-r", "--owner", "d/.", target)
        check(os.stat(target).st_mode & 0o7777 == 0o777, "--owner has left a folder as it was")


def nothing_is_written_through_links():
    with Share() as s:
        target, outside = os.path.join(s.local, "target"), os.path.join(s.local, "outside")
        os.mkdir(s.path("d"))
        s.write("d/f", b"1")
        os.mkdir(outside)
        os.mkdir(target)
        os.symlink(outside, os.path.join(target, "d"))
        _, err = s.viofs("get", "-r", "d", target, status=1)
        check(b"Not a directory" in err or b"Too many levels" in err, err)
        check(not os.listdir(outside), "a link of the target was followed")


def holes_stay_holes():
    with Share() as s:
        with open(s.path("sparse"), "wb") as f:
            f.write(b"begin")
            f.seek(40 * MIB)
            f.write(b"x" * 5000)
            f.truncate(90 * MIB)
        out = os.path.join(s.local, "out")
        s.viofs("get", "--verify", "sparse", out)
        s.viofs("put", "--verify", out, "/again")
        for path in (out, s.path("again")):
            with open(path, "rb") as f, open(s.path("sparse"), "rb") as g:
                check(f.read() == g.read(), f"{path}: other data")
            check(os.stat(path).st_blocks * 512 < 20 * MIB,
                  f"{path}: {os.stat(path).st_blocks} blocks")


def cat_prints_and_stops_when_nobody_reads():
    with Share() as s:
        data = random.randbytes(9 * MIB + 11)
        s.write("big", data)
        s.write("small", b"small\n")
        out, _ = s.viofs("cat", "big", "small", "/big")
        check(out == data + b"small\n" + data, "other data")
        out, err = s.viofs("cat", "small", "nix", "small", status=1)
        check(out == b"small\n" * 2 and err.count(b"\n") == 1 and b"nix: No such file" in err, err)
        with s.start("cat", "big") as p:
            check(p.stdout.read(10) == data[:10], "other data")
            p.stdout.close()
            check(p.wait(10) == 0, f"status {p.returncode}: {p.stderr.read()}")
        s.end_backend()


def names_are_printed_safely():
    with Share() as s:
        for name in ODD_BYTES:
            with open(os.path.join(os.fsencode(s.share), name), "wb"):
                pass
        out, _ = s.viofs("ls", "-a")
        lines = out.splitlines()
        check(len(lines) == len(ODD_BYTES), out)
        for raw, shown in ((b"a\nb", b"a\\nb"), (b"\xff\xfe", b"\\377\\376"),
                           (b"\x1b[31m", b"\\033[31m"), (b"\\n", b"\\\\n"),
                           ("é漢".encode(), "é漢".encode())):
            check(shown in lines, f"{raw} is not shown as {shown}: {lines}")
        out, _ = s.viofs("ls", "-0")
        check(sorted(out.split(b"\0")[:-1]) == sorted(ODD_BYTES), out)
        check(not any(byte < 32 and byte != 10 for byte in s.viofs("tree")[0]),
              "a control character went through")
        _, err = s.viofs("cat", b"\x1b[31m/x", status=1)
        check(b"\x1b" not in err, err)


def looking():
    with Share() as s:
        os.makedirs(s.path("d/e"))
        s.write("d/f", b"12345", 0o640)
        os.utime(s.path("d/f"), ns=(10**18, 10**18 + 5))
        os.symlink("d/f", s.path("l"))
        out = s.viofs("ls", "-lR")[0].decode()
        check("-rw-r-----   1     0     0            5 2001-09-09" in out and "l -> d/f" in out
              and "/d/e:" in out, out)
        out = s.viofs("stat", "d/f")[0].decode()
        check("size    5" in out and "mode    0640" in out and "modify  2001-09-09" in out
              and ".000000005" in out, out)
        check("regular file" in s.viofs("stat", "-L", "l")[0].decode(), "-L")
        check(s.viofs("readlink", "/l")[0] == b"d/f\n", "readlink")
        out = s.viofs("tree")[0].decode()
        check("2 directories, 2 files" in out and "└── l -> d/f" in out, out)
        total = os.statvfs(s.share)
        out = s.viofs("df")[0].decode().splitlines()[1].split()
        check(int(out[0]) == total.f_blocks * total.f_frsize // 1024, out)


def changing_names():
    with Share() as s:
        s.viofs("mkdir", "-p", "a/b/c", "/a/b")
        s.viofs("mkdir", "-m", "2750", "m")
        check(os.stat(s.path("m")).st_mode & 0o7777 == 0o2750, "mkdir -m")
        s.write("f", b"f")
        s.viofs("mv", "f", "m", "a")
        check(sorted(os.listdir(s.path("a"))) == ["b", "f", "m"], "mv into a directory")
        s.viofs("ln", "a/f", "hard")
        check(os.stat(s.path("hard")).st_nlink == 2, "ln")
        s.viofs("ln", "-s", "a/f", "soft")
        _, err = s.viofs("ln", "-s", "other", "soft", status=1)
        check(b"File exists" in err, err)
        s.viofs("ln", "-sf", "other", "soft")
        check(os.readlink(s.path("soft")) == "other" and len(os.listdir(s.share)) == 3,
              os.listdir(s.share))
        s.viofs("chmod", "600", "hard")
        check(os.stat(s.path("a/f")).st_mode & 0o777 == 0o600, "chmod")
        _, err = s.viofs("rm", "a", status=1)
        check(b"Is a directory" in err, err)
        s.viofs("rm", "-f", "nix", "soft")
        s.viofs("rmdir", "a/m", "a/b/c")
        _, err = s.viofs("rmdir", "a", status=1)
        check(b"not empty" in err, err)
        _, err = s.viofs("cp", "-r", "a", "a/b", status=1)
        check(b"into itself" in err, err)
        s.viofs("rm", "-r", "a")
        check(os.listdir(s.share) == ["hard"], os.listdir(s.share))


def errors_name_the_path_and_others_go_on():
    with Share() as s:
        s.write("one", b"1")
        s.write("two", b"2")
        os.mkdir(s.path("dir"))
        _, err = s.viofs("get", "one", "nix", "dir", "two", s.local, status=1)
        check(b"nix: No such file" in err and b"dir: Is a directory" in err and err.count(b"\n")
              == 2, err)
        check(sorted(os.listdir(s.local)) == ["one", "two"], os.listdir(s.local))
        _, err = s.viofs("get", "one", "two", "nowhere", status=1)
        check(b"Not a directory" in err, err)
        for words in (["foo"], ["ls", "--foo", "x"], ["get", "x"], ["cat"]):
            status, out = run([VIOFS] + words)
            check(status == 2 and "viofs:" in out, f"{words}: {status}, {out}")
        status, out = run([VIOFS, "ls", "vhost-user:" + s.work + "/nobody"])
        check(status == 1 and "nobody" in out, out)
        check(run([VIOFS, "get", "--help"])[0] == 0 and run([VIOFS, "--help"])[0] == 0, "--help")


def wait_for_bytes(path, least):
    wait_until(lambda: os.path.exists(path) and os.stat(path).st_size >= least, 20,
               f"{least} bytes of {path}")


def cut_off(s, words, part, number):
    """A copy that is under way is ended by a signal."""
    with s.start(*words) as p:
        wait_for_bytes(part, 24 * MIB)
        p.send_signal(number)
        p.wait(20)
        check(p.returncode == (-9 if number == signal.SIGKILL else 130),
              f"status {p.returncode}: {p.stderr.read()}")
    s.end_backend()


def a_copy_is_resumed_after_kill_and_interrupt():
    size = 64 * MIB + 12345
    slow = ["--latency", "30000"]
    for number in (signal.SIGKILL, signal.SIGINT):
        for direction in ("get", "put"):
            with Share(backend_args=slow) as s:
                there, here = s.path("big"), os.path.join(s.local, "big")
                source, target = (there, here) if direction == "get" else (here, there)
                with open(source, "wb") as f:
                    f.write(random.randbytes(size))
                words = ("big", s.local) if direction == "get" else (here, "/")
                cut_off(s, (direction, *words), target + ".part", number)
                check(not os.path.exists(target), "a part has the whole's name")
                s.backend_args = [a for a in s.backend_args if a not in slow]
                with open(target + ".part", "r+b") as f:
                    f.seek(100)
                    f.write(b"*")  # far below the end: it is taken as it is
                s.viofs(direction, "-c", *words)
                with open(source, "rb") as f, open(target, "rb") as g:
                    one, other = f.read(), g.read()
                check(other[100:101] == b"*", "all was copied anew")
                check(one[101:] == other[101:] and one[:100] == other[:100], "other data")
                check(not os.path.exists(target + ".part"), "the part was left")


def what_a_starter_has_switched_off_ends_no_copy():
    """nohup's SIGHUP, and a script's background job's SIGINT."""
    for number in (signal.SIGHUP, signal.SIGINT):
        with Share(backend_args=["--latency", "30000"]) as s:
            data = random.randbytes(64 * MIB)
            s.write("big", data)
            target = os.path.join(s.local, "big")
            with s.start("get", "big", s.local,
                         preexec_fn=lambda n=number: signal.signal(n, signal.SIG_IGN)) as p:
                wait_for_bytes(target + ".part", 8 * MIB)
                p.send_signal(number)
                p.communicate(timeout=60)
            check(p.returncode == 0, f"status {p.returncode}")
            with open(target, "rb") as f:
                check(f.read() == data, "other data")
            s.end_backend()


def a_limit_of_file_sizes_is_an_error():
    """SIGXFSZ would leave the device where it is."""
    with Share() as s:
        s.write("big", random.randbytes(3 * MIB))
        top = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        with s.start("get", "big", s.local,
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, top))) as p:
            _, err = p.communicate(timeout=30)
        check(p.returncode == 1 and b"File too large" in err, f"status {p.returncode}: {err}")
        s.end_backend()


def a_part_of_another_file_is_no_part():
    with Share() as s:
        data = random.randbytes(3 * MIB)
        source, target = s.write("big", data), os.path.join(s.local, "big")
        with open(target + ".part", "wb") as f:
            f.write(b"older" * 100000)
        os.utime(target + ".part", ns=(10**18, 10**18))
        s.viofs("get", "-c", "big", s.local)
        with open(target, "rb") as f:
            check(f.read() == data, "a part that is older than the file was taken")
        before = os.stat(target)
        s.viofs("get", "-c", "big", s.local)
        check(os.stat(target).st_ctime_ns == before.st_ctime_ns, "what was whole was copied again")
        check(os.stat(source).st_mtime_ns == before.st_mtime_ns, "times")


def what_is_read_back_otherwise_is_an_error():
    with Share("null") as s:
        path = os.path.join(s.local, "data")
        with open(path, "wb") as f:
            f.write(random.randbytes(100000))
        _, err = s.viofs("put", "--verify", path, "/data", status=1)
        check(b"differs from what was written" in err, err)


def a_tree_in_flight_with_faults():
    """Replies in any order, and single ones that are lies: their files are named, all others
    come."""
    with Share("directory", ["--shuffle", "--latency", "200"]) as s:
        make_tree(s.path("tree"))
        s.viofs("get", "-r", "tree", s.local)
        same(s.path("tree"), os.path.join(s.local, "tree"))
        shutil.rmtree(os.path.join(s.local, "tree"))
        s.backend_args += ["--evil", "error-min@OPEN"]
        _, err = s.viofs("get", "-r", "tree", s.local, status=1)
        check(err.count(b"\n") == 1 and b"viofs: get: /tree/" in err, err)
        missing = set(facts(s.path("tree"))) - set(facts(os.path.join(s.local, "tree")))
        check(len(missing) == 1, missing)


def a_device_that_goes_ends_it_soon():
    with Share("directory", ["--evil", "close@READ"]) as s:
        make_tree(s.path("tree"))
        start = time.monotonic()
        _, err = s.viofs("get", "-r", "-q", "tree", s.local, status=1)
        check(time.monotonic() - start < 10, "it took too long")
        check(b"the device is lost" in err, err[:400])


def shell_and_raw():
    with Share() as s:
        os.mkdir(s.path("d"))
        s.write("d/f", b"in f\n")
        script = b"""
# a comment
cd d
pwd
cat f
ls -l '..'
raw GETATTR nodeid=1
raw LOOKUP nodeid=1 name=d
raw LOOKUP nodeid=1 name=nix
mkdir "a b" c\\ d $'e\\nf'
cd ../d/..
pwd
"""
        out = s.viofs("shell", given=script, status=1)[0].decode()
        check("/d\nin f\n" in out and out.endswith("/\n"), out)
        check("GETATTR (3) nodeid 1" in out and "reply: 104 bytes" in out and "(040" in out, out)
        check("reply: 128 bytes" in out and "entry_valid" in out
              and "error -2, No such file" in out, out)
        check(sorted(os.listdir(s.path("d"))) == ["a b", "c d", "e\nf", "f"],
              os.listdir(s.path("d")))
        out, err = s.viofs("shell", given=b"nix\nls 'x\nraw FOO\nraw GETATTR foo=1\nraw INIT\n",
                           status=1)
        for text in (b'no command "nix"', b"A quote is missing", b'no opcode "FOO"',
                     b'no field "foo"', b"for the session"):
            check(text in err, err)
        check(s.viofs("shell", given=b"cat d/f\nexit\nnix\n")[0] == b"in f\n", "exit")
        out = s.viofs("raw", "STATFS", "nodeid=1")[0]
        check(b"namelen" in out and b"reply: 80 bytes" in out, out)


def probe_tells_what_the_device_can():
    with Share() as s:
        os.mkdir(s.path("sub"))
        s.write("sub/f", b"f")
        found = json.loads(s.viofs("probe", "--json", "/sub")[0])
        check(os.listdir(s.path("sub")) == ["f"], f"probe has left {os.listdir(s.path('sub'))}")
        can = {row["opcode"]: row["supported"] for row in found["opcodes"]}
        for name in ("LOOKUP", "GETATTR", "READ", "WRITE", "CREATE", "READDIRPLUS", "RENAME2",
                     "SETXATTR", "READLINK",
                     "RMDIR", "FORGET", "BATCH_FORGET"):
            check(can.get(name) is True, f"{name}: "
                                         f"{[r for r in found['opcodes'] if r['opcode'] == name]}")
        check(can["STATX"] is False and not found["lost"] and not found["quirks"], found["quirks"])
        check(found["init"]["device_minor"] >= 36 and "ASYNC_READ" in found["init"]["answered"],
              found["init"])
        before = facts(s.share)
        found = json.loads(s.viofs("probe", "--json", "--read-only")[0])
        check(facts(s.share) == before, "--read-only has changed something")
        check("CREATE" not in {row["opcode"] for row in found["opcodes"]}, "--read-only creates")
        table = s.viofs("probe")[0].decode()
        check("INIT answered" in table and "READDIRPLUS" in table, table)


def probe_finds_a_liar():
    with Share("directory", ["--evil", "payload-short@STATFS*", "--posix-locks"]) as s:
        found = json.loads(s.viofs("probe", "--json")[0])
        row = [r for r in found["opcodes"] if r["opcode"] == "STATFS"][0]
        check(not row["supported"] or any("STATFS" in q for q in found["quirks"]), found)
        row = [r for r in found["opcodes"] if r["opcode"] == "INTERRUPT"][0]
        check(row["supported"] and "EINTR" in row["note"], row)


def bench_measures():
    with Share("null") as s:
        row = json.loads(s.viofs("-t", "0.3", "-d", "4", "--json", "--histogram", program=BENCH)[0])
        check(row["ops"] > 100 and row["errors"] == 0 and 0 < row["median_us"] <= row["p99_us"]
              <= row["p9999_us"], row)
        check(sum(n for _, n in row["histogram_ns"]) == row["ops"], "the histogram lacks some")
        row = json.loads(s.viofs("-n", "1000", "-j", "2", "-d", "2", "--json", program=BENCH)[0])
        check(2000 <= row["ops"] <= 2004, row["ops"])
    with Share() as s:
        words = ["-o", "read=2,write=1,getattr=1", "-f", "/data", "-p", "-s", "2m", "-t", "0.3",
                 "-d", "4", "--json"]
        row = json.loads(s.viofs(*words, program=BENCH)[0])
        check(row["bytes"] > 0 and os.stat(s.path("data")).st_size == 2 * MIB, row)
        _, err = s.viofs("-o", "read", "-f", "nix", "-t", "0.1", program=BENCH, status=1)
        check(b"nix" in err, err)


def an_ordinary_user_needs_no_root():
    nobody = 65534
    with Share() as s:
        runtime = os.path.join(s.local, "runtime")
        os.mkdir(runtime)
        os.chown(runtime, nobody, nobody)
        s.write("file", b"contents")
        for path in (s.work, s.local):
            os.chmod(path, 0o755)
        program = shutil.copy(VIOFS, s.local)  # where anybody can execute it
        libraries = os.path.join(s.local, "lib")
        shutil.copytree(os.path.dirname(os.path.realpath(library_of(VIOFS))), libraries,
                        ignore=lambda _,
                        names: [n for n in names if not n.startswith("libviofs.so")])

        def cat(**environment):
            s.start_backend()
            os.chmod(s.socket, 0o666)
            return run([program, "cat", "vhost-user:" + s.socket, "file"], user=nobody,
                       group=nobody, extra_groups=[],
                       env={"LD_LIBRARY_PATH": libraries, **environment})
        status, out = cat(XDG_RUNTIME_DIR=runtime)
        s.end_backend()
        check(status == 0 and out == "contents", out)
        check(not os.listdir(runtime), f"{os.listdir(runtime)} is left")
        os.makedirs("/run/virtiofs-vfio", mode=0o755, exist_ok=True)  # as a daemon of root's has it
        status, out = cat()
        if not os.listdir("/run/virtiofs-vfio"):
            os.rmdir("/run/virtiofs-vfio")
        check(status == 1 and "XDG_RUNTIME_DIR" in out, out)
        s.backend.kill()
        s.backend.wait(10)
        s.backend = None


ALL = [a_tree_goes_there_and_back_and_within, a_tree_is_merged_into_what_is_there,
       nothing_is_written_through_links,
       set_user_id_and_devices_take_their_owner, a_folder_that_is_there_keeps_its_rights,
       holes_stay_holes, cat_prints_and_stops_when_nobody_reads, names_are_printed_safely, looking,
       changing_names,
       errors_name_the_path_and_others_go_on, a_part_of_another_file_is_no_part, shell_and_raw,
       probe_tells_what_the_device_can, bench_measures]
OWN = [a_copy_is_resumed_after_kill_and_interrupt, what_a_starter_has_switched_off_ends_no_copy,
       a_limit_of_file_sizes_is_an_error, what_is_read_back_otherwise_is_an_error,
       a_tree_in_flight_with_faults,
       a_device_that_goes_ends_it_soon, probe_finds_a_liar, an_ordinary_user_needs_no_root]


def main():
    if os.geteuid():
        skip_all("not root: back ends and owners need it")
    if BACKEND == "c" and not os.path.exists(C_VIRTIOFSD):
        skip_all(f"no {C_VIRTIOFSD}: install qemu-system-common")
    if BACKEND == "rust" and not os.path.exists(RUST_VIRTIOFSD):
        skip_all("no Rust virtiofsd: tools/vm fetches it")
    os.umask(0o022)
    wanted = sys.argv[2:]
    cases = [f for f in ALL + (OWN if BACKEND == "directory" else []) if not wanted
             or f.__name__ in wanted]
    run_cases(named(cases))


if __name__ == "__main__":
    main()
