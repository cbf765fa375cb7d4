/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a ring to requests, and their replies back: in order or not, at once or later. */
#include "dev.h"
#include "dev_evil.h"
#include "dev_keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HIPRIO 0
/* The longest request there is: SETXATTR or WRITE of 1 MiB, with room to spare. */
#define REQUEST_MAX (2U << 20)

void dev_queue_start(struct dev_queue *q)
{
	struct dev_ring *r = &q->ring;

	memset(r, 0, sizeof(*r));
	r->ops = q->vring.packed ? &dev_packed_ops : &dev_split_ops;
	r->dev = q->dev;
	r->vring = q->vring;
	q->mapped = false;
	if (!r->ops->start(r) || (!dev_is_translated(q->dev) && !dev_queue_map(q)))
		dev_driver_fault("queue %u: %u entries at 0x%llx, 0x%llx, 0x%llx make no sense",
				 q->index, q->vring.size, (unsigned long long)q->vring.desc,
				 (unsigned long long)q->vring.driver,
				 (unsigned long long)q->vring.device);
	dev_inflight_start(q);
	q->started = true;
}

/*
 * Behind an IOMMU not before it is used: while the front end sets up the ring it waits for us, and
 * can't be asked.
 */
bool dev_queue_map(struct dev_queue *q)
{
	if (!q->mapped)
		q->mapped = q->ring.ops->map(&q->ring);
	/* Something else may have come in between: it is looked at again then. */
	return q->started || !dev_is_translated(q->dev) ? q->mapped : false;
}

uint32_t dev_queue_stop(struct dev_queue *q)
{
	q->enabled = false;
	if (!q->started)
		return 0;
	q->started = false;
	close(q->kick_fd);
	q->kick_fd = -1;
	dev_inflight_stop(q);
	return q->ring.ops->base(&q->ring);
}

static void gather(struct dev_request *r)
{
	uint8_t *to;

	for (unsigned int i = 0; i < r->chain.readable; i++)
		r->in_len += (uint32_t)r->chain.pieces[i].iov_len;
	for (unsigned int i = 0; i < r->chain.writable; i++)
		r->room += (uint32_t)r->chain.pieces[r->chain.readable + i].iov_len;
	if (r->in_len > REQUEST_MAX || r->room > REQUEST_MAX)
		dev_driver_fault("a request of %u bytes with room for %u", r->in_len, r->room);
	/* One byte more: names end somewhere, whatever the driver says. */
	r->in = calloc(1, r->in_len + sizeof(struct fuse_in_header) + 1);
	r->out = calloc(1, r->room + sizeof(struct fuse_out_header));
	if (!r->in || !r->out)
		abort();
	to = r->in;
	for (unsigned int i = 0; i < r->chain.readable; i++) {
		memcpy(to, r->chain.pieces[i].iov_base, r->chain.pieces[i].iov_len);
		to += r->chain.pieces[i].iov_len;
	}
	r->head = (struct fuse_in_header *)(void *)r->in;
	r->arg = r->in + sizeof(*r->head);
	r->arg_len =
		r->in_len - (r->in_len < sizeof(*r->head) ? r->in_len : (uint32_t)sizeof(*r->head));
}

static void check(struct dev_request *r)
{
	if (r->in_len < sizeof(*r->head) || r->head->len != r->in_len)
		dev_driver_fault("a request of %u bytes says that it has %u", r->in_len,
				 r->head->len);
	if (r->room && r->room < sizeof(struct fuse_out_header))
		dev_driver_fault("%s: no room for a reply's header",
				 dev_fuse_name(r->head->opcode));
	if (r->queue->dev->strict)
		dev_framing_check(r);
}

static void free_request(struct dev_request *r)
{
	free(r->in);
	free(r->out);
	free(r);
}

/* Write the reply where it goes. */
static void scatter(const struct dev_request *r)
{
	const uint8_t *from = r->out;
	uint32_t left = r->out_len;

	for (unsigned int i = 0; left && i < r->chain.writable; i++) {
		const struct iovec *v = &r->chain.pieces[r->chain.readable + i];
		uint32_t n = left < v->iov_len ? left : (uint32_t)v->iov_len;

		memcpy(v->iov_base, from, n);
		from += n;
		left -= n;
	}
}

void dev_queue_signal(struct dev_queue *q)
{
	const uint64_t one = 1;

	if (q->call_fd >= 0 && !q->dev->no_interrupts && q->ring.ops->wants_signal(&q->ring) &&
	    write(q->call_fd, &one, sizeof(one)) < 0)
		dev_say("signalling queue %u: %s", q->index, strerror(errno));
}

