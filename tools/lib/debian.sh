# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# Debian systems in directories: to build packages in, to install them in, to boot. And the
# packages.
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
	sed -n '/^Build-Depends:/,/^[^ B]/p' "$DEBIAN_DIST/control" |
		grep -E '^(Build-Depends:| )' |
		sed -e 's/^Build-Depends://' -e 's/([^)]*)//g' -e 's/<[^>]*>//g' -e 's/:any//g' \
		-e 's/debhelper-compat/debhelper/' |
		tr ',' '\n' | tr -d ' ' | grep .
}

# debian_includes RELEASE KIND: the packages of a system of that kind.
debian_includes() {
	case $2 in
	build)
		printf '%s\n' build-essential fakeroot lintian
		debian_build_depends
		;;
	system)
		read_list "$VIOFS_LIB/packages/system"
		[[ ! -e $VIOFS_LIB/packages/system-$1 ]] ||
			read_list "$VIOFS_LIB/packages/system-$1"
		;;
	esac
}

# debian_system RELEASE KIND: makes the system, where it isn't there or the lists have changed. It
# has a lock of its own: guests of other tests needn't wait for this.
debian_system() {
	local tar=$VIOFS_GUEST/debian/$1-$2.tar includes
	includes=$(debian_includes "$1" "$2" | sort -u | paste -sd,)
	debian_has "$tar" "$includes" ||
		with_lock_of "$VIOFS_GUEST/debian" debian_make "$1" "$2" "$tar" "$includes"
}

# debian_has TAR INCLUDES: is there a system with these packages?
debian_has() {
	[[ -e $1.key && $(<"$1.key") == "$2" ]]
}

# debian_make RELEASE KIND TAR INCLUDES: under the lock.
debian_make() {
	local tar=$3 includes=$4 suite mirror keyring
	! debian_has "$tar" "$includes" || return 0
	suite=$(debian_suite "$1")
	mirror=$(fetch_mirror)
	[[ -n $mirror ]] ||
		die 1 "the machine's apt sources name no Debian mirror for its own release"
	keyring=$(fetch_keyring)
	say "making a system of Debian $1 ($2)"
	rm -f "$tar.key"
	quiet mmdebstrap --mode=root --format=tar --variant=minbase --include="$includes" \
		--dpkgopt=path-exclude='/usr/share/man/*' \
		--dpkgopt=path-exclude='/usr/share/locale/*' \
		--aptopt='APT::Install-Recommends "false"' \
		"$suite" "$tar.new" "deb [signed-by=$keyring] $mirror $suite main" ||
		die 1 "no system of Debian $1; see the messages of mmdebstrap above"
	mv "$tar.new" "$tar"
	printf '%s\n' "$includes" >"$tar.key"
}

# debian_unpack RELEASE KIND DIR: such a system in the directory DIR.
debian_unpack() {
	mkdir -p "$3"
	tar -C "$3" -xpf "$VIOFS_GUEST/debian/$1-$2.tar" \
		--numeric-owner --xattrs --xattrs-include='*'
}

# debian_run DIR COMMAND...: in the system in DIR, as root, with no network and no way to leave a
# process behind.
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
		exec chroot "$dir" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 \
			"$@"' sh "$dir" "$@"
}

debian_version() {
	sed -nE '1s/.*\(([^)]*)\).*/\1/p' "$DEBIAN_DIST/changelog"
}

# debian_tree DIR: the source as Debian's tools want it: debian/ at the top, and the upstream
# tarball beside DIR.
debian_tree() {
	local dir=$1 version
	version=$(debian_version)
	mkdir -p "$dir"
	(
		cd "$VIOFS_ROOT"
		git ls-files -co --exclude-standard -z 2>/dev/null ||
			find . -path './build*' -prune -o -type f -print0
	) | (cd "$VIOFS_ROOT" && xargs -0 -I{} sh -c '[ ! -e "$1" ] || printf "%s\0" "$1"' sh {}) |
		tar -C "$VIOFS_ROOT" --null --files-from - -cf - | tar -C "$dir" -xf -
	tar -C "${dir%/*}" --sort=name --owner=0 --group=0 --numeric-owner -cJf \
		"${dir%/*}/virtiofs-vfio_${version%-*}.orig.tar.xz" \
		"${dir##*/}"
	cp -a "$DEBIAN_DIST" "$dir/debian"
}

