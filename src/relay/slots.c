/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slots and their layout. */
#include "relay/slots.h"
#include "base/util.h"
#include "fuse/forget.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void viofs_slots_arena_sizes(uint16_t count, uint16_t buffers, uint32_t buffer_size,
			     size_t sizes[VIOFS_ARENA_SECTIONS])
{
	size_t all = (size_t)count + VIOFS_SLOTS_HIPRIO;

	/* A page on top of each: sections are shared, and pieces are aligned to pages. */
	sizes[VIOFS_ARENA_PRIVATE] += all * sizeof(struct viofs_slot) + buffers * sizeof(uint16_t) +
				      (all + buffers) * sizeof(struct viofs_contents) + 4096;
	sizes[VIOFS_ARENA_DEVICE_READ] += all * VIOFS_SLOT_REQUEST + 4096;
	sizes[VIOFS_ARENA_DEVICE_WRITE] += all * (VIOFS_SLOT_REPLY + VIOFS_SLOT_DATA) + 8192;
	sizes[VIOFS_ARENA_DEVICE_RW] += (size_t)buffers * buffer_size;
}

void viofs_slots_init(struct viofs_slots *s, uint16_t count, uint16_t buffers, uint32_t buffer_size,
		      struct viofs_arena *arena)
{
	unsigned int all = count + VIOFS_SLOTS_HIPRIO;

	memset(s, 0, sizeof(*s));
	s->hiprio = count;
	s->all_buffers = buffers;
	s->buffer_size = buffer_size;
	s->arena = arena;
	s->slots = viofs_arena_alloc(arena, VIOFS_ARENA_PRIVATE, all * sizeof(*s->slots), 64);
	s->free_buffers = viofs_arena_alloc(arena, VIOFS_ARENA_PRIVATE,
					    buffers * sizeof(*s->free_buffers), 64);
	s->in_buffer =
		viofs_arena_alloc(arena, VIOFS_ARENA_PRIVATE, buffers * sizeof(*s->in_buffer), 64);
	s->in_slot = viofs_arena_alloc(arena, VIOFS_ARENA_PRIVATE, all * sizeof(*s->in_slot), 64);
	s->requests = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_READ,
					(size_t)all * VIOFS_SLOT_REQUEST, 4096);
	s->data = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_WRITE, (size_t)all * VIOFS_SLOT_DATA,
				    4096);
	s->replies = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_WRITE,
				       (size_t)all * VIOFS_SLOT_REPLY, 4096);
	s->buffers = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_RW, (size_t)buffers * buffer_size,
				       4096);
	for (unsigned int i = 0; i < all; i++) {
		s->slots[i].index = (uint16_t)i;
		s->slots[i].buffer = VIOFS_BUFFER_NONE;
		s->slots[i].entry = VIOFS_SLOT_NO_ENTRY;
	}
	viofs_slots_share(s, 0, count, 0, buffers, s);
}

void viofs_slots_share(const struct viofs_slots *all, uint16_t first, uint16_t count,
		       uint16_t buffer_first, uint16_t buffer_count, struct viofs_slots *out)
{
	assert(buffer_first + buffer_count <= all->all_buffers);
	*out = *all;
	out->first = first;
	out->count = count;
	out->buffer_first = buffer_first;
	out->buffer_count = buffer_count;
	/* A pool of all has the stack from its beginning on, and others their own part of it. */
	out->free_buffers = all->free_buffers - all->buffer_first + buffer_first;
	out->free = VIOFS_SLOT_NONE;
	out->free_count = out->free_buffer_count = 0;
	for (unsigned int i = count; i-- > 0;)
		viofs_slots_give(out, viofs_slots_at(out, i));
	for (unsigned int i = buffer_count; i-- > 0;)
		viofs_slots_give_buffer(out, (uint16_t)(buffer_first + i));
}

void viofs_slots_share_hiprio(const struct viofs_slots *all, struct viofs_slots *out)
{
	viofs_slots_share(all, all->hiprio, VIOFS_SLOTS_HIPRIO, 0, 0, out);
}

struct viofs_slot *viofs_slots_take(struct viofs_slots *s)
{
	struct viofs_slot *slot;

	if (s->free == VIOFS_SLOT_NONE)
		return NULL;
	slot = &s->slots[s->free];
	s->free = slot->next;
	s->free_count--;
	slot->next = VIOFS_SLOT_NONE;
	viofs_slot_renew(slot);
	return slot;
}

void viofs_slot_renew(struct viofs_slot *slot)
{
	slot->state = VIOFS_SLOT_LANDING;
	slot->apart = slot->spilled = false;
	slot->interrupts = 0;
	slot->generation++;
	/* Bit 0 stays clear: INTERRUPT marks itself with it. */
	slot->device_unique = ((uint64_t)slot->generation << 16 | slot->index) << 1;
}

