# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# The test kernel: Debian's newest, with what no Debian kernel has: VFIO by device and iommufd, and
# VFIO without an IOMMU. Both are modules, so the modules are all that is built, from Debian's
# linux-source.
#
#   $TESTKERNEL/kernel    the tree of Debian's kernel packages, with those modules in it
#   $TESTKERNEL/key       of what it was made from; another key: it is made anew

TESTKERNEL=$VIOFS_GUEST/testkernel
# None of them changes a structure that VFIO shares with the rest of the kernel, which stays
# Debian's.
TESTKERNEL_OPTIONS=(IOMMUFD=m VFIO_DEVICE_CDEV=y VFIO_NOIOMMU=y)
TESTKERNEL_MODULES=(iommu/iommufd/iommufd vfio/vfio vfio/vfio_iommu_type1 vfio/pci/vfio-pci-core
	vfio/pci/vfio-pci)

# testkernel_key DEBIAN: DEBIAN is the tree of Debian's kernel
testkernel_key() {
	{
		cat "$VIOFS_VM/testkernel.sh"
		testkernel_version "$1"
	} | sha256sum
}

# testkernel_version DEBIAN: as uname -r has it
testkernel_version() {
	local base version
	read -r base version < <(kernel_modules "$1")
	printf '%s' "$version"
}

# testkernel_fetch DIR VERSION: the kernel's source, and what Debian's vmlinux exports.
testkernel_fetch() {
	local dir=$1 version=$2 source
	fetch_index trixie-backports
	source=$(fetch_apt trixie-backports apt-cache depends linux-source |
		sed -n 's/^ *Depends: *\(linux-source-[0-9.]*\)$/\1/p')
	[[ -n $source ]] || die 1 'the package linux-source names no source'
	fetch_packages trixie-backports "$dir/deb" "$source" "linux-headers-$version"
}

# testkernel_unpack TARBALL DIR: without most of what is never built.
testkernel_unpack() {
	mkdir "$2"
	tar -C "$2" --strip-components=1 -xJf "$1" --exclude='*.dts' \
		--exclude='*/Documentation/*.rst' \
		--exclude='*/tools/testing/*' --exclude='*/drivers/gpu/*.[ch]' \
		--exclude='*/drivers/media/*.[ch]' \
		--exclude='*/drivers/net/*.[ch]' --exclude='*/sound/*.[ch]'
}

# testkernel_make TREE VERSION ARG...: make, with the compiler that is here whatever its version.
testkernel_make() {
	local tree=$1 version=$2
	shift 2
	quiet make -C "$tree" -j"$(nproc)" ARCH=x86_64 KERNELRELEASE="$version" "$@" ||
		die 1 "make $* fails in the source of Linux $version; see its messages above"
}

# testkernel_configure TREE VERSION CONFIG: Debian's configuration and our options; dies where one
# is not taken.
testkernel_configure() {
	local tree=$1 option
	cp "$3" "$tree/.config"
	printf 'CONFIG_%s\n' "${TESTKERNEL_OPTIONS[@]}" RUST=n >>"$tree/.config"
	testkernel_make "$tree" "$2" olddefconfig
	for option in "${TESTKERNEL_OPTIONS[@]}"; do
		grep -qx "CONFIG_$option" "$tree/.config" ||
			die 1 "the source of Linux $2 does not take CONFIG_$option"
	done
}

# testkernel_compile TREE VERSION: iommufd takes along what would be built in, and Debian's vmlinux
# has not.
testkernel_compile() {
	local tree=$1 version=$2
	cat >"$tree/drivers/iommu/iommufd/spans.c" <<-'END'
		/* The kernel has lib/interval_tree.c without its spans: all of it once more,
		 * exporting nothing. */
		#include <linux/export.h>
		#undef EXPORT_SYMBOL_GPL
		#define EXPORT_SYMBOL_GPL(name)
		#include "../../../lib/interval_tree.c"
	END
	printf 'iommufd-y += driver.o iova_bitmap.o spans.o\nobj-y :=\n' \
		>>"$tree/drivers/iommu/iommufd/Makefile"
	testkernel_make "$tree" "$version" modules_prepare
	testkernel_make "$tree" "$version" modules M=drivers/iommu/iommufd
	testkernel_make "$tree" "$version" modules M=drivers/vfio \
		KBUILD_EXTRA_SYMBOLS="$tree/drivers/iommu/iommufd/Module.symvers"
}

# testkernel_assemble DEBIAN VERSION TREE TARGET: Debian's kernel with the modules of TREE.
testkernel_assemble() {
	local debian=$1 version=$2 tree=$3 target=$4 name \
		drivers=$4/usr/lib/modules/$2/kernel/drivers
	cp -a --reflink=auto "$debian" "$target"
	for name in "${TESTKERNEL_MODULES[@]}"; do
		mkdir -p "$drivers/${name%/*}"
		rm -f "$drivers/$name".ko*
		strip --strip-debug -o "$drivers/$name.ko" "$tree/drivers/$name.ko"
	done
	quiet depmod -b "$target/usr" "$version" ||
		die 1 "depmod fails on the test kernel's modules"
}

# testkernel_build DEBIAN: in a subshell, whose end removes what it worked in
testkernel_build() (
	local debian=$1 work=$TESTKERNEL/work version release began=$SECONDS
	version=$(testkernel_version "$debian")
	# shellcheck disable=SC2064 # the value of now
	trap "rm -rf -- '$work'" EXIT
	rm -rf "$work" "$TESTKERNEL"/{kernel,key}
	mkdir -p "$work"
	testkernel_fetch "$work" "$version"
	say "building modules for the test kernel; this takes a minute or two, once"
	testkernel_unpack "$work"/deb/usr/src/linux-source-*.tar.xz "$work/tree" ||
		die 1 "the kernel's source cannot be unpacked"
	release=$(make -s -C "$work/tree" kernelversion)
	[[ $version == "$release"[!0-9]* ]] ||
		die 1 "the source is of Linux $release, the kernel in $debian is $version:" \
			'remove that, and it is fetched anew'
	cp "$work/deb/usr/src/linux-headers-$version/Module.symvers" "$work/tree"
	testkernel_configure "$work/tree" "$version" "$debian/usr/lib/modules/$version/config"
	testkernel_compile "$work/tree" "$version"
	testkernel_assemble "$debian" "$version" "$work/tree" "$work/kernel"
	mv "$work/kernel" "$TESTKERNEL/kernel"
	testkernel_key "$debian" >"$TESTKERNEL/key"
	say "the test kernel took $((SECONDS - began)) s"
)

# testkernel_prepare: under the lock, as all that fetches
testkernel_prepare() {
	local debian
	debian=$(kernel_source new)
	[[ -e $TESTKERNEL/key && $(testkernel_key "$debian") == "$(<"$TESTKERNEL/key")" ]] ||
		testkernel_build "$debian"
}
