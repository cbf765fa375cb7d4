/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A split virtqueue, the driver's side (virtio 1.3 2.7). */
#ifndef VIOFS_VIRTIO_SPLIT_RING_H
#define VIOFS_VIRTIO_SPLIT_RING_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIOFS_RING_SIZE_MAX 32768U

/** struct viofs_ring_desc - a descriptor as the device reads it (virtio 1.3 2.7.5), little endian */
struct viofs_ring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/** struct viofs_ring_piece - memory contiguous for the device, never empty */
struct viofs_ring_piece {
	uint64_t iova;
	uint32_t len;
};

/** struct viofs_ring_chain - one buffer to make available: readable pieces, then writable ones */
struct viofs_ring_chain {
	const struct viofs_ring_piece *pieces;
	uint16_t readable, writable;       /* how many of each; at least one in all */
	struct viofs_ring_desc *indirect;  /* table of readable + writable entries, or NULL: direct */
	uint64_t indirect_iova;
	uint32_t token;                    /* the caller's: comes back with the completion */
};

/** struct viofs_ring_state - what the driver remembers of one head; private memory */
struct viofs_ring_state {
	uint32_t token;
	uint32_t writable;  /* bytes the device may write: bound of used.len */
	uint16_t count;     /* descriptors of the ring it takes, 0 = this head is not in flight */
	uint16_t next;      /* free list, or the chain's next descriptor */
};

/**
 * struct viofs_ring - one virtqueue; everything but the three rings lies in private memory
 * Nothing the driver wrote for the device is ever read back. Fields are for split_ring.c and for
 * `status`; the struct holds pointers into the arena and lives as long as it.
 */
struct viofs_ring {
	struct viofs_ring_desc *desc;  /* device reads */
	uint16_t *avail;               /* device reads: flags, idx, ring[size], used_event */
	const uint16_t *used;          /* device writes: flags, idx, {u32 id, u32 len}[size], avail_event */
	struct viofs_ring_state *state; /* size entries */
	uint16_t size;
	bool event_idx;
	uint16_t free_head, free_count;
	uint16_t avail_idx;            /* next to publish */
	uint16_t kicked_idx;           /* avail_idx at the last notification decision */
	uint16_t used_idx;             /* next to look at */
	uint16_t in_flight;            /* heads the device has */
	const char *broken;            /* NULL, or what the device did */
};

/** Bytes of the three rings for @size entries; desc wants 16, avail 2, used 4 alignment. */
size_t viofs_ring_desc_bytes(uint16_t size);
size_t viofs_ring_avail_bytes(uint16_t size);
size_t viofs_ring_used_bytes(uint16_t size);

/**
 * viofs_ring_init() - start with an empty ring
 * @desc, @avail, @used: zeroed memory of the sizes above; @state: @size entries.
 * @event_idx: VIRTIO_F_EVENT_IDX was negotiated. Interrupts start suppressed.
 */
void viofs_ring_init(struct viofs_ring *r, uint16_t size, bool event_idx, void *desc, void *avail,
		     void *used, struct viofs_ring_state *state);

/**
 * viofs_ring_add() - make a chain available (not yet notified)
 * Return: 0; -ENOSPC: too few free descriptors; -EPIPE: the ring is broken; -EMSGSIZE: the chain is
 * longer than the queue (virtio 1.3 2.7.5.3.1), it can never fit.
 */
int viofs_ring_add(struct viofs_ring *r, const struct viofs_ring_chain *chain);

/** viofs_ring_should_kick() - after one or more add: must the device be notified (2.7.10)? */
bool viofs_ring_should_kick(struct viofs_ring *r);

/** viofs_ring_has_used() - is there a completion to get? */
static inline bool viofs_ring_has_used(const struct viofs_ring *r)
{
	return le16toh(*(const volatile uint16_t *)&r->used[1]) != r->used_idx;
}

/**
 * viofs_ring_get() - take one completion
 * @token, @len: out; @len is what the device says it wrote, checked to be at most the writable bytes.
 * Return: 1; 0: none; -EPROTO: the device broke the ring's rules, r->broken says how, and every
 * later call fails the same way.
 */
int viofs_ring_get(struct viofs_ring *r, uint32_t *token, uint32_t *len);

/**
 * viofs_ring_arm() - ask for an interrupt at the next completion
 * Return: true where completions came in meanwhile: look at the ring before sleeping.
 */
bool viofs_ring_arm(struct viofs_ring *r);

/** viofs_ring_disarm() - no interrupts wanted (a hint to the device). */
void viofs_ring_disarm(struct viofs_ring *r);

#endif
