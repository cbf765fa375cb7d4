/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for a thread that may be stuck. */
#ifndef VIOFS_BASE_JOIN_H
#define VIOFS_BASE_JOIN_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

/*
 * ThreadSanitizer doesn't know pthread_clockjoin_np(), and takes its thread for one that nobody
 * waited for.
 */
#ifdef __SANITIZE_THREAD__
#define VIOFS_JOIN_CLOCK CLOCK_REALTIME
#define VIOFS_JOIN(thread, end) pthread_timedjoin_np(thread, NULL, end)
#else
#define VIOFS_JOIN_CLOCK CLOCK_MONOTONIC
#define VIOFS_JOIN(thread, end) pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, end)
#endif

/**
 * viofs_join_within() - pthread_join(3), for @ms at most
 * Return: has it ended? If not it can be joined still, or is to be detached.
 */
static inline bool viofs_join_within(pthread_t thread, unsigned int ms)
{
	struct timespec end;

	clock_gettime(VIOFS_JOIN_CLOCK, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	return !VIOFS_JOIN(thread, &end);
}

#endif
