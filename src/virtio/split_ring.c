/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A split virtqueue, the driver's side (virtio 1.3 2.7). */
/*
 * Theory of operation
 *
 * Three rings are shared with the device. The driver writes descriptors and the avail ring and
 * never reads them back: the device may have changed them, where it can write there at all. All
 * that the driver must remember of a chain is in state[], in memory of its own.
 *
 * A descriptor is free, a head in flight (state.count > 0), or a later part of a direct chain. Free
 * ones are linked through state.next from free_head. A chain takes its descriptors from the front
 * of that list, so the links of the list become the links of the chain, and stay what they are
 * until the chain comes back and is put in front again. With an indirect table a chain is its head
 * alone.
 *
 * What the device writes (used.idx, used elements, used.flags, avail_event) is loaded once,
 * checked, then used. The first lie marks the ring broken: from there on nothing is added and
 * nothing taken, since which buffers the device still has is not known any more. avail_event and
 * used.flags decide about notifications only, so a lie there costs a stall at most; the caller's
 * watchdog kicks again.
 *
 * Order. Each barrier below names the access of the device that it pairs with (2.7.13, 2.7.14). The
 * two full barriers are the classic store-then-load pairs of the notification suppression: each
 * side publishes its index, then looks whether the other wants to hear of it; without the barrier
 * both could look too early and sleep.
 *
 * Context: a ring belongs to one thread at a time; there are no locks here.
 */
#include "virtio/split_ring.h"

#include "base/barrier.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>

#define DESC_F_NEXT 1U
#define DESC_F_WRITE 2U
#define DESC_F_INDIRECT 4U
#define AVAIL_F_NO_INTERRUPT 1U
#define USED_F_NO_NOTIFY 1U

/* Both rings begin with flags and idx (2.7.6, 2.7.8), counted in 16-bit words here. */
#define RING_FLAGS 0
#define RING_IDX 1
#define RING_HEAD 2
#define USED_ELEM_WORDS 4

/* End of the free list and of a chain; no index, since sizes end at 32768. */
#define NO_NEXT 0xffffU

/* One element of the used ring (2.7.8). */
struct used_elem {
	uint32_t id;
	uint32_t len;
};

size_t viofs_ring_desc_bytes(uint16_t size)
{
	return (size_t)size * sizeof(struct viofs_ring_desc);
}

size_t viofs_ring_avail_bytes(uint16_t size)
{
	/* flags, idx, ring[size], used_event */
	return (RING_HEAD + (size_t)size + 1) * sizeof(uint16_t);
}

size_t viofs_ring_used_bytes(uint16_t size)
{
	/* flags, idx, elements[size], avail_event */
	return (RING_HEAD + (size_t)size * USED_ELEM_WORDS + 1) * sizeof(uint16_t);
}

static int mark_broken(struct viofs_ring *r, const char *why)
{
	r->broken = why;
	return -EPROTO;
}

static void set_used_event(struct viofs_ring *r, uint16_t event)
{
	VIOFS_WRITE_ONCE(r->avail[RING_HEAD + r->size], htole16(event));
}

void viofs_ring_init(struct viofs_ring *r, uint16_t size, bool event_idx, void *desc, void *avail,
		     void *used, struct viofs_ring_state *state)
{
	assert(viofs_is_power_of_2(size) && size <= VIOFS_RING_SIZE_MAX);

	*r = (struct viofs_ring){
		.desc = desc,
		.avail = avail,
		.used = used,
		.state = state,
		.size = size,
		.event_idx = event_idx,
		.free_head = 0,
		.free_count = size,
	};
	for (unsigned int i = 0; i < size; i++)
		state[i] = (struct viofs_ring_state){
			.next = i + 1 < size ? (uint16_t)(i + 1) : NO_NEXT,
		};
	viofs_ring_disarm(r);
}

static uint32_t writable_bytes(const struct viofs_ring_chain *chain)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < chain->writable; i++)
		sum += chain->pieces[chain->readable + i].len;
	assert(sum <= UINT32_MAX); /* 2.7.5: no chain is longer than 2^32 bytes */
	return (uint32_t)sum;
}

/* Descriptor @i of the chain's @total, with the link to @next. */
static struct viofs_ring_desc make_desc(const struct viofs_ring_chain *chain, unsigned int i,
					unsigned int total, uint16_t next)
{
	const struct viofs_ring_piece *piece = &chain->pieces[i];
	unsigned int flags = i >= chain->readable ? DESC_F_WRITE : 0;
	bool last = i + 1 == total;

	assert(piece->len > 0);
	if (!last)
		flags |= DESC_F_NEXT;
	return (struct viofs_ring_desc){
		.addr = htole64(piece->iova),
		.len = htole32(piece->len),
		.flags = htole16((uint16_t)flags),
		.next = htole16(last ? 0 : next),
	};
}

/* Write the chain from the free list on. Return: the descriptor after the last one taken. */
static uint16_t fill_direct(struct viofs_ring *r, const struct viofs_ring_chain *chain,
			    unsigned int total)
{
	uint16_t at = r->free_head;

	for (unsigned int i = 0; i < total; i++) {
		uint16_t next = r->state[at].next;

		r->desc[at] = make_desc(chain, i, total, next);
		at = next;
	}
	return at;
}

static uint16_t fill_indirect(struct viofs_ring *r, const struct viofs_ring_chain *chain,
			      unsigned int total)
{
	for (unsigned int i = 0; i < total; i++)
		chain->indirect[i] = make_desc(chain, i, total, (uint16_t)(i + 1));

	r->desc[r->free_head] = (struct viofs_ring_desc){
		.addr = htole64(chain->indirect_iova),
		.len = htole32((uint32_t)(total * sizeof(struct viofs_ring_desc))),
		.flags = htole16(DESC_F_INDIRECT),
	};
	return r->state[r->free_head].next;
}

