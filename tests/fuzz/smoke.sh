#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# smoke.sh PROGRAM NAME MAX_LEN: the corpus, then $VIOFS_FUZZ_SECONDS (30) of new inputs. An input that fails is
# left in the working directory, as crash-..., and its path printed.

set -eu
program=$1 name=$2 max_len=$3
here=$(dirname "$(realpath "$0")")
seconds=${VIOFS_FUZZ_SECONDS:-30}
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
mkdir -p "$here/corpus/$name"
[ "$seconds" -gt 0 ] || exec "$program" -runs=0 -max_len="$max_len" -timeout=10 "$here/corpus/$name"
"$program" -max_total_time="$seconds" -max_len="$max_len" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
	"$new" "$here/corpus/$name" >"$new.log" 2>&1 || {
	tail -n 60 "$new.log"
	rm -f "$new.log"
	exit 1
}
tail -n 8 "$new.log"
rm -f "$new.log"
