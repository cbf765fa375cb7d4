/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the ring to /dev/fuse.
 *
 * Whatever the device wrote may change under our eyes. So headers and structs are copied once to private
 * memory, checked there, and given to the kernel from there; only bulk data goes from DMA memory
 * straight to the kernel, which treats it as file contents and names, and no further than the device
 * said that it wrote.
 */
#include "relay/session.h"
#include "base/log.h"
#include "base/util.h"
#include "fuse/reply.h"
#include "kernel/devfuse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Taken off a ring before the others get their turn. */
#define BATCH 32

int viofs_break(struct viofs_relay *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->stats->reason, sizeof(r->stats->reason), fmt, ap);
	va_end(ap);
	r->stats->session = VIOFS_SESSION_FAILED;
	return -EPROTO;
}

int viofs_lose(struct viofs_relay *r, const char *how)
{
	viofs_break(r, "the device %s", how);
	r->stats->session = VIOFS_SESSION_LOST;
	return -ENODEV;
}

void viofs_fault(struct viofs_relay *r, const struct viofs_fuse_shape *shape, const char *what)
{
	r->stats->faults++;
	snprintf(r->stats->last_fault, sizeof(r->stats->last_fault), "%s: %s", shape->name, what);
	/* Once, and then less and less often: 1, 2, 4, 8, ... */
	if (viofs_is_power_of_2(r->stats->faults))
		viofs_warn("the device's reply to %s was refused: %s (%llu so far)", shape->name, what,
			   (unsigned long long)r->stats->faults);
}

void viofs_answer(struct viofs_relay *r, uint64_t unique, int error)
{
	viofs_devfuse_error(r->fuse_fd, unique, error);
	r->stats->replies++;
}

void viofs_answer_slot(struct viofs_relay *r, struct viofs_slot *slot, int error)
{
	if (slot->entry == VIOFS_SLOT_NO_ENTRY) {
		viofs_answer(r, slot->kernel_unique, error);
		return;
	}
	viofs_entry_reply(r, slot, error, NULL, 0, 0);
	r->stats->replies++;
}

void viofs_release(struct viofs_relay *r, struct viofs_slot *slot)
{
	if (slot->shape.may_wait && slot->index < r->slots.count)
		r->lockers--;
	if (slot->entry == VIOFS_SLOT_NO_ENTRY)
		viofs_slots_give(&r->slots, slot);
	else
		slot->state = VIOFS_SLOT_LANDING;
	r->freed = true;
}

/* The device's answer to INTERRUPT: most say nothing, which is legal. */
static void finish_interrupt(struct viofs_relay *r, struct viofs_slot *slot, uint32_t used_len)
{
	struct fuse_out_header head;
	struct viofs_fuse_reply reply;
	struct viofs_slot *original;

	memcpy(&head, viofs_slot_reply(&r->slots, slot), sizeof(head));
	if (!used_len || viofs_fuse_reply_check(&slot->shape, slot->device_unique, &head, used_len,
						false, &reply))
		return;
	original = &r->slots.slots[(slot->device_unique >> 1) & 0xffff];
	/* ENOSYS: none will ever be sent again. EAGAIN: the kernel sends it again at once, so not for
	 * ever, and only while there is something to interrupt. */
	if (reply.error == -ENOSYS)
		viofs_devfuse_error(r->fuse_fd, slot->kernel_unique, -ENOSYS);
	else if (reply.error == -EAGAIN && original->state == VIOFS_SLOT_QUEUED &&
		 original->device_unique == (slot->device_unique & ~1ULL) &&
		 original->interrupts++ < 100)
		viofs_devfuse_error(r->fuse_fd, slot->kernel_unique, -EAGAIN);
}

