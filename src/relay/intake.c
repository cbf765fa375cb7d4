/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From an entry of the io_uring channel to a slot.
 *
 * Header and first argument are copied to the slot's request area, where a device reads them in one
 * piece. WRITE data stays in the buffer. Anything else that follows, names above all, is copied
 * too, since the device may write the buffer: to the request area, or, where that is too small, to
 * the beginning of the buffer itself, in one piece with the rest.
 */
#include "relay/intake.h"
#include "base/trace.h"
#include "base/ticks.h"
#include "base/util.h"
#include "relay/answer.h"
#include "relay/contents.h"
#include "relay/entry.h"
#include "relay/hiprio.h"
#include "relay/interrupt.h"
#include "relay/session.h"
#include "relay/submit.h"

#include <errno.h>
#include <string.h>

/* Data that the device reads where the kernel has put it: WRITE's. An IOCTL's output comes there,
 * so its input is gathered. */
static bool stays_in_buffer(const struct viofs_fuse_shape *shape)
{
	return shape->data && !shape->reply_data;
}

/* Does this fit into a slot, with its reply? The kernel never asks for more than INIT agreed. */
static bool fits(const struct viofs_lane *lane, const struct viofs_fuse_shape *shape, size_t len)
{
	size_t room = lane->slots.buffer_size;

	if (len > VIOFS_SLOT_SMALL && shape->reply_data > VIOFS_SLOT_DATA)
		room /= 2;
	return (stays_in_buffer(shape) || len <= room) &&
	       shape->fixed + (size_t)shape->reply_data <= room;
}

/* Bring what follows the first argument into one piece with it; WRITE data stays where it is. @at:
 * bytes of header and first argument. */
static void gather(struct viofs_lane *lane, struct viofs_slot *slot, size_t at, size_t len)
{
	uint8_t *message = viofs_slot_message(&lane->slots, slot);
	uint8_t *buffer = viofs_slots_buffer(&lane->slots, slot->buffer);

	slot->apart = stays_in_buffer(&slot->shape);
	if (slot->apart)
		return;
	if (at + len <= VIOFS_SLOT_SMALL) {
		memcpy(message + at, buffer, len);
		return;
	}
	memmove(buffer + at, buffer, len);
	memcpy(buffer, message, at);
	viofs_contents_note(&lane->slots, slot->buffer, viofs_slot_header(&lane->slots, slot),
			    at + len);
	slot->spilled = true;
}

/* Return: 0 and the slot's shape; -ENOSYS, -EPROTO: not to be forwarded. */
static int fill(struct viofs_lane *lane, struct viofs_slot *slot, const struct viofs_entry *entry)
{
	uint8_t *message = viofs_slot_message(&lane->slots, slot);
	struct viofs_fuse_uring_request in;
	size_t at;
	int rc;

	rc = viofs_fuse_uring_parse(&entry->header, lane->slots.buffer_size, &in);
	if (rc)
		return rc;
	at = sizeof(entry->header.in) + in.op_size;
	memcpy(message, &entry->header.in, sizeof(entry->header.in));
	memcpy(message + sizeof(entry->header.in), entry->header.op_in, in.op_size);
	rc = viofs_fuse_classify(&lane->relay->conn, (const void *)message, at + in.payload_size,
				 &slot->shape);
	/* A back end may write to the slot by now, so the opcode is taken from the kernel's copy.
	 */
	if (!rc && slot->shape.opcode != entry->header.in.opcode)
		rc = -EPROTO;
	if (rc)
		return rc;
	slot->len = (uint32_t)(at + in.payload_size);
	/* Data begins where the payload does. */
	if (!fits(lane, &slot->shape, slot->len) ||
	    (slot->shape.data && slot->shape.data != in.payload_size))
		return -EPROTO;
	gather(lane, slot, at, in.payload_size);
	return 0;
}

static void pass_to_hiprio(struct viofs_lane *lane, const struct viofs_slot *slot)
{
	const uint8_t *message = viofs_slot_message(&lane->slots, slot);

	lane->state->forgets.done = 0;
	if (slot->shape.opcode == FUSE_INTERRUPT)
		viofs_interrupt_handle(lane, message, slot->len);
	else
		viofs_hiprio_forget(lane, message, slot->len);
}

static void submit_entry(struct viofs_lane *lane, struct viofs_entry *entry)
{
	struct viofs_slot *slot = &lane->slots.slots[entry->slot];
	int rc;

	entry->state = VIOFS_ENTRY_RELAY;
	viofs_slot_renew(slot);
	slot->since = lane->now;
	slot->read = slot->sent = viofs_ticks();
	slot->kernel_unique = entry->header.in.unique;
	VIOFS_PROBE4(request_read, lane->index, entry->header.in.opcode, slot->kernel_unique,
		     entry->header.in.len);
	slot->nodeid = entry->header.in.nodeid;
	viofs_contents_note(&lane->slots, slot->buffer, &entry->header.in,
			    VIOFS_MIN(entry->header.payload_size, lane->slots.buffer_size));
	slot->shape = (struct viofs_fuse_shape){ .opcode = 0 };
	rc = fill(lane, slot, entry);
	if (rc) {
		lane->stats->refused++;
		viofs_answer_slot(lane, slot, rc == -ENOSYS ? rc : -EIO);
		return;
	}
	/* The kernel sends a FORGET of its own in an entry, too: nobody waits for it, and it goes
	 * to hiprio. */
	if (slot->shape.hiprio) {
		pass_to_hiprio(lane, slot);
		viofs_entry_reply(lane, slot, 0, NULL, 0, 0);
		return;
	}
	if (slot->shape.may_wait)
		lane->lockers++;
	if (slot->shape.opcode == FUSE_WRITE)
		lane->stats->bytes_written += slot->shape.data;
	viofs_submit(lane, slot);
}

int viofs_intake(struct viofs_lane *lane)
{
	struct viofs_entries *e = &lane->entries;
	int taken = e->arrived_count;

	if (!taken)
		return 0;
	if (taken > 1)
		viofs_submit_kick_later(lane);
	for (int i = 0; i < taken; i++)
		submit_entry(lane, &e->entry[e->arrived[i]]);
	viofs_submit_kick_now(lane);
	e->arrived_count = 0;
	return taken;
}
