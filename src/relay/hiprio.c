/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FORGET and INTERRUPT, to the queue that they have to themselves. */
#include "relay/session.h"
#include "base/util.h"
#include "fuse/forget.h"
#include "fuse/reply.h"
#include "kernel/devfuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Half of the slots that hiprio has. */
#define FORGETS_HELD_MAX (VIOFS_SLOTS_HIPRIO / 2)
#define PARKED_BYTES ((size_t)16 << 20)
#define PARKED_COUNT 4096U
/* Taken off the ring before the others get their turn. */
#define BATCH 32
/* A device that asks to see an INTERRUPT again and again is obeyed so often. */
#define INTERRUPTS_MAX 100

/* An INTERRUPT that goes from lane to lane. */
struct letter {
	struct fuse_in_header head;
	struct fuse_interrupt_in in;
	uint32_t origin; /* the lane that it isn't passed to again */
};

void viofs_hiprio_init(struct viofs_relay *r)
{
	struct viofs_hiprio *h = &r->hiprio;

	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->lock, NULL);
	h->parked.bytes_max = PARKED_BYTES;
	h->parked.count_max = PARKED_COUNT;
	viofs_slots_share_hiprio(&r->slots, &h->slots);
}

void viofs_hiprio_fini(struct viofs_relay *r)
{
	viofs_parking_clear(&r->hiprio.parked);
}

static struct viofs_ring *ring_of(const struct viofs_relay *r)
{
	return &r->fs->queues[VIOFS_FS_HIPRIO].ring;
}

/* For those who look without the lock. */
static void publish_locked(struct viofs_relay *r)
{
	struct viofs_hiprio *h = &r->hiprio;

	atomic_store_explicit(&h->in_flight, ring_of(r)->in_flight, memory_order_relaxed);
	atomic_store_explicit(&h->kept, h->parked.count > 0, memory_order_relaxed);
	atomic_store_explicit(&h->full, viofs_parking_is_full(&h->parked), memory_order_relaxed);
	r->stats->parked = h->parked.count;
	r->stats->parked_max = VIOFS_MAX(r->stats->parked_max, r->stats->parked);
}

static void kick_locked(struct viofs_relay *r)
{
	atomic_store_explicit(&r->hiprio.forgets_held, 0, memory_order_relaxed);
	viofs_fs_kick(r->fs, VIOFS_FS_HIPRIO);
}

/*
 * Nobody waits for a FORGET, and each notification makes the device's side run at a bad time:
 * between two requests. So some are gathered, or as many as come within FORGETS_HELD_NS (serve.c).
 */
static void notify_locked(struct viofs_relay *r, const struct viofs_slot *slot)
{
	struct viofs_hiprio *h = &r->hiprio;
	uint32_t held = h->forgets_held + 1;

	if (held == 1)
		atomic_store_explicit(&h->forgets_since, viofs_now_ns(), memory_order_relaxed);
	atomic_store_explicit(&h->forgets_held, held, memory_order_relaxed);
	if (slot->shape.replies || held >= FORGETS_HELD_MAX)
		kick_locked(r);
}

/* What a message is to the device, beside its bytes; of an INTERRUPT only. */
struct identity {
	uint64_t kernel_unique, device_unique;
	uint8_t interrupts;
};

/* Copy a message into a slot of its own and send it. Return: 0; -EAGAIN: no slot or no room. */
static int submit_locked(struct viofs_relay *r, const void *message, size_t len,
			 const struct viofs_fuse_shape *shape, const struct identity *identity)
{
	struct viofs_hiprio *h = &r->hiprio;
	struct viofs_slot *slot = viofs_slots_take(&h->slots);

	if (!slot)
		return -EAGAIN;
	viofs_slots_forget(&h->slots, message, len);
	memcpy(viofs_slot_message(&h->slots, slot), message, len);
	slot->len = (uint32_t)len;
	slot->shape = *shape;
	slot->kernel_unique = identity ? identity->kernel_unique : 0;
	if (identity) {
		slot->device_unique = identity->device_unique;
		slot->interrupts = identity->interrupts;
	}
	slot->since = viofs_now_ns();
	if (viofs_submit_on(r, slot, VIOFS_FS_HIPRIO)) {
		viofs_slots_give(&h->slots, slot);
		return -EAGAIN;
	}
	notify_locked(r, slot);
	publish_locked(r);
	return 0;
}

