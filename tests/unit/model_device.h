/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is behind a model_function: a thread that serves its rings as a small file system, or badly.
 */
#ifndef TESTS_UNIT_MODEL_DEVICE_H
#define TESTS_UNIT_MODEL_DEVICE_H

#include "model_function.h"

#include "fuse/opcodes.h"

#include <pthread.h>
#include <stdatomic.h>

#define MODEL_REQUESTS 1024U
#define MODEL_MESSAGE (160U << 10)
#define MODEL_PIECES 64U

/* One request as it came, and the answer as it goes. */
struct model_request {
	unsigned int queue;
	uint16_t head;    /* packed: the buffer's id */
	uint16_t taken;   /* packed: descriptors of the ring */
	uint8_t *message; /* the readable bytes, of which `len` */
	size_t len;
	unsigned int readable, writable;     /* descriptors */
	uint32_t readable_len[MODEL_PIECES]; /* of each */
	uint32_t writable_len[MODEL_PIECES];
	uint64_t writable_iova[MODEL_PIECES];
	uint32_t opcode;
	uint64_t unique;
	bool held, done;

	/* the answer: header and payload; hooks may change any of it */
	uint8_t *reply;
	size_t reply_len; /* bytes that are written to the writable descriptors */
	uint32_t used_id, used_len;
};

struct model_device;

enum model_verdict {
	MODEL_ANSWER,
	MODEL_HOLD, /* until model_device_release() */
};

/* Looks at a request with its answer made up; called by the device's thread. */
typedef enum model_verdict model_hook(struct model_device *d, struct model_request *r);

struct model_device {
	struct model_function *function;
	pthread_t thread;
	pthread_mutex_t lock; /* all below, and the rings */
	atomic_bool stop;
	bool event_idx, packed;
	bool any_queue;            /* hiprio may carry any request: no violation */
	model_hook *hook;          /* NULL: none */
	uint32_t hold_opcode;      /* model_device_hold()'s */
	struct fuse_init_out init; /* the answer to INIT */
	uint32_t init_bytes;
	unsigned int drop_kicks; /* so many notifications are lost */
	unsigned int seen_kicks[MODEL_QUEUES];
	struct model_request requests[MODEL_REQUESTS];
	unsigned int count;  /* requests so far */
	char violation[128]; /* the first thing that a request must not look like, "" = none */
};

/* After the queues are running. */
void model_device_start(struct model_device *d, struct model_function *f);
/* Back to one that was never started: memory and thread gone. */
void model_device_stop(struct model_device *d);

void model_device_set_hook(struct model_device *d, model_hook *hook);

/* From now on requests of @opcode are held; 0: all but INIT. */
void model_device_hold(struct model_device *d, uint32_t opcode);

/* Fails the test where anything was done, to @d or to @f behind it, that a driver may not do. Also
 * after the stop. */
void model_device_check(const struct model_device *d, const struct model_function *f);

/* Answers everything held (of @opcode, 0 = any), and stops holding by taking the hook away. */
void model_device_release(struct model_device *d, uint32_t opcode);

/* Answers one held request with @error (0: as made up). */
void model_device_answer(struct model_device *d, struct model_request *r, int error);

/* Waits until @n requests of @opcode (0 = any) have come. Return: the last of them; NULL after 5 s.
 */
struct model_request *model_device_wait(struct model_device *d, uint32_t opcode, unsigned int n);

/* How often it was notified of queue @q. */
unsigned int model_device_kicks(const struct model_device *d, unsigned int q);

/* How many of @opcode have come. */
unsigned int model_device_count(struct model_device *d, uint32_t opcode);

/*
 * Writes an entry to the used ring as it is, and moves used.idx on by @advance; packed: a used
 * descriptor, and the place on by @advance descriptors.
 */
void model_device_push_raw(struct model_device *d, unsigned int q, uint32_t id, uint32_t len,
			   uint16_t advance);

/* What the file of @nodeid has at @offset. */
uint8_t model_device_byte(uint64_t nodeid, uint64_t offset);

#endif
