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
 * from there on nothing is added and nothing taken, since which buffers the device still has is not
 * known any more. What it writes about notifications decides about those only, so a lie there costs
 * a stall at most; the caller's watchdog kicks again.
 *
 * The two forms are split_ring.c and packed_ring.c, twins behind ring_forms.h. They are told apart
 * by a flag and not by function pointers: the struct outlives the process that made it.
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

int viofs_ring_break(struct viofs_ring *r, const char *why)
{
	r->broken = why;
	return -EPROTO;
}

void viofs_ring_init(struct viofs_ring *r, uint16_t size, unsigned int flags, void *desc,
		     void *driver, void *device, struct viofs_ring_state *state)
{
	assert(size && size <= VIOFS_RING_SIZE_MAX);
	assert(flags & VIOFS_RING_PACKED || viofs_is_power_of_2(size));

	*r = (struct viofs_ring){
		.desc = desc,
		.driver = driver,
		.device = device,
		.state = state,
		.size = size,
		.event_idx = flags & VIOFS_RING_EVENT_IDX,
		.packed = flags & VIOFS_RING_PACKED,
		.free_head = 0,
		.free_count = size,
	};
	for (unsigned int i = 0; i < size; i++)
		state[i] = (struct viofs_ring_state){
			.next = i + 1 < size ? (uint16_t)(i + 1) : VIOFS_RING_NO_NEXT,
		};
	if (r->packed)
		viofs_packed_init(r);
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
	struct viofs_ring_state *s;

	assert(total > 0);
	if (r->broken)
		return -EPIPE;
	if (total > r->size)
		return -EMSGSIZE;
	if (need > r->free_count)
		return -ENOSPC;

	s = &r->state[r->free_head];
	s->token = chain->token;
	s->writable = writable_bytes(chain);
	s->count = (uint16_t)need;
	r->free_count = (uint16_t)(r->free_count - need);
	r->in_flight++;
	if (r->packed)
		viofs_packed_add(r, chain);
	else
		viofs_split_add(r, chain);
	return 0;
}

bool viofs_ring_should_kick(struct viofs_ring *r)
{
	if (r->broken)
		return false;
	return r->packed ? viofs_packed_should_kick(r) : viofs_split_should_kick(r);
}

int viofs_ring_get(struct viofs_ring *r, uint32_t *token, uint32_t *len)
{
	const struct viofs_ring_state *s;
	uint32_t id = 0, written = 0;
	int rc;

	if (r->broken)
		return -EPROTO;
	rc = r->packed ? viofs_packed_peek(r, &id, &written) : viofs_split_peek(r, &id, &written);
	if (rc <= 0)
		return rc;
	if (id >= r->size)
		return viofs_ring_break(r, "a used entry's id is outside the queue");
	s = &r->state[id];
	if (!s->count)
		return viofs_ring_break(r,
					"a used entry's id is no chain in flight (not a head, or "
					"completed twice)");
	if (written > s->writable)
		return viofs_ring_break(r, "a used entry's len is more than the device may write");

	*token = s->token;
	*len = written;
	r->in_flight--;
	r->free_count = (uint16_t)(r->free_count + s->count);
	if (r->packed)
		viofs_packed_take(r, (uint16_t)id);
	else
		viofs_split_take(r, (uint16_t)id);
	return 1;
}

bool viofs_ring_arm(struct viofs_ring *r)
{
	if (r->packed)
		viofs_packed_arm(r);
	else
		viofs_split_arm(r);
	/*
	 * What we ask for, before the look at the ring. Pairs with the device's full barrier
	 * between its store of a used entry (split: of used.idx) and its load of what we ask for:
	 * either the device sees that we wait, or we see its completion here.
	 */
	viofs_mb();
	return r->broken || viofs_ring_has_used(r);
}

void viofs_ring_disarm(struct viofs_ring *r)
{
	if (r->packed)
		viofs_packed_disarm(r);
	else
		viofs_split_disarm(r);
}
