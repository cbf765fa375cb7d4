# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/test --suites-of-others with two small stand-ins, which behave as pjdfstest and xfstests
do. TAP."""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(HERE, "../../../tests/vhost")]

import others_results as results  # noqa: E402
# noqa: E402
from vhostlib import C_VIRTIOFSD, RUST_VIRTIOFSD, check, named, need_root, run_cases, skip_all

# As pjdfstest's: in TAP, beside a program that is built, in the current directory.
TESTS = {
    "chmod/00.t": "echo 1..3\ntouch f && chmod 0640 f && [ $(stat -c %a f) = 640 ] && echo ok 1\n"
                  "[ $(stat -f -c %t .) = 65735546 ] && echo ok 2 || echo not ok 2\necho not ok 3 "
                  "- as ever\n",
    "chmod/01.t": "echo 1..2\necho ok 1\n",
    "open/00.t": "echo 1..1\necho 'not ok 1 # TODO some day'\n",
}
# As xfstests': mounts and unmounts by the names in local.config, and ends with a summary.
CHECK = """#!/bin/bash
. ./local.config
[[ $* == "-g generic/quick" ]] || exit 2
for i in 1 2; do
	mount -t $FSTYP$FUSE_SUBTYP $MOUNT_OPTIONS $TEST_DEV $TEST_DIR || exit 1
	mount -t $FSTYP$FUSE_SUBTYP $MOUNT_OPTIONS $SCRATCH_DEV $SCRATCH_MNT || exit 1
	echo $i >>$TEST_DIR/times
	umount $SCRATCH_MNT
	umount $TEST_DIR
	sleep 1
done
mount -t $FSTYP$FUSE_SUBTYP $TEST_DEV $TEST_DIR && [[ $(wc -l <$TEST_DIR/times) == 2 ]] || exit 1
echo "generic/001 1s ...  1s"
echo "generic/732 [failed, exit status 1]- output mismatch (see ...)"
echo "Ran: generic/001 generic/003 generic/732"
echo "Not run: generic/003"
echo "Failures: generic/732"
echo "Failed 1 of 3 tests"
"""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o755)


def run_both(work, known):
    """(exit status, output) of the stand-ins."""
    for name, text in TESTS.items():
        write(os.path.join(work, "pjd/tests", name), text)
    write(os.path.join(work, "pjd/pjdfstest"), "#!/bin/sh\n")
    write(os.path.join(work, "xfs/check"), CHECK)
    write(os.path.join(work, "xfs/ltp/fsstress"), "#!/bin/sh\n")
    os.makedirs(os.path.join(work, "xfs/tests"), exist_ok=True)
    write(os.path.join(work, "list"), known)
    env = dict(os.environ, VIOFS_OTHERS_LIST=os.path.join(work, "list"))
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-ec",
                           'mount -t tmpfs run /run; exec "$@"', "sh", sys.executable,
                           os.path.join(HERE, "others_main.py"), os.path.join(work, "pjd"),
                           os.path.join(work, "xfs")],
                          env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=100, check=False)
    sys.stderr.write(done.stderr)
    return done.returncode, done.stdout


def what_is_known_is_no_failure():
    with tempfile.TemporaryDirectory() as work:
        status, out = run_both(work, "pjdfstest chmod/00.t:3 as ever\npjdfstest chmod/01.t:plan it "
                                     "stops\n"
                                     "xfstests generic/732 once only\n")
    check(status == 0, f"{status}: {out}")
    check("pjdfstest          3       2       2        1" in out, out)
    check("xfstests           1       1       1        1" in out, out)


def what_is_new_is_one_and_what_is_mended_is_said():
    with tempfile.TemporaryDirectory() as work:
        status, out = run_both(work, "pjdfstest chmod/00.t:1 has never worked\n")
    check(status == 1, f"{status}: {out}")
    for line in ("new: pjdfstest chmod/00.t:3", "new: pjdfstest chmod/01.t:plan",
                 "new: xfstests generic/732",
                 "known, but it passes: pjdfstest chmod/00.t:1 (has never worked)"):
        check(line in out, f"{line}: {out}")


def the_list_of_the_tree_can_be_read():
    check(("xfstests", "generic/732") in results.read_known(os.path.join(HERE, "others.list")),
          "the list")


def main():
    need_root()
    if not os.path.exists(C_VIRTIOFSD) and not os.path.exists(RUST_VIRTIOFSD):
        skip_all("no virtiofsd")
    run_cases(named([the_list_of_the_tree_can_be_read, what_is_known_is_no_failure,
                     what_is_new_is_one_and_what_is_mended_is_said]))


if __name__ == "__main__":
    main()
