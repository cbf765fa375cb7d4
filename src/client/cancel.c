/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ends of users and devices that don't wait.
 *
 * A call that is given up goes on as an orphan (op.c) as long as its user is there. When that is
 * closed, the request is the device's alone: its slot comes free when it is answered, and DMA
 * memory that belongs to it is given to nobody else until the device is closed.
 */
#include "base/util.h"
#include "client/async.h"
#include "client/client_session.h"
#include "client/fail.h"
#include "client/op.h"
#include "client/queue.h"

#include <errno.h>
#include <stdlib.h>

#define BATCH 32U
/* Between two tries to tell the device: its hiprio queue is full, or a lock is too young. */
#define AGAIN_NS 1000000
/* Added for the coarse clocks of time-outs, and for a device that fails in the meantime. */
#define SLACK_NS (200 * VIOFS_NSEC_PER_MSEC)

/* Return: are there some that the device can't be told of yet? */
static bool interrupt_waits(struct viofs_async *a)
{
	uint64_t uniques[BATCH];
	bool more;
	unsigned int n = viofs_queue_waits(a->q, uniques, BATCH, &more);

	for (unsigned int i = 0; i < n; i++)
		if (viofs_queue_interrupt(a->q, uniques[i]) == -EAGAIN)
			return true;
	return more;
}

static void give_up_all(struct viofs_async *a)
{
	struct viofs_event events[BATCH];
	struct viofs_op *next;

	for (struct viofs_op *op = a->live; op; op = next) {
		next = op->live_next;
		if (!op->ended)
			viofs_op_cancel(op, -ECANCELED);
	}
	viofs_async_abandon(a);
	while (a->pending)
		viofs_async_poll(a, events, BATCH);
}

/* After so long without an event, ns: INT64_MAX: never. With requests that have a time-out the
 * device has failed by then; what is left are locks, which the device was told to give up. */
static int64_t patience(const struct viofs_async *a)
{
	int64_t timeout = a->s->dev->options.timeout_ms * VIOFS_NSEC_PER_MSEC;

	return timeout ? timeout + SLACK_NS : INT64_MAX;
}

/* In a child of fork(2) nothing is ended: its copy is freed. */
static bool is_in_child(struct viofs_async *a)
{
	if (!viofs_dev_is_elsewhere(a->s->dev))
		return false;
	viofs_op_drop_all(a);
	viofs_async_fini(a);
	free(a);
	return true;
}

void viofs_async_close(struct viofs_async *a)
{
	int64_t left, since = viofs_now_ns();
	struct viofs_event event;
	bool more = true;

	if (!a || is_in_child(a))
		return;
	a->closing = true;
	while (a->pending) {
		if (more) {
			viofs_async_turn(a); /* what is answered already is not interrupted */
			more = interrupt_waits(a);
		}
		left = patience(a);
		if (left != INT64_MAX)
			left -= viofs_now_ns() - since;
		if (left <= 0)
			give_up_all(a);
		else if (viofs_async_wait(a, &event, 1, 1, more ? AGAIN_NS : left) > 0)
			since = viofs_now_ns();
	}
	viofs_async_abandon(a);
	viofs_async_forget(a, true);
	viofs_async_fini(a);
	free(a);
}

void viofs_async_close_now(struct viofs_async *a)
{
	if (!a || is_in_child(a))
		return;
	a->closing = true;
	interrupt_waits(a);
	give_up_all(a);
	viofs_async_forget(a, true);
	viofs_async_fini(a);
	free(a);
}

void viofs_dev_abort(struct viofs_dev *dev)
{
	if (!viofs_dev_is_elsewhere(dev))
		viofs_dev_fail(dev, "was given up by the program");
}
