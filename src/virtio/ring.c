/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A virtqueue, the driver's side: what split and packed rings have in common. */
/*
 * Theory of operation
 *
 * A ring's parts are shared with the device. The driver writes descriptors and never reads back
 * what it wrote: the device may have changed it, where it can write there at all. All that the
 * driver must remember of a chain is in state[], in memory of its own, found by the id that the
 * device gives back (split: the chain's first descriptor; packed: a number of the driver's choice).
 *
 * What the device writes is loaded once, checked, then used. The first lie marks the ring broken:
 * from there on nothing is added and nothing taken, since it isn't known any more which buffers the
 * device still has. What it writes about notifications decides about those only, so a lie there
 * costs a stall at most; the caller's watchdog kicks again.
 *
 * The two forms are split_ring.c and packed_ring.c, twins behind ring_forms.h. They are told apart
 * by a flag.
 *
 * The shadow outlives the process. Another one goes on with it (viofs_ring_adopt()), at other
 * addresses, and believes nothing of it: whoever wrote it may have been taken over by the device.
 * It may have died between any two stores. So their order is part of the format:
 *
 *   add    state[free_head] with its count last | the ring, which nobody looks at yet | avail |
 *          published | free_head
 *   take   count = 0 | free_head, used
 *
 * A chain at free_head was being added: it is undone where avail doesn't have it, or where the
 * device can't see it (packed; a split ring is simply published again). One that was being taken is
 * gone as soon as its count is 0; used follows from avail and the counts.
 *
 * Context: a ring belongs to one thread at a time; there are no locks here.
 */
#include "virtio/ring.h"

#include "base/barrier.h"
#include "base/util.h"
#include "virtio/ring_forms.h"

#include <assert.h>
#include <errno.h>

struct viofs_ring_layout viofs_ring_layout(uint16_t size, unsigned int flags)
{
	return flags & VIOFS_RING_PACKED ? viofs_packed_layout(size) : viofs_split_layout(size);
}

const char *viofs_ring_broken(const struct viofs_ring *r)
{
	static const char *const texts[VIOFS_RING_FAULTS] = {
		[VIOFS_RING_BAD_ID] = "a used entry's id is outside the queue",
		[VIOFS_RING_NOT_IN_FLIGHT] = "a used entry's id is no chain in flight (not a head, "
					     "or completed twice)",
		[VIOFS_RING_BAD_LEN] = "a used entry's len is more than the device may write",
		[VIOFS_RING_BAD_IDX] = "used.idx says more completions than there are requests in "
				       "flight",
	};
	unsigned int fault = r->shadow->fault;

	return texts[VIOFS_MIN(fault, VIOFS_RING_FAULTS - 1U)];
}

static void set_parts(struct viofs_ring *r, uint16_t size, unsigned int flags, void *desc,
		      void *driver, void *device, struct viofs_ring_shadow *shadow)
{
	assert(size && size <= VIOFS_RING_SIZE_MAX);
	assert(flags & VIOFS_RING_PACKED || viofs_is_power_of_2(size));

	*r = (struct viofs_ring){
		.desc = desc,
		.driver = driver,
		.device = device,
		.shadow = shadow,
		.size = size,
		.event_idx = flags & VIOFS_RING_EVENT_IDX,
		.packed = flags & VIOFS_RING_PACKED,
	};
}

