#compdef virtiofs-vfio viofsctl
# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of virtiofs-vfio and viofsctl. The words are those of --help, so that they are never out of date.

_virtiofs_vfio_sources() {
	local -a found
	found=(${(f)"$(viofsctl list 2>/dev/null | awk 'NR > 1 { print $1; if ($2 ~ /^[[:alnum:]_][[:alnum:]._-]*$/) print $2 }')"})
	compadd -a found
}

_virtiofs_vfio_mounts() {
	local -a found
	found=(${(f)"$(awk '$3 == "fuse.virtiofs-vfio" && $2 ~ /^[[:alnum:]\/._-]+$/ { print $2 }' /proc/self/mounts)"})
	compadd -a found
}

_virtiofs_vfio() {
	local -a found
	if [[ ${words[CURRENT-1]} == -o ]]; then
		compset -P '*,'
		found=(${(f)"$($words[1] --help | sed -nE '/^Options for -o/,/^$/s/^  ([a-z-]+=?[a-z_]*).*/\1/p')"})
		compadd -S '' -a found
	elif [[ $PREFIX == -* ]]; then
		found=(${=$($words[1] --help | sed -nE 's/^  (-[a-zA-Z]), (--[a-z]+).*/\1 \2/p')} -o)
		compadd -a found
	elif [[ $PREFIX == */* ]]; then
		_files -/
	else
		_virtiofs_vfio_sources
	fi
}

_viofsctl() {
	local -a found
	if (( CURRENT == 2 )); then
		found=(${(f)"$($words[1] --help | sed -nE 's/^  ([a-z-]+) .*/\1/p')"} --help --version)
		compadd -a found
	elif [[ ${words[CURRENT-1]} == (--output|-w|--write) ]]; then
		_files
	elif [[ $PREFIX == -* && $words[2] == capture ]]; then
		found=(${=$($words[1] capture --help | sed -nE 's/^  +((-[a-z]), )?(--[a-z]+).*/\2 \3/p')})
		compadd -a found
	elif [[ $PREFIX == -* ]]; then
		# Those that stand beside the command in --help.
		found=(${=$($words[1] --help | awk -v c="$words[2]" '/^$/ { on = 0 } /^  [a-z]/ { on = $1 == c } on' |
			grep -oE -- ' --?[a-z]+')} --json)
		compadd -a found
	else
		# What it takes stands behind its name.
		case $($words[1] --help | awk -v c="$words[2]" '$1 == c { print $2 }') in
		SOURCE) _virtiofs_vfio_sources ;;
		*WHERE* | MOUNTPOINT) _virtiofs_vfio_mounts ;;
		esac
	fi
}

case $service in
viofsctl) _viofsctl ;;
*) _virtiofs_vfio ;;
esac
