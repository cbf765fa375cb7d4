/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One call, from its beginning to its end.
 *
 * An op is used by the thread that has its user (op.h). Until its result is known it is on the list
 * of those that wait for room, or has requests in flight, whose end continues it. `live` has all
 * ops that have not ended; an orphan stays there though its result was told.
 */
#include "client/op.h"
#include "base/util.h"
#include "client/child.h"
#include "client/queue.h"
#include "client/scratch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void op_done(struct viofs_call *call, const struct viofs_completion *c)
{
	struct viofs_op *op = call->op;

	op->undo = NULL;
	op->error = c->error;
	op->size = c->size;
	if (c->fault)
		op->fault = c->fault;
	op->step(op);
}

/* It is linked to the one before it. */
static void follow(struct viofs_op *op)
{
	struct viofs_async *a = op->a;

	op->prior = a->last;
	if (op->prior) {
		op->prior->follower = op;
	} else if (a->last_failed) {
		op->chain_failed = true;
		op->ending = -ECANCELED;
	}
}

/* What is linked to it can begin, or end. It is not run from here: this may be deep in a step. */
static void release_follower(struct viofs_op *op, bool failed)
{
	struct viofs_async *a = op->a;
	struct viofs_op *next = op->follower;

	if (a->last == op) {
		a->last = NULL;
		a->last_failed = failed;
	}
	if (!next)
		return;
	op->follower = NULL;
	next->prior = NULL;
	next->chain_failed = failed;
	if (failed && !next->goes_on) /* a close is made all the same */
		next->ending = -ECANCELED;
	next->next = NULL;
	*a->later_tail = next;
	a->later_tail = &next->next;
}

bool viofs_op_waits(struct viofs_op *op, viofs_step *step)
{
	if (op->ending) {
		viofs_op_finish(op, op->ending);
		return true;
	}
	op->step = op->prior ? step : op->step;
	return op->prior;
}

int viofs_op_new(struct viofs_async *a, void *user, struct viofs_op **out)
{
	struct viofs_op *op = a->free;

	if (viofs_dev_is_elsewhere(a->s->dev))
		return -ENODEV;
	if (op)
		a->free = op->next;
	else
		op = malloc(sizeof(*op));
	if (!op)
		return -ENOMEM;
	memset(op, 0, sizeof(*op));
	op->call.done = op_done;
	op->call.op = op;
	op->a = a;
	op->user = user;
	op->walk = &op->walks[0];
	op->live_next = a->live;
	op->live_at = &a->live;
	if (a->live)
		a->live->live_at = &op->live_next;
	a->live = op;
	if (a->view) {
		op->from = &a->view->at;
		viofs_op_for(op, a->view->caller);
	}
	a->pending++;
	if (a->link_next)
		follow(op);
	a->link_next = false;
	a->last = op;
	*out = op;
	return 0;
}

/* It is looked at again then. */
static void end_by(struct viofs_op *op, int64_t when)
{
	struct viofs_async *a = op->a;

	op->deadline = when;
	if (!a->deadline || when < a->deadline) {
		a->deadline = when;
		viofs_queue_wake_by(a->q, when);
	}
}

void viofs_op_for(struct viofs_op *op, struct viofs_caller *caller)
{
	op->caller = caller;
	op->deadline = 0;
	if (caller->timeout_ms)
		end_by(op, viofs_now_ns() + caller->timeout_ms * VIOFS_NSEC_PER_MSEC);
}

void viofs_op_on(struct viofs_op *op, struct viofs_file *file)
{
	op->file = file;
	viofs_op_for(op, file->caller);
}

static void put_away(struct viofs_op *op)
{
	op->next = op->a->free;
	op->a->free = op;
}

void viofs_op_free(struct viofs_op *op)
{
	op->told = true;
	op->a->pending--;
	if (!op->orphan)
		put_away(op);
}

bool viofs_op_turn(struct viofs_op *op)
{
	struct viofs_async *a = op->a;

	if (op->prior)
		return false;
	if (op->patient || op->ending || op->orphan)
		return true;
	if (!op->under_way && a->max && a->under_way >= a->max && !a->gone)
		return false;
	a->under_way += !op->under_way;
	op->under_way = true;
	return true;
}

int viofs_op_send(struct viofs_op *op, struct viofs_call *call, struct viofs_request *r)
{
	int rc;

	if (op->a->gone)
		return -ECANCELED;
	if (op->ending)
		return op->ending;
	if (op->a->closing && viofs_request_may_wait(r->opcode))
		return -EINTR;
	if (!viofs_op_turn(op))
		return 0;
	r->uid = op->caller->uid;
	r->gid = op->caller->gid;
	r->pid = op->caller->pid;
	r->user = call;
	rc = viofs_queue_submit(op->a->q, r, 1);
	if (rc == 1) {
		op->a->in_flight++;
		op->in_flight++;
		op->unique = r->unique;
	}
	return rc;
}

void viofs_op_retry(struct viofs_op *op, viofs_step *step)
{
	struct viofs_async *a = op->a;

	op->step = step;
	op->next = NULL;
	if (op->prior) /* brings it back */
		return;
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
		viofs_op_dma_free(op);
		viofs_op_retry(op, retry);
	} else if (rc < 0) { /* it comes back at once: @next frees what the call has made so far */
		op->call.done(&op->call, &(struct viofs_completion){ .error = rc });
	}
}

