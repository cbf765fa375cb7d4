/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What other processes can see of a session, in memory that they share with the worker. */
#include "relay/observe.h"
#include "base/util.h"
#include "relay/lane.h"
#include "relay/session.h"

#include <string.h>

static void add_lane(struct viofs_relay_stats *sum, const struct viofs_lane_stats *l)
{
	sum->replies += l->replies;
	sum->errors += l->errors;
	sum->faults += l->faults;
	sum->refused += l->refused;
	sum->bytes_read += l->bytes_read;
	sum->bytes_written += l->bytes_written;
	sum->sleeps += l->sleeps;
	sum->handovers += l->handovers;
	sum->parked_total += l->parked_total;
	sum->parked += l->parked;
	sum->parked_max += l->parked_max;
	sum->quirks |= l->quirks;
	if (l->last_fault[0])
		memcpy(sum->last_fault, l->last_fault, sizeof(sum->last_fault));
}

void viofs_observe_stats(const struct viofs_relay *r, struct viofs_relay_stats *out)
{
	*out = *r->stats;
	for (unsigned int i = 0; i < r->lane_count; i++)
		add_lane(out, r->lanes[i].stats);
}

enum viofs_stage viofs_observe_stage(const struct viofs_relay *r)
{
	return r->stats->stage;
}

static int64_t oldest_ns(const struct viofs_relay *r, bool lockers)
{
	int64_t oldest = 0;

	for (unsigned int i = 0; i < r->lane_count; i++)
		oldest = VIOFS_MAX(oldest, viofs_lane_oldest_ns(&r->lanes[i], lockers));
	return oldest;
}

int64_t viofs_observe_oldest_ns(const struct viofs_relay *r)
{
	return oldest_ns(r, true);
}

int64_t viofs_observe_unanswered_ns(const struct viofs_relay *r)
{
	return oldest_ns(r, false);
}

unsigned int viofs_observe_turns(const struct viofs_relay *r, uint64_t turns[VIOFS_LANES_MAX])
{
	for (unsigned int i = 0; i < r->lane_count; i++)
		turns[i] = r->lanes[i].stats->turns;
	return r->lane_count;
}

unsigned int viofs_observe_lanes(const struct viofs_relay *r)
{
	return r->lane_count;
}

bool viofs_observe_has_beat(const struct viofs_relay *r)
{
	return r->config.timeout_ms && r->stats->channel == VIOFS_CHANNEL_URING;
}

bool viofs_observe_is_lost(const struct viofs_relay *r)
{
	return r->stats->stage == VIOFS_STAGE_LOST;
}

unsigned int viofs_observe_slots_used(const struct viofs_relay *r)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->config.slots; i++)
		n += r->slots.slots[i].state >= VIOFS_SLOT_WAITING;
	return n;
}
