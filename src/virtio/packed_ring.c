/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The packed form of a virtqueue, the driver's side (virtio 1.3 2.8). */
/*
 * Theory of operation
 *
 * One ring of descriptors, which both sides write, in turns: the driver makes descriptors available
 * at avail_idx, the device overwrites them with used ones at used_idx. Each side goes round in
 * order, and each has a wrap counter, true at first, that is inverted whenever its index starts
 * again from 0. A descriptor is available where its AVAIL mark is the driver's counter and USED is
 * not, and used where both are the device's counter (2.8.1). So no index is shared, and nobody
 * clears anything.
 *
 * A chain takes consecutive descriptors and one id, from a list of free ids that is linked through
 * state.next. The device writes one used descriptor for a chain and skips as many as the chain had
 * (2.8.6), in the order in which it completes. So used advances by state[id].count, and
 * free_count alone says whether there is room at avail. Ids are never short: each chain in
 * flight holds at least one descriptor.
 *
 * Nothing of a descriptor is read but what the device wrote there as a used one: flags, id, len.
 * The device can write in the ring at any time; all that it can do by that is to send itself
 * elsewhere than it was sent, and an IOMMU bounds where.
 *
 * Event suppression (2.8.10, 2.8.14): two structures of four bytes, one written by each side:
 * flags (enable, disable, or at a descriptor, with EVENT_IDX) and that descriptor's place with its
 * wrap counter. They are loaded and stored in one piece, so that neither side sees half.
 */
#include "base/barrier.h"
#include "virtio/ring_forms.h"

#include <assert.h>

#define EVENT_ENABLE 0U
#define EVENT_DISABLE 1U
#define EVENT_DESC 2U
#define EVENT_FLAGS_SHIFT 16
#define EVENT_FLAGS_MASK 3U
#define EVENT_WRAP 0x8000U
#define EVENT_BYTES 4

struct viofs_ring_layout viofs_packed_layout(uint16_t size)
{
	return (struct viofs_ring_layout){
		.desc = (size_t)size * sizeof(struct viofs_ring_packed_desc),
		.driver = EVENT_BYTES,
		.device = EVENT_BYTES,
		.desc_written = true,
	};
}

/* The place that an index says, and whether its wrap counter is set. */
static uint16_t place_of(uint16_t index)
{
	return index & (VIOFS_RING_WRAP - 1);
}

/* Marks of a descriptor that is made available at the index @avail. */
static unsigned int marks(uint16_t avail)
{
	return avail & VIOFS_RING_WRAP ? VIOFS_RING_PACKED_AVAIL : VIOFS_RING_PACKED_USED;
}

static uint16_t advance(const struct viofs_ring *r, uint16_t index, unsigned int by)
{
	unsigned int next = place_of(index) + by, wrap = index & VIOFS_RING_WRAP;

	if (next >= r->size) {
		next -= r->size;
		wrap ^= VIOFS_RING_WRAP;
	}
	return (uint16_t)(next | wrap);
}

/*
 * Write the chain from @avail on, all but the head's flags, and move @avail behind it.
 * Return: the head's flags.
 */
static unsigned int fill_direct(struct viofs_ring *r, const struct viofs_ring_chain *chain,
				uint16_t id, uint16_t *avail)
{
	unsigned int total = (unsigned int)chain->readable + chain->writable, head_flags = 0;
	struct viofs_ring_packed_desc *ring = r->desc;

	for (unsigned int i = 0; i < total; i++) {
		struct viofs_ring_packed_desc *desc = &ring[place_of(*avail)];
		const struct viofs_ring_piece *piece = &chain->pieces[i];
		unsigned int flags = viofs_ring_desc_flags(chain, i) | marks(*avail);

		assert(piece->len > 0);
		desc->addr = htole64(piece->iova);
		desc->len = htole32(piece->len);
		/* Only the id of the chain's last descriptor counts (2.8.6). */
		desc->id = htole16(id);
		if (i)
			VIOFS_WRITE_ONCE(desc->flags, htole16((uint16_t)flags));
		else
			head_flags = flags;
		*avail = advance(r, *avail, 1);
	}
	return head_flags;
}

static unsigned int fill_indirect(struct viofs_ring *r, const struct viofs_ring_chain *chain,
				  uint16_t id, uint16_t *avail)
{
	unsigned int total = (unsigned int)chain->readable + chain->writable;
	struct viofs_ring_packed_desc *table = (void *)chain->indirect, *ring = r->desc;
	struct viofs_ring_packed_desc *desc = &ring[place_of(*avail)];
	unsigned int flags = VIOFS_DESC_F_INDIRECT | marks(*avail);

	for (unsigned int i = 0; i < total; i++) {
		assert(chain->pieces[i].len > 0);
		/* No links in a table: its length says how many there are (2.8.7). */
		table[i] = (struct viofs_ring_packed_desc){
			.addr = htole64(chain->pieces[i].iova),
			.len = htole32(chain->pieces[i].len),
			.flags = htole16(i >= chain->readable ? VIOFS_DESC_F_WRITE : 0),
		};
	}
	desc->addr = htole64(chain->indirect_iova);
	desc->len = htole32((uint32_t)(total * sizeof(*table)));
	desc->id = htole16(id);
	*avail = advance(r, *avail, 1);
	return flags;
}

