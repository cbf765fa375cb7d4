/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Going on with a session that another process has begun. */
/*
 * The state (state.h) was written by a process that may have died at any point, or was taken over
 * by the device. So it is read as if a hostile writer had made it: no index may lead out of its
 * table. Order:
 *
 *   1. header, table of contents, sizes            (layout.c)
 *   2. rings: shadows against their own rules      (virtio/ring.c)
 *   3. slots by themselves, then against the rings: who is QUEUED is there, and nobody else is
 *   4. lanes: the same division of slots, buffers and queues as anybody makes of these sizes
 *   5. parked requests, FORGETs and INTERRUPTs that wait
 *   6. what was being read: taken up where it isn't anywhere else yet
 *
 * A request is found once: by its unique in the lane that read it. A slot that is QUEUED and not on
 * its ring was about to be put there: it is sent. One that is REPLYING and on its ring has not been
 * answered yet: its used entry is there still. One that is REPLYING has left its ring: the answer
 * may have been given or not, so it is given again, and the kernel takes no second one (ENOENT).
 * Lanes do that when they serve (viofs_complete_left()): it may block.
 */
#include "relay/adopt.h"
#include "base/page.h"
#include "base/trace.h"
#include "base/util.h"
#include "fs/notification.h"
#include "fuse/forget.h"
#include "fuse/unique.h"
#include "relay/answer.h"
#include "relay/lanes.h"
#include "relay/layout.h"
#include "relay/notify.h"
#include "relay/pump.h"
#include "relay/quarantine.h"
#include "relay/session.h"
#include "relay/submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int contradicts(struct viofs_err *err, const char *what, unsigned int index)
{
	return viofs_err_set(err, -EPROTO, "the session's state contradicts itself: %s %u", what,
			     index);
}

/* The queue's parts, as large as they must be. */
static bool find_ring(const struct viofs_arena *a, uint32_t q, uint16_t size, unsigned int flags,
		      struct viofs_fs_parts *out)
{
	struct viofs_ring_layout l = viofs_ring_layout(size, flags);

	out->desc = viofs_layout_find(a, VIOFS_STATE_DESC, q, 1, l.desc);
	out->driver = viofs_layout_find(a, VIOFS_STATE_DRIVER, q, 1, l.driver);
	out->device = viofs_layout_find(a, VIOFS_STATE_DEVICE, q, 1, l.device);
	out->shadow = viofs_layout_find(a, VIOFS_STATE_SHADOW, q, 1, viofs_ring_shadow_bytes(size));
	return out->desc && out->driver && out->device && out->shadow;
}

static int adopt_fs(const struct viofs_arena *a, const struct viofs_session_state *s,
		    const struct viofs_adopt_descriptors *d, struct viofs_fs **out,
		    struct viofs_err *err)
{
	struct viofs_fs_adopted from = {
		.num_request_queues = s->num_request_queues,
		.queue_count = s->queue_count,
		.vectors = s->vectors,
		.notify_buf_size = s->notify_buf_size,
		.arena = a,
	};
	unsigned int flags = viofs_fs_ring_flags(d->virtio);
	bool has_notification = d->virtio->negotiated & VIOFS_FS_F_NOTIFICATION;

	if (s->features != d->virtio->negotiated || s->queue_count <= VIOFS_FS_REQUEST ||
	    s->queue_count > VIOFS_FS_QUEUES_MAX)
		return contradicts(err, "queues", s->queue_count);
	if (has_notification && !viofs_fs_notification_size_ok(s->notify_buf_size))
		return contradicts(err, "size of notifications", s->notify_buf_size);
	memcpy(from.tag, s->tag, sizeof(from.tag));
	from.tag[sizeof(from.tag) - 1] = '\0';
	memcpy(from.eventfds, d->eventfds, sizeof(from.eventfds));
	for (uint32_t q = 0; q < from.queue_count + has_notification; q++) {
		uint16_t size = s->queue_size[q];

		if (!size || size > VIOFS_FS_QUEUE_SIZE_MAX ||
		    (!(flags & VIOFS_RING_PACKED) && !viofs_is_power_of_2(size)) ||
		    !find_ring(a, q, size, flags, &from.parts[q]))
			return contradicts(err, "queue", q);
		from.queue_size[q] = size;
	}
	if (has_notification) {
		const struct viofs_fs sizes = { .notify_buf_size = s->notify_buf_size };

		from.notifications = viofs_layout_find(a, VIOFS_STATE_NOTIFY, 0, 1,
						       viofs_fs_notification_bytes(&sizes));
		if (!from.notifications)
			return contradicts(err, "memory of notifications", 0);
	}
	return viofs_fs_adopt(d->virtio, &from, out, err);
}

