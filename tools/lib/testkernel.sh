# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# The test kernel: built once from Debian's newest linux-source, with what no Debian kernel has.
#
#   $TESTKERNEL/vmlinuz    the image; it needs no modules
#   $TESTKERNEL/config     its configuration, complete
#   $TESTKERNEL/key        of what it was made from; another key: it is made anew
#   $TESTKERNEL/linux-source-*.tar.xz    kept, for the next time that the list of options changes
#
# The build takes minutes, so `tools/test` begins it in the background, by `tools/vm prepare --kernel test`.

TESTKERNEL=$VIOFS_GUEST/testkernel
TESTKERNEL_OPTIONS=$VIOFS_LIB/packages/test-kernel.config

testkernel_key() {
	cat "$VIOFS_LIB/testkernel.sh" "$TESTKERNEL_OPTIONS" | sha256sum
}

# testkernel_tarball: the path of the source.
testkernel_tarball() {
	compgen -G "$TESTKERNEL/linux-source-*.tar.xz"
}

# shellcheck disable=SC2317 # called by with_lock
# testkernel_fetch: the source, where it is missing.
testkernel_fetch() {
	local package
	! testkernel_tarball >/dev/null || return 0
	mkdir -p "$TESTKERNEL"
	fetch_index trixie-backports
	package=$(fetch_apt trixie-backports apt-cache depends linux-source |
		sed -n 's/^ *Depends: *\(linux-source-[0-9.]*\)$/\1/p')
	[[ -n $package ]] || die 1 'the package linux-source names no source'
	rm -rf "$TESTKERNEL/deb"
	fetch_packages trixie-backports "$TESTKERNEL/deb" "$package"
	mv "$TESTKERNEL/deb"/usr/src/linux-source-*.tar.xz "$TESTKERNEL"
	rm -rf "$TESTKERNEL/deb"
}

# testkernel_unpack TARBALL DIR: without the sources of drivers that are never built.
testkernel_unpack() {
	mkdir "$2"
	tar -C "$2" --strip-components=1 -xJf "$1" --exclude='*.dts' --exclude='*/Documentation/*.rst' \
		--exclude='*/tools/testing/*' --exclude='*/drivers/gpu/*.[ch]' --exclude='*/drivers/media/*.[ch]' \
		--exclude='*/drivers/net/ethernet/*.[ch]' --exclude='*/drivers/net/wireless/*.[ch]' --exclude='*/sound/*.[ch]'
}

# testkernel_make DIR ARG...: make, with the compiler that is here whatever its version.
testkernel_make() {
	local dir=$1
	shift
	quiet nice make -C "$dir" -j"$(nproc)" ARCH=x86_64 KBUILD_BUILD_USER=viofs KBUILD_BUILD_HOST=guest "$@"
}

# testkernel_configure DIR: our options and nothing else; dies where one of them did not come out as asked for.
testkernel_configure() {
	local dir=$1 word lost=''
	for word in $(read_list "$TESTKERNEL_OPTIONS"); do
		printf 'CONFIG_%s=y\n' "$word"
	done >"$dir/viofs.config"
	testkernel_make "$dir" KCONFIG_ALLCONFIG=viofs.config allnoconfig ||
		die 1 'make allnoconfig failed; see its messages above'
	for word in $(read_list "$TESTKERNEL_OPTIONS"); do
		grep -q "^CONFIG_$word=y" "$dir/.config" || lost+=" $word"
	done
	[[ -z $lost ]] || die 1 "the kernel does not take these options of ${TESTKERNEL_OPTIONS##*/}:$lost"
}

testkernel_is_current() {
	[[ -e $TESTKERNEL/vmlinuz && -e $TESTKERNEL/key ]] && [[ $(testkernel_key) == "$(<"$TESTKERNEL/key")" ]]
}

# shellcheck disable=SC2317 # called by with_lock_of
# testkernel_build: makes the image anew, where nobody else has meanwhile.
testkernel_build() {
	local tarball tree=$TESTKERNEL/tree began=$SECONDS
	! testkernel_is_current || return 0
	tarball=$(testkernel_tarball)
	say "building the test kernel from ${tarball##*/}; this takes some minutes, once"
	# shellcheck disable=SC2064 # the value of now; this runs in the subshell of with_lock_of
	trap "rm -rf -- '$tree'" EXIT
	rm -rf "$tree"
	testkernel_unpack "$tarball" "$tree" || die 1 "$tarball cannot be unpacked"
	testkernel_configure "$tree"
	testkernel_make "$tree" bzImage || die 1 'the test kernel does not build; see the messages above'
	cp "$tree/arch/x86/boot/bzImage" "$TESTKERNEL/vmlinuz"
	cp "$tree/.config" "$TESTKERNEL/config"
	testkernel_key >"$TESTKERNEL/key"
	say "the test kernel took $((SECONDS - began)) s"
}

# testkernel_prepare: under a lock of its own, so that other guests can start while it is built.
testkernel_prepare() {
	! testkernel_is_current || return 0
	deps_install test-kernel
	with_lock testkernel_fetch
	with_lock_of "$TESTKERNEL" testkernel_build
}
