/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From /dev/fuse to a slot.
 *
 * A request lands where it stays: readv(2) puts header, arguments and the first 4 KiB of data into
 * the slot's request area and the rest into a buffer, which is used up only if the request is that
 * long. Where no slot or buffer is free the request lands in plain memory and is parked: reading
 * goes on, so that FORGET and INTERRUPT behind it get to the device.
 *
 * Who waits for whom. A SETLKW may wait for as long as somebody has the lock, and what ends that
 * wait is a request: an unlock, or an INTERRUPT. So locks have bounds of their own, and no lock
 * keeps another request from being read or sent. They get at most half of the slots and half of
 * each ring (lanes.c); more are parked apart, and beyond LOCKS_PARKED (layout.c) they are answered
 * with ENOLCK, as by a file server that has no room for a lock.
 *
 * All other requests are answered at some time, or timeout= ends the session. PARKED_BYTES of them
 * may be parked; then reading stops, and the kernel keeps the rest. INTERRUPT is read all the same:
 * the device may lack the means to answer anything while its threads wait for locks. The kernel
 * hands out INTERRUPTs before all else, but doesn't say whether it has one. So one look is taken in
 * PEEK_NS; it goes on for as long as it finds INTERRUPTs and FORGETs, and ends with the first other
 * request, which is parked beyond the bound. PEEK_BYTES beyond it there are no such looks.
 */
#include "relay/pump.h"
#include "base/barrier.h"
#include "base/trace.h"
#include "base/ticks.h"
#include "base/util.h"
#include "kernel/devfuse.h"
#include "relay/answer.h"
#include "relay/contents.h"
#include "relay/hiprio.h"
#include "relay/interrupt.h"
#include "relay/session.h"
#include "relay/submit.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* While as much is parked as may be, /dev/fuse is read this often all the same, to find INTERRUPTs,
 * and up to this many messages beyond the bound. */
#define PEEK_NS (1 * VIOFS_NSEC_PER_SEC)
#define PEEK_BYTES VIOFS_LAYOUT_PEEK_BYTES

/*
 * One request as it was read: the kernel's bytes in up to two pieces. A back end may write to the
 * slot's memory the moment they are there. So the header is read into private memory first: which
 * request is answered, and of which opcode, must be what the kernel sent. What the slot says of
 * arguments counts only if its opcode is still the same.
 */
struct message {
	struct fuse_in_header *head; /* in the lane's state, for a successor too */
	struct iovec iov[2];
	size_t len;
	bool in_slot; /* lies in the landing slot and the landing buffer */
	int64_t since;
	uint64_t read; /* ticks */
};

/* How many are parked has changed. */
static void count_parked(struct viofs_lane *lane)
{
	lane->stats->parked = lane->parked.count + lane->locks.count;
	lane->stats->parked_max = VIOFS_MAX(lane->stats->parked_max, lane->stats->parked);
}

static void park(struct viofs_lane *lane, struct viofs_parking *where, const struct message *m)
{
	const size_t head = sizeof(*m->head);
	const struct iovec iov[] = {
		{ m->head, head },
		{ (uint8_t *)m->iov[0].iov_base + head, m->iov[0].iov_len - head },
		m->iov[1],
	};

	if (viofs_parking_put(where, iov, m->len, m->since)) {
		viofs_answer(lane, m->head->unique, -ENOMEM);
		return;
	}
	lane->stats->parked_total++;
	count_parked(lane);
}

/* The message in one piece. */
static uint8_t *flatten(struct viofs_lane *lane, const struct message *m)
{
	if (m->len <= m->iov[0].iov_len)
		return m->iov[0].iov_base;
	/* Lies in two pieces, so plain memory is not in use: bring it together there. */
	assert(m->in_slot && m->iov[1].iov_base);
	memcpy(lane->plain, m->iov[0].iov_base, m->iov[0].iov_len);
	memcpy(lane->plain + m->iov[0].iov_len, m->iov[1].iov_base, m->len - m->iov[0].iov_len);
	return lane->plain;
}

/* Arguments that are longer than what a slot holds are brought together in the buffer. */
static bool is_gathered(const struct viofs_fuse_shape *shape, size_t len)
{
	return len > VIOFS_SLOT_SMALL &&
	       sizeof(struct fuse_in_header) + shape->args > VIOFS_SLOT_SMALL;
}

/* The buffer's data then doesn't belong to one file. */
static void gather(struct viofs_lane *lane, struct viofs_slot *slot)
{
	viofs_slot_gather(&lane->slots, slot);
	viofs_contents_note(&lane->slots, slot->buffer, NULL, slot->len);
}

