/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slots: fixed pieces of DMA memory, each holding one request and its reply. */
#ifndef VIOFS_RELAY_SLOTS_H
#define VIOFS_RELAY_SLOTS_H

#include "dma/arena.h"
#include "fuse/opcodes.h"
#include "virtio/ring.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIOFS_SLOT_NONE UINT16_MAX
#define VIOFS_BUFFER_NONE UINT16_MAX
#define VIOFS_SLOT_NO_ENTRY UINT16_MAX

/*
 * The request area of a slot is two pages. The message starts so that fuse_in_header and
 * fuse_write_in end with the first page: what follows them, WRITE data, is page-aligned, and a
 * request with its names is in one piece all the same.
 *
 *   page 0: [indirect table, 248 descriptors | header 40 + arguments 40]
 *   page 1: [names, or the first 4 KiB of data]
 *   buffer: [the rest of the data]
 *
 * A slot of an entry (entry.h) has all of WRITE's data in its buffer, and the reply's too.
 *
 * Messages for hiprio are a page at most and take page 1 of their slots.
 */
#define VIOFS_SLOT_REQUEST 8192U
#define VIOFS_SLOT_HEAD 80U
#define VIOFS_SLOT_MESSAGE (4096U - VIOFS_SLOT_HEAD) /* offset of the message in the area */
#define VIOFS_SLOT_SMALL                                                                           \
	(VIOFS_SLOT_REQUEST - VIOFS_SLOT_MESSAGE) /* bytes of it without a buffer */
#define VIOFS_SLOT_HIPRIO 4096U                   /* bytes of a message in a slot kept for hiprio */
#define VIOFS_SLOT_INDIRECT 248U
#define VIOFS_SLOT_REPLY 512U /* fuse_out_header and fixed-size structs */
#define VIOFS_SLOT_DATA 4096U /* reply data without a buffer */
/* Slots kept for FORGET and INTERRUPT, on top of the configured ones. */
#define VIOFS_SLOTS_HIPRIO 16U

/** enum viofs_slot_state - what a slot's memory is for at the moment, and who may touch it */
enum viofs_slot_state {
	VIOFS_SLOT_FREE,     /* nobody */
	VIOFS_SLOT_LANDING,  /* the kernel writes the next request into it */
	VIOFS_SLOT_WAITING,  /* holds a request that lacks a buffer or room on the ring */
	VIOFS_SLOT_QUEUED,   /* the device has it */
	VIOFS_SLOT_REPLYING, /* the reply is being given to the kernel */
};

/** struct viofs_slot - what is known of one slot; private memory, outlives the worker */
struct viofs_slot {
	enum viofs_slot_state state;
	uint16_t index, next; /* free list or waiting list */
	uint16_t buffer;      /* VIOFS_BUFFER_NONE or its data area */
	uint16_t queue;       /* virtqueue it is on */
	uint16_t entry; /* VIOFS_SLOT_NO_ENTRY or the entry of the io_uring channel that owns it */
	uint32_t generation; /* counts uses: part of the unique */
	uint32_t len;        /* bytes of the message */
	bool apart;          /* data lies at the buffer's start, all of it */
	bool spilled;        /* header and arguments were gathered at the buffer's start */
	uint8_t interrupts;  /* INTERRUPTs of it that were sent; one's own: how many there were
				before */
	uint64_t kernel_unique, device_unique;
	uint64_t nodeid; /* the file that it is about, where the kernel sent it */
	int64_t since;   /* ns: when it was read from the kernel */
	struct viofs_fuse_shape shape;
};

/** struct viofs_contents - what may lie in a place for data still; private memory, where no device
 * can say otherwise */
struct viofs_contents {
	_Atomic uint64_t nodeid; /* data of this file only, READ or WRITTEN; 0: anything */
	uint32_t dirty;          /* bytes from its start that aren't known to be zero */
};

/**
 * struct viofs_slots - a pool: some of the slots and buffers, which are numbered over all pools
 * Lists are those of whoever leads (lease.h), and one pool's only; the rest is laid out once. But a
 * FORGET is about the contents of all pools: viofs_contents.nodeid is what others may set to 0.
 */
