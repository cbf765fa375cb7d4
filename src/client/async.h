/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Users of calls: what is under way for one of them. Private to src/client
 *
 * A user is the program's, made by viofs_async_open(), or a lane of the session for blocking calls.
 * It has a handle of a virtqueue (client_dev.h), and all that its ops share: their lists, free
 * chunks, a reserve of DMA memory. It is used by one thread at a time: the program sees to that, or
 * the lane's lock.
 */
#ifndef VIOFS_CLIENT_ASYNC_H
#define VIOFS_CLIENT_ASYNC_H

#include <viofs/viofs.h>

#include <pthread.h>
#include <stdbool.h>

/** struct viofs_async - see above */
struct viofs_async {
	struct viofs_share *s;
	const struct viofs_session *view; /* for whom its calls are made; see viofs_async_use() */
	struct viofs_queue *q;
	struct viofs_op *free, *live, *waiting, **waiting_tail, *ended, **ended_tail;
	struct viofs_op *locks, **locks_tail; /* as waiting, of patient ones */
	struct viofs_op *later,
		**later_tail;       /* whose turn comes when fewer than max are under way */
	struct viofs_chunk *chunks; /* free ones */
	uint8_t *reserve;           /* see scratch.c */
	bool reserve_taken;
	unsigned int pending, ended_count;
	struct viofs_op *last; /* begun last, and not ended; or NULL, and how it ended: */
	bool last_failed;
	bool link_next; /* viofs_async_link() */
	unsigned int under_way,
		max; /* ops that have begun to take what there is little of; 0 = any number */
	unsigned int in_flight; /* requests */
	int64_t deadline;       /* of the first op that has one, ns; 0: none */
	int woken;              /* viofs_async_wake() */
	bool closing;           /* what may wait for ever is given up */
	bool gone;              /* nothing is sent any more; what is in flight keeps its memory */
	/* of a lane; see blocking.c */
	pthread_mutex_t lock;
	bool leader;
	struct viofs_follower *followers;
};

/** viofs_async_new() - as viofs_async_open(), for calls on what is open; ends by
 * viofs_async_close(). */
int viofs_async_new(struct viofs_share *s, unsigned int max, struct viofs_async **out,
		    struct viofs_err *err);
/** viofs_async_init(), viofs_async_fini() - embedded. */
int viofs_async_init(struct viofs_async *a, struct viofs_share *s, unsigned int max,
		     struct viofs_err *err);
void viofs_async_fini(struct viofs_async *a);
/** viofs_async_complete() - requests have ended. */
void viofs_async_complete(struct viofs_async *a, const struct viofs_completion *c, unsigned int n);
/** viofs_async_abandon() - what is in flight is the device's alone; nothing is sent any more. */
void viofs_async_abandon(struct viofs_async *a);
/** viofs_async_turn() - completions, steps, and what waits. Return: how many completions. */
int viofs_async_turn(struct viofs_async *a);
/** viofs_async_forget() - send FORGETs that are due; @all: not only a full batch. */
void viofs_async_forget(struct viofs_async *a, bool all);

#endif
