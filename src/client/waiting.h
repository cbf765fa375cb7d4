/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for a device that may never answer. Private to src/client */
#ifndef VIOFS_CLIENT_WAITING_H
#define VIOFS_CLIENT_WAITING_H

#include <viofs/request.h>

#include <stdbool.h>

/** struct viofs_wait - one wait, from its beginning on */
struct viofs_wait {
	int64_t start, spin_end, end; /* ns; INT64_MAX: never */
	unsigned int turns;
};

/** viofs_wait_start() - @timeout_ns negative: no end. */
void viofs_wait_start(struct viofs_wait *w, struct viofs_queue *q, int64_t timeout_ns);

/**
 * viofs_wait_prepare() - nothing came: what to do
 * Kicks again and looks at the device where it takes long; arms the queue before a sleep.
 * Return: ns to sleep; 0: look again; -1: the time is up.
 */
int64_t viofs_wait_prepare(struct viofs_wait *w, struct viofs_queue *q);

/** viofs_wait_sleep() - as that said; uses nothing of the queue but its descriptors. */
void viofs_wait_sleep(struct viofs_queue *q, int64_t ns);

#endif
