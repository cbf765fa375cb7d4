/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Users of calls: what each has under way, and its events.
 *
 * Everything here belongs to one user, and runs in the thread that has it (async.h). A turn takes
 * completions and continues their ops, then runs again the ops that found no room, in the order in
 * which they came. Ops that may wait for hours (`locks`) are on a list of their own, so that they
 * hold nobody up. FORGETs are the session's: a user that has nothing else to do sends them.
 */
#include "client/async.h"
#include "base/util.h"
#include "client/chunk.h"
#include "client/op.h"
#include "client/queue.h"
#include "client/scratch.h"
#include "client/waiting.h"
#include "fuse/forget.h"

#include <errno.h>
#include <stdlib.h>

/* Completions taken at once. */
#define BATCH 32U
/* Calls of one user under way at once. */
#define MAX_DEFAULT 128U
/* FORGETs wait until there are so many, or until there is nothing else to do. */
#define FORGETS_DUE 64U

/* Run those of a list again that had no room, once each. */
static void run_again(struct viofs_op **first, struct viofs_op ***tail)
{
	struct viofs_op *op = *first;

	*first = NULL;
	*tail = first;
	while (op) {
		struct viofs_op *next = op->next;

		if (*first) { /* no room for this one, so none for those behind it */
			op->next = NULL;
			**tail = op;
			*tail = &op->next;
		} else {
			op->step(op);
		}
		op = next;
	}
}

/* Begin those whose turn it is now. */
static void run_later(struct viofs_async *a)
{
	while (a->later && (a->under_way < a->max || a->gone)) {
		struct viofs_op *op = a->later;

		a->later = op->next;
		if (!a->later)
			a->later_tail = &a->later;
		op->step(op);
	}
}

void viofs_async_forget(struct viofs_async *a, bool all)
{
	struct {
		struct fuse_batch_forget_in head;
		struct fuse_forget_one entries[VIOFS_FUSE_FORGET_COUNT];
	} batch;
	struct viofs_cache *c = &a->s->cache;

	while (__atomic_load_n(&c->forget_count, __ATOMIC_RELAXED) >= (all ? 1 : FORGETS_DUE)) {
		unsigned int n = viofs_forget_take(c, batch.entries, VIOFS_FUSE_FORGET_COUNT);
		struct viofs_request r = {
			.opcode = FUSE_BATCH_FORGET,
			.flags = VIOFS_REQUEST_SILENT,
			.args = &batch,
			.args_size = (uint32_t)(sizeof(batch.head) + n * sizeof(batch.entries[0])),
		};

		batch.head = (struct fuse_batch_forget_in){ .count = n };
		if (!n || viofs_queue_submit(a->q, &r, 1) == 1)
			continue;
		for (unsigned int i = 0; i < n; i++)
			viofs_forget_add(c, batch.entries[i].nodeid, batch.entries[i].nlookup);
		return;
	}
}

void viofs_async_complete(struct viofs_async *a, const struct viofs_completion *c, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		a->in_flight--;
		viofs_op_complete(c[i].user, &c[i]);
	}
}

/* End what has taken too long. */
static void expire(struct viofs_async *a)
{
	int64_t now = viofs_now_ns();
	struct viofs_op *next;

	if (now < a->deadline)
		return;
	a->deadline = 0;
	for (struct viofs_op *op = a->live; op; op = next) {
		next = op->live_next;
		if (op->ended || !op->deadline)
			continue;
		if (op->deadline <= now)
			viofs_op_cancel(op, op->ending ? op->ending : -ETIMEDOUT);
		else if (!a->deadline || op->deadline < a->deadline)
			a->deadline = op->deadline;
	}
	viofs_queue_wake_by(a->q, a->deadline);
}

int viofs_async_turn(struct viofs_async *a)
{
	struct viofs_completion c[BATCH];
	int n = viofs_queue_poll(a->q, c, BATCH);

	if (n > 0)
		viofs_async_complete(a, c, (unsigned int)n);
	if (a->deadline)
		expire(a);
	/* If the device has failed, they fail, too, each in its own way. */
	if (a->waiting)
		run_again(&a->waiting, &a->waiting_tail);
	if (a->locks)
		run_again(&a->locks, &a->locks_tail);
	run_later(a);
	if (n > 0)
		viofs_async_forget(a, false);
	return n;
}

void viofs_async_abandon(struct viofs_async *a)
{
	struct viofs_completion c[BATCH];
	unsigned int n;

	a->gone = true;
	while ((n = viofs_queue_abandon(a->q, c, BATCH)) > 0)
		viofs_async_complete(a, c, n);
	/* Ops that wait for room find that nothing can be sent. */
	while (a->waiting || a->locks || a->later)
		viofs_async_turn(a);
}

int viofs_async_init(struct viofs_async *a, struct viofs_share *s, unsigned int max,
		     struct viofs_err *err)
{
	int rc;

	a->s = s;
	a->max = max;
	a->waiting_tail = &a->waiting;
	a->locks_tail = &a->locks;
	a->later_tail = &a->later;
	a->ended_tail = &a->ended;
	pthread_mutex_init(&a->lock, NULL);
	rc = viofs_queue_open(s->dev, &a->q, err);
	return rc ? rc : viofs_reserve_init(a, err);
}

