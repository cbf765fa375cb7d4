/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The CPU's own clock: for times that are taken too often for clock_gettime(2). */
#ifndef VIOFS_BASE_TICKS_H
#define VIOFS_BASE_TICKS_H

#include "base/util.h"

#include <stdbool.h>
#include <stdint.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

/**
 * viofs_ticks() - now, in ticks of a clock that all CPUs share
 * Only differences mean something. Order between CPUs is exact to a few ticks only.
 */
static inline uint64_t viofs_ticks(void)
{
#if defined(__x86_64__)
	return __rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
	return (uint64_t)viofs_now_ns();
#endif
}

/** viofs_ticks_are_steady() - does the clock run at one speed, on all CPUs alike? */
bool viofs_ticks_are_steady(void);

/**
 * viofs_ticks_per_ns() - its speed
 * The same one whenever it is asked: what was counted in ticks doesn't shrink from one look to the
 * next, which a counter may not do.
 * Context: any thread. Takes 10 ms the first time.
 */
double viofs_ticks_per_ns(void);

#endif
