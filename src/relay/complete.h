/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the ring to the kernel. */
#ifndef VIOFS_RELAY_COMPLETE_H
#define VIOFS_RELAY_COMPLETE_H

struct viofs_lane;

/**
 * viofs_complete() - deal with the completions of the lane's queues, and of hiprio in lane 0
 * Return: how many; VIOFS_DEPOSED; -EPROTO: the device broke the session, which has been said.
 */
int viofs_complete(struct viofs_lane *lane);

#endif
