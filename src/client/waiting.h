/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for a device that may never answer. Private to src/client */
#ifndef VIOFS_CLIENT_WAITING_H
#define VIOFS_CLIENT_WAITING_H

#include <viofs/request.h>

#include <stdbool.h>

/* How often the device's health is looked at while nothing comes. */
#define VIOFS_LOOK_NS 20000000LL
/* Asleep so long at a time where there are no interrupts. */
#define VIOFS_NO_INTERRUPTS_NAP_NS 50000

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

/** viofs_queue_waits_for_room() - a submit found no slot, and none has come free since then. */
bool viofs_queue_waits_for_room(struct viofs_queue *q);

/** viofs_queue_abandon() - take completions, and end what is in flight with -ECANCELED. Return: how
 * many; 0: nothing is left. */
unsigned int viofs_queue_abandon(struct viofs_queue *q, struct viofs_completion *out,
				 unsigned int max);
/** viofs_queue_waits() - uniques of its requests that may wait for ever. Return: how many. */
unsigned int viofs_queue_waits(struct viofs_queue *q, uint64_t *uniques, unsigned int max);

/* health.c */
/** viofs_queue_since() - for a request that is sent now: ns, coarse; 0: there is no time-out. */
int64_t viofs_queue_since(const struct viofs_queue *q);
/** viofs_queue_look() - is the device there, and in time? Not more often than VIOFS_LOOK_NS. */
void viofs_queue_look(struct viofs_queue *q);
/** viofs_queue_check() - the same at once, and notify again if that is due. */
void viofs_queue_check(struct viofs_queue *q);
/** viofs_queue_rekick() - notify again if that is due. Return: ns when it is due next. */
int64_t viofs_queue_rekick(struct viofs_queue *q, int64_t now);
/** viofs_queue_set_timer() - before the handle's user sleeps on the descriptor. */
void viofs_queue_set_timer(struct viofs_queue *q);

#endif
