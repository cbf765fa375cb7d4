/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A packed virtqueue, the device's side (virtio 1.3 2.8). */
#include "dev.h"

#include <endian.h>
#include <string.h>

#define AVAIL_BIT 7
#define USED_BIT 15
/* Event suppression (2.8.14): flags. */
#define EVENT_ENABLE 0U
#define EVENT_DISABLE 1U
#define EVENT_DESC 2U
#define WRAP (1U << 15)

struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};

struct packed_event {
	uint16_t off_wrap, flags;
};

static struct packed_desc *desc_of(const struct dev_ring *r)
{
	return r->desc;
}

static bool start(struct dev_ring *r)
{
	uint64_t n = r->vring.size;

	if (!n || n > DEV_RING_MAX)
		return false;
	/* Base: the avail half in the low bits, the used half above, each with its wrap counter. */
	r->next_avail = r->vring.base & 0x7fff;
	r->avail_wrap = r->vring.base >> 15 & 1;
	r->next_used = r->vring.base >> 16 & 0x7fff;
	r->used_wrap = r->vring.base >> 31;
	r->signalled = r->next_used;
	r->signalled_wrap = r->used_wrap;
	return r->next_avail < n && r->next_used < n;
}

static bool map(struct dev_ring *r)
{
	r->desc = dev_ring_find(r, r->vring.desc, DEV_DESC_BYTES * (uint64_t)r->vring.size, true);
	r->driver = dev_ring_find(r, r->vring.driver, sizeof(struct packed_event), false);
	r->device = dev_ring_find(r, r->vring.device, sizeof(struct packed_event), true);
	return r->desc && r->driver && r->device;
}

static bool is_available(const struct dev_ring *r)
{
	uint16_t flags =
		le16toh(__atomic_load_n(&desc_of(r)[r->next_avail].flags, __ATOMIC_ACQUIRE));

	/* 2.8.1: AVAIL as the counter, USED its inverse. */
	return (flags >> AVAIL_BIT & 1) == r->avail_wrap &&
	       (flags >> USED_BIT & 1) != r->avail_wrap;
}

static void advance(uint16_t *at, bool *wrap, uint16_t by, uint16_t size)
{
	*at = (uint16_t)(*at + by);
	if (*at >= size) {
		*at = (uint16_t)(*at - size);
		*wrap = !*wrap;
	}
}

/* 2.8.6: all of a chain is marked, each descriptor for its own round. */
static uint16_t chain_flags(const struct dev_ring *r, unsigned int at)
{
	bool wrap = at >= r->vring.size ? !r->avail_wrap : r->avail_wrap;
	uint16_t flags = le16toh(desc_of(r)[at % r->vring.size].flags);

	if ((flags >> AVAIL_BIT & 1) != wrap || (flags >> USED_BIT & 1) == wrap)
		dev_driver_fault("descriptor %u of a chain is marked 0x%x", at % r->vring.size,
				 flags);
	return flags;
}

static void walk_indirect(struct dev_ring *r, struct dev_chain *c, const struct packed_desc *head)
{
	uint32_t len = le32toh(head->len);
	const struct packed_desc *table = dev_chain_table(r, le64toh(head->addr), len);

	if (!r->vring.indirect)
		dev_driver_fault("an indirect descriptor, which was not negotiated");
	if (!table || !len || len % DEV_DESC_BYTES || len / DEV_DESC_BYTES > r->vring.size)
		dev_driver_fault("an indirect table of %u bytes", len);
	for (uint32_t i = 0; i < len / DEV_DESC_BYTES; i++)
		dev_chain_add(r, c, le64toh(table[i].addr), le32toh(table[i].len),
			      le16toh(table[i].flags) & DEV_DESC_WRITE);
}

