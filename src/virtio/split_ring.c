/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The split form of a virtqueue, the driver's side (virtio 1.3 2.7). */
/*
 * Theory of operation
 *
 * Three rings: descriptors, avail (the driver's), used (the device's). A descriptor is free, a head
 * in flight (state.count > 0), or a later part of a direct chain. Free ones are linked through
 * state.next from free_head. A chain takes its descriptors from the front of that list, so the
 * links of the list become the links of the chain, and stay what they are until the chain comes
 * back and is put in front again. With an indirect table a chain is its head alone.
 *
 * Order. Each barrier below names the access of the device that it pairs with (2.7.13, 2.7.14). The
 * full barriers, here and in viofs_ring_arm(), are the classic store-then-load pairs of the
 * notification suppression: each side publishes its index, then looks whether the other wants to
 * hear of it; without the barrier both could look too early and sleep. rings.pml checks it all.
 */
#include "base/barrier.h"
#include "virtio/ring_forms.h"

#include <assert.h>

#define AVAIL_F_NO_INTERRUPT 1U
#define USED_F_NO_NOTIFY 1U

/* Both rings begin with flags and idx (2.7.6, 2.7.8), counted in 16-bit words here. */
#define RING_FLAGS 0
#define RING_IDX 1
#define RING_HEAD 2
#define USED_ELEM_WORDS 4

/* One element of the used ring (2.7.8). */
struct used_elem {
	uint32_t id;
	uint32_t len;
};

struct viofs_ring_layout viofs_split_layout(uint16_t size)
{
	return (struct viofs_ring_layout){
		.desc = (size_t)size * sizeof(struct viofs_ring_desc),
		/* flags, idx, ring[size], used_event */
		.driver = (RING_HEAD + (size_t)size + 1) * sizeof(uint16_t),
		/* flags, idx, elements[size], avail_event */
		.device = (RING_HEAD + (size_t)size * USED_ELEM_WORDS + 1) * sizeof(uint16_t),
	};
}

static uint16_t *avail_of(struct viofs_ring *r)
{
	return r->driver;
}

static const uint16_t *used_of(const struct viofs_ring *r)
{
	return r->device;
}

static void set_used_event(struct viofs_ring *r, uint16_t event)
{
	VIOFS_WRITE_ONCE(avail_of(r)[RING_HEAD + r->size], htole16(event));
}

/* Descriptor @i of the chain, with the link to @next. */
static struct viofs_ring_desc make_desc(const struct viofs_ring_chain *chain, unsigned int i,
					uint16_t next)
{
	const struct viofs_ring_piece *piece = &chain->pieces[i];
	unsigned int flags = viofs_ring_desc_flags(chain, i);

	assert(piece->len > 0);
	return (struct viofs_ring_desc){
		.addr = htole64(piece->iova),
		.len = htole32(piece->len),
		.flags = htole16((uint16_t)flags),
		.next = htole16(flags & VIOFS_DESC_F_NEXT ? next : 0),
	};
}

/* Write the chain from the free list on. Return: the descriptor after the last one taken. */
static uint16_t fill_direct(struct viofs_ring *r, const struct viofs_ring_chain *chain)
{
	unsigned int total = (unsigned int)chain->readable + chain->writable;
	struct viofs_ring_desc *desc = r->desc;
	uint16_t at = r->shadow->free_head;

	for (unsigned int i = 0; i < total; i++) {
		uint16_t next = r->shadow->state[at].next;

		desc[at] = make_desc(chain, i, next);
		at = next;
	}
	return at;
}

static uint16_t fill_indirect(struct viofs_ring *r, const struct viofs_ring_chain *chain)
{
	const unsigned int readable = chain->readable, total = readable + chain->writable;
	const struct viofs_ring_piece *piece = chain->pieces;
	struct viofs_ring_desc *desc = r->desc, *table = chain->indirect;
	uint16_t head = r->shadow->free_head;

	/* Each links to the next one; the device looks when all is done. */
	for (unsigned int i = 0; i < total; i++) {
		assert(piece[i].len > 0);
		table[i] = (struct viofs_ring_desc){
			.addr = htole64(piece[i].iova),
			.len = htole32(piece[i].len),
			.flags = htole16(i < readable ? VIOFS_DESC_F_NEXT
						      : VIOFS_DESC_F_NEXT | VIOFS_DESC_F_WRITE),
			.next = htole16((uint16_t)(i + 1)),
		};
	}
	table[total - 1].flags = htole16(readable < total ? VIOFS_DESC_F_WRITE : 0);
	table[total - 1].next = 0;
	desc[head] = (struct viofs_ring_desc){
		.addr = htole64(chain->indirect_iova),
		.len = htole32((uint32_t)(total * sizeof(struct viofs_ring_desc))),
		.flags = htole16(VIOFS_DESC_F_INDIRECT),
	};
	return r->shadow->state[head].next;
}

