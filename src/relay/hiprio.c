/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FORGET and INTERRUPT: they have a queue of their own. */
#include "fuse/unique.h"
#include "relay/hiprio.h"
#include "base/barrier.h"
#include "base/log.h"
#include "base/ticks.h"
#include "base/util.h"
#include "fuse/forget.h"
#include "fuse/reply.h"
#include "kernel/devfuse.h"
#include "relay/contents.h"
#include "relay/enqueue.h"
#include "relay/lane.h"
#include "relay/outcome.h"
#include "relay/session.h"
#include "relay/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Half of the slots that hiprio has. */
#define FORGETS_HELD_MAX (VIOFS_SLOTS_HIPRIO / 2)
/* The device is notified at once of the FORGETs of so many deleted files: more than there are
 * threads that delete at a time. The bound is there because renaming and hard links are counted,
 * too, and often no FORGET follows them. */
#define UNLINKS_MAX 64U
/* So many completions are taken off the ring before request queues have their turn. */
#define BATCH 32
/* How often a device gets an INTERRUPT that it asks for again and again. */
#define INTERRUPTS_MAX 100

int viofs_hiprio_init(struct viofs_relay *r)
{
	struct viofs_hiprio *h = &r->hiprio;

	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->lock, NULL);
	h->next_due = INT64_MAX;
	h->capture = &viofs_capture_off;
	viofs_slots_share_hiprio(&r->slots, &h->slots);
	h->state = r->layout.hiprio;
	h->interrupts = r->layout.interrupts;
	for (unsigned int i = 0; i < r->config.slots; i++)
		if (h->interrupts[i].device_unique) {
			h->interrupt_count++;
			h->next_due = 0;
		}
	h->kept = h->interrupt_count || h->state->forgotten;
	return viofs_forgotten_init(&h->forgotten, r->layout.forgotten, &h->state->forgotten,
				    VIOFS_FORGOTTEN_MAX);
}

void viofs_hiprio_fini(struct viofs_relay *r)
{
	viofs_forgotten_fini(&r->hiprio.forgotten);
}

static struct viofs_ring *ring_of(const struct viofs_relay *r)
{
	return &r->fs->queues[VIOFS_FS_HIPRIO].ring;
}

/* For those who look without the lock. */
static void publish_locked(struct viofs_relay *r)
{
	struct viofs_hiprio *h = &r->hiprio;
	uint32_t kept = h->state->forgotten + h->interrupt_count;

	atomic_store_explicit(&h->in_flight, ring_of(r)->shadow->in_flight, memory_order_relaxed);
	atomic_store_explicit(&h->kept, kept > 0, memory_order_relaxed);
	if (!kept)
		atomic_store_explicit(&h->full_since, 0, memory_order_relaxed);
	/* The last INTERRUPT may have been dropped, not sent: then nobody has to wake up for it. */
	if (!h->interrupt_count)
		atomic_store_explicit(&h->next_due, INT64_MAX, memory_order_relaxed);
	r->stats->parked = kept;
	r->stats->parked_max = VIOFS_MAX(r->stats->parked_max, kept);
}

/* There was no room: since when? */
static void note_full_locked(struct viofs_hiprio *h)
{
	if (!h->full_since)
		atomic_store_explicit(&h->full_since, viofs_now_ns(), memory_order_relaxed);
}

static void kick_locked(struct viofs_relay *r)
{
	atomic_store_explicit(&r->hiprio.forgets_held, 0, memory_order_relaxed);
	viofs_tap_kick(r->hiprio.capture, r->fs, VIOFS_FS_HIPRIO);
}

/* Is the device to be told of these at once? */
static bool spend_unlinks(struct viofs_hiprio *h, uint32_t nodes)
{
	uint32_t unlinks = atomic_load_explicit(&h->unlinks, memory_order_relaxed);

	if (!unlinks)
		return false;
	/* This is done with the lock only, so the count can't become negative. */
	atomic_fetch_sub_explicit(&h->unlinks, VIOFS_MIN(unlinks, nodes), memory_order_relaxed);
	return true;
}