/* A bool that is something else is no bool. */
static bool are_bools(const bool *first, const bool *last)
{
	const uint8_t *p = (const void *)first, *end = (const void *)last;

	for (; p <= end; p++)
		if (*p > 1)
			return false;
	return true;
}

/* Its buffer goes back last, and so it was answered. */
static bool is_done(const struct viofs_slot *slot)
{
	return slot->state == VIOFS_SLOT_REPLYING && slot->buffer == VIOFS_BUFFER_NONE &&
	       (slot->len > VIOFS_SLOT_SMALL || slot->shape.reply_data > VIOFS_SLOT_DATA);
}

static uint32_t writable_of(const struct viofs_slot *slot)
{
	const struct viofs_fuse_shape *shape = &slot->shape;

	return shape->replies
		       ? (uint32_t)sizeof(struct fuse_out_header) + shape->fixed + shape->reply_data
		       : 0;
}

static bool is_slot_sane(const struct viofs_slots *s, const struct viofs_slot *slot,
			 unsigned int index, unsigned int queues)
{
	const struct viofs_fuse_shape *shape = &slot->shape;
	const size_t head = sizeof(struct fuse_in_header);
	bool has_buffer = slot->buffer != VIOFS_BUFFER_NONE;
	uint64_t room = has_buffer ? s->buffer_size : 0, small = VIOFS_SLOT_SMALL;
	bool is_long = slot->len > VIOFS_SLOT_SMALL;

	if (slot->index != index || slot->state >= VIOFS_SLOT_STATES ||
	    slot->entry != VIOFS_SLOT_NO_ENTRY || (has_buffer && slot->buffer >= s->all_buffers))
		return false;
	if (slot->state < VIOFS_SLOT_WAITING || is_done(slot))
		return true;
	/* Those of hiprio go to the ring at once, or not at all; nobody gets an answer. */
	if (index >= s->hiprio && slot->state != VIOFS_SLOT_QUEUED)
		return false;
	if (!are_bools(&slot->apart, &slot->spilled) ||
	    !are_bools(&shape->hiprio, &shape->unlinks) || slot->apart || slot->queue >= queues)
		return false;
	if (index < s->hiprio
		    ? slot->device_unique != viofs_unique_of(slot->generation, slot->index)
		    : has_buffer)
		return false;
	if (slot->len < head || shape->fixed > VIOFS_FUSE_FIXED_MAX ||
	    head + (uint64_t)shape->args + shape->data > slot->len || (slot->spilled && !is_long) ||
	    slot->len > (slot->spilled ? room : small + (is_long ? room : 0)))
		return false;
	if (head + shape->args > (slot->spilled ? room : small))
		return false;
	if (slot->state == VIOFS_SLOT_REPLYING && slot->used_len > writable_of(slot))
		return false;
	return shape->reply_data <= VIOFS_SLOT_DATA ||
	       shape->reply_data <= (is_long ? s->buffer_size / 2 : s->buffer_size);
}

/* Each buffer is one's. */
static int check_slots(struct viofs_relay *r, struct viofs_err *err)
{
	const int64_t now = viofs_now_ns();
	bool taken[VIOFS_RELAY_BUFFERS_MAX] = { false };
	const struct viofs_slots *s = &r->slots;

	for (unsigned int i = 0; i < s->hiprio + VIOFS_SLOTS_HIPRIO; i++) {
		struct viofs_slot *slot = &s->slots[i];

		if (!is_slot_sane(s, slot, i, r->fs->queue_count))
			return contradicts(err, "slot", i);
		if (slot->since < 0 || slot->since > now)
			slot->since = now;
		if (is_done(slot))
			slot->state = VIOFS_SLOT_FREE;
		if (slot->state < VIOFS_SLOT_WAITING) {
			slot->buffer = VIOFS_BUFFER_NONE;
			/* A request has come there, or will: it begins anew. */
			if (slot->state == VIOFS_SLOT_LANDING)
				viofs_slot_renew(slot);
			continue;
		}
		if (slot->buffer == VIOFS_BUFFER_NONE)
			continue;
		if (taken[slot->buffer])
			return contradicts(err, "buffer", slot->buffer);
		taken[slot->buffer] = true;
	}
	for (unsigned int i = 0; i < r->layout.session->lanes; i++) {
		struct viofs_lane_state *l = &r->layout.lanes[i];

		/* It is free where it is somebody's, or nobody has heard of it. */
		if (l->landing_buffer >= s->all_buffers || taken[l->landing_buffer])
			l->landing_buffer = VIOFS_BUFFER_NONE;
		else
			taken[l->landing_buffer] = true;
		if (l->landing >= s->hiprio || s->slots[l->landing].state != VIOFS_SLOT_LANDING)
			l->landing = VIOFS_SLOT_NONE;
	}
	return 0;
}