static void park_locked(struct viofs_lane *lane, void *message, size_t len, int64_t since)
{
	struct viofs_relay *r = lane->relay;
	const struct fuse_in_header *head = message;

	if (viofs_parking_put(&r->hiprio.parked, &(struct iovec){ message, len }, len, false,
			      since)) {
		viofs_answer(lane, head->unique, -ENOMEM);
		return;
	}
	r->stats->parked_total++;
	publish_locked(r);
}

/* A FORGET, or a BATCH_FORGET of a length that a slot holds. In the order in which they came. */
static void send_forget_locked(struct viofs_lane *lane, void *message, size_t len,
			       const struct viofs_fuse_shape *shape, int64_t since)
{
	struct viofs_relay *r = lane->relay;

	r->stats->forgets++;
	if (r->hiprio.parked.count || submit_locked(r, message, len, shape, NULL))
		park_locked(lane, message, len, since);
}

/* Send the pieces of a BATCH_FORGET; what doesn't fit is parked in the same pieces. */
static void send_batch_locked(struct viofs_lane *lane, const void *message, size_t len,
			      const struct viofs_fuse_shape *shape, int64_t since)
{
	union {
		struct fuse_in_header head;
		uint8_t bytes[VIOFS_FUSE_FORGET_BYTES];
	} piece;
	struct viofs_fuse_forgets walk;
	struct viofs_fuse_shape piece_shape = *shape;
	size_t n;

	if (viofs_fuse_forgets_start(&walk, message, len))
		return;
	while ((n = viofs_fuse_forgets_next(&walk, &piece))) {
		piece_shape.args = (uint32_t)(n - sizeof(piece.head));
		send_forget_locked(lane, &piece, n, &piece_shape, since);
	}
}

static struct viofs_slot *find_queued(struct viofs_lane *lane, uint64_t kernel_unique)
{
	for (unsigned int i = 0; i < lane->slots.count; i++) {
		struct viofs_slot *slot = viofs_slots_at(&lane->slots, i);

		if (slot->state == VIOFS_SLOT_QUEUED && slot->kernel_unique == kernel_unique)
			return slot;
	}
	return NULL;
}

/* The kernel finds the request by the /dev/fuse that it was read from, and no other. */
static void refuse_interrupts(struct viofs_lane *lane, uint64_t unique)
{
	struct viofs_relay *r = lane->relay;
	int rc = -ENOENT;

	for (unsigned int i = 0; i < r->lane_count && rc == -ENOENT; i++)
		rc = viofs_devfuse_error(r->lanes[(lane->index + i) % r->lane_count].fuse_fd,
					 unique, -ENOSYS);
	lane->stats->replies++;
}

/* Does the lane have it, and has not sent it? A lock that was never sent is simply given up. */
static bool is_kept(struct viofs_lane *lane, uint64_t kernel_unique)
{
	struct viofs_parked *parked;

	if (viofs_submit_cancel(lane, kernel_unique)) {
		viofs_answer(lane, kernel_unique, -EINTR);
		return true;
	}
	parked = viofs_parking_take_unique(&lane->parked, kernel_unique);
	if (!parked)
		return false;
	if (parked->may_wait)
		viofs_answer(lane, kernel_unique, -EINTR);
	else
		viofs_parking_put(&lane->parked, &(struct iovec){ parked->message, parked->len },
				  parked->len, false, parked->since);
	free(parked);
	return true;
}

/*
 * INTERRUPT names the request by the kernel's unique; the device knows it by ours. A request that
 * has ended needs none (no reply is legal, Documentation/filesystems/fuse: "Interrupting filesystem
 * operations"). One that this lane doesn't have another one may have; it has it by now, since the
 * kernel has an INTERRUPT read only after the request. Return: 0; -EAGAIN: it is to be parked.
 */
