#compdef viofs viofs-bench
# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of viofs and viofs-bench. The words are those of --help, so that they are never out of date.

_viofs_words() {
	local -a found
	found=(${=$("$@" --help | sed -nE 's/^ +(-[a-zA-Z], )?(--[a-z-]+).*/\1\2/p' | sed 's/, /\n/')})
	compadd -a found
}

_viofs_sources() {
	local -a found
	found=(${(f)"$(viofsctl list 2>/dev/null | awk 'NR > 1 { print $1; if ($2 ~ /^[[:alnum:]_][[:alnum:]._-]*$/) print $2 }')"})
	compadd -a found
}

_viofs() {
	local -a found
	if (( CURRENT == 2 )); then
		found=(${(f)"$($words[1] --help | sed -nE 's/^  ([a-z]+) .*/\1/p')"} --help)
		compadd -a found
	elif [[ $PREFIX == -* ]]; then
		_viofs_words $words[1] $words[2]
	else
		_viofs_sources
		_files # of this machine
	fi
}

case $service in
viofs-bench)
	if [[ $PREFIX == -* ]]; then _viofs_words $words[1]; else _viofs_sources; fi
	;;
*) _viofs ;;
esac
