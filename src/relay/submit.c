/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a slot to the ring. */
#include "relay/submit.h"
#include "base/ticks.h"
#include "base/util.h"
#include "relay/answer.h"
#include "relay/contents.h"
#include "relay/enqueue.h"
#include "relay/session.h"
#include "relay/tap.h"

#include <errno.h>

void viofs_submit_later(struct viofs_lane *lane, struct viofs_slot *slot)
{
	struct viofs_slot_list *w = &lane->waiting;

	slot->state = VIOFS_SLOT_WAITING;
	slot->next = VIOFS_SLOT_NONE;
	if (w->count++)
		lane->slots.slots[w->last].next = slot->index;
	else
		w->first = slot->index;
	w->last = slot->index;
}

/* The lane's request queues take turns. */
static unsigned int choose_queue(struct viofs_lane *lane)
{
	if (lane->queue_count == 1)
		return lane->queues[0];
	return lane->queues[lane->next_queue++ % lane->queue_count];
}

static void notify(struct viofs_lane *lane, const struct viofs_slot *slot)
{
	viofs_tap_sent(lane->capture, lane->relay, slot);
	if (lane->kicks_wait)
		lane->kicks_held |= 1U << slot->queue;
	else
		viofs_tap_kick(lane->capture, lane->relay->fs, slot->queue);
}

void viofs_submit_kick_later(struct viofs_lane *lane)
{
	lane->kicks_wait = true;
}

void viofs_submit_kick_now(struct viofs_lane *lane)
{
	for (unsigned int q = 0; lane->kicks_held >> q; q++)
		if (lane->kicks_held >> q & 1)
			viofs_tap_kick(lane->capture, lane->relay->fs, q);
	lane->kicks_held = 0;
	lane->kicks_wait = false;
}

static int try_submit(struct viofs_lane *lane, struct viofs_slot *slot)
{
	int rc;

	if (viofs_slot_needs_buffer(slot)) {
		/* The last buffer is kept for the kernel's next request. */
		slot->buffer = viofs_contents_take_buffer(
			&lane->slots, slot, lane->state->landing_buffer == VIOFS_BUFFER_NONE);
		if (slot->buffer == VIOFS_BUFFER_NONE)
			return -EAGAIN;
	}
	rc = viofs_enqueue(lane->relay, slot, choose_queue(lane));
	if (!rc)
		notify(lane, slot);
	if (rc == -ENOSPC)
		return -EAGAIN;
	if (rc == -EMSGSIZE) {
		viofs_answer_fault(lane, slot, "virtqueue too small for the request");
		viofs_answer_slot(lane, slot, -EIO);
		viofs_answer_release(lane, slot);
	}
	return rc;
}

int viofs_submit(struct viofs_lane *lane, struct viofs_slot *slot)
{
	int rc = -EAGAIN;

	/* Requests that need a buffer keep their order; others may overtake them. */
	if (!lane->waiting.count || !viofs_slot_needs_buffer(slot))
		rc = try_submit(lane, slot);
	if (rc == -EAGAIN)
		viofs_submit_later(lane, slot);
	return rc;
}

void viofs_submit_waiting(struct viofs_lane *lane)
{
	uint16_t index = lane->waiting.first;
	uint32_t count = lane->waiting.count;
	uint64_t now = viofs_ticks();

	lane->waiting.count = 0;
	while (count--) {
		struct viofs_slot *slot = &lane->slots.slots[index];

		index = slot->next;
		slot->sent = now;
		if (try_submit(lane, slot) == -EAGAIN)
			viofs_submit_later(lane, slot);
	}
}

bool viofs_submit_cancel(struct viofs_lane *lane, uint64_t kernel_unique)
{
	struct viofs_slot_list *w = &lane->waiting;
	struct viofs_slot *before = NULL, *slot;
	uint16_t index = w->first;

	for (uint32_t i = 0; i < w->count; i++, before = slot, index = slot->next) {
		slot = &lane->slots.slots[index];
		if (slot->kernel_unique != kernel_unique || !slot->shape.may_wait)
			continue;
		if (before)
			before->next = slot->next;
		else
			w->first = slot->next;
		if (w->last == index)
			w->last = before ? before->index : VIOFS_SLOT_NONE;
		w->count--;
		viofs_answer_release(lane, slot);
		return true;
	}
	return false;
}
