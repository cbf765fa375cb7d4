# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# What tools/bench needs beside the project itself: back ends, libfuse's examples, builds of its
# own.

# The newest in reach: 3.18 and later have FUSE over io_uring.
LIBFUSE_SUITE=forky
LIBFUSE_EXAMPLES=(example/passthrough_hp example/null)

# bench_build_libfuse: libfuse's examples in $VIOFS_BUILD/libfuse/example, linked with their own
# library.
bench_build_libfuse() {
	local source=$VIOFS_DOWNLOAD/libfuse build=$VIOFS_BUILD/libfuse example
	for example in "${LIBFUSE_EXAMPLES[@]}"; do
		[[ -x $build/$example ]] || break
		example=
	done
	[[ -n $example ]] || return 0
	[[ -e $source ]] || fetch_source "$LIBFUSE_SUITE" fuse3 "$source"
	say "building libfuse's examples"
	rm -rf "$build"
	quiet meson setup "$build" "$source" --buildtype=release -Ddefault_library=static \
		-Dtests=false -Dutils=false \
		-Denable-io-uring=true || die 1 'meson setup of libfuse failed'
	quiet ninja -C "$build" "${LIBFUSE_EXAMPLES[@]}" || die 1 'building libfuse failed'
}

bench_fetch_virtiofsd() {
	fetch_virtiofsd trixie "$VIOFS_DOWNLOAD/trixie/virtiofsd"
}

bench_prepare_native() {
	deps_install libfuse
	quiet ninja -C "$VIOFS_BUILD" tests/device/viofs-device ||
		die 1 'building viofs-device failed'
	with_lock bench_fetch_virtiofsd
	with_lock bench_build_libfuse
}

bench_prepare_scale() {
	quiet ninja -C "$VIOFS_BUILD" tests/device/viofs-device ||
		die 1 'building viofs-device failed'
	with_lock bench_fetch_virtiofsd
}

bench_fetch_valgrind() {
	fetch_valgrind forky "$VIOFS_DOWNLOAD/forky/valgrind"
}

# callgrind can't have its descriptors limited, nor a filter on system calls: a build of the daemon
# without
bench_prepare_profile() {
	local build=$VIOFS_BUILD/profile
	bench_prepare_native
	deps_install profile
	with_lock bench_fetch_valgrind
	if [[ ! -e $build/build.ninja ]]; then
		quiet meson setup "$build" "$VIOFS_ROOT" -Dman=disabled -Dtests=disabled \
			-Dc_args=-DVIOFS_SANDBOX_SANITIZED=1 || die 1 'meson setup failed'
	fi
	quiet ninja -C "$build" src/daemon/virtiofs-vfio || die 1 "building in $build failed"
}