static void publish(struct viofs_ring *r, uint16_t head)
{
	VIOFS_WRITE_ONCE(r->avail[RING_HEAD + (r->avail_idx & (r->size - 1))], htole16(head));
	r->avail_idx++;
	/*
	 * Descriptors, indirect table, the buffers' contents and the avail entry before avail.idx
	 * (2.7.13.3.1). Pairs with the device's read barrier between its load of avail.idx and of
	 * the entry.
	 */
	viofs_wmb();
	VIOFS_WRITE_ONCE(r->avail[RING_IDX], htole16(r->avail_idx));
}

int viofs_ring_add(struct viofs_ring *r, const struct viofs_ring_chain *chain)
{
	unsigned int total = (unsigned int)chain->readable + chain->writable;
	unsigned int need = chain->indirect ? 1 : total;
	struct viofs_ring_state *s;
	uint32_t writable;
	uint16_t head;

	assert(total > 0);
	if (r->broken)
		return -EPIPE;
	if (total > r->size)
		return -EMSGSIZE;
	if (need > r->free_count)
		return -ENOSPC;

	writable = writable_bytes(chain);
	head = r->free_head;
	r->free_head =
		chain->indirect ? fill_indirect(r, chain, total) : fill_direct(r, chain, total);
	r->free_count = (uint16_t)(r->free_count - need);
	r->in_flight++;

	s = &r->state[head];
	s->token = chain->token;
	s->writable = writable;
	s->count = (uint16_t)need;

	publish(r, head);
	return 0;
}

bool viofs_ring_should_kick(struct viofs_ring *r)
{
	uint16_t added = (uint16_t)(r->avail_idx - r->kicked_idx);
	uint16_t event;

	if (!added || r->broken)
		return false;
	r->kicked_idx = r->avail_idx;
	/*
	 * avail.idx, stored in publish(), before the load of avail_event or used.flags. Pairs with
	 * the device's full barrier between its store to avail_event (or of flags without
	 * NO_NOTIFY) and its last look at avail.idx before it sleeps: one of the two sees the
	 * other's store.
	 */
	viofs_mb();
	if (!r->event_idx)
		return !(le16toh(VIOFS_READ_ONCE(r->used[RING_FLAGS])) & USED_F_NO_NOTIFY);

	/* 2.7.10: did the entries just added pass the one the device asked to hear of? */
	event = le16toh(VIOFS_READ_ONCE(r->used[RING_HEAD + r->size * USED_ELEM_WORDS]));
	return (uint16_t)(r->avail_idx - event - 1) < added;
}

/* Put the chain of @head, @s->count long, back in front of the free list. */
static void release(struct viofs_ring *r, uint16_t head)
{
	struct viofs_ring_state *s = &r->state[head];
	uint16_t last = head;

	for (unsigned int i = 1; i < s->count; i++)
		last = r->state[last].next;
	r->state[last].next = r->free_head;
	r->free_head = head;
	r->free_count = (uint16_t)(r->free_count + s->count);
	s->count = 0;
}

int viofs_ring_get(struct viofs_ring *r, uint32_t *token, uint32_t *len)
{
	const struct used_elem *elems = (const void *)&r->used[RING_HEAD];
	const struct used_elem *elem;
	const struct viofs_ring_state *s;
	uint32_t id, written;
	uint16_t pending;

	if (r->broken)
		return -EPROTO;
	pending = (uint16_t)(le16toh(VIOFS_READ_ONCE(r->used[RING_IDX])) - r->used_idx);
	if (!pending)
		return 0;
	if (pending > r->in_flight)
		return mark_broken(r, "used.idx says more completions than there are requests in "
				      "flight");
	/*
	 * used.idx before the element, and before the reply in the buffer. Pairs with the device's
	 * write barrier between its stores to those and to used.idx (2.7.8).
	 */
	viofs_rmb();
	elem = &elems[r->used_idx & (r->size - 1)];
	id = le32toh(VIOFS_READ_ONCE(elem->id));
	written = le32toh(VIOFS_READ_ONCE(elem->len));

	if (id >= r->size)
		return mark_broken(r, "a used element's id is outside the queue");
	s = &r->state[id];
	if (!s->count)
		return mark_broken(r, "a used element's id is no chain in flight (not a head, or "
				      "completed twice)");
	if (written > s->writable)
		return mark_broken(r, "a used element's len is more than the device may write");

	*token = s->token;
	*len = written;
	release(r, (uint16_t)id);
	r->in_flight--;
	r->used_idx++;
	return 1;
}

bool viofs_ring_arm(struct viofs_ring *r)
{
	if (r->event_idx)
		set_used_event(r, r->used_idx);
	else
		VIOFS_WRITE_ONCE(r->avail[RING_FLAGS], 0);
	/*
	 * used_event, or flags, before the look at used.idx. Pairs with the device's full barrier
	 * between its store to used.idx and its load of used_event or avail.flags: either the
	 * device sees that we wait, or we see its completion here.
	 */
	viofs_mb();
	return r->broken || viofs_ring_has_used(r);
}

void viofs_ring_disarm(struct viofs_ring *r)
{
	/*
	 * With EVENT_IDX flags stay 0 (2.7.7.1), and there is no "never": half the index space
	 * ahead is as far as it gets, on both sides of where the device may just be deciding.
	 */
	if (r->event_idx)
		set_used_event(r, (uint16_t)(r->used_idx + 0x8000));
	else
		VIOFS_WRITE_ONCE(r->avail[RING_FLAGS], htole16(AVAIL_F_NO_INTERRUPT));
}