/* A slot that nothing lands in any more is free. */
static void free_landed(struct viofs_relay *r)
{
	for (unsigned int i = 0; i < r->slots.hiprio + VIOFS_SLOTS_HIPRIO; i++) {
		struct viofs_slot *slot = &r->slots.slots[i];
		bool is_landing = false;

		for (unsigned int k = 0; k < r->layout.session->lanes; k++)
			is_landing |= r->layout.lanes[k].landing == i;
		if (slot->state == VIOFS_SLOT_LANDING && !is_landing)
			slot->state = VIOFS_SLOT_FREE;
	}
}

/* Those that the device has; @on_ring: by slot. */
static int match_ring(struct viofs_relay *r, unsigned int q, bool *on_ring, struct viofs_err *err)
{
	uint32_t at = 0, token, writable, all = r->slots.hiprio + VIOFS_SLOTS_HIPRIO;

	while (viofs_ring_next_chain(&r->fs->queues[q].ring, &at, &token, &writable)) {
		struct viofs_slot *slot = &r->slots.slots[VIOFS_MIN(token, all - 1)];

		if (token >= all || on_ring[token] || slot->state < VIOFS_SLOT_QUEUED ||
		    slot->queue != q || (token >= r->slots.hiprio) != (q == VIOFS_FS_HIPRIO) ||
		    writable != writable_of(slot) ||
		    (viofs_slot_needs_buffer(slot) && q != VIOFS_FS_HIPRIO))
			return contradicts(err, "what is in flight on queue", q);
		on_ring[token] = true;
		slot->state = VIOFS_SLOT_QUEUED;
	}
	return 0;
}

/* Who was about to be put on a ring waits for it again; hiprio's come from where they wait. */
static int match_rings(struct viofs_relay *r, bool *on_ring, struct viofs_err *err)
{
	int rc = 0;

	for (unsigned int q = 0; q < r->fs->queue_count && !rc; q++)
		rc = match_ring(r, q, on_ring, err);
	for (unsigned int i = 0; i < r->slots.hiprio + VIOFS_SLOTS_HIPRIO && !rc; i++) {
		struct viofs_slot *slot = &r->slots.slots[i];

		if (slot->state == VIOFS_SLOT_QUEUED && !on_ring[i])
			slot->state = i < r->slots.hiprio ? VIOFS_SLOT_WAITING : VIOFS_SLOT_FREE;
	}
	return rc;
}

/* Of what was under way when the process died: is it the device's affair by now? */
static bool was_sent(const struct viofs_relay *r, const struct viofs_sending *s,
		     const bool *on_ring)
{
	for (unsigned int i = r->slots.hiprio;
	     s->unique && i < r->slots.hiprio + VIOFS_SLOTS_HIPRIO; i++)
		if (on_ring[i] && r->slots.slots[i].device_unique == s->unique)
			return true;
	return false;
}

