/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Times of very many requests, within 1.6 %, in a fixed table. */
#ifndef VIOFS_BENCH_HIST_H
#define VIOFS_BENCH_HIST_H

#include <stdint.h>

/* 64 steps for each power of two of nanoseconds, up to 2^40 (18 minutes). */
#define VIOFS_HIST_STEPS 64U
#define VIOFS_HIST_SIZE (VIOFS_HIST_STEPS * 36U)

struct viofs_hist {
	uint64_t counts[VIOFS_HIST_SIZE];
	uint64_t count, sum, max;
};

/** viofs_hist_add() - a time in ns. */
void viofs_hist_add(struct viofs_hist *h, uint64_t ns);
/** viofs_hist_merge() - @from into @to. */
void viofs_hist_merge(struct viofs_hist *to, const struct viofs_hist *from);
/** viofs_hist_percentile() - ns that @percent of all are not above. */
double viofs_hist_percentile(const struct viofs_hist *h, double percent);
/** viofs_hist_lower() - ns where a step begins. */
uint64_t viofs_hist_lower(unsigned int step);

#endif
