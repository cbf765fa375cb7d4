#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Writes, syncs, says so, and waits to be killed: synced.sh fsync|sync The files stay open, in one
# process that starts no other: each close of a descriptor writes what is dirty.
. guestlib.sh
need python3

# No page is written for its age while this runs, nor because there are many: a FUSE mount may have
# few.
bdi=/sys/class/bdi/$(stat -c %Hd:%Ld "$MNT")
echo 100 >"$bdi/max_ratio" || fail "$bdi"
[ ! -e "$bdi/strict_limit" ] || echo 0 >"$bdi/strict_limit"
echo 360000 >/proc/sys/vm/dirty_expire_centisecs
echo 0 >/proc/sys/vm/dirty_writeback_centisecs

cat >/tmp/writer.py <<'PYTHON'
import hashlib, mmap, os, sys, time

how, top = sys.argv[1:]
held = []


def write(name, size):
    fd = os.open(os.path.join(top, name), os.O_RDWR | os.O_CREAT, 0o644)
    data = os.urandom(size)
    assert os.write(fd, data) == size
    held.append(fd)
    sums.append("sum %s  %s" % (hashlib.sha256(data).hexdigest(), name))
    return fd


def write_mapped(name, size):
    fd = write(name, size)
    pages = mmap.mmap(fd, size)
    held.append(pages)
    pages[size // 2:] = data = os.urandom(size - size // 2)
    sums[-1] = "sum %s  %s" % (hashlib.sha256(pages[:size // 2] + data).hexdigest(), name)


sums = []
large = write("large", 4 << 20)
if how == "fsync":
    os.fsync(large)
else:
    write_mapped("mapped", 1 << 20)
    for i in range(200):
        write("small%d" % i, 20000)
    open("/tmp/written", "w").close()
    while not os.path.exists("/tmp/synced"):
        time.sleep(0.05)
say = sums[:]
write("after", 256 << 10)
print("\n".join(say + ["synced"]), flush=True)
time.sleep(1000)
PYTHON

python3 /tmp/writer.py "$1" "$MNT" &
writer=$!
if [ "$1" = sync ]; then
	within 60 test -e /tmp/written || fail "writing"
	viofsctl sync "$MNT" || fail "viofsctl sync"
	: >/tmp/synced
fi
wait $writer
fail "the writer has ended"
