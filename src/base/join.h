/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for a thread that may be stuck. */
#ifndef VIOFS_BASE_JOIN_H
#define VIOFS_BASE_JOIN_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

/**
 * viofs_join_within() - pthread_join(3), for @ms at most
 * Return: has it ended? If not it can be joined still, or is to be detached.
 */
static inline bool viofs_join_within(pthread_t thread, unsigned int ms)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	return !pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &end);
}

#endif