void viofs_async_fini(struct viofs_async *a)
{
	if (!a->s)
		return;
	viofs_queue_close(a->q);
	viofs_chunks_fini(a);
	viofs_reserve_fini(a);
	while (a->free) {
		struct viofs_op *op = a->free;

		a->free = op->next;
		free(op);
	}
	pthread_mutex_destroy(&a->lock);
}

int viofs_async_new(struct viofs_share *s, unsigned int max, struct viofs_async **out,
		    struct viofs_err *err)
{
	struct viofs_async *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	rc = viofs_async_init(a, s, max, err);
	if (rc) {
		viofs_async_fini(a);
		free(a);
		return rc;
	}
	*out = a;
	return 0;
}

int viofs_async_open(struct viofs_session *s, unsigned int max, struct viofs_async **out,
		     struct viofs_err *err)
{
	int rc = viofs_async_new(s->share, max ? max : MAX_DEFAULT, out, err);

	if (!rc)
		(*out)->view = s;
	return rc;
}

static unsigned int take_events(struct viofs_async *a, struct viofs_event *events, unsigned int max)
{
	unsigned int n = 0;

	while (n < max && a->ended) {
		struct viofs_op *op = a->ended;

		a->ended = op->ended_next;
		if (!a->ended)
			a->ended_tail = &a->ended;
		a->ended_count--;
		events[n++] = (struct viofs_event){
			.user = op->user,
			.result = op->result,
			.fault = op->fault,
		};
		viofs_op_free(op);
	}
	return n;
}

static bool take_wake(struct viofs_async *a)
{
	return __atomic_load_n(&a->woken, __ATOMIC_RELAXED) &&
	       __atomic_exchange_n(&a->woken, 0, __ATOMIC_ACQUIRE);
}

int viofs_async_poll(struct viofs_async *a, struct viofs_event *events, unsigned int max)
{
	if (viofs_dev_is_elsewhere(a->s->dev))
		return 0; /* their events are the parent's */
	take_wake(a);
	viofs_async_turn(a);
	return (int)take_events(a, events, max);
}

int viofs_async_wait(struct viofs_async *a, struct viofs_event *events, unsigned int min,
		     unsigned int max, int64_t timeout_ns)
{
	struct viofs_wait w;
	bool started = false;
	unsigned int got = 0;

	if (viofs_dev_is_elsewhere(a->s->dev))
		return 0;
	for (;;) {
		int n = viofs_async_turn(a);
		int64_t ns;

		got += take_events(a, events + got, max - got);
		if (got >= min || got == max || take_wake(a) || !a->pending)
			return (int)got;
		if (n > 0)
			continue;
		if (!started)
			viofs_wait_start(&w, a->q, timeout_ns);
		started = true;
		ns = viofs_wait_prepare(&w, a->q);
		if (ns < 0)
			return (int)got;
		if (ns)
			viofs_async_forget(a, true);
		viofs_wait_sleep(a->q, ns);
	}
}

int viofs_async_fd(struct viofs_async *a)
{
	return viofs_queue_fd(a->q);
}

int viofs_async_arm(struct viofs_async *a)
{
	if (viofs_dev_is_elsewhere(a->s->dev))
		return 0;
	if (a->ended || __atomic_load_n(&a->woken, __ATOMIC_ACQUIRE))
		return 1;
	viofs_async_forget(a, true);
	/* With nothing under way there is nothing to poll for, not even a device that has failed.
	 */
	return viofs_queue_arm(a->q) && a->pending;
}

int64_t viofs_async_next_timeout(struct viofs_async *a)
{
	return a->ended ? 0 : viofs_queue_next_timeout(a->q);
}

unsigned int viofs_async_pending(const struct viofs_async *a)
{
	return a->pending;
}

void viofs_async_wake(struct viofs_async *a)
{
	if (viofs_dev_is_elsewhere(a->s->dev))
		return;
	__atomic_store_n(&a->woken, 1, __ATOMIC_RELEASE);
	viofs_queue_wake(a->q);
}

void viofs_async_link(struct viofs_async *a)
{
	a->link_next = true;
}

void viofs_async_use(struct viofs_async *a, struct viofs_session *view)
{
	a->view = view;
}

/* Those of @user; @linked: only those that have not begun, as they are linked to others. Return:
 * how many. */
static int cancel(struct viofs_async *a, const void *user, bool linked)
{
	struct viofs_op *next;
	int n = 0;

	for (struct viofs_op *op = a->live; op; op = next) {
		next = op->live_next;
		if (op->ended || op->user != user || (linked && !op->prior))
			continue;
		viofs_op_cancel(op, -ECANCELED);
		n++;
	}
	return n;
}

int viofs_async_cancel(struct viofs_async *a, const void *user)
{
	int n;

	if (viofs_dev_is_elsewhere(a->s->dev))
		return -ENODEV;
	/* What is answered already is not interrupted; but that turn must begin nothing which is to
	 * be given up. */
	n = cancel(a, user, true);
	viofs_async_turn(a);
	n += cancel(a, user, false);
	return n ? n : -ENOENT;
}
