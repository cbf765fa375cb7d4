# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# Builds for arm64, with Debian's cross compiler and with libraries of Debian's arm64 archive.

CROSS_BUILD=$VIOFS_BUILD/arm64

# cross_file ROOT: what meson is to know. The unit tests are run by qemu-user.
cross_file() {
	cat <<-END
		[binaries]
		c = ['aarch64-linux-gnu-gcc', '--sysroot=$1']
		ar = 'aarch64-linux-gnu-gcc-ar'
		strip = 'aarch64-linux-gnu-strip'
		nm = 'aarch64-linux-gnu-nm'
		pkgconfig = 'pkg-config'
		exe_wrapper = ['qemu-aarch64-static', '-L', '$1']
		[properties]
		sys_root = '$1'
		pkg_config_libdir = '$1/usr/lib/aarch64-linux-gnu/pkgconfig:$1/usr/share/pkgconfig'
		[host_machine]
		system = 'linux'
		cpu_family = 'aarch64'
		cpu = 'aarch64'
		endian = 'little'
	END
}

# cross_build: sets $CROSS_BUILD up, and builds all of it but the tests.
cross_build() {
	local suite root
	deps_install build arm64
	# shellcheck source=/dev/null
	suite=$(. /etc/os-release && printf '%s-arm64' "${VERSION_CODENAME:-stable}")
	root=$VIOFS_DOWNLOAD/$suite/root
	with_lock fetch_libraries "$suite" "$root"
	if [[ ! -e $CROSS_BUILD/build.ninja ]]; then
		mkdir -p "$CROSS_BUILD"
		cross_file "$root" >"$CROSS_BUILD/cross.ini"
		quiet meson setup "$CROSS_BUILD" "$VIOFS_ROOT" \
			--cross-file "$CROSS_BUILD/cross.ini" -Dwerror=true -Dman=disabled \
			-Dpython=disabled -Dfuzz=disabled || die 1 'meson setup for arm64 failed'
	fi
	quiet ninja -C "$CROSS_BUILD" || die 1 "building in $CROSS_BUILD failed"
}
