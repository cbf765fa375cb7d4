/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one place that looks at requests on their way.
 *
 * Two times of each request are counted, by opcode: in the device, from when the request was put on
 * the ring until its answer was seen there; and in all, from when it was read from the kernel until
 * the kernel had the reply. What was sent at once counts as put on the ring when it was read: the
 * way between the two is too short for another look at the clock.
 *
 * All of it costs 2 % of a request that does nothing, at most. So times are ticks of the CPU's
 * clock, and what they are in seconds is for whoever reads them (daemon/latency.c). Each lane
 * counts in memory of its own, which is part of the session's state (state.h).
 */
#include "relay/tap.h"
#include "base/ticks.h"
#include "relay/session.h"

#include <string.h>

static void count(struct viofs_times *t, uint64_t ticks)
{
	t->steps.counts[viofs_histogram_step(ticks)]++;
	t->sum += ticks;
}

uint64_t viofs_tap_replied(struct viofs_lane *lane, const struct viofs_slot *slot)
{
	/* Those of the table in fuse/opcodes.c are all less. */
	struct viofs_latency *l = &lane->latency->op[slot->shape.opcode % VIOFS_LATENCY_OPS];
	uint64_t now = viofs_ticks();

	count(&l->device, slot->used - slot->sent);
	count(&l->total, now - slot->read);
	if (viofs_capture_is_on(lane->capture))
		viofs_tap_write_reply(lane->capture, lane->relay, slot, slot->used_len,
				      slot->used - slot->sent, now - slot->read);
	return now;
}

static void add(struct viofs_times *to, const struct viofs_times *from)
{
	viofs_histogram_merge(&to->steps, &from->steps);
	to->sum += from->sum;
}

void viofs_tap_latency(const struct viofs_relay *r, uint32_t opcode, struct viofs_latency *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned int i = 0; i < r->lane_count; i++) {
		const struct viofs_latency *l = &r->layout.latency[i].op[opcode];

		add(&out->device, &l->device);
		add(&out->total, &l->total);
	}
}

/*
 * Records (capture.h). A request is recorded when it is on its virtqueue, as the device has it; a
 * reply when the kernel has it, as the device gave it, which may have been refused. What is
 * contents of files is left out unless it was asked for: data of READ, WRITE and IOCTL, and values
 * of extended attributes.
 */

void viofs_tap_attach(struct viofs_relay *r, const struct viofs_capture *c)
{
	bool fits = c && c->count == r->lane_count + 2;

	for (unsigned int i = 0; i < r->lane_count; i++)
		r->lanes[i].capture = fits ? viofs_capture_at(c->base, i) : &viofs_capture_off;
	r->hiprio.capture = fits ? viofs_capture_at(c->base, r->lane_count) : &viofs_capture_off;
	r->notify_capture =
		fits ? viofs_capture_at(c->base, r->lane_count + 1) : &viofs_capture_off;
}

/* What replies with data have that is no contents: names. */
static bool is_names(uint32_t opcode)
{
	return opcode == FUSE_READLINK || opcode == FUSE_READDIR || opcode == FUSE_READDIRPLUS ||
	       opcode == FUSE_LISTXATTR;
}

static void fill(struct viofs_capture_record *record, enum viofs_capture_kind kind,
		 const struct viofs_relay *r, const struct viofs_slot *slot)
{
	struct fuse_in_header head;

	memcpy(&head, viofs_slot_header(&r->slots, slot), sizeof(head));
	*record = (struct viofs_capture_record){
		.kind = (uint16_t)kind,
		.queue = slot->queue,
		.kernel_unique = slot->kernel_unique,
		.device_unique = slot->device_unique,
		.nodeid = head.nodeid,
		.opcode = slot->shape.opcode,
		.uid = head.uid,
		.gid = head.gid,
		.pid = head.pid,
		.slot = slot->index,
		.flags = r->conn.setxattr_ext ? VIOFS_CAPTURE_LONG_SETXATTR : 0,
	};
}

/* Bytes of a message of SETXATTR before the value: @len or fewer. */
static size_t before_value(const struct viofs_relay *r, const uint8_t *message, size_t len)
{
	size_t at = sizeof(struct fuse_in_header) + (r->conn.setxattr_ext
							     ? sizeof(struct fuse_setxattr_in)
							     : FUSE_COMPAT_SETXATTR_IN_SIZE);
	const uint8_t *end = at < len ? memchr(message + at, 0, len - at) : NULL;

	return end ? (size_t)(end - message) + 1 : VIOFS_MIN(at, len);
}