static int adopt_hiprio(struct viofs_relay *r, const bool *on_ring, struct viofs_err *err)
{
	struct viofs_hiprio_state *h = r->layout.hiprio;

	if (h->forgotten > VIOFS_FORGOTTEN_MAX)
		return contradicts(err, "FORGETs", h->forgotten);
	if (was_sent(r, &h->sending, on_ring))
		h->forgotten = VIOFS_MIN(h->forgotten, h->sending.after);
	h->sending = (struct viofs_sending){ .unique = 0 };
	for (unsigned int i = 0; i < r->layout.session->lanes; i++) {
		struct viofs_sending *s = &r->layout.lanes[i].forgets;

		if (was_sent(r, s, on_ring))
			s->done = s->after;
		s->unique = 0;
	}
	for (unsigned int i = 0; i < r->config.slots; i++) {
		struct viofs_interrupt *interrupt = &r->layout.interrupts[i];

		if (!on_ring[i] || interrupt->device_unique != r->slots.slots[i].device_unique)
			interrupt->device_unique = 0;
		interrupt->due = viofs_now_ns();
	}
	return viofs_hiprio_init(r) ? viofs_err_set(err, -ENOMEM, "out of memory") : 0;
}

/* Below @at in the heap nobody has come later. */
static void sift(struct viofs_slot **heap, unsigned int at, unsigned int n)
{
	for (unsigned int child; (child = 2 * at + 1) < n; at = child) {
		struct viofs_slot *parent = heap[at];

		child += child + 1 < n && heap[child + 1]->since > heap[child]->since;
		if (parent->since >= heap[child]->since)
			return;
		heap[at] = heap[child];
		heap[child] = parent;
	}
}

/* The first that came first. qsort(3) asks the system how much memory there is: no such call is
 * allowed here. */
static void sort_by_age(struct viofs_slot **slots, unsigned int n)
{
	for (unsigned int i = n / 2; i-- > 0;)
		sift(slots, i, n);
	while (n-- > 1) {
		struct viofs_slot *last = slots[0];

		slots[0] = slots[n];
		slots[n] = last;
		sift(slots, 0, n);
	}
}

/* Who waits, in the order in which they came. */
static int adopt_waiting(struct viofs_lane *lane, const struct viofs_quarantine *q)
{
	struct viofs_slot **waiting = calloc(lane->slots.count, sizeof(*waiting));
	unsigned int n = 0;

	if (!waiting)
		return -ENOMEM;
	for (unsigned int i = 0; i < lane->slots.count; i++) {
		struct viofs_slot *slot = viofs_slots_at(&lane->slots, i);

		if (slot->state >= VIOFS_SLOT_WAITING && slot->shape.may_wait)
			lane->lockers++;
		if (viofs_quarantine_end_slot(q, lane, slot))
			continue;
		if (slot->state == VIOFS_SLOT_WAITING)
			waiting[n++] = slot;
	}
	sort_by_age(waiting, n);
	for (unsigned int i = 0; i < n; i++)
		viofs_submit_later(lane, waiting[i]);
	free(waiting);
	return 0;
}

static bool has_slot(const struct viofs_lane *lane, uint64_t unique)
{
	for (unsigned int i = 0; i < lane->slots.count; i++) {
		const struct viofs_slot *slot = viofs_slots_at(&lane->slots, i);

		if (slot->state >= VIOFS_SLOT_WAITING && slot->kernel_unique == unique)
			return true;
	}
	return false;
}

/* A request that went from here to a slot, and was not dropped yet; one that nobody would park. */
static void drop_moved(struct viofs_lane *lane, struct viofs_parking *p)
{
	const struct viofs_parked *i = viofs_parking_first(p), *next;

	for (; i; i = next) {
		const struct fuse_in_header *head = viofs_parking_message(p, i);

		next = viofs_parking_next(p, i);
		if (i->len >= sizeof(*head) && has_slot(lane, head->unique)) {
			viofs_parking_drop(p, i);
		} else if (!viofs_pump_can_unpark(lane, p, i)) {
			viofs_answer(lane, head->unique, -EIO);
			viofs_parking_drop(p, i);
		}
	}
}

static bool has_queue(const struct viofs_lane *lane, unsigned int q)
{
	for (unsigned int i = 0; i < lane->queue_count; i++)
		if (lane->queues[i] == q)
			return true;
	return false;
}

static bool is_in(uint16_t index, uint16_t none, unsigned int first, unsigned int count)
{
	return index == none || (index >= first && index < first + count);
}

