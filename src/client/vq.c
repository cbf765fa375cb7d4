/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtqueue: from a request to a descriptor chain, from a used entry to a completion.
 *
 * But for viofs_vq_share() it is used by who has entered it (client_dev.h). Slots, rings and
 * completions of others are kept in private memory; what the device writes is copied once, checked,
 * and not looked at again.
 */
#include "client/vq.h"
#include "base/page.h"
#include "base/util.h"
#include "client/pool.h"
#include "client/track.h"
#include "fuse/reply.h"

#include <assert.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of enum viofs_request_flag. */
#define FLAGS (uint32_t)(VIOFS_REQUEST_HIPRIO | VIOFS_REQUEST_SHORT | VIOFS_REQUEST_SILENT)

void viofs_vq_sizes(unsigned int depth, size_t sizes[VIOFS_ARENA_SECTIONS])
{
	sizes[VIOFS_ARENA_DEVICE_READ] +=
		(size_t)depth * (VIOFS_VQ_IN + VIOFS_VQ_LONG) + 2 * VIOFS_PAGE_LEAST;
	sizes[VIOFS_ARENA_DEVICE_WRITE] += (size_t)depth * VIOFS_VQ_OUT + VIOFS_PAGE_LEAST;
}

/* None of them crosses a page but a long message. @in, @big, @out: DMA memory, VIOFS_VQ_* for
 * each slot. */
static void find_places(struct viofs_vq *vq, unsigned int index, uint8_t *in, uint8_t *big,
			uint8_t *out)
{
	const struct viofs_arena *arena = vq->dev->at.arena;
	struct viofs_vq_slot *slot = &vq->slots[index];

	in += (size_t)index * VIOFS_VQ_IN;
	big += (size_t)index * VIOFS_VQ_LONG;
	out += (size_t)index * VIOFS_VQ_OUT;
	slot->table = viofs_place_of(arena, in, VIOFS_VQ_TABLE);
	slot->message = viofs_place_of(arena, in + VIOFS_VQ_TABLE, VIOFS_VQ_IN - VIOFS_VQ_TABLE);
	slot->long_table = viofs_place_of(arena, big, VIOFS_VQ_LONG_TABLE);
	slot->long_message = viofs_place_of(arena, big + VIOFS_VQ_LONG_TABLE,
					    VIOFS_VQ_LONG - VIOFS_VQ_LONG_TABLE);
	slot->out = viofs_place_of(arena, out, VIOFS_VQ_OUT);
}

int viofs_vq_init(struct viofs_vq *vq, struct viofs_dev *dev, unsigned int index,
		  unsigned int depth)
{
	struct viofs_arena *arena = dev->at.arena;
	const size_t page = viofs_page_size();
	uint8_t *in, *big, *out;

	pthread_mutex_init(&vq->lock, NULL);
	vq->dev = dev;
	vq->index = index;
	vq->shared = index == VIOFS_FS_HIPRIO || !dev->membarrier;
	vq->depth = (uint16_t)depth;
	vq->free = VIOFS_VQ_END;
	in = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_READ, (size_t)depth * VIOFS_VQ_IN, page);
	big = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_READ, (size_t)depth * VIOFS_VQ_LONG,
				page);
	out = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_WRITE, (size_t)depth * VIOFS_VQ_OUT,
				page);
	vq->slots = calloc(depth, sizeof(*vq->slots));
	if (!vq->slots)
		return -ENOMEM;
	for (unsigned int i = depth; i-- > 0;) {
		find_places(vq, i, in, big, out);
		viofs_track_give(vq, i);
	}
	return 0;
}

void viofs_vq_fini(struct viofs_vq *vq)
{
	if (!vq->dev)
		return;
	free(vq->slots);
	pthread_mutex_destroy(&vq->lock);
}

void viofs_vq_share(struct viofs_vq *vq)
{
	if (vq->shared)
		return;
	__atomic_store_n(&vq->shared, 1, __ATOMIC_SEQ_CST);
	/* From here on the owner sees `shared`, or has its `busy` seen here. */
	syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	while (__atomic_load_n(&vq->busy, __ATOMIC_ACQUIRE))
		sched_yield();
}

/* The caller's data: in the arena, or in memory that was registered. */
static int add_iov(struct viofs_chain *c, const struct viofs_dev *dev, const struct iovec *iov,
		   unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		const uint8_t *at = iov[i].iov_base;
		size_t len = iov[i].iov_len, run;
		uint64_t iova;

		for (; len; at += run, len -= run) {
			if (!viofs_dma_piece(dev, at, len, &iova, &run))
				return -EFAULT;
			viofs_chain_add_piece(c, iova, run);
		}
	}
	return 0;
}

