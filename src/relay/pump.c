/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From /dev/fuse to a slot.
 *
 * A request lands where it stays: readv(2) puts header, arguments and the first 4 KiB of data into the
 * slot's request area and the rest into a buffer, which is used up only if the request is that long.
 * Where no slot or buffer is free the request lands in plain memory and is parked: reading goes on, so
 * that FORGET and INTERRUPT behind it get to the device.
 */
#include "relay/session.h"
#include "base/log.h"
#include "base/util.h"
#include "fuse/forget.h"
#include "kernel/devfuse.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One request as it was read: the kernel's bytes in up to two pieces. */
struct message {
	struct iovec iov[2];
	size_t len;
	bool in_slot; /* lies in r->landing and r->landing_buffer */
	int64_t since;
};

static void park(struct viofs_relay *r, struct viofs_parking *p, const struct message *m,
		 bool may_wait)
{
	struct fuse_in_header head;

	if (viofs_parking_put(p, m->iov, m->len, may_wait, m->since)) {
		memcpy(&head, m->iov[0].iov_base, sizeof(head));
		viofs_answer(r, head.unique, -ENOMEM);
		return;
	}
	r->stats->parked_total++;
	r->stats->parked = r->parked.count + r->parked_hiprio.count;
	r->stats->parked_max = VIOFS_MAX(r->stats->parked_max, r->stats->parked);
}

/* Send the pieces of a BATCH_FORGET; what doesn't fit is parked in the same pieces. */
static void send_forgets(struct viofs_relay *r, const struct message *m,
			 const struct viofs_fuse_shape *shape)
{
	union {
		struct fuse_in_header head;
		uint8_t bytes[VIOFS_FUSE_FORGET_BYTES];
	} piece;
	struct viofs_fuse_forgets walk;
	struct viofs_fuse_shape piece_shape = *shape;
	uint8_t *all = m->iov[0].iov_base;
	size_t n;

	if (m->len > m->iov[0].iov_len) {
		/* Lies in two pieces, so plain memory is not in use: bring it together there. */
		assert(m->in_slot && m->iov[1].iov_base);
		memcpy(r->plain, m->iov[0].iov_base, m->iov[0].iov_len);
		memcpy(r->plain + m->iov[0].iov_len, m->iov[1].iov_base, m->len - m->iov[0].iov_len);
		all = r->plain;
	}
	if (viofs_fuse_forgets_start(&walk, all, m->len))
		return;
	while ((n = viofs_fuse_forgets_next(&walk, &piece))) {
		piece_shape.args = (uint32_t)(n - sizeof(piece.head));
		r->stats->forgets++;
		if (r->parked_hiprio.count ||
		    viofs_submit_hiprio(r, &piece, n, &piece_shape, 0, 0)) {
			struct message rest = { { { &piece, n }, { NULL, 0 } }, n, false, m->since };

			park(r, &r->parked_hiprio, &rest, false);
		}
	}
}

static struct viofs_slot *find_queued(struct viofs_relay *r, uint64_t kernel_unique)
{
	for (unsigned int i = 0; i < r->slots.count; i++) {
		struct viofs_slot *slot = &r->slots.slots[i];

		if (slot->state == VIOFS_SLOT_QUEUED && slot->kernel_unique == kernel_unique)
			return slot;
	}
	return NULL;
}

/*
 * INTERRUPT names the request by the kernel's unique; the device knows it by ours. A request that has
 * ended needs none (no reply is legal, Documentation/filesystems/fuse: "Interrupting filesystem
 * operations"). A lock that was never sent is simply given up.
 */
static int send_interrupt(struct viofs_relay *r, const void *bytes, size_t len,
			  const struct viofs_fuse_shape *shape)
{
	struct {
		struct fuse_in_header head;
		struct fuse_interrupt_in in;
	} message;
	struct viofs_parked *parked;
	struct viofs_slot *slot;
	uint64_t unique;
	int rc;

	memcpy(&message, bytes, VIOFS_MIN(len, sizeof(message)));
	unique = message.head.unique;
	if (!r->conn.remote_locks) {
		viofs_answer(r, unique, -ENOSYS);
		return 0;
	}
	slot = find_queued(r, message.in.unique);
	if (!slot) {
		if (viofs_submit_cancel(r, message.in.unique)) {
			viofs_answer(r, message.in.unique, -EINTR);
			return 0;
		}
		parked = viofs_parking_take_unique(&r->parked, message.in.unique);
		if (parked && parked->may_wait)
			viofs_answer(r, message.in.unique, -EINTR);
		else if (parked)
			viofs_parking_put(&r->parked, &(struct iovec){ parked->message, parked->len },
					  parked->len, false, parked->since);
		free(parked);
		return 0;
	}
	message.in.unique = slot->device_unique;
	rc = viofs_submit_hiprio(r, &message, sizeof(message), shape, unique, slot->device_unique | 1);
	if (!rc)
		r->stats->interrupted++;
	return rc;
}