/* NULL: there is none. */
static struct viofs_slot *landing_of(const struct viofs_lane *lane)
{
	uint16_t index = lane->state->landing;

	return index == VIOFS_SLOT_NONE ? NULL : &lane->slots.slots[index];
}

static bool find_landing_buffer(struct viofs_lane *lane)
{
	if (lane->state->landing_buffer == VIOFS_BUFFER_NONE)
		lane->state->landing_buffer = viofs_slots_take_buffer(&lane->slots, 0);
	return lane->state->landing_buffer != VIOFS_BUFFER_NONE;
}

/* The landing slot now holds a request of the kernel: send it. */
static void send_landed(struct viofs_lane *lane, struct viofs_slot *slot, size_t len,
			const struct viofs_fuse_shape *shape, const struct fuse_in_header *head)
{
	slot->shape = *shape;
	slot->len = (uint32_t)len;
	slot->kernel_unique = head->unique;
	slot->nodeid = head->nodeid;
	if (is_gathered(shape, len))
		gather(lane, slot);
	if (shape->may_wait)
		lane->lockers++;
	if (shape->opcode == FUSE_WRITE)
		lane->stats->bytes_written += shape->data;
	viofs_submit(lane, slot);
}

/* Could any slot carry this? The kernel never asks for more than INIT agreed. */
static bool fits(const struct viofs_lane *lane, const struct viofs_fuse_shape *shape, size_t len)
{
	bool both = len > VIOFS_SLOT_SMALL && shape->reply_data > VIOFS_SLOT_DATA;
	size_t room = both ? lane->slots.buffer_size / 2 : lane->slots.buffer_size;
	size_t spill = len > VIOFS_SLOT_SMALL ? len : 0;

	/* WRITE's first 4 KiB lie in the slot, so only gathered messages need room for all of it.
	 */
	if (spill && sizeof(struct fuse_in_header) + shape->args <= VIOFS_SLOT_SMALL)
		spill = len - VIOFS_SLOT_SMALL;
	return spill <= room && shape->reply_data <= room;
}

static bool too_many_lockers(const struct viofs_lane *lane)
{
	return lane->lockers >= lane->lockers_max;
}

/* A lock that can't be sent now. */
static void park_lock(struct viofs_lane *lane, const struct message *m, uint64_t unique)
{
	if (!viofs_parking_is_full(&lane->locks)) {
		park(lane, &lane->locks, m);
		return;
	}
	lane->stats->refused++;
	viofs_answer(lane, unique, -ENOLCK);
}

static int classify(const struct viofs_lane *lane, const struct message *m,
		    struct viofs_fuse_shape *shape)
{
	int rc;

	if (m->len < sizeof(*m->head) || m->head->len != m->len)
		return -EPROTO;
	rc = viofs_fuse_classify(&lane->relay->conn, m->iov[0].iov_base, m->len, shape);
	return !rc && shape->opcode != m->head->opcode ? -EPROTO : rc;
}

static void pass_to_hiprio(struct viofs_lane *lane, const struct message *m, uint32_t opcode)
{
	if (opcode == FUSE_INTERRUPT)
		viofs_interrupt_handle(lane, flatten(lane, m), m->len);
	else
		viofs_hiprio_forget(lane, flatten(lane, m), m->len);
}

static void handle_message(struct viofs_lane *lane, const struct message *m)
{
	uint64_t unique = m->head->unique;
	struct viofs_fuse_shape shape;
	struct viofs_slot *slot;
	int rc;

	rc = classify(lane, m, &shape);
	/* Forgets are copied in pieces: a batch may be longer than what a slot carries. */
	if (!rc && !shape.hiprio && !fits(lane, &shape, m->len))
		rc = -EPROTO;
	if (rc) {
		lane->stats->refused++;
		viofs_answer(lane, unique, rc == -ENOSYS ? rc : -EIO);
		return;
	}
	if (shape.hiprio) {
		pass_to_hiprio(lane, m, shape.opcode);
		return;
	}
	if (shape.may_wait && (!m->in_slot || lane->locks.count || too_many_lockers(lane))) {
		park_lock(lane, m, unique);
		return;
	}
	if (!m->in_slot) {
		park(lane, &lane->parked, m);
		return;
	}
	if (is_gathered(&shape, m->len)) {
		/* From here on a process that goes on finds the message in the parking, for the
		 * slot is used again soon. */
		flatten(lane, m);
		viofs_order();
		lane->state->in_slot = false;
		viofs_order();
	}
	slot = landing_of(lane);
	if (m->len > VIOFS_SLOT_SMALL)
		slot->buffer = lane->state->landing_buffer;
	slot->since = m->since;
	slot->read = slot->sent = m->read;
	send_landed(lane, slot, m->len, &shape, m->head);
	/* The slot holds the request now, and is no longer where the next one lands. */
	viofs_order();
	lane->state->landing = VIOFS_SLOT_NONE;
	if (m->len > VIOFS_SLOT_SMALL)
		lane->state->landing_buffer = VIOFS_BUFFER_NONE;
}