static void publish(struct viofs_ring *r)
{
	/*
	 * Descriptors, indirect table, the buffers' contents and the avail entry before avail.idx
	 * (2.7.13.3.1). Pairs with the device's read barrier between its load of avail.idx and of
	 * the entry. Loads as well: of the reply that was in these buffers before, which the device
	 * may overwrite as soon as it sees the index.
	 */
	viofs_release();
	VIOFS_WRITE_ONCE(avail_of(r)[RING_IDX], htole16(r->shadow->avail));
}

void viofs_split_add(struct viofs_ring *r, const struct viofs_ring_chain *chain)
{
	struct viofs_ring_shadow *s = r->shadow;
	uint16_t head = s->free_head, next;

	next = chain->indirect ? fill_indirect(r, chain) : fill_direct(r, chain);
	VIOFS_WRITE_ONCE(avail_of(r)[RING_HEAD + (s->avail & (r->size - 1))], htole16(head));
	viofs_order();
	s->avail++;
	publish(r);
	viofs_order();
	s->free_head = next;
}

void viofs_split_publish(struct viofs_ring *r)
{
	publish(r);
}

bool viofs_split_should_kick(struct viofs_ring *r)
{
	struct viofs_ring_shadow *s = r->shadow;
	uint16_t added = (uint16_t)(s->avail - s->kicked);
	const uint16_t *used = used_of(r);
	uint16_t event;

	if (!added)
		return false;
	s->kicked = s->avail;
	/*
	 * avail.idx, stored in publish(), before the load of avail_event or used.flags.
	 * Pairs with the device's full barrier between its store to avail_event (or of flags
	 * without NO_NOTIFY) and its last look at avail.idx before it sleeps: one of the two sees
	 * the other's store.
	 */
	viofs_mb();
	if (!r->event_idx)
		return !(le16toh(VIOFS_READ_ONCE(used[RING_FLAGS])) & USED_F_NO_NOTIFY);

	/* 2.7.10: did the entries just added pass the one the device asked to hear of? */
	event = le16toh(VIOFS_READ_ONCE(used[RING_HEAD + r->size * USED_ELEM_WORDS]));
	return (uint16_t)(s->avail - event - 1) < added;
}

int viofs_split_peek(struct viofs_ring *r, uint32_t *id, uint32_t *len)
{
	const struct used_elem *elems = (const void *)&used_of(r)[RING_HEAD];
	const struct used_elem *elem;
	uint16_t pending;

	pending = (uint16_t)(le16toh(VIOFS_READ_ONCE(used_of(r)[RING_IDX])) - r->shadow->used);
	if (!pending)
		return 0;
	if (pending > r->shadow->in_flight)
		return viofs_ring_break(r, VIOFS_RING_BAD_IDX);
	/*
	 * used.idx before the element, and before the reply in the buffer. Pairs with the device's
	 * write barrier between its stores to those and to used.idx (2.7.8).
	 */
	viofs_rmb();
	elem = &elems[r->shadow->used & (r->size - 1)];
	*id = le32toh(VIOFS_READ_ONCE(elem->id));
	*len = le32toh(VIOFS_READ_ONCE(elem->len));
	return 1;
}

/* Put the chain of @id back in front of the free list. */
void viofs_split_take(struct viofs_ring *r, uint16_t id, uint16_t count)
{
	struct viofs_ring_shadow *s = r->shadow;
	uint16_t last = id;

	for (unsigned int i = 1; i < count; i++)
		last = s->state[last].next;
	s->state[last].next = s->free_head;
	s->free_head = id;
	s->used++;
}

void viofs_split_arm(struct viofs_ring *r)
{
	if (r->event_idx)
		set_used_event(r, r->shadow->used);
	else
		VIOFS_WRITE_ONCE(avail_of(r)[RING_FLAGS], 0);
}

void viofs_split_disarm(struct viofs_ring *r)
{
	/*
	 * With EVENT_IDX flags stay 0 (2.7.7.1), and no event index means "never". The farthest one
	 * is half the index space ahead.
	 */
	if (r->event_idx)
		set_used_event(r, (uint16_t)(r->shadow->used + 0x8000));
	else
		VIOFS_WRITE_ONCE(avail_of(r)[RING_FLAGS], htole16(AVAIL_F_NO_INTERRUPT));
}