void viofs_ring_init(struct viofs_ring *r, uint16_t size, unsigned int flags, void *desc,
		     void *driver, void *device, struct viofs_ring_shadow *s)
{
	set_parts(r, size, flags, desc, driver, device, s);
	*s = (struct viofs_ring_shadow){
		.size = size,
		.flags = (uint16_t)flags,
		.avail = r->packed ? VIOFS_RING_WRAP : 0,
		.used = r->packed ? VIOFS_RING_WRAP : 0,
		.free_head = 0,
		.free_count = size,
	};
	for (unsigned int i = 0; i < size; i++)
		s->state[i] = (struct viofs_ring_state){
			.next = i + 1 < size ? (uint16_t)(i + 1) : VIOFS_RING_NO_NEXT,
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

int viofs_ring_add(struct viofs_ring *r, const struct viofs_ring_chain *chain)
{
	unsigned int total = (unsigned int)chain->readable + chain->writable;
	unsigned int need = chain->indirect ? 1 : total;
	struct viofs_ring_shadow *s = r->shadow;
	struct viofs_ring_state *head;

	assert(total > 0);
	if (s->fault)
		return -EPIPE;
	if (total > r->size)
		return -EMSGSIZE;
	if (need > s->free_count)
		return -ENOSPC;

	head = &s->state[s->free_head];
	head->token = chain->token;
	head->writable = writable_bytes(chain);
	viofs_order();
	head->count = (uint16_t)need;
	viofs_order();
	s->free_count = (uint16_t)(s->free_count - need);
	s->in_flight++;
	if (r->packed)
		viofs_packed_add(r, chain);
	else
		viofs_split_add(r, chain);
	return 0;
}

bool viofs_ring_should_kick(struct viofs_ring *r)
{
	if (r->shadow->fault)
		return false;
	return r->packed ? viofs_packed_should_kick(r) : viofs_split_should_kick(r);
}

int viofs_ring_peek(struct viofs_ring *r, struct viofs_ring_used *used)
{
	struct viofs_ring_shadow *s = r->shadow;
	const struct viofs_ring_state *head;
	uint32_t id = 0, written = 0;
	int rc;

	if (s->fault)
		return -EPROTO;
	rc = r->packed ? viofs_packed_peek(r, &id, &written) : viofs_split_peek(r, &id, &written);
	if (rc <= 0)
		return rc;
	if (id >= r->size)
		return viofs_ring_break(r, VIOFS_RING_BAD_ID);
	head = &s->state[id];
	if (!head->count)
		return viofs_ring_break(r, VIOFS_RING_NOT_IN_FLIGHT);
	if (written > head->writable)
		return viofs_ring_break(r, VIOFS_RING_BAD_LEN);

	*used = (struct viofs_ring_used){ id, head->token, written };
	return 1;
}

void viofs_ring_pop(struct viofs_ring *r, const struct viofs_ring_used *used)
{
	struct viofs_ring_shadow *s = r->shadow;
	struct viofs_ring_state *head = &s->state[used->id];
	uint16_t count = head->count;

	head->count = 0;
	viofs_order();
	s->in_flight--;
	s->free_count = (uint16_t)(s->free_count + count);
	if (r->packed)
		viofs_packed_take(r, (uint16_t)used->id, count);
	else
		viofs_split_take(r, (uint16_t)used->id, count);
}

int viofs_ring_get(struct viofs_ring *r, uint32_t *token, uint32_t *len)
{
	struct viofs_ring_used used;
	int rc = viofs_ring_peek(r, &used);

	if (rc <= 0)
		return rc;
	viofs_ring_pop(r, &used);
	*token = used.token;
	*len = used.len;
	return 1;
}

bool viofs_ring_arm(struct viofs_ring *r)
{
	if (r->packed)
		viofs_packed_arm(r);
	else
		viofs_split_arm(r);
	/*
	 * Our request for an interrupt before the look at the ring. Pairs with the device's full
	 * barrier between its store of a used entry (split: of used.idx) and its load of our
	 * request: either the device sees that we wait, or we see its completion here.
	 */
	viofs_mb();
	return r->shadow->fault || viofs_ring_has_used(r);
}

void viofs_ring_disarm(struct viofs_ring *r)
{
	if (r->packed)
		viofs_packed_disarm(r);
	else
		viofs_split_disarm(r);
}

bool viofs_ring_next_chain(const struct viofs_ring *r, uint32_t *at, uint32_t *token,
			   uint32_t *writable)
{
	while (*at < r->size) {
		const struct viofs_ring_state *head = &r->shadow->state[(*at)++];

		if (!head->count)
			continue;
		*token = head->token;
		*writable = head->writable;
		return true;
	}
	return false;
}

/* The descriptors, or ids, that are in use. */
struct taken {
	uint8_t bits[VIOFS_RING_SIZE_MAX / 8];
	uint32_t chains, descriptors;
};

static bool is_taken(const struct taken *t, uint32_t i)
{
	return t->bits[i / 8] >> i % 8 & 1;
}

static bool mark(struct taken *t, uint32_t i)
{
	if (is_taken(t, i))
		return false;
	t->bits[i / 8] |= (uint8_t)(1U << i % 8);
	return true;
}

/* Those of the chain at @head, each a descriptor of its own. In a packed ring a chain is one id. */
static bool mark_chain(const struct viofs_ring *r, struct taken *t, uint32_t head)
{
	const struct viofs_ring_state *state = r->shadow->state;
	uint32_t at = head;

	if (!mark(t, head))
		return false;
	for (unsigned int i = 1; !r->packed && i < state[head].count; i++) {
		at = state[at].next;
		if (at >= r->size || !mark(t, at))
			return false;
	}
	t->chains++;
	t->descriptors += state[head].count;
	return t->descriptors <= r->size;
}

/* Entries of the ring from used to avail. Return: -1: these are no indexes. */
static int distance_of(const struct viofs_ring *r)
{
	uint16_t avail = r->shadow->avail, used = r->shadow->used;
	int distance = (avail & ~VIOFS_RING_WRAP) - (used & ~VIOFS_RING_WRAP);

	if (!r->packed)
		return (uint16_t)(avail - used);
	if ((avail & ~VIOFS_RING_WRAP) >= r->size || (used & ~VIOFS_RING_WRAP) >= r->size)
		return -1;
	return (avail ^ used) & VIOFS_RING_WRAP ? distance + r->size : distance;
}

/* The index that is @by entries before avail. */
static uint16_t before_avail(const struct viofs_ring *r, uint32_t by)
{
	uint16_t avail = r->shadow->avail, place = avail & (VIOFS_RING_WRAP - 1);

	if (!r->packed)
		return (uint16_t)(avail - by);
	if (by <= place)
		return (uint16_t)(avail - by);
	return (uint16_t)((place + r->size - by) | (~avail & VIOFS_RING_WRAP));
}

/* The chain that was being added, if the device can't see it yet. */
static void undo_add(const struct viofs_ring *r)
{
	struct viofs_ring_shadow *s = r->shadow;
	struct taken t = { .chains = 0 };
	uint16_t head = s->free_head, begin;
	uint32_t all;

	if (head >= r->size || !s->state[head].count)
		return;
	for (uint32_t i = 0; i < r->size; i++)
		if (s->state[i].count && !mark_chain(r, &t, i))
			return; /* to be found once more */
	all = r->packed ? t.descriptors : t.chains;
	if (distance_of(r) != (int)all) {
		s->state[head].count = 0;
	} else if (r->packed) {
		begin = before_avail(r, s->state[head].count);
		if (viofs_packed_is_published(r, begin))
			return;
		s->state[head].count = 0;
		s->avail = begin;
	}
}

/* The chains between the two indexes must be exactly those that the device has. */
static bool follow_avail(const struct viofs_ring *r, const struct taken *t)
{
	uint32_t all = r->packed ? t->descriptors : t->chains;
	int distance = distance_of(r), most = (int)all + (r->packed ? r->size : 1);

	if (distance < (int)all || distance > most || distance > r->size)
		return false;
	r->shadow->used = before_avail(r, all);
	return true;
}

static void rebuild_free_list(const struct viofs_ring *r, const struct taken *t)
{
	struct viofs_ring_shadow *s = r->shadow;

	s->free_head = VIOFS_RING_NO_NEXT;
	for (uint32_t i = r->size; i-- > 0;) {
		if (is_taken(t, i))
			continue;
		s->state[i].next = s->free_head;
		s->free_head = (uint16_t)i;
	}
	s->free_count = (uint16_t)(r->size - t->descriptors);
	s->in_flight = (uint16_t)t->chains;
}

int viofs_ring_adopt(struct viofs_ring *r, uint16_t size, unsigned int flags, void *desc,
		     void *driver, void *device, struct viofs_ring_shadow *s)
{
	struct taken taken = { .chains = 0 };

	if (s->size != size || s->flags != flags || s->fault >= VIOFS_RING_FAULTS)
		return -EPROTO;
	set_parts(r, size, flags, desc, driver, device, s);
	undo_add(r);
	for (uint32_t i = 0; i < size; i++)
		if (s->state[i].count && !mark_chain(r, &taken, i))
			return -EPROTO;
	if (!follow_avail(r, &taken))
		return -EPROTO;
	rebuild_free_list(r, &taken);
	s->kicked = s->avail;
	s->added = 0;
	if (!r->packed)
		viofs_split_publish(r);
	viofs_ring_disarm(r);
	return 0;
}
