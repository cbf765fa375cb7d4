/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A slot as a chain of descriptors. */
#ifndef VIOFS_RELAY_SLOT_CHAIN_H
#define VIOFS_RELAY_SLOT_CHAIN_H

#include "relay/slots.h"

/**
 * viofs_slot_chain() - the slot's request, framed as fs/chain.h has it
 * @pieces: room for @max.
 * Return: 0 and @chain filled (its indirect table is the slot's own where @indirect); -EMSGSIZE:
 * more than @max pieces.
 */
int viofs_slot_chain(const struct viofs_slots *s, const struct viofs_slot *slot, bool indirect,
		     struct viofs_ring_piece *pieces, unsigned int max,
		     struct viofs_ring_chain *chain);

#endif