static void take_hiprio(struct viofs_relay *r, const struct message *m,
			const struct viofs_fuse_shape *shape)
{
	if (shape->opcode == FUSE_BATCH_FORGET) {
		send_forgets(r, m, shape);
		return;
	}
	if (shape->opcode == FUSE_INTERRUPT) {
		if (send_interrupt(r, m->iov[0].iov_base, m->len, shape))
			park(r, &r->parked_hiprio, m, false);
		return;
	}
	r->stats->forgets++;
	if (r->parked_hiprio.count ||
	    viofs_submit_hiprio(r, m->iov[0].iov_base, m->len, shape, 0, 0))
		park(r, &r->parked_hiprio, m, false);
}

void viofs_pump_hiprio(struct viofs_relay *r, uint8_t *message, size_t len,
		       const struct viofs_fuse_shape *shape)
{
	const struct message m = { { { message, len }, { NULL, 0 } }, len, false, viofs_now_ns() };

	take_hiprio(r, &m, shape);
}

/* The landing slot now holds a request of the kernel: send it. */
static void take_slot(struct viofs_relay *r, struct viofs_slot *slot, size_t len, int64_t since,
		      const struct viofs_fuse_shape *shape, uint64_t unique)
{
	slot->shape = *shape;
	slot->len = (uint32_t)len;
	slot->since = since;
	slot->kernel_unique = unique;
	slot->nodeid = viofs_slot_header(&r->slots, slot)->nodeid;
	if (len > VIOFS_SLOT_SMALL && sizeof(struct fuse_in_header) + shape->args > VIOFS_SLOT_SMALL)
		viofs_slot_gather(&r->slots, slot);
	if (shape->may_wait)
		r->lockers++;
	if (shape->opcode == FUSE_WRITE)
		r->stats->bytes_written += shape->data;
	viofs_submit(r, slot);
}

/* Could any slot carry this? The kernel never asks for more than INIT agreed. */
static bool fits(const struct viofs_relay *r, const struct viofs_fuse_shape *shape, size_t len)
{
	bool both = len > VIOFS_SLOT_SMALL && shape->reply_data > VIOFS_SLOT_DATA;
	size_t room = both ? r->slots.buffer_size / 2 : r->slots.buffer_size;
	size_t spill = len > VIOFS_SLOT_SMALL ? len : 0;

	/* WRITE's first 4 KiB lie in the slot, so only gathered messages need room for all of it. */
	if (spill && sizeof(struct fuse_in_header) + shape->args <= VIOFS_SLOT_SMALL)
		spill = len - VIOFS_SLOT_SMALL;
	return spill <= room && shape->reply_data <= room;
}

static bool too_many_lockers(const struct viofs_relay *r)
{
	return r->lockers >= r->slots.count / 2U;
}

/* Parked ones go first; but locks that may not go yet hold up nobody. */
static bool must_park(const struct viofs_relay *r)
{
	return r->parked.count > (too_many_lockers(r) ? r->parked.waiters : 0);
}

static void take_message(struct viofs_relay *r, const struct message *m)
{
	const struct fuse_in_header *head = m->iov[0].iov_base;
	uint64_t unique = head->unique;
	struct viofs_fuse_shape shape;
	struct viofs_slot *slot;
	int rc;

	rc = m->len < sizeof(*head) ? -EPROTO : viofs_fuse_classify(&r->conn, head, m->len, &shape);
	/* Forgets are copied in pieces: a batch may be longer than what a slot carries. */
	if (!rc && !shape.hiprio && !fits(r, &shape, m->len))
		rc = -EPROTO;
	if (rc) {
		r->stats->refused++;
		viofs_answer(r, unique, rc == -ENOSYS ? rc : -EIO);
		return;
	}
	if (shape.hiprio) {
		take_hiprio(r, m, &shape);
		return;
	}
	if (!m->in_slot || (shape.may_wait && too_many_lockers(r))) {
		park(r, &r->parked, m, shape.may_wait);
		return;
	}
	slot = r->landing;
	r->landing = NULL;
	if (m->len > VIOFS_SLOT_SMALL) {
		slot->buffer = r->landing_buffer;
		r->landing_buffer = VIOFS_BUFFER_NONE;
	}
	take_slot(r, slot, m->len, m->since, &shape, unique);
}