void viofs_slots_give(struct viofs_slots *s, struct viofs_slot *slot)
{
	if (slot->buffer != VIOFS_BUFFER_NONE)
		viofs_slots_give_buffer(s, slot->buffer);
	slot->buffer = VIOFS_BUFFER_NONE;
	slot->state = VIOFS_SLOT_FREE;
	slot->next = s->free;
	s->free = slot->index;
	s->free_count++;
}

uint16_t viofs_slots_take_buffer(struct viofs_slots *s, uint16_t keep)
{
	if (s->free_buffer_count <= keep)
		return VIOFS_BUFFER_NONE;
	return s->free_buffers[--s->free_buffer_count];
}

void viofs_slots_give_buffer(struct viofs_slots *s, uint16_t buffer)
{
	assert(s->free_buffer_count < s->buffer_count);
	s->free_buffers[s->free_buffer_count++] = buffer;
}

/* Relaxed, both: who forgets a nodeid has the device told of it later, and so has the kernel
 * (forget()). */
static uint64_t nodeid_of(const struct viofs_contents *c)
{
	return atomic_load_explicit(&c->nodeid, memory_order_relaxed);
}

/* What the slot's request reads or writes, where its bytes are those of one file. */
static uint64_t file_of(uint32_t opcode, uint64_t nodeid)
{
	return opcode == FUSE_READ || opcode == FUSE_WRITE ? nodeid : 0;
}

uint16_t viofs_slot_take_buffer(struct viofs_slots *s, const struct viofs_slot *slot, uint16_t keep)
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
	/* Behind them some other file's may go on. */
	if (nodeid_of(c) != nodeid)
		atomic_store_explicit(&c->nodeid, c->dirty <= len ? nodeid : 0,
				      memory_order_relaxed);
	c->dirty = VIOFS_MAX(c->dirty, len);
}

