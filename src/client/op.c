/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One call, from its beginning to its end.
 *
 * An op is used by the thread that has its user (op.h). It is on one list at most: free, ended, or
 * one of those that wait for room; otherwise a request of its own is in flight, whose end brings it
 * on.
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
	struct viofs_op *op = VIOFS_CONTAINER_OF(call, struct viofs_op, call);

	op->error = c->error;
	op->size = c->size;
	if (c->fault)
		op->fault = c->fault;
	op->step(op);
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
	op->a = a;
	op->user = user;
	op->walk = &op->walks[0];
	a->pending++;
	*out = op;
	return 0;
}

void viofs_op_free(struct viofs_op *op)
{
	struct viofs_async *a = op->a;

	op->next = a->free;
	a->free = op;
	a->pending--;
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
		viofs_op_dma_free(op);
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
	op->node = NULL;
	op->kept = NULL;
}

void viofs_op_finish(struct viofs_op *op, int64_t result)
{
	struct viofs_async *a = op->a;

	op->result = result;
	a->under_way -= op->under_way;
	op->under_way = false;
	release(op);
	if (op->blocking) {
		viofs_op_tell(op);
		return;
	}
	op->next = NULL;
	*a->ended_tail = op;
	a->ended_tail = &op->next;
	a->ended_count++;
}

void viofs_op_finish_zero(struct viofs_op *op)
{
	viofs_op_finish(op, 0);
}
