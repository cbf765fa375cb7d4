/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks, and the interruption of what waits for one.
 *
 * The program's one thread; files that are opened here are closed here; see probe.c.
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>

#define WAITS_MS 100
#define INTERRUPTED_MS 2000

/*
 * A second owner waits, and is interrupted. INTERRUPT of a request that has ended is not tried: the
 * C virtiofsd ends by it. A device that goes on waiting gets the first lock taken away, so that the
 * request ends all the same.
 */
static void interrupt(struct viofs_probe *p, unsigned long long node, unsigned long long fh)
{
	static struct viofs_raw waiter;
	struct viofs_probe_row *row = viofs_probe_row(p, FUSE_INTERRUPT);
	char words[8][40], *list[8];
	struct viofs_err err;
	int rc;

	if (viofs_raw_open(&waiter, p->cli->session, &err))
		return;
	snprintf(words[0], sizeof(words[0]), "nodeid=%llu", node);
	snprintf(words[1], sizeof(words[1]), "fh=%llu", fh);
	snprintf(words[2], sizeof(words[2]), "owner=2");
	snprintf(words[3], sizeof(words[3]), "end=99");
	snprintf(words[4], sizeof(words[4]), "type=%d", F_WRLCK);
	for (int i = 0; i < 5; i++)
		list[i] = words[i];
	rc = viofs_raw_build(&waiter, viofs_raw_row(FUSE_SETLKW), list, 5);
	if (!rc)
		rc = viofs_raw_send(&waiter, WAITS_MS);
	if (rc == -ETIMEDOUT) {
		row->tried = true;
		rc = viofs_queue_interrupt(waiter.queue, waiter.request.unique);
		if (!rc)
			rc = viofs_raw_wait(&waiter, INTERRUPTED_MS);
		row->supported = !rc && waiter.done.error == -EINTR;
		row->ns = row->supported ? waiter.ns - WAITS_MS * 1000000LL : 0;
		snprintf(row->note, sizeof(row->note), "%s",
			 row->supported ? "the lock that waited ended with EINTR"
					: "a lock that waits goes on waiting");
	} else if (!rc) {
		snprintf(row->note, sizeof(row->note),
			 "not tried: a lock that is held was answered: %s",
			 waiter.done.error ? strerror(-waiter.done.error) : "given twice");
		viofs_probe_quirk(p, "SETLKW: did not wait for a lock that another owner has");
	}
	viofs_probe_try(p, FUSE_SETLK, "nodeid=%llu fh=%llu owner=1 start=0 end=999 type=%d", node,
			fh, F_UNLCK);
	if (!waiter.answered && viofs_raw_wait(&waiter, INTERRUPTED_MS)) {
		viofs_probe_quirk(p, "SETLKW: not given when the lock became free");
		p->lost = true;
	}
	viofs_raw_close(&waiter);
}

void viofs_probe_locks(struct viofs_probe *p, uint64_t node_id, uint64_t handle)
{
	unsigned long long node = node_id, fh = handle;

	viofs_probe_try(p, FUSE_GETLK, "nodeid=%llu fh=%llu owner=1 start=0 end=99 type=%d", node,
			fh, F_WRLCK);
	/* A lock that is free: it waits for nobody. */
	viofs_probe_try(p, FUSE_SETLKW, "nodeid=%llu fh=%llu owner=1 start=200 end=299 type=%d",
			node, fh, F_WRLCK);
	if (viofs_probe_try(p, FUSE_SETLK, "nodeid=%llu fh=%llu owner=1 start=0 end=99 type=%d",
			    node, fh, F_WRLCK))
		return;
	interrupt(p, node, fh);
}
