# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# Fetches packages of other Debian suites, without touching the machine's own packages.
#
# Each suite has an apt state of its own below $VIOFS_DOWNLOAD/SUITE: lists, caches, and a source
# file that names the mirror of the machine's own sources. SUITE is a name, or name-arm64 for that
# architecture's packages. Debian's keyring verifies what comes, as always. Packages are only
# downloaded and unpacked, never installed. What was fetched once is used from then on. All of this
# runs under with_lock.

# fetch_mirror: the mirror that the machine's own apt sources name for its release. apt itself reads
# them, so every format and every kind of address (http, mirror+file, ...) that it knows will do.
fetch_mirror() {
	local codename
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-stable}")
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(REPO_URI) $(COMPONENT) $(RELEASE) $(CODENAME) $(SUITE)' \
		'Created-By: Packages' |
		awk -v c="$codename" \
		'!found && $2 == "main" && ($3 == c || $4 == c || $5 == c) && $1 !~ /security/ {
			print $1
			found = 1
		}'
}

fetch_keyring() {
	local file
	for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		if [[ -e $file ]]; then
			printf '%s' "$file"
			return
		fi
	done
	die 1 'no Debian keyring in /usr/share/keyrings (package debian-archive-keyring)'
}

# fetch_apt SUITE PROGRAM ARG...: apt-get or apt-cache on the private state of SUITE.
fetch_apt() {
	local state=$VIOFS_DOWNLOAD/$1 program=$2 arch=amd64
	[[ $1 != *-arm64 ]] || arch=arm64
	shift 2
	"$program" -q -o Dir::State="$state/state" -o Dir::State::Lists="$state/lists" \
		-o Dir::State::status=/dev/null -o Dir::Cache="$state/cache" \
		-o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o APT::Sandbox::User="$(id -un)" -o APT::Architecture="$arch" \
		-o APT::Architectures="$arch" "$@"
}

# fetch_index SUITE: its package lists.
fetch_index() {
	local suite=$1 state=$VIOFS_DOWNLOAD/$1 mirror keyring
	mirror=$(fetch_mirror)
	[[ -n $mirror ]] ||
		die 1 "the machine's apt sources name no Debian mirror for its own release"
	keyring=$(fetch_keyring)
	mkdir -p "$state"/{state,lists/partial,cache/archives/partial,deb}
	printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "${suite%-arm64}" \
		>"$state/sources.list"
	say "reading the package lists of Debian's $suite"
	quiet fetch_apt "$suite" apt-get update ||
		die 1 "no package lists of $suite; see apt's messages above"
}

