/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POSIX locks by owner, with waiting: byte ranges of one kind, as simple as a test needs them. */
/*
 * A range is locked whole and unlocked whole where it was locked; unlocking part of it splits it.
 * Who waits is in a list, and tries again whenever something is unlocked.
 */
#include "dev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

struct lock {
	struct lock *next;
	uint64_t nodeid, owner, start, end;
	uint32_t type, pid;
};

static struct lock *held;
static struct dev_request *waiting;
static unsigned int waiting_count;

static const struct fuse_lk_in *in_of(const struct dev_request *r)
{
	return r->arg;
}

static const struct lock *find_conflict(const struct dev_request *r)
{
	const struct fuse_lk_in *in = in_of(r);

	for (const struct lock *l = held; l; l = l->next)
		if (l->nodeid == r->head->nodeid && l->owner != in->owner &&
		    l->start <= in->lk.end && in->lk.start <= l->end &&
		    (l->type == F_WRLCK || in->lk.type == F_WRLCK))
			return l;
	return NULL;
}

static void add(const struct lock *from)
{
	struct lock *l = malloc(sizeof(*l));

	if (!l)
		abort();
	*l = *from;
	l->next = held;
	held = l;
}

/* Take [start, end] out of what the owner has. */
static void cut(const struct dev_request *r)
{
	const struct fuse_lk_in *in = in_of(r);
	struct lock **at = &held, *l;

	while ((l = *at)) {
		struct lock left = *l, right = *l;

		if (l->nodeid != r->head->nodeid || l->owner != in->owner ||
		    l->start > in->lk.end || in->lk.start > l->end) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
		left.end = in->lk.start - 1;
		right.start = in->lk.end + 1;
		/* In front of the list, behind us. */
		if (left.start < in->lk.start)
			add(&left);
		if (right.end > in->lk.end)
			add(&right);
		at = &held;
	}
}

static void take(const struct dev_request *r)
{
	const struct fuse_lk_in *in = in_of(r);

	cut(r);
	add(&(struct lock){ .nodeid = r->head->nodeid,
			    .owner = in->owner,
			    .start = in->lk.start,
			    .end = in->lk.end,
			    .type = in->lk.type,
			    .pid = in->lk.pid });
}

static void answer_waiting(void)
{
	struct dev_request **at = &waiting, *r;

	while ((r = *at)) {
		if (find_conflict(r)) {
			at = &r->next;
			continue;
		}
		take(r);
		*at = r->next;
		waiting_count--;
		dev_answer(r, 0);
	}
}

int dev_locks_get(struct dev_request *r)
{
	struct fuse_lk_out *out = dev_payload(r);
	const struct lock *l = find_conflict(r);

	out->lk.type = F_UNLCK;
	if (l)
		out->lk = (struct fuse_file_lock){ l->start, l->end, l->type, l->pid };
	return sizeof(*out);
}

/* A close: the kernel leaves unlocking to it (fuse_setlk(): FL_CLOSE_POSIX). */
int dev_locks_flush(struct dev_request *r)
{
	const struct fuse_flush_in *in = r->arg;
	struct lock **at = &held, *l;

	while ((l = *at)) {
		if (l->nodeid != r->head->nodeid || l->owner != in->lock_owner) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
	}
	answer_waiting();
	return 0;
}

int dev_locks_set(struct dev_request *r)
{
	if (in_of(r)->lk.type == F_UNLCK) {
		cut(r);
		answer_waiting();
		return 0;
	}
	if (find_conflict(r))
		return -EAGAIN;
	take(r);
	return 0;
}

int dev_locks_set_wait(struct dev_request *r)
{
	int rc = dev_locks_set(r);

	if (rc != -EAGAIN)
		return rc;
	r->next = waiting;
	waiting = r;
	waiting_count++;
	return DEV_LATER;
}

bool dev_locks_interrupt(struct dev *d, uint64_t unique)
{
	for (struct dev_request **at = &waiting, *r; (r = *at); at = &r->next) {
		if (r->head->unique != unique)
			continue;
		*at = r->next;
		waiting_count--;
		dev_answer(r, -EINTR);
		return true;
	}
	return false;
}

unsigned int dev_locks_waiting(void)
{
	return waiting_count;
}