/* Return: the sum, or -EINVAL: more than a request carries. */
static int64_t bytes_of(const struct viofs_dev *dev, const struct iovec *iov, unsigned int count)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < count; i++) {
		if (iov[i].iov_len > dev->max_data)
			return -EINVAL;
		sum += iov[i].iov_len;
		if (sum > dev->max_data)
			return -EINVAL;
	}
	return (int64_t)sum;
}

static bool answers(uint32_t opcode)
{
	return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_NOTIFY_REPLY;
}

/* Check sizes and make the shape. Return: bytes of data, or -EINVAL. */
static int64_t take_shape(const struct viofs_dev *dev, const struct viofs_request *r,
			  struct viofs_vq_slot *slot)
{
	int64_t data = bytes_of(dev, r->data, r->data_count);
	int64_t room = bytes_of(dev, r->reply_data, r->reply_data_count);
	bool replies = answers(r->opcode);

	if (data < 0 || room < 0 || r->reserved[0] || r->reserved[1] || r->reserved[2] ||
	    r->flags & ~FLAGS || r->args_size > VIOFS_REQUEST_ARGS_MAX ||
	    r->reply_size > VIOFS_REQUEST_REPLY_MAX || (!replies && (r->reply_size || room)))
		return -EINVAL;
	slot->shape = (struct viofs_fuse_shape){
		.opcode = r->opcode,
		.fixed = r->flags & VIOFS_REQUEST_SHORT ? 0 : r->reply_size,
		.reply_data = (uint32_t)room + (r->flags & VIOFS_REQUEST_SHORT ? r->reply_size : 0),
		.replies = replies,
	};
	return data;
}

/* Clear the earlier reply, so that it isn't taken for this one's. */
static void clear_reply(const struct viofs_vq_slot *slot, const struct viofs_request *r)
{
	memset(slot->out.at, 0, sizeof(struct fuse_out_header) + r->reply_size);
}

/* The message, in the slot's short or long part. Return: where it is. */
static const struct viofs_place *write_message(const struct viofs_vq_slot *slot,
					       const struct viofs_request *r, uint32_t len)
{
	const struct viofs_place *place =
		r->args_size > VIOFS_VQ_ARGS ? &slot->long_message : &slot->message;
	const struct fuse_in_header head = {
		.len = len,
		.opcode = r->opcode,
		.unique = r->unique,
		.nodeid = r->nodeid,
		.uid = r->uid,
		.gid = r->gid,
		.pid = r->pid,
	};

	memcpy(place->at, &head, sizeof(head));
	if (r->args_size)
		memcpy(place->at + sizeof(head), r->args, r->args_size);
	return place;
}

/* @pieces: room for VIOFS_PIECES_MAX. */
static int build(const struct viofs_vq *vq, unsigned int index, const struct viofs_place *message,
		 const struct viofs_request *r, struct viofs_ring_piece *pieces,
		 struct viofs_ring_chain *chain)
{
	const struct viofs_dev *dev = vq->dev;
	const struct viofs_vq_slot *slot = &vq->slots[index];
	const struct viofs_place *table = NULL;
	struct viofs_chain c = {
		.arena = dev->at.arena,
		.pieces = pieces,
		.max = VIOFS_PIECES_MAX,
	};
	bool replies = slot->shape.replies;
	int rc;

	viofs_chain_request(&c, message, r->args_size, replies);
	rc = add_iov(&c, dev, r->data, r->data_count);
	if (replies) {
		viofs_chain_reply(&c, &slot->out, r->reply_size);
		if (!rc)
			rc = add_iov(&c, dev, r->reply_data, r->reply_data_count);
	}
	if (dev->indirect)
		table = c.count <= VIOFS_VQ_TABLE / 16 ? &slot->table : &slot->long_table;
	return rc ? rc : viofs_chain_end(&c, replies, table, index, chain);
}

int viofs_vq_add(struct viofs_vq *vq, struct viofs_queue *q, struct viofs_request *r, int64_t now)
{
	struct viofs_ring_piece pieces[VIOFS_PIECES_MAX];
	const struct viofs_place *message;
	struct viofs_ring_chain chain;
	struct viofs_vq_slot *slot;
	unsigned int index = vq->free;
	int64_t data;
	int rc;

	/* Requests that may wait leave room for those that can end the wait. */
	if (index == VIOFS_VQ_END ||
	    (viofs_request_may_wait(r->opcode) && vq->waits >= vq->depth / 2))
		return -ENOSPC;
	slot = &vq->slots[index];
	data = take_shape(vq->dev, r, slot);
	if (data < 0)
		return (int)data;
	slot->generation++;
	if (r->opcode != FUSE_INTERRUPT)
		r->unique = viofs_track_unique(vq, index);
	message = write_message(
		slot, r, (uint32_t)(sizeof(struct fuse_in_header) + r->args_size + (uint64_t)data));
	clear_reply(slot, r);
	rc = build(vq, index, message, r, pieces, &chain);
	if (rc)
		return rc;
	rc = viofs_ring_add(viofs_vq_ring(vq), &chain);
	if (rc)
		return rc == -EPIPE ? -ENODEV : rc;
	vq->free = slot->next;
	vq->free_count--;
	__atomic_store_n(&vq->requests, vq->requests + 1, __ATOMIC_RELAXED);
	slot->owner = q;
	slot->flags = (uint16_t)r->flags;
	slot->reply_size = (uint16_t)r->reply_size;
	slot->reply = r->reply;
	slot->waits = viofs_request_may_wait(r->opcode);
	/* Without a time-out nobody asks, but whether it may be interrupted. */
	slot->since = slot->waits && !now ? viofs_now_ns() : now;
	slot->queued = true;
	vq->waits += slot->waits;
	slot->done.user = r->user;
	slot->done.unique = r->unique;
	return 0;
}

