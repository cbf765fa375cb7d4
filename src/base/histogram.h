/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Times in log-linear steps of 6.25 % at most.
 *
 * Each power of two has 16 steps: a float's exponent and its highest bits of fraction are the step,
 * so there is nothing to be looked up or bounded. A time is in any unit, and is from 1 to 2^63. The
 * ten bits that are kept of exponent and fraction begin with 2: steps 0 to 15 are for 2 to 4, and
 * the last 16 are for 1.
 */
#ifndef VIOFS_BASE_HISTOGRAM_H
#define VIOFS_BASE_HISTOGRAM_H

#include <stdint.h>
#include <string.h>

#define VIOFS_HISTOGRAM_STEPS 1024U

/** struct viofs_histogram - what has been counted; all zero at first */
struct viofs_histogram {
	uint64_t counts[VIOFS_HISTOGRAM_STEPS];
};

/** viofs_histogram_step() - the step of a time, which is less than 2^63. */
static inline unsigned int viofs_histogram_step(uint64_t time)
{
	/* One more than it is: 0 has no place. */
	float f = (float)(int64_t)(time + 1);
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits >> 19 & (VIOFS_HISTOGRAM_STEPS - 1);
}

/** viofs_histogram_begin() - the least time that belongs to a step. */
double viofs_histogram_begin(unsigned int step);

/** viofs_histogram_merge() - @from into @to. */
void viofs_histogram_merge(struct viofs_histogram *to, const struct viofs_histogram *from);

/** viofs_histogram_subtract() - leave in @h what has been added since it was @before. */
void viofs_histogram_subtract(struct viofs_histogram *h, const struct viofs_histogram *before);

#endif
