/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A split virtqueue, the device's side (virtio 1.3 2.7). */
#include "dev.h"

#include <endian.h>
#include <string.h>

struct split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct split_avail {
	uint16_t flags, idx;
	uint16_t ring[];
};

struct split_used {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[];
};

static struct split_avail *avail_of(const struct dev_ring *r)
{
	return r->driver;
}

static struct split_used *used_of(const struct dev_ring *r)
{
	return r->device;
}

/* The word behind each ring: used_event in the driver's, avail_event in ours. */
static uint16_t used_event(const struct dev_ring *r)
{
	return le16toh(__atomic_load_n(&avail_of(r)->ring[r->vring.size], __ATOMIC_RELAXED));
}

static void set_avail_event(const struct dev_ring *r, uint16_t value)
{
	uint16_t *at = (uint16_t *)(void *)&used_of(r)->ring[r->vring.size];

	__atomic_store_n(at, htole16(value), __ATOMIC_RELAXED);
}

static bool start(struct dev_ring *r)
{
	uint64_t n = r->vring.size;

	if (!n || n > DEV_RING_MAX || n & (n - 1))
		return false;
	if (r->vring.desc % 16 || r->vring.driver % 2 || r->vring.device % 4)
		return false;
	r->next_avail = r->next_used = r->signalled = (uint16_t)r->vring.base;
	return true;
}

static bool map(struct dev_ring *r)
{
	uint64_t n = r->vring.size;

	r->desc = dev_ring_find(r, r->vring.desc, DEV_DESC_BYTES * n, false);
	r->driver = dev_ring_find(r, r->vring.driver, 6 + 2 * n, false);
	r->device = dev_ring_find(r, r->vring.device, 6 + 8 * n, true);
	return r->desc && r->driver && r->device;
}

static unsigned int waiting(struct dev_ring *r)
{
	/* What it covers is read after it. */
	uint16_t idx = le16toh(__atomic_load_n(&avail_of(r)->idx, __ATOMIC_ACQUIRE));
	uint16_t n = (uint16_t)(idx - r->next_avail);

	if (n > r->vring.size)
		dev_driver_fault("avail.idx is %u, %u entries past %u in a ring of %u", idx, n,
				 r->next_avail, r->vring.size);
	return n;
}

static void walk(struct dev_ring *r, struct dev_chain *c, const struct split_desc *table,
		 uint32_t count, uint16_t at, bool indirect)
{
	for (uint32_t steps = 0;; steps++) {
		uint16_t flags;

		if (at >= count)
			dev_driver_fault("descriptor %u of %u", at, count);
		if (steps == count)
			dev_driver_fault("a chain goes round in circles");
		flags = le16toh(table[at].flags);
		if (flags & ~(DEV_DESC_NEXT | DEV_DESC_WRITE | DEV_DESC_INDIRECT))
			dev_driver_fault("descriptor flags 0x%x", flags);
		if (flags & DEV_DESC_INDIRECT) {
			uint32_t len = le32toh(table[at].len);
			const void *inner = dev_chain_table(r, le64toh(table[at].addr), len);

			if (!r->vring.indirect)
				dev_driver_fault(
					"an indirect descriptor, which was not negotiated");
			if (indirect || flags != DEV_DESC_INDIRECT || steps)
				dev_driver_fault("an indirect descriptor in a chain, flags 0x%x",
						 flags);
			if (!inner || !len || len % DEV_DESC_BYTES)
				dev_driver_fault("an indirect table of %u bytes", len);
			if (len / DEV_DESC_BYTES > r->vring.size)
				dev_driver_fault("an indirect table longer than the queue");
			walk(r, c, inner, len / DEV_DESC_BYTES, 0, true);
			return;
		}
		dev_chain_add(r, c, le64toh(table[at].addr), le32toh(table[at].len),
			      flags & DEV_DESC_WRITE);
		if (!(flags & DEV_DESC_NEXT))
			return;
		at = le16toh(table[at].next);
	}
}

static int take(struct dev_ring *r, struct dev_chain *c, uint16_t head)
{
	if (head >= r->vring.size)
		dev_driver_fault("avail entry names descriptor %u of %u", head, r->vring.size);
	if (r->busy[head])
		dev_driver_fault("descriptor %u was made available twice", head);
	*c = (struct dev_chain){ .id = head, .slots = 1 };
	walk(r, c, r->desc, r->vring.size, head, false);
	r->busy[head] = 1;
	r->in_flight++;
	return 1;
}

static int pop(struct dev_ring *r, struct dev_chain *c)
{
	if (!waiting(r))
		return 0;
	take(r, c, le16toh(avail_of(r)->ring[r->next_avail % r->vring.size]));
	r->next_avail++;
	return 1;
}

static uint16_t used_idx(struct dev_ring *r)
{
	return le16toh(__atomic_load_n(&used_of(r)->idx, __ATOMIC_RELAXED));
}

static void push(struct dev_ring *r, uint16_t id, uint16_t slots, uint32_t len)
{
	struct split_used *used = used_of(r);

	used->ring[r->next_used % r->vring.size].id = htole32(id);
	used->ring[r->next_used % r->vring.size].len = htole32(len);
	r->next_used++;
	/* The element and the buffer before the index. */
	__atomic_store_n(&used->idx, htole16(r->next_used), __ATOMIC_RELEASE);
}

static bool wants_signal(struct dev_ring *r)
{
	uint16_t before = r->signalled, now = r->next_used;

	r->signalled = now;
	/* used.idx before the look at what the driver wants; it does the same the other way round.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!r->vring.event_idx)
		return before != now &&
		       !(le16toh(__atomic_load_n(&avail_of(r)->flags, __ATOMIC_RELAXED)) & 1);
	/* 2.7.7.2: was the index that it waits for passed since? */
	return (uint16_t)(now - used_event(r) - 1) < (uint16_t)(now - before);
}

static bool set_kicks(struct dev_ring *r, bool wanted)
{
	if (r->vring.event_idx)
		set_avail_event(r, (uint16_t)(wanted ? r->next_avail : r->next_avail - 1));
	else
		__atomic_store_n(&used_of(r)->flags, htole16(wanted ? 0 : 1), __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return waiting(r);
}

static uint32_t base(struct dev_ring *r)
{
	return r->next_avail;
}

static bool jump(struct dev_ring *r, unsigned int by)
{
	r->next_used = (uint16_t)(r->next_used + by);
	__atomic_store_n(&used_of(r)->idx, htole16(r->next_used), __ATOMIC_RELEASE);
	return true;
}

/* All of the used ring. */
static void scribble(struct dev_ring *r)
{
	memset(r->device, 0xff, 6 + 8 * (size_t)r->vring.size);
}

const struct dev_ring_ops dev_split_ops = {
	.start = start,
	.map = map,
	.pop = pop,
	.take = take,
	.used_idx = used_idx,
	.push = push,
	.wants_signal = wants_signal,
	.set_kicks = set_kicks,
	.waiting = waiting,
	.base = base,
	.jump = jump,
	.scribble = scribble,
};
