/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kicking a device by eventfds that it has too, and that it could make us wait for. */
#ifndef VIOFS_FS_DOORBELLS_H
#define VIOFS_FS_DOORBELLS_H

#include "fs/fs.h"

struct viofs_bell;

/** struct viofs_doorbells - a bell for each of the device's kick eventfds */
struct viofs_doorbells {
	struct viofs_virtio *virtio; /* that rings them; NULL: there are none */
	struct viofs_bell *bells[VIOFS_FS_VIRTQUEUES_MAX];
};

/**
 * viofs_doorbells_init() - have @fs's transport kick by @b, where it does so by eventfds
 * @ways: VIOFS_BELL_URING, VIOFS_BELL_AIO, or both.
 * Context: the process that will kick; before its sandbox.
 * Return: 0, or -errno: it can't be had; the transport writes to the eventfds then.
 */
int viofs_doorbells_init(struct viofs_doorbells *b, struct viofs_fs *fs, unsigned int ways);

/** viofs_doorbells_move() - from now on the transport rings those of @from by @to. */
void viofs_doorbells_move(struct viofs_doorbells *to, struct viofs_doorbells *from);

/** viofs_doorbells_fini() - nothing is kicked any more. In a child of fork(2) too. */
void viofs_doorbells_fini(struct viofs_doorbells *b);

#endif
