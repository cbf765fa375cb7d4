#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Starting and ending in all ways: the kernel's driver in between, signals, kill -9, fstab, polling.
. guestlib.sh
need setpriv
CYCLES=${CYCLES:-${VIOFS_TEST_FULL:+20}}
CYCLES=${CYCLES:-8}
before=$(system_state)
address=$(devices | head -n 1)

cycle() {
	mount -t virtiofs "$TAG" "$MNT" || fail "cycle $1: mount -t virtiofs"
	echo "kernel $1" >"$MNT/cycle" || fail "cycle $1: writing with the kernel's driver"
	umount "$MNT" || fail "cycle $1: umount of the kernel's"
	mount_viofs ''
	[ "$(cat "$MNT/cycle")" = "kernel $1" ] || fail "cycle $1: our driver reads something else"
	rm "$MNT/cycle" || fail "cycle $1: rm"
	[ "$(driver_of "$address")" = vfio-pci ] || fail "cycle $1: not over VFIO"
	umount_viofs
	nothing_left "$before" "cycle $1"
}

signal_ends_it() {
	step "$1 ends it with exit status 0"
	virtiofs-vfio -f "$TAG" "$MNT" &
	supervisor=$!
	within 30 answers || fail "not mounted after 30 s"
	kill "-$1" $supervisor
	wait $supervisor || fail "exit status $? after $1"
	nothing_left "$before" "$1"
}

# A script's background job has SIGINT ignored.
int_of_a_background_job_is_ignored() {
	step "INT of a background job"
	virtiofs-vfio -f "$TAG" "$MNT" &
	supervisor=$!
	within 30 answers || fail "not mounted after 30 s"
	kill -INT $supervisor
	sleep 1
	ls "$MNT" >/dev/null || fail "it has ended"
	umount "$MNT" || fail "umount"
	wait $supervisor || fail "exit status $? after umount"
}

umount_ends_it() {
	step "umount ends it with exit status 0"
	virtiofs-vfio -f "$TAG" "$MNT" &
	supervisor=$!
	within 30 answers || fail "not mounted after 30 s"
	umount "$MNT" || fail "umount"
	wait $supervisor || fail "exit status $? after umount"
	nothing_left "$before" "umount"
}

# What the starter is limited to doesn't limit the mount, which the OOM killer doesn't take either.
limited_starter() {
	step "a starter with limits, and its descriptors closed"
	sh -c 'ulimit -f 0; ulimit -t 60; ulimit -n 20; exec virtiofs-vfio "$@" <&- >&- 2>&-' sh \
		"$TAG" "$MNT" ||
		fail "no mount"
	for pid in $(daemons); do
		[ "$(cat "/proc/$pid/oom_score_adj")" = -1000 ] ||
			fail "process $pid: oom_score_adj"
		grep -q 'Max file size *unlimited *unlimited' "/proc/$pid/limits" ||
			fail "process $pid: file size"
		grep -q 'Max cpu time *unlimited *unlimited' "/proc/$pid/limits" ||
			fail "process $pid: CPU time"
	done
	dd if=/dev/zero of="$MNT/limited" bs=1M count=2 2>/dev/null || fail "writing"
	rm "$MNT/limited"
	umount_viofs
	nothing_left "$before" "a starter with limits"
}

# The new daemon must wait for the old one, which still gives the device back.
again_at_once() {
	step "mount right after umount"
	for i in $(seq 6); do
		mount_viofs ''
		umount "$MNT" || fail "umount $i"
	done
	nothing_left "$before" "mounts right after umounts"
}

# umount(8) calls the helper, which waits until the device is back.
kernels_mount_at_once() {
	step "the kernel's mount right after umount"
	for i in $(seq 4); do
		mount_viofs ''
		umount "$MNT" || fail "umount $i"
		mount -t virtiofs "$TAG" "$MNT" ||
			fail "mount -t virtiofs right after umount, round $i"
		umount "$MNT" || fail "umount of the kernel's $i"
	done
	step "umount -f of a busy mount"
	mount_viofs ''
	(cd "$MNT" && exec sleep 1000) &
	user=$!
	sleep 1
	umount "$MNT" 2>/dev/null && fail "umount of a busy mount"
	umount -f "$MNT" || fail "umount -f: exit status $?"
	is_mounted && fail "umount -f leaves the mount"
	kill $user
	nothing_left "$before" "umount -f"
}

