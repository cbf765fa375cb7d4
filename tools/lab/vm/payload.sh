# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# A run's own files, as a small image on top of the userland: programs and their libraries, the
# command, the guest's init.

# vm_tag NUMBER, vm_dir NUMBER: tag and mount point of a share, counted from 0.
vm_tag() {
	(($1)) && printf 'myfs%d' "$(($1 + 1))" || printf myfs
}

vm_dir() {
	(($1)) && printf '/mnt%d' "$(($1 + 1))" || printf /mnt
}

# payload_programs: the programs to bring: the build's, then those of --put.
payload_programs() {
	local file
	for file in "$VIOFS_BUILD"/src/daemon/virtiofs-vfio "$VIOFS_BUILD"/tools/viofsctl \
		"$VIOFS_BUILD"/tools/viofs/viofs{,-bench} "$VIOFS_BUILD"/tests/vm/*; do
		[[ ! -f $file || ! -x $file ]] || printf '%s\n' "$file"
	done
	((!${#vm_put[@]})) || realpath -- "${vm_put[@]}"
}

# payload_missing FILE...: what the programs need and the userland has not, with no / in front. To
# find that out takes longer than all else here, so the answer is kept.
payload_missing() {
	local kept=$VIOFS_GUEST/payload.list key
	key=$(stat -L -c '%n %s %Y %i' -- "$@" "$USERLAND_LIST" "$VIOFS_VM/closure.py" | sha256sum)
	if [[ ! -e $kept || $(head -n 1 "$kept") != "$key" ]]; then
		{
			printf '%s\n' "$key"
			printf '%s\n' "$@" | "$VIOFS_VM/closure.py" |
				grep -vxFf "$USERLAND_LIST" | grep -vxFf <(printf '%s\n' "$@") |
				while read -r file; do
				[[ -d $file && ! -L $file ]] || printf '%s\n' "${file#/}"
			done
		} >"$session_work/payload.list"
		mv "$session_work/payload.list" "$kept"
	fi
	tail -n +2 "$kept"
}

# payload_libraries ROOT FILE...: brings what payload_missing names.
payload_libraries() {
	local root=$1
	shift
	payload_missing "$@" | tar -C / -cf - --no-recursion --files-from - | tar -C "$root" -xpf -
}

# payload_path ROOT PATH: where a file of the guest is staged; /bin and the like are links there.
payload_path() {
	case $2 in
	/bin/* | /sbin/* | /lib/* | /lib64/*) printf '%s' "$1/usr$2" ;;
	*) printf '%s' "$1$2" ;;
	esac
}

# payload_files ROOT: --file
payload_files() {
	local item src dst
	for item in "${vm_files[@]}"; do
		src=$item dst=/root/$(basename -- "$item")
		if [[ ! -e $item ]]; then
			src=${item%:*} dst=${item##*:}
		fi
		dst=$(payload_path "$1" "$dst")
		mkdir -p "$(dirname -- "$dst")"
		cp -rLp --no-preserve=ownership -- "$src" "$dst"
	done
}

# payload_config FILE: what the guest's init reads
payload_config() {
	local i size
	{
		printf 'VM_MODE=%q VM_DRIVER=%q VM_MOUNT_OPTS=%q VM_TERM=%q\n' \
			"$vm_mode" "$vm_driver" "$vm_mount_opts" "${TERM:-dumb}"
		printf 'VM_TAGS=(%s)\n' \
			"$(for ((i = 0; i < ${#vm_shares[@]}; i++)); do vm_tag "$i" &&
			printf ' '; done)"
		printf 'VM_DIRS=(%s)\n' \
			"$(for ((i = 0; i < ${#vm_shares[@]}; i++)); do vm_dir "$i" &&
			printf ' '; done)"
		if [[ $vm_mode == shell ]] && size=$(stty size 2>/dev/null) &&
			[[ $size != '0 0' ]]; then
			printf 'VM_ROWS=%s VM_COLS=%s\n' "${size% *}" "${size#* }"
		fi
	} >"$1"
}

# payload_helpers DIR: mount(8)'s and umount(8)'s, as they are installed.
payload_helpers() {
	mkdir -p "$1"
	ln -s /usr/local/bin/virtiofs-vfio "$1/mount.virtiofs-vfio"
	ln -s /usr/local/bin/virtiofs-vfio "$1/mount.fuse.virtiofs-vfio"
	ln -s /usr/local/bin/viofsctl "$1/umount.fuse.virtiofs-vfio"
	ln -s /usr/local/bin/viofsctl "$1/umount.fuse"
}

# payload_build WORK: makes WORK/run.sqfs.
payload_build() {
	local work=$1 root=$1/payload programs
	mkdir -p "$root/usr/local/bin" "$root/usr/lib/viofs"
	install -m 755 "$VIOFS_VM"/guest/{init,pump} "$root/usr/lib/viofs"
	payload_config "$root/usr/lib/viofs/config"
	((!${#vm_command[@]})) || printf '%s\0' "${vm_command[@]}" >"$root/usr/lib/viofs/command"
	mapfile -t programs < <(payload_programs)
	if ((${#programs[@]})); then
		payload_libraries "$root" "${programs[@]}"
		cp -- "${programs[@]}" "$root/usr/local/bin"
		payload_helpers "$root/usr/sbin"
		# Programs find it beside the build's folders on this machine, and where libraries
		# are in the guest.
		find "$VIOFS_BUILD/src" -maxdepth 1 -name 'libviofs.so.*' ! -type d -exec cp -P \
			-t "$root/usr/lib" -- {} +
	fi
	payload_files "$root"
	quiet mksquashfs "$root" "$work/run.sqfs" -noappend -no-progress -all-root -noI \
		-noD -noF -noX ||
		die 125 'mksquashfs cannot make the image of this run'
	rm -rf "$root"
}
