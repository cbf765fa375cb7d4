/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine: ops from their beginning to their end. */
#include "client/engine.h"
#include "base/util.h"
#include "fuse/forget.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Completions taken at once. */
#define BATCH 32U
/* Calls of one user under way at once. */
#define MAX_DEFAULT 128U
/* FORGETs wait until there are so many, or until there is nothing else to do. */
#define FORGETS_DUE 64U

static void op_done(struct viofs_call *call, const struct viofs_completion *c)
{
	struct viofs_op *op = VIOFS_CONTAINER_OF(call, struct viofs_op, call);

	op->error = c->error;
	op->size = c->size;
	if (c->fault)
		op->fault = c->fault;
	op->step(op);
}

struct viofs_op *viofs_op_new(struct viofs_async *a, void *user)
{
	struct viofs_op *op = a->free;

	if (op)
		a->free = op->next;
	else
		op = malloc(sizeof(*op));
	if (!op)
		return NULL;
	memset(op, 0, sizeof(*op));
	op->call.done = op_done;
	op->a = a;
	op->user = user;
	op->walk = &op->walks[0];
	a->pending++;
	return op;
}

bool viofs_op_turn(struct viofs_op *op)
{
	struct viofs_async *a = op->a;

	if (op->patient)
		return true;
	if (!op->under_way && a->max && a->under_way >= a->max && !a->gone)
		return false;
	a->under_way += !op->under_way;
	op->under_way = true;
	return true;
}

int viofs_op_send(struct viofs_op *op, struct viofs_call *call, struct viofs_request *r)
{
	struct viofs_session *s = op->a->s;
	int rc;

	if (op->a->gone)
		return -ECANCELED;
	if (op->a->closing && viofs_request_may_wait(r->opcode))
		return -EINTR;
	if (!viofs_op_turn(op))
		return 0;
	r->uid = s->uid;
	r->gid = s->gid;
	r->pid = s->pid;
	r->user = call;
	rc = viofs_queue_submit(op->a->q, r, 1);
	if (rc == 1)
		op->a->in_flight++;
	return rc;
}

void viofs_op_retry(struct viofs_op *op, viofs_step *step)
{
	struct viofs_async *a = op->a;

	op->step = step;
	op->next = NULL;
	/* Not with those under way: they must never stand behind one that can't begin before they
	 * end. */
	if (!viofs_op_turn(op)) {
		*a->later_tail = op;
		a->later_tail = &op->next;
		return;
	}
	/* A slot that comes free, or a request of its own, wakes it. */
	if (op->patient) {
		*a->locks_tail = op;
		a->locks_tail = &op->next;
	} else {
		*a->waiting_tail = op;
		a->waiting_tail = &op->next;
	}
}

static void call_with(struct viofs_op *op, struct viofs_request *r, viofs_step *retry,
		      viofs_step *next)
{
	int rc;

	if (r->reply_size && !r->reply)
		r->reply = op->reply;
	op->step = next;
	rc = viofs_op_send(op, &op->call, r);
	if (!rc) {
		viofs_scratch_free(op->a, op->dma);
		op->dma = NULL;
		viofs_op_retry(op, retry);
	} else if (rc < 0) { /* it comes back at once: @next frees what the call has made so far */
		op->call.done(&op->call, &(struct viofs_completion){ .error = rc });
	}
}

void viofs_op_call_sees(struct viofs_op *op, struct viofs_request *r, viofs_step *retry,
			viofs_step *next)
{
	call_with(op, r, retry, next);
}

static void done_or_end(struct viofs_call *call, const struct viofs_completion *c)
{
	struct viofs_op *op = VIOFS_CONTAINER_OF(call, struct viofs_op, call);

	op->call.done = op_done;
	if (!c->error) {
		op_done(call, c);
		return;
	}
	op->fault = c->fault;
	viofs_op_finish(op, c->error);
}

void viofs_op_call(struct viofs_op *op, struct viofs_request *r, viofs_step *retry,
		   viofs_step *next)
{
	op->call.done = done_or_end;
	call_with(op, r, retry, next);
}

