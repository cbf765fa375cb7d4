/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests read from the kernel that can't be sent yet, in plain memory: so that reading can go on.
 */
#ifndef VIOFS_RELAY_PARKING_H
#define VIOFS_RELAY_PARKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/** struct viofs_parked - one request, whole */
struct viofs_parked {
	struct viofs_parked *next;
	int64_t since; /* ns, when it was read */
	uint32_t len;
	_Alignas(uint64_t) uint8_t message[];
};

/** struct viofs_parking - a queue with bounds, of one kind; zeroed but for the limits = empty */
struct viofs_parking {
	struct viofs_parked *first, *last;
	size_t bytes, bytes_max; /* with what each takes beside its message */
	uint32_t count, count_max;
};

/** viofs_parking_is_full() - is it as long as it may be? */
bool viofs_parking_is_full(const struct viofs_parking *p);

/**
 * viofs_parking_put() - append the first @len bytes of @iov
 * The caller looks whether it is full, before it reads what can't be refused. Return: 0; -ENOMEM.
 */
int viofs_parking_put(struct viofs_parking *p, const struct iovec *iov, size_t len, int64_t since);

/** viofs_parking_take() - the oldest; free(3) it. NULL: none. */
struct viofs_parked *viofs_parking_take(struct viofs_parking *p);

/** viofs_parking_take_unique() - the one with this fuse_in_header.unique, or NULL. */
struct viofs_parked *viofs_parking_take_unique(struct viofs_parking *p, uint64_t unique);

/** viofs_parking_clear() - forget all of them. */
void viofs_parking_clear(struct viofs_parking *p);

#endif
