/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slots: fixed pieces of DMA memory, each holding one request and its reply. */
#ifndef VIOFS_RELAY_SLOTS_H
#define VIOFS_RELAY_SLOTS_H

#include "base/page.h"
#include "dma/arena.h"
#include "fs/chain.h"
#include "relay/state.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The request area of a slot is two pages of the least size. The message starts so that
 * fuse_in_header and fuse_write_in end with the first page: what follows them, WRITE data, is
 * page-aligned, and a request with its names is in one piece all the same.
 *
 *   page 0: [indirect table, 248 descriptors | header 40 + arguments 40]
 *   page 1: [names, or the first 4 KiB of data]
 *   buffer: [the rest of the data]
 *
 * A slot of an entry (entry.h) has all of WRITE's data in its buffer, and the reply's too.
 *
 * Messages for hiprio are a page at most and take page 1 of their slots.
 */
#define VIOFS_SLOT_REQUEST (2 * VIOFS_PAGE_LEAST)
#define VIOFS_SLOT_HEAD 80U
#define VIOFS_SLOT_MESSAGE                                                                         \
	(VIOFS_PAGE_LEAST - VIOFS_SLOT_HEAD) /* offset of the message in the area */
#define VIOFS_SLOT_SMALL                                                                           \
	(VIOFS_SLOT_REQUEST - VIOFS_SLOT_MESSAGE) /* bytes of it without a buffer */
#define VIOFS_SLOT_HIPRIO VIOFS_PAGE_LEAST        /* bytes of a message in a slot kept for hiprio */
#define VIOFS_SLOT_INDIRECT 248U
#define VIOFS_SLOT_REPLY 512U            /* fuse_out_header and fixed-size structs */
#define VIOFS_SLOT_DATA VIOFS_PAGE_LEAST /* reply data without a buffer */
/* Slots kept for FORGET and INTERRUPT, on top of the configured ones. */
#define VIOFS_SLOTS_HIPRIO 16U

/** struct viofs_slot_place - where a slot's parts lie, as this process and the device see them */
struct viofs_slot_place {
	struct viofs_place message; /* the first VIOFS_SLOT_SMALL bytes of the request */
	struct viofs_place reply;   /* header and structs: the device writes them, so copy first */
	struct viofs_place table;   /* the indirect one */
	uint8_t *data;              /* of the reply, up to VIOFS_SLOT_DATA bytes */
};

/** struct viofs_slots_tables - the pieces of the arena that slots and buffers are */
struct viofs_slots_tables {
	struct viofs_slot *slots;
	struct viofs_contents *in_buffer, *in_slot;
	uint8_t *requests, *replies, *data, *buffers;
};

/**
 * struct viofs_slots - a pool: some of the slots and buffers, which are numbered over all pools
 * Only the leader (lease.h) uses the lists, which are one pool's; the rest is laid out once. Other
 * threads only set viofs_contents.nodeid to 0, as a FORGET concerns the contents of all pools.
 */
struct viofs_slots {
	struct viofs_slot *slots;            /* all of them, by index */
	struct viofs_slot_place *places;     /* likewise */
	struct viofs_place *buffer_places;   /* of all buffers */
	uint16_t first, count;               /* the pool's */
	uint16_t hiprio;                     /* from this index on they are kept for hiprio */
	uint16_t buffer_first, buffer_count; /* the pool's */
	uint16_t all_buffers;
	uint32_t buffer_size;      /* bytes */
	uint16_t free, free_count; /* head of a list */
	uint16_t *free_buffers;    /* a stack */
	uint16_t free_buffer_count;
	struct viofs_contents *in_buffer; /* per buffer, of all */
	struct viofs_contents *in_slot;   /* per slot, of all: of its own data */
	const struct viofs_arena *arena;
};

/** viofs_slots_arena_sizes() - add what @count slots and @buffers need. */
void viofs_slots_arena_sizes(uint16_t count, uint16_t buffers, uint32_t buffer_size,
			     size_t sizes[VIOFS_ARENA_SECTIONS]);

