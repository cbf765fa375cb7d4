# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # set for the other files
# Command line of tools/vm: its help, and what it sets (vm_*).

vm_mode=''
vm_shares=() vm_driver='' vm_mount_opts=''
vm_virtiofsd=rust vm_virtiofsd_opts=() vm_queues=1
vm_kernel=new vm_cmdline='' vm_smp=2 vm_mem=1G
vm_qemu=host vm_iommu=intel
vm_qemu_opts=() vm_qmp='' vm_verbose='' vm_timeout=''
vm_root='' vm_image='' vm_initrd='' vm_debian='' vm_initramfs=initramfs-tools
vm_put=() vm_files=() vm_command=()

options_help() {
	cat <<'END'
tools/vm run [OPTION...] -- CMD [ARG...]     run CMD as root in a guest
tools/vm shell [OPTION...]                   a shell in a guest (Ctrl-A X ends it by force)
tools/vm boot --root DIR | --debian RELEASE | --image FILE --initrd FILE [OPTION...]
                                             a guest whose root file system is a directory, or that
                                             has none
tools/vm prepare [OPTION...]                 only fetch and make what such a guest needs

Starts a virtiofsd for each shared directory and a QEMU guest with the directories as virtio-fs
devices, tagged myfs, myfs2, ... and mounted at /mnt, /mnt2, ...

  --share DIR            share a directory (may be repeated; without it there is no device)
  --driver DRIVER        viofs: virtiofs-vfio over VFIO (default); kernel: mount -t virtiofs; none:
                         no mounts
  --mount-opts OPTS      mount options, after -o
  --kernel KERNEL        new: Debian's newest (trixie-backports, default); 6.12: Debian 13's; 6.1:
                         Debian 12's; test: the newest with modules that are built here, once, for
                         what those lack (VFIO by device and iommufd, VFIO without an IOMMU); or a
                         path: a kernel image with virtio_pci, virtio_blk, virtio_console, squashfs
                         (lz4) and overlay built in, or a tree with an image and lib/modules/VERSION
  --virtiofsd PROGRAM    rust: virtiofsd of Debian 13 (default); forky: of Debian's testing suite;
                         c: the one of QEMU 7.2 (Debian 12); or a path, called with --socket-path,
                         --shared-dir
  --virtiofsd-opts OPTS  more options for it, split at spaces (may be repeated), in the Rust
                         program's words; for 'c' they are translated where it has them
  --queues N             request queues of each device (default 1; virtiofsd has no more)
  --iommu IOMMU          intel (default), amd, virtio or none
  --qemu VERSION         7.2 (of Debian 12), 10 (of 13), 11 (of testing): fetched where this machine
                         has another; host: what is installed here (default)
  --smp N, --mem SIZE    guest's CPUs (2) and memory (1G)
  --timeout SECONDS      of CMD, mounts included (600; 0: none; default for shell: none)
  --put FILE             bring a program into the guest's PATH, with its libraries (may be repeated)
  --file SRC[:DST]       bring a file or directory, to /root/NAME if DST is not given (may be
                         repeated)
  --cmdline ARGS         more words for the kernel's command line. The guest itself knows
                         viofs.novfio (vfio-pci is not loaded) and viofs.novirtiofs (nor is a
                         modular virtiofs)
  --qemu-opts OPTS       more options for QEMU, split at spaces (may be repeated). Devices are fs0,
                         fs1, ... on root ports rp0, rp1, ...; their character devices c0, c1, ...
  --qmp SOCKET           path of a socket to make for QEMU's monitor (QMP)
  --root DIR             boot: this directory is the root file system, by virtiofs-vfio, tagged
                         rootfs; kernel and initramfs are those in its /boot. The console is
                         standard input and output
  --debian 12|13         boot: the root is such a Debian with the packages in build/packages, which
                         are made if need be. It is gone afterwards; tools/package --system makes
                         one to keep
  --image FILE, --initrd FILE
                         boot: this kernel and this initramfs; without --root there is no word of a
                         root
  --initramfs GENERATOR  of --debian: initramfs-tools (default) or dracut
  --verbose              the guest's console and virtiofsd's messages on standard error

CMD's standard output and error are those of 'tools/vm run', its exit status too; 124 after a
time-out, 125 where the guest itself or a mount failed, 2 for a wrong option. Programs of the build
directory (virtiofs-vfio, viofsctl, what is in tests/vm) are in the guest's PATH. The build
directory is 'build', or $VIOFS_BUILD; what is downloaded and generated is kept in its 'guest'
folder.
END
}

options_fail() {
	die 2 "$* (tools/vm --help)"
}

options_number() {
	if [[ ! $2 =~ ^[0-9]{1,6}$ ]] || ((10#$2 < $3)); then
		options_fail "$1 $2: not a number of at least $3"
	fi
}

options_command() {
	case ${1:-} in
	run | shell | boot | prepare) vm_mode=$1 ;;
	-h | --help | help)
		options_help
		exit 0
		;;
	'') options_fail 'run, shell, boot or prepare?' ;;
	*) options_fail "unknown command '$1'" ;;
	esac
}

