# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# QEMU's command line, which QEMU it is, and whether KVM works here.

QEMU=qemu-system-x86_64

# qemu_suite VERSION: the Debian suite that has it.
qemu_suite() {
	case $1 in
	7.2) printf bookworm ;;
	10) printf trixie ;;
	11) printf forky ;;
	esac
}

# qemu_is_here VERSION: whether the machine's own is that one.
qemu_is_here() {
	[[ $1 == host || $("$QEMU" --version) == *"version $1."* ]]
}

# qemu_prepare VERSION: fetches it, where it is not on the machine.
qemu_prepare() {
	local suite
	qemu_is_here "$1" && return
	suite=$(qemu_suite "$1")
	fetch_qemu "$suite" "$VIOFS_DOWNLOAD/$suite/qemu"
	[[ $("$VIOFS_DOWNLOAD/$suite/qemu/run" --version) == *"version $1."* ]] ||
		die 1 "QEMU of Debian's $suite is no $1 any more:" \
			"$("$VIOFS_DOWNLOAD/$suite/qemu/run" --version | head -n 1)"
}

# qemu_choose VERSION: from here on QEMU is that one.
qemu_choose() {
	qemu_is_here "$1" || QEMU=$VIOFS_DOWNLOAD/$(qemu_suite "$1")/qemu/run
}

# qemu_iommu KIND: its device, which comes before all others; in qemu_words what the kernel is to be
# told, in qemu_disk_more what one of the disks is to be.
# With intel and amd interrupts are remapped too; without that VFIO has to be told to do without.
qemu_iommu() {
	case $1 in
	intel)
		qemu_argv+=(-device intel-iommu,intremap=on)
		qemu_words+=' intel_iommu=on'
		;;
	amd)
		# Linux remaps interrupts only with a south bridge where QEMU's IVRS table says that
		# it is. It knows one by its class, so a disk of this guest poses as one.
		qemu_argv+=(-device amd-iommu,intremap=on)
		qemu_disk_more=,addr=14.0,class=0x0c05
		;;
	virtio)
		qemu_argv+=(-device virtio-iommu-pci)
		qemu_words+=' vfio_iommu_type1.allow_unsafe_interrupts=1'
		qemu_words+=' iommufd.allow_unsafe_interrupts=1'
		;;
	esac
}

# qemu_kvm_trial KERNEL_DIR: whether a short guest under KVM reaches its init.
qemu_kvm_trial() {
	local dir=$1 work status=1
	work=$(mktemp -d)
	mkdir -p "$work/root/bin"
	cp "$(command -v busybox)" "$work/root/bin/busybox"
	printf '%s\n' '#!/bin/busybox sh' 'echo KVM works' 'exec busybox poweroff -nf' \
		>"$work/root/init"
	chmod 755 "$work/root/init"
	(cd "$work/root" && find . | cpio --quiet -o -H newc -R 0:0) >"$work/initrd"
	# In braces: where QEMU aborts, bash says so on the standard error of the group.
	{
		timeout -k 1 30 "$QEMU" -machine q35,accel=kvm,kernel-irqchip=split -cpu max \
			-m 256M -nodefaults -no-user-config \
			-display none -no-reboot -kernel "$dir/vmlinux" -initrd "$work/initrd" \
			-serial "file:$work/console" \
			-append 'console=ttyS0 quiet panic=-1' >/dev/null 2>&1 </dev/null || true
	} 2>/dev/null
	grep -q 'KVM works' "$work/console" 2>/dev/null && status=0
	rm -rf "$work"
	return "$status"
}

# qemu_accel KERNEL_DIR: prints kvm or tcg. A trial's outcome is kept for as long as the machine is
# up.
qemu_accel() {
	local cache=$VIOFS_GUEST/accel-$vm_qemu key
	if [[ ! -r /dev/kvm || ! -w /dev/kvm ]]; then
		printf tcg
		return
	fi
	key="$(</proc/sys/kernel/random/boot_id) $(stat -L -c %Y "$(command -v "$QEMU")")"
	if [[ ! -e $cache || $(<"$cache") != "$key "* ]]; then
		if qemu_kvm_trial "$1"; then
			printf '%s kvm\n' "$key" >"$cache"
		else
			printf '%s tcg\n' "$key" >"$cache"
		fi
	fi
	printf '%s' "$(awk '{ print $NF }' "$cache")"
}