static int send_interrupt(struct viofs_lane *lane, struct letter *l,
			  const struct viofs_fuse_shape *shape)
{
	struct viofs_relay *r = lane->relay;
	unsigned int next = (lane->index + 1) % r->lane_count;
	struct fuse_interrupt_in in = l->in;
	struct identity identity;
	struct viofs_slot *slot;
	struct letter sent = *l;
	int rc;

	slot = find_queued(lane, in.unique);
	if (!slot) {
		if (!is_kept(lane, in.unique) && next != l->origin)
			viofs_team_pass(&r->lanes[next], l, sizeof(*l));
		return 0;
	}
	sent.in.unique = slot->device_unique;
	identity = (struct identity){ l->head.unique, slot->device_unique | 1, slot->interrupts };
	pthread_mutex_lock(&r->hiprio.lock);
	rc = submit_locked(r, &sent, sizeof(sent.head) + sizeof(sent.in), shape, &identity);
	r->stats->interrupted += !rc;
	pthread_mutex_unlock(&r->hiprio.lock);
	if (!rc && slot->interrupts < INTERRUPTS_MAX)
		slot->interrupts++;
	return rc;
}

/* Sent or passed on, or parked as it came: then lane 0 begins anew. */
static void take_interrupt(struct viofs_lane *lane, const struct letter *l,
			   const struct viofs_fuse_shape *shape, int64_t since)
{
	struct viofs_hiprio *h = &lane->relay->hiprio;
	struct letter copy = *l;

	if (!send_interrupt(lane, &copy, shape))
		return;
	pthread_mutex_lock(&h->lock);
	park_locked(lane, &copy, sizeof(copy.head) + sizeof(copy.in), since);
	pthread_mutex_unlock(&h->lock);
}

static struct letter make_letter(const struct viofs_lane *lane, const void *message, size_t len)
{
	struct letter l = { .origin = lane->index };

	memcpy(&l, message, VIOFS_MIN(len, sizeof(l.head) + sizeof(l.in)));
	return l;
}

void viofs_hiprio_take(struct viofs_lane *lane, uint8_t *message, size_t len,
		       const struct viofs_fuse_shape *shape, int64_t since)
{
	struct viofs_relay *r = lane->relay;
	struct letter l;

	if (shape->opcode == FUSE_INTERRUPT) {
		l = make_letter(lane, message, len);
		if (r->conn.remote_locks)
			take_interrupt(lane, &l, shape, since);
		else
			refuse_interrupts(lane, l.head.unique);
		return;
	}
	pthread_mutex_lock(&r->hiprio.lock);
	if (shape->opcode == FUSE_BATCH_FORGET)
		send_batch_locked(lane, message, len, shape, since);
	else
		send_forget_locked(lane, message, len, shape, since);
	pthread_mutex_unlock(&r->hiprio.lock);
}

void viofs_hiprio_take_mail(struct viofs_lane *lane)
{
	struct viofs_parked *letter;
	struct viofs_fuse_shape shape;
	struct letter l;

	while ((letter = viofs_mailbox_take(&lane->mailbox))) {
		memcpy(&l, letter->message, sizeof(l));
		free(letter);
		/* It was classified when it was read: this can't fail. */
		viofs_fuse_classify(&lane->relay->conn, &l.head, sizeof(l.head) + sizeof(l.in),
				    &shape);
		take_interrupt(lane, &l, &shape, viofs_now_ns());
	}
}

static int send_kept(struct viofs_lane *lane, const struct viofs_parked *parked)
{
	struct viofs_relay *r = lane->relay;
	struct viofs_fuse_shape shape;
	struct letter l;
	int rc;

	viofs_fuse_classify(&r->conn, (const void *)parked->message, parked->len, &shape);
	if (shape.opcode == FUSE_INTERRUPT) {
		l = make_letter(lane, parked->message, parked->len);
		return send_interrupt(lane, &l, &shape);
	}
	pthread_mutex_lock(&r->hiprio.lock);
	rc = submit_locked(r, parked->message, parked->len, &shape, NULL);
	pthread_mutex_unlock(&r->hiprio.lock);
	return rc;
}

/* The first one, which stays where it is: nobody else takes it. */
static struct viofs_parked *look_at_kept(struct viofs_hiprio *h)
{
	struct viofs_parked *first;

