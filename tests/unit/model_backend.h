/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A vhost-user back end of a test's own: a thread behind a socket, which notes what it is told and
 * can fail at each message. Its numbers are the standard's, not those of src/. */
#ifndef TESTS_UNIT_MODEL_BACKEND_H
#define TESTS_UNIT_MODEL_BACKEND_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum model_request {
	MODEL_GET_FEATURES = 1,
	MODEL_SET_FEATURES = 2,
	MODEL_SET_OWNER = 3,
	MODEL_SET_MEM_TABLE = 5,
	MODEL_SET_VRING_NUM = 8,
	MODEL_SET_VRING_ADDR = 9,
	MODEL_SET_VRING_BASE = 10,
	MODEL_GET_VRING_BASE = 11,
	MODEL_SET_VRING_KICK = 12,
	MODEL_SET_VRING_CALL = 13,
	MODEL_SET_VRING_ERR = 14,
	MODEL_GET_PROTOCOL_FEATURES = 15,
	MODEL_SET_PROTOCOL_FEATURES = 16,
	MODEL_GET_QUEUE_NUM = 17,
	MODEL_SET_VRING_ENABLE = 18,
	MODEL_GET_CONFIG = 24,
	MODEL_GET_INFLIGHT_FD = 31,
	MODEL_SET_INFLIGHT_FD = 32,
	MODEL_ADD_MEM_REG = 37,
	MODEL_REM_MEM_REG = 38,
};

enum model_fault {
	MODEL_GOOD,
	MODEL_REFUSES,  /* acknowledges with an error; asked something it gives no payload */
	MODEL_CLOSES,   /* the connection, instead of an answer */
	MODEL_IS_QUIET, /* no answer, ever */
	MODEL_BABBLES,  /* the answer to something else */
	MODEL_IS_SHORT, /* an answer with half of its payload */
};

struct model_message {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		uint32_t u32[2];
		uint64_t words[8];
		uint8_t bytes[300];
	} payload;
	int fd; /* that came along, -1: none */
};

struct model_backend {
	/* Set before model_backend_start(). */
	uint64_t features, protocol, queues;
	uint8_t config[44];
	bool has_no_config;   /* offers CONFIG and gives none */
	uint64_t wrong_index; /* of the ring, in the answer to GET_VRING_BASE */
	/* May be set at any time. */
	enum model_request fault_at;
	enum model_fault fault;
	unsigned int late_ms; /* before each answer */

	char dir[32], path[64];
	struct model_message got[256];
	unsigned int count;
	unsigned int connections;
	int listener, stop[2];
	bool is_running, is_acking;
	pthread_t thread;
	pthread_mutex_t lock;
};

/* A good one, with 2 queues and the protocol features MQ, REPLY_ACK, CONFIG, MEM_SLOTS. */
void model_backend_init(struct model_backend *b);
/* From here on it listens at b->path, always the same one, and serves one front end after the
 * other. */
void model_backend_start(struct model_backend *b);
/* It ends, its connection is closed, and what it was given is too. */
void model_backend_stop(struct model_backend *b);

/* What it was told last of @request; NULL: never. */
const struct model_message *model_backend_last(struct model_backend *b, enum model_request request);
/* How often it was told @request. */
unsigned int model_backend_times(struct model_backend *b, enum model_request request);
/* Where in the order of all messages the first @request was; asserts that there was one. */
unsigned int model_backend_place(struct model_backend *b, enum model_request request);

/* How many descriptors this process has open. */
unsigned int model_count_fds(void);

#endif
