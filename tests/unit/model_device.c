/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A virtio-fs device's other half: takes chains off the rings, answers them as a small file system.
 */
/*
 * It behaves as devices do: it looks at a ring only once it was notified, asks for notifications by
 * avail_event where EVENT_IDX is negotiated, and signals the driver's eventfd where the driver
 * wants that. Its thread makes no cmocka assertion; what is wrong goes to `violation`.
 */
#include "model_device.h"

#include "base/barrier.h"
#include "base/util.h"
#include "virtio/ring.h"
#include "virtio/virtio.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DESC_NEXT 1U
#define DESC_WRITE 2U
#define DESC_INDIRECT 4U
#define NAP_US 20
#define WAIT_US 5000000
#define NOTHING INT_MAX /* is written: no reply */

uint8_t model_device_byte(uint64_t nodeid, uint64_t offset)
{
	return (uint8_t)(nodeid * 17 + offset * 31 + offset / 256);
}

static void violate(struct model_device *d, const char *what, uint32_t opcode)
{
	if (!d->violation[0])
		snprintf(d->violation, sizeof(d->violation), "%s: opcode %u", what, opcode);
}

/* NULL and a violation where the device may not do that there. */
static void *reach(struct model_device *d, uint64_t iova, size_t len, unsigned int access)
{
	const struct model_function *m = d->function;

	for (unsigned int i = 0; i < m->map_count; i++) {
		const struct model_map *map = &m->maps[i];

		if (iova >= map->iova && viofs_range_ok(iova - map->iova, len, map->len) &&
		    (map->access & access) == access)
			return map->vaddr + (iova - map->iova);
	}
	violate(d, "an address that the device can't reach", 0);
	return NULL;
}

static void add_piece(struct model_device *d, struct model_request *r,
		      const struct viofs_ring_desc *desc)
{
	const void *from;

	if (r->readable + r->writable == MODEL_PIECES) {
		violate(d, "a chain of too many descriptors", 0);
	} else if (desc->flags & DESC_WRITE) {
		r->writable_iova[r->writable] = desc->addr;
		r->writable_len[r->writable++] = desc->len;
	} else if (r->writable) {
		violate(d, "a readable descriptor after a writable one", 0);
	} else {
		from = reach(d, desc->addr, desc->len, VIOFS_DMA_READ);
		if (from && r->len + desc->len <= MODEL_MESSAGE) {
			memcpy(r->message + r->len, from, desc->len);
			r->len += desc->len;
		}
		r->readable_len[r->readable++] = desc->len;
	}
}

/* On by @by places of a packed ring. */
static void move(const struct model_queue *mq, uint16_t *at, bool *wrap, unsigned int by)
{
	*wrap ^= (*at + by) / mq->size & 1;
	*at = (uint16_t)((*at + by) % mq->size);
}

static struct viofs_ring_packed_desc *packed_ring(struct model_device *d, unsigned int q)
{
	const struct model_queue *mq = &d->function->queues[q];

	return reach(d, mq->desc, mq->size * sizeof(struct viofs_ring_packed_desc),
		     VIOFS_DMA_READ | VIOFS_DMA_WRITE);
}

static bool has_packed(struct model_device *d, unsigned int q)
{
	const struct model_queue *mq = &d->function->queues[q];
	uint16_t flags = VIOFS_READ_ONCE(packed_ring(d, q)[mq->seen].flags);

	return !(flags & VIOFS_RING_PACKED_AVAIL) == !mq->seen_wrap &&
	       !(flags & VIOFS_RING_PACKED_USED) == mq->seen_wrap;
}

static void add_packed(struct model_device *d, struct model_request *r,
		       const struct viofs_ring_packed_desc *p)
{
	const struct viofs_ring_desc desc = { .addr = p->addr, .len = p->len, .flags = p->flags };

	add_piece(d, r, &desc);
}

/* The chain at mq->seen. Its id is in its last descriptor (virtio 1.3 2.8.6). */
static void read_packed(struct model_device *d, struct model_request *r)
{
	struct model_queue *mq = &d->function->queues[r->queue];
	const struct viofs_ring_packed_desc *ring = packed_ring(d, r->queue), *table;
	uint16_t at = mq->seen, flags;

	do {
		flags = ring[at].flags;
		r->head = ring[at].id;
		r->taken++;
		if (flags & DESC_INDIRECT) {
			table = reach(d, ring[at].addr, ring[at].len, VIOFS_DMA_READ);
			for (unsigned int i = 0; table && i < ring[at].len / sizeof(*table); i++)
				add_packed(d, r, &table[i]);
		} else {
			add_packed(d, r, &ring[at]);
		}
		at = (uint16_t)((at + 1) % mq->size);
	} while (flags & DESC_NEXT && r->taken < mq->size);
	move(mq, &mq->seen, &mq->seen_wrap, r->taken);
}

