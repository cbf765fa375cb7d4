/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Times of very many requests, within 1.6 %, in a fixed table. */
#include "hist.h"

static unsigned int step_of(uint64_t ns)
{
	unsigned int power, step;

	if (ns < VIOFS_HIST_STEPS)
		return (unsigned int)ns;
	power = 63U - (unsigned int)__builtin_clzll(ns) - 6U; /* how far to shift for 64..127 */
	step = (power + 1) * VIOFS_HIST_STEPS + (unsigned int)(ns >> power) - VIOFS_HIST_STEPS;
	return step < VIOFS_HIST_SIZE ? step : VIOFS_HIST_SIZE - 1;
}

uint64_t viofs_hist_lower(unsigned int step)
{
	unsigned int power = step / VIOFS_HIST_STEPS;

	return power ? (uint64_t)(step % VIOFS_HIST_STEPS + VIOFS_HIST_STEPS) << (power - 1) : step;
}

void viofs_hist_add(struct viofs_hist *h, uint64_t ns)
{
	h->counts[step_of(ns)]++;
	h->count++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
}

void viofs_hist_merge(struct viofs_hist *to, const struct viofs_hist *from)
{
	for (unsigned int i = 0; i < VIOFS_HIST_SIZE; i++)
		to->counts[i] += from->counts[i];
	to->count += from->count;
	to->sum += from->sum;
	if (from->max > to->max)
		to->max = from->max;
}

double viofs_hist_percentile(const struct viofs_hist *h, double percent)
{
	double wanted = (double)h->count * percent / 100;
	uint64_t seen = 0;

	for (unsigned int i = 0; i < VIOFS_HIST_SIZE; i++) {
		seen += h->counts[i];
		if (h->counts[i] && (double)seen >= wanted)
			return (double)(viofs_hist_lower(i) + viofs_hist_lower(i + 1)) / 2;
	}
	return (double)h->max;
}
