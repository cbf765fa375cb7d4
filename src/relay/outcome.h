/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a session ends: by whichever lane stops it first, and for that lane's reason.
 *
 * The lane that stops the session wakes all others, by the eventfd that each of them waits for.
 * Then each lane answers or drains what it had, and leaves; the first lane waits for that.
 */
#ifndef VIOFS_RELAY_OUTCOME_H
#define VIOFS_RELAY_OUTCOME_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct viofs_lane;
struct viofs_relay;

/** struct viofs_outcome - how it ends, and who still has something to end */
struct viofs_outcome {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int serving; /* lanes that have something to end */
	_Atomic bool stopping;
	int result;       /* of the session, from stopping on */
	int64_t stopped;  /* ns, when that was */
	const char *lost; /* what viofs_outcome_device_lost() has found */
};

void viofs_outcome_init(struct viofs_outcome *o);

/** viofs_outcome_is_stopping() - is the lane to leave viofs_serve()? */
static inline bool viofs_outcome_is_stopping(const struct viofs_outcome *o)
{
	return atomic_load_explicit(&o->stopping, memory_order_relaxed);
}

/** viofs_outcome_break() - the session can't go on; the first reason stays. Any lane.
 * Return: -EPROTO. */
int viofs_outcome_break(struct viofs_relay *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** viofs_outcome_lose() - the device is gone: @how, as viofs_outcome_device_lost() says it.
 * Return: -ENODEV. */
int viofs_outcome_lose(struct viofs_relay *r, const char *how);

/** viofs_outcome_device_lost() - NULL, or why: that stays so. Any lane. */
const char *viofs_outcome_device_lost(struct viofs_relay *r);

/**
 * viofs_outcome_stop() - a lane has served, and ended with @rc: so all do
 * Return: how the session ends: the @rc of the first one that stops it.
 */
int viofs_outcome_stop(struct viofs_lane *lane, int rc);

/** viofs_outcome_leave() - a lane has ended what it had; the first lane waits for the others. */
void viofs_outcome_leave(struct viofs_lane *lane);
void viofs_outcome_wait(struct viofs_relay *r);

#endif
