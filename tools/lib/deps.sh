# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# Makes sure that Debian packages are installed, and nothing more than what is missing.

# deps_missing SET...: names of the packages of these sets that are not installed.
deps_missing() {
	local name
	local -A have=()
	while read -r name; do
		have[$name]=1
	done < <(dpkg-query -W -f '${db:Status-Abbrev}${binary:Package}\n' | sed -n 's/^ii *//p' |
		sed 's/:.*//')
	for name in $(cd "$VIOFS_LIB/packages" && for set; do read_list "$set"; done | sort -u); do
		[[ -n ${have[$name]:-} ]] || printf '%s\n' "$name"
	done
}

# deps_install SET...: installs what is missing of the sets in tools/lib/packages.
deps_install() {
	local missing
	[[ -x /usr/bin/apt-get && -x /usr/bin/dpkg-query ]] ||
		die 1 'this needs a Debian system (apt-get, dpkg-query)'
	mapfile -t missing < <(deps_missing "$@")
	[[ ${#missing[@]} -gt 0 ]] || return 0
	[[ $(id -u) == 0 ]] ||
		die 1 \
		"please install as root: apt-get install --no-install-recommends ${missing[*]}"
	say "installing ${missing[*]}"
	quiet deps_apt update ||
		die 1 'apt-get update failed; see its messages above'
	quiet deps_apt install --yes --no-install-recommends "${missing[@]}" ||
		die 1 'apt-get install failed; see its messages above'
}

deps_apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}