/* What a lane has is of its own part: no other lane's thread touches it. */
static bool is_lane_sane(const struct viofs_lane *lane)
{
	const struct viofs_slots *s = &lane->slots;

	for (unsigned int i = 0; i < s->count; i++) {
		const struct viofs_slot *slot = viofs_slots_at(s, i);

		if (!is_in(slot->buffer, VIOFS_BUFFER_NONE, s->buffer_first, s->buffer_count) ||
		    (slot->state == VIOFS_SLOT_QUEUED && !has_queue(lane, slot->queue)))
			return false;
	}
	return is_in(lane->state->landing, VIOFS_SLOT_NONE, s->first, s->count) &&
	       is_in(lane->state->landing_buffer, VIOFS_BUFFER_NONE, s->buffer_first,
		     s->buffer_count);
}

/* The lane was taking it up, and it is nowhere else. */
static bool was_only_read(const struct viofs_lane *lane)
{
	uint64_t unique = lane->state->head.unique;

	return lane->state->head.len && !has_slot(lane, unique) &&
	       !viofs_parking_find(&lane->parked, unique) &&
	       !viofs_parking_find(&lane->locks, unique);
}

static int adopt_lane(struct viofs_lane *lane, const struct viofs_quarantine *q,
		      struct viofs_err *err)
{
	bool only_read;

	if (!is_lane_sane(lane))
		return contradicts(err, "lane", lane->index);
	/* Before requests that are ended below are forgotten. */
	only_read = was_only_read(lane);
	if (adopt_waiting(lane, q))
		return viofs_err_set(err, -ENOMEM, "out of memory");
	drop_moved(lane, &lane->parked);
	drop_moved(lane, &lane->locks);
	if (only_read && !viofs_quarantine_end_head(q, lane))
		viofs_pump_landed(lane);
	lane->state->head.len = 0;
	lane->freed = true;
	/* That it was not answered may be the other one's fault: all have as long once more. */
	lane->next_due = viofs_now_ns() + lane->relay->config.timeout_ms * VIOFS_NSEC_PER_MSEC;
	return 0;
}

/* A back end's eventfds may block: there are no bells yet (fs/doorbells.h), and all rings are
 * kicked when there are (start_session() in relay.c). */
static void ring_later(void *arg, unsigned int q)
{
}

/* Sizes that are known by now, and what the kernel was answered. */
static int adopt_session(struct viofs_relay *r, const struct viofs_adopt_descriptors *d,
			 struct viofs_err *err)
{
	const struct viofs_session_state *s = r->layout.session;
	const uint64_t flags = r->stats->agreed.flags;

	r->config = s->config;
	if (!are_bools(&s->config.notify_store, &s->config.notify_store) ||
	    !are_bools(&s->config.pin_lanes, &s->config.pin_lanes))
		return contradicts(err, "options", 0);
	if (!s->init_done || r->stats->stage != VIOFS_STAGE_SERVING)
		return viofs_err_set(err, -ENOTSUP, "the session has not begun, or has ended");
	if (r->config.depth || r->stats->channel != VIOFS_CHANNEL_DEV)
		return viofs_err_set(err, -ENOTSUP,
				     "a session over io_uring can't be gone on "
				     "with");
	if (s->lanes != d->lane_count || !s->lanes || s->lanes > r->config.lanes)
		return contradicts(err, "lanes", s->lanes);
	if (s->max_data > r->config.max_data)
		return contradicts(err, "max_data", s->max_data);
	r->config.max_data = s->max_data;
	r->conn = r->stats->agreed.conn;
	/* A hostile bool is none: what INIT agreed says the same. */
	r->conn.setxattr_ext = flags & FUSE_SETXATTR_EXT;
	r->conn.remote_locks = flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS);
	r->conn.page_size = (uint32_t)viofs_page_size();
	r->used_len_zero = s->used_len_zero;
	r->indirect = r->fs->virtio->negotiated & VIOFS_VIRTIO_F_INDIRECT_DESC;
	r->is_adopted = true;
	return 0;
}

