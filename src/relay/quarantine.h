/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests that workers die of. */
#ifndef VIOFS_RELAY_QUARANTINE_H
#define VIOFS_RELAY_QUARANTINE_H

#include "relay/state.h"

struct viofs_lane;
struct viofs_relay;

/** struct viofs_quarantine - while a successor looks at the state */
struct viofs_quarantine {
	uint8_t *before; /* by slot: its state, as the dead worker has left it */
	uint64_t condemned[VIOFS_SUSPECTS_MAX];
	unsigned int count;
};

/** viofs_quarantine_init() - before slots are compared with the rings. Return: 0; -ENOMEM. */
int viofs_quarantine_init(struct viofs_quarantine *q, const struct viofs_relay *r);

/** viofs_quarantine_fini() - one that is zeroed is fine. */
void viofs_quarantine_fini(struct viofs_quarantine *q);

/**
 * viofs_quarantine_judge() - whom did the dead worker work on, and the one that crashed before it?
 * @on_ring: by slot: the device has it. Before anything is done for a request: the successor may
 * die of that.
 */
void viofs_quarantine_judge(struct viofs_quarantine *q, struct viofs_relay *r, const bool *on_ring);

/** viofs_quarantine_end_slot() - a request that two have died of gets EIO. Return: is it one? */
bool viofs_quarantine_end_slot(const struct viofs_quarantine *q, struct viofs_lane *lane,
			       struct viofs_slot *slot);

/** viofs_quarantine_end_head() - likewise one that was being read, and is nowhere else. */
bool viofs_quarantine_end_head(const struct viofs_quarantine *q, struct viofs_lane *lane);

#endif