void viofs_op_call_sees(struct viofs_op *op, struct viofs_request *r, viofs_step *retry,
			viofs_step *next)
{
	op->call.done = op_done;
	call_with(op, r, retry, next);
}

static void done_or_end(struct viofs_call *call, const struct viofs_completion *c)
{
	struct viofs_op *op = call->op;

	op->call.done = op_done;
	if (!c->error) {
		op_done(call, c);
		return;
	}
	op->error = c->error;
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
	if (op->ending || op->a->gone) { /* it may never come free again */
		viofs_op_finish(op, op->ending ? op->ending : -ECANCELED);
		return false;
	}
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

void viofs_op_dma_free(struct viofs_op *op)
{
	viofs_scratch_free(op->a, op->dma);
	op->dma = NULL;
}

bool viofs_op_keep(struct viofs_op *op, const char *text)
{
	op->kept = strdup(text);
	if (!op->kept)
		viofs_op_finish(op, -ENOMEM);
	return op->kept;
}

static void drop_walk(struct viofs_cache *c, struct viofs_walk *w)
{
	while (w->depth)
		viofs_node_put(c, w->stack[--w->depth]);
	viofs_node_put(c, w->named);
	free(w->stack);
	free(w->path);
	w->named = NULL;
	w->stack = NULL;
	w->path = NULL;
}

static void release(struct viofs_op *op)
{
	struct viofs_cache *c = &op->a->s->cache;

	drop_walk(c, &op->walks[0]);
	drop_walk(c, &op->walks[1]);
	viofs_node_put(c, op->node);
	viofs_op_dma_free(op);
	free(op->kept);
	if (op->own)
		op->own_free(op->own);
	op->node = NULL;
	op->kept = NULL;
	op->own = NULL;
	if (op->prior)
		op->prior->follower = NULL;
	op->prior = NULL;
	if (op->live_next)
		op->live_next->live_at = op->live_at;
	*op->live_at = op->live_next;
}

void viofs_op_drop_all(struct viofs_async *a)
{
	while (a->ended) {
		struct viofs_op *op = a->ended;

		a->ended = op->ended_next;
		if (!op->orphan) /* of the others below */
			put_away(op);
	}
	while (a->live) {
		struct viofs_op *op = a->live;

		release(op);
		put_away(op);
	}
}

/* An orphan is at its end. */
static void bury(struct viofs_op *op)
{
	release(op);
	op->orphan = false;
	/* It isn't known what it has done. */
	viofs_cache_drop(&op->a->s->cache);
	if (op->told)
		put_away(op);
}

void viofs_op_finish(struct viofs_op *op, int64_t result)
{
	struct viofs_async *a = op->a;

	if (op->orphan) {
		bury(op);
		return;
	}
	op->ended = true;
	op->result = result;
	release_follower(op, result < 0 || op->fell_short || op->chain_failed);
	a->under_way -= op->under_way;
	op->under_way = false;
	op->orphan = op->in_flight || op->goes_on;
	if (!op->orphan)
		release(op);
	if (op->blocking) {
		viofs_op_tell(op);
		return;
	}
	op->ended_next = NULL;
	*a->ended_tail = op;
	a->ended_tail = &op->ended_next;
	a->ended_count++;
}

void viofs_op_complete(struct viofs_call *call, const struct viofs_completion *c)
{
	struct viofs_op *op = call->op;

	op->in_flight--;
	if (!op->orphan || op->goes_on) {
		call->done(call, c);
		return;
	}
	if (call->drop) {
		call->drop(call);
	} else {
		op->error = c->error;
		op->size = c->size;
		op->goes_on = op->undo && op->undo(op);
	}
	if (!op->in_flight && !op->goes_on)
		bury(op);
}

/* Is it on a list of those that wait for room? Then it isn't any more. */
static bool leave(struct viofs_op *op, struct viofs_op **first, struct viofs_op ***tail)
{
	struct viofs_op **at = first;

	while (*at && *at != op)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = op->next;
	if (!*at)
		*tail = at;
	return true;
}

/* A lock that the device has had for a short time is given up later: see VIOFS_INTERRUPT_HELD_NS.
 * Who closes its user now doesn't wait so long, and the device isn't told. Return: is it so? */
static bool put_off(struct viofs_op *op)
{
	int64_t held = viofs_queue_held(op->a->q, op->unique);

	if (held && !op->a->closing)
		end_by(op, viofs_now_ns() + held);
	else if (!held)
		viofs_queue_interrupt(op->a->q, op->unique);
	return op->deadline;
}

void viofs_op_cancel(struct viofs_op *op, int rc)
{
	struct viofs_async *a = op->a;

	op->deadline = 0;
	if (op->goes_on) { /* it is a close, which nothing keeps from it */
		viofs_op_finish(op, rc);
		return;
	}
	op->ending = rc;
	if (op->in_flight) {
		if (!op->patient || !put_off(op))
			viofs_op_finish(op, rc);
	} else if (op->prior) {
		op->prior->follower = NULL;
		op->prior = NULL;
		op->step(op);
	} else if (leave(op, &a->waiting, &a->waiting_tail) ||
		   leave(op, &a->locks, &a->locks_tail) || leave(op, &a->later, &a->later_tail)) {
		op->step(op); /* finds that nothing can be sent */
	}
}

void viofs_op_finish_zero(struct viofs_op *op)
{
	viofs_op_finish(op, 0);
}