/* Give a checked reply to the kernel. Return: false: deposed meanwhile. */
static bool deliver(struct viofs_relay *r, struct viofs_slot *slot, struct iovec *iov, int count)
{
	uint16_t index = slot->index; /* for a time when the slot's memory may be gone */
	uint64_t ticket = 0;
	int rc;

	slot->state = VIOFS_SLOT_REPLYING;
	if (slot->shape.may_block)
		ticket = viofs_lease_enter(&r->lease);
	rc = viofs_devfuse_reply(r->fuse_fd, iov, count);
	if (ticket && !viofs_lease_leave(&r->lease, ticket)) {
		viofs_lease_return_slot(&r->lease, index);
		return false;
	}
	if (rc == -EINVAL)
		viofs_fault(r, &slot->shape, "the kernel doesn't accept it");
	return true;
}

static int reply_to_kernel(struct viofs_relay *r, struct viofs_slot *slot, uint32_t used_len)
{
	struct {
		struct fuse_out_header head;
		uint8_t fixed[VIOFS_FUSE_FIXED_MAX];
	} out;
	const struct viofs_fuse_shape *shape = &slot->shape;
	const uint8_t *from = viofs_slot_reply(&r->slots, slot);
	struct viofs_fuse_reply reply;
	struct iovec iov[2];
	uint32_t fixed, data;

	memcpy(&out.head, from, sizeof(out.head));
	if (viofs_fuse_reply_check(shape, slot->device_unique, &out.head, used_len,
				   r->stats->quirks & VIOFS_QUIRK_USED_LEN_ZERO, &reply)) {
		viofs_fault(r, shape, reply.fault);
		return viofs_break(r, "%s: %s", shape->name, reply.fault);
	}
	if (reply.fault)
		viofs_fault(r, shape, reply.fault);
	out.head.error = reply.error;
	out.head.unique = slot->kernel_unique;
	fixed = VIOFS_MIN(reply.payload, shape->fixed);
	data = reply.payload - fixed;
	memcpy(out.fixed, from + sizeof(out.head), fixed);
	if (fixed && viofs_fuse_reply_strip(shape, out.fixed, fixed))
		r->stats->quirks |= VIOFS_QUIRK_OPEN_FLAGS;
	iov[0] = (struct iovec){ &out, sizeof(out.head) + fixed };
	iov[1] = (struct iovec){ viofs_slot_reply_data(&r->slots, slot), data };
	/* Counted before it is delivered: afterwards somebody else may lead. */
	r->stats->replies++;
	r->stats->errors += reply.error && !reply.fault;
	if (shape->opcode == FUSE_READ)
		r->stats->bytes_read += data;
	if (slot->entry == VIOFS_SLOT_NO_ENTRY)
		return deliver(r, slot, iov, data ? 2 : 1) ? 0 : VIOFS_DEPOSED;
	viofs_entry_reply(r, slot, reply.error, out.fixed, fixed, data);
	return 0;
}

static int complete_one(struct viofs_relay *r, uint32_t token, uint32_t used_len)
{
	struct viofs_slot *slot = &r->slots.slots[token];
	int rc = 0;

	if (slot->shape.opcode == FUSE_INTERRUPT)
		finish_interrupt(r, slot, used_len);
	else if (slot->shape.replies)
		rc = reply_to_kernel(r, slot, used_len);
	else if (slot->entry != VIOFS_SLOT_NO_ENTRY)
		viofs_entry_reply(r, slot, 0, NULL, 0, 0);
	if (!rc)
		viofs_release(r, slot);
	return rc;
}

static void collect_returned(struct viofs_relay *r)
{
	uint16_t index;

	while (viofs_lease_collect(&r->lease, &index))
		viofs_release(r, &r->slots.slots[index]);
}

int viofs_complete(struct viofs_relay *r)
{
	int done = 0, rc;

	collect_returned(r);
	for (unsigned int q = 0; q < r->fs->queue_count; q++) {
		struct viofs_ring *ring = &r->fs->queues[q].ring;
		uint32_t token, len;

		for (int i = 0; i < BATCH && viofs_ring_has_used(ring); i++) {
			rc = viofs_ring_get(ring, &token, &len);
			if (rc < 0)
				return viofs_break(r, "virtqueue %u: %s", q, ring->broken);
			if (!rc)
				break;
			done++;
			rc = complete_one(r, token, len);
			if (rc)
				return rc;
		}
	}
	return done;
}