/* Where a message is. */
static void point_to(struct viofs_lane *lane, struct message *m)
{
	struct viofs_slot *slot = landing_of(lane);

	if (m->in_slot) {
		m->iov[0].iov_base = viofs_slot_message(&lane->slots, slot);
		m->iov[0].iov_len = VIOFS_SLOT_SMALL;
		m->iov[1].iov_base = viofs_slots_buffer(&lane->slots, lane->state->landing_buffer);
		m->iov[1].iov_len = lane->slots.buffer_size;
	} else {
		m->iov[0].iov_base = lane->plain;
		m->iov[0].iov_len = lane->plain_size;
		m->iov[1] = (struct iovec){ NULL, 0 };
	}
}

/* Choose where the next request lands: in a slot, or in plain memory while parked requests have to
 * go first. */
static void prepare_landing(struct viofs_lane *lane, struct message *m)
{
	struct viofs_slot *slot = landing_of(lane);
	bool park_it = lane->parked.count;

	if (!slot && !park_it) {
		slot = viofs_slots_take(&lane->slots);
		lane->state->landing = slot ? slot->index : VIOFS_SLOT_NONE;
	}
	m->head = &lane->state->head;
	m->in_slot = find_landing_buffer(lane) && slot && !park_it;
	lane->state->in_slot = m->in_slot;
	point_to(lane, m);
}

/* What a message has beyond the slot is in the buffer. */
static void note_spill(struct viofs_lane *lane, uint16_t buffer, const struct fuse_in_header *head,
		       size_t len)
{
	if (len > VIOFS_SLOT_SMALL)
		viofs_contents_note(&lane->slots, buffer, head, len - VIOFS_SLOT_SMALL);
}

/* Return: bytes, or -errno. */
static ssize_t read_message(struct viofs_lane *lane, struct message *m)
{
	const struct iovec first = m->iov[0];
	const struct iovec iov[] = {
		{ m->head, sizeof(*m->head) },
		{ (uint8_t *)first.iov_base + sizeof(*m->head), first.iov_len - sizeof(*m->head) },
		m->iov[1],
	};
	ssize_t n;

	lane->state->forgets.done = 0;
	n = viofs_devfuse_read(lane->fuse_fd, iov, m->in_slot ? 3 : 2);
	if (n > 0)
		memcpy(first.iov_base, m->head, sizeof(*m->head));
	return n;
}

/* Return: 1; 0: there is none; -errno, as viofs_pump_requests(). */
static int read_one(struct viofs_lane *lane)
{
	struct message m = { .len = 0 };
	ssize_t n;

	prepare_landing(lane, &m);
	n = read_message(lane, &m);
	if (n < 0)
		return n == -EAGAIN ? 0 : (int)n;
	m.len = (size_t)n;
	if (m.in_slot)
		note_spill(lane, lane->state->landing_buffer, m.head, m.len);
	m.since = lane->now;
	m.read = viofs_ticks();
	VIOFS_PROBE4(request_read, lane->index, m.head->opcode, m.head->unique, m.len);
	handle_message(lane, &m);
	/* It is somewhere else now, or answered. */
	viofs_order();
	m.head->len = 0;
	viofs_order();
	return 1;
}

void viofs_pump_landed(struct viofs_lane *lane)
{
	struct viofs_slot *slot = landing_of(lane);
	struct message m = {
		.head = &lane->state->head,
		.len = lane->state->head.len,
		.since = viofs_now_ns(),
		.read = viofs_ticks(),
		.in_slot = lane->state->in_slot == 1,
	};

	if (m.in_slot && (!slot || lane->state->landing_buffer == VIOFS_BUFFER_NONE))
		return;
	if (m.len > (m.in_slot ? VIOFS_SLOT_SMALL + lane->slots.buffer_size : lane->plain_size))
		return;
	point_to(lane, &m);
	memcpy(m.iov[0].iov_base, m.head, VIOFS_MIN(m.len, sizeof(*m.head)));
	if (m.in_slot)
		note_spill(lane, lane->state->landing_buffer, m.head, m.len);
	handle_message(lane, &m);
}

/* With as much parked as may be: is there room for a look? Return: 1; 0; -ENODEV: there is no
 * kernel to read from. */
