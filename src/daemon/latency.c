/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long requests take, in JSON. */
#include "daemon/latency.h"
#include "base/ticks.h"
#include "relay/state.h"
#include "relay/tap.h"

#include <stdlib.h>
#include <string.h>

static void subtract(struct viofs_times *t, const struct viofs_times *before)
{
	viofs_histogram_subtract(&t->steps, &before->steps);
	t->sum -= before->sum;
}

/* The step of the least times is not the table's first one. */
static json_t *times_json(const struct viofs_times *t, double per_s)
{
	const unsigned int first = viofs_histogram_step(0);
	json_t *steps = json_array();
	uint64_t count = 0;

	for (unsigned int i = 0; i < VIOFS_HISTOGRAM_STEPS; i++) {
		unsigned int step = (first + i) % VIOFS_HISTOGRAM_STEPS;
		double end = viofs_histogram_begin((step + 1) % VIOFS_HISTOGRAM_STEPS) / per_s;

		count += t->steps.counts[step];
		if (t->steps.counts[step])
			json_array_append_new(
				steps, json_pack("[f, I]", end, (json_int_t)t->steps.counts[step]));
	}
	return json_pack("{s:I, s:f, s:o}", "count", (json_int_t)count, "sum_s",
			 (double)t->sum / per_s, "steps", steps);
}

static void append(json_t *list, uint32_t opcode, const struct viofs_latency *l, double per_s)
{
	const char *name = viofs_fuse_opcode_name(opcode);
	json_t *total = times_json(&l->total, per_s);

	if (name && json_integer_value(json_object_get(total, "count")))
		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:O}", "op", name, "device",
						times_json(&l->device, per_s), "total", total));
	json_decref(total);
}

json_t *viofs_latency_json(const struct viofs_relay *r, struct viofs_latency_looks *looks)
{
	double per_s = viofs_ticks_per_ns() * VIOFS_NSEC_PER_SEC;
	struct viofs_latency *now = malloc(sizeof(*now));
	json_t *list = json_array();

	if (looks && !looks->last)
		looks->last = calloc(VIOFS_LATENCY_OPS, sizeof(*looks->last));
	if (!now || (looks && !looks->last)) {
		json_decref(list);
		list = NULL;
	}
	for (uint32_t opcode = 0; list && opcode < VIOFS_LATENCY_OPS; opcode++) {
		struct viofs_latency since;

		viofs_tap_latency(r, opcode, now);
		since = *now;
		if (looks) {
			subtract(&since.device, &looks->last[opcode].device);
			subtract(&since.total, &looks->last[opcode].total);
			looks->last[opcode] = *now;
		}
		append(list, opcode, &since, per_s);
	}
	free(now);
	return list;
}

void viofs_latency_forget(struct viofs_latency_looks *looks)
{
	free(looks->last);
	looks->last = NULL;
}
