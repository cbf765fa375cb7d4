# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion of virtiofs-vfio and viofsctl. The words are those of --help, so that they are never out of date.

# _virtiofs_vfio_offer WORD...: those that go on from what is typed. bash completes no more than what comes after a colon
# or an equals sign.
_virtiofs_vfio_offer() {
	local typed=${COMP_LINE:0:COMP_POINT} last word
	typed=${typed##*[[:space:]]}
	last=${typed##*[:=]}
	for word; do # compgen -W would expand what is in them
		[[ $word != "$typed"* ]] || COMPREPLY+=("${word#"${typed%"$last"}"}")
	done
}

# _virtiofs_vfio_offer_of COMMAND...: the words that it prints.
_virtiofs_vfio_offer_of() {
	local words
	mapfile -t words < <("$@")
	_virtiofs_vfio_offer "${words[@]}"
}

# Tags and mount points with more than plain characters in them are left to the user.
_virtiofs_vfio_mounts() {
	awk '$3 == "fuse.virtiofs-vfio" && $2 ~ /^[[:alnum:]\/._-]+$/ { print $2 }' /proc/self/mounts
}

_virtiofs_vfio_sources() {
	viofsctl list 2>/dev/null | awk 'NR > 1 { print $1; if ($2 ~ /^[[:alnum:]_][[:alnum:]._-]*$/) print $2 }'
}

_virtiofs_vfio_switches() {
	"$1" --help | sed -nE 's/^  (-[a-zA-Z]), (--[a-z]+).*/\1\n\2/p'
	printf '%s\n' -o
}

_viofsctl_commands() {
	"$1" --help | sed -nE 's/^  ([a-z-]+) .*/\1/p'
	printf '%s\n' --help --version
}

# _viofsctl_options VIOFSCTL COMMAND: those that stand beside it in --help, or in its own.
_viofsctl_options() {
	if [[ $2 == capture ]]; then
		"$1" capture --help | sed -nE 's/^  +((-[a-z]), )?(--[a-z]+).*/\2\n\3/p' | sed '/^$/d'
	else
		"$1" --help | awk -v c="$2" '/^$/ { on = 0 } /^  [a-z]/ { on = $1 == c } on' | grep -oE -- ' --?[a-z]+' | tr -d ' '
		printf '%s\n' --json
	fi
}

# The options after -o: what is typed up to the last comma stays.
_virtiofs_vfio_options() {
	local typed=${COMP_LINE:0:COMP_POINT} done='' words
	typed=${typed##*[[:space:]]}
	[[ $typed != *,* ]] || done=${typed%,*},
	mapfile -t words < <("$1" --help | sed -nE '/^Options for -o/,/^$/s/^  ([a-z-]+=?[a-z_]*).*/\1/p')
	compopt -o nospace
	_virtiofs_vfio_offer "${words[@]/#/$done}"
}

_virtiofs_vfio() {
	local typed=${COMP_LINE:0:COMP_POINT}
	COMPREPLY=()
	if [[ $typed =~ [[:space:]]-o[[:space:]]+[^[:space:]]*$ ]]; then
		_virtiofs_vfio_options "$1"
	elif [[ $2 == -* ]]; then
		_virtiofs_vfio_offer_of _virtiofs_vfio_switches "$1"
	elif [[ $2 == */* ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$2")
	else
		_virtiofs_vfio_offer_of _virtiofs_vfio_sources
	fi
}

_viofsctl() {
	local typed=${COMP_LINE:0:COMP_POINT} command=${COMP_WORDS[1]}
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_virtiofs_vfio_offer_of _viofsctl_commands "$1"
	elif [[ $3 == --output || $3 == -w || $3 == --write ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
	elif [[ $2 == -* ]]; then
		_virtiofs_vfio_offer_of _viofsctl_options "$1" "$command"
	else
		# What it takes stands behind its name.
		case $("$1" --help | awk -v c="$command" '$1 == c { print $2 }') in
		SOURCE) _virtiofs_vfio_offer_of _virtiofs_vfio_sources ;;
		*WHERE* | MOUNTPOINT) _virtiofs_vfio_offer_of _virtiofs_vfio_mounts ;;
		esac
	fi
}

complete -F _virtiofs_vfio virtiofs-vfio
complete -F _viofsctl viofsctl
