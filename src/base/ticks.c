/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The speed of the CPU's own clock. */
#include "base/ticks.h"

#include <stdatomic.h>
#include <time.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#define MEASURED_NS 10000000
#define TRIES 16

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

/* Both clocks at one time. Between a look at each, others may have the CPU: the best of some. */
static void read_both(int64_t *ns, uint64_t *ticks)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = viofs_ticks();
		int64_t now = viofs_now_ns();
		uint64_t took = viofs_ticks() - before;

		if (took >= best)
			continue;
		best = took;
		*ticks = before + took / 2;
		*ns = now;
	}
}

static double measure(void)
{
	const struct timespec wait = { .tv_nsec = MEASURED_NS };
	uint64_t first_ticks, ticks;
	int64_t first_ns, ns;

	read_both(&first_ns, &first_ticks);
	nanosleep(&wait, NULL);
	read_both(&ns, &ticks);
	return (double)(ticks - first_ticks) / (double)(ns - first_ns);
}

double viofs_ticks_per_ns(void)
{
	/* 0: not measured yet. */
	static _Atomic double measured;
	double none = 0, mine = atomic_load_explicit(&measured, memory_order_relaxed);

	if (mine > 0)
		return mine;
	mine = measure();
	return atomic_compare_exchange_strong(&measured, &none, mine) ? mine : none;
}
