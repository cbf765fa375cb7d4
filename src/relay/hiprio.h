/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hiprio queue: FORGET, BATCH_FORGET and INTERRUPT (virtio 1.3 5.11.6.1).
 *
 * The device has one, and whatever lane reads such a message sends it there itself, with the lock.
 * Lane 0 takes the completions, and sends what had to be parked for want of a slot or of room: both
 * come free by completions only. No request of a program goes this way, so the lock is on nobody's
 * way.
 *
 * An INTERRUPT names a request that another lane may have: it is passed on (team.h) until it has
 * come to that one, or has been everywhere.
 */
#ifndef VIOFS_RELAY_HIPRIO_H
#define VIOFS_RELAY_HIPRIO_H

#include "fuse/opcodes.h"
#include "relay/parking.h"
#include "relay/slots.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct viofs_lane;
struct viofs_relay;

/** struct viofs_hiprio - the queue's slots and what waits for it */
struct viofs_hiprio {
	pthread_mutex_t lock; /* all below, the ring, and what the statistics have of it */
	struct viofs_slots slots;
	struct viofs_parking parked; /* that there was no room for; only lane 0 takes from it */
	/* Written with the lock, read without it too. */
	_Atomic uint32_t forgets_held; /* on the ring, the device not notified yet */
	_Atomic int64_t forgets_since; /* ns, of the first of those */
	_Atomic uint32_t in_flight;    /* chains that the device has */
	_Atomic bool kept, full;       /* something is parked; as much as there may be */
};

/** viofs_hiprio_init() - an empty one, where @r->slots is laid out. */
void viofs_hiprio_init(struct viofs_relay *r);
void viofs_hiprio_fini(struct viofs_relay *r);

/** viofs_hiprio_take() - send a message that the lane has read, or keep it; @since: ns, when it
 * was. */
void viofs_hiprio_take(struct viofs_lane *lane, uint8_t *message, size_t len,
		       const struct viofs_fuse_shape *shape, int64_t since);

/** viofs_hiprio_take_mail() - look for the requests of the INTERRUPTs that were passed to the lane.
 */
void viofs_hiprio_take_mail(struct viofs_lane *lane);

/** viofs_hiprio_send_kept() - what is parked, as far as there is room. Lane 0. */
void viofs_hiprio_send_kept(struct viofs_lane *lane);

/** viofs_hiprio_complete() - take completions. Lane 0. Return: how many; -EPROTO: the ring is
 * broken. */
int viofs_hiprio_complete(struct viofs_lane *lane);

/** viofs_hiprio_kick_forgets() - notify the device of FORGETs that were held back. Any lane. */
void viofs_hiprio_kick_forgets(struct viofs_relay *r);

/** viofs_hiprio_kick_again() - notify it once more, if it has anything. Lane 0. */
void viofs_hiprio_kick_again(struct viofs_relay *r);

/** viofs_hiprio_arm() - as viofs_ring_arm(), of the queue. Lane 0. */
bool viofs_hiprio_arm(struct viofs_relay *r);
void viofs_hiprio_disarm(struct viofs_relay *r);

/** viofs_hiprio_forgets_held() - how many are. Any lane, without the lock. */
static inline uint32_t viofs_hiprio_forgets_held(const struct viofs_hiprio *h)
{
	return atomic_load_explicit(&h->forgets_held, memory_order_relaxed);
}

#endif