# shown WORDS TYPE: what the kernel shows of a mount with these options; nothing where there is
# none.
shown() {
	mount -t "$2" -o "$1" "$TAG" "$MNT" 2>"/tmp/said.$2" || return 0
	sed -n "s|^[^ ]* $MNT [^ ]* \([^ ]*\) .*|\1|p" /proc/mounts | tr , '\n' |
		grep -vE '^(user_id|group_id|default_permissions|allow_other|max_read|dax=)' |
		tr '\n' ,
	umount "$MNT" || fail "umount of $2 with $1"
}

# All words that mount(8) has for a mount: taken or refused as with the kernel's driver, to the same
# effect.
same_words() {
	step "the words of mount"
	for words in \
		defaults,auto,nofail,_netdev,silent,loud,iversion,noiversion,nomand mand \
		ro,nosuid,nodev,noexec,nosymfollow,noatime,nodiratime,dirsync,dax=never \
		ro,rw,nosuid,suid,nodev,dev,noexec,exec,relatime,diratime,sync,async,dax=inode \
		strictatime,lazytime,sync,nolazytime,norelatime \
		noatime,atime,nostrictatime,symfollow,lazytime \
		user,group,x-foo=1,comment=no user,exec,suid dax dax=always bogus; do
		kernels=$(shown "$words" virtiofs)
		ours=$(shown "$words" virtiofs-vfio)
		[ "$kernels" = "$ours" ] ||
			fail "$words: the kernel's '$kernels', ours '$ours': $(cat /tmp/said.*)"
		echo "$words: $ours"
	done
	nothing_left "$before" "the words of mount"
}

# kill_workers: under load; others go on, and whoever uses the mount sees nothing of it.
kill_workers() {
	step "kill -9 of five workers, which are succeeded"
	mount_viofs restarts=5
	mkdir "$MNT/succeeded"
	churn "$MNT/succeeded" 1000000000 &
	load=$!
	for i in 1 2 3 4 5; do
		sleep 0.5
		kill -9 "$(workers)"
		within 20 eval "viofsctl status '$MNT' | grep -q 'restarts   $i,'" ||
			fail "no successor after death $i"
	done
	sleep 0.5
	kill -0 $load || fail "a user of the mount has met an error"
	kill $load
	wait $load
	rm -r "$MNT/succeeded" || fail "rm after kill -9"
	umount_viofs
	nothing_left "$before" "five dead workers"
}

# kill_worker: under load; whoever uses the mount gets an error, nobody hangs.
kill_worker() {
	step "kill -9 of the worker, which nobody succeeds"
	mount_viofs restarts=0
	mkdir "$MNT/killed"
	churn "$MNT/killed" 1000000000 2>/dev/null &
	load=$!
	sleep 1
	pid=$(workers)
	[ "$(echo "$pid" | wc -w)" = 1 ] || fail "one worker expected, found '$pid'"
	kill -9 "$pid"
	within 20 not_mounted || fail "kill -9 of the worker leaves a dead mount"
	nothing_left "$before" "kill -9 of the worker"
	within 10 eval "! kill -0 $load 2>/dev/null" || fail "a user of the dead mount hangs"
	wait $load && fail "a user of the dead mount saw no error"
	mount_viofs ''
	rm -r "$MNT/killed" || fail "the device is no longer usable after kill -9"
	umount_viofs
}

# As at boot: no module of VFIO's is loaded, and nobody has set a PATH.
mount_all_at_boot() {
	step "mount -a, without modules and environment"
	[ ! -e /sys/bus/pci/drivers/vfio-pci ] || fail "vfio-pci is loaded already"
	cp /etc/fstab /tmp/fstab
	echo "$TAG $MNT fuse.virtiofs-vfio defaults,nofail 0 0" >>/etc/fstab
	env -i /bin/mount -a || fail "mount -a: exit status $?"
	is_mounted || fail "mount -a mounted nothing"
	ls "$MNT" >/dev/null || fail "the mount doesn't answer"
	umount_viofs
	cp /tmp/fstab /etc/fstab
	nothing_left "$before" "mount -a"
}