struct viofs_slots {
	struct viofs_slot *slots;            /* all of them, by index */
	uint16_t first, count;               /* the pool's */
	uint16_t hiprio;                     /* from this index on they are kept for hiprio */
	uint16_t buffer_first, buffer_count; /* the pool's */
	uint16_t all_buffers;
	uint32_t buffer_size;                         /* bytes */
	uint8_t *requests, *replies, *data, *buffers; /* of all */
	uint16_t free, free_count;                    /* head of a list */
	uint16_t *free_buffers;                       /* a stack */
	uint16_t free_buffer_count;
	struct viofs_contents *in_buffer; /* per buffer, of all */
	struct viofs_contents *in_slot;   /* per slot, of all: of its own data */
	const struct viofs_arena *arena;
};

/** viofs_slots_arena_sizes() - add what @count slots and @buffers need. */
void viofs_slots_arena_sizes(uint16_t count, uint16_t buffers, uint32_t buffer_size,
			     size_t sizes[VIOFS_ARENA_SECTIONS]);

/** viofs_slots_init() - lay them out: a pool of all, free, but those for hiprio. */
void viofs_slots_init(struct viofs_slots *s, uint16_t count, uint16_t buffers, uint32_t buffer_size,
		      struct viofs_arena *arena);

/**
 * viofs_slots_share() - make @out a pool of some of @all's, which are nobody else's from now on
 * All free. @all itself is no pool any more, but has the layout.
 */
void viofs_slots_share(const struct viofs_slots *all, uint16_t first, uint16_t count,
		       uint16_t buffer_first, uint16_t buffer_count, struct viofs_slots *out);

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
/** viofs_slot_take_buffer() - one for the slot's reply, rather with the same file's data. Return:
 * as above. */
uint16_t viofs_slot_take_buffer(struct viofs_slots *s, const struct viofs_slot *slot,
				uint16_t keep);

/**
 * viofs_slots_note() - @len bytes of a message were put at the beginning of @buffer
 * @head: its header, of which only opcode and nodeid are looked at.
 */
void viofs_slots_note(struct viofs_slots *s, uint16_t buffer, const struct fuse_in_header *head,
		      size_t len);

/**
 * viofs_slots_forget() - a FORGET or BATCH_FORGET is sent: the device may give these nodeids to
 * other files Looks at the buffers of all pools. Context: any thread; before the device can see it.
 */
void viofs_slots_forget(struct viofs_slots *s, const void *message, size_t len);

/** The message's first VIOFS_SLOT_SMALL bytes, in one piece. */
uint8_t *viofs_slot_message(const struct viofs_slots *s, const struct viofs_slot *slot);
/** fuse_in_header wherever it lies now. */
struct fuse_in_header *viofs_slot_header(const struct viofs_slots *s,
					 const struct viofs_slot *slot);
/** The reply's header and structs: device-writable, copy before looking. */
uint8_t *viofs_slot_reply(const struct viofs_slots *s, const struct viofs_slot *slot);
/** Where reply data of shape.reply_data bytes goes. */
uint8_t *viofs_slot_reply_data(const struct viofs_slots *s, const struct viofs_slot *slot);
/** Start of buffer @buffer. */
uint8_t *viofs_slots_buffer(const struct viofs_slots *s, uint16_t buffer);

/**
 * viofs_slot_clear_reply() - leave nothing of others where the device is about to write the reply
 * A device may say that it wrote more than it did. So the place is cleared, as far as it may be
 * dirty, and not where it holds nothing but data of the file that is read now.
 */
void viofs_slot_clear_reply(struct viofs_slots *s, const struct viofs_slot *slot);

/** viofs_slot_needs_buffer() - for its reply (a message that spilled has one already). */
bool viofs_slot_needs_buffer(const struct viofs_slot *slot);

/** viofs_slot_gather() - bring header and arguments that spilled into the buffer in one piece
 * there. */
void viofs_slot_gather(struct viofs_slots *s, struct viofs_slot *slot);

/**
 * viofs_slot_chain() - the request as descriptors, framed as the strictest devices want it:
 * header | arguments | data || fuse_out_header | structs | data; a request without reply in one
 * piece
 * @pieces: room for @max.
 * Return: 0 and @chain filled (its indirect table is the slot's own where @indirect); -EMSGSIZE:
 * more than @max pieces.
 */
int viofs_slot_chain(const struct viofs_slots *s, const struct viofs_slot *slot, bool indirect,
		     struct viofs_ring_piece *pieces, unsigned int max,
		     struct viofs_ring_chain *chain);

#endif
