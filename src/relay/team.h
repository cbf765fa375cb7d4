/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lanes together: one session, which starts once and ends once.
 *
 *   GATHERING  threads are there and wait; lane 0 (the caller's thread) does INIT alone
 *   STARTING   each lane hands its entries to the kernel
 *   SERVING    each lane for itself, until one stops the team; the first one says how it ended
 *   ENDED      each lane has answered or drained what it had; nobody touches the device any more
 *   REFUSING   the device was lost: each lane answers EIO
 *   OVER       threads end
 *
 * Who stops the team wakes the others: each has an eventfd among what it sleeps for. A lane's
 * thread stays until the team is over, since the kernel takes the entries of a thread that ends
 * back (entries.h).
 */
#ifndef VIOFS_RELAY_TEAM_H
#define VIOFS_RELAY_TEAM_H

#include "base/err.h"
#include "relay/parking.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct viofs_lane;
struct viofs_relay;

/** enum viofs_team_phase - see above */
enum viofs_team_phase {
	VIOFS_TEAM_GATHERING,
	VIOFS_TEAM_STARTING,
	VIOFS_TEAM_SERVING,
	VIOFS_TEAM_ENDED,
	VIOFS_TEAM_REFUSING,
	VIOFS_TEAM_OVER,
};

/** struct viofs_team - what the lanes have in common */
struct viofs_team {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum viofs_team_phase phase;
	unsigned int starting; /* lanes that have not handed over their entries */
	unsigned int serving;  /* lanes that have something to end */
	int start_rc;          /* 0, or why one of them could not start */
	_Atomic bool stopping;
	int result;       /* of the session, from stopping on */
	int64_t stopped;  /* ns, when that was */
	const char *lost; /* what viofs_device_lost() has found */
};

/** struct viofs_mailbox - what other lanes have for one */
struct viofs_mailbox {
	pthread_mutex_t lock;
	struct viofs_parking letters;
	_Atomic bool full; /* there are some */
};

void viofs_team_init(struct viofs_team *t);
void viofs_mailbox_init(struct viofs_mailbox *m);

/** viofs_team_start() - the threads of all lanes but 0: they wait. Return: 0 or -errno with @err.
 */
int viofs_team_start(struct viofs_relay *r, struct viofs_err *err);

/** viofs_team_start_entries() - each lane hands its entries over. Return: 0, or the first -errno.
 */
int viofs_team_start_entries(struct viofs_relay *r);

/** viofs_team_serve() - all lanes serve from now on; the caller is to lead lane 0. */
void viofs_team_serve(struct viofs_relay *r);

/** viofs_team_refuse() - all lanes but 0 refuse; the caller is to do so for lane 0. */
void viofs_team_refuse(struct viofs_relay *r);

/** viofs_team_end() - wait for the threads, which have nothing to do any more. */
void viofs_team_end(struct viofs_relay *r);

/**
 * viofs_team_stop() - a lane has served, and ended with @rc: so all do
 * Return: how the session ends: the @rc of the first one that stops it.
 */
int viofs_team_stop(struct viofs_lane *lane, int rc);

/** viofs_team_is_stopping() - is the lane to leave viofs_serve()? */
static inline bool viofs_team_is_stopping(const struct viofs_team *t)
{
	return atomic_load_explicit(&t->stopping, memory_order_relaxed);
}

/** viofs_team_leave() - a lane has ended what it had; lane 0 waits for the others. */
void viofs_team_leave(struct viofs_lane *lane);
void viofs_team_wait(struct viofs_relay *r);

/** viofs_team_pass() - @message, of @len bytes, to the mailbox of @to, which is woken. Return: 0;
 * -ENOMEM. */
int viofs_team_pass(struct viofs_lane *to, void *message, size_t len);

/** viofs_mailbox_take() - the oldest; free(3) it. NULL: none. */
struct viofs_parked *viofs_mailbox_take(struct viofs_mailbox *m);

/** viofs_mailbox_has_mail() - without a lock. */
static inline bool viofs_mailbox_has_mail(const struct viofs_mailbox *m)
{
	return atomic_load_explicit(&m->full, memory_order_relaxed);
}

/** viofs_break() - the session can't go on; the first reason stays. Any lane. Return: -EPROTO. */
int viofs_break(struct viofs_relay *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** viofs_lose() - the device is gone: @how, as viofs_device_lost() says it. Return: -ENODEV. */
int viofs_lose(struct viofs_relay *r, const char *how);

/** viofs_device_lost() - NULL, or why: that stays so. Any lane. */
const char *viofs_device_lost(struct viofs_relay *r);

#endif
