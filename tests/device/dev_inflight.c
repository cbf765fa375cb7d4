/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is in flight, noted where the next back end finds it: split rings. */
/*
 * The region is a memfd of ours that the front end keeps, and hands to the next one of us together
 * with the same rings. A head is noted when it is taken from the avail ring and struck out when it
 * is in the used ring; last_batch_head and used_idx tell what a death between those two has left
 * undone. How far the avail ring was read follows: all that is used and all that is noted.
 */
#include "dev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define VERSION 1
#define ALIGN 64U

struct region_desc {
	uint8_t inflight, padding[5];
	uint16_t next;
	uint64_t counter;
};

struct dev_region_head {
	uint64_t features;
	uint16_t version, desc_num, last_batch_head, used_idx;
	struct region_desc desc[];
};

static uint64_t region_bytes(uint16_t entries)
{
	uint64_t n =
		sizeof(struct dev_region_head) + (uint64_t)entries * sizeof(struct region_desc);

	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

int dev_inflight_make(struct dev_inflight_message *m)
{
	int fd;

	if (!m->num_queues || !m->queue_size)
		dev_driver_fault("GET_INFLIGHT_FD for %u queues of %u", m->num_queues,
				 m->queue_size);
	m->mmap_size = m->num_queues * region_bytes(m->queue_size);
	m->mmap_offset = 0;
	fd = memfd_create("viofs-device-inflight", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)m->mmap_size) < 0)
		abort();
	return fd;
}

void dev_inflight_take(struct dev *d, const struct dev_inflight_message *m, int fd)
{
	struct dev_inflight *t = &d->inflight;

	if (m->mmap_size < m->num_queues * region_bytes(m->queue_size))
		dev_driver_fault("SET_INFLIGHT_FD: %u queues of %u in %llu bytes", m->num_queues,
				 m->queue_size, (unsigned long long)m->mmap_size);
	if (t->map)
		munmap(t->map, t->map_size);
	t->map_size = m->mmap_size + m->mmap_offset;
	t->map = mmap(NULL, t->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (t->map == MAP_FAILED)
		dev_driver_fault("SET_INFLIGHT_FD: %s", strerror(errno));
	close(fd);
	t->at = (uint8_t *)t->map + m->mmap_offset;
	t->queues = m->num_queues;
	t->entries = m->queue_size;
}

/* In the used ring, and not struck out yet: the last batch. */
static void finish_batch(struct dev_region_head *region, uint16_t used_idx)
{
	uint16_t left = (uint16_t)(used_idx - region->used_idx), head = region->last_batch_head;

	for (; left && head < region->desc_num; left--) {
		region->desc[head].inflight = 0;
		head = region->desc[head].next;
	}
	region->used_idx = used_idx;
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct dev_region_head *region = arg;
	uint64_t x = region->desc[*(const uint16_t *)a].counter;
	uint64_t y = region->desc[*(const uint16_t *)b].counter;

	return x < y ? -1 : x > y;
}

static void recover(struct dev_queue *q)
{
	struct dev_inflight_queue *t = &q->tracked;
	struct dev_region_head *region = t->region;
	uint16_t used_idx = q->ring.ops->used_idx(&q->ring);

	finish_batch(region, used_idx);
	t->resubmit = calloc(region->desc_num, sizeof(*t->resubmit));
	if (!t->resubmit)
		abort();
	for (uint16_t i = 0; i < region->desc_num; i++)
		if (region->desc[i].inflight)
			t->resubmit[t->resubmit_count++] = i;
	qsort_r(t->resubmit, t->resubmit_count, sizeof(*t->resubmit), compare, region);
	if (t->resubmit_count)
		t->counter = region->desc[t->resubmit[t->resubmit_count - 1]].counter + 1;
	q->ring.next_used = q->ring.signalled = used_idx;
	q->ring.next_avail = (uint16_t)(used_idx + t->resubmit_count);
	dev_say("queue %u: %u requests are taken up, next is %u", q->index, t->resubmit_count,
		q->ring.next_avail);
}

void dev_inflight_start(struct dev_queue *q)
{
	const struct dev_inflight *d = &q->dev->inflight;
	struct dev_region_head *region;

	dev_inflight_stop(q);
	if (!d->map)
		return;
	if (q->vring.packed || q->index >= d->queues || q->vring.size > d->entries)
		dev_driver_fault("queue %u of %u entries in a region for %u of %u", q->index,
				 q->vring.size, d->queues, d->entries);
	region = (void *)(d->at + q->index * region_bytes(d->entries));
	q->tracked.region = region;
	if (region->version) {
		recover(q);
		return;
	}
	region->desc_num = d->entries;
	region->used_idx = q->ring.next_used;
	region->version = VERSION;
}

int dev_inflight_pop(struct dev_queue *q, struct dev_request *r, bool *again)
{
	struct dev_inflight_queue *t = &q->tracked;
	struct region_desc *desc;

	*again = t->resubmit_next < t->resubmit_count;
	if (*again)
		return q->ring.ops->take(&q->ring, &r->chain, t->resubmit[t->resubmit_next++]);
	if (!dev_queue_pop(q, &r->chain))
		return 0;
	if (t->region) {
		desc = &t->region->desc[r->chain.id];
		desc->counter = t->counter++;
		__atomic_store_n(&desc->inflight, 1, __ATOMIC_RELEASE);
	}
	return 1;
}

void dev_inflight_push(struct dev_queue *q, const struct dev_request *r)
{
	struct dev_region_head *region = q->tracked.region;
	uint16_t id = r->chain.id;

	if (region) {
		region->desc[id].next = region->last_batch_head;
		__atomic_store_n(&region->last_batch_head, id, __ATOMIC_RELEASE);
	}
	q->ring.ops->push(&q->ring, id, r->chain.slots, r->used_len);
	/* Batches are of one: each is struck out before the next begins. */
	if (region) {
		__atomic_store_n(&region->desc[id].inflight, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&region->used_idx, q->ring.next_used, __ATOMIC_RELEASE);
	}
}

void dev_inflight_stop(struct dev_queue *q)
{
	free(q->tracked.resubmit);
	q->tracked = (struct dev_inflight_queue){ 0 };
}