mount_helper() {
	step "mount -t fuse.virtiofs-vfio"
	mount -t fuse.virtiofs-vfio -o noatime "$TAG" "$MNT" || fail "mount -t fuse.virtiofs-vfio"
	grep " $MNT fuse.virtiofs-vfio .*noatime" /proc/mounts >/dev/null ||
		fail "mounted as: $(grep " $MNT " /proc/mounts)"
	ls "$MNT" >/dev/null || fail "the helper's mount doesn't answer"
	umount_viofs
	step "fstab"
	echo "$TAG $MNT fuse.virtiofs-vfio rw,nosuid,_netdev,nofail,x-systemd.automount 0 0" \
		>>/etc/fstab
	mount "$MNT" || fail "mount by fstab"
	grep " $MNT fuse.virtiofs-vfio .*nosuid" /proc/mounts >/dev/null ||
		fail "fstab's mounted as: $(grep " $MNT " /proc/mounts)"
	echo fstab >"$MNT/fstab" || fail "writing to fstab's mount"
	rm "$MNT/fstab"
	mkdir -p /tmp/second
	mount -o ro "$MNT" 2>/dev/null && fail "mounted twice at one place"
	step "a second place, and remounting"
	mount -t virtiofs-vfio -o ro "$TAG" /tmp/second || fail "mount at a second place"
	[ "$(stat -c %d /tmp/second)" = "$(stat -c %d "$MNT")" ] ||
		fail "another file system at the second place"
	touch /tmp/second/x 2>/dev/null && fail "the second mount lets write"
	touch "$MNT/x" || fail "the first one does not"
	rm "$MNT/x"
	mount -o remount,ro,nosuid "$MNT" || fail "remount"
	grep -q " $MNT fuse.virtiofs-vfio ro,nosuid" /proc/mounts ||
		fail "remounted as: $(grep " $MNT " /proc/mounts)"
	mount -o remount,rw "$MNT" || fail "remount,rw"
	mount -o remount,poll=busy "$MNT" 2>/tmp/said && fail "remount,poll=busy exits with 0"
	grep -q poll=busy /tmp/said || fail "no reason: $(cat /tmp/said)"
	umount "$MNT" || fail "umount of the first"
	ls /tmp/second >/dev/null || fail "the second mount went with the first"
	umount /tmp/second || fail "umount of the second"
	nothing_left "$before" "mount by fstab"
}

read_only() {
	step "ro, and the address as source"
	mount_viofs ro "$address"
	touch "$MNT/x" 2>/dev/null && fail "ro lets write"
	umount_viofs
	step "tag:NAME"
	mount_viofs '' "tag:$TAG"
	umount_viofs
}

# Ticks of user and system time of all daemons together.
ticks() {
	for pid in $(daemons); do
		# The name may hold blanks: count from behind the bracket.
		sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'
	done | awk '{ sum += $1 } END { print sum + 0 }'
}

idle_uses_no_cpu() {
	step "idle with poll=$1"
	sleep 1
	first=$(ticks)
	sleep 10
	used=$(($(ticks) - first))
	# One tick may hit a process by chance: 10 ms in 10 s.
	[ $used -le 1 ] || fail "idle with poll=$1: $used ticks of CPU time in 10 s"
}

poll_mode() {
	step "poll=$1"
	mount_viofs "poll=$1"
	short_list "$MNT/short"
	[ "$1" = busy ] || idle_uses_no_cpu "$1"
	umount_viofs
	nothing_left "$before" "poll=$1"
}

# As an ordinary user: what can't be seen is said to take root.
told_to_be_root() {
	setpriv --reuid 4001 --regid 4001 --clear-groups viofsctl "$@" >/tmp/said 2>&1
	grep -qi "as root" /tmp/said || fail "viofsctl $*, not as root: $(cat /tmp/said)"
}

# odd_mount_point: it is no UTF-8, and colours a terminal: list shows it all the same, and
# harmlessly.
odd_mount_point() {
	odd=$(printf '/tmp/m\377\033[31m')
	mkdir "$odd"
	virtiofs-vfio "$TAG" "$odd" || fail "virtiofs-vfio at a mount point that isn't UTF-8"
	viofsctl list >/tmp/said
	grep -qF '/tmp/m\377\033[31m' /tmp/said || fail "list: $(cat /tmp/said)"
	grep -q "$(printf '\033')" /tmp/said && fail "list has an escape: $(cat -v /tmp/said)"
	viofsctl list --json >/tmp/said
	grep -qF '"mountpoint": "/tmp/m\\377\u001B[31m"' /tmp/said ||
		fail "list --json: $(cat /tmp/said)"
	umount "$odd" || fail "umount of a mount point that isn't UTF-8"
	within 15 no_daemons || fail "the daemon outlives its mount"
	rmdir "$odd"
}

status_answers() {
	step "viofsctl"
	mount_viofs ''
	viofsctl list | grep "$TAG" | grep -q vfio-pci || fail "viofsctl list: $(viofsctl list)"
	viofsctl show "$TAG" | grep -q "$address" || fail "viofsctl show doesn't tell the address"
	viofsctl status "$MNT" | grep -q . || fail "viofsctl status says nothing"
	viofsctl status --json | grep -q . || fail "viofsctl status --json says nothing"
	told_to_be_root show "$TAG"
	told_to_be_root show "$address"
	told_to_be_root status "$MNT"
	umount_viofs
	odd_mount_point
	viofsctl bind "$TAG" || fail "viofsctl bind"
	[ "$(driver_of "$address")" = vfio-pci ] ||
		fail "viofsctl bind left $(driver_of "$address")"
	mount_viofs ''
	umount_viofs
	viofsctl unbind "$TAG" || fail "viofsctl unbind"
	nothing_left "$before" "viofsctl bind and unbind"
}

