/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loop of the thread that leads a lane. */
#ifndef VIOFS_RELAY_SERVE_H
#define VIOFS_RELAY_SERVE_H

struct viofs_lane;

/**
 * viofs_serve() - until it is over
 * Return: 0: the kernel is gone; -errno: the session broke, which has been said; -ECANCELED: the
 * team is stopping; VIOFS_DEPOSED.
 */
int viofs_serve(struct viofs_lane *lane);

#endif