static void read_chain(struct model_device *d, struct model_request *r)
{
	struct model_queue *q = &d->function->queues[r->queue];
	const struct viofs_ring_desc *table, *desc;
	uint32_t size = q->size, at = r->head;

	table = reach(d, q->desc, size * sizeof(*table), VIOFS_DMA_READ);
	if (!table)
		return;
	if (table[at].flags & DESC_INDIRECT) {
		desc = &table[at];
		size = desc->len / (uint32_t)sizeof(*table);
		at = 0;
		if (size > q->size)
			violate(d, "an indirect table longer than the queue", 0);
		table = reach(d, desc->addr, desc->len, VIOFS_DMA_READ);
	}
	for (unsigned int i = 0; table && i < size && at < size; i++) {
		add_piece(d, r, &table[at]);
		if (!(table[at].flags & DESC_NEXT))
			return;
		at = table[at].next;
	}
	violate(d, "a chain without an end", 0);
}

static void signal_driver(struct model_device *d, unsigned int q, bool wanted)
{
	const struct model_queue *mq = &d->function->queues[q];
	const uint64_t one = 1;

	if (wanted && mq->vector != MODEL_NO_VECTOR &&
	    write(d->function->eventfds[mq->vector], &one, sizeof(one)) != sizeof(one))
		violate(d, "an eventfd that can't be signalled", 0);
}

/* virtio 1.3 2.7.7.2 */
static bool split_wants(struct model_device *d, const struct model_queue *mq, uint16_t old)
{
	const uint16_t *avail = reach(d, mq->driver, 6 + 2U * mq->size, VIOFS_DMA_READ);
	uint16_t event = VIOFS_READ_ONCE(avail[2 + mq->size]);

	return d->event_idx ? (uint16_t)(mq->used_idx - event - 1) < (uint16_t)(mq->used_idx - old)
			    : !(VIOFS_READ_ONCE(avail[0]) & 1);
}

/* virtio 1.3 2.8.10: 0 always, 1 never, 2 at a place and round. @old, @wrap: where the used one was
 * put. */
static bool packed_wants(struct model_device *d, const struct model_queue *mq, uint16_t old,
			 bool wrap, unsigned int by)
{
	const uint16_t *event = reach(d, mq->driver, 4, VIOFS_DMA_READ);
	uint16_t flags = VIOFS_READ_ONCE(event[1]), where = VIOFS_READ_ONCE(event[0]);
	unsigned int place = (where & 0x7fffU) + (where >> 15 == wrap ? 0U : mq->size);

	return flags == 2 ? place >= old && place < old + by : !flags;
}

static void push_packed(struct model_device *d, unsigned int q, uint32_t id, uint32_t len,
			unsigned int by)
{
	struct model_queue *mq = &d->function->queues[q];
	struct viofs_ring_packed_desc *desc = &packed_ring(d, q)[mq->used_idx];
	uint16_t old = mq->used_idx;
	bool wrap = mq->used_wrap;

	desc->id = (uint16_t)id;
	desc->len = len;
	viofs_wmb();
	VIOFS_WRITE_ONCE(desc->flags,
			 (uint16_t)((wrap ? VIOFS_RING_PACKED_AVAIL | VIOFS_RING_PACKED_USED : 0U) |
				    (len ? DESC_WRITE : 0U)));
	move(mq, &mq->used_idx, &mq->used_wrap, by);
	viofs_mb();
	signal_driver(d, q, packed_wants(d, mq, old, wrap, by));
}

static void push(struct model_device *d, unsigned int q, uint32_t id, uint32_t len,
		 uint16_t advance)
{
	struct model_queue *mq = &d->function->queues[q];
	uint16_t *used;
	uint16_t old = mq->used_idx;
	uint32_t elem[2] = { id, len };

	if (d->packed) {
		push_packed(d, q, id, len, advance);
		return;
	}
	used = reach(d, mq->device, 6 + 8U * mq->size, VIOFS_DMA_WRITE);
	memcpy(&used[2 + 4 * (mq->used_idx & (mq->size - 1))], elem, sizeof(elem));
	mq->used_idx = (uint16_t)(mq->used_idx + advance);
	viofs_wmb();
	VIOFS_WRITE_ONCE(used[1], mq->used_idx);
	viofs_mb();
	signal_driver(d, q, split_wants(d, mq, old));
}

