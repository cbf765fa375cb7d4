# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# A guest's kernel: its image, an initramfs that mounts the root, and an image with the modules of
# our list.
#
# kernel_prepare leaves in $VIOFS_GUEST/kernel/NAME: vmlinux (unpacked where that can be), initrd,
# modules.sqfs, key.

# kernel_source NAME: the tree that the kernel's packages were unpacked to, fetched if need be.
kernel_source() {
	local name=$1 suite dir
	case $name in
	new) suite=trixie-backports ;;
	6.12) suite=trixie ;;
	6.1) suite=bookworm ;;
	test)
		testkernel_prepare
		printf '%s' "$TESTKERNEL/kernel"
		return
		;;
	*)
		realpath -- "$name"
		return
		;;
	esac
	dir=$VIOFS_DOWNLOAD/$suite/kernel
	fetch_kernel "$suite" "$dir"
	printf '%s' "$dir"
}

# kernel_dir NAME: where the prepared files of a kernel are.
kernel_dir() {
	case $1 in
	new | 6.12 | 6.1 | test) printf '%s' "$VIOFS_GUEST/kernel/$1" ;;
	*) printf '%s' "$VIOFS_GUEST/kernel/path-$(realpath -- "$1" | sha256sum | cut -c1-16)" ;;
	esac
}

# kernel_image SOURCE: the kernel image in an unpacked tree, or SOURCE itself where it is a file.
kernel_image() {
	local source=$1 file
	if [[ -f $source ]]; then
		printf '%s' "$source"
		return
	fi
	for file in "$source"/usr/lib/modules/*/vmlinuz "$source"/boot/vmlinuz-* \
		"$source"/{vmlinuz,bzImage}; do
		if [[ -f $file ]]; then
			printf '%s' "$file"
			return
		fi
	done
	die 2 "no kernel image in $source" \
		'(usr/lib/modules/*/vmlinuz, boot/vmlinuz-*, vmlinuz, bzImage)'
}

# kernel_modules SOURCE: BASE and VERSION of the module tree BASE/lib/modules/VERSION; nothing for a
# kernel that has everything built in.
kernel_modules() {
	local dir
	for dir in "$1"/usr/lib/modules/*/ "$1"/lib/modules/*/; do
		if [[ -d $dir/kernel ]]; then
			printf '%s %s' "${dir%/lib/modules/*}" "$(basename "$dir")"
			return
		fi
	done
}

# kernel_depends BASE VERSION NAME: the files to load for a module, in order; none when it is built
# in.
kernel_depends() {
	modprobe -C /dev/null -d "$1" -S "$2" --show-depends --ignore-install "$3" 2>/dev/null |
		awk '$1 == "insmod" { print $2 }'
}

# kernel_unpack FILE TARGET: a module, without its compression.
kernel_unpack() {
	mkdir -p "${2%/*}"
	case $1 in
	*.xz) xz -dc -- "$1" >"$2" ;;
	*.zst) zstd -dcq -- "$1" >"$2" ;;
	*.gz) gzip -dc -- "$1" >"$2" ;;
	*) cp -- "$1" "$2" ;;
	esac
}

# kernel_stage_modules SOURCE BOOT ROOT: the modules of our list: into BOOT, numbered, those the
# initramfs loads; into ROOT all of them, as /usr/lib/modules with its indices.
kernel_stage_modules() {
	local source=$1 boot=$2 root=$3 base version when name file target tree number=100
	mkdir -p "$boot" "$root/usr/lib/modules"
	read -r base version < <(kernel_modules "$source") || true
	[[ -n ${base:-} ]] || return 0
	[[ -e $base/lib/modules/$version/modules.dep.bin ]] || quiet depmod -b "$base" "$version" ||
		die 1 "depmod fails on $base/lib/modules/$version"
	tree=$root/usr/lib/modules/$version
	mkdir -p "$tree"
	while read -r when name; do
		while read -r file; do
			target=$tree/${file#"$base/lib/modules/$version/"}
			target=${target%.ko*}.ko
			[[ -e $target ]] || kernel_unpack "$file" "$target"
			if [[ $when == boot ]] &&
				! compgen -G "$boot/*-${target##*/}" >/dev/null; then
				cp "$target" "$boot/$((number++))-${target##*/}"
			fi
		done < <(kernel_depends "$base" "$version" "$name")
	done < <(read_list "$VIOFS_LIB/packages/modules")
	cp "$base/lib/modules/$version"/modules.{builtin,order}* "$tree"
	depmod -b "$root/usr" "$version"
}

# kernel_initrd DIR FILE: an initramfs of busybox, our init, and the modules in DIR/modules.
kernel_initrd() {
	local dir=$1
	mkdir -p "$dir"/{bin,dev,proc,sys,layers,newroot}
	cp "$(command -v busybox)" "$dir/bin/busybox"
	install -m 755 "$VIOFS_VM/guest/initramfs-init" "$dir/init"
	(cd "$dir" && find . | cpio --quiet -o -H newc -R 0:0) >"$2"
}

kernel_key() {
	{
		cat "$VIOFS_VM"/{kernel.sh,vmlinux.py,guest/initramfs-init} \
			"$VIOFS_LIB/packages/modules"
		stat -L -c '%n %s %Y' -- "$1" "$(kernel_image "$1")" "$(command -v busybox)"
	} | sha256sum
}

# kernel_build SOURCE DIR: in a subshell, whose end removes what it worked in
kernel_build() (
	local source=$1 dir=$2 stage image
	say "making the guest's kernel files from $source"
	stage=$(mktemp -d "$VIOFS_GUEST/kernel.XXXXXX")
	# shellcheck disable=SC2064 # the value of now
	trap "rm -rf -- '$stage'" EXIT
	mkdir -p "$stage/files" "${dir%/*}"
	kernel_stage_modules "$source" "$stage/initrd/modules" "$stage/root"
	kernel_initrd "$stage/initrd" "$stage/files/initrd"
	quiet mksquashfs "$stage/root" "$stage/files/modules.sqfs" \
		-noappend -no-progress -all-root -comp lz4 ||
		die 1 "mksquashfs cannot make the image of kernel modules"
	image=$(kernel_image "$source")
	quiet "$VIOFS_VM/vmlinux.py" "$image" "$stage/files/vmlinux" ||
		cp "$image" "$stage/files/vmlinux"
	kernel_key "$source" >"$stage/files/key"
	rm -rf "$dir"
	mv "$stage/files" "$dir"
)

# kernel_prepare NAME
kernel_prepare() {
	local source dir
	source=$(kernel_source "$1")
	kernel_image "$source" >/dev/null
	dir=$(kernel_dir "$1")
	[[ -e $dir/key && $(kernel_key "$source") == "$(<"$dir/key")" ]] ||
		kernel_build "$source" "$dir"
}