void viofs_packed_add(struct viofs_ring *r, const struct viofs_ring_chain *chain)
{
	struct viofs_ring_shadow *s = r->shadow;
	uint16_t id = s->free_head, avail = s->avail;
	struct viofs_ring_packed_desc *ring = r->desc, *head = &ring[place_of(avail)];
	unsigned int flags;

	flags = chain->indirect ? fill_indirect(r, chain, id, &avail)
				: fill_direct(r, chain, id, &avail);
	s->added += s->state[id].count;
	viofs_order();
	s->avail = avail;
	/*
	 * All of the chain, the table and the buffers' contents before the head's flags (2.8.21.1).
	 * Pairs with the device's read barrier between its load of those flags and of the rest. And
	 * loads of the reply that was in these buffers before, as in viofs_split_publish().
	 */
	viofs_release();
	VIOFS_WRITE_ONCE(head->flags, htole16((uint16_t)flags));
	viofs_order();
	s->free_head = s->state[id].next;
}

/* Both sides set AVAIL to the counter of their round, which before was the other one's. */
bool viofs_packed_is_published(const struct viofs_ring *r, uint16_t avail)
{
	const struct viofs_ring_packed_desc *ring = r->desc;
	unsigned int flags = le16toh(VIOFS_READ_ONCE(ring[place_of(avail)].flags));

	return !(flags & VIOFS_RING_PACKED_AVAIL) == !(avail & VIOFS_RING_WRAP);
}

bool viofs_packed_should_kick(struct viofs_ring *r)
{
	uint32_t added = r->shadow->added, event;
	uint16_t place, avail = r->shadow->avail;

	if (!added)
		return false;
	r->shadow->added = 0;
	/*
	 * The head's flags, stored in viofs_packed_add(), before the load of the device's event
	 * structure. Pairs with the device's full barrier between its store there and its last look
	 * at the ring before it sleeps (2.8.21.3.1): one of the two sees the other's store.
	 */
	viofs_mb();
	event = le32toh(VIOFS_READ_ONCE(*(const uint32_t *)r->device));
	if ((event >> EVENT_FLAGS_SHIFT & EVENT_FLAGS_MASK) != EVENT_DESC || !r->event_idx)
		return (event >> EVENT_FLAGS_SHIFT & EVENT_FLAGS_MASK) != EVENT_DISABLE;
	if (added >= r->size)
		return true; /* all places were passed, so the one that it asked for too */

	/* Put all places on one number line: those of the round before lie below 0. */
	place = event & (EVENT_WRAP - 1);
	if (!(event & EVENT_WRAP) != !(avail & VIOFS_RING_WRAP))
		place = (uint16_t)(place - r->size);
	return (uint16_t)(place_of(avail) - place - 1) < added;
}

/* Could the device have written so much? The caller rejects an id that doesn't exist. */
static bool is_possible(const struct viofs_ring *r, uint32_t id, uint32_t len)
{
	return id >= r->size || len <= r->shadow->state[id].writable;
}

int viofs_packed_peek(struct viofs_ring *r, uint32_t *id, uint32_t *len)
{
	const struct viofs_ring_packed_desc *ring = r->desc;
	const struct viofs_ring_packed_desc *desc = &ring[place_of(r->shadow->used)];
	unsigned int flags;

	if (!viofs_ring_has_used(r))
		return 0;
	/*
	 * The flags before the rest, and before the reply in the buffer. Pairs with the device's
	 * write barrier between its stores to those and to the flags (2.8.1).
	 */
	viofs_rmb();
	flags = le16toh(VIOFS_READ_ONCE(desc->flags));
	*id = le16toh(VIOFS_READ_ONCE(desc->id));
	*len = le32toh(VIOFS_READ_ONCE(desc->len));
	/*
	 * Without WRITE the length is reserved (2.8.4) and may be anything. But QEMU's devices
	 * never set WRITE, and their lengths are right. So a length counts if it is possible.
	 */
	if (!(flags & VIOFS_DESC_F_WRITE) && !is_possible(r, *id, *len))
		*len = 0;
	return 1;
}

void viofs_packed_take(struct viofs_ring *r, uint16_t id, uint16_t count)
{
	struct viofs_ring_shadow *s = r->shadow;

	s->used = advance(r, s->used, count);
	s->state[id].next = s->free_head;
	s->free_head = id;
}

static void set_event(struct viofs_ring *r, unsigned int flags, unsigned int place)
{
	VIOFS_WRITE_ONCE(*(uint32_t *)r->driver, htole32(flags << EVENT_FLAGS_SHIFT | place));
}

void viofs_packed_arm(struct viofs_ring *r)
{
	if (r->event_idx)
		set_event(r, EVENT_DESC, r->shadow->used);
	else
		set_event(r, EVENT_ENABLE, 0);
}

void viofs_packed_disarm(struct viofs_ring *r)
{
	set_event(r, EVENT_DISABLE, 0);
}
