#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Whole trees and what people do with them: cp, tar, rsync, git, SQLite, huge directories.
# On the host before: $MNT/origin with its sums in $MNT/origin.sums, $MNT/huge with HUGE entries.
. guestlib.sh
need cp tar rsync git sqlite3 sha256sum
MNT2=${MNT2:-/mnt2}
HUGE=${HUGE:-50000}
WORK=/tmp/trees
mkdir -p $WORK

# sums_match DIR: the tree in DIR has the files of the list, with their contents.
sums_match() {
	(cd "$1" && sha256sum --quiet -c "$MNT/origin.sums") || fail "$2: contents differ"
	due=$(wc -l <"$MNT/origin.sums")
	found=$(find "$1" -type f | wc -l)
	[ "$found" = "$due" ] || fail "$2: $found files of $due"
}

copy_both_ways() {
	step "copy out of the share"
	cp -a "$MNT/origin" $WORK/out || fail "cp -a out of the share"
	sums_match $WORK/out "copy out of the share"
	# virtiofsd holds what the kernel knows open, and may not be allowed twice as many.
	drop_caches
	step "copy into the share"
	cp -a $WORK/out "$MNT/copied" || fail "cp -a into the share"
	drop_caches
	sums_match "$MNT/copied" "copy into the share"
}

# Some hundred files and the kinds that are none.
make_sample() {
	mkdir $WORK/sample
	find $WORK/out -type f | sort | awk 'NR % 12 == 0' | head -n 250 |
		while read -r file; do
			cp -p "$file" "$WORK/sample/$(echo "$file" | cksum | tr ' ' -)"
		done
	ln -s ../elsewhere $WORK/sample/symlink
	mkfifo $WORK/sample/fifo
	mkdir $WORK/sample/empty
	echo hard >$WORK/sample/hard
	ln $WORK/sample/hard $WORK/sample/linked
	truncate -s 10M $WORK/sample/sparse
}

tar_round_trip() {
	step "tar"
	mkdir "$MNT/tar"
	tar -C $WORK -cf - sample | tar -C "$MNT/tar" -xpf - || fail "tar into the share"
	drop_caches
	tar -C $WORK -cf - sample | tar -C "$MNT/tar" -df - || fail "tar finds differences"
	tar -C "$MNT/tar" -cSf "$MNT/tar/archive" sample || fail "tar from share to share"
	tar -C $WORK -df "$MNT/tar/archive" || fail "tar archive differs"
	rm -r "$MNT/tar" || fail "rm of what tar made"
}

rsync_round_trip() {
	step "rsync"
	rsync -aH $WORK/sample/ "$MNT/rsync/" || fail "rsync into the share"
	drop_caches
	changes=$(rsync -aHc --itemize-changes $WORK/sample/ "$MNT/rsync/") || fail "second rsync"
	[ -z "$changes" ] || fail "second rsync finds differences: $changes"
	rsync -aH "$MNT/rsync/" $WORK/back/ || fail "rsync out of the share"
	changes=$(rsync -aHc --delete --itemize-changes $WORK/sample/ $WORK/back/)
	[ -z "$changes" ] || fail "what rsync brought back differs: $changes"
	rm -r "$MNT/rsync"
}

git_in() {
	git -c user.name=test -c user.email=test@example.org -c safe.directory='*' -C "$@" ||
		fail "git $2"
}

git_repository() {
	step "git"
	git init -q "$MNT/repo" || fail "git init"
	cp $WORK/sample/*-* "$MNT/repo/"
	git_in "$MNT/repo" add -A
	git_in "$MNT/repo" commit -qm first
	git clone -q "$MNT/repo" "$MNT/clone" || fail "git clone"
	echo more >"$MNT/clone/more"
	git_in "$MNT/clone" add more
	git_in "$MNT/clone" commit -qm second
	git_in "$MNT/repo" pull -q "$MNT/clone" HEAD
	[ "$(cat "$MNT/repo/more")" = more ] || fail "git pull brought nothing"
	git_in "$MNT/clone" gc -q
	drop_caches
	git_in "$MNT/clone" fsck --full --strict
	[ -z "$(git -C "$MNT/clone" status --porcelain)" ] || fail "git sees changes where none are"
	rm -rf "$MNT/repo" "$MNT/clone"
}

insert_rows() {
	for i in $(seq "${ROWS:-25}"); do
		echo "INSERT INTO t(writer, text) VALUES($1, hex(randomblob(${i}00)));"
	done | sqlite3 -cmd '.timeout 60000' "$MNT/db"
}

sqlite_wal() {
	step "SQLite with WAL"
	mode=$(sqlite3 "$MNT/db" 'PRAGMA journal_mode=WAL; CREATE TABLE t(writer, text);')
	[ "$mode" = wal ] || fail "SQLite: journal mode '$mode', not wal"
	pids=
	for writer in 1 2 3; do
		insert_rows $writer &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || fail "SQLite: a writer failed"
	done
	drop_caches
	answer=$(sqlite3 "$MNT/db" 'PRAGMA integrity_check; SELECT count(*) FROM t;' | tr '\n' ' ')
	[ "$answer" = "ok $((3 * ${ROWS:-25})) " ] || fail "SQLite: '$answer'"
	rm "$MNT"/db*
}

two_shares_at_once() {
	step "two shares at once"
	cp -a $WORK/sample "$MNT/sample" &
	first=$!
	cp -a $WORK/sample "$MNT2/sample" || fail "cp to the second share"
	wait $first || fail "cp to the first share"
	cp -a "$MNT/sample" "$MNT2/across" || fail "cp across the shares"
	drop_caches
	changes=$(rsync -aHc --delete --itemize-changes $WORK/sample/ "$MNT2/sample/" &&
		rsync -aHc --delete --itemize-changes "$MNT/sample/" "$MNT2/across/") ||
		fail "rsync between the shares"
	[ -z "$changes" ] || fail "the two shares differ: $changes"
	[ ! -e "$MNT2/origin" ] || fail "both mounts show the same share"
	rm -r "$MNT/sample" "$MNT2/sample" "$MNT2/across"
}

step "a directory of $HUGE entries"
listing check "$MNT/huge" "$HUGE" || fail "readdir of $HUGE entries"
step "8 writers append"
appenders "$MNT/appended" 8 "${RECORDS:-200}" || fail "O_APPEND from 8 writers"
copy_both_ways
make_sample
tar_round_trip
rsync_round_trip
git_repository
sqlite_wal
two_shares_at_once
step "done"
