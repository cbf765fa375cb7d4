/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A handle's look at the device. Private to src/client */
#ifndef VIOFS_CLIENT_HEALTH_H
#define VIOFS_CLIENT_HEALTH_H

#include "client/client_dev.h"

/* How often the device's health is looked at while nothing comes. */
#define VIOFS_LOOK_NS 20000000LL
/* Asleep so long at a time where there are no interrupts. */
#define VIOFS_NO_INTERRUPTS_NAP_NS 50000

/** viofs_queue_since() - for a request that is sent now: ns, coarse; 0: there is no time-out. */
int64_t viofs_queue_since(const struct viofs_queue *q);
/** viofs_queue_check() - is the device there, and in time? Notify again if that is due. */
void viofs_queue_check(struct viofs_queue *q);
/** viofs_queue_look() - the same, not more often than VIOFS_LOOK_NS */
void viofs_queue_look(struct viofs_queue *q);
/** viofs_queue_rekick() - notify again if that is due. Return: ns when it is due next. */
int64_t viofs_queue_rekick(struct viofs_queue *q, int64_t now);
/** viofs_queue_set_timer() - before the handle's user sleeps on the descriptor. */
void viofs_queue_set_timer(struct viofs_queue *q);

#endif
