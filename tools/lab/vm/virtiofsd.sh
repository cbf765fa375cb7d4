# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# Starts a virtiofsd for a shared directory.

# virtiofsd_prepare NAME: fetches it, where it is not on the machine.
virtiofsd_prepare() {
	case $1 in
	rust) fetch_virtiofsd trixie "$VIOFS_DOWNLOAD/trixie/virtiofsd" ;;
	forky) fetch_virtiofsd forky "$VIOFS_DOWNLOAD/forky/virtiofsd" ;;
	c)
		[[ -x /usr/lib/qemu/virtiofsd ]] ||
			die 1 'no /usr/lib/qemu/virtiofsd (qemu-system-common of Debian 12)'
		;;
	esac
}

# virtiofsd_has_option NAME: whether one of the user's options is --NAME.
virtiofsd_has_option() {
	local option
	for option in "${vm_virtiofsd_opts[@]}"; do
		[[ $option != "--$1" && $option != "--$1="* ]] || return 0
	done
	return 1
}

# virtiofsd_rust SOCKET DIR: sets the array virtiofsd_argv.
virtiofsd_rust() {
	virtiofsd_argv=(--socket-path="$1" --shared-dir="$2")
	if ! virtiofsd_has_option sandbox; then
		if [[ $(id -u) == 0 ]]; then
			virtiofsd_argv+=(--sandbox=chroot)
		else
			virtiofsd_argv+=(--sandbox=none)
		fi
	fi
	virtiofsd_argv+=("${vm_virtiofsd_opts[@]}")
}

# virtiofsd_c SOCKET DIR: the same for the C program: -o for what the Rust one has options for.
virtiofsd_c() {
	local word list=("${vm_virtiofsd_opts[@]}") limit
	virtiofsd_argv=(--socket-path="$1" -o "source=$2")
	virtiofsd_has_option sandbox || virtiofsd_argv+=(-o sandbox=chroot)
	limit=$(ulimit -Hn)
	if ! virtiofsd_has_option rlimit-nofile && [[ $limit != unlimited ]]; then
		virtiofsd_argv+=("--rlimit-nofile=$limit")
	fi
	while ((${#list[@]})); do
		word=${list[0]}
		list=("${list[@]:1}")
		case $word in
		--cache | --sandbox | --xattrmap | --modcaps | --log-level)
			virtiofsd_argv+=(-o "$(virtiofsd_c_word "$word")=${list[0]:-}")
			list=("${list[@]:1}")
			;;
		--cache=* | --sandbox=* | --xattrmap=* | --modcaps=* | --log-level=*)
			virtiofsd_argv+=(-o "$(virtiofsd_c_word "${word%%=*}")=${word#*=}")
			;;
		--xattr | --posix-acl | --writeback | --allow-direct-io | --announce-submounts | \
			--killpriv-v2 | --no-readdirplus)
			virtiofsd_argv+=(-o "$(virtiofsd_c_word "$word")")
			;;
		*) virtiofsd_argv+=("$word") ;;
		esac
	done
}

virtiofsd_c_word() {
	case $1 in
	--killpriv-v2) printf killpriv_v2 ;;
	--no-readdirplus) printf no_readdirplus ;;
	*) printf '%s' "${1#--}" | tr - _ ;;
	esac
}

# virtiofsd_forget SOCKET: the C program leaves a file behind.
virtiofsd_forget() {
	[[ $vm_virtiofsd != c ]] || rm -f -- "/run/virtiofsd/${1//\//.}.pid"
}

# virtiofsd_start SOCKET DIR LOG: sets virtiofsd_pid; returns when its socket is there.
virtiofsd_start() {
	local socket=$1 dir=$2 log=$3 program i
	case $vm_virtiofsd in
	rust) program=$VIOFS_DOWNLOAD/trixie/virtiofsd/run ;;
	forky) program=$VIOFS_DOWNLOAD/forky/virtiofsd/run ;;
	c) program=/usr/lib/qemu/virtiofsd ;;
	*) program=$vm_virtiofsd ;;
	esac
	case $vm_virtiofsd in
	rust | forky) virtiofsd_rust "$socket" "$dir" ;;
	c) virtiofsd_c "$socket" "$dir" ;;
	*) virtiofsd_argv=(--socket-path="$socket" --shared-dir="$dir" "${vm_virtiofsd_opts[@]}") ;;
	esac
	session_spawn "$program" "${virtiofsd_argv[@]}" </dev/null >"$log" 2>&1 &
	virtiofsd_pid=$!
	for ((i = 0; i < 200; i++)); do
		[[ ! -S $socket ]] || return 0
		kill -0 "$virtiofsd_pid" 2>/dev/null || break
		sleep 0.05
	done
	say "virtiofsd has not started ($program ${virtiofsd_argv[*]}):"
	indent "$log"
	return 1
}
