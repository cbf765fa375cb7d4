/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The io_uring channel's entries: registered, filled, answered, taken back. */
#include "relay/entry.h"
#include "loop/loop_uring.h"
#include "relay/contents.h"
#include "relay/session.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

void viofs_entries_arena_sizes(uint32_t count, uint32_t lanes, size_t sizes[VIOFS_ARENA_SECTIONS])
{
	sizes[VIOFS_ARENA_PRIVATE] +=
		count * (sizeof(struct viofs_entry) + sizeof(uint16_t)) + (size_t)lanes * 2 * 64;
}

void viofs_entries_init(struct viofs_entries *e, uint32_t queues, uint32_t depth, unsigned int lane,
			unsigned int lanes, struct viofs_arena *arena)
{
	uint32_t own = (queues + lanes - 1 - lane) / lanes, count = own * depth;

	memset(e, 0, sizeof(*e));
	if (!count)
		return;
	e->count = (uint16_t)count;
	e->entry = viofs_arena_alloc(arena, VIOFS_ARENA_PRIVATE, count * sizeof(*e->entry), 64);
	e->arrived = viofs_arena_alloc(arena, VIOFS_ARENA_PRIVATE, count * sizeof(*e->arrived), 64);
	/* Queues in turn: each has its first entry before any has its second. */
	for (uint32_t i = 0; i < count; i++) {
		e->entry[i].slot = VIOFS_SLOT_NONE;
		e->entry[i].queue = (uint16_t)(lane + i % own * lanes);
	}
}

/* user_data of a command: odd, as loop_uring.h has it. */
static uint64_t to_data(unsigned int index)
{
	return (uint64_t)index << 1 | 1;
}

/* A command of an entry has completed: with a request, or for good. */
static void note_completion(void *arg, uint64_t data, int res)
{
	struct viofs_entries *e = arg;
	struct viofs_entry *entry;

	if (data >> 1 >= e->count)
		return; /* the REGISTER that was to fail */
	entry = &e->entry[data >> 1];
	if (!res) {
		entry->state = VIOFS_ENTRY_ARRIVED;
		e->arrived[e->arrived_count++] = (uint16_t)(data >> 1);
		return;
	}
	entry->state = VIOFS_ENTRY_UNUSED;
	if (res == -ENOTCONN || res == -ECONNABORTED || res == -ECANCELED)
		e->closed = true;
	else
		e->failed = res;
}

/* Return: 0, or -errno: neither it nor any other can be used. */
static int register_entry(struct viofs_lane *lane, unsigned int index)
{
	struct viofs_entry *entry = &lane->entries.entry[index];
	struct viofs_slot *slot = viofs_slots_take(&lane->slots);
	struct io_uring_sqe *sqe;
	struct iovec iov[2];
	int rc;

	if (!slot)
		return -ENOBUFS;
	slot->buffer = viofs_slots_take_buffer(&lane->slots, 0);
	if (slot->buffer == VIOFS_BUFFER_NONE)
		return -ENOBUFS;
	slot->entry = (uint16_t)index;
	entry->slot = slot->index;
	entry->state = VIOFS_ENTRY_KERNEL;
	iov[0] = (struct iovec){ &entry->header, sizeof(entry->header) };
	iov[1] = (struct iovec){ viofs_slots_buffer(&lane->slots, slot->buffer),
				 lane->slots.buffer_size };
	sqe = viofs_loop_uring_command(&lane->loop);
	viofs_fuse_uring_register(sqe, lane->fuse_fd, entry->queue, iov);
	sqe->user_data = to_data(index);
	rc = viofs_loop_flush(&lane->loop);
	return rc ? rc : lane->entries.failed;
}

int viofs_entries_start(struct viofs_lane *lane)
{
	struct viofs_entries *e = &lane->entries;
	int rc = 0;

	viofs_loop_uring_listen(&lane->loop, note_completion, e);
	e->active = true;
	for (unsigned int i = 0; i < e->count && !rc; i++)
		rc = register_entry(lane, i);
	return rc;
}

void viofs_entries_give_up(struct viofs_relay *r)
{
	struct viofs_lane *lane = &r->lanes[0];
	struct io_uring_sqe *sqe = viofs_loop_uring_command(&lane->loop);

	/* Entries stay registered, and their completions are taken; but the kernel doesn't use them
	 * any more. */
	viofs_fuse_uring_give_up(sqe, lane->fuse_fd);
	sqe->user_data = to_data(lane->entries.count);
	viofs_loop_flush(&lane->loop);
	for (unsigned int i = 0; i < r->lane_count; i++)
		r->lanes[i].entries.failed = 0;
}

bool viofs_entries_are_lost(struct viofs_lane *lane)
{
	return lane->entries.failed && lane->relay->stats->channel == VIOFS_CHANNEL_URING;
}

/*
 * The end of an asynchronous direct READ takes the lock of each page that was read into, and its
 * holder may wait for another request (Linux commit bb737bbe), one that this thread is to fetch. A
 * thread of the kernel's may wait for it as long as it takes. Other requests end without such
 * locks, and without FUSE_ASYNC_DIO the reader itself takes them.
 */
static bool may_block(const struct viofs_lane *lane, const struct viofs_entry *entry,
		      const struct viofs_slot *slot)
{
	struct fuse_read_in in;

	if (!slot->shape.may_block || !(lane->relay->stats->agreed.flags & FUSE_ASYNC_DIO))
		return false;
	memcpy(&in, entry->header.op_in, sizeof(in));
	return in.flags & O_DIRECT;
}

void viofs_entry_reply(struct viofs_lane *lane, struct viofs_slot *slot, int error,
		       const void *fixed, uint32_t fixed_len, uint32_t data_len)
{
	struct viofs_entry *entry = &lane->entries.entry[slot->entry];
	uint8_t *payload = viofs_slots_buffer(&lane->slots, slot->buffer);
	struct io_uring_sqe *sqe;

	/* Mostly it is there already. */
	if (data_len && viofs_slot_reply_data(&lane->slots, slot) != payload + fixed_len)
		memmove(payload + fixed_len, viofs_slot_reply_data(&lane->slots, slot), data_len);
	if (fixed_len)
		memcpy(payload, fixed, fixed_len);
	viofs_contents_note(&lane->slots, slot->buffer, &entry->header.in, fixed_len);
	sqe = viofs_loop_uring_command(&lane->loop);
	viofs_fuse_uring_commit(sqe, lane->fuse_fd, entry->queue, &entry->header, error,
				fixed_len + data_len);
	sqe->user_data = to_data(slot->entry);
	if (may_block(lane, entry, slot))
		sqe->flags = IOSQE_ASYNC;
	entry->state = VIOFS_ENTRY_KERNEL;
}
