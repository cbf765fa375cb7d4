# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion of viofs and viofs-bench. The words are those of --help, so that they are never out of date.

# _viofs_offer COMMAND...: the words that it prints and that go on from what is typed. compgen -W would expand what is
# in them.
_viofs_offer() {
	local word typed=${COMP_WORDS[COMP_CWORD]}
	while read -r word; do
		[[ $word != "$typed"* ]] || COMPREPLY+=("$word")
	done < <("$@")
}

_viofs_switches() {
	"$@" --help | sed -nE 's/^ +(-[a-zA-Z], )?(--[a-z-]+).*/\1\2/p' | sed 's/, /\n/'
}

_viofs_commands() {
	"$1" --help | sed -nE 's/^  ([a-z]+) .*/\1/p'
	printf '%s\n' --help
}

# Tags with more than plain characters in them are left to the user.
_viofs_sources() {
	viofsctl list 2>/dev/null | awk 'NR > 1 { print $1; if ($2 ~ /^[[:alnum:]_][[:alnum:]._-]*$/) print $2 }'
}

_viofs() {
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_viofs_offer _viofs_commands "$1"
	elif [[ $2 == -* ]]; then
		_viofs_offer _viofs_switches "$1" "${COMP_WORDS[1]}"
	else
		compopt -o default # files of this machine, where nothing else fits
		_viofs_offer _viofs_sources
	fi
}

_viofs_bench() {
	COMPREPLY=()
	if [[ $2 == -* ]]; then
		_viofs_offer _viofs_switches "$1"
	else
		_viofs_offer _viofs_sources
	fi
}

complete -F _viofs viofs
complete -F _viofs_bench viofs-bench