/*
 * Nobody waits for a FORGET, and each notification makes the device work between two requests. So
 * FORGETs are gathered: a number of them, or those of FORGETS_HELD_NS (serve.c). FORGETs of deleted
 * files are sent at once. @nodes: that it forgets; 0: it is an INTERRUPT.
 */
static void notify_locked(struct viofs_relay *r, uint32_t nodes)
{
	struct viofs_hiprio *h = &r->hiprio;
	uint32_t held = h->forgets_held + 1;

	if (held == 1)
		atomic_store_explicit(&h->forgets_since, viofs_now_ns(), memory_order_relaxed);
	atomic_store_explicit(&h->forgets_held, held, memory_order_relaxed);
	if (!nodes || spend_unlinks(h, nodes) || held >= FORGETS_HELD_MAX)
		kick_locked(r);
}

/* A slot with the message in it; enqueueing fills in the rest. Return: NULL: no slot is free. */
static struct viofs_slot *fill_slot_locked(struct viofs_relay *r, const void *message, size_t len)
{
	struct viofs_slots *slots = &r->hiprio.slots;
	struct viofs_slot *slot = viofs_slots_take(slots);

	if (!slot)
		return NULL;
	memcpy(viofs_slot_message(slots, slot), message, len);
	slot->len = (uint32_t)len;
	/* It was classified when it was read, or is one of ours, so this can't fail. The message is
	 * used and not the slot, where a back end may have written by now. */
	viofs_fuse_classify(&r->conn, message, len, &slot->shape);
	slot->kernel_unique = 0;
	slot->since = viofs_now_ns();
	slot->read = slot->sent = viofs_ticks();
	return slot;
}

/* Return: 0; -EAGAIN: no room on the ring. */
static int submit_locked(struct viofs_relay *r, struct viofs_slot *slot, uint32_t nodes)
{
	if (viofs_enqueue(r, slot, VIOFS_FS_HIPRIO)) {
		viofs_slots_give(&r->hiprio.slots, slot);
		return -EAGAIN;
	}
	viofs_tap_sent(r->hiprio.capture, r, slot);
	notify_locked(r, nodes);
	publish_locked(r);
	return 0;
}

/*
 * @message: a FORGET or BATCH_FORGET of @nodes. @sending says so before it can be on the ring,
 * until the caller has noted that it is gone, and @after what is noted then. Return: 0; -EAGAIN: no
 * slot or no room.
 */
static int send_forget_locked(struct viofs_relay *r, const void *message, size_t len,
			      uint32_t nodes, struct viofs_sending *sending, uint32_t after)
{
	struct viofs_slot *slot = fill_slot_locked(r, message, len);

	if (!slot)
		return -EAGAIN;
	viofs_contents_forget(&r->hiprio.slots, message, len);
	sending->after = after;
	viofs_order();
	VIOFS_WRITE_ONCE(sending->unique, slot->device_unique);
	viofs_order();
	return submit_locked(r, slot, nodes);
}

static void keep_forgets_locked(struct viofs_relay *r, struct viofs_fuse_forgets *walk,
				struct viofs_sending *sending)
{
	struct viofs_hiprio *h = &r->hiprio;
	struct fuse_forget_one one;

	note_full_locked(h);
	while (viofs_fuse_forgets_one(walk, &one)) {
		r->stats->parked_total++;
		/* Before it is kept: one that is lost where the process dies in between costs the
		 * device memory until the end; one that is made twice frees what is in use. */
		sending->done++;
		viofs_order();
		if (!viofs_forgotten_add(&h->forgotten, &one))
			continue;
		if (viofs_is_power_of_2(++h->state->dropped))
			viofs_warn("the device takes no FORGETs, and more than %u wait: it was not "
				   "told of %llu",
				   h->state->forgotten, (unsigned long long)h->state->dropped);
	}
	publish_locked(r);
}

/* The device has them. */
static void note_sent(struct viofs_sending *sending)
{
	sending->done = sending->after;
	viofs_order();
	VIOFS_WRITE_ONCE(sending->unique, 0);
}

