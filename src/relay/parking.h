/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests read from the kernel that can't be sent yet, in plain memory: so that reading can go on.
 *
 * The memory outlives the process, in blocks of one size: a message is a chain of blocks. Its first
 * block has a number that says when it came (struct viofs_parked); it is written last when a
 * message is put there, and cleared when the message is dropped. Who goes on finds all messages by
 * that, and makes the lists anew. Blocks are used from the beginning on, and what was used once is
 * given back to the system when nothing is parked any more.
 */
#ifndef VIOFS_RELAY_PARKING_H
#define VIOFS_RELAY_PARKING_H

#include "dma/arena.h"
#include "relay/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/** struct viofs_parking_bounds - how much may be parked */
struct viofs_parking_bounds {
	uint32_t block_size, block_count;
	uint32_t largest; /* bytes of a message */
	uint32_t count;   /* of messages; it is full then */
	size_t bytes;     /* with what each takes beside its message; it is full then */
};

/** struct viofs_parking - a queue with bounds, of one kind */
struct viofs_parking {
	struct viofs_parked *blocks; /* block_count, likewise data */
	uint8_t *data;
	struct viofs_parking_bounds max;
	uint64_t last_seq;
	uint32_t first, last;      /* messages, by their first blocks */
	uint32_t free, free_count; /* blocks that were used before; and of all */
	uint32_t fresh;            /* from this one on none was */
	uint32_t count;            /* messages */
	size_t bytes;
};

/** viofs_parking_sizes() - add what @n such queues need. */
void viofs_parking_sizes(const struct viofs_parking_bounds *max, unsigned int n,
			 size_t sizes[VIOFS_ARENA_SECTIONS]);

/** viofs_parking_init() - an empty one; @blocks and @data are all zeros. */
void viofs_parking_init(struct viofs_parking *p, const struct viofs_parking_bounds *max,
			struct viofs_parked *blocks, uint8_t *data);

/** viofs_parking_adopt() - one that another process has filled. Return: 0; -EPROTO: its blocks
 * contradict each other; -ENOMEM. */
int viofs_parking_adopt(struct viofs_parking *p, const struct viofs_parking_bounds *max,
			struct viofs_parked *blocks, uint8_t *data);

/** viofs_parking_is_full() - is it as long as it may be? One more message has room all the same. */
bool viofs_parking_is_full(const struct viofs_parking *p);

/** viofs_parking_has_room() - for a message of any length? */
bool viofs_parking_has_room(const struct viofs_parking *p);

/**
 * viofs_parking_put() - append the first @len bytes of @iov
 * The caller looks whether it is full, before it reads what can't be refused. Return: 0; -ENOMEM.
 */
int viofs_parking_put(struct viofs_parking *p, const struct iovec *iov, size_t len, int64_t since);

/** viofs_parking_first() - the oldest one; NULL: none. */
const struct viofs_parked *viofs_parking_first(const struct viofs_parking *p);

/** viofs_parking_next() - the one that came after it; NULL: none. */
const struct viofs_parked *viofs_parking_next(const struct viofs_parking *p,
					      const struct viofs_parked *parked);

/** viofs_parking_find() - the one with this fuse_in_header.unique, or NULL. */
const struct viofs_parked *viofs_parking_find(const struct viofs_parking *p, uint64_t unique);

/** viofs_parking_message() - its beginning: as many bytes as a block has, or it has. */
const void *viofs_parking_message(const struct viofs_parking *p, const struct viofs_parked *parked);

/** viofs_parking_copy() - @len bytes of it from @from on, which it has. */
void viofs_parking_copy(const struct viofs_parking *p, const struct viofs_parked *parked,
			uint32_t from, void *out, size_t len);

/** viofs_parking_drop() - it is elsewhere now, or answered. */
void viofs_parking_drop(struct viofs_parking *p, const struct viofs_parked *parked);

/** viofs_parking_clear() - forget all of them. */
void viofs_parking_clear(struct viofs_parking *p);

#endif
