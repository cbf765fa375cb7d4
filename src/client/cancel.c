/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ends that don't wait for the device.
 *
 * A request that is given up stays the device's: its slot comes free when it is answered, and DMA
 * memory that belongs to it is given to nobody else until the device is closed.
 */
#include "client/engine.h"

#include <errno.h>
#include <stdlib.h>

#define BATCH 32U
/* Between two tries to tell the device, whose hiprio queue is full. */
#define AGAIN_NS 1000000

/* Return: whether there are some that the device can't be told of yet. */
static bool interrupt_waits(struct viofs_async *a)
{
	uint64_t uniques[BATCH];
	unsigned int n = viofs_queue_waits(a->q, uniques, BATCH);

	for (unsigned int i = 0; i < n; i++)
		if (viofs_queue_interrupt(a->q, uniques[i]) == -EAGAIN)
			return true;
	return n == BATCH;
}

void viofs_async_close(struct viofs_async *a)
{
	struct viofs_event event;
	bool more = true;

	if (!a || viofs_dev_is_elsewhere(a->s->dev))
		return;
	a->closing = true;
	while (a->pending) {
		if (more)
			more = interrupt_waits(a);
		viofs_async_wait(a, &event, 1, 1, more ? AGAIN_NS : -1);
	}
	viofs_async_forget(a, true);
	viofs_async_fini(a);
	free(a);
}

void viofs_async_close_now(struct viofs_async *a)
{
	struct viofs_completion c[BATCH];
	struct viofs_event events[BATCH];
	unsigned int n;

	if (!a || viofs_dev_is_elsewhere(a->s->dev))
		return;
	a->closing = true;
	interrupt_waits(a);
	a->gone = true;
	while ((n = viofs_queue_abandon(a->q, c, BATCH)) > 0)
		viofs_async_complete(a, c, n);
	/* What waits for room or for its turn finds that nothing can be sent any more. */
	while (a->pending)
		viofs_async_poll(a, events, BATCH);
	viofs_async_forget(a, true);
	viofs_async_fini(a);
	free(a);
}

void viofs_dev_abort(struct viofs_dev *dev)
{
	if (!viofs_dev_is_elsewhere(dev))
		viofs_dev_fail(dev, "was given up by the program");
}
