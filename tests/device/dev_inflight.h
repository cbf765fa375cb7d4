/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is in flight, noted where the next back end finds it (vhost-user.rst, "Inflight I/O
 * tracking"). */
#ifndef DEV_INFLIGHT_H
#define DEV_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

struct dev;
struct dev_queue;
struct dev_request;
struct dev_region_head;

/** struct dev_inflight - the region, mapped */
struct dev_inflight {
	void *map; /* NULL: there is none */
	uint64_t map_size;
	uint8_t *at;
	uint16_t queues, entries;
};

/** struct dev_inflight_queue - one queue's part of it */
struct dev_inflight_queue {
	struct dev_region_head *region; /* NULL: nothing is noted */
	uint64_t counter;
	uint16_t *resubmit; /* heads that the one before has left, oldest first */
	unsigned int resubmit_count, resubmit_next;
};

/** struct dev_inflight_message - the payload of both messages */
struct dev_inflight_message {
	uint64_t mmap_size, mmap_offset;
	uint16_t num_queues, queue_size;
};

/** dev_inflight_make() - GET_INFLIGHT_FD: fill in sizes. Return: a memfd of that size. */
int dev_inflight_make(struct dev_inflight_message *m);
/** dev_inflight_take() - SET_INFLIGHT_FD; @fd is closed. */
void dev_inflight_take(struct dev *d, const struct dev_inflight_message *m, int fd);
/** dev_inflight_start() - a ring starts: begin a region, or go on where it ends. */
void dev_inflight_start(struct dev_queue *q);
/** dev_inflight_pop() - next of what was left, or of the ring. Return: as the ring's pop; @again:
 * left. */
int dev_inflight_pop(struct dev_queue *q, struct dev_request *r, bool *again);
/** dev_inflight_push() - the ring's push, noted before and after. */
void dev_inflight_push(struct dev_queue *q, const struct dev_request *r);
/** dev_inflight_stop() - of the queue. */
void dev_inflight_stop(struct dev_queue *q);

#endif