/*
 * A FORGET or a BATCH_FORGET of any length: in pieces that a slot holds, or to be kept. @sending:
 * how far it has come, by a process that died perhaps.
 */
static void send_forgets(struct viofs_relay *r, const void *message, size_t len,
			 struct viofs_sending *sending)
{
	union {
		struct fuse_in_header head;
		uint8_t bytes[VIOFS_FUSE_FORGET_BYTES];
	} piece;
	struct viofs_fuse_forgets walk, before;
	bool room = !r->hiprio.state->forgotten;

	if (viofs_fuse_forgets_start(&walk, message, len))
		return;
	viofs_fuse_forgets_skip(&walk, sending->done);
	for (before = walk; walk.left && room; before = room ? walk : before) {
		size_t n = viofs_fuse_forgets_next(&walk, &piece);

		uint32_t nodes = before.left - walk.left;

		room = !send_forget_locked(r, &piece, n, nodes, sending, sending->done + nodes);
		if (room)
			note_sent(sending);
		r->stats->forgets += room;
	}
	if (!room)
		keep_forgets_locked(r, &before, sending);
}

/*
 * The first lane may be asleep without a time-out, as it has nothing in flight itself. Wake it if
 * it has to watch the clock for what another lane has sent: completions without interrupts, and
 * time-outs.
 */
void viofs_hiprio_forget(struct viofs_lane *lane, const uint8_t *message, size_t len)
{
	struct viofs_relay *r = lane->relay;
	struct viofs_hiprio *h = &r->hiprio;
	bool idle, full;

	pthread_mutex_lock(&h->lock);
	idle = !ring_of(r)->shadow->in_flight;
	full = h->full_since;
	send_forgets(r, message, len, &lane->state->forgets);
	full = !full && h->full_since;
	pthread_mutex_unlock(&h->lock);
	if (!lane->hiprio && (full || (idle && !r->fs->vectors)))
		viofs_lane_wake(&r->lanes[0]);
}

void viofs_hiprio_keep_interrupt(struct viofs_lane *lane, struct viofs_slot *slot,
				 uint64_t kernel_unique)
{
	struct viofs_hiprio *h = &lane->relay->hiprio;
	struct viofs_interrupt *i = &h->interrupts[slot->index];
	int64_t due = viofs_now_ns() + (slot->interrupts ? 0 : VIOFS_INTERRUPT_HELD_NS);

	pthread_mutex_lock(&h->lock);
	h->interrupt_count += !i->device_unique;
	*i = (struct viofs_interrupt){
		.kernel_unique = kernel_unique,
		.device_unique = slot->device_unique,
		.due = due,
		.before = slot->interrupts,
	};
	if (due - h->next_due < 0)
		atomic_store_explicit(&h->next_due, due, memory_order_relaxed);
	publish_locked(lane->relay);
	pthread_mutex_unlock(&h->lock);
	if (slot->interrupts < INTERRUPTS_MAX)
		slot->interrupts++;
	if (!lane->hiprio)
		viofs_lane_wake(&lane->relay->lanes[0]);
}

void viofs_hiprio_unlinked(struct viofs_hiprio *h)
{
	/* Several lanes at once may exceed the bound, by at most one each. */
	if (atomic_load_explicit(&h->unlinks, memory_order_relaxed) < UNLINKS_MAX)
		atomic_fetch_add_explicit(&h->unlinks, 1, memory_order_relaxed);
}

static void drop_interrupt_locked(struct viofs_hiprio *h, struct viofs_interrupt *i)
{
	h->interrupt_count -= i->device_unique != 0;
	i->device_unique = 0;
}

void viofs_hiprio_settle(struct viofs_relay *r, const struct viofs_slot *slot)
{
	struct viofs_hiprio *h = &r->hiprio;

	pthread_mutex_lock(&h->lock);
	drop_interrupt_locked(h, &h->interrupts[slot->index]);
	publish_locked(r);
	pthread_mutex_unlock(&h->lock);
}