static int adopt_slots(struct viofs_relay *r, struct viofs_err *err)
{
	const struct viofs_relay_config *c = &r->layout.session->config;

	int rc;

	r->slots = (struct viofs_slots){
		.slots = r->layout.slots.slots,
		.hiprio = (uint16_t)c->slots,
		.all_buffers = (uint16_t)c->buffers,
		.buffer_size = c->max_data,
	};
	rc = check_slots(r, err);
	if (rc)
		return rc;
	if (viofs_slots_init(&r->slots, (uint16_t)c->slots, (uint16_t)c->buffers, c->max_data,
			     r->arena, &r->layout.slots))
		return viofs_err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int adopt_lanes(struct viofs_relay *r, const int *fuse_fds, struct viofs_err *err)
{
	int rc = viofs_lanes_adopt(r, fuse_fds);

	if (rc == -ENOMEM)
		return viofs_err_set(err, rc, "out of memory");
	return rc ? contradicts(err, "lanes or what is parked,", r->lane_count) : 0;
}

static int adopt_parts(struct viofs_relay *r, const struct viofs_adopt_descriptors *d,
		       struct viofs_err *err)
{
	struct viofs_quarantine q = { .before = NULL };
	bool *on_ring;
	int rc = adopt_session(r, d, err);

	if (!rc)
		rc = adopt_slots(r, err);
	if (rc)
		return rc;
	on_ring = calloc(r->config.slots + VIOFS_SLOTS_HIPRIO, sizeof(*on_ring));
	if (!on_ring || viofs_quarantine_init(&q, r))
		rc = viofs_err_set(err, -ENOMEM, "out of memory");
	if (!rc)
		rc = match_rings(r, on_ring, err);
	if (!rc && d->crashed)
		viofs_quarantine_judge(&q, r, on_ring);
	free_landed(r);
	if (!rc)
		rc = adopt_hiprio(r, on_ring, err);
	free(on_ring);
	if (!rc)
		rc = adopt_lanes(r, d->lanes, err);
	for (unsigned int i = 0; i < r->lane_count && !rc; i++)
		rc = adopt_lane(&r->lanes[i], &q, err);
	viofs_quarantine_fini(&q);
	return rc;
}

int viofs_adopt(struct viofs_arena *arena, const struct viofs_adopt_descriptors *d,
		struct viofs_fs **fs, struct viofs_relay **out, struct viofs_err *err)
{
	struct viofs_relay *r;
	int rc = viofs_layout_check(arena, err);

	if (rc)
		return rc;
	r = calloc(1, sizeof(*r));
	if (!r)
		return viofs_err_set(err, -ENOMEM, "out of memory");
	d->virtio->bell = ring_later;
	r->arena = arena;
	viofs_team_init(&r->team);
	viofs_outcome_init(&r->outcome);
	rc = viofs_layout_adopt(arena, &r->layout, err);
	if (!rc)
		rc = adopt_fs(arena, r->layout.session, d, &r->fs, err);
	if (!rc) {
		r->stats = r->layout.stats;
		rc = adopt_parts(r, d, err);
	}
	if (rc) {
		for (unsigned int i = 0; i < r->lane_count; i++)
			r->lanes[i].fuse_fd = -1;
		if (r->fs)
			viofs_fs_let_go(r->fs);
		viofs_relay_free(r);
		return rc;
	}
	*fs = r->fs;
	*out = r;
	return 0;
}

int viofs_adopt_prepare(struct viofs_relay *r, int fuse_fd, struct viofs_err *err)
{
	r->is_adopted = r->is_prepared = true;
	return viofs_relay_prepare(r, fuse_fd, err);
}

int viofs_adopt_forked(const struct viofs_relay_config *config, bool crashed, struct viofs_fs **fs,
		       struct viofs_relay **relay, struct viofs_err *err)
{
	struct viofs_relay *old = *relay;
	struct viofs_fs *old_fs = *fs;
	struct viofs_adopt_descriptors d = {
		.virtio = old_fs->virtio,
		.lane_count = old->lane_count,
		.crashed = crashed,
	};
	int rc;

	memcpy(d.eventfds, old_fs->eventfds, sizeof(d.eventfds));
	for (unsigned int i = 0; i < old->lane_count; i++)
		d.lanes[i] = old->lanes[i].fuse_fd;
	viofs_relay_describe(old, config);
	rc = viofs_adopt(old->arena, &d, fs, relay, err);
	if (rc)
		return rc;
	if (old->is_prepared) {
		viofs_lanes_move(*relay, old);
		viofs_notify_move(*relay, old);
	}
	/* The descriptors are the successor's. */
	for (unsigned int i = 0; i < old->lane_count; i++)
		old->lanes[i].fuse_fd = -1;
	viofs_relay_free(old);
	viofs_fs_let_go(old_fs);
	VIOFS_PROBE2(recover, (*relay)->lane_count, crashed);
	return 0;
}
