/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodeids whose FORGETs hiprio has no room for, each once.
 *
 * A FORGET can't be refused, and reading can't stop for one: what is behind it may be what somebody
 * waits for. So all of them are taken, and those of one nodeid added up, which is the same to the
 * device: an order between FORGETs has no meaning. What waits is then as long as the device's own
 * table of nodes, since a node stays in there until its FORGET has come, and a device's node takes
 * more than the 24 bytes or so here. Nothing but a device that makes up a new nodeid at each
 * LOOKUP gets to VIOFS_FORGOTTEN_MAX. Beyond that, or with no memory, FORGETs are dropped: the
 * device keeps these nodes until DESTROY, which ends all of them.
 */
#ifndef VIOFS_RELAY_FORGOTTEN_H
#define VIOFS_RELAY_FORGOTTEN_H

#include "base/uapi.h"

#include <stdint.h>

#define VIOFS_FORGOTTEN_MAX (4U << 20)

/** struct viofs_forgotten - a set of nodeids with counts, in memory that outlives the process */
struct viofs_forgotten {
	struct fuse_forget_one *one; /* count, in no order; memory for max of them */
	uint32_t *next, *first; /* chains of their indices by hash, room of each; NONE ends one */
	uint32_t *count;        /* outlives it, too */
	uint32_t room;
	uint64_t key[2]; /* of the hash, that the device doesn't know; chosen with the first room */
	uint32_t max;
};

/** viofs_forgotten_init() - those that are there: *@count of @one, which has room for @max. Return:
 * 0; -ENOMEM. */
int viofs_forgotten_init(struct viofs_forgotten *f, struct fuse_forget_one *one, uint32_t *count,
			 uint32_t max);

/** viofs_forgotten_add() - @one's lookups, to those of its nodeid. Return: 0; -ENOSPC, -ENOMEM: it
 * can't be kept. */
int viofs_forgotten_add(struct viofs_forgotten *f, const struct fuse_forget_one *one);

/** viofs_forgotten_last() - look at @n <= count of them, which viofs_forgotten_drop() takes away.
 */
const struct fuse_forget_one *viofs_forgotten_last(const struct viofs_forgotten *f, uint32_t n);
void viofs_forgotten_drop(struct viofs_forgotten *f, uint32_t n);

/** viofs_forgotten_fini() - the set stays, for somebody else to go on with. */
void viofs_forgotten_fini(struct viofs_forgotten *f);

#endif
