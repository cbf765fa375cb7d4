/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One request of our own, and its answer. */
#ifndef VIOFS_RELAY_EXCHANGE_H
#define VIOFS_RELAY_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

struct viofs_fuse_shape;
struct viofs_lane;
struct viofs_slot;

/**
 * viofs_exchange() - send it on the lane's first request queue, and wait for the answer
 * Only where nothing else is under way in the lane. @slot_out: has the answer, of @used_len bytes;
 * to be released by the caller.
 * Return: 0; -ETIMEDOUT; -EPROTO: the session is broken; -EAGAIN: no slot; as viofs_submit().
 */
int viofs_exchange(struct viofs_lane *lane, const void *message, size_t len,
		   const struct viofs_fuse_shape *shape, int64_t timeout_ns,
		   struct viofs_slot **slot_out, uint32_t *used_len);

#endif
