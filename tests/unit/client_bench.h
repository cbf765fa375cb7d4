/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The library on a bench: its public calls on a model device, where VFIO and a real one would be.
 */
#ifndef TESTS_UNIT_CLIENT_BENCH_H
#define TESTS_UNIT_CLIENT_BENCH_H

#include "model_device.h"

#include <viofs/viofs.h>

/* Long enough for anything that is to happen on a busy machine. */
#define SOON_MS 10000

/* A test on rings of both kinds: two struct CMUnitTest. */
#define BOTH(test)                                                                                 \
	{ #test ", split", test, bench_set_up_split, bench_tear_down, NULL },                      \
	{                                                                                          \
#test ", packed", test, bench_set_up_packed, bench_tear_down, NULL                 \
	}

/* Requests of one test at most. */
#define BENCH_REQUESTS 64U

struct client_bench {
	/* To be changed before bench_open(). */
	struct viofs_dev_options options;
	uint64_t features;
	uint16_t queue_size;
	unsigned int request_queues;
	bool no_vectors; /* the function takes none */

	struct model_function function;
	struct model_device device;
	struct viofs_dev *dev;
	struct viofs_err err;

	/* GETATTRs of bench_getattr(), each with the room that its reply has. */
	struct viofs_request requests[BENCH_REQUESTS];
	struct fuse_attr_out replies[BENCH_REQUESTS];
	struct viofs_completion completions[BENCH_REQUESTS];
	unsigned int came[BENCH_REQUESTS]; /* how often */
};

extern struct client_bench bench;

/* Rings as the name says. */
int bench_set_up_split(void **state);
int bench_set_up_packed(void **state);
/* Everything is closed that a test has left open, and nothing was done that a driver may not do. */
int bench_tear_down(void **state);

/* The device is opened, and runs. */
void bench_open(void);
struct viofs_queue *bench_queue(void);

/* The device holds what comes, but for INIT: all, or @opcode. */
void bench_hold(uint32_t opcode);
void bench_set_hook(model_hook *hook);
/* The @n-th request (from 1) that the device has got, whatever its opcode. */
struct model_request *bench_held(unsigned int n);

/* Makes requests @from.. of the bench GETATTRs, of nodes @from + 1 and so on. Return: the first. */
struct viofs_request *bench_getattr(unsigned int from, unsigned int count);
/* Submits them, all of which must be taken, and waits until the device has got @seen requests in
 * all. */
void bench_send(struct viofs_queue *q, unsigned int from, unsigned int count, unsigned int seen);

/*
 * Takes completions until @count are there, or -ENODEV or @ms are. Each must be one of
 * bench_getattr()'s, not have come before, and be a good answer or have error -EIO. Return: how
 * many, or -ENODEV where none came.
 */
int bench_take(struct viofs_queue *q, unsigned int count, int ms);
bool bench_is_readable(int fd, int ms);
/* How many of requests @from.. have come with @error. */
unsigned int bench_count(unsigned int from, unsigned int count, int error);

#endif
