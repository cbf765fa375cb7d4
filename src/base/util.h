/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small things every layer needs: sizes, rounding, time, checked arithmetic. */
#ifndef VIOFS_BASE_UTIL_H
#define VIOFS_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define VIOFS_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define VIOFS_MIN(a, b) ((a) < (b) ? (a) : (b))
#define VIOFS_MAX(a, b) ((a) > (b) ? (a) : (b))
#define VIOFS_CONTAINER_OF(ptr, type, member)                                                      \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define VIOFS_NSEC_PER_SEC 1000000000LL
#define VIOFS_NSEC_PER_MSEC 1000000LL
#define VIOFS_NSEC_PER_USEC 1000LL

/** viofs_align_up() - @n rounded up to @align (a power of two). */
static inline size_t viofs_align_up(size_t n, size_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static inline bool viofs_is_power_of_2(uint64_t n)
{
	return n && !(n & (n - 1));
}

/** viofs_now_ns() - monotonic time. Signed, so that differences are right whoever is ahead. */
static inline int64_t viofs_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * VIOFS_NSEC_PER_SEC + ts.tv_nsec;
}

/** viofs_range_ok() - does [@off, @off + @len) lie in [0, @size), with no wrap? */
static inline bool viofs_range_ok(uint64_t off, uint64_t len, uint64_t size)
{
	uint64_t end;

	return !__builtin_add_overflow(off, len, &end) && end <= size;
}

/**
 * viofs_eventfd_signal() - wake whoever waits for one of our own eventfds
 * A full one wakes already. One that somebody else has too may block: base/bell.h.
 */
static inline void viofs_eventfd_signal(int fd)
{
	const uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n;
}

#endif