void dev_queue_complete(struct dev_request *r)
{
	struct dev_queue *q = r->queue;
	struct dev *d = q->dev;

	if (q->started) {
		scatter(r);
		if (!dev_evil_complete(d, r)) {
			q->ring.busy[r->chain.id] = 0;
			q->ring.in_flight--;
			dev_inflight_push(q, r);
		}
		dev_queue_signal(q);
		if (dev_evil_keeps(d, r)) {
			r->next = d->scribbled;
			d->scribbled = r;
			return;
		}
	}
	free_request(r);
}

void dev_queue_scribble(struct dev *d)
{
	for (struct dev_request *r = d->scribbled; r; r = r->next) {
		if (!r->queue->started)
			continue;
		for (unsigned int i = 0; i < r->chain.writable; i++) {
			const struct iovec *v = &r->chain.pieces[r->chain.readable + i];

			memset(v->iov_base, (int)dev_random(d), v->iov_len);
		}
	}
}

/* Completed at once, or on the list of those that are completed later. */
static void finish(struct dev_request *r)
{
	struct dev *d = r->queue->dev;

	if (!d->latency_ns && !d->shuffle) {
		dev_queue_complete(r);
		return;
	}
	r->due_ns = dev_now_ns() + d->latency_ns;
	/* Any time up to the double, so that they change places. */
	if (d->shuffle)
		r->due_ns += dev_random(d) % (d->latency_ns ? (uint32_t)d->latency_ns : 200000U);
	r->next = d->pending;
	d->pending = r;
}

int64_t dev_queue_complete_due(struct dev *d)
{
	struct dev_request **at = &d->pending, *r;
	int64_t now = dev_now_ns(), next = -1;

	while ((r = *at)) {
		if (r->due_ns - now <= 0) {
			*at = r->next;
			dev_queue_complete(r);
		} else {
			if (next < 0 || r->due_ns - now < next)
				next = r->due_ns - now;
			at = &r->next;
		}
	}
	return next;
}

void dev_reply_head(struct dev_request *r, int result)
{
	struct fuse_out_header *h = (struct fuse_out_header *)(void *)r->out;

	if (result == DEV_NO_REPLY || !r->room)
		return;
	h->unique = r->head->unique;
	h->error = result < 0 ? result : 0;
	h->len = (uint32_t)(sizeof(*h) + (result > 0 ? (uint32_t)result : 0));
	if (h->len > r->room)
		dev_driver_fault("%s: a reply of %u bytes has room for %u",
				 dev_fuse_name(r->head->opcode), h->len, r->room);
	r->out_len = h->len;
}

void dev_answer(struct dev_request *r, int result)
{
	if (result == DEV_LATER)
		return;
	dev_reply_head(r, result);
	dev_keep_note(r);
	r->used_len = r->out_len;
	dev_evil_reply(r->queue->dev, r);
	finish(r);
}

/* Take it from the ring and nothing else: who comes next has to. */
static void take_only(struct dev *d, struct dev_request *r)
{
	r->next = d->taken;
	d->taken = r;
	d->taken_count++;
}

static void run(struct dev *d, struct dev_request *r, bool again)
{
	if (d->taking && r->queue->index != HIPRIO) {
		take_only(d, r);
	} else if (again && dev_keep_recall(r)) {
		finish(r);
	} else {
		dev_keep_begin();
		dev_answer(r, dev_fuse_handle(r));
	}
}

bool dev_queue_pop(struct dev_queue *q, struct dev_chain *c)
{
	if (!q->ring.ops->pop(&q->ring, c))
		return false;
	q->popped++;
	return true;
}

unsigned int dev_queue_run(struct dev_queue *q)
{
	struct dev *d = q->dev;
	unsigned int n = 0;

	if (dev_is_notification(q) || !q->started || !q->enabled || !dev_queue_map(q))
		return 0;
	while (q->started && q->enabled && dev_queue_map(q) && !d->silent &&
	       !(d->held && q->index != HIPRIO)) {
		struct dev_request *r = calloc(1, sizeof(*r));
		bool again;

		if (!r)
			abort();
		r->queue = q;
		if (!dev_inflight_pop(q, r, &again)) {
			free(r);
			break;
		}
		gather(r);
		check(r);
		n++;
		run(d, r, again);
	}
	return n;
}

bool dev_queue_arm(struct dev_queue *q)
{
	if (dev_is_notification(q) || !q->mapped || !q->started || !q->enabled || q->dev->silent ||
	    (q->dev->held && q->index != HIPRIO))
		return false;
	return q->ring.ops->set_kicks(&q->ring, !q->dev->poll);
}