bool viofs_op_dma(struct viofs_op *op, size_t size, viofs_step *retry)
{
	if (!viofs_op_turn(op)) {
		viofs_op_retry(op, retry);
		return false;
	}
	assert(size <= VIOFS_RESERVE);
	if (!op->dma)
		op->dma = viofs_dma_alloc(op->a->s->dev, size);
	if (!op->dma)
		op->dma = viofs_reserve_take(op->a);
	if (!op->dma)
		viofs_op_retry(op, retry);
	return op->dma;
}

void viofs_op_finish_zero(struct viofs_op *op)
{
	viofs_op_finish(op, 0);
}

static void release(struct viofs_op *op)
{
	viofs_walk_fini(op, &op->walks[0]);
	viofs_walk_fini(op, &op->walks[1]);
	viofs_node_put(&op->a->s->cache, op->node);
	viofs_scratch_free(op->a, op->dma);
	free(op->io.iov);
	free(op->text);
	op->node = NULL;
	op->dma = NULL;
	op->io.iov = NULL;
	op->text = NULL;
}

void viofs_op_finish(struct viofs_op *op, int64_t result)
{
	struct viofs_async *a = op->a;

	op->result = result;
	a->under_way -= op->under_way;
	op->under_way = false;
	release(op);
	if (op->blocking) {
		viofs_op_ended(op);
		return;
	}
	op->next = NULL;
	*a->ended_tail = op;
	a->ended_tail = &op->next;
	a->ended_count++;
}

static void give_back(struct viofs_async *a, struct viofs_op *op)
{
	op->next = a->free;
	a->free = op;
	a->pending--;
}

/* Run those of a list again that had no room, once each. */
static void run_again(struct viofs_op **first, struct viofs_op ***tail)
{
	struct viofs_op *op = *first;

	*first = NULL;
	*tail = first;
	while (op) {
		struct viofs_op *next = op->next;

		if (*first) { /* no room for one: none for those behind it */
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
		struct viofs_call *call = c[i].user;

		a->in_flight--;
		call->done(call, &c[i]);
	}
}

int viofs_async_turn(struct viofs_async *a)
{
	struct viofs_completion c[BATCH];
	int n = viofs_queue_poll(a->q, c, BATCH);

	if (n > 0)
		viofs_async_complete(a, c, (unsigned int)n);
	/* With a device that has failed they fail, each in its own way. */
	if (a->waiting)
		run_again(&a->waiting, &a->waiting_tail);
	if (a->locks)
		run_again(&a->locks, &a->locks_tail);
	run_later(a);
	if (n > 0)
		viofs_async_forget(a, false);
	return n;
}

int viofs_async_init(struct viofs_async *a, struct viofs_session *s, unsigned int max,
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

int viofs_async_open(struct viofs_session *s, unsigned int max, struct viofs_async **out,
		     struct viofs_err *err)
{
	struct viofs_async *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	rc = viofs_async_init(a, s, max ? max : MAX_DEFAULT, err);
	if (rc) {
		viofs_async_fini(a);
		free(a);
		return rc;
	}
	*out = a;
	return 0;
}

static unsigned int take_events(struct viofs_async *a, struct viofs_event *events, unsigned int max)
{
	unsigned int n = 0;

	while (n < max && a->ended) {
		struct viofs_op *op = a->ended;

		a->ended = op->next;
		if (!a->ended)
			a->ended_tail = &a->ended;
		a->ended_count--;
		events[n++] = (struct viofs_event){
			.user = op->user,
			.result = op->result,
			.fault = op->fault,
		};
		give_back(a, op);
	}
	return n;
}

int viofs_async_poll(struct viofs_async *a, struct viofs_event *events, unsigned int max)
{
	if (viofs_dev_is_elsewhere(a->s->dev))
		return 0; /* their events are the parent's */
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
		if (got >= min || got == max || !a->pending)
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
	if (a->ended)
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
