/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handles, beyond what <viofs/request.h> has. Private to src/client */
#ifndef VIOFS_CLIENT_QUEUE_H
#define VIOFS_CLIENT_QUEUE_H

#include "client/client_dev.h"

/** viofs_queue_waits_for_room() - a submit found no slot, and none has come free since then. */
bool viofs_queue_waits_for_room(struct viofs_queue *q);

/** viofs_queue_wake() - who sleeps on its descriptor; any thread. */
void viofs_queue_wake(struct viofs_queue *q);
/** viofs_queue_wake_by() - its user is to poll at @when at the latest, ns; 0: no more. */
void viofs_queue_wake_by(struct viofs_queue *q, int64_t when);
/** viofs_queue_abandon() - take completions, and end what is in flight with -ECANCELED. Return: how
 * many; 0: nothing is left. */
unsigned int viofs_queue_abandon(struct viofs_queue *q, struct viofs_completion *out,
				 unsigned int max);
/** viofs_queue_close_all() - in a child of fork(2): all handles of a virtqueue, without its lock.
 */
void viofs_queue_close_all(struct viofs_vq *vq);
/** viofs_queue_waits() - uniques of its requests that may wait for ever and can be interrupted.
 * @more: out, there are others. Return: how many. */
unsigned int viofs_queue_waits(struct viofs_queue *q, uint64_t *uniques, unsigned int max,
			       bool *more);
/** viofs_queue_held() - ns until a request that waits can be interrupted; 0: now, or it has ended.
 */
int64_t viofs_queue_held(struct viofs_queue *q, uint64_t unique);

#endif
