/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pool of slots and buffers, and where they lie. */
#include "relay/slots.h"
#include "base/page.h"
#include "base/util.h"
#include "fuse/unique.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void viofs_slots_arena_sizes(uint16_t count, uint16_t buffers, uint32_t buffer_size,
			     size_t sizes[VIOFS_ARENA_SECTIONS])
{
	size_t all = (size_t)count + VIOFS_SLOTS_HIPRIO;

	/* One page more for each piece: sections are shared, and pieces are aligned to pages. */
	sizes[VIOFS_ARENA_PRIVATE] += all * sizeof(struct viofs_slot) +
				      (all + buffers) * sizeof(struct viofs_contents) +
				      VIOFS_PAGE_LEAST;
	sizes[VIOFS_ARENA_DEVICE_READ] += all * VIOFS_SLOT_REQUEST + VIOFS_PAGE_LEAST;
	sizes[VIOFS_ARENA_DEVICE_WRITE] +=
		all * (VIOFS_SLOT_REPLY + VIOFS_SLOT_DATA) + 2 * VIOFS_PAGE_LEAST;
	sizes[VIOFS_ARENA_DEVICE_RW] += (size_t)buffers * buffer_size;
}

void viofs_slots_alloc(uint16_t count, uint16_t buffers, uint32_t buffer_size,
		       struct viofs_arena *arena, struct viofs_slots_tables *t)
{
	size_t all = (size_t)count + VIOFS_SLOTS_HIPRIO;

	t->slots = viofs_arena_alloc(arena, VIOFS_ARENA_PRIVATE, all * sizeof(*t->slots), 64);
	t->in_buffer =
		viofs_arena_alloc(arena, VIOFS_ARENA_PRIVATE, buffers * sizeof(*t->in_buffer), 64);
	t->in_slot = viofs_arena_alloc(arena, VIOFS_ARENA_PRIVATE, all * sizeof(*t->in_slot), 64);
	t->requests = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_READ, all * VIOFS_SLOT_REQUEST,
					VIOFS_PAGE_LEAST);
	t->data = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_WRITE, all * VIOFS_SLOT_DATA,
				    VIOFS_PAGE_LEAST);
	t->replies = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_WRITE, all * VIOFS_SLOT_REPLY,
				       VIOFS_PAGE_LEAST);
	t->buffers = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_RW, (size_t)buffers * buffer_size,
				       VIOFS_PAGE_LEAST);
	for (unsigned int i = 0; i < all; i++) {
		t->slots[i].index = (uint16_t)i;
		t->slots[i].buffer = VIOFS_BUFFER_NONE;
		t->slots[i].entry = VIOFS_SLOT_NO_ENTRY;
	}
}

/* Addresses never change: they are looked up here, and not for each request. */
static void find_places(struct viofs_slots *s, const struct viofs_slots_tables *t)
{
	for (unsigned int i = 0; i < s->hiprio + VIOFS_SLOTS_HIPRIO; i++) {
		struct viofs_slot_place *p = &s->places[i];
		uint8_t *request = t->requests + (size_t)i * VIOFS_SLOT_REQUEST;
		/* One page holds all of a FORGET, so that it is in one piece on scattered pages
		 * too. */
		size_t at =
			i < s->hiprio ? VIOFS_SLOT_MESSAGE : VIOFS_SLOT_REQUEST - VIOFS_SLOT_HIPRIO;

		p->table = viofs_place_of(s->arena, request, VIOFS_SLOT_MESSAGE);
		p->message = viofs_place_of(s->arena, request + at, VIOFS_SLOT_REQUEST - at);
		p->reply = viofs_place_of(s->arena, t->replies + (size_t)i * VIOFS_SLOT_REPLY,
					  VIOFS_SLOT_REPLY);
		p->data = t->data + (size_t)i * VIOFS_SLOT_DATA;
	}
	for (unsigned int i = 0; i < s->all_buffers; i++)
		s->buffer_places[i] = viofs_place_of(
			s->arena, t->buffers + (size_t)i * s->buffer_size, s->buffer_size);
}

int viofs_slots_init(struct viofs_slots *s, uint16_t count, uint16_t buffers, uint32_t buffer_size,
		     const struct viofs_arena *arena, const struct viofs_slots_tables *t)
{
	size_t all = (size_t)count + VIOFS_SLOTS_HIPRIO;

	*s = (struct viofs_slots){
		.slots = t->slots,
		.in_buffer = t->in_buffer,
		.in_slot = t->in_slot,
		.hiprio = count,
		.all_buffers = buffers,
		.buffer_size = buffer_size,
		.arena = arena,
		.places = calloc(all, sizeof(*s->places)),
		.buffer_places = calloc(buffers, sizeof(*s->buffer_places)),
		.free_buffers = calloc(buffers, sizeof(*s->free_buffers)),
	};
	if (!s->places || !s->buffer_places || !s->free_buffers) {
		viofs_slots_fini(s);
		return -ENOMEM;
	}
	find_places(s, t);
	viofs_slots_share(s, 0, count, 0, buffers, VIOFS_BUFFER_NONE, s);
	return 0;
}

void viofs_slots_fini(struct viofs_slots *s)
{
	free(s->places);
	free(s->buffer_places);
	free(s->free_buffers);
	*s = (struct viofs_slots){ .slots = NULL };
}

/* One bit for each buffer. */
struct held {
	uint8_t bits[(UINT16_MAX + 1) / 8];
};

static void hold(struct held *h, uint16_t buffer)
{
	h->bits[buffer / 8] |= (uint8_t)(1U << buffer % 8);
}

void viofs_slots_share(const struct viofs_slots *all, uint16_t first, uint16_t count,
		       uint16_t buffer_first, uint16_t buffer_count, uint16_t landing,
		       struct viofs_slots *out)
{
	struct held held = { { 0 } };

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
	hold(&held, landing);
	for (unsigned int i = count; i-- > 0;) {
		struct viofs_slot *slot = viofs_slots_at(out, i);

		if (slot->state == VIOFS_SLOT_FREE)
			viofs_slots_give(out, slot);
		else
			hold(&held, slot->buffer);
	}
	for (unsigned int i = buffer_count; i-- > 0;) {
		uint16_t buffer = (uint16_t)(buffer_first + i);

		if (!(held.bits[buffer / 8] >> buffer % 8 & 1))
			viofs_slots_give_buffer(out, buffer);
	}
}

void viofs_slots_share_hiprio(const struct viofs_slots *all, struct viofs_slots *out)
{
	viofs_slots_share(all, all->hiprio, VIOFS_SLOTS_HIPRIO, 0, 0, VIOFS_BUFFER_NONE, out);
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
	slot->device_unique = viofs_unique_of(slot->generation, slot->index);
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

uint8_t *viofs_slot_reply_data(const struct viofs_slots *s, const struct viofs_slot *slot)
{
	uint8_t *buffer;

	/* Behind the structs, where the kernel takes it. No data for the device is there at that
	 * time. */
	if (slot->entry != VIOFS_SLOT_NO_ENTRY && !slot->spilled)
		return viofs_slots_buffer(s, slot->buffer) + slot->shape.fixed;
	if (slot->shape.reply_data <= VIOFS_SLOT_DATA)
		return viofs_slots_place(s, slot)->data;
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
	slot->spilled = true;
}
