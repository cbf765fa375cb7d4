/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long each request takes. */
#ifndef VIOFS_RELAY_TAP_H
#define VIOFS_RELAY_TAP_H

#include "relay/state.h"

struct viofs_lane;
struct viofs_relay;

/**
 * viofs_tap_replied() - the kernel has the reply to the request in @slot
 * Context: the lane's leader, before the slot is free. Return: now, in ticks.
 */
uint64_t viofs_tap_replied(struct viofs_lane *lane, const struct viofs_slot *slot);

/** viofs_tap_latency() - of one opcode, all lanes together. Any process. */
void viofs_tap_latency(const struct viofs_relay *r, uint32_t opcode, struct viofs_latency *out);

#endif
