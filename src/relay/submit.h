/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a slot to its virtqueue, or to the list of those that wait. */
#ifndef VIOFS_RELAY_SUBMIT_H
#define VIOFS_RELAY_SUBMIT_H

#include <stdbool.h>
#include <stdint.h>

struct viofs_lane;
struct viofs_slot;

/**
 * viofs_submit() - send a classified slot, or put it on the waiting list
 * Return: 0 sent; -EAGAIN: waiting; -EPIPE: the ring is broken; -EMSGSIZE: answered with EIO.
 */
int viofs_submit(struct viofs_lane *lane, struct viofs_slot *slot);

/** viofs_submit_later() - append a classified slot to the waiting list. */
void viofs_submit_later(struct viofs_lane *lane, struct viofs_slot *slot);

/** viofs_submit_waiting() - try the waiting list again, skipping what still can't go. */
void viofs_submit_waiting(struct viofs_lane *lane);

/**
 * viofs_submit_cancel() - take a lock off the waiting list, which the device hasn't seen
 * Return: true: it is gone, and is to be answered; false: no lock with this unique waits.
 */
bool viofs_submit_cancel(struct viofs_lane *lane, uint64_t kernel_unique);

/** viofs_submit_kick_later() - more is about to be submitted: one kick for all, in
 * viofs_submit_kick_now(). */
void viofs_submit_kick_later(struct viofs_lane *lane);
void viofs_submit_kick_now(struct viofs_lane *lane);

#endif
