/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring and the device behind it, split or packed, one step at a time. */
#ifndef TESTS_UNIT_RING_BENCH_H
#define TESTS_UNIT_RING_BENCH_H

#include "virtio/ring.h"

#define F_NEXT 1
#define F_WRITE 2
#define F_INDIRECT 4

/* "IOVAs" are any numbers: nothing follows them. */
struct ring_bench {
	struct viofs_ring ring;
	void *desc, *driver, *device;
	struct viofs_ring_shadow *shadow;
	uint16_t size;
	bool packed, event_idx;
	/* The device's: where it takes and gives next; counters of the packed ring. */
	uint16_t seen, used_at;
	bool seen_wrap, used_wrap;
	/* used_at, with its counter, at the last decision to interrupt */
	uint16_t signalled;
	bool signalled_wrap;
	uint16_t *counts; /* descriptors of each id that it has */
};

void ring_bench_init(struct ring_bench *b, uint16_t size, unsigned int flags);
void ring_bench_fini(struct ring_bench *b);

/* Device: the next chain's id, or -1. */
int ring_bench_pop(struct ring_bench *b);
/* Device: a used entry; any id and length. */
void ring_bench_push(struct ring_bench *b, uint32_t id, uint32_t len);
/* Device: would it interrupt for what was pushed since the last call? */
bool ring_bench_interrupts(struct ring_bench *b);
/* Device: wants a kick for the @n-th entry or descriptor from now on, 0 = the next (EVENT_IDX). */
void ring_bench_kick_at(struct ring_bench *b, unsigned int n);
/* Device: wants kicks, or none, by its flag. */
void ring_bench_kicks(struct ring_bench *b, bool wanted);

/* Driver: one readable piece of @rd bytes (0: none) and one writable of @wr, direct. */
int ring_bench_add(struct ring_bench *b, uint32_t token, uint32_t rd, uint32_t wr);
/* Driver: the next completion is this one. */
void ring_bench_expect(struct ring_bench *b, uint32_t token, uint32_t len);
/* Driver: the next look finds the lie, and it is for good. */
void ring_bench_expect_broken(struct ring_bench *b, const char *why);

/* Split: the words of the two rings. */
static inline uint16_t *ring_bench_avail(struct ring_bench *b)
{
	return b->driver;
}
static inline uint16_t *ring_bench_used(struct ring_bench *b)
{
	return b->device;
}
/* Packed: the descriptors, and the event structures as off_wrap and flags. */
static inline struct viofs_ring_packed_desc *ring_bench_packed(struct ring_bench *b)
{
	return b->desc;
}

#endif