void viofs_tap_write_request(struct viofs_capture_ring *ring, const struct viofs_relay *r,
			     const struct viofs_slot *slot)
{
	uint8_t *message = (void *)viofs_slot_header(&r->slots, slot);
	size_t args = slot->len - slot->shape.data, first, most = SIZE_MAX;
	struct iovec parts[2] = { { message, slot->len }, { NULL, 0 } };
	struct viofs_capture_record record;

	if (!slot->spilled) {
		first = slot->apart ? args : VIOFS_MIN(slot->len, VIOFS_SLOT_SMALL);
		parts[0].iov_len = first;
		if (first < slot->len)
			parts[1] = (struct iovec){ viofs_slots_buffer(&r->slots, slot->buffer),
						   slot->len - first };
	}
	if (!VIOFS_READ_ONCE(ring->contents))
		most = slot->shape.opcode == FUSE_SETXATTR
			       ? before_value(r, message, parts[0].iov_len)
			       : args;
	fill(&record, VIOFS_CAPTURE_REQUEST, r, slot);
	record.len = slot->len;
	record.waited = slot->sent - slot->read;
	viofs_capture_put(ring, &record, parts, 2, most);
}

/* The reply's length, as the device says it; no more than there is room for. */
static uint32_t reply_len(const struct viofs_slot *slot, const struct fuse_out_header *head)
{
	uint32_t room = (uint32_t)sizeof(*head) + slot->shape.fixed + slot->shape.reply_data;

	return head->error ? (uint32_t)sizeof(*head) : VIOFS_MIN(head->len, room);
}

void viofs_tap_write_reply(struct viofs_capture_ring *ring, const struct viofs_relay *r,
			   const struct viofs_slot *slot, uint32_t used_len, uint64_t device,
			   uint64_t total)
{
	uint8_t *reply = viofs_slot_reply(&r->slots, slot);
	const uint32_t small = (uint32_t)sizeof(struct fuse_out_header) + slot->shape.fixed;
	bool names = is_names(slot->shape.opcode) || VIOFS_READ_ONCE(ring->contents);
	struct viofs_capture_record record;
	struct fuse_out_header head = { .len = 0 };
	struct iovec parts[2] = { { NULL, 0 }, { NULL, 0 } };

	if (slot->shape.replies && (used_len || r->used_len_zero))
		memcpy(&head, reply, sizeof(head));
	fill(&record, VIOFS_CAPTURE_REPLY, r, slot);
	record.error = head.error;
	record.len = reply_len(slot, &head);
	record.fixed = slot->shape.fixed;
	record.device = device;
	record.total = total;
	parts[0] = (struct iovec){ reply, VIOFS_MIN(record.len, small) };
	if (record.len > small)
		parts[1] = (struct iovec){ viofs_slot_reply_data(&r->slots, slot),
					   record.len - small };
	viofs_capture_put(ring, &record, parts, 2, names ? SIZE_MAX : small);
}

void viofs_tap_done(struct viofs_capture_ring *ring, const struct viofs_relay *r,
		    const struct viofs_slot *slot, uint32_t used_len)
{
	uint64_t ticks;

	if (!viofs_capture_is_on(ring))
		return;
	ticks = viofs_ticks() - slot->sent;
	viofs_tap_write_reply(ring, r, slot, used_len, ticks, ticks);
}

void viofs_tap_write_answer(struct viofs_capture_ring *ring, uint64_t unique, int error)
{
	struct viofs_capture_record record = {
		.kind = VIOFS_CAPTURE_ANSWER,
		.kernel_unique = unique,
		.error = error,
	};

	viofs_capture_put(ring, &record, NULL, 0, 0);
}

void viofs_tap_write_fault(struct viofs_capture_ring *ring, const struct viofs_slot *slot,
			   const char *what)
{
	const struct iovec text = { (char *)what, strlen(what) };
	struct viofs_capture_record record = {
		.kind = VIOFS_CAPTURE_FAULT,
		.queue = slot->queue,
		.slot = slot->index,
		.opcode = slot->shape.opcode,
		.nodeid = slot->nodeid,
		.kernel_unique = slot->kernel_unique,
		.device_unique = slot->device_unique,
		.len = (uint32_t)text.iov_len,
	};

	viofs_capture_put(ring, &record, &text, 1, SIZE_MAX);
}

void viofs_tap_write_event(struct viofs_capture_ring *ring, enum viofs_capture_kind kind,
			   unsigned int q, uint64_t count)
{
	struct viofs_capture_record record = {
		.kind = (uint16_t)kind,
		.queue = (uint16_t)q,
		.len = (uint32_t)count,
	};

	viofs_capture_put(ring, &record, NULL, 0, 0);
}

void viofs_tap_write_notification(struct viofs_capture_ring *ring, const void *message,
				  uint32_t len)
{
	const struct iovec part = { (void *)message, len };
	struct fuse_out_header head = { .error = 0 };
	struct viofs_capture_record record = { .kind = VIOFS_CAPTURE_NOTIFICATION, .len = len };
	size_t most = SIZE_MAX;

	memcpy(&head, message, VIOFS_MIN(len, sizeof(head)));
	/* Of a notification this is its code. */
	record.error = head.error;
	if (head.error == FUSE_NOTIFY_STORE && !VIOFS_READ_ONCE(ring->contents))
		most = sizeof(head) + sizeof(struct fuse_notify_store_out);
	viofs_capture_put(ring, &record, &part, 1, most);
}
