/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A lane as others see it: wake it, find the lane of a slot, how long its requests have waited. */
#include "relay/lane.h"
#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void viofs_lane_wake(struct viofs_lane *lane)
{
	viofs_eventfd_signal(lane->lease.wake_fd);
}

struct viofs_lane *viofs_lane_of_slot(struct viofs_relay *r, uint16_t index)
{
	unsigned int i = r->lane_count - 1;

	while (i && index < r->lanes[i].slots.first)
		i--;
	return &r->lanes[i];
}

int64_t viofs_lane_oldest_ns(const struct viofs_lane *lane, bool lockers)
{
	int64_t now = viofs_now_ns(), oldest = 0;

	for (unsigned int i = 0; i < lane->slots.count; i++) {
		const struct viofs_slot *slot = viofs_slots_at(&lane->slots, i);
		bool waits = slot->state == VIOFS_SLOT_QUEUED || slot->state == VIOFS_SLOT_WAITING;
		/* For the supervisor it is the worker's word: a time that can't be is none. */
		int64_t since = VIOFS_READ_ONCE(slot->since);

		if (waits && (lockers || !slot->shape.may_wait) && since >= 0)
			oldest = VIOFS_MAX(oldest, now - since);
	}
	return oldest;
}
