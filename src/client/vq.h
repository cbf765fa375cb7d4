/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A virtqueue and its slots. Private to src/client */
#ifndef VIOFS_CLIENT_VQ_H
#define VIOFS_CLIENT_VQ_H

#include "client/client_dev.h"

/** viofs_vq_sizes() - add what @depth slots need. */
void viofs_vq_sizes(unsigned int depth, size_t sizes[VIOFS_ARENA_SECTIONS]);
/** viofs_vq_init() - after the queues were started. Return: 0, -ENOMEM. */
int viofs_vq_init(struct viofs_vq *vq, struct viofs_dev *dev, unsigned int index,
		  unsigned int depth);
void viofs_vq_fini(struct viofs_vq *vq);
/** viofs_vq_share() - before a second handle gets it; dev->lock is held. */
void viofs_vq_share(struct viofs_vq *vq);
/** viofs_vq_add() - one request on the ring, entered. Return: 0; -ENOSPC; as viofs_queue_submit().
 */
int viofs_vq_add(struct viofs_vq *vq, struct viofs_queue *q, struct viofs_request *request,
		 int64_t now);
/** viofs_vq_kick() - entered. */
void viofs_vq_kick(struct viofs_vq *vq);
/**
 * viofs_vq_drain() - take used entries, entered
 * @q: whose completions go to @out, up to @max; NULL: nobody's (silent ones are reaped, others go
 * to lists).
 * @why: set where the device broke the rules, to how. What came before that has ended well.
 * Return: how many went there.
 */
unsigned int viofs_vq_drain(struct viofs_vq *vq, struct viofs_queue *q,
			    struct viofs_completion *out, unsigned int max, const char **why);

#endif