/* Return: 0; -EAGAIN: no slot or no room. */
static int send_interrupt_locked(struct viofs_relay *r, const struct viofs_interrupt *i)
{
	const struct {
		struct fuse_in_header head;
		struct fuse_interrupt_in in;
	} message = {
		.head = { .len = sizeof(message), .opcode = FUSE_INTERRUPT },
		.in = { .unique = i->device_unique },
	};
	struct viofs_slot *slot = fill_slot_locked(r, &message, sizeof(message));
	int rc;

	if (!slot)
		return -EAGAIN;
	slot->kernel_unique = i->kernel_unique;
	slot->device_unique = viofs_unique_interrupt(i->device_unique);
	slot->interrupts = i->before;
	rc = submit_locked(r, slot, 0);
	r->stats->interrupted += !rc;
	return rc;
}

/* Send the INTERRUPTs that are due. Return: 0; -EAGAIN: there was no room for one of them. */
static int send_interrupts_locked(struct viofs_relay *r, int64_t now)
{
	struct viofs_hiprio *h = &r->hiprio;
	int64_t next = INT64_MAX;
	int rc = 0;

	for (unsigned int n = 0, left = h->interrupt_count; left && !rc; n++) {
		struct viofs_interrupt *i = &h->interrupts[n];

		if (!i->device_unique)
			continue;
		left--;
		if (i->due - now > 0) {
			next = VIOFS_MIN(next, i->due);
			continue;
		}
		rc = send_interrupt_locked(r, i);
		if (!rc)
			drop_interrupt_locked(h, i);
	}
	/* If there is no room, they wait for a completion, not for the clock. */
	atomic_store_explicit(&h->next_due, rc ? INT64_MAX : next, memory_order_relaxed);
	return rc;
}

/* Return: 0; -EAGAIN: no room for all of them. */
static int send_forgotten_locked(struct viofs_relay *r)
{
	struct viofs_hiprio *h = &r->hiprio;
	_Alignas(struct fuse_in_header) uint8_t message[VIOFS_FUSE_FORGET_BYTES];
	struct viofs_fuse_forgets walk;

	while (h->state->forgotten) {
		uint32_t n = VIOFS_MIN(h->state->forgotten, VIOFS_FUSE_FORGET_COUNT);

		viofs_fuse_forgets_list(&walk, viofs_forgotten_last(&h->forgotten, n), n);
		if (send_forget_locked(r, message, viofs_fuse_forgets_next(&walk, message), n,
				       &h->state->sending, h->state->forgotten - n))
			return -EAGAIN;
		r->stats->forgets++;
		viofs_forgotten_drop(&h->forgotten, n);
		viofs_order();
		VIOFS_WRITE_ONCE(h->state->sending.unique, 0);
	}
	return 0;
}

void viofs_hiprio_send_kept(struct viofs_lane *lane)
{
	struct viofs_relay *r = lane->relay;
	struct viofs_hiprio *h = &r->hiprio;
	int64_t now = viofs_now_ns();

	if (!lane->freed && now - atomic_load_explicit(&h->next_due, memory_order_relaxed) < 0)
		return;
	pthread_mutex_lock(&h->lock);
	if (send_interrupts_locked(r, now) || send_forgotten_locked(r))
		note_full_locked(h);
	publish_locked(r);
	pthread_mutex_unlock(&h->lock);
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
	/* ENOSYS: the kernel never sends one again. EAGAIN: the kernel sends it again at once,
	 * while there is something to interrupt; the number of such answers is limited. */
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
		/* There is room now. */
		atomic_store_explicit(&h->full_since, 0, memory_order_relaxed);
		viofs_tap_done(h->capture, r, slot, len);
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
		return viofs_outcome_break(r, "virtqueue %d: %s", VIOFS_FS_HIPRIO,
					   viofs_ring_broken(ring_of(r)));
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
	if (ring_of(r)->shadow->in_flight)
		viofs_tap_kick_always(r->hiprio.capture, r->fs, VIOFS_FS_HIPRIO);
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
