/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One lane, as the files that serve it see it. */
#ifndef VIOFS_RELAY_LANE_H
#define VIOFS_RELAY_LANE_H

#include "relay/session.h"

#include <stdbool.h>
#include <stdint.h>

/* What a lane's loop has first: /dev/fuse. */
#define VIOFS_LANE_FUSE 0U

/** viofs_lane_is_first() - does it do what a session needs once: hear of the device's loss, read
 * /dev/fuse beside entries, end the session? */
static inline bool viofs_lane_is_first(const struct viofs_lane *lane)
{
	return !lane->index;
}

/** viofs_lane_ring() - the ring of its request queue @i, of queue_count. */
static inline struct viofs_ring *viofs_lane_ring(const struct viofs_lane *lane, unsigned int i)
{
	return &lane->relay->fs->queues[lane->queues[i]].ring;
}

/** viofs_lane_wake() - end its sleep. Any thread. */
void viofs_lane_wake(struct viofs_lane *lane);

/** viofs_lane_of_slot() - the lane whose pool a slot is from. */
struct viofs_lane *viofs_lane_of_slot(struct viofs_relay *r, uint16_t index);

/** viofs_lane_in_flight() - requests of the lane that the device has; hiprio's too where it serves
 * that. */
static inline unsigned int viofs_lane_in_flight(const struct viofs_lane *lane)
{
	unsigned int n = 0;

	if (lane->hiprio)
		n = atomic_load_explicit(&lane->hiprio->in_flight, memory_order_relaxed);
	for (unsigned int i = 0; i < lane->queue_count; i++)
		n += viofs_lane_ring(lane, i)->shadow->in_flight;
	return n;
}

/** viofs_lane_has_used() - has one of its queues a completion, hiprio among them where it serves
 * that? */
static inline bool viofs_lane_has_used(const struct viofs_lane *lane)
{
	for (unsigned int i = 0; i < lane->queue_count; i++)
		if (viofs_ring_has_used(viofs_lane_ring(lane, i)))
			return true;
	return lane->hiprio && viofs_ring_has_used(&lane->relay->fs->queues[VIOFS_FS_HIPRIO].ring);
}

/**
 * viofs_lane_oldest_ns() - age of its oldest request in flight, 0 = none
 * @lockers: count SETLKWs too, which may rightly wait for ever. Any process.
 */
int64_t viofs_lane_oldest_ns(const struct viofs_lane *lane, bool lockers);

#endif