static int may_peek(const struct viofs_lane *lane)
{
	if (lane->parked.bytes < lane->parked.max.bytes + PEEK_BYTES &&
	    viofs_parking_has_room(&lane->parked))
		return 1;
	return viofs_devfuse_is_over(lane->fuse_fd) ? -ENODEV : 0;
}

int viofs_pump_requests(struct viofs_lane *lane, int most)
{
	const uint32_t parked = lane->parked.count;
	int taken = 0, rc = 1;

	if (viofs_pump_is_full(lane)) {
		/* This doesn't count as a look, and doesn't delay the next one. */
		if (viofs_now_ns() - lane->next_peek < 0)
			return 0;
		rc = may_peek(lane);
	}
	while (rc > 0 && taken < most &&
	       !(lane->parked.count > parked && viofs_pump_is_full(lane))) {
		rc = read_one(lane);
		taken += rc > 0;
	}
	if (viofs_pump_is_full(lane) && taken < most)
		lane->next_peek = viofs_now_ns() + PEEK_NS;
	return rc < 0 ? rc : taken;
}

bool viofs_pump_can_unpark(const struct viofs_lane *lane, const struct viofs_parking *from,
			   const struct viofs_parked *parked)
{
	const struct fuse_in_header *head = viofs_parking_message(from, parked);
	struct viofs_fuse_shape shape;
	bool is_lock = from == &lane->locks;

	return parked->len >= sizeof(*head) && head->len == parked->len &&
	       !viofs_fuse_classify(&lane->relay->conn, head, parked->len, &shape) &&
	       !shape.hiprio && shape.may_wait == is_lock && fits(lane, &shape, parked->len);
}

bool viofs_pump_is_full(const struct viofs_lane *lane)
{
	return lane->parked.count && viofs_parking_is_full(&lane->parked);
}

/* The kind of parked request whose turn is next; NULL: there is none. Locks go in the order in
 * which they came, between the others. */
static struct viofs_parking *next_parked(struct viofs_lane *lane)
{
	const struct viofs_parked *lock =
		too_many_lockers(lane) ? NULL : viofs_parking_first(&lane->locks);
	const struct viofs_parked *other = viofs_parking_first(&lane->parked);

	if (!lock)
		return other ? &lane->parked : NULL;
	return other && (int64_t)(other->read - lock->read) <= 0 ? &lane->parked : &lane->locks;
}

/* A parked request into a slot. The slot is there; its buffer may not be. */
static bool unpark(struct viofs_lane *lane)
{
	struct viofs_parking *from = next_parked(lane);
	const struct viofs_parked *parked;
	struct viofs_fuse_shape shape;
	struct fuse_in_header head;
	struct viofs_slot *slot = landing_of(lane);

	if (!from)
		return false;
	if (!slot)
		slot = viofs_slots_take(&lane->slots);
	if (!slot)
		return false;
	if (!find_landing_buffer(lane)) {
		lane->state->landing = slot->index;
		return false;
	}
	lane->state->landing = VIOFS_SLOT_NONE;
	parked = viofs_parking_first(from);
	memcpy(&head, viofs_parking_message(from, parked), sizeof(head));
	viofs_parking_copy(from, parked, 0, viofs_slot_message(&lane->slots, slot),
			   VIOFS_MIN(parked->len, VIOFS_SLOT_SMALL));
	if (parked->len > VIOFS_SLOT_SMALL) {
		slot->buffer = lane->state->landing_buffer;
		lane->state->landing_buffer = VIOFS_BUFFER_NONE;
		viofs_parking_copy(from, parked, VIOFS_SLOT_SMALL,
				   viofs_slots_buffer(&lane->slots, slot->buffer),
				   parked->len - VIOFS_SLOT_SMALL);
		note_spill(lane, slot->buffer, &head, parked->len);
	}
	/* It was classified when it was parked: this can't fail. */
	viofs_fuse_classify(&lane->relay->conn, viofs_parking_message(from, parked), parked->len,
			    &shape);
	slot->since = parked->since;
	slot->read = parked->read;
	slot->sent = viofs_ticks();
	send_landed(lane, slot, parked->len, &shape, &head);
	viofs_parking_drop(from, parked);
	return true;
}

void viofs_pump_kept(struct viofs_lane *lane)
{
	if (lane->hiprio && viofs_hiprio_has_kept(lane->hiprio))
		viofs_hiprio_send_kept(lane);
	if (!lane->freed)
		return;
	lane->freed = false;
	if (lane->waiting.count)
		viofs_submit_waiting(lane);
	if (!lane->parked.count && !lane->locks.count && !lane->stats->parked)
		return;
	while (unpark(lane))
		;
	count_parked(lane);
}