	pthread_mutex_lock(&h->lock);
	first = h->slots.free_count ? h->parked.first : NULL;
	pthread_mutex_unlock(&h->lock);
	return first;
}

void viofs_hiprio_send_kept(struct viofs_lane *lane)
{
	struct viofs_relay *r = lane->relay;
	struct viofs_hiprio *h = &r->hiprio;
	struct viofs_parked *parked;

	if (!atomic_load_explicit(&h->kept, memory_order_relaxed))
		return;
	while ((parked = look_at_kept(h)) && !send_kept(lane, parked)) {
		pthread_mutex_lock(&h->lock);
		free(viofs_parking_take(&h->parked, true));
		publish_locked(r);
		pthread_mutex_unlock(&h->lock);
	}
}

/* The device's answer to INTERRUPT: most say nothing, which is legal. */
static void finish_interrupt(struct viofs_relay *r, struct viofs_slot *slot, uint32_t used_len)
{
	struct viofs_lane *lane = viofs_lane_of_slot(r, (uint16_t)(slot->device_unique >> 1));
	struct fuse_out_header head;
	struct viofs_fuse_reply reply;

	memcpy(&head, viofs_slot_reply(&r->hiprio.slots, slot), sizeof(head));
	if (!used_len || viofs_fuse_reply_check(&slot->shape, slot->device_unique, &head, used_len,
						false, &reply))
		return;
	/* ENOSYS: none will ever be sent again. EAGAIN: the kernel sends it again at once, so not
	 * for ever; it does so only while there is something to interrupt. */
	if (reply.error == -ENOSYS || (reply.error == -EAGAIN && slot->interrupts < INTERRUPTS_MAX))
		viofs_devfuse_error(lane->fuse_fd, slot->kernel_unique, reply.error);
}

static int complete_locked(struct viofs_relay *r)
{
	struct viofs_hiprio *h = &r->hiprio;
	struct viofs_slot *slot;
	uint32_t token, len;
	int done = 0, rc;

	while (done < BATCH) {
		rc = viofs_ring_get(ring_of(r), &token, &len);
		if (rc < 0)
			return rc;
		if (!rc)
			break;
		done++;
		slot = &h->slots.slots[token];
		if (slot->shape.opcode == FUSE_INTERRUPT)
			finish_interrupt(r, slot, len);
		viofs_slots_give(&h->slots, slot);
	}
	publish_locked(r);
	return done;
}

int viofs_hiprio_complete(struct viofs_lane *lane)
{
	struct viofs_relay *r = lane->relay;
	int rc;

	if (!viofs_ring_has_used(ring_of(r)))
		return 0;
	pthread_mutex_lock(&r->hiprio.lock);
	rc = complete_locked(r);
	pthread_mutex_unlock(&r->hiprio.lock);
	if (rc < 0)
		return viofs_break(r, "virtqueue %d: %s", VIOFS_FS_HIPRIO, ring_of(r)->broken);
	lane->freed |= rc > 0;
	return rc;
}

void viofs_hiprio_kick_forgets(struct viofs_relay *r)
{
	if (!viofs_hiprio_forgets_held(&r->hiprio))
		return;
	pthread_mutex_lock(&r->hiprio.lock);
	if (r->hiprio.forgets_held)
		kick_locked(r);
	pthread_mutex_unlock(&r->hiprio.lock);
}

void viofs_hiprio_kick_again(struct viofs_relay *r)
{
	pthread_mutex_lock(&r->hiprio.lock);
	if (ring_of(r)->in_flight)
		viofs_fs_kick_always(r->fs, VIOFS_FS_HIPRIO);
	pthread_mutex_unlock(&r->hiprio.lock);
}

bool viofs_hiprio_arm(struct viofs_relay *r)
{
	bool used;

	pthread_mutex_lock(&r->hiprio.lock);
	used = viofs_ring_arm(ring_of(r));
	pthread_mutex_unlock(&r->hiprio.lock);
	return used;
}

void viofs_hiprio_disarm(struct viofs_relay *r)
{
	pthread_mutex_lock(&r->hiprio.lock);
	viofs_ring_disarm(ring_of(r));
	pthread_mutex_unlock(&r->hiprio.lock);
}
