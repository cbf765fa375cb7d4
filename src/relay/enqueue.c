/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A slot onto a virtqueue. */
#include "relay/enqueue.h"
#include "base/trace.h"
#include "relay/contents.h"
#include "relay/session.h"
#include "relay/slot_chain.h"

/* Descriptors of one chain: data of 1 MiB in single pages never gets here (relay.c bounds it). */
#define PIECES_MAX VIOFS_SLOT_INDIRECT

int viofs_enqueue(struct viofs_relay *r, struct viofs_slot *slot, unsigned int q)
{
	struct viofs_ring_piece pieces[PIECES_MAX];
	struct viofs_ring_chain chain;
	int rc;

	rc = viofs_slot_chain(&r->slots, slot, r->indirect, pieces, PIECES_MAX, &chain);
	if (rc)
		return rc;
	if (slot->shape.replies)
		viofs_contents_clear_reply(&r->slots, slot);
	slot->queue = (uint16_t)q;
	viofs_slot_header(&r->slots, slot)->unique = slot->device_unique;
	/* QUEUED before it is on the ring: a successor finds the slot there if we die in between.
	 */
	slot->state = VIOFS_SLOT_QUEUED;
	rc = viofs_ring_add(&r->fs->queues[q].ring, &chain);
	if (rc)
		return rc;
	r->stats->queues[q].requests++;
	VIOFS_PROBE4(submit, q, slot->shape.opcode, slot->kernel_unique, slot->len);
	return 0;
}
