/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries of the io_uring channel, as the relay has them.
 *
 * An entry owns a slot and a buffer for good: the buffer is its payload area. So WRITE data is
 * where the device reads it, and READ data where the kernel takes it, and no list is looked at.
 *
 *             header (private)     slot's request area       buffer = payload area
 *   request   in, first argument -> header, all arguments  <- names      WRITE data stays
 *   reply     out                <- checked in private     <- from there structs; data is there
 *
 * The device reads the request area and the buffer, and writes the slot's reply area and the
 * buffer. Names are copied out of the buffer, so that it can't change them; structs of replies are
 * copied into it once they are checked.
 */
#ifndef VIOFS_RELAY_ENTRIES_H
#define VIOFS_RELAY_ENTRIES_H

#include "dma/arena.h"
#include "kernel/fuse_uring.h"

#include <stdbool.h>
#include <stdint.h>

struct viofs_lane;
struct viofs_relay;
struct viofs_slot;

/** enum viofs_entry_state - whose an entry is */
enum viofs_entry_state {
	VIOFS_ENTRY_UNUSED,  /* never registered, or taken back: unmounted, aborted */
	VIOFS_ENTRY_KERNEL,  /* waits for a request */
	VIOFS_ENTRY_ARRIVED, /* holds one that was not looked at */
	VIOFS_ENTRY_RELAY,   /* its slot has the request */
};

/** struct viofs_entry - one entry; private memory, outlives the worker */
struct viofs_entry {
	struct viofs_fuse_uring_header header;
	enum viofs_entry_state state;
	uint16_t slot, queue; /* queue of the kernel's: a CPU */
};

/** struct viofs_entries - all of them */
struct viofs_entries {
	struct viofs_entry *entry; /* count */
	uint16_t count;
	bool active;       /* registered: requests come here */
	bool closed;       /* the kernel took one back: time to look at /dev/fuse */
	int failed;        /* -errno of a command that the kernel refused, or 0 */
	uint16_t *arrived; /* a stack of entries in that state */
	uint16_t arrived_count;
};

/** viofs_entries_arena_sizes() - add what @count entries in @lanes need, beside slots and buffers.
 */
void viofs_entries_arena_sizes(uint32_t count, uint32_t lanes, size_t sizes[VIOFS_ARENA_SECTIONS]);

/**
 * viofs_entries_init() - those of one lane: @depth for each of its queues; they have no slots yet
 * @queues: the kernel's, of which lane @lane of @lanes has those that leave this remainder.
 */
void viofs_entries_init(struct viofs_entries *e, uint32_t queues, uint32_t depth, unsigned int lane,
			unsigned int lanes, struct viofs_arena *arena);

/**
 * viofs_entries_start() - hand the lane's entries to the kernel, which was told so in INIT
 * Requests come when those of all lanes are there. Context: the thread that waits for them from
 * then on. Return: 0; -errno: viofs_entries_give_up() is to be called, when no lane is starting any
 * more.
 */
int viofs_entries_start(struct viofs_lane *lane);

/** viofs_entries_give_up() - the kernel goes on over /dev/fuse. */
void viofs_entries_give_up(struct viofs_relay *r);

/** viofs_entries_are_lost() - did the kernel refuse a command? Then some of its queues may stand
 * still. */
bool viofs_entries_are_lost(struct viofs_lane *lane);

/**
 * viofs_entry_reply() - give the request of an entry's slot back, answered, and ask for the next
 * one
 * @fixed: checked; @data_len bytes follow from where viofs_slot_reply_data() is. The command goes
 * with the next flush or wait.
 */
void viofs_entry_reply(struct viofs_lane *lane, struct viofs_slot *slot, int error,
		       const void *fixed, uint32_t fixed_len, uint32_t data_len);

#endif
