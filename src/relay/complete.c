/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the ring to /dev/fuse.
 *
 * The device can change what it wrote at any time. So headers and structs are copied once to
 * private memory, checked there, and given to the kernel from there; only bulk data goes from DMA
 * memory straight to the kernel, which treats it as file contents and names, and no further than
 * the device said that it wrote.
 */
#include "relay/complete.h"
#include "base/trace.h"
#include "base/ticks.h"
#include "base/util.h"
#include "fuse/reply.h"
#include "kernel/devfuse.h"
#include "relay/answer.h"
#include "relay/entry.h"
#include "relay/hiprio.h"
#include "relay/outcome.h"
#include "relay/session.h"
#include "relay/tap.h"

#include <errno.h>
#include <string.h>

/* Completions that are taken off a ring before the next ring has its turn. */
#define BATCH 32

/* Give a checked reply to the kernel. Return: false: deposed meanwhile. */
static bool deliver(struct viofs_lane *lane, struct viofs_slot *slot, struct iovec *iov, int count)
{
	uint16_t index = slot->index; /* used when the slot's memory may be gone */
	uint64_t ticket = 0;
	int rc;

	if (slot->shape.may_block)
		ticket = viofs_lease_enter(&lane->lease);
	rc = viofs_devfuse_reply(lane->fuse_fd, iov, count);
	if (ticket && !viofs_lease_leave(&lane->lease, ticket)) {
		viofs_lease_return_slot(&lane->lease, index);
		return false;
	}
	if (rc == -EINVAL)
		viofs_answer_fault(lane, slot, "the kernel doesn't accept it");
	return true;
}

static int reply_to_kernel(struct viofs_lane *lane, struct viofs_slot *slot, uint32_t used_len)
{
	struct {
		struct fuse_out_header head;
		uint8_t fixed[VIOFS_FUSE_FIXED_MAX];
	} out;
	const struct viofs_fuse_shape *shape = &slot->shape;
	const uint8_t *from = viofs_slot_reply(&lane->slots, slot);
	struct viofs_fuse_reply reply;
	struct iovec iov[2];
	uint32_t fixed, data;

	memcpy(&out.head, from, sizeof(out.head));
	if (viofs_fuse_reply_check(shape, slot->device_unique, &out.head, used_len,
				   lane->relay->used_len_zero, &reply)) {
		viofs_answer_fault(lane, slot, reply.fault);
		/* It is answered with all others. */
		slot->state = VIOFS_SLOT_QUEUED;
		return viofs_outcome_break(lane->relay, "%s: %s", viofs_answer_name(shape),
					   reply.fault);
	}
	if (reply.fault)
		viofs_answer_fault(lane, slot, reply.fault);
	out.head.error = reply.error;
	out.head.unique = slot->kernel_unique;
	fixed = VIOFS_MIN(reply.payload, shape->fixed);
	data = reply.payload - fixed;
	memcpy(out.fixed, from + sizeof(out.head), fixed);
	if (fixed && viofs_fuse_reply_strip(shape, out.fixed, fixed))
		lane->stats->quirks |= VIOFS_QUIRK_OPEN_FLAGS;
	iov[0] = (struct iovec){ &out, sizeof(out.head) + fixed };
	iov[1] = (struct iovec){ viofs_slot_reply_data(&lane->slots, slot), data };
	VIOFS_PROBE4(reply, lane->index, shape->opcode, out.head.unique, reply.error);
	/* Counted before it is delivered: afterwards somebody else may lead. */
	lane->stats->replies++;
	lane->stats->errors += reply.error && !reply.fault;
	if (shape->opcode == FUSE_READ)
		lane->stats->bytes_read += data;
	if (shape->unlinks && !reply.error)
		viofs_hiprio_unlinked(&lane->relay->hiprio);
	if (slot->entry == VIOFS_SLOT_NO_ENTRY)
		return deliver(lane, slot, iov, data ? 2 : 1) ? 0 : VIOFS_DEPOSED;
	viofs_entry_reply(lane, slot, reply.error, out.fixed, fixed, data);
	return 0;
}

/* @now: ticks, out: when the kernel had the reply. */
static int complete_one(struct viofs_lane *lane, uint32_t token, uint32_t used_len, uint64_t *now)
{
	struct viofs_slot *slot = &lane->slots.slots[token];
	int rc = 0;

	if (slot->shape.replies)
		rc = reply_to_kernel(lane, slot, used_len);
	else if (slot->entry != VIOFS_SLOT_NO_ENTRY)
		viofs_entry_reply(lane, slot, 0, NULL, 0, 0);
	if (!rc) {
		*now = viofs_tap_replied(lane, slot);
		viofs_answer_release(lane, slot);
	}
	return rc;
}

static void collect_returned(struct viofs_lane *lane)
{
	uint16_t index;

	while (viofs_lease_collect(&lane->lease, &index)) {
		viofs_tap_replied(lane, &lane->slots.slots[index]);
		viofs_answer_release(lane, &lane->slots.slots[index]);
	}
}

/* REPLYING before it is off the ring: a successor finds it in one place or the other. */
static void note_used(struct viofs_slot *slot, uint32_t len, uint64_t now)
{
	slot->used_len = len;
	slot->used = now;
	VIOFS_PROBE4(complete, slot->queue, slot->shape.opcode, slot->kernel_unique, len);
	viofs_order();
	slot->state = VIOFS_SLOT_REPLYING;
	viofs_order();
}

static int complete_queue(struct viofs_lane *lane, unsigned int q)
{
	struct viofs_ring *ring = &lane->relay->fs->queues[q].ring;
	struct viofs_ring_used used;
	uint64_t now;
	int done = 0, rc;

	if (!viofs_ring_has_used(ring))
		return 0;
	now = viofs_ticks();
	while (done < BATCH) {
		rc = viofs_ring_peek(ring, &used);
		if (rc < 0)
			return viofs_outcome_break(lane->relay, "virtqueue %u: %s", q,
						   viofs_ring_broken(ring));
		if (!rc)
			break;
		done++;
		note_used(&lane->slots.slots[used.token], used.len, now);
		viofs_ring_pop(ring, &used);
		rc = complete_one(lane, used.token, used.len, &now);
		if (rc)
			return rc;
	}
	return done;
}

int viofs_complete_left(struct viofs_lane *lane)
{
	uint64_t now;
	int rc = 0;

	while (lane->left < lane->slots.count && !rc) {
		const struct viofs_slot *slot = viofs_slots_at(&lane->slots, lane->left++);

		if (slot->state == VIOFS_SLOT_REPLYING)
			rc = complete_one(lane, slot->index, slot->used_len, &now);
	}
	return rc;
}

int viofs_complete(struct viofs_lane *lane)
{
	int done = 0, rc;

	if (viofs_lease_has_returned(&lane->lease))
		collect_returned(lane);
	if (lane->hiprio)
		done = viofs_hiprio_complete(lane);
	for (unsigned int i = 0; i < lane->queue_count && done >= 0; i++) {
		rc = complete_queue(lane, lane->queues[i]);
		done = rc < 0 ? rc : done + rc;
	}
	return done;
}
