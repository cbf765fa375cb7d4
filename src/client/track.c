/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests in flight: whose they are, and what becomes of them.
 *
 * All of it is a virtqueue's, and is used by who has entered that (client_dev.h). A slot is its
 * owner's until its answer is found. A slot that is `queued` but has no owner comes free with the
 * answer, which nobody is told of.
 */
#include "client/track.h"
#include "base/util.h"
#include "fuse/unique.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

/* A request's place (fuse/unique.h): its slot, and above that its virtqueue. */
#define PLACE_VQ_SHIFT 12
#define PLACE_SLOT_MASK 0xfffU

uint64_t viofs_track_unique(const struct viofs_vq *vq, unsigned int index)
{
	return viofs_unique_of(vq->slots[index].generation,
			       (uint16_t)(vq->index << PLACE_VQ_SHIFT | index));
}

void viofs_track_give(struct viofs_vq *vq, unsigned int index)
{
	vq->waits -= vq->slots[index].waits;
	vq->slots[index].waits = false;
	vq->slots[index].owner = NULL;
	vq->slots[index].queued = false;
	vq->slots[index].next = vq->free;
	vq->free = (uint16_t)index;
	vq->free_count++;
	vq->full_since = 0;
	__atomic_store_n(&vq->given, vq->given + 1, __ATOMIC_RELAXED);
}

static void wake(struct viofs_queue *q)
{
	if (viofs_queue_is_armed(q))
		viofs_eventfd_signal(q->wake_fd);
}

static struct viofs_done *done_of(const struct viofs_vq *vq, struct viofs_queue *q)
{
	return vq->index == VIOFS_FS_HIPRIO ? &q->urgent_done : &q->done;
}

/* To whoever sent it. */
void viofs_track_hand_over(struct viofs_vq *vq, const struct viofs_vq_slot *slot)
{
	struct viofs_done *d = done_of(vq, slot->owner);

	assert(d->count < d->room);
	d->ring[(d->first + d->count++) % d->room] = slot->done;
	wake(slot->owner);
}

unsigned int viofs_track_take_done(struct viofs_vq *vq, struct viofs_queue *q,
				   struct viofs_completion *out, unsigned int max)
{
	struct viofs_done *d = done_of(vq, q);
	unsigned int n = 0;

	while (n < max && d->count) {
		out[n++] = d->ring[d->first];
		d->first = (d->first + 1) % d->room;
		d->count--;
	}
	return n;
}

unsigned int viofs_track_end(struct viofs_vq *vq, struct viofs_queue *q,
			     struct viofs_completion *out, unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < vq->depth && n < max; i++) {
		struct viofs_vq_slot *slot = &vq->slots[i];

		if (slot->owner != q || !slot->queued || slot->flags & VIOFS_REQUEST_SILENT)
			continue;
		slot->queued = false;
		slot->done.error = -EIO;
		slot->done.size = 0;
		slot->done.fault = vq->dev->fault;
		out[n++] = slot->done;
		viofs_track_give(vq, i);
	}
	return n;
}

unsigned int viofs_track_abandon(struct viofs_vq *vq, struct viofs_queue *q,
				 struct viofs_completion *out, unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < vq->depth && n < max; i++) {
		struct viofs_vq_slot *slot = &vq->slots[i];

		if (slot->owner != q || !slot->queued || slot->flags & VIOFS_REQUEST_SILENT)
			continue;
		slot->owner = NULL;
		slot->reply = NULL;
		out[n] = slot->done;
		out[n].error = -ECANCELED;
		out[n].size = 0;
		out[n++].fault = NULL;
	}
	return n;
}

/* NULL: it isn't in flight. */
static const struct viofs_vq_slot *slot_of(const struct viofs_vq *vq, const struct viofs_queue *q,
					   uint64_t unique)
{
	unsigned int index = viofs_unique_place(unique) & PLACE_SLOT_MASK;
	const struct viofs_vq_slot *slot = &vq->slots[index];

	if (index >= vq->depth || slot->owner != q || !slot->queued || slot->done.unique != unique)
		return NULL;
	return slot;
}

static bool may_wait(const struct viofs_vq_slot *slot, const struct viofs_queue *q)
{
	return slot->owner == q && slot->queued && viofs_request_may_wait(slot->shape.opcode);
}

unsigned int viofs_track_waits(const struct viofs_vq *vq, const struct viofs_queue *q,
			       uint64_t *uniques, unsigned int max, bool *more)
{
	int64_t since = viofs_now_ns() - VIOFS_INTERRUPT_HELD_NS;
	unsigned int n = 0;

	*more = false;
	for (unsigned int i = 0; i < vq->depth; i++) {
		const struct viofs_vq_slot *slot = &vq->slots[i];

		if (!may_wait(slot, q))
			continue;
		if (slot->since <= since && n < max)
			uniques[n++] = slot->done.unique;
		else
			*more = true;
	}
	return n;
}

int64_t viofs_track_held(const struct viofs_vq *vq, const struct viofs_queue *q, uint64_t unique)
{
	const struct viofs_vq_slot *slot = slot_of(vq, q, unique);
	int64_t age;

	if (!slot)
		return 0;
	age = viofs_now_ns() - slot->since;
	return VIOFS_MAX(VIOFS_INTERRUPT_HELD_NS - age, 0);
}

uint32_t viofs_track_find(const struct viofs_vq *vq, const struct viofs_queue *q, uint64_t unique)
{
	const struct viofs_vq_slot *slot = slot_of(vq, q, unique);

	return slot ? slot->shape.opcode : 0;
}

void viofs_track_forget(struct viofs_vq *vq, struct viofs_queue *q)
{
	done_of(vq, q)->count = 0;
	for (unsigned int i = 0; i < vq->depth; i++) {
		if (vq->slots[i].owner != q || !vq->slots[i].queued)
			continue;
		/* It stays the device's, and its end is told to nobody. */
		vq->slots[i].owner = NULL;
		vq->slots[i].reply = NULL;
	}
}

int64_t viofs_track_oldest(const struct viofs_vq *vq)
{
	int64_t oldest = INT64_MAX;

	for (unsigned int i = 0; i < vq->depth; i++) {
		const struct viofs_vq_slot *slot = &vq->slots[i];

		/* SETLKW may rightly wait for ever, INTERRUPT be left alone; nobody waits for
		 * FORGET. */
		if (slot->queued && slot->shape.replies &&
		    !viofs_request_may_wait(slot->shape.opcode) &&
		    slot->shape.opcode != FUSE_INTERRUPT && slot->since < oldest)
			oldest = slot->since;
	}
	return oldest;
}