void viofs_vq_kick(struct viofs_vq *vq)
{
	viofs_fs_kick(vq->dev->at.fs, vq->index);
}

/* The checked copy of the reply's struct, to where the caller wants it. */
static void copy_reply(const struct viofs_vq_slot *slot, uint32_t payload)
{
	const uint8_t *from = slot->out.at + sizeof(struct fuse_out_header);
	uint32_t fixed = VIOFS_MIN(payload, (uint32_t)slot->reply_size);
	uint8_t copy[VIOFS_REQUEST_REPLY_MAX];

	if (!slot->reply_size || !slot->reply)
		return;
	memcpy(copy, from, fixed);
	viofs_fuse_reply_strip(&slot->shape, copy, fixed);
	memcpy(slot->reply, copy, fixed);
	memset((uint8_t *)slot->reply + fixed, 0, slot->reply_size - fixed);
}

/* INIT is the first request, and shows what the device says of lengths. */
static bool is_len_quirk(struct viofs_vq *vq, const struct viofs_vq_slot *slot, uint32_t used_len,
			 const struct fuse_out_header *head)
{
	if (slot->shape.opcode == FUSE_INIT && viofs_fuse_reply_has_zero_len(head, used_len))
		__atomic_store_n(&vq->dev->used_len_zero, 1, __ATOMIC_RELAXED);
	return __atomic_load_n(&vq->dev->used_len_zero, __ATOMIC_RELAXED);
}

/* Judge the reply. Return: 0; -EPROTO: the session can't go on, @why. */
static int complete(struct viofs_vq *vq, unsigned int index, uint32_t used_len, const char **why)
{
	struct viofs_vq_slot *slot = &vq->slots[index];
	struct viofs_completion *c = &slot->done;
	struct viofs_fuse_reply reply = { 0 };
	struct fuse_out_header head;
	int rc = 0;

	slot->queued = false;
	__atomic_store_n(&vq->replies, vq->replies + 1, __ATOMIC_RELAXED);
	c->error = 0;
	c->size = 0;
	c->fault = NULL;
	/* Most say nothing to INTERRUPT, which is legal. */
	if (!slot->shape.replies || (slot->shape.opcode == FUSE_INTERRUPT && !used_len))
		return 0;
	memcpy(&head, slot->out.at, sizeof(head));
	rc = viofs_fuse_reply_check(&slot->shape, c->unique, &head, used_len,
				    is_len_quirk(vq, slot, used_len, &head), &reply);
	c->error = reply.error;
	c->size = reply.payload;
	c->fault = reply.fault;
	if (reply.fault)
		__atomic_store_n(&vq->faults, vq->faults + 1, __ATOMIC_RELAXED);
	else if (!reply.error)
		copy_reply(slot, reply.payload);
	if (rc)
		*why = reply.fault;
	return rc;
}

unsigned int viofs_vq_drain(struct viofs_vq *vq, struct viofs_queue *q,
			    struct viofs_completion *out, unsigned int max, const char **why)
{
	struct viofs_ring *ring = viofs_vq_ring(vq);
	unsigned int n = 0;
	uint32_t token, len;
	int rc;

	while ((n < max || !q) && viofs_ring_has_used(ring)) {
		struct viofs_vq_slot *slot;

		rc = viofs_ring_get(ring, &token, &len);
		if (rc <= 0) {
			if (rc)
				*why = viofs_ring_broken(ring);
			break;
		}
		slot = &vq->slots[token];
		if (complete(vq, token, len, why)) {
			slot->queued = true; /* ends with the device */
			break;
		}
		if (slot->owner && !(slot->flags & VIOFS_REQUEST_SILENT)) {
			if (slot->owner == q)
				out[n++] = slot->done;
			else
				viofs_track_hand_over(vq, slot);
		}
		viofs_track_give(vq, token);
	}
	return n;
}
