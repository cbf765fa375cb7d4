/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two forms of a virtqueue behind virtio/ring.h, and what they share. Private to src/virtio. */
#ifndef VIOFS_VIRTIO_RING_FORMS_H
#define VIOFS_VIRTIO_RING_FORMS_H

#include "virtio/ring.h"

#include <errno.h>

#define VIOFS_DESC_F_NEXT 1U
#define VIOFS_DESC_F_WRITE 2U
#define VIOFS_DESC_F_INDIRECT 4U

/* End of the free list and of a chain; no index, since sizes end at 32768. */
#define VIOFS_RING_NO_NEXT 0xffffU

/** viofs_ring_break() - the device lied: nothing more is added or taken. Return: -EPROTO. */
static inline int viofs_ring_break(struct viofs_ring *r, enum viofs_ring_fault why)
{
	r->shadow->fault = (uint16_t)why;
	return -EPROTO;
}

/** viofs_ring_desc_flags() - NEXT and WRITE of the chain's descriptor @i. */
static inline unsigned int viofs_ring_desc_flags(const struct viofs_ring_chain *chain,
						 unsigned int i)
{
	unsigned int last = (unsigned int)chain->readable + chain->writable - 1;

	return (i >= chain->readable ? VIOFS_DESC_F_WRITE : 0) | (i < last ? VIOFS_DESC_F_NEXT : 0);
}

/*
 * Each form, on a ring that isn't broken:
 *   layout, should_kick, disarm   as in ring.h
 *   add   write the chain and publish it; its head is state[free_head], filled in, and is taken off
 *         the free list
 *   peek  the next used entry, unchecked. Return: 1, 0, -EPROTO
 *   take  that entry was good: @id, of @count descriptors, goes back to the free list, the next one
 *         is looked at
 *   arm   without the look afterwards
 */
struct viofs_ring_layout viofs_split_layout(uint16_t size);
void viofs_split_add(struct viofs_ring *r, const struct viofs_ring_chain *chain);
bool viofs_split_should_kick(struct viofs_ring *r);
int viofs_split_peek(struct viofs_ring *r, uint32_t *id, uint32_t *len);
void viofs_split_take(struct viofs_ring *r, uint16_t id, uint16_t count);
void viofs_split_arm(struct viofs_ring *r);
void viofs_split_disarm(struct viofs_ring *r);
/* Publish avail once more: whether its last owner came to it isn't known. */
void viofs_split_publish(struct viofs_ring *r);

struct viofs_ring_layout viofs_packed_layout(uint16_t size);
void viofs_packed_add(struct viofs_ring *r, const struct viofs_ring_chain *chain);
bool viofs_packed_should_kick(struct viofs_ring *r);
int viofs_packed_peek(struct viofs_ring *r, uint32_t *id, uint32_t *len);
void viofs_packed_take(struct viofs_ring *r, uint16_t id, uint16_t count);
void viofs_packed_arm(struct viofs_ring *r);
void viofs_packed_disarm(struct viofs_ring *r);
/* Was the chain made available that begins at the index @avail? The device may have used it. */
bool viofs_packed_is_published(const struct viofs_ring *r, uint16_t avail);

#endif