void viofs_slots_note(struct viofs_slots *s, uint16_t buffer, const struct fuse_in_header *head,
		      size_t len)
{
	if (len)
		fill(&s->in_buffer[buffer], file_of(head->opcode, head->nodeid), (uint32_t)len);
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

void viofs_slots_forget(struct viofs_slots *s, const void *message, size_t len)
{
	struct viofs_fuse_forgets walk;
	struct fuse_forget_one one;

	if (viofs_fuse_forgets_start(&walk, message, len))
		return;
	while (viofs_fuse_forgets_one(&walk, &one))
		forget(s, one.nodeid);
}

static uint8_t *slot_data(const struct viofs_slots *s, const struct viofs_slot *slot)
{
	return s->data + (size_t)slot->index * VIOFS_SLOT_DATA;
}

void viofs_slot_clear_reply(struct viofs_slots *s, const struct viofs_slot *slot)
{
	const struct viofs_fuse_shape *shape = &slot->shape;
	uint64_t nodeid = file_of(shape->opcode, slot->nodeid);
	uint8_t *data = viofs_slot_reply_data(s, slot);
	bool in_slot = data == slot_data(s, slot);
	struct viofs_contents *c = in_slot ? &s->in_slot[slot->index] : &s->in_buffer[slot->buffer];
	uint32_t start = in_slot ? 0 : (uint32_t)(data - viofs_slots_buffer(s, slot->buffer));
	uint32_t end = start + shape->reply_data;

	memset(viofs_slot_reply(s, slot), 0, sizeof(struct fuse_out_header) + shape->fixed);
	if (!shape->reply_data)
		return;
	if ((!nodeid || nodeid_of(c) != nodeid) && c->dirty > start)
		memset(data, 0, VIOFS_MIN(c->dirty, end) - start);
	fill(c, nodeid, end);
}

/* The slot's request area: the indirect table, then the message. */
static uint8_t *request_area(const struct viofs_slots *s, const struct viofs_slot *slot)
{
	return s->requests + (size_t)slot->index * VIOFS_SLOT_REQUEST;
}

uint8_t *viofs_slot_message(const struct viofs_slots *s, const struct viofs_slot *slot)
{
	/* One page holds all of a FORGET, so that it is in one piece on scattered pages too. */
	return request_area(s, slot) + (slot->index < s->hiprio
						? VIOFS_SLOT_MESSAGE
						: VIOFS_SLOT_REQUEST - VIOFS_SLOT_HIPRIO);
}

uint8_t *viofs_slots_buffer(const struct viofs_slots *s, uint16_t buffer)
{
	assert(buffer < s->all_buffers);
	return s->buffers + (size_t)buffer * s->buffer_size;
}

struct fuse_in_header *viofs_slot_header(const struct viofs_slots *s, const struct viofs_slot *slot)
{
	if (slot->spilled)
		return (void *)viofs_slots_buffer(s, slot->buffer);
	return (void *)viofs_slot_message(s, slot);
}

uint8_t *viofs_slot_reply(const struct viofs_slots *s, const struct viofs_slot *slot)
{
	return s->replies + (size_t)slot->index * VIOFS_SLOT_REPLY;
}

uint8_t *viofs_slot_reply_data(const struct viofs_slots *s, const struct viofs_slot *slot)
{
	uint8_t *buffer;

	/* Where the kernel takes it, behind the structs. What the device reads is not there then.
	 */
	if (slot->entry != VIOFS_SLOT_NO_ENTRY && !slot->spilled)
		return viofs_slots_buffer(s, slot->buffer) + slot->shape.fixed;
	if (slot->shape.reply_data <= VIOFS_SLOT_DATA)
		return slot_data(s, slot);
	buffer = viofs_slots_buffer(s, slot->buffer);
	/* A request that spilled has the lower half: what the device reads stays apart from what it
	 * writes. Only IOCTL could have both, and its 14-bit sizes fit. */
	return slot->len > VIOFS_SLOT_SMALL ? buffer + s->buffer_size / 2 : buffer;
}

bool viofs_slot_needs_buffer(const struct viofs_slot *slot)
{
	return slot->buffer == VIOFS_BUFFER_NONE && slot->shape.reply_data > VIOFS_SLOT_DATA;
}

void viofs_slot_gather(struct viofs_slots *s, struct viofs_slot *slot)
{
	uint8_t *buffer = viofs_slots_buffer(s, slot->buffer);

	assert(slot->len > VIOFS_SLOT_SMALL && slot->len <= s->buffer_size);
	memmove(buffer + VIOFS_SLOT_SMALL, buffer, slot->len - VIOFS_SLOT_SMALL);
	memcpy(buffer, viofs_slot_message(s, slot), VIOFS_SLOT_SMALL);
	fill(&s->in_buffer[slot->buffer], 0, slot->len);
	slot->spilled = true;
}

/* A growing list of pieces; `failed` once it was too short. */
struct builder {
	const struct viofs_arena *arena;
	struct viofs_ring_piece *pieces;
	unsigned int count, max;
	bool failed;
};

static void add(struct builder *b, const uint8_t *p, size_t len)
{
	while (len) {
		size_t run;
		uint64_t iova = viofs_arena_iova(b->arena, p, len, &run);

		if (b->count == b->max) {
			b->failed = true;
			return;
		}
		b->pieces[b->count++] = (struct viofs_ring_piece){ iova, (uint32_t)run };
		p += run;
		len -= run;
	}
}

/* Bytes [@from, @from + @len) of the message, wherever they lie. */
static void add_message(struct builder *b, const struct viofs_slots *s,
			const struct viofs_slot *slot, size_t from, size_t len)
{
	size_t small = slot->spilled || from >= VIOFS_SLOT_SMALL
			       ? 0
			       : VIOFS_MIN(len, VIOFS_SLOT_SMALL - from);

	if (small)
		add(b, viofs_slot_message(s, slot) + from, small);
	if (len > small)
		add(b,
		    viofs_slots_buffer(s, slot->buffer) +
			    (slot->spilled ? from : from + small - VIOFS_SLOT_SMALL),
		    len - small);
}

int viofs_slot_chain(const struct viofs_slots *s, const struct viofs_slot *slot, bool indirect,
		     struct viofs_ring_piece *pieces, unsigned int max,
		     struct viofs_ring_chain *chain)
{
	const struct viofs_fuse_shape *shape = &slot->shape;
	struct builder b = { s->arena, pieces, 0, max, false };
	const size_t head = sizeof(struct fuse_in_header);

	memset(chain, 0, sizeof(*chain));
	if (!shape->replies) {
		add_message(&b, s, slot, 0, slot->len);
		chain->readable = (uint16_t)b.count;
	} else {
		add_message(&b, s, slot, 0, head);
		add_message(&b, s, slot, head, shape->args);
		if (slot->apart)
			add(&b, viofs_slots_buffer(s, slot->buffer), shape->data);
		else
			add_message(&b, s, slot, head + shape->args, shape->data);
		chain->readable = (uint16_t)b.count;
		add(&b, viofs_slot_reply(s, slot), sizeof(struct fuse_out_header));
		add(&b, viofs_slot_reply(s, slot) + sizeof(struct fuse_out_header), shape->fixed);
		if (shape->reply_data)
			add(&b, viofs_slot_reply_data(s, slot), shape->reply_data);
		chain->writable = (uint16_t)(b.count - chain->readable);
	}
	if (b.failed)
		return -EMSGSIZE;
	chain->pieces = pieces;
	chain->token = slot->index;
	if (indirect) {
		uint8_t *table = request_area(s, slot);
		size_t run;

		chain->indirect = (void *)table;
		chain->indirect_iova = viofs_arena_iova(s->arena, table, 1, &run);
	}
	return 0;
}
