/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notifying a device by eventfds that it has too, and that it could have us wait for. */
#ifndef VIOFS_RELAY_DOORBELL_H
#define VIOFS_RELAY_DOORBELL_H

#include "fs/device.h"

#include <liburing.h>

/** struct viofs_doorbells - a ring for each of the device's kick eventfds */
struct viofs_doorbells {
	struct viofs_virtio *virtio;                    /* that rings them; NULL: there are none */
	struct io_uring rings[VIOFS_FS_VIRTQUEUES_MAX]; /* as the device counts */
	unsigned int count;
};

/**
 * viofs_doorbells_init() - have @fs's transport notify by @b, where it does so by eventfds
 * Context: the process that will notify; before its sandbox.
 * Return: 0, or -errno: io_uring is not to be had.
 */
int viofs_doorbells_init(struct viofs_doorbells *b, struct viofs_fs *fs);

/**
 * viofs_doorbell_signal() - add one to an eventfd that a device has too, once, without ever waiting
 * Context: a process with no sandbox. What can't be signalled for want of an io_uring is left out.
 */
void viofs_doorbell_signal(int eventfd);

/** viofs_doorbells_fini() - nothing is notified any more. */
void viofs_doorbells_fini(struct viofs_doorbells *b);

#endif
