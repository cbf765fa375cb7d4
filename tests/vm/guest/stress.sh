#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Data under load: fio with verification, direct reads into a mapping during writeback, stress-ng.
. guestlib.sh
need fio stress-ng
DIR=$MNT/stress
SIZE=${SIZE:-8m}
mkdir "$DIR" || fail "mkdir $DIR"

# fio_verify NAME OPTION...: writes, then reads and compares.
fio_verify() {
	name=$1
	shift
	step "fio $name"
	fio --name="$name" --directory="$DIR" --size="$SIZE" --rw=randwrite --verify=crc32c \
		--verify_fatal=1 --do_verify=1 --end_fsync=1 --fallocate=none \
		--output-format=terse --output=/tmp/fio.out "$@" ||
		fail "fio $name: $(cat /tmp/fio.out)"
	rm "$DIR/$name".*
}

fio_verify buffered --ioengine=psync --bs=16k
fio_verify buffered-uring --ioengine=io_uring --bs=4k-64k --bs_unaligned=1 --iodepth=8
fio_verify direct --ioengine=psync --direct=1 --bs=64k
fio_verify direct-uring --ioengine=io_uring --direct=1 --bs=4k --iodepth=16
fio_verify direct-large --ioengine=io_uring --direct=1 --bs=2m --iodepth=4
fio_verify direct-jobs --ioengine=psync --direct=1 --bs=32k --numjobs=4 --size=2m
fio_verify mmap --ioengine=mmap --bs=4k --size=4m
fio_verify fsync --ioengine=psync --bs=8k --fsync=16 --size=2m

step "direct reads into a mapping during writeback"
dio_into_map "$DIR" "${SECONDS_EACH:-15}" || fail "direct reads into a mapping"

# Those which work on any file system and check what they do; one at a time, to know which failed.
STRESSORS='access chmod chown dentry dir dirdeep fallocate fcntl filename flock fpunch getdent
	hdd iomix lockf lockofd mknod mmap open readahead rename seek sendfile
	sync-file touch utime xattr'
for stressor in $STRESSORS; do
	step "stress-ng $stressor"
	stress-ng --temp-path "$DIR" "--$stressor" 2 --timeout "${STRESS_SECONDS:-1}" --verify \
		--hdd-bytes 2m --iomix-bytes 2m --seek-size 2m --fallocate-bytes 2m \
		--readahead-bytes 2m --sync-file-bytes 2m --sendfile-size 256k --mmap-bytes 4m \
		--mmap-file --dirdeep-inodes 500 --oomable >/tmp/stress.out 2>&1 ||
		fail "stress-ng $stressor: $? $(tail -n 20 /tmp/stress.out)"
done
rm -r "$DIR" || fail "stress left what can't be removed"
step "done"
