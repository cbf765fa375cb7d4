/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long a lane spins before it sleeps, and what it looks at meanwhile. */
#ifndef VIOFS_RELAY_SPIN_H
#define VIOFS_RELAY_SPIN_H

#include <stdbool.h>
#include <stdint.h>

struct viofs_lane;

/** viofs_spin_budget() - Return: ns to go on spinning for, in all, before sleeping. */
int64_t viofs_spin_budget(struct viofs_lane *lane, int64_t now);

/** viofs_spin_learn() - with nothing in flight it has slept for so many ns. */
void viofs_spin_learn(struct viofs_lane *lane, int64_t slept);

/** viofs_spin_look() - watch the used rings for a while: cheap, where a look at /dev/fuse is a
 * system call. */
void viofs_spin_look(const struct viofs_lane *lane);

/** viofs_spin_waits_for_device() - has the device a request that it was kicked for? */
bool viofs_spin_waits_for_device(const struct viofs_lane *lane);

#endif
