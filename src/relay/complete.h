/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the ring to the kernel. */
#ifndef VIOFS_RELAY_COMPLETE_H
#define VIOFS_RELAY_COMPLETE_H

struct viofs_lane;

/**
 * viofs_complete_left() - answers that another process was giving when it died
 * Whether it gave them isn't known; the kernel takes no second one. A lane does it once, when it is
 * led: such an answer may block, and whoever leads then goes on with the next one.
 * Return: 0; otherwise as viofs_complete().
 */
int viofs_complete_left(struct viofs_lane *lane);

/**
 * viofs_complete() - deal with the completions of the lane's queues, and of hiprio where it serves
 * that Return: how many; VIOFS_DEPOSED; -EPROTO: the device broke the session, which has been said.
 */
int viofs_complete(struct viofs_lane *lane);

#endif