static int pop(struct dev_ring *r, struct dev_chain *c)
{
	unsigned int at = r->next_avail;
	uint16_t flags;

	if (!is_available(r))
		return 0;
	*c = (struct dev_chain){ 0 };
	do {
		const struct packed_desc *d = &desc_of(r)[at % r->vring.size];

		flags = chain_flags(r, at);
		if (flags & DEV_DESC_INDIRECT) {
			if (c->slots || flags & DEV_DESC_NEXT)
				dev_driver_fault("an indirect descriptor in a chain");
			walk_indirect(r, c, d);
		} else {
			dev_chain_add(r, c, le64toh(d->addr), le32toh(d->len),
				      flags & DEV_DESC_WRITE);
		}
		/* The id of a chain is in its last descriptor (2.8.6). */
		c->id = le16toh(d->id);
		c->slots++;
		at++;
	} while (flags & DEV_DESC_NEXT);
	if (c->id >= DEV_RING_MAX || r->busy[c->id])
		dev_driver_fault("buffer id %u was made available twice", c->id);
	r->busy[c->id] = 1;
	r->in_flight++;
	advance(&r->next_avail, &r->avail_wrap, c->slots, r->vring.size);
	return 1;
}

static void push(struct dev_ring *r, uint16_t id, uint16_t slots, uint32_t len)
{
	struct packed_desc *d = &desc_of(r)[r->next_used];
	uint16_t flags = r->used_wrap ? 1U << AVAIL_BIT | 1U << USED_BIT : 0;

	d->id = htole16(id);
	d->len = htole32(len);
	if (len)
		flags |= DEV_DESC_WRITE;
	__atomic_store_n(&d->flags, htole16(flags), __ATOMIC_RELEASE);
	advance(&r->next_used, &r->used_wrap, slots, r->vring.size);
}

static bool wants_signal(struct dev_ring *r)
{
	const struct packed_event *e = r->driver;
	uint16_t before = r->signalled, now = r->next_used, flags, off_wrap, event;
	bool wrapped = r->signalled_wrap != r->used_wrap;

	r->signalled = now;
	r->signalled_wrap = r->used_wrap;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	flags = le16toh(__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE));
	if (flags != EVENT_DESC || !r->vring.event_idx)
		return flags == EVENT_ENABLE && (before != now || wrapped);
	off_wrap = le16toh(__atomic_load_n(&e->off_wrap, __ATOMIC_RELAXED));
	event = off_wrap & ~WRAP;
	/* All three on one line of numbers: those of the round before lie below 0. */
	if (!!(off_wrap & WRAP) != r->used_wrap)
		event = (uint16_t)(event - r->vring.size);
	if (wrapped)
		before = (uint16_t)(before - r->vring.size);
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

static bool set_kicks(struct dev_ring *r, bool wanted)
{
	struct packed_event *e = r->device;

	if (wanted && r->vring.event_idx) {
		e->off_wrap = htole16((uint16_t)(r->next_avail | (r->avail_wrap ? WRAP : 0)));
		__atomic_store_n(&e->flags, htole16(EVENT_DESC), __ATOMIC_RELEASE);
	} else {
		__atomic_store_n(&e->flags, htole16(wanted ? EVENT_ENABLE : EVENT_DISABLE),
				 __ATOMIC_RELAXED);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return is_available(r);
}

static unsigned int waiting(struct dev_ring *r)
{
	return is_available(r);
}

static uint32_t base(struct dev_ring *r)
{
	return (uint32_t)(r->next_avail | (r->avail_wrap ? WRAP : 0)) |
	       (uint32_t)(r->next_used | (r->used_wrap ? WRAP : 0)) << 16;
}

static bool jump(struct dev_ring *r, unsigned int by)
{
	return false;
}

/* Every descriptor used, by an id that there is none of; the ring is nothing but lies from here on.
 */
static void scribble(struct dev_ring *r)
{
	uint16_t flags = r->used_wrap ? 1U << AVAIL_BIT | 1U << USED_BIT : 0;

	for (unsigned int i = 0; i < r->vring.size; i++) {
		struct packed_desc *d = &desc_of(r)[i];

		d->addr = UINT64_MAX;
		d->len = UINT32_MAX;
		d->id = UINT16_MAX;
		__atomic_store_n(&d->flags, htole16(flags | DEV_DESC_WRITE), __ATOMIC_RELEASE);
	}
}

const struct dev_ring_ops dev_packed_ops = {
	.start = start,
	.map = map,
	.pop = pop,
	.push = push,
	.wants_signal = wants_signal,
	.set_kicks = set_kicks,
	.waiting = waiting,
	.base = base,
	.jump = jump,
	.scribble = scribble,
};