static void answer(struct model_device *d, struct model_request *r)
{
	size_t done = 0;

	for (unsigned int i = 0; i < r->writable && done < r->reply_len; i++) {
		size_t n = VIOFS_MIN(r->writable_len[i], r->reply_len - done);
		void *to = reach(d, r->writable_iova[i], n, VIOFS_DMA_WRITE);

		if (to)
			memcpy(to, r->reply + done, n);
		done += n;
	}
	r->held = false;
	r->done = true;
	push(d, r->queue, r->used_id, r->used_len, d->packed ? r->taken : 1);
}

static void *payload(struct model_request *r)
{
	return r->reply + sizeof(struct fuse_out_header);
}

static const void *arguments(const struct model_request *r)
{
	return r->message + sizeof(struct fuse_in_header);
}

/* Return: bytes of payload. */
static size_t serve_read(struct model_request *r)
{
	const struct fuse_in_header *head = (const void *)r->message;
	const struct fuse_read_in *in = arguments(r);
	uint8_t *out = payload(r);

	for (uint32_t i = 0; i < in->size; i++)
		out[i] = model_device_byte(head->nodeid, in->offset + i);
	return in->size;
}

static int serve_write(const struct model_request *r)
{
	const struct fuse_in_header *head = (const void *)r->message;
	const struct fuse_write_in *in = arguments(r);
	const uint8_t *data = (const void *)(in + 1);

	if (r->len != sizeof(*head) + sizeof(*in) + in->size)
		return -EINVAL;
	for (uint32_t i = 0; i < in->size; i++)
		if (data[i] != model_device_byte(head->nodeid, in->offset + i))
			return -EILSEQ;
	((struct fuse_write_out *)payload((struct model_request *)(uintptr_t)r))->size = in->size;
	return sizeof(struct fuse_write_out);
}

static int serve_xattr(struct model_request *r)
{
	const struct fuse_getxattr_in *in = arguments(r);
	struct fuse_getxattr_out *out = payload(r);

	if (!in->size) {
		out->size = 4242;
		return sizeof(*out);
	}
	for (uint32_t i = 0; i < in->size; i++)
		((uint8_t *)payload(r))[i] = model_device_byte(7, i);
	return (int)in->size;
}

/* SETXATTR: name, then a value with the pattern. */
static int serve_setxattr(const struct model_request *r)
{
	const struct fuse_setxattr_in *in = arguments(r);
	const char *name = (const char *)(in + 1);
	const uint8_t *value = (const uint8_t *)name + strlen(name) + 1;

	if (value + in->size != r->message + r->len)
		return -EINVAL;
	for (uint32_t i = 0; i < in->size; i++)
		if (value[i] != model_device_byte(9, i))
			return -EILSEQ;
	return 0;
}

static int serve(struct model_device *d, struct model_request *r)
{
	const struct fuse_in_header *head = (const void *)r->message;
	struct fuse_attr_out *attr = payload(r);
	struct fuse_open_out *open = payload(r);

	switch (r->opcode) {
	case FUSE_INIT:
		memcpy(payload(r), &d->init, sizeof(d->init));
		return (int)d->init_bytes;
	case FUSE_GETATTR:
		attr->attr.ino = head->nodeid;
		return sizeof(*attr);
	case FUSE_OPEN:
		open->fh = 77;
		open->open_flags = FOPEN_KEEP_CACHE | VIOFS_FOPEN_PASSTHROUGH;
		return sizeof(*open);
	case FUSE_READ:
	case FUSE_READDIR:
		return (int)serve_read(r);
	case FUSE_WRITE:
		return serve_write(r);
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		return serve_xattr(r);
	case FUSE_SETXATTR:
		return serve_setxattr(r);
	case FUSE_LOOKUP:
		return -ENOENT;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_DESTROY:
		return NOTHING;
	case FUSE_UNLINK:
	case FUSE_RELEASE:
	case FUSE_SETLK:
	case FUSE_SETLKW:
		return 0;
	default:
		return -ENOSYS;
	}
}

