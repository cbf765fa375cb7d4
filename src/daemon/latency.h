/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long requests take, in JSON: what `viofsctl status --latency` shows. */
#ifndef VIOFS_DAEMON_LATENCY_H
#define VIOFS_DAEMON_LATENCY_H

#include <jansson.h>
#include <stdint.h>

struct viofs_latency;
struct viofs_relay;

/** struct viofs_latency_looks - for times since the last look; all zero: none so far */
struct viofs_latency_looks {
	struct viofs_latency *last; /* by opcode; NULL: none was kept */
};

/**
 * viofs_latency_json() - of each opcode that there were requests of, all lanes together
 * An array of {op, device, total}; each of the two is {count, sum_s, steps}, and steps is an array
 * of [end, count]: so many took less than @end seconds and no less than the end before.
 * @looks: tell what came since the last call with it, and remember this one; NULL: all.
 * Context: takes 10 ms the first time. Return: NULL: out of memory.
 */
json_t *viofs_latency_json(const struct viofs_relay *r, struct viofs_latency_looks *looks);

/** viofs_latency_forget() - free what was remembered. */
void viofs_latency_forget(struct viofs_latency_looks *looks);

#endif
