#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# smoke.sh PROGRAM NAME MAX_LEN: the corpus, then $VIOFS_FUZZ_SECONDS (30) of new inputs. An input
# that fails is left in the working directory, as crash-..., and its path printed.

set -eu
program=$1 name=$2 max_len=$3
corpus=$(dirname "$(realpath "$0")")/corpus/$name
seconds=${VIOFS_FUZZ_SECONDS:-30}
mkdir -p "$corpus"
[ "$seconds" -gt 0 ] || exec "$program" -runs=0 -max_len="$max_len" -timeout=10 "$corpus"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Whoever ends a run early ends the program too.
trap 'exit 143' TERM INT
mkdir "$work/new"
"$program" -max_total_time="$seconds" -max_len="$max_len" -timeout=10 -rss_limit_mb=1024 \
	-print_final_stats=1 \
	"$work/new" "$corpus" >"$work/log" 2>&1 || {
	tail -n 60 "$work/log"
	exit 1
}
tail -n 8 "$work/log"
