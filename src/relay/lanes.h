/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Setting up lanes: how many, what each gets of the session, what it opens. */
#ifndef VIOFS_RELAY_LANES_H
#define VIOFS_RELAY_LANES_H

#include "base/err.h"

#include <stdbool.h>

struct viofs_relay;

/**
 * viofs_lanes_new() - as many as are useful; they share slots, buffers, entries and queues
 * Return: 0; -ENOMEM.
 */
int viofs_lanes_new(struct viofs_relay *r);

/** viofs_lanes_adopt() - those of the state, with a /dev/fuse for each. Return: 0; -EPROTO: what is
 * parked contradicts itself; -ENOMEM. */
int viofs_lanes_adopt(struct viofs_relay *r, const int *fuse_fds);

/** viofs_lanes_free() - Return: false where a thread still looks at one: all must stay as it is. */
bool viofs_lanes_free(struct viofs_relay *r);

/** viofs_lanes_open() - each lane's own /dev/fuse, of the connection of @fuse_fd. Return: 0; -errno
 * with @err. */
int viofs_lanes_open(struct viofs_relay *r, int fuse_fd, struct viofs_err *err);

/** viofs_lanes_hang_up() - close what viofs_lanes_open() has opened. */
void viofs_lanes_hang_up(struct viofs_relay *r);

/** viofs_lanes_prepare() - open what they need. Return: 0 or -errno with @err. */
int viofs_lanes_prepare(struct viofs_relay *r, int fuse_fd, struct viofs_err *err);

/**
 * viofs_lanes_move() - what viofs_lanes_prepare() made for @from, which has as many, is @to's
 * lanes'
 */
void viofs_lanes_move(struct viofs_relay *to, struct viofs_relay *from);

#endif
