/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slots as chains. */
#include "relay/slot_chain.h"
#include "base/util.h"

/* Bytes [@from, @from + @len) of a message that goes on in the buffer. */
static void add_in_two(struct viofs_chain *c, const struct viofs_slots *s,
		       const struct viofs_slot *slot, size_t from, size_t len)
{
	size_t small = from >= VIOFS_SLOT_SMALL ? 0 : VIOFS_MIN(len, VIOFS_SLOT_SMALL - from);

	viofs_chain_add(c, &viofs_slots_place(s, slot)->message, from, small);
	if (len > small)
		viofs_chain_add(c, &s->buffer_places[slot->buffer], from + small - VIOFS_SLOT_SMALL,
				len - small);
}

static void add_data(struct viofs_chain *c, const struct viofs_slots *s,
		     const struct viofs_slot *slot)
{
	const struct viofs_fuse_shape *shape = &slot->shape;
	size_t from = sizeof(struct fuse_in_header) + shape->args;

	if (slot->apart)
		viofs_chain_add(c, &s->buffer_places[slot->buffer], 0, shape->data);
	else if (slot->spilled)
		viofs_chain_add(c, &s->buffer_places[slot->buffer], from, shape->data);
	else
		add_in_two(c, s, slot, from, shape->data);
}

int viofs_slot_chain(const struct viofs_slots *s, const struct viofs_slot *slot, bool indirect,
		     struct viofs_ring_piece *pieces, unsigned int max,
		     struct viofs_ring_chain *chain)
{
	const struct viofs_slot_place *place = viofs_slots_place(s, slot);
	const struct viofs_fuse_shape *shape = &slot->shape;
	struct viofs_chain c = { .arena = s->arena, .pieces = pieces, .max = max };
	const struct viofs_place *message =
		slot->spilled ? &s->buffer_places[slot->buffer] : &place->message;
	size_t args = shape->replies ? shape->args : slot->len - sizeof(struct fuse_in_header);

	viofs_chain_request(&c, message, args, shape->replies);
	if (shape->replies) {
		if (shape->data)
			add_data(&c, s, slot);
		viofs_chain_reply(&c, &place->reply, shape->fixed);
		if (shape->reply_data)
			viofs_chain_add_memory(&c, viofs_slot_reply_data(s, slot),
					       shape->reply_data);
	}
	return viofs_chain_end(&c, shape->replies, indirect ? &place->table : NULL, slot->index,
			       chain);
}
