#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The interfaces of VFIO that this kernel has, from the best down: vfio-ways.sh BACK-END...
#   BACK-END    as `viofsctl status` names it; before the second one /dev/iommu is taken away
# The kernel has no virtiofs: what is mounted here only this driver can mount.
. guestlib.sh
need python3 prlimit setpriv
before=$(system_state)
address=$(devices | head -n 1)
# What every mount here takes.
case $1 in
noiommu*) with=allow-unsafe-noiommu ;;
*) with= ;;
esac

# refuse WHAT WORD COMMAND...: COMMAND fails, with a message that has WORD in it, and leaves nothing
# behind.
refuse() {
	what=$1
	word=$2
	shift 2
	timeout 60 "$@" >/tmp/said 2>&1
	status=$?
	[ $status = 1 ] || fail "$what: exit status $status: $(cat /tmp/said)"
	grep -q -e "$word" /tmp/said || fail "$what: nothing about '$word' in: $(cat /tmp/said)"
	nothing_left "$before" "$what"
	echo "ok: $what: $(tail -n 1 /tmp/said)"
}

shown_by() {
	mount_viofs "$with"
	viofsctl status >/tmp/status || fail "viofsctl status"
	grep -q ", vfio $1, " /tmp/status || fail "status: $(cat /tmp/status)"
	viofsctl show "$TAG" | grep -qE "^vfio +$1$" ||
		fail "show of a mount: $(viofsctl show "$TAG")"
	[ "$(driver_of "$address")" = vfio-pci ] || fail "not over VFIO"
	umount_viofs
	viofsctl bind "$TAG" >/dev/null || fail "viofsctl bind"
	viofsctl show "$TAG" >/tmp/show || fail "viofsctl show"
	grep -qE "^vfio +$1$" /tmp/show || fail "show: $(cat /tmp/show)"
	viofsctl unbind "$TAG" >/dev/null || fail "viofsctl unbind"
	nothing_left "$before" "$1"
}

# The worker maps nothing: it has the device, and neither group nor container nor /dev/iommu.
workers_descriptors() {
	mount_viofs "$with"
	# shellcheck disable=SC2012 # no odd names there
	ls -l "/proc/$(workers)/fd" | sed -n 's,.* -> /dev/,,p' >/tmp/nodes
	grep -vxE 'fuse|null|vfio/devices/(noiommu-)?vfio[0-9]+' /tmp/nodes &&
		fail "the worker has these open"
	grep -q fuse /tmp/nodes || fail "no worker was looked at"
	umount_viofs
}

# What is mapped stays mapped when the process that has mapped it is gone.
without_supervisor() {
	mount_viofs "$with"
	kill -9 "$(supervisors)" || fail "no supervisor"
	short_list "$MNT/orphan"
	umount "$MNT" || fail "umount without a supervisor"
	within 15 no_daemons || fail "the worker outlives its mount"
	# It has halted the device, within its filter.
	dmesg | grep "type=1326" && fail "the worker was killed by its filter"
	mount_viofs "$with"
	umount_viofs
	nothing_left "$before" "a mount whose supervisor was killed"
}

locked_memory() {
	refuse "little memory may be locked" LimitMEMLOCK prlimit --memlock=65536 \
		setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock \
		virtiofs-vfio ${with:+-o "$with"} "$TAG" "$MNT"
}

too_many_mappings() {
	limit=/sys/module/vfio_iommu_type1/parameters/dma_entry_limit
	read -r usual <$limit
	echo 2 >$limit
	refuse "more mappings than are allowed" dma_entry_limit virtiofs-vfio "$TAG" "$MNT"
	echo "$usual" >$limit
	mount_viofs no-hugepages
	short_list "$MNT/pages"
	umount_viofs
}

# Somebody else has bound the device: a program of another kind, which no lock of ours holds off.
in_use() {
	viofsctl bind "$TAG" >/dev/null || fail "viofsctl bind"
	rm -f /tmp/bound
	python3 -c '
import fcntl, os, struct, sys, time
iommu = os.open("/dev/iommu", os.O_RDWR)
device = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(device, 0x3b76, bytearray(struct.pack("IIiI", 16, 0, iommu, 0)))
open("/tmp/bound", "w").close()
time.sleep(1000)' /dev/vfio/devices/*vfio0 &
	other=$!
	within 20 test -e /tmp/bound || fail "the other user"
	timeout 60 virtiofs-vfio ${with:+-o "$with"} "$TAG" "$MNT" >/tmp/said 2>&1 &&
		fail "mounted all the same"
	grep -q "in use by process $other" /tmp/said || fail "in use by $other: $(cat /tmp/said)"
	cat /tmp/said
	kill $other
	wait $other 2>/dev/null
	viofsctl unbind "$TAG" >/dev/null || fail "viofsctl unbind"
	nothing_left "$before" "a device that was in use"
}

