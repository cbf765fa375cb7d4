/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one place that looks at requests on their way.
 *
 * Two times of each request are counted, by opcode: in the device, from when the request was put on
 * the ring until its answer was seen there; and in all, from when it was read from the kernel until
 * the kernel had the reply. What was sent at once counts as put on the ring when it was read: the
 * way between the two is too short for another look at the clock.
 *
 * All of it costs 2 % of a request that does nothing, at most. So times are ticks of the CPU's
 * clock, and what they are in seconds is for whoever reads them (daemon/latency.c). Each lane
 * counts in memory of its own, which is part of the session's state (state.h).
 */
#include "relay/tap.h"
#include "base/ticks.h"
#include "relay/session.h"

#include <string.h>

static void count(struct viofs_times *t, uint64_t ticks)
{
	t->steps.counts[viofs_histogram_step(ticks)]++;
	t->sum += ticks;
}

uint64_t viofs_tap_replied(struct viofs_lane *lane, const struct viofs_slot *slot)
{
	/* Those of the table in fuse/opcodes.c are all less. */
	struct viofs_latency *l = &lane->latency->op[slot->shape.opcode % VIOFS_LATENCY_OPS];
	uint64_t now = viofs_ticks();

	count(&l->device, slot->used - slot->sent);
	count(&l->total, now - slot->read);
	return now;
}

static void add(struct viofs_times *to, const struct viofs_times *from)
{
	viofs_histogram_merge(&to->steps, &from->steps);
	to->sum += from->sum;
}

void viofs_tap_latency(const struct viofs_relay *r, uint32_t opcode, struct viofs_latency *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned int i = 0; i < r->lane_count; i++) {
		const struct viofs_latency *l = &r->layout.latency[i].op[opcode];

		add(&out->device, &l->device);
		add(&out->total, &l->total);
	}
}
