/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Histograms of times, as they are read. */
#include "base/histogram.h"

#define FRACTIONS 16U
/* Powers of two in front of step 0: that of 1. */
#define POWERS_BEFORE 1U

double viofs_histogram_begin(unsigned int step)
{
	unsigned int power =
		(step / FRACTIONS + POWERS_BEFORE) % (VIOFS_HISTOGRAM_STEPS / FRACTIONS);
	double first = (double)(UINT64_C(1) << power);

	return first + first / FRACTIONS * (step % FRACTIONS) - 1;
}

void viofs_histogram_merge(struct viofs_histogram *to, const struct viofs_histogram *from)
{
	for (unsigned int i = 0; i < VIOFS_HISTOGRAM_STEPS; i++)
		to->counts[i] += from->counts[i];
}

void viofs_histogram_subtract(struct viofs_histogram *h, const struct viofs_histogram *before)
{
	for (unsigned int i = 0; i < VIOFS_HISTOGRAM_STEPS; i++)
		h->counts[i] -= before->counts[i];
}
