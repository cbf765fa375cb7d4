/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests in flight: whose they are, and what becomes of them when their user or the device goes.
 * Private to src/client */
#ifndef VIOFS_CLIENT_TRACK_H
#define VIOFS_CLIENT_TRACK_H

#include "client/client_dev.h"

/** viofs_track_unique() - what the request in a slot is called. */
uint64_t viofs_track_unique(const struct viofs_vq *vq, unsigned int index);
/** viofs_track_give() - a slot is free again. */
void viofs_track_give(struct viofs_vq *vq, unsigned int index);
/** viofs_track_hand_over() - an answer that somebody else has found, to whoever sent the request.
 */
void viofs_track_hand_over(struct viofs_vq *vq, const struct viofs_vq_slot *slot);
/** viofs_track_take_done() - completions that others found, entered. Return: how many. */
unsigned int viofs_track_take_done(struct viofs_vq *vq, struct viofs_queue *q,
				   struct viofs_completion *out, unsigned int max);
/** viofs_track_end() - the device failed: requests of @q end with an error, entered. Return: how
 * many.
 */
unsigned int viofs_track_end(struct viofs_vq *vq, struct viofs_queue *q,
			     struct viofs_completion *out, unsigned int max);
/** viofs_track_forget() - @q is closed: what it has in flight is nobody's, entered. */
void viofs_track_forget(struct viofs_vq *vq, struct viofs_queue *q);
/** viofs_track_abandon() - as viofs_track_end() with -ECANCELED, but the device goes on: the slots
 * come free when it has answered. */
unsigned int viofs_track_abandon(struct viofs_vq *vq, struct viofs_queue *q,
				 struct viofs_completion *out, unsigned int max);
/** viofs_track_waits() - uniques of requests of @q that may wait for ever and can be interrupted,
 * up to @max; entered. @more: out, there are others. */
unsigned int viofs_track_waits(const struct viofs_vq *vq, const struct viofs_queue *q,
			       uint64_t *uniques, unsigned int max, bool *more);
/** viofs_track_held() - ns until such a request can be interrupted; 0: now, or it isn't in flight;
 * entered. */
int64_t viofs_track_held(const struct viofs_vq *vq, const struct viofs_queue *q, uint64_t unique);
/** viofs_track_find() - the opcode of a request in flight, 0: there is none of that name; entered.
 */
uint32_t viofs_track_find(const struct viofs_vq *vq, const struct viofs_queue *q, uint64_t unique);
/** viofs_track_oldest() - ns of the oldest request that somebody waits for, INT64_MAX: none;
 * entered.
 */
int64_t viofs_track_oldest(const struct viofs_vq *vq);

#endif
