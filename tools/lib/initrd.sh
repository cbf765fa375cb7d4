# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# An archive for somebody else's initramfs, such as an installer's: programs that need nothing of
# it.

# initrd_programs DIR: in the system in DIR that packages are built in: /out has the programs, with
# loader and libraries of their own in a place that nobody else looks at.
initrd_programs() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	quiet debian_run "$1" sh -ec '
		own=/usr/lib/virtiofs-vfio
		mkdir -p $own
		ln -s /lib64/ld-linux-x86-64.so.2 $own/ld.so
		cd /build/virtiofs-vfio
		meson setup b --prefix=/usr --libdir=lib --buildtype=minsize \
			-Dsystemd=disabled -Dlibedit=disabled -Dcurses=disabled -Dxxhash=disabled \
			-Dpython=disabled -Dtests=disabled -Dfuzz=disabled -Dman=disabled \
			-Dc_link_args=-Wl,-rpath,$own,--dynamic-linker,$own/ld.so
		meson install -C b --strip --destdir /all
		mkdir -p /out$own /out/usr/bin /out/usr/sbin
		cp /all/usr/bin/viofs /out/usr/bin
		cp /all/usr/sbin/virtiofs-vfio /out/usr/sbin
		ln -s virtiofs-vfio /out/usr/sbin/mount.fuse.virtiofs-vfio
		cp -L $own/ld.so /out$own/ld.so
		cp -L /all/usr/lib/libviofs.so.0 /out$own
		ldd /all/usr/bin/viofs /all/usr/sbin/virtiofs-vfio |
			sed -n "s/.* => \(\/[^ ]*\) .*/\1/p" | sort -u | grep -v /ld-linux |
			while read -r file; do cp -L "$file" /out$own; done' ||
		die 1 'the programs for the archive cannot be built'
}

# initrd_modules DIR KERNEL: the installer has virtio_pci. VFIO's and FUSE's modules of the kernel
# in the tree KERNEL, in the order in which insmod takes them.
initrd_modules() {
	local dir=$1 base version target number=10 name file
	base=$(compgen -G "$2/usr/lib/modules/*" || compgen -G "$2/lib/modules/*") ||
		die 2 "$2 has no modules"
	version=${base##*/}
	target=$dir/usr/lib/virtiofs-vfio/modules/$version
	mkdir -p "$target"
	[[ -e $base/modules.dep.bin ]] || quiet depmod -b "${base%/lib/modules/*}" "$version"
	for name in fuse vfio_iommu_type1 vfio-pci; do
		while read -r file; do
			compgen -G "$target/*-${file##*/}" >/dev/null ||
				cp "$file" "$target/$((number++))-${file##*/}"
		done < <(modprobe -C /dev/null -d "${base%/lib/modules/*}" -S "$version" \
			--show-depends --ignore-install "$name" 2>/dev/null |
			awk '$1 == "insmod" { print $2 }')
	done
}

# initrd_build FILE [KERNEL]: the archive. In a subshell, whose end removes what it worked in.
initrd_build() (
	file=$1 kernel=${2:-}
	mkdir -p "$VIOFS_GUEST/debian"
	work=$(mktemp -d "$VIOFS_GUEST/debian/initrd.XXXXXX")
	trap 'rm -rf -- "$work"' EXIT
	debian_unpack 12 build "$work"
	mkdir "$work/build"
	debian_tree "$work/build/virtiofs-vfio"
	initrd_programs "$work"
	[[ -z $kernel ]] || initrd_modules "$work/out" "$kernel"
	tar -C "$work/out" --sort=name --owner=0 --group=0 --numeric-owner -cf "$file" .
	(($(stat -c %s "$file") <= 4 << 20)) ||
		die 1 "$file is larger than 4 MiB: $(tar -tvf "$file")"
)