/* Where the next request may land: in plain memory where parked ones go first. */
static void prepare_landing(struct viofs_relay *r, struct message *m)
{
	bool park_it = must_park(r);

	if (!r->landing && !park_it)
		r->landing = viofs_slots_take(&r->slots, false);
	if (r->landing_buffer == VIOFS_BUFFER_NONE)
		r->landing_buffer = viofs_slots_take_buffer(&r->slots, 0);
	m->in_slot = r->landing && r->landing_buffer != VIOFS_BUFFER_NONE && !park_it;
	if (m->in_slot) {
		m->iov[0].iov_base = viofs_slot_message(&r->slots, r->landing);
		m->iov[0].iov_len = VIOFS_SLOT_SMALL;
		m->iov[1].iov_base = viofs_slots_buffer(&r->slots, r->landing_buffer);
		m->iov[1].iov_len = r->slots.buffer_size;
	} else {
		m->iov[0].iov_base = r->plain;
		m->iov[0].iov_len = r->plain_size;
		m->iov[1] = (struct iovec){ NULL, 0 };
	}
}

/* What a message has beyond the slot is in the buffer. */
static void note_spill(struct viofs_relay *r, uint16_t buffer, const struct fuse_in_header *head, size_t len)
{
	if (len > VIOFS_SLOT_SMALL)
		viofs_slots_note(&r->slots, buffer, head, len - VIOFS_SLOT_SMALL);
}

int viofs_pump_requests(struct viofs_relay *r, int most)
{
	int taken = 0;

	while (taken < most) {
		struct message m;
		ssize_t n;

		if (viofs_parking_is_full(&r->parked) || viofs_parking_is_full(&r->parked_hiprio))
			break;
		prepare_landing(r, &m);
		n = viofs_devfuse_read(r->fuse_fd, m.iov, m.in_slot ? 2 : 1);
		if (n == -EAGAIN)
			break;
		if (n < 0)
			return (int)n;
		m.len = (size_t)n;
		if (m.in_slot)
			note_spill(r, r->landing_buffer, m.iov[0].iov_base, m.len);
		m.since = viofs_now_ns();
		take_message(r, &m);
		taken++;
	}
	return taken;
}

/* A parked request into a slot. The slot is there; its buffer may not be. */
static bool unpark(struct viofs_relay *r)
{
	struct viofs_parked *parked;
	struct viofs_fuse_shape shape;
	struct fuse_in_header head;
	struct viofs_slot *slot = r->landing;

	if (!slot)
		slot = viofs_slots_take(&r->slots, false);
	r->landing = NULL;
	if (!slot)
		return false;
	if (r->landing_buffer == VIOFS_BUFFER_NONE)
		r->landing_buffer = viofs_slots_take_buffer(&r->slots, 0);
	parked = r->landing_buffer == VIOFS_BUFFER_NONE ? NULL :
		 viofs_parking_take(&r->parked, !too_many_lockers(r));
	if (!parked) {
		r->landing = slot;
		return false;
	}
	memcpy(&head, parked->message, sizeof(head));
	memcpy(viofs_slot_message(&r->slots, slot), parked->message,
	       VIOFS_MIN(parked->len, VIOFS_SLOT_SMALL));
	if (parked->len > VIOFS_SLOT_SMALL) {
		slot->buffer = r->landing_buffer;
		r->landing_buffer = VIOFS_BUFFER_NONE;
		memcpy(viofs_slots_buffer(&r->slots, slot->buffer), parked->message + VIOFS_SLOT_SMALL,
		       parked->len - VIOFS_SLOT_SMALL);
		note_spill(r, slot->buffer, &head, parked->len);
	}
	/* It was classified when it was parked: this can't fail. */
	viofs_fuse_classify(&r->conn, (const void *)parked->message, parked->len, &shape);
	take_slot(r, slot, parked->len, parked->since, &shape, head.unique);
	free(parked);
	return true;
}

/* Return: false when it has to stay. */
static bool unpark_hiprio(struct viofs_relay *r)
{
	struct viofs_parked *parked = r->parked_hiprio.first;
	struct viofs_fuse_shape shape;

	if (!parked || !r->slots.free_hiprio_count)
		return false;
	viofs_fuse_classify(&r->conn, (const void *)parked->message, parked->len, &shape);
	if (shape.opcode == FUSE_INTERRUPT) {
		if (send_interrupt(r, parked->message, parked->len, &shape))
			return false;
	} else if (viofs_submit_hiprio(r, parked->message, parked->len, &shape, 0, 0)) {
		return false;
	}
	free(viofs_parking_take(&r->parked_hiprio, true));
	return true;
}

void viofs_pump_kept(struct viofs_relay *r)
{
	if (!r->freed)
		return;
	r->freed = false;
	while (r->parked_hiprio.count && unpark_hiprio(r))
		;
	if (r->waiting.count)
		viofs_submit_waiting(r);
	while (r->parked.count && unpark(r))
		;
	r->stats->parked = r->parked.count + r->parked_hiprio.count;
}