# options_set NAME VALUE
options_set() {
	local words
	case $1 in
	--share) vm_shares+=("$2") ;;
	--driver) vm_driver=$2 ;;
	--mount-opts) vm_mount_opts=$2 ;;
	--kernel) vm_kernel=$2 ;;
	--iommu) vm_iommu=$2 ;;
	--qemu) vm_qemu=$2 ;;
	--virtiofsd) vm_virtiofsd=$2 ;;
	--virtiofsd-opts)
		read -ra words <<<"$2"
		vm_virtiofsd_opts+=("${words[@]}")
		;;
	--queues) vm_queues=$2 ;;
	--smp) vm_smp=$2 ;;
	--mem) vm_mem=$2 ;;
	--timeout) vm_timeout=$2 ;;
	--put) vm_put+=("$2") ;;
	--file) vm_files+=("$2") ;;
	--cmdline) vm_cmdline+=" $2" ;;
	--qemu-opts)
		read -ra words <<<"$2"
		vm_qemu_opts+=("${words[@]}")
		;;
	--qmp) vm_qmp=$2 ;;
	--root) vm_root=$2 ;;
	--debian) vm_debian=$2 ;;
	--image) vm_image=$2 ;;
	--initrd) vm_initrd=$2 ;;
	--initramfs) vm_initramfs=$2 ;;
	*) options_fail "unknown option '$1'" ;;
	esac
}

# options_parse ARG...
options_parse() {
	options_command "${1:-}"
	shift
	while (($#)); do
		case $1 in
		--)
			shift
			vm_command=("$@")
			break
			;;
		-h | --help)
			options_help
			exit 0
			;;
		--verbose) vm_verbose=1 ;;
		--*=*) options_set "${1%%=*}" "${1#*=}" ;;
		--?*)
			(($# >= 2)) || options_fail "$1: unknown, or without its value"
			options_set "$1" "$2"
			shift
			;;
		*) options_fail "unexpected '$1': the command comes after --" ;;
		esac
		shift
	done
}

# options_check_root: boot wants one of both, nobody else does.
options_check_root() {
	if [[ $vm_mode != boot ]]; then
		[[ -z $vm_root$vm_debian$vm_image$vm_initrd ]] ||
			options_fail "--root, --debian, --image and --initrd are for boot"
		return
	fi
	vm_driver=none
	[[ -n $vm_root || -n $vm_debian || (-n $vm_image && -n $vm_initrd) ]] ||
		options_fail \
		'boot: what? --root DIR, --debian RELEASE, or --image FILE and --initrd FILE'
	[[ -z $vm_root || -z $vm_debian ]] || options_fail '--root and --debian are not for both'
	[[ -z $vm_root || -d $vm_root ]] || options_fail "--root $vm_root: not a directory"
	[[ $vm_initramfs =~ ^(initramfs-tools|dracut)$ ]] ||
		options_fail "--initramfs $vm_initramfs: not initramfs-tools or dracut"
	[[ $vm_debian =~ ^(|12|13)$ ]] || options_fail "--debian $vm_debian: not 12 or 13"
}

options_check_files() {
	local item
	for item in "${vm_shares[@]}"; do
		[[ -d $item ]] || options_fail "--share $item: not a directory"
	done
	for item in "${vm_put[@]}"; do
		[[ -f $item && -x $item ]] || options_fail "--put $item: not a program"
	done
	for item in "${vm_files[@]}"; do
		[[ -e $item || -e ${item%:*} ]] || options_fail "--file $item: no such file"
		[[ -e $item || ${item##*:} == /* ]] ||
			options_fail "--file $item: the place in the guest is not an absolute path"
	done
	case $vm_kernel in
	new | 6.12 | 6.1 | test) ;;
	*) [[ -e $vm_kernel ]] ||
		options_fail "--kernel $vm_kernel: not new, 6.12, 6.1, test or a file" ;;
	esac
	[[ $vm_iommu =~ ^(intel|amd|virtio|none)$ ]] ||
		options_fail "--iommu $vm_iommu: not intel, amd, virtio or none"
	[[ $vm_qemu =~ ^(host|7\.2|10|11)$ ]] ||
		options_fail "--qemu $vm_qemu: not host, 7.2, 10 or 11"
	case $vm_virtiofsd in
	rust | forky | c) ;;
	*) [[ -f $vm_virtiofsd && -x $vm_virtiofsd ]] ||
		options_fail "--virtiofsd $vm_virtiofsd: not rust, forky, c or a program" ;;
	esac
}

# options_check: values in range; defaults that depend on others.
options_check() {
	[[ -n $vm_driver ]] || vm_driver=viofs
	case $vm_driver in
	viofs | kernel | none) ;;
	*) options_fail "--driver $vm_driver: not viofs, kernel or none" ;;
	esac
	((${#vm_shares[@]})) || vm_driver=none
	options_number --queues "$vm_queues" 1
	options_number --smp "$vm_smp" 1
	[[ -n $vm_timeout ]] || case $vm_mode in
	run | boot) vm_timeout=600 ;;
	*) vm_timeout=0 ;;
	esac
	options_number --timeout "$vm_timeout" 0
	[[ $vm_mem =~ ^[1-9][0-9]*[MG]?$ ]] ||
		options_fail "--mem $vm_mem: not a size such as 512M or 2G"
	case $vm_mode in
	run) ((${#vm_command[@]})) || options_fail 'run: no command after --' ;;
	*) ((!${#vm_command[@]})) || options_fail "$vm_mode takes no command" ;;
	esac
	options_check_files
	options_check_root
}
