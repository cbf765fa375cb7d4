#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The worker of a running daemon has no rights, and a whole life with seccomp=kill needs none.

set -euo pipefail
daemon=$VIOFS_BUILD/src/daemon/virtiofs-vfio
ctl=$VIOFS_BUILD/tools/viofsctl
virtiofsd=/usr/lib/qemu/virtiofsd
ipc_lock=0000000000004000

skip() {
	echo "$1"
	exit 77
}
fail() {
	echo "FAILED: $1"
	exit 1
}

[[ $(id -u) == 0 ]] || skip 'mounting needs root'
[[ -c /dev/fuse ]] || skip 'there is no /dev/fuse'
[[ -x $virtiofsd ]] || skip "there is no $virtiofsd (package qemu-system-common)"

work=$(mktemp -d)
backend=
clean_up() {
	# A mount that lost its device answers EIO to mountpoint(1).
	! grep -q " $work/mnt fuse" /proc/self/mounts || umount -l "$work/mnt" || true
	[[ -z $backend ]] || kill -KILL "$backend" 2>/dev/null || true
	rm -rf "$work"
}
trap clean_up EXIT
mkdir "$work/share" "$work/mnt"

# start OPTION...: a back end and the daemon; sets $backend, $worker and $supervisor.
start() {
	local i
	rm -f "$work/sock"
	"$virtiofsd" --socket-path="$work/sock" -o source="$work/share" -o sandbox=chroot \
		2>>"$work/virtiofsd.log" &
	backend=$!
	for ((i = 0; i < 100; i++)); do
		[[ ! -S $work/sock ]] || break
		sleep 0.1
	done
	[[ -S $work/sock ]] || { cat "$work/virtiofsd.log"; skip 'virtiofsd does not start here'; }
	timeout 30 "$daemon" "$@" "vhost-user:$work/sock" "$work/mnt"
	find_worker
}

find_worker() {
	local status
	status=$("$ctl" status --json "$work/mnt")
	worker=$(sed -n 's/.*"worker": *\([0-9]*\).*/\1/p' <<<"$status")
	supervisor=$(sed -n 's/.*"supervisor": *\([0-9]*\).*/\1/p' <<<"$status")
	[[ -n $worker && -n $supervisor ]] || fail "no worker in: $status"
}

# ends PID WHAT: within 20 s.
ends() {
	local i
	for ((i = 0; i < 200; i++)); do
		# One that has ended and is nobody's to wait for has no program.
		[[ -e /proc/$1/exe ]] || return 0
		sleep 0.1
	done
	fail "$2 does not end"
}

# field NAME: of the worker's status, and of all its threads, which must agree.
field() {
	sed -n "s/^$1:[[:space:]]*//p" /proc/"$worker"/task/*/status | sort -u
}

is() {
	local value
	value=$(field "$1")
	[[ $value == "$2" ]] || fail "$1 of the worker is $value, not $2"
}

load() {
	python3 - "$work/mnt" <<'PYTHON'
import mmap, os, sys, threading
top = sys.argv[1]
data = os.urandom(3 << 20)
def one(n):
    path = os.path.join(top, f"f{n}")
    with open(path, "wb") as f:
        f.write(data)
        os.fsync(f.fileno())
    fd = os.open(path, os.O_RDWR)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    m = mmap.mmap(fd, len(data))
    # Direct reads into a mapping of the same mount: replies that block on page locks.
    direct = os.open(path, os.O_RDONLY | os.O_DIRECT)
    for at in range(0, len(data), 256 << 10):
        assert os.preadv(direct, [memoryview(m)[at:at + (64 << 10)]], at) == 64 << 10
    m.flush()
    assert m[:] == data
    for i in range(100):
        os.mkdir(f"{path}.{i}")
    for i in range(100):
        os.rmdir(f"{path}.{i}")
    assert not [n for n in os.listdir(top) if n.startswith(f"f{n}.")]
    os.unlink(path)
errors = []
def watched(n):
    try:
        one(n)
    except Exception as e:
        errors.append(e)
threads = [threading.Thread(target=watched, args=(n,)) for n in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
sys.exit(f"load: {errors[0]!r}" if errors else 0)
PYTHON
}

is_confined() {
	is NoNewPrivs 1
	capabilities=$(field CapEff)
	[[ $capabilities == "${ipc_lock//4/0}" || $capabilities == "$ipc_lock" ]] ||
		fail "CapEff of the worker is $capabilities"
	is CapPrm "$capabilities"
	is CapInh 0000000000000000
	is CapAmb 0000000000000000
	if nm -D "$daemon" | grep -q ' U __asan_init'; then
		echo 'sanitizers: there is no filter'
	elif ! nm -D "$daemon" | grep -q seccomp_load; then
		echo 'no libseccomp: there is no filter'
	else
		is Seccomp 2
		[[ $(awk '/^Max open files/ { print $4 }' /proc/"$worker"/limits) == 1 ]] ||
			fail 'it can open files'
	fi
}

start
is_confined
load
# So is one that succeeds another.
first=$worker
kill -KILL "$worker"
ls "$work/mnt" # it serves
find_worker
[[ $worker != "$first" ]] || fail 'the same worker again'
is_confined
load
umount "$work/mnt"
ends "$supervisor" 'the daemon after umount'
ends "$backend" 'virtiofsd after umount'

# The other ways to an end, each with the least usual way to wait.
start -o poll=irq,no-hugepages
load
kill "$supervisor"
ends "$supervisor" 'the daemon after SIGTERM'
! mountpoint -q "$work/mnt" || fail 'still mounted after SIGTERM'
kill -KILL "$backend" 2>/dev/null || true

start -o poll=busy
load 2>/dev/null &
loading=$!
sleep 0.3
kill -KILL "$backend"
wait "$loading" 2>/dev/null && fail 'nobody noticed that the back end was killed'
# What is lost stays mounted, in the worker's hands still, and refuses.
[[ -d /proc/$worker ]] || fail 'the worker did not outlive its back end'
! stat "$work/mnt/no" 2>/dev/null || fail 'a lost device has files'
umount "$work/mnt"
ends "$supervisor" 'the daemon of a dead back end'

# What a killed worker leaves is as always, where no other succeeds it.
start -o restarts=0
kill -SYS "$worker"
ends "$supervisor" 'the daemon of a killed worker'
! mountpoint -q "$work/mnt" || fail 'still mounted after the worker was killed'
echo 'the worker is confined, and works'
