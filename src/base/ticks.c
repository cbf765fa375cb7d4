/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The speed of the CPU's own clock. */
#include "base/ticks.h"

#include <time.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#define MEASURED_NS 10000000

bool viofs_ticks_are_steady(void)
{
#ifdef __x86_64__
	unsigned int eax, ebx, ecx, edx;

	/* "Invariant TSC" of both makers' manuals. */
	return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) && edx & 1U << 8;
#else
	return true;
#endif
}

double viofs_ticks_per_ns(void)
{
	const struct timespec wait = { .tv_nsec = MEASURED_NS };
	int64_t ns = viofs_now_ns();
	uint64_t ticks = viofs_ticks();

	nanosleep(&wait, NULL);
	ns = viofs_now_ns() - ns;
	return (double)(viofs_ticks() - ticks) / (double)ns;
}