# list_says STATE: what viofsctl list has in brackets behind the mount point.
list_says() {
	viofsctl list | grep -q "$MNT ($1)" || fail "list doesn't say $1: $(viofsctl list)"
}

# killed_both: the mount is dead. It hides no mount of the kernel's, and the device can be had back.
killed_both() {
	step "kill -9 of both, the kernel's driver after it"
	mount_viofs ''
	daemons | xargs kill -9
	within 10 no_daemons || fail "daemons survive kill -9"
	list_says dead
	viofsctl unbind "$TAG" || fail "unbind after kill -9"
	mkdir -p /tmp/kernel /tmp/second
	mount -t virtiofs "$TAG" /tmp/kernel || fail "mount -t virtiofs beside a dead mount"
	touch /tmp/kernel/alive || fail "writing to the kernel's mount"
	for source in "$TAG" "$address"; do
		virtiofs-vfio "$source" /tmp/second 2>/tmp/said &&
			fail "$source: taken from under the kernel's mount"
		grep -q "at /tmp/kernel" /tmp/said || fail "$source: $(cat /tmp/said)"
		viofsctl bind "$source" 2>/dev/null &&
			fail "bind $source: taken from under the kernel's mount"
	done
	rm /tmp/kernel/alive || fail "the kernel's mount suffered"
	umount /tmp/kernel "$MNT" || fail "umount"
	nothing_left "$before" "kill -9 of both"
}

# killed_supervisor: the worker serves on; all say so.
killed_supervisor() {
	step "kill -9 of the supervisor"
	mount_viofs ''
	kill -9 "$(supervisors)"
	ls "$MNT" >/dev/null || fail "the worker doesn't serve on"
	list_says "supervisor killed"
	viofsctl status 2>&1 | grep -q "supervisor .* was killed" ||
		fail "status says $(viofsctl status 2>&1)"
	virtiofs-vfio "$TAG" /tmp/second 2>&1 | grep -q "supervisor .* was killed" ||
		fail "a new mount says otherwise"
	umount "$MNT" || fail "umount"
	within 15 no_daemons || fail "the worker outlives its mount"
	viofsctl unbind "$TAG" || fail "unbind"
	nothing_left "$before" "kill -9 of the supervisor"
}

# killed_at_start: before the tag was noted; the device can be named by it all the same.
killed_at_start() {
	step "what a kill at a bad moment leaves"
	viofsctl bind "$TAG" >/dev/null || fail "viofsctl bind"
	printf 'former=virtio-pci\nby=daemon\npid=0\ntag=\nmountpoint=\n' \
		>"/run/virtiofs-vfio/$address"
	viofsctl list | grep -q "$TAG .*vfio-pci" || fail "list: $(viofsctl list)"
	[ "$(driver_of "$address")" = vfio-pci ] || fail "list gave the device back"
	viofsctl unbind "$TAG" || fail "unbind: exit status $?"
	nothing_left "$before" "viofsctl unbind"
}

# lazily_unmounted: no mount, but in use.
lazily_unmounted() {
	step "umount -l of a mount in use"
	mount_viofs ''
	(cd "$MNT" && exec sleep 1000) &
	user=$!
	within 5 eval "[ \"\$(readlink /proc/$user/cwd)\" = '$MNT' ]" || fail "no user of the mount"
	umount -l "$MNT" || fail "umount -l"
	list_says "unmounted, but in use"
	viofsctl status | grep -q "umount -l" || fail "status: $(viofsctl status)"
	kill $user
	wait $user 2>/dev/null
	nothing_left "$before" "umount -l"
}

mount_all_at_boot
mount_helper
same_words
read_only
signal_ends_it TERM
signal_ends_it HUP
int_of_a_background_job_is_ignored
umount_ends_it
limited_starter
for mode in busy irq adaptive; do
	poll_mode $mode
done
again_at_once
kernels_mount_at_once
kill_worker
kill_workers
killed_both
killed_supervisor
killed_at_start
lazily_unmounted
step "$CYCLES mounts, the kernel's driver in between"
for i in $(seq "$CYCLES"); do
	cycle "$i"
done
status_answers
step "done"
