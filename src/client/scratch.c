/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DMA memory of calls: bounce buffers, and replies that have no place in a slot.
 *
 * It comes from the pool, which the program and all users of the session share. If the pool is
 * empty, it isn't known when something comes back: another user's buffers may wait for a poll that
 * comes only after this call. So each user also has a reserve, for one request at a time. An op
 * that finds the reserve taken waits for a request of the same user, which that user's own polls
 * end. So no op keeps the reserve while it waits for anything but the device. The reserve is used
 * by its user's thread; the pool has a lock.
 */
#include "client/scratch.h"
#include "client/pool.h"

#include <errno.h>

int viofs_reserve_init(struct viofs_async *a, struct viofs_err *err)
{
	struct viofs_share *s = a->s;

	if (a >= s->lanes && a < s->lanes + VIOFS_SESSION_LANES) {
		a->reserve = s->dev->reserves + (size_t)(a - s->lanes) * VIOFS_RESERVE;
		return 0;
	}
	a->reserve = viofs_dma_alloc(s->dev, VIOFS_RESERVE);
	return a->reserve ? 0
			  : viofs_err_set(err, -ENOMEM,
					  "Of the device's DMA memory there are no %u KiB left for "
					  "a user of calls. Raise viofs_dev_options.dma_size.",
					  VIOFS_RESERVE >> 10);
}

void viofs_reserve_fini(struct viofs_async *a)
{
	if (!a->reserve_taken)
		viofs_dma_free(a->s->dev, a->reserve); /* a lane's is not of the pool */
	a->reserve = NULL;
}

void *viofs_reserve_take(struct viofs_async *a)
{
	if (a->reserve_taken)
		return NULL;
	a->reserve_taken = true;
	return a->reserve;
}

void viofs_scratch_free(struct viofs_async *a, void *memory)
{
	if (a->gone)
		return; /* the device may still have it */
	if (memory && memory == a->reserve)
		a->reserve_taken = false;
	else
		viofs_dma_free(a->s->dev, memory);
}
