# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# Builds the project into the build directory.

# build_project [TARGET...]: meson setup where there is none yet, then ninja, which does only what
# is needed: for these targets, or for all.
# shellcheck disable=SC2120 # who passes some is in another file
build_project() {
	deps_install build
	if [[ ! -e $VIOFS_BUILD/build.ninja ]]; then
		say "setting up $VIOFS_BUILD"
		quiet meson setup "$VIOFS_BUILD" "$VIOFS_ROOT" || die 1 'meson setup failed'
	fi
	quiet ninja -C "$VIOFS_BUILD" "$@" || die 1 "building in $VIOFS_BUILD failed"
}

# build_missing FILE...: builds only when one of these outputs does not exist. An existing one is
# left as it is, since the caller may be a test that ninja or meson started.
build_missing() {
	local file
	for file; do
		if [[ ! -e $file ]]; then
			say "building the project (no ${file#"$VIOFS_ROOT"/} yet)"
			# shellcheck disable=SC2119 # its arguments are not those of build_project
			build_project
			[[ -e $file ]] || die 1 "the build has made no $file"
		fi
	done
}