# debian_build RELEASE OUTPUT: the packages, checked by lintian, in OUTPUT. In a subshell, whose end
# removes what it worked in.
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
		sh -c 'cd /build/virtiofs-vfio && exec dpkg-buildpackage -us -uc' ||
		die 1 "the packages can't be built for Debian $release"
	rm -rf "$output"
	mkdir -p "$output"
	cp "$work/system/build"/*.{deb,dsc,changes,buildinfo,tar.xz} "$output"
	# Not of our making: who packages this has an address, and a bug of his to close; each
	# release has standards of its own.
	say "looking at them with lintian"
	debian_run "$work/system" sh -c '
		exec lintian --allow-root --fail-on error,warning --tag-display-limit 0 \
			--suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog \
			--suppress-tags initial-upload-closes-no-bugs,newer-standards-version \
			--suppress-tags out-of-date-standards-version /build/*.changes' ||
		die 1 'lintian has found something'
)

# debian_small DIR: an initramfs of initramfs-tools has what our hook wants, and no more: it is made
# in seconds.
debian_small() {
	printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n' \
		>"$1/etc/initramfs-tools/conf.d/small"
}

# debian_install DIR PACKAGES INITRAMFS: the packages in the system in DIR, which then boots by
# them: an initramfs of the program INITRAMFS, and a console for root without a password.
debian_install() {
	local dir=$1 packages=$2 name
	mkdir "$dir/root/packages"
	for name in virtiofs-vfio virtiofs-vfio-initramfs virtiofs-vfio-dracut viofs-tools \
		libviofs0 libviofs-dev; do
		cp "$packages/$name"_*.deb "$dir/root/packages"
	done
	debian_small "$dir"
	printf 'guest\n' >"$dir/etc/hostname"
	: >"$dir/etc/fstab"
	sed -i 's/^root:[^:]*:/root::/' "$dir/etc/shadow"
	quiet debian_run "$dir" sh -ec 'dpkg -i /root/packages/*.deb' ||
		die 1 "the packages can't be installed"
	[[ $3 != dracut ]] ||
		quiet debian_run "$dir" sh -ec 'cd /lib/modules && for version in *; do
		dracut --force --no-hostonly --zstd "/boot/initrd.img-$version" "$version"; done' ||
			die 1 "dracut makes no initramfs"
}

# debian_state DIR: all that is in the system in DIR: names, kinds, rights, contents of what isn't
# dpkg's own or made anew. Debian 12's systemd has its empty directory system-shutdown by another
# name (/lib), so dpkg doesn't know that it isn't ours.
debian_state() {
	(
		cd "$1"
		find . -xdev \( -path ./var/lib/dpkg -o -path ./var/log \
			-o -path ./var/cache/ldconfig -o -path ./root -o -path ./run -o \
			-path ./tmp -o -path ./usr/lib/systemd/system-shutdown \) \
			-prune -o -printf '%p %y %m %U:%G %l\n'
		find . -xdev \( -path ./var/lib/dpkg -o -path ./var/log -o -path ./root \
			-o -path ./run -o -path ./tmp -o -path ./boot -o \
			-path ./var/lib/initramfs-tools -o -path ./etc/ld.so.cache \
			-o -path ./var/cache \) -prune -o -type f -print0 |
			xargs -0 sha256sum
	) | sort
}

# debian_next DEB: the same package with a later version, in place of it.
debian_next() {
	local dir=$1.d
	dpkg-deb -R "$1" "$dir"
	sed -i -E 's/^(Version: .*)/\1+next/; s/\(= ([^)]*)\)/(= \1+next)/' "$dir/DEBIAN/control"
	rm "$1"
	quiet dpkg-deb --root-owner-group -b "$dir" "${1%.deb}+next.deb"
	rm -r "$dir"
}

# debian_check RELEASE PACKAGES: installed, upgraded and purged, the packages leave nothing behind,
# and the user's own in place.
debian_check() (
	release=$1 packages=$2
	work=$(mktemp -d "$VIOFS_GUEST/debian/check.XXXXXX")
	trap 'rm -rf -- "$work"' EXIT
	system=$work/system
	say "installing, upgrading and purging them on Debian $release"
	debian_unpack "$release" system "$system"
	debian_small "$system"
	debian_state "$system" >"$work/before"
	mkdir "$system/root/packages"
	cp "$packages"/*.deb "$system/root/packages"
	rm -f "$system/root/packages"/*-dbgsym_*
	quiet debian_run "$system" sh -ec '
		dpkg -i /root/packages/*.deb
		virtiofs-vfio --version
		viofsctl --version
		viofs --version
		printf "MOUNTPOINT=/srv/myfs\n" >/etc/virtiofs-vfio/myfs.conf
		systemd-analyze verify --man=no virtiofs-vfio@myfs.service \
			virtiofs-vfio-plugged@x.service
		lsinitramfs /boot/initrd.img-* |
			grep -x "\(usr/\)\?sbin/mount.fuse.virtiofs-vfio"' ||
		die 1 "the packages don't work on Debian $release"
	for deb in "$system/root/packages"/*.deb; do
		debian_next "$deb"
	done
	quiet debian_run "$system" sh -ec '
		dpkg -i /root/packages/*+next.deb
		[ "$(dpkg-query -W -f "\${Version}" virtiofs-vfio | tail -c 5)" = +next ]
		grep -qx MOUNTPOINT=/srv/myfs /etc/virtiofs-vfio/myfs.conf
		rm /etc/virtiofs-vfio/myfs.conf
		for deb in /root/packages/*.deb; do dpkg-deb -f "$deb" Package; done |
			xargs dpkg --purge
		ldconfig' || die 1 "the packages can't be upgraded and purged on Debian $release"
	debian_state "$system" >"$work/after"
	diff "$work/before" "$work/after" >&2 || die 1 'this is what the packages have left behind'
)
