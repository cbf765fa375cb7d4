# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# tools/vm boot: a guest whose root file system is a directory of this machine, over virtio-fs, or
# whose initramfs is all that it has. There is no disk.

# boot_file NAME: the newest file of that name in the root's /boot; what is compared are version
# numbers.
boot_file() {
	local found
	found=$(find "$vm_root/boot" -maxdepth 1 -name "$1-*" ! -name '*.old' -printf '%f\n' \
		2>/dev/null | sort -V | tail -n 1)
	[[ -n $found ]] || die 1 "there is no $1-VERSION in $vm_root/boot"
	printf '%s' "$vm_root/boot/$found"
}

# boot_debian: the root is a Debian with our packages in it, gone at the end.
boot_debian() {
	vm_root=$session_work/root
	"$VIOFS_ROOT/tools/package" --debian "$vm_debian" --system "$vm_root" \
		--initramfs "$vm_initramfs" ||
		die 1 "no Debian $vm_debian to boot"
}

# boot_tag NUMBER: of a share; the root comes last.
boot_tag() {
	if [[ -n $vm_root ]] &&
		(($1 == ${#vm_shares[@]} - 1)); then printf rootfs; else vm_tag "$1"; fi
}

# shellcheck disable=SC2054 # the commas are QEMU's
# boot_build WORK KERNEL INITRD ACCEL: sets the array qemu_argv.
boot_build() {
	local work=$1 qemu_words='console=ttyS0 panic=-1 no_timer_check' i
	quiet "$VIOFS_VM/vmlinux.py" "$2" "$work/vmlinux" || cp "$2" "$work/vmlinux"
	qemu_argv=("$QEMU" -machine "q35,accel=$4,kernel-irqchip=split" -cpu "$(qemu_cpu)"
		-smp "$vm_smp" -m "$vm_mem"
		-object "memory-backend-memfd,id=ram,size=$(qemu_memory),share=on"
		-machine memory-backend=ram
		-nodefaults -no-user-config -display none -no-reboot
		-kernel "$work/vmlinux" -initrd "$3")
	qemu_iommu "$vm_iommu"
	qemu_words="${vm_root:+root=rootfs rootfstype=fuse.virtiofs-vfio rw }$qemu_words"
	qemu_argv+=(-append "$qemu_words$vm_cmdline" -serial stdio)
	for ((i = 0; i < ${#vm_shares[@]}; i++)); do
		qemu_share "$i" "$work/fs$i.sock" "$(boot_tag "$i")"
	done
	[[ -z $vm_qmp ]] || qemu_argv+=(-qmp "unix:$(qemu_escape "$vm_qmp"),server=on,wait=off")
	qemu_argv+=("${vm_qemu_opts[@]}")
}

# boot_run: until the guest's power goes; the console is standard input and output.
boot_run() {
	local kernel initrd i status=0 limit=()
	[[ -z $vm_debian ]] || boot_debian
	kernel=${vm_image:-$(boot_file vmlinuz)}
	initrd=${vm_initrd:-$(boot_file initrd.img)}
	[[ -z $vm_root ]] || vm_shares+=("$vm_root")
	boot_build "$session_work" "$kernel" "$initrd" "$(qemu_accel "$(kernel_dir new)")"
	for ((i = 0; i < ${#vm_shares[@]}; i++)); do
		virtiofsd_start "$session_work/fs$i.sock" "$(realpath -- "${vm_shares[i]}")" \
			"$session_work/fs$i.log" || exit 125
		session_pids+=("$virtiofsd_pid")
	done
	session_spawn timeout --foreground "$vm_timeout" "${qemu_argv[@]}" <&0 \
		2>"$session_work/qemu.log" &
	session_qemu=$!
	wait "$session_qemu" || status=$?
	session_qemu=''
	case $status in
	0) ;;
	124) say "timed out after $vm_timeout s" ;;
	*)
		session_show_logs
		status=125
		;;
	esac
	exit "$status"
}
