# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# One guest from start to end: processes, channels, time limits, and that nothing is left of it.
#
# Channels are FIFOs in the work directory, which QEMU writes to: ctl (lines of the guest's init),
# out and err (the command's output, copied on by cat). This process keeps each open for reading and
# writing, so that QEMU may come and go; cat sees the end when this process closes its descriptor.

session_work=''
session_pids=()
session_qemu=''
session_tty=''
session_copiers=()
session_viewer=''
SESSION_INIT_SECONDS=60
SESSION_STARTS=4

session_alive() {
	kill -0 "$1" 2>/dev/null
}

# session_stop PID: TERM, then KILL after 3 s
session_stop() {
	local i
	kill -TERM "$1" 2>/dev/null || true
	for ((i = 0; i < 60; i++)); do
		session_alive "$1" || break
		sleep 0.05
	done
	kill -KILL "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# session_stop_guest: QEMU first, since virtiofsd ends when its connection does
session_stop_guest() {
	local pid
	[[ -z $session_qemu ]] || session_stop "$session_qemu"
	session_qemu=''
	for pid in "${session_pids[@]}"; do
		session_stop "$pid"
	done
	session_pids=()
}

# session_cleanup: on every way out
session_cleanup() {
	local status=$? pid i
	trap - EXIT
	trap '' INT TERM HUP
	session_stop_guest
	for pid in "${session_copiers[@]}" $session_viewer; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	for ((i = 0; i < ${#vm_shares[@]}; i++)); do
		virtiofsd_forget "$session_work/fs$i.sock"
	done
	[[ -z $session_tty ]] || stty "$session_tty" 2>/dev/null || true
	[[ -z $session_work ]] || rm -rf -- "$session_work"
	[[ -z $vm_qmp || ! -S $vm_qmp ]] || rm -f -- "$vm_qmp"
	exit "$status"
}

session_open() {
	trap session_cleanup EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	session_work=$(mktemp -d)
	mkfifo "$session_work"/{ctl,out,err}
	exec {session_ctl}<>"$session_work/ctl" {session_out}<>"$session_work/out" \
		{session_err}<>"$session_work/err"
}

# session_copy FIFO TARGET_FD: copies on; and goes on reading where nobody wants it, so that the
# guest ends
session_copy() {
	(
		exec {session_ctl}>&- {session_out}>&- {session_err}>&-
		cat 2>/dev/null || exec cat >/dev/null
	) <"$1" >&"$2" &
	session_copiers+=($!)
}

# session_spawn PROGRAM ARG...: becomes PROGRAM, which dies with this process and knows nothing of
# its channels. To be called in the background.
session_spawn() {
	exec {session_ctl}>&- {session_out}>&- {session_err}>&-
	exec setpriv --pdeathsig KILL -- "$@"
}

# session_view: what --verbose shows
session_view() {
	local i logs=("$session_work/console.log")
	for ((i = 0; i < ${#vm_shares[@]}; i++)); do
		logs+=("$session_work/fs$i.log")
	done
	: | tee "${logs[@]}"
	tail -qF -s 0.2 "${logs[@]}" >&2 2>/dev/null {session_ctl}>&- {session_out}>&- \
		{session_err}>&- &
	session_viewer=$!
}

# session_start: virtiofsd for each share, and QEMU
session_start() {
	local i
	for ((i = 0; i < ${#vm_shares[@]}; i++)); do
		rm -f "$session_work/fs$i.sock"
		virtiofsd_start "$session_work/fs$i.sock" "$(realpath -- "${vm_shares[i]}")" \
			"$session_work/fs$i.log" || {
			session_pids+=("$virtiofsd_pid")
			return 1
		}
		session_pids+=("$virtiofsd_pid")
	done
	: >"$session_work/console.log"
	if [[ $vm_mode == shell ]]; then
		session_spawn "${qemu_argv[@]}" <&0 2>"$session_work/qemu.log" &
	else
		session_spawn "${qemu_argv[@]}" </dev/null >"$session_work/qemu.log" 2>&1 &
	fi
	session_qemu=$!
}

# session_read SECONDS: the guest's next line in session_line; 1 when the time is over, 2 when QEMU
# has ended
session_read() {
	local until=$((SECONDS + $1)) part='' start='' ended=''
	while :; do
		if read -r -t 1 -u "$session_ctl" part; then
			session_line=$start$part
			return 0
		fi
		start+=$part # a time-out may fall into the middle of a line
		[[ -z $ended ]] || return 2
		# what it said last may still be in the FIFO
		session_alive "$session_qemu" || ended=1
		(($1 == 0 || SECONDS < until)) || return 1
	done
}

session_show_logs() {
	local i
	if [[ -s $session_work/qemu.log ]]; then
		say 'QEMU said:'
		indent "$session_work/qemu.log"
	fi
	if [[ -s $session_work/console.log && -z $vm_verbose ]]; then
		say "the end of the guest's console:"
		indent "$session_work/console.log"
	fi
	for ((i = 0; i < ${#session_pids[@]}; i++)); do
		session_alive "${session_pids[i]}" && continue
		say "virtiofsd for ${vm_shares[i]} has ended; it said:"
		indent "$session_work/fs$i.log"
	done
}

# session_panic: what the guest's kernel gave as its last words, in brackets
session_panic() {
	tr -d '\r' <"$session_work/console.log" |
		sed -n 's/.*\(Kernel panic.*\|Oops: .*\|BUG: .*\)/ (\1)/p' | sed -n 1p
}

# session_boot_failed WHY
session_boot_failed() {
	session_show_logs
	die 125 "the guest $1 before its init ran"
}

# session_boot: until the guest's init runs. Under TCG a guest dies early now and then: try again.
session_boot() {
	local try why status
	for ((try = 1; try <= SESSION_STARTS; try++)); do
		session_start || exit 125
		if session_read "$SESSION_INIT_SECONDS"; then
			[[ $session_line == init ]] && return 0
			why="said '$session_line'"
		elif session_alive "$session_qemu"; then
			why="was silent for $SESSION_INIT_SECONDS s"
		else
			status=0
			wait "$session_qemu" || status=$?
			why='ended'
			# QEMU ends with 0 when the guest's kernel panics, and with 1 when it cannot
			# start
			((status != 1)) || session_boot_failed "could not be started: it ended"
		fi
		((try < SESSION_STARTS)) || break
		why+=$(session_panic)
		say "the guest $why before its init ran; starting it again" \
			"($try of $((SESSION_STARTS - 1)))"
		session_stop_guest
	done
	session_boot_failed "$why $SESSION_STARTS times"
}

# session_result: follows the guest to its end; sets session_status.
session_result() {
	local end=$((SECONDS + vm_timeout)) left=0
	while :; do
		if ((vm_timeout)); then
			left=$((end - SECONDS))
			((left > 0)) || left=1
		fi
		if session_read "$left"; then
			case $session_line in
			run) ;;
			'status '*)
				session_status=${session_line#status }
				return
				;;
			failed)
				session_status=125
				return
				;;
			esac
		elif session_alive "$session_qemu"; then
			say "timed out after $vm_timeout s"
			session_status=124
			return
		else
			session_show_logs
			say 'the guest has ended before the command did'
			session_status=125
			return
		fi
	done
}

# session_drain: QEMU's end, and all of the output passed on
session_drain() {
	local i
	for ((i = 0; i < 200; i++)); do
		session_alive "$session_qemu" || break
		sleep 0.05
	done
	session_stop_guest
	[[ -z $session_viewer ]] || sleep 0.3
	exec {session_out}>&- {session_err}>&-
	wait "${session_copiers[@]}" || true
	session_copiers=()
}

# session_run KERNEL_DIR ACCEL
session_run() {
	payload_build "$session_work"
	qemu_build "$session_work" "$1" "$2"
	[[ $vm_mode != shell ]] || session_tty=$(stty -g 2>/dev/null) || session_tty=''
session_copiers=()
session_viewer=''
	session_copy "$session_work/out" 1
	session_copy "$session_work/err" 2
	[[ -z $vm_verbose ]] || session_view
	session_boot
	session_result
	session_drain
	exit "$session_status"
}
