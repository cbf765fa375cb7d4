/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a slot to the ring. */
#include "relay/session.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>

/* Descriptors of one chain: data of 1 MiB in single pages never gets here (relay.c bounds it). */
#define PIECES_MAX VIOFS_SLOT_INDIRECT
/* Half of the slots that hiprio has. */
#define FORGETS_HELD_MAX (VIOFS_SLOTS_HIPRIO / 2)

static void wait_append(struct viofs_relay *r, struct viofs_slot *slot)
{
	struct viofs_slot_list *w = &r->waiting;

	slot->state = VIOFS_SLOT_WAITING;
	slot->next = VIOFS_SLOT_NONE;
	if (w->count++)
		r->slots.slots[w->last].next = slot->index;
	else
		w->first = slot->index;
	w->last = slot->index;
}

/* Request queues take turns; a device has one today. */
static uint16_t choose_queue(struct viofs_relay *r, const struct viofs_slot *slot)
{
	unsigned int queues = r->fs->queue_count - VIOFS_FS_REQUEST;

	if (slot->shape.hiprio)
		return VIOFS_FS_HIPRIO;
	if (queues == 1)
		return VIOFS_FS_REQUEST;
	return (uint16_t)(VIOFS_FS_REQUEST + r->next_queue++ % queues);
}

void viofs_kick_forgets(struct viofs_relay *r)
{
	if (!r->forgets_held)
		return;
	r->forgets_held = 0;
	viofs_fs_kick(r->fs, VIOFS_FS_HIPRIO);
}

/*
 * Nobody waits for a FORGET, and each notification makes the device's side run at a bad time: between two
 * requests. So some are gathered, or as many as come within FORGETS_HELD_NS (serve.c).
 */
static void notify(struct viofs_relay *r, const struct viofs_slot *slot)
{
	if (slot->queue == VIOFS_FS_HIPRIO && !slot->shape.replies) {
		if (!r->forgets_held++)
			r->forgets_since = viofs_now_ns();
		if (r->forgets_held >= FORGETS_HELD_MAX)
			viofs_kick_forgets(r);
		return;
	}
	if (slot->queue == VIOFS_FS_HIPRIO)
		r->forgets_held = 0;
	if (r->kicks_wait)
		r->kicks_held |= 1U << slot->queue;
	else
		viofs_fs_kick(r->fs, slot->queue);
}

void viofs_kick_later(struct viofs_relay *r)
{
	r->kicks_wait = true;
}

void viofs_kick_now(struct viofs_relay *r)
{
	for (unsigned int q = 0; r->kicks_held >> q; q++)
		if (r->kicks_held >> q & 1)
			viofs_fs_kick(r->fs, q);
	r->kicks_held = 0;
	r->kicks_wait = false;
}

/* Return: 0, -ENOSPC: no room, -EPIPE, -EMSGSIZE. */
static int put_on_ring(struct viofs_relay *r, struct viofs_slot *slot)
{
	struct viofs_ring_piece pieces[PIECES_MAX];
	struct viofs_ring_chain chain;
	int rc;

	rc = viofs_slot_chain(&r->slots, slot, r->indirect, pieces, PIECES_MAX, &chain);
	if (rc)
		return rc;
	if (slot->shape.replies)
		viofs_slot_clear_reply(&r->slots, slot);
	slot->queue = choose_queue(r, slot);
	viofs_slot_header(&r->slots, slot)->unique = slot->device_unique;
	/* QUEUED before it is on the ring: a successor finds the slot there if we die in between. */
	slot->state = VIOFS_SLOT_QUEUED;
	rc = viofs_ring_add(&r->fs->queues[slot->queue].ring, &chain);
	if (rc)
		return rc;
	r->stats->queues[slot->queue].requests++;
	notify(r, slot);
	return 0;
}

static int try_submit(struct viofs_relay *r, struct viofs_slot *slot)
{
	int rc;

	if (viofs_slot_needs_buffer(slot)) {
		/* The last one is for what the kernel sends next. */
		slot->buffer = viofs_slot_take_buffer(&r->slots, slot,
						      r->landing_buffer == VIOFS_BUFFER_NONE);
		if (slot->buffer == VIOFS_BUFFER_NONE)
			return -EAGAIN;
	}
	rc = put_on_ring(r, slot);
	if (rc == -ENOSPC)
		return -EAGAIN;
	if (rc == -EMSGSIZE) {
		viofs_fault(r, &slot->shape, "virtqueue too small for the request");
		viofs_answer_slot(r, slot, -EIO);
		viofs_release(r, slot);
	}
	return rc;
}

int viofs_submit(struct viofs_relay *r, struct viofs_slot *slot)
{
	int rc = -EAGAIN;

	/* Who needs a buffer keeps its turn; the others may overtake. */
	if (!r->waiting.count || !viofs_slot_needs_buffer(slot))
		rc = try_submit(r, slot);
	if (rc == -EAGAIN)
		wait_append(r, slot);
	return rc;
}

void viofs_submit_waiting(struct viofs_relay *r)
{
	uint16_t index = r->waiting.first;
	uint32_t count = r->waiting.count;

	r->waiting.count = 0;
	while (count--) {
		struct viofs_slot *slot = &r->slots.slots[index];

		index = slot->next;
		if (try_submit(r, slot) == -EAGAIN)
			wait_append(r, slot);
	}
}

bool viofs_submit_cancel(struct viofs_relay *r, uint64_t kernel_unique)
{
	struct viofs_slot_list *w = &r->waiting;
	struct viofs_slot *before = NULL, *slot;
	uint16_t index = w->first;

	for (uint32_t i = 0; i < w->count; i++, before = slot, index = slot->next) {
		slot = &r->slots.slots[index];
		if (slot->kernel_unique != kernel_unique || !slot->shape.may_wait)
			continue;
		if (before)
			before->next = slot->next;
		else
			w->first = slot->next;
		if (w->last == index)
			w->last = before ? before->index : VIOFS_SLOT_NONE;
		w->count--;
		viofs_release(r, slot);
		return true;
	}
	return false;
}

int viofs_submit_hiprio(struct viofs_relay *r, const void *message, size_t len,
			const struct viofs_fuse_shape *shape, uint64_t kernel_unique,
			uint64_t device_unique)
{
	struct viofs_slot *slot = viofs_slots_take(&r->slots, true);
	int rc;

	if (!slot)
		return -EAGAIN;
	viofs_slots_forget(&r->slots, message, len);
	memcpy(viofs_slot_message(&r->slots, slot), message, len);
	slot->len = (uint32_t)len;
	slot->shape = *shape;
	slot->kernel_unique = kernel_unique;
	if (device_unique)
		slot->device_unique = device_unique;
	slot->since = viofs_now_ns();
	rc = put_on_ring(r, slot);
	if (rc)
		viofs_slots_give(&r->slots, slot);
	return rc ? -EAGAIN : 0;
}