/** viofs_slots_alloc() - their pieces of the arena; all slots are free. */
void viofs_slots_alloc(uint16_t count, uint16_t buffers, uint32_t buffer_size,
		       struct viofs_arena *arena, struct viofs_slots_tables *tables);

/** viofs_slots_init() - a pool of all that are in these tables, but those for hiprio. Return: 0;
 * -ENOMEM. */
int viofs_slots_init(struct viofs_slots *s, uint16_t count, uint16_t buffers, uint32_t buffer_size,
		     const struct viofs_arena *arena, const struct viofs_slots_tables *tables);
void viofs_slots_fini(struct viofs_slots *s);

/**
 * viofs_slots_share() - make @out a pool of some of @all's, which are nobody else's from now on
 * Free are slots in that state, and buffers that no other slot has and that aren't @landing.
 * @all itself is no pool any more, but has the layout.
 */
void viofs_slots_share(const struct viofs_slots *all, uint16_t first, uint16_t count,
		       uint16_t buffer_first, uint16_t buffer_count, uint16_t landing,
		       struct viofs_slots *out);

/** viofs_slots_share_hiprio() - make @out the pool of those that are kept for hiprio; no buffers.
 */
void viofs_slots_share_hiprio(const struct viofs_slots *all, struct viofs_slots *out);

/** viofs_slots_at() - the pool's slot @i of viofs_slots.count. */
static inline struct viofs_slot *viofs_slots_at(const struct viofs_slots *s, unsigned int i)
{
	return &s->slots[s->first + i];
}

/** viofs_slots_take() - a free slot (in state LANDING), or NULL. */
struct viofs_slot *viofs_slots_take(struct viofs_slots *s);

/** viofs_slot_renew() - a new request comes into the slot: another generation, another unique. */
void viofs_slot_renew(struct viofs_slot *slot);

/** viofs_slots_give() - free again, with its buffer. */
void viofs_slots_give(struct viofs_slots *s, struct viofs_slot *slot);

/** viofs_slots_take_buffer() - Return: index, or VIOFS_BUFFER_NONE when @keep or fewer are free. */
uint16_t viofs_slots_take_buffer(struct viofs_slots *s, uint16_t keep);
void viofs_slots_give_buffer(struct viofs_slots *s, uint16_t buffer);
/** viofs_slots_place() - where the slot lies. */
static inline const struct viofs_slot_place *viofs_slots_place(const struct viofs_slots *s,
							       const struct viofs_slot *slot)
{
	return &s->places[slot->index];
}

/** The message's first VIOFS_SLOT_SMALL bytes, in one piece. */
static inline uint8_t *viofs_slot_message(const struct viofs_slots *s,
					  const struct viofs_slot *slot)
{
	return viofs_slots_place(s, slot)->message.at;
}

/** The reply's header and structs. The device can write there: copy first, then look. */
static inline uint8_t *viofs_slot_reply(const struct viofs_slots *s, const struct viofs_slot *slot)
{
	return viofs_slots_place(s, slot)->reply.at;
}

/** Start of buffer @buffer. */
static inline uint8_t *viofs_slots_buffer(const struct viofs_slots *s, uint16_t buffer)
{
	assert(buffer < s->all_buffers);
	return s->buffer_places[buffer].at;
}

/** fuse_in_header wherever it lies now. */
static inline struct fuse_in_header *viofs_slot_header(const struct viofs_slots *s,
						       const struct viofs_slot *slot)
{
	return (void *)(slot->spilled ? viofs_slots_buffer(s, slot->buffer)
				      : viofs_slot_message(s, slot));
}

/** Where reply data of shape.reply_data bytes goes. */
uint8_t *viofs_slot_reply_data(const struct viofs_slots *s, const struct viofs_slot *slot);
/** viofs_slot_needs_buffer() - for its reply (a message that spilled has one already). */
bool viofs_slot_needs_buffer(const struct viofs_slot *slot);

/** viofs_slot_gather() - bring header and arguments that spilled into the buffer in one piece
 * there. */
void viofs_slot_gather(struct viofs_slots *s, struct viofs_slot *slot);

#endif