# Unbinding, like unplugging, waits until no process has the device, however it was come by.
wanted_back() {
	virtiofs-vfio -f ${with:+-o "$with"} "$TAG" "$MNT" 2>/tmp/said &
	supervisor=$!
	within 30 is_mounted || fail "not mounted after 30 s"
	rm -f /tmp/unbound
	{
		echo "$address" >/sys/bus/pci/drivers/vfio-pci/unbind
		: >/tmp/unbound
	} &
	within 20 test -e /tmp/unbound || fail "the kernel waits for the device"
	grep -q "wants it back" /tmp/said || fail "the daemon says: $(cat /tmp/said)"
	ls "$MNT" >/dev/null 2>&1 && fail "ls works with no device"
	umount "$MNT" || fail "umount"
	wait $supervisor && fail "exit status 0 where the device was lost"
	nothing_left "$before" "a device that the kernel took back"
}

# The device has physical addresses: what it has must not move. Memory in pieces, then compacted,
# moves all that may.
nothing_moves() {
	mount_viofs "$with,no-hugepages"
	python3 - "$(supervisors)" >/tmp/moved <<'END' || fail "pages that moved: $(cat /tmp/moved)"
import mmap, struct, sys

def frames():
    """Of the device's memory: the larger one of the two that have this name."""
    files = {}
    process = f"/proc/{sys.argv[1]}"
    with open(process + "/maps") as maps, open(process + "/pagemap", "rb") as pagemap:
        for line in maps:
            if "virtiofs-vfio-dma" not in line:
                continue
            first, end = (int(x, 16) // 4096 for x in line.split()[0].split("-"))
            pagemap.seek(first * 8)
            data = pagemap.read((end - first) * 8)
            for i, (entry,) in enumerate(struct.iter_unpack("Q", data)):
                files.setdefault(line.split()[4], {})[first + i] = entry & (1 << 55) - 1
    return max(files.values(), key=len)

before = frames()
for _ in range(3):
    memory = mmap.mmap(-1, 64 << 20)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for page in range(0, len(memory), 4096):
        memory[page] = 1
    for page in range(0, len(memory), 8192):
        memory.madvise(mmap.MADV_DONTNEED, page, 4096)
    with open("/proc/sys/vm/compact_memory", "w") as compact:
        compact.write("1")
    memory.close()
after = frames()
moved = sum(after.get(page) != frame for page, frame in before.items())
print(f"{moved} of {len(before)}")
sys.exit(moved > 0 or len(before) < 4000)
END
	echo "ok: pages that moved: $(cat /tmp/moved)"
	short_list "$MNT/pages"
	umount_viofs
}

# way BACK-END
way() {
	step "$1"
	shown_by "$1"
	workers_descriptors
	step "$1: the supervisor is killed"
	without_supervisor
	step "$1: the kernel wants it back"
	wanted_back
	step "$1: what stands against it"
	locked_memory
	case $1 in
	noiommu*) nothing_moves ;;
	esac
	case $1 in
	*cdev) in_use ;;
	group) too_many_mappings ;;
	esac
}

if grep -qw virtiofs /proc/filesystems; then
	fail "this kernel has virtiofs"
fi
if [ -n "$with" ]; then
	refuse "no IOMMU, and not asked for" allow-unsafe-noiommu virtiofs-vfio "$TAG" "$MNT"
	virtiofs-vfio -o "$with" "$TAG" "$MNT" 2>&1 | grep -q "all memory of this machine" ||
		fail "no warning"
	umount_viofs
fi
way "$1"
if [ $# -gt 1 ]; then
	rm /dev/iommu
	way "$2"
	viofsctl bind "$TAG" >/dev/null || fail "viofsctl bind"
	viofsctl show "$TAG" | grep -q "passed over.*/dev/iommu is not there" ||
		fail "show does not say why: $(viofsctl show "$TAG")"
	viofsctl unbind "$TAG" >/dev/null
fi
if [ -n "$with" ]; then
	echo 0 >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
	refuse "noiommu mode is off" enable_unsafe_noiommu_mode virtiofs-vfio \
		-o "$with" "$TAG" "$MNT"
fi
step "done"