# qemu_cpu: under TCG, string instructions that announce themselves as fast are slow.
qemu_cpu() {
	local cpu=max flag known
	known=" $("$QEMU" -cpu help | tr -s ' \n' ' ') "
	for flag in fsrm erms; do
		[[ $known != *" $flag "* ]] || cpu+=,-$flag
	done
	printf '%s' "$cpu"
}

# qemu_escape PATH: a comma in an option's value is written twice.
qemu_escape() {
	printf '%s' "${1//,/,,}"
}

# qemu_disk NAME FILE [MORE]: a read-only disk with the serial number NAME; MORE: properties of its
# device
qemu_disk() {
	qemu_argv+=(-drive "if=none,id=$1,format=raw,readonly=on,file=$(qemu_escape "$2")"
		-device "virtio-blk-pci,drive=$1,serial=$1${3:-}")
}

# qemu_port NAME FIFO
qemu_port() {
	qemu_argv+=(-chardev "file,id=$1,path=$2" -device "virtserialport,chardev=$1,name=viofs.$1")
}

# qemu_share NUMBER SOCKET TAG: a virtio-fs device behind a root port of its own
qemu_share() {
	local i=$1 tag=$3 slot=$(($1 + 1)) queues=,num-request-queues=$vm_queues address
	printf -v address %x $((16 + i))
	qemu_argv+=(-chardev "socket,id=c$i,path=$2"
		-device "pcie-root-port,id=rp$i,bus=pcie.0,chassis=$slot,slot=$slot,addr=$address"
		-device "vhost-user-fs-pci,id=fs$i,bus=rp$i,chardev=c$i,tag=$tag$queues")
}

# shellcheck disable=SC2054 # the commas are QEMU's
# qemu_build WORK KERNEL_DIR ACCEL: sets the array qemu_argv.
qemu_build() {
	local work=$1 kernel=$2 accel=$3 i qemu_disk_more='' \
		qemu_words='console=ttyS0 panic=-1 no_timer_check'
	[[ -n $vm_verbose ]] || qemu_words+=' quiet'
	qemu_argv=("$QEMU" -machine "q35,accel=$accel,kernel-irqchip=split" -cpu "$(qemu_cpu)"
		-smp "$vm_smp" -m "$vm_mem"
		-object "memory-backend-memfd,id=ram,size=$(qemu_memory),share=on"
		-machine memory-backend=ram
		-nodefaults -no-user-config -display none -no-reboot
		-kernel "$kernel/vmlinux" -initrd "$kernel/initrd")
	qemu_iommu "$vm_iommu"
	qemu_argv+=(-append "$qemu_words$vm_cmdline"
		-serial "file:$work/console.log"
		-device virtio-serial-pci)
	for i in ctl out err; do
		qemu_port "$i" "$work/$i"
	done
	qemu_disk userland "$USERLAND_IMAGE"
	qemu_disk modules "$kernel/modules.sqfs"
	qemu_disk run "$work/run.sqfs" "$qemu_disk_more"
	for ((i = 0; i < ${#vm_shares[@]}; i++)); do
		qemu_share "$i" "$work/fs$i.sock" "$(vm_tag "$i")"
	done
	if [[ $vm_mode == shell ]]; then
		qemu_argv+=(-chardev stdio,id=shell,mux=on,signal=off -mon chardev=shell
			-device virtconsole,chardev=shell)
	fi
	[[ -z $vm_qmp ]] || qemu_argv+=(-qmp "unix:$(qemu_escape "$vm_qmp"),server=on,wait=off")
	qemu_argv+=("${vm_qemu_opts[@]}")
}

# qemu_memory: --mem as the memory back end takes it; a bare number is MiB, as for -m.
qemu_memory() {
	case $vm_mem in
	*[MG]) printf '%s' "$vm_mem" ;;
	*) printf '%sM' "$vm_mem" ;;
	esac
}