static void make_up(struct model_device *d, struct model_request *r)
{
	struct fuse_out_header *out = (void *)r->reply;
	int n = serve(d, r);

	r->used_id = r->head;
	if (n == NOTHING)
		return;
	out->error = VIOFS_MIN(n, 0);
	out->len = (uint32_t)sizeof(*out) + (uint32_t)VIOFS_MAX(n, 0);
	out->unique = r->unique;
	r->reply_len = r->used_len = out->len;
}

/* What the standard and the back ends in the wild want of every request. */
static void check(struct model_device *d, const struct model_request *r)
{
	const struct fuse_in_header *head = (const void *)r->message;
	bool hiprio = r->opcode == FUSE_FORGET || r->opcode == FUSE_BATCH_FORGET ||
		      r->opcode == FUSE_INTERRUPT;
	bool replies = r->opcode != FUSE_FORGET && r->opcode != FUSE_BATCH_FORGET;

	if (r->len < sizeof(*head) || head->len != r->len)
		violate(d, "in_header.len is not what is readable", r->opcode);
	if (hiprio != (r->queue == 0) && !d->any_queue)
		violate(d, "on the wrong queue", r->opcode);
	if (replies != (r->writable > 0) || (r->writable && r->writable_len[0] != 16))
		violate(d, "out_header has no descriptor of its own", r->opcode);
	if (replies ? r->readable_len[0] != 40 : r->readable != 1)
		violate(d, "in_header has no descriptor of its own", r->opcode);
}

static void take(struct model_device *d, unsigned int q, uint16_t head)
{
	struct model_request *r = &d->requests[d->count];

	if (d->count == MODEL_REQUESTS) {
		violate(d, "more requests than the model keeps", 0);
		return;
	}
	memset(r, 0, sizeof(*r));
	r->queue = q;
	r->head = head;
	r->message = calloc(1, MODEL_MESSAGE);
	r->reply = calloc(1, MODEL_MESSAGE);
	if (d->packed)
		read_packed(d, r);
	else
		read_chain(d, r);
	r->opcode = ((const struct fuse_in_header *)(const void *)r->message)->opcode;
	r->unique = ((const struct fuse_in_header *)(const void *)r->message)->unique;
	check(d, r);
	make_up(d, r);
	d->count++;
	if (d->hook && d->hook(d, r) == MODEL_HOLD)
		r->held = true;
	else
		answer(d, r);
}

static void serve_split(struct model_device *d, unsigned int q)
{
	struct model_queue *mq = &d->function->queues[q];
	const uint16_t *avail;
	uint16_t *used;

	avail = reach(d, mq->driver, 6 + 2U * mq->size, VIOFS_DMA_READ);
	used = reach(d, mq->device, 6 + 8U * mq->size, VIOFS_DMA_WRITE);
	do {
		while (VIOFS_READ_ONCE(avail[1]) != mq->seen) {
			viofs_rmb();
			take(d, q, avail[2 + (mq->seen++ & (mq->size - 1))]);
		}
		if (d->event_idx)
			VIOFS_WRITE_ONCE(used[2 + 4 * mq->size], mq->seen);
		viofs_mb();
	} while (VIOFS_READ_ONCE(avail[1]) != mq->seen);
}

static void serve_queue(struct model_device *d, unsigned int q)
{
	struct model_queue *mq = &d->function->queues[q];
	unsigned int kicks = __atomic_load_n(&mq->notified, __ATOMIC_ACQUIRE);

	if (!mq->enabled || kicks == d->seen_kicks[q])
		return;
	d->seen_kicks[q]++;
	if (d->drop_kicks) {
		d->drop_kicks--;
		return;
	}
	if (!d->packed) {
		serve_split(d, q);
		return;
	}
	while (d->count < MODEL_REQUESTS &&
	       has_packed(d, q)) { /* its part of event suppression is zero: always notify */
		viofs_rmb();
		take(d, q, 0);
	}
}

static void *run(void *arg)
{
	struct model_device *d = arg;

	while (!d->stop) {
		pthread_mutex_lock(&d->lock);
		for (unsigned int q = 0; q < d->function->num_queues; q++)
			serve_queue(d, q);
		pthread_mutex_unlock(&d->lock);
		usleep(NAP_US);
	}
	return NULL;
}

