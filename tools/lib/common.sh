# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# What every tool shares: where things are, messages, the lock on generated files.

VIOFS_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
VIOFS_LIB=$VIOFS_ROOT/tools/lib
VIOFS_BENCH=$VIOFS_ROOT/tools/lab/bench
VIOFS_VM=$VIOFS_ROOT/tools/lab/vm
VIOFS_BUILD=${VIOFS_BUILD:-$VIOFS_ROOT/build}
[[ $VIOFS_BUILD == /* ]] || VIOFS_BUILD=$PWD/$VIOFS_BUILD
VIOFS_GUEST=$VIOFS_BUILD/guest
VIOFS_DOWNLOAD=$VIOFS_GUEST/download
VIOFS_TOOL=${VIOFS_TOOL:-${0##*/}}
export VIOFS_BUILD

say() {
	printf '%s: %s\n' "$VIOFS_TOOL" "$*" >&2
}

# die STATUS MESSAGE...
die() {
	local status=$1
	shift
	say "$*"
	exit "$status"
}

# indent FILE [LINES]: the file's last lines on standard error, set off from our own messages.
indent() {
	tail -n "${2:-40}" -- "$1" | tr -d '\r' | sed 's/^/    /' >&2
}

# with_lock COMMAND...: runs it while no other tool of this build directory makes or fetches files.
# COMMAND runs in a subshell, so that an early exit gives the lock back.
with_lock() {
	with_lock_of "$VIOFS_GUEST" "$@"
}

# with_lock_of DIR COMMAND...: the same, for the files in DIR only.
with_lock_of() {
	local dir=$1
	shift
	mkdir -p "$dir"
	(
		exec {fd}>"$dir/lock"
		if ! flock -n "$fd"; then
			say "waiting for another tool that prepares files in $dir"
			flock "$fd"
		fi
		"$@"
	)
}

# quiet COMMAND...: its output is shown, on standard error, only when it fails.
quiet() {
	local name log status=0
	# Without a name from the start, it leaves nothing behind however this ends.
	name=$(mktemp)
	exec {log}<>"$name"
	rm -f "$name"
	"$@" >&"$log" 2>&1 </dev/null {log}>&- || status=$?
	[[ $status == 0 ]] || indent "/dev/fd/$log"
	exec {log}>&-
	return "$status"
}

# with_directory COMMAND...: with a new directory in memory for the word DIRECTORY; it is removed
# afterwards.
with_directory() (
	dir=$(mktemp -d /dev/shm/viofs-test.XXXXXX)
	trap 'rm -rf "$dir"' EXIT
	"${@/#DIRECTORY/$dir}"
)

# read_list FILE: the entries of a list, without comments and empty lines.
read_list() {
	sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' -- "$1"
}
