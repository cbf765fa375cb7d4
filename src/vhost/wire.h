/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vhost-user messages on the wire, and one exchange of them in bounded time. Private to src/vhost.
 */
#ifndef VIOFS_VHOST_WIRE_H
#define VIOFS_VHOST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** enum viofs_vhost_request - front-end message types that we use (vhost-user.rst) */
enum viofs_vhost_request {
	VIOFS_VHOST_GET_FEATURES = 1,
	VIOFS_VHOST_SET_FEATURES = 2,
	VIOFS_VHOST_SET_OWNER = 3,
	VIOFS_VHOST_SET_MEM_TABLE = 5,
	VIOFS_VHOST_SET_VRING_NUM = 8,
	VIOFS_VHOST_SET_VRING_ADDR = 9,
	VIOFS_VHOST_SET_VRING_BASE = 10,
	VIOFS_VHOST_GET_VRING_BASE = 11,
	VIOFS_VHOST_SET_VRING_KICK = 12,
	VIOFS_VHOST_SET_VRING_CALL = 13,
	VIOFS_VHOST_SET_VRING_ERR = 14,
	VIOFS_VHOST_GET_PROTOCOL_FEATURES = 15,
	VIOFS_VHOST_SET_PROTOCOL_FEATURES = 16,
	VIOFS_VHOST_GET_QUEUE_NUM = 17,
	VIOFS_VHOST_SET_VRING_ENABLE = 18,
	VIOFS_VHOST_GET_CONFIG = 24,
	VIOFS_VHOST_GET_INFLIGHT_FD = 31,
	VIOFS_VHOST_SET_INFLIGHT_FD = 32,
	VIOFS_VHOST_ADD_MEM_REG = 37,
	VIOFS_VHOST_REM_MEM_REG = 38,
};

#define VIOFS_VHOST_CONFIG_MAX 256U /* VHOST_USER_MAX_CONFIG_SIZE */

/* A message's payload, by its request; host byte order (the socket is local). */
union viofs_vhost_payload {
	uint64_t u64;
	struct {
		uint32_t index, num;
	} state;
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log; /* "user addresses" of the memory table */
	} addr;
	struct {
		uint32_t count, padding;
		struct {
			uint64_t guest_address, size, user_address, mmap_offset;
		} regions[1];
	} memory;
	struct {
		uint64_t padding;
		uint64_t guest_address, size, user_address, mmap_offset;
	} region;
	struct {
		uint32_t offset, size, flags;
		uint8_t bytes[VIOFS_VHOST_CONFIG_MAX];
	} config;
	struct {
		uint64_t mmap_size, mmap_offset;
		uint16_t num_queues, queue_size;
	} inflight; /* with the padding of a C struct, as all implementations send it */
};

/** struct viofs_vhost_message - one message, without its 12-byte header's version */
struct viofs_vhost_message {
	enum viofs_vhost_request request;
	uint32_t size; /* bytes of the payload that count */
	union viofs_vhost_payload payload;
};

/** viofs_vhost_request_name() - as the standard writes it. */
const char *viofs_vhost_request_name(enum viofs_vhost_request request);

/**
 * viofs_vhost_send() - send @m, with @fd as ancillary data where it is >= 0
 * @need_reply: ask for an acknowledgement (REPLY_ACK was negotiated).
 * @end_ns: monotonic time to give up at.
 * Return: 0; -ETIMEDOUT; -ECONNRESET: the other side has closed; other -errno.
 */
int viofs_vhost_send(int sock, const struct viofs_vhost_message *m, int fd, bool need_reply,
		     int64_t end_ns);

/**
 * viofs_vhost_receive() - the reply to @request
 * @m: out.
 * @fd: out, the descriptor that comes with it, or -1; NULL: none is expected. A descriptor that
 * isn't expected is closed.
 * Return: 0; -ETIMEDOUT; -ECONNRESET; -EPROTO: it is no reply to @request, or its size can't be
 * right.
 */
int viofs_vhost_receive(int sock, enum viofs_vhost_request request, struct viofs_vhost_message *m,
			int *fd, int64_t end_ns);

#endif
