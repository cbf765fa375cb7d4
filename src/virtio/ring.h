/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A virtqueue, the driver's side: split or packed (virtio 1.3 2.7, 2.8), to callers the same. */
#ifndef VIOFS_VIRTIO_RING_H
#define VIOFS_VIRTIO_RING_H

#include "base/barrier.h"

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIOFS_RING_SIZE_MAX 32768U

/* What was negotiated, for viofs_ring_init(). */
#define VIOFS_RING_EVENT_IDX 1U /* VIRTIO_F_EVENT_IDX */
#define VIOFS_RING_PACKED 2U    /* VIRTIO_F_RING_PACKED */

/* A packed descriptor's own marks (virtio 1.3 2.8.1). */
#define VIOFS_RING_PACKED_AVAIL (1U << 7)
#define VIOFS_RING_PACKED_USED (1U << 15)

/** struct viofs_ring_desc - a descriptor as the device reads it, little endian (virtio 1.3 2.7.5)
 */
struct viofs_ring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/** struct viofs_ring_packed_desc - the same in a packed ring, and in its indirect tables (2.8.13)
 */
struct viofs_ring_packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

/** struct viofs_ring_piece - memory contiguous for the device, never empty */
struct viofs_ring_piece {
	uint64_t iova;
	uint32_t len;
};

/** struct viofs_ring_chain - one buffer to make available: readable pieces, then writable ones */
struct viofs_ring_chain {
	const struct viofs_ring_piece *pieces;
	uint16_t readable, writable; /* how many of each; at least one in all */
	struct viofs_ring_desc
		*indirect; /* table of readable + writable entries, or NULL: direct */
	uint64_t indirect_iova;
	uint32_t token; /* the caller's: comes back with the completion */
};

/** struct viofs_ring_state - what the driver remembers of one head or id */
struct viofs_ring_state {
	uint32_t token;
	uint32_t writable; /* bytes the device may write: bound of used.len */
	uint16_t count;    /* descriptors of the ring it takes, 0 = not in flight */
	uint16_t next;     /* free list; split: or the chain's next descriptor */
};

/** enum viofs_ring_fault - what the device did; a number, since it is kept in the shadow */
enum viofs_ring_fault {
	VIOFS_RING_GOOD,
	VIOFS_RING_BAD_ID,
	VIOFS_RING_NOT_IN_FLIGHT,
	VIOFS_RING_BAD_LEN,
	VIOFS_RING_BAD_IDX,
	VIOFS_RING_FAULTS,
};

/**
 * struct viofs_ring_shadow - all that the driver must remember of a virtqueue; private memory
 * Outlives the process: no addresses, and of each index what else it takes to go on from there.
 * Where the free list begins, how long it is, and how many are in flight follows from state[].
 */
struct viofs_ring_shadow {
	uint16_t size, flags; /* as for viofs_ring_init() */
	/* Next to publish; next to look at. Packed: places, with the wrap counter (2.8.1) as
	 * bit 15. */
	uint16_t avail, used;
	uint16_t kicked;                /* split: avail at the last notification decision */
	uint16_t fault;                 /* enum viofs_ring_fault */
	uint16_t free_head, free_count; /* of state; free_count counts descriptors */
	uint16_t in_flight;             /* chains the device has */
	uint16_t spare;
	uint32_t added; /* packed: descriptors since the last notification decision */
	uint64_t kicks; /* notifications sent; the ring's owner counts */
	struct viofs_ring_state state[]; /* size entries */
};

#define VIOFS_RING_WRAP 0x8000U

/**
 * struct viofs_ring - one virtqueue, as a process sees it: where its parts and its shadow are
 * Nothing the driver wrote for the device is ever read back. Fields are for split_ring.c,
 * packed_ring.c and `status`.
 */
struct viofs_ring {
	void *desc;         /* descriptors; the device reads, and writes where the ring is packed */
	void *driver;       /* device reads: avail ring, or driver event suppression */
	const void *device; /* device writes: used ring, or device event suppression */
	struct viofs_ring_shadow *shadow;
	uint16_t size;
	bool event_idx, packed;
};

/** struct viofs_ring_layout - bytes of a ring's three parts */
struct viofs_ring_layout {
	size_t desc;       /* alignment 16 */
	size_t driver;     /* alignment 4 */
	size_t device;     /* alignment 4 */
	bool desc_written; /* the device writes descriptors too */
};

/** viofs_ring_layout() - for a ring of @size entries; @flags as for viofs_ring_init(). */
struct viofs_ring_layout viofs_ring_layout(uint16_t size, unsigned int flags);

