# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# Debian systems in directories: to build packages in, to install them in, to boot. And the packages.
#
#   $VIOFS_GUEST/debian/RELEASE-KIND.tar   a system, made by mmdebstrap once; RELEASE is 12 or 13
#   $VIOFS_BUILD/packages/RELEASE          our packages
#
# A program inside never needs the network: all that it will want is put in when the system is made.

DEBIAN_DIST=$VIOFS_ROOT/tools/dist/debian

debian_suite() {
	case $1 in
	12) printf bookworm ;;
	13) printf trixie ;;
	*) die 2 "Debian $1: only 12 and 13 are known here" ;;
	esac
}

# debian_build_depends: what debian/control wants for a build.
debian_build_depends() {
	sed -n '/^Build-Depends:/,/^[^ B]/p' "$DEBIAN_DIST/control" | grep -E '^(Build-Depends:| )' |
		sed -e 's/^Build-Depends://' -e 's/([^)]*)//g' -e 's/<[^>]*>//g' -e 's/:any//g' -e 's/debhelper-compat/debhelper/' |
		tr ',' '\n' | tr -d ' ' | grep .
}

# debian_includes KIND: the packages of a system of that kind.
debian_includes() {
	case $1 in
	build)
		printf '%s\n' build-essential fakeroot lintian
		debian_build_depends
		;;
	system) read_list "$VIOFS_LIB/packages/system" ;;
	esac
}

# debian_system RELEASE KIND: makes the system, where it isn't there or the lists have changed. Under with_lock.
debian_system() {
	local release=$1 kind=$2 tar=$VIOFS_GUEST/debian/$1-$2.tar suite mirror keyring includes
	suite=$(debian_suite "$release")
	includes=$(debian_includes "$kind" | sort -u | paste -sd,)
	[[ ! -e $tar || $(<"$tar.key") != "$includes" ]] || return 0
	mirror=$(fetch_mirror)
	[[ -n $mirror ]] || die 1 "the machine's apt sources name no Debian mirror for its own release"
	keyring=$(fetch_keyring)
	mkdir -p "${tar%/*}"
	say "making a system of Debian $release ($kind)"
	quiet mmdebstrap --mode=root --format=tar --variant=minbase --include="$includes" --dpkgopt=path-exclude='/usr/share/man/*' \
		--dpkgopt=path-exclude='/usr/share/locale/*' --aptopt='APT::Install-Recommends "false"' \
		"$suite" "$tar.new" "deb [signed-by=$keyring] $mirror $suite main" ||
		die 1 "no system of Debian $release; see the messages of mmdebstrap above"
	mv "$tar.new" "$tar"
	printf '%s\n' "$includes" >"$tar.key"
}

# debian_unpack RELEASE KIND DIR: such a system in the directory DIR.
debian_unpack() {
	mkdir -p "$3"
	tar -C "$3" -xpf "$VIOFS_GUEST/debian/$1-$2.tar" --numeric-owner --xattrs --xattrs-include='*'
}

# debian_run DIR COMMAND...: in the system in DIR, as root, with no network and no way to leave a process behind.
debian_run() {
	local dir=$1
	shift
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --mount --pid --net --ipc --fork --kill-child --propagation private sh -ec '
		mount -t proc proc "$1/proc"
		mount -t sysfs -o ro sysfs "$1/sys"
		mount -t tmpfs -o mode=755 tmpfs "$1/dev"
		mkdir "$1/dev/pts" "$1/dev/shm"
		for name in null zero full random urandom tty; do
			: >"$1/dev/$name"
			mount --bind "/dev/$name" "$1/dev/$name"
		done
		ln -s /proc/self/fd "$1/dev/fd"
		mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
		dir=$1
		shift
		exec chroot "$dir" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
			SYSTEMD_OFFLINE=1 "$@"' sh "$dir" "$@"
}

debian_version() {
	sed -nE '1s/.*\(([^)]*)\).*/\1/p' "$DEBIAN_DIST/changelog"
}

# debian_tree DIR: the source as Debian's tools want it: debian/ at the top, and the upstream tarball beside DIR.
debian_tree() {
	local dir=$1 version
	version=$(debian_version)
	mkdir -p "$dir"
	(
		cd "$VIOFS_ROOT"
		git ls-files -co --exclude-standard -z 2>/dev/null || find . -path './build*' -prune -o -type f -print0
	) | (cd "$VIOFS_ROOT" && xargs -0 -I{} sh -c '[ ! -e "$1" ] || printf "%s\0" "$1"' sh {}) |
		tar -C "$VIOFS_ROOT" --null --files-from - -cf - | tar -C "$dir" -xf -
	tar -C "${dir%/*}" --sort=name --owner=0 --group=0 --numeric-owner -cJf "${dir%/*}/virtiofs-vfio_${version%-*}.orig.tar.xz" \
		"${dir##*/}"
	cp -a "$DEBIAN_DIST" "$dir/debian"
}

# debian_build RELEASE OUTPUT: the packages, checked by lintian, in OUTPUT. In a subshell, whose end removes what it worked in.
debian_build() (
	release=$1 output=$2
	mkdir -p "$VIOFS_GUEST/debian"
	work=$(mktemp -d "$VIOFS_GUEST/debian/build.XXXXXX")
	trap 'rm -rf -- "$work"' EXIT
	say "building the packages for Debian $release"
	debian_unpack "$release" build "$work/system"
	mkdir "$work/system/build"
	debian_tree "$work/system/build/virtiofs-vfio"
	# The unit tests have been run by whoever calls this.
	quiet debian_run "$work/system" env DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" \
		sh -c 'cd /build/virtiofs-vfio && exec dpkg-buildpackage -us -uc' || die 1 "the packages can't be built for Debian $release"
	rm -rf "$output"
	mkdir -p "$output"
	cp "$work/system/build"/*.{deb,dsc,changes,buildinfo,tar.xz} "$output"
	# Not of our making: who packages this has an address, and a bug of his to close; each release has standards of its own.
	say "looking at them with lintian"
	debian_run "$work/system" sh -c 'exec lintian --allow-root --fail-on error,warning --tag-display-limit 0 \
		--suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog,initial-upload-closes-no-bugs \
		--suppress-tags newer-standards-version,out-of-date-standards-version /build/*.changes' ||
		die 1 'lintian has found something'
)

# debian_install DIR PACKAGES: the packages in the system in DIR, which then boots by them: an initramfs with what they want and
# no more, a console for root without a password, and no clock that would have to be right.
debian_install() {
	local dir=$1 packages=$2 name
	mkdir "$dir/root/packages"
	for name in virtiofs-vfio virtiofs-vfio-initramfs virtiofs-vfio-dracut viofs-tools libviofs0 libviofs-dev; do
		cp "$packages/$name"_*.deb "$dir/root/packages"
	done
	printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n' >"$dir/etc/initramfs-tools/conf.d/small"
	printf 'guest\n' >"$dir/etc/hostname"
	: >"$dir/etc/fstab"
	sed -i 's/^root:[^:]*:/root::/' "$dir/etc/shadow"
	quiet debian_run "$dir" sh -ec 'dpkg -i /root/packages/*.deb' || die 1 "the packages can't be installed"
}