# fetch_packages SUITE DIR PACKAGE...: downloads the packages and unpacks them into the new
# directory DIR.
fetch_packages() {
	local suite=$1 dir=$2 deb
	shift 2
	say "downloading from Debian's $suite: $*"
	(cd "$VIOFS_DOWNLOAD/$suite/deb" && rm -f -- *.deb &&
		quiet fetch_apt "$suite" apt-get download "$@") ||
		die 1 "downloading from $suite failed; see apt's messages above"
	mkdir -p "$dir"
	for deb in "$VIOFS_DOWNLOAD/$suite/deb"/*.deb; do
		quiet dpkg -x "$deb" "$dir" || die 1 "$deb cannot be unpacked"
		rm -f -- "$deb"
	done
}

# fetch_kernel SUITE DIR: the newest kernel of SUITE, unpacked into DIR. The meta-package names the
# packages that make it up: linux-image-VERSION alone, or with linux-binary-, linux-modules-,
# linux-base-.
fetch_kernel() {
	local suite=$1 dir=$2 packages
	[[ ! -e $dir ]] || return 0
	fetch_index "$suite"
	mapfile -t packages < <(fetch_apt "$suite" apt-cache depends \
		--recurse --no-recommends --no-suggests \
		--no-conflicts --no-breaks --no-replaces --no-enhances linux-image-amd64 |
		grep -E '^linux-(image|binary|modules|base)-[0-9].*-amd64$' | sort -u)
	[[ ${#packages[@]} -gt 0 ]] || die 1 "linux-image-amd64 of $suite names no kernel packages"
	rm -rf "$dir.new"
	fetch_packages "$suite" "$dir.new" "${packages[@]}"
	# what no guest has a device for, to keep the tree small
	rm -rf "$dir.new"/{usr/,}lib/modules/*/kernel/{sound,drivers/{gpu,media,net}} \
		"$dir.new"/{usr/,}lib/modules/*/kernel/drivers/{infiniband,staging,iio}
	rm -rf "$dir.new/usr/share"
	mv "$dir.new" "$dir"
}

# fetch_virtiofsd SUITE DIR: the Rust virtiofsd of SUITE in DIR, with the C library and loader that
# it needs: this machine's may be too old. DIR/run starts it.
fetch_virtiofsd() {
	local suite=$1 dir=$2
	[[ ! -e $dir ]] || return 0
	fetch_index "$suite"
	rm -rf "$dir.new"
	fetch_packages "$suite" "$dir.new" virtiofsd libc6 libgcc-s1 libcap-ng0 libseccomp2
	cat >"$dir.new/run" <<-'END'
		#!/bin/sh
		# virtiofsd with the loader and the libraries of its own Debian suite
		dir=${0%/*}
		lib=$dir/usr/lib/x86_64-linux-gnu
		exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib" \
			"$dir/usr/libexec/virtiofsd" "$@"
	END
	chmod 755 "$dir.new/run"
	quiet "$dir.new/run" --version || die 1 "virtiofsd of $suite does not run here"
	mv "$dir.new" "$dir"
}

# fetch_qemu SUITE DIR: QEMU for x86 of SUITE in DIR, with all that it needs. DIR/run starts it.
fetch_qemu() {
	local suite=$1 dir=$2 packages
	[[ ! -e $dir ]] || return 0
	fetch_index "$suite"
	mapfile -t packages < <(fetch_needed "$suite" qemu-system-x86)
	[[ ${#packages[@]} -gt 0 ]] || die 1 "apt does not say what qemu-system-x86 of $suite needs"
	rm -rf "$dir.new"
	fetch_packages "$suite" "$dir.new" "${packages[@]}"
	rm -rf "$dir.new"/{etc,var,usr/include,usr/share/{doc,man,locale,info,perl,perl5}}
	cat >"$dir.new/run" <<-'END'
		#!/bin/sh
		# QEMU with the loader, the libraries and the firmware of its own Debian suite
		dir=${0%/*}
		lib=$dir/usr/lib/x86_64-linux-gnu
		export QEMU_MODULE_DIR="$lib/qemu"
		loader=$lib/ld-linux-x86-64.so.2
		[ -e "$loader" ] || loader=$dir/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
		exec "$loader" --library-path "$lib:$dir/lib/x86_64-linux-gnu:$lib/pulseaudio" \
			"$dir/usr/bin/qemu-system-x86_64" -L "$dir/usr/share/qemu" \
			-L "$dir/usr/share/seabios" -L "$dir/usr/lib/ipxe/qemu" "$@"
	END
	chmod 755 "$dir.new/run"
	quiet "$dir.new/run" --version || die 1 "QEMU of $suite does not run here"
	mv "$dir.new" "$dir"
}

# fetch_needed SUITE PACKAGE...: names all that these packages need, themselves included.
fetch_needed() {
	fetch_apt "$1" apt-get --simulate --no-install-recommends install "${@:2}" |
		awk '$1 == "Inst" { print $2 }'
}

# fetch_libraries SUITE DIR: what the project is built with on another architecture, as a root for
# its compiler in DIR.
fetch_libraries() {
	local suite=$1 dir=$2 libraries packages file target
	[[ ! -e $dir ]] || return 0
	fetch_index "$suite"
	mapfile -t libraries < <(read_list "$VIOFS_LIB/packages/libraries")
	mapfile -t packages < <(fetch_needed "$suite" "${libraries[@]}")
	[[ ${#packages[@]} -gt 0 ]] || die 1 "apt does not say what libraries of $suite are needed"
	rm -rf "$dir.new"
	fetch_packages "$suite" "$dir.new" "${packages[@]}"
	rm -rf "$dir.new"/{etc,var,bin,sbin,usr/bin,usr/sbin} \
		"$dir.new"/usr/share/{doc,man,locale,info,perl,perl5}
	# Links that begin at the root would lead to this machine's files.
	while read -r file target; do
		ln -sfnr "$dir.new$target" "$file"
	done < <(find "$dir.new" -type l -lname '/*' -printf '%p %l\n')
	mv "$dir.new" "$dir"
}

# fetch_valgrind SUITE DIR: valgrind's callgrind of SUITE in DIR, where this machine's doesn't know
# the system calls that mount. DIR/callgrind runs it: the tool itself is linked statically, the
# launcher isn't.
fetch_valgrind() {
	local suite=$1 dir=$2
	[[ ! -e $dir ]] || return 0
	fetch_index "$suite"
	rm -rf "$dir.new"
	fetch_packages "$suite" "$dir.new" valgrind
	cat >"$dir.new/callgrind" <<-'END'
		#!/bin/sh
		# callgrind of another Debian suite
		dir=$(dirname -- "$(readlink -f -- "$0")")
		export VALGRIND_LIB="$dir/usr/libexec/valgrind" VALGRIND_LAUNCHER="$dir/callgrind"
		exec "$VALGRIND_LIB/callgrind-amd64-linux" --tool=callgrind "$@"
	END
	chmod 755 "$dir.new/callgrind"
	quiet "$dir.new/callgrind" --version || die 1 "valgrind of $suite does not run here"
	mv "$dir.new" "$dir"
}

# fetch_source SUITE PACKAGE DIR: the source package, unpacked into the new directory DIR. apt
# checks the package lists against Debian's keyring, and the files against these.
fetch_source() {
	local suite=$1-source package=$2 dir=$3 state=$VIOFS_DOWNLOAD/$1-source mirror keyring
	mirror=$(fetch_mirror)
	[[ -n $mirror ]] ||
		die 1 "the machine's apt sources name no Debian mirror for its own release"
	keyring=$(fetch_keyring)
	mkdir -p "$state"/{state,lists/partial,cache/archives/partial}
	printf 'deb-src [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$1" \
		>"$state/sources.list"
	say "downloading the source of $package from Debian's $1"
	quiet fetch_apt "$suite" apt-get update ||
		die 1 "no source lists of $1; see apt's messages above"
	rm -rf "$state/src" "$dir"
	mkdir -p "$state/src"
	(cd "$state/src" &&
		quiet fetch_apt "$suite" apt-get source --download-only --only-source "$package") ||
		die 1 "downloading the source of $package failed; see apt's messages above"
	# apt has checked it; dpkg-source would ask for the maintainer's own key
	quiet dpkg-source --no-check -x "$state/src"/*.dsc "$state/src/tree" ||
		die 1 "the source of $package cannot be unpacked"
	mv "$state/src/tree" "$dir"
	rm -rf "$state/src"
}