/**
 * viofs_ring_init() - start with an empty ring
 * @size: a power of two, for a packed ring any number up to VIOFS_RING_SIZE_MAX.
 * @flags: VIOFS_RING_EVENT_IDX, VIOFS_RING_PACKED. Interrupts start suppressed.
 * @desc, @driver, @device: zeroed memory of the sizes above; @shadow: viofs_ring_shadow_bytes().
 */
void viofs_ring_init(struct viofs_ring *r, uint16_t size, unsigned int flags, void *desc,
		     void *driver, void *device, struct viofs_ring_shadow *shadow);

/** viofs_ring_shadow_bytes() - of a ring with @size entries. */
static inline size_t viofs_ring_shadow_bytes(uint16_t size)
{
	return sizeof(struct viofs_ring_shadow) + size * sizeof(struct viofs_ring_state);
}

/**
 * viofs_ring_adopt() - go on with a ring that another process has begun
 * As viofs_ring_init(), but the ring is as its parts and @shadow say. Nothing of the shadow is
 * believed: indexes are in range, chains don't overlap, and there are as many as were published.
 * What follows from the rest is made anew. A chain that was being added is on the ring, or isn't:
 * viofs_ring_next_chain(); likewise one that was being taken. Interrupts are suppressed; the device
 * is to be kicked, as it isn't known whether it was.
 * Return: 0; -EPROTO: the shadow contradicts itself, or is of another ring.
 */
int viofs_ring_adopt(struct viofs_ring *r, uint16_t size, unsigned int flags, void *desc,
		     void *driver, void *device, struct viofs_ring_shadow *shadow);

/**
 * viofs_ring_next_chain() - walk over the chains that the device has
 * @at: 0 at first. Return: false: there are no more.
 */
bool viofs_ring_next_chain(const struct viofs_ring *r, uint32_t *at, uint32_t *token,
			   uint32_t *writable);

/** viofs_ring_broken() - NULL, or what the device did. */
const char *viofs_ring_broken(const struct viofs_ring *r);

/**
 * viofs_ring_add() - make a chain available (not yet notified)
 * Return: 0; -ENOSPC: too few free descriptors; -EPIPE: the ring is broken; -EMSGSIZE: the chain is
 * longer than the queue (virtio 1.3 2.7.5.3.1, 2.8.5), it can never fit.
 */
int viofs_ring_add(struct viofs_ring *r, const struct viofs_ring_chain *chain);

/** viofs_ring_should_kick() - after one or more add: must the device be notified (2.7.10, 2.8.12)?
 */
bool viofs_ring_should_kick(struct viofs_ring *r);

/** viofs_ring_has_used() - is there a completion to get? */
static inline bool viofs_ring_has_used(const struct viofs_ring *r)
{
	const struct viofs_ring_packed_desc *desc;
	uint16_t used = r->shadow->used;
	unsigned int flags;

	if (!r->packed)
		return le16toh(VIOFS_READ_ONCE(((const uint16_t *)r->device)[1])) != used;
	desc = (const struct viofs_ring_packed_desc *)r->desc + (used & ~VIOFS_RING_WRAP);
	flags = le16toh(VIOFS_READ_ONCE(desc->flags));
	/* 2.8.1: used where both marks are the counter */
	return !(flags & VIOFS_RING_PACKED_AVAIL) == !(used & VIOFS_RING_WRAP) &&
	       !(flags & VIOFS_RING_PACKED_USED) == !(used & VIOFS_RING_WRAP);
}

/** struct viofs_ring_used - one completion; @len: what the device says it wrote, checked to be at
 * most the writable bytes */
struct viofs_ring_used {
	uint32_t id, token, len;
};

/**
 * viofs_ring_peek() - look at the next completion
 * Return: 1; 0: none; -EPROTO: the device broke the ring's rules, viofs_ring_broken() says how, and
 * every later call fails the same way.
 */
int viofs_ring_peek(struct viofs_ring *r, struct viofs_ring_used *used);

/** viofs_ring_pop() - done with what viofs_ring_peek() has found: it is noted elsewhere. */
void viofs_ring_pop(struct viofs_ring *r, const struct viofs_ring_used *used);

/** viofs_ring_get() - both in one, where no successor asks. Return: as viofs_ring_peek(). */
int viofs_ring_get(struct viofs_ring *r, uint32_t *token, uint32_t *len);

/**
 * viofs_ring_arm() - ask for an interrupt at the next completion
 * Return: true where completions came in meanwhile: look at the ring before sleeping.
 */
bool viofs_ring_arm(struct viofs_ring *r);

/** viofs_ring_disarm() - no interrupts wanted (a hint to the device). */
void viofs_ring_disarm(struct viofs_ring *r);

#endif
