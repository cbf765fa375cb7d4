/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A virtqueue, the device's side, split or packed. */
#ifndef DEV_RING_H
#define DEV_RING_H

#include "dev_memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define DEV_RING_MAX 1024U
#define DEV_PIECES_MAX 1024U

/** struct dev_vring - what the front end says of a virtqueue */
struct dev_vring {
	uint16_t size;
	uint64_t desc, driver, device; /* user addresses; split: driver = avail, device = used */
	uint32_t base;
	bool packed, event_idx, indirect;
};

/** struct dev_chain - a buffer that the driver made available */
struct dev_chain {
	uint16_t id;
	uint16_t slots; /* packed: descriptors of the ring that it takes */
	unsigned int readable, writable;
	unsigned int descriptors;
	uint64_t readable_at;                /* the address of the first readable one */
	struct iovec pieces[DEV_PIECES_MAX]; /* readable ones, then writable ones */
};

struct dev_ring;

/** struct dev_ring_ops - split or packed */
struct dev_ring_ops {
	/** @r->vring and @r->dev are set. Return: false: size or base make no sense. */
	bool (*start)(struct dev_ring *r);
	/** find the three parts. Return: false: they are not where they are said to be. */
	bool (*map)(struct dev_ring *r);
	/** Return: 1; 0: there is none. A driver that breaks the rules doesn't survive it. */
	int (*pop)(struct dev_ring *r, struct dev_chain *c);
	/** split: the chain of @head, which was popped by a back end before this one. Return: 1. */
	int (*take)(struct dev_ring *r, struct dev_chain *c, uint16_t head);
	/** split: used.idx, as it is in memory */
	uint16_t (*used_idx)(struct dev_ring *r);
	/** used entry, @slots descriptors given back */
	void (*push)(struct dev_ring *r, uint16_t id, uint16_t slots, uint32_t len);
	/** since the last call: does the driver want to hear of what was pushed? */
	bool (*wants_signal)(struct dev_ring *r);
	/** ask for a kick, or for none. Return: something is there already */
	bool (*set_kicks)(struct dev_ring *r, bool wanted);
	/** chains that were not popped yet */
	unsigned int (*waiting)(struct dev_ring *r);
	/** what GET_VRING_BASE tells */
	uint32_t (*base)(struct dev_ring *r);
	/** misbehaviour: move the used index by @by without entries; false: it has none */
	bool (*jump)(struct dev_ring *r, unsigned int by);
	/** misbehaviour: overwrite all of the ring that the device may write */
	void (*scribble)(struct dev_ring *r);
};

/** struct dev_ring - its state */
struct dev_ring {
	const struct dev_ring_ops *ops;
	struct dev *dev;
	struct dev_vring vring;
	void *desc, *driver, *device;
	uint16_t next_avail, next_used;
	uint16_t signalled; /* next_used when wants_signal() was last asked */
	bool avail_wrap, used_wrap, signalled_wrap; /* packed */
	uint8_t busy[DEV_RING_MAX]; /* the device has the head (split) or the id (packed) */
	unsigned int in_flight;
};

extern const struct dev_ring_ops dev_split_ops, dev_packed_ops;

/* struct virtq_desc and struct pvirtq_desc have the same size; only the last four bytes differ. */
#define DEV_DESC_BYTES 16U
#define DEV_DESC_NEXT 1U
#define DEV_DESC_WRITE 2U
#define DEV_DESC_INDIRECT 4U

/** dev_ring_find() - a part of the ring, where addresses are the front end's or IOVAs. */
void *dev_ring_find(const struct dev_ring *r, uint64_t address, uint64_t len, bool write);
/** dev_chain_table() - an indirect table, or NULL. */
const void *dev_chain_table(const struct dev_ring *r, uint64_t address, uint32_t len);
/** dev_chain_add() - one piece of a chain, checked: order, length, memory. */
void dev_chain_add(const struct dev_ring *r, struct dev_chain *c, uint64_t address, uint32_t len,
		   bool writable);

#endif