void model_device_start(struct model_device *d, struct model_function *f)
{
	memset(d, 0, sizeof(*d));
	d->function = f;
	d->event_idx = f->driver_features & VIOFS_VIRTIO_F_EVENT_IDX;
	d->packed = f->driver_features & VIOFS_VIRTIO_F_RING_PACKED;
	d->init = (struct fuse_init_out){ .major = 7,
					  .minor = 38,
					  .max_readahead = 131072,
					  .flags = FUSE_MAX_PAGES | FUSE_INIT_EXT |
						   FUSE_SETXATTR_EXT | FUSE_POSIX_LOCKS |
						   FUSE_ASYNC_READ,
					  .max_background = 65535,
					  .max_write = 1 << 20,
					  .max_pages = 256,
					  .time_gran = 1 };
	d->init_bytes = sizeof(d->init);
	pthread_mutex_init(&d->lock, NULL);
	f->busy = &d->lock;
	assert_int_equal(pthread_create(&d->thread, NULL, run, d), 0);
}

void model_device_stop(struct model_device *d)
{
	d->stop = true;
	pthread_join(d->thread, NULL);
	d->function->busy = NULL;
	for (unsigned int i = 0; i < d->count; i++) {
		free(d->requests[i].message);
		free(d->requests[i].reply);
	}
	d->count = 0;
	pthread_mutex_destroy(&d->lock);
}

unsigned int model_device_kicks(const struct model_device *d, unsigned int q)
{
	return __atomic_load_n(&d->function->queues[q].notified, __ATOMIC_ACQUIRE);
}

void model_device_set_hook(struct model_device *d, model_hook *hook)
{
	pthread_mutex_lock(&d->lock);
	d->hook = hook;
	pthread_mutex_unlock(&d->lock);
}

static enum model_verdict hold(struct model_device *d, struct model_request *r)
{
	bool wanted = d->hold_opcode ? r->opcode == d->hold_opcode : r->opcode != FUSE_INIT;

	return wanted ? MODEL_HOLD : MODEL_ANSWER;
}

void model_device_hold(struct model_device *d, uint32_t opcode)
{
	pthread_mutex_lock(&d->lock);
	d->hold_opcode = opcode;
	d->hook = hold;
	pthread_mutex_unlock(&d->lock);
}

void model_device_check(const struct model_device *d, const struct model_function *f)
{
	if (d->violation[0])
		fail_msg("%s", d->violation);
	if (f->violation)
		fail_msg("%s", f->violation);
}

void model_device_release(struct model_device *d, uint32_t opcode)
{
	pthread_mutex_lock(&d->lock);
	d->hook = NULL;
	for (unsigned int i = 0; i < d->count; i++)
		if (d->requests[i].held && (!opcode || d->requests[i].opcode == opcode))
			answer(d, &d->requests[i]);
	pthread_mutex_unlock(&d->lock);
}

void model_device_answer(struct model_device *d, struct model_request *r, int error)
{
	struct fuse_out_header *out = (void *)r->reply;

	pthread_mutex_lock(&d->lock);
	if (error) {
		*out = (struct fuse_out_header){ sizeof(*out), error, r->unique };
		r->reply_len = r->used_len = sizeof(*out);
	}
	answer(d, r);
	pthread_mutex_unlock(&d->lock);
}

static unsigned int count_locked(const struct model_device *d, uint32_t opcode, unsigned int n,
				 unsigned int *at)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < d->count && found < n; i++)
		if (!opcode || d->requests[i].opcode == opcode) {
			found++;
			*at = i;
		}
	return found;
}

struct model_request *model_device_wait(struct model_device *d, uint32_t opcode, unsigned int n)
{
	for (int us = 0; us < WAIT_US; us += 200) {
		unsigned int at = 0, found;

		pthread_mutex_lock(&d->lock);
		found = count_locked(d, opcode, n, &at);
		pthread_mutex_unlock(&d->lock);
		if (found == n)
			return &d->requests[at];
		usleep(200);
	}
	return NULL;
}

unsigned int model_device_count(struct model_device *d, uint32_t opcode)
{
	unsigned int at, n;

	pthread_mutex_lock(&d->lock);
	n = count_locked(d, opcode, UINT32_MAX, &at);
	pthread_mutex_unlock(&d->lock);
	return n;
}

void model_device_push_raw(struct model_device *d, unsigned int q, uint32_t id, uint32_t len,
			   uint16_t advance)
{
	pthread_mutex_lock(&d->lock);
	push(d, q, id, len, advance);
	pthread_mutex_unlock(&d->lock);
}
