/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose data lies where. */
#include "relay/contents.h"
#include "base/util.h"
#include "fuse/forget.h"

#include <string.h>

/* Relaxed, both: the device, and the kernel, hear of a forgotten nodeid later than this (forget()).
 * */
static uint64_t nodeid_of(const struct viofs_contents *c)
{
	return atomic_load_explicit(&c->nodeid, memory_order_relaxed);
}

/* The file that the slot's request reads or writes; 0: its data doesn't belong to one file. */
static uint64_t file_of(uint32_t opcode, uint64_t nodeid)
{
	return opcode == FUSE_READ || opcode == FUSE_WRITE ? nodeid : 0;
}

uint16_t viofs_contents_take_buffer(struct viofs_slots *s, const struct viofs_slot *slot,
				    uint16_t keep)
{
	uint64_t nodeid = file_of(slot->shape.opcode, slot->nodeid);
	uint16_t buffer = viofs_slots_take_buffer(s, keep);

	if (buffer == VIOFS_BUFFER_NONE || !nodeid || nodeid_of(&s->in_buffer[buffer]) == nodeid)
		return buffer;
	for (unsigned int i = 0; i < s->free_buffer_count; i++) {
		uint16_t other = s->free_buffers[i];

		if (nodeid_of(&s->in_buffer[other]) != nodeid)
			continue;
		s->free_buffers[i] = buffer;
		return other;
	}
	return buffer;
}

/* Bytes [0, @len) now hold @nodeid's data (0: anything), and nobody else's. */
static void fill(struct viofs_contents *c, uint64_t nodeid, uint32_t len)
{
	/* Behind them there may still be another file's data. */
	if (nodeid_of(c) != nodeid)
		atomic_store_explicit(&c->nodeid, c->dirty <= len ? nodeid : 0,
				      memory_order_relaxed);
	c->dirty = VIOFS_MAX(c->dirty, len);
}

void viofs_contents_note(struct viofs_slots *s, uint16_t buffer, const struct fuse_in_header *head,
			 size_t len)
{
	uint64_t nodeid = head ? file_of(head->opcode, head->nodeid) : 0;

	if (len)
		fill(&s->in_buffer[buffer], nodeid, (uint32_t)len);
}

static void forget_in(struct viofs_contents *c, unsigned int count, uint64_t nodeid)
{
	for (unsigned int i = 0; i < count; i++) {
		uint64_t expected = nodeid;

		if (nodeid_of(&c[i]) == nodeid)
			atomic_compare_exchange_strong_explicit(&c[i].nodeid, &expected, 0,
								memory_order_relaxed,
								memory_order_relaxed);
	}
}

/*
 * Whoever has a buffer fills it in at the same time, with another file's data: the kernel forgets
 * none that it reads or writes. Before the nodeid comes back for another file the device must have
 * seen the FORGET, and the kernel the answer to a LOOKUP.
 */
static void forget(struct viofs_slots *s, uint64_t nodeid)
{
	forget_in(s->in_buffer, s->all_buffers, nodeid);
	forget_in(s->in_slot, s->hiprio, nodeid);
}

void viofs_contents_forget(struct viofs_slots *s, const void *message, size_t len)
{
	struct viofs_fuse_forgets walk;
	struct fuse_forget_one one;

	if (viofs_fuse_forgets_start(&walk, message, len))
		return;
	while (viofs_fuse_forgets_one(&walk, &one))
		forget(s, one.nodeid);
}

/* The place of the reply's data: all of it is to be @slot's file's, or zero. */
static void clear_data(struct viofs_slots *s, const struct viofs_slot *slot)
{
	const struct viofs_fuse_shape *shape = &slot->shape;
	uint64_t nodeid = file_of(shape->opcode, slot->nodeid);
	uint8_t *data = viofs_slot_reply_data(s, slot);
	bool in_slot = data == viofs_slots_place(s, slot)->data;
	struct viofs_contents *c = in_slot ? &s->in_slot[slot->index] : &s->in_buffer[slot->buffer];
	uint32_t start = in_slot ? 0 : (uint32_t)(data - viofs_slots_buffer(s, slot->buffer));
	uint32_t end = start + shape->reply_data;

	if ((!nodeid || nodeid_of(c) != nodeid) && c->dirty > start)
		memset(data, 0, VIOFS_MIN(c->dirty, end) - start);
	fill(c, nodeid, end);
}

void viofs_contents_clear_reply(struct viofs_slots *s, const struct viofs_slot *slot)
{
	memset(viofs_slot_reply(s, slot), 0, sizeof(struct fuse_out_header) + slot->shape.fixed);
	if (slot->shape.reply_data)
		clear_data(s, slot);
}
