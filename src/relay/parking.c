/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parked requests. */
#include "relay/parking.h"
#include "base/ticks.h"
#include "base/page.h"
#include "base/uapi.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE VIOFS_PARKED_NONE
/* Blocks that are kept when nothing is parked any more. */
#define KEPT 64U

static size_t table_bytes(const struct viofs_parking_bounds *max)
{
	return max->block_count * sizeof(struct viofs_parked);
}

void viofs_parking_sizes(const struct viofs_parking_bounds *max, unsigned int n,
			 size_t sizes[VIOFS_ARENA_SECTIONS])
{
	sizes[VIOFS_ARENA_SPARSE] +=
		n * (table_bytes(max) + (size_t)max->block_count * max->block_size) +
		2 * VIOFS_PAGE_LEAST;
}

void viofs_parking_init(struct viofs_parking *p, const struct viofs_parking_bounds *max,
			struct viofs_parked *blocks, uint8_t *data)
{
	*p = (struct viofs_parking){
		.blocks = blocks,
		.data = data,
		.max = *max,
		.first = NONE,
		.last = NONE,
		.free = NONE,
		.free_count = max->block_count,
	};
}

static uint32_t blocks_of(const struct viofs_parking *p, size_t len)
{
	return (uint32_t)((len + p->max.block_size - 1) / p->max.block_size);
}

bool viofs_parking_has_room(const struct viofs_parking *p)
{
	return p->free_count >= blocks_of(p, p->max.largest);
}

bool viofs_parking_is_full(const struct viofs_parking *p)
{
	return p->bytes >= p->max.bytes || p->count >= p->max.count ||
	       p->free_count < 2 * blocks_of(p, p->max.largest);
}

static size_t bytes_of(const struct viofs_parked *parked)
{
	return sizeof(*parked) + parked->len;
}

static uint8_t *data_of(const struct viofs_parking *p, uint32_t block)
{
	return p->data + (size_t)block * p->max.block_size;
}

static uint32_t index_of(const struct viofs_parking *p, const struct viofs_parked *parked)
{
	return (uint32_t)(parked - p->blocks);
}

/* There is one. */
static uint32_t pop_block(struct viofs_parking *p)
{
	uint32_t block = p->free;

	p->free_count--;
	if (block == NONE)
		return p->fresh++;
	p->free = p->blocks[block].next;
	return block;
}

static void push_block(struct viofs_parking *p, uint32_t block)
{
	p->blocks[block].next = p->free;
	p->free = block;
	p->free_count++;
}

/* The next @len bytes of *@iov, of which *@done were taken before. */
static void copy_bytes(const struct iovec **iov, size_t *done, uint8_t *out, size_t len)
{
	while (len) {
		size_t n = VIOFS_MIN((*iov)->iov_len - *done, len);

		memcpy(out, (const uint8_t *)(*iov)->iov_base + *done, n);
		out += n;
		len -= n;
		*done += n;
		if (*done == (*iov)->iov_len) {
			(*iov)++;
			*done = 0;
		}
	}
}

/* A chain of blocks with the message. Return: the first. */
static uint32_t fill(struct viofs_parking *p, const struct iovec *iov, size_t len)
{
	uint32_t first = pop_block(p), block = first;
	size_t done = 0;

	for (;;) {
		size_t n = VIOFS_MIN(len, (size_t)p->max.block_size);

		copy_bytes(&iov, &done, data_of(p, block), n);
		len -= n;
		p->blocks[block].next = len ? pop_block(p) : NONE;
		if (!len)
			return first;
		block = p->blocks[block].next;
	}
}

static void append(struct viofs_parking *p, uint32_t index)
{
	p->blocks[index].follow = NONE;
	if (p->last == NONE)
		p->first = index;
	else
		p->blocks[p->last].follow = index;
	p->last = index;
	p->bytes += bytes_of(&p->blocks[index]);
	p->count++;
}

int viofs_parking_put(struct viofs_parking *p, const struct iovec *iov, size_t len, int64_t since)
{
	struct viofs_parked *parked;
	uint32_t index;

	if (!len || blocks_of(p, len) > p->free_count)
		return -ENOMEM;
	index = fill(p, iov, len);
	parked = &p->blocks[index];
	parked->since = since;
	parked->read = viofs_ticks();
	parked->len = (uint32_t)len;
	append(p, index);
	/* From here on a successor finds it. */
	atomic_store_explicit(&parked->seq, ++p->last_seq, memory_order_release);
	return 0;
}

const struct viofs_parked *viofs_parking_first(const struct viofs_parking *p)
{
	return p->first == NONE ? NULL : &p->blocks[p->first];
}

const struct viofs_parked *viofs_parking_next(const struct viofs_parking *p,
					      const struct viofs_parked *parked)
{
	return parked->follow == NONE ? NULL : &p->blocks[parked->follow];
}

const void *viofs_parking_message(const struct viofs_parking *p, const struct viofs_parked *parked)
{
	return data_of(p, index_of(p, parked));
}

const struct viofs_parked *viofs_parking_find(const struct viofs_parking *p, uint64_t unique)
{
	const struct viofs_parked *i = viofs_parking_first(p);

	for (; i; i = viofs_parking_next(p, i)) {
		struct fuse_in_header head;

		memcpy(&head, viofs_parking_message(p, i), sizeof(head));
		if (head.unique == unique)
			break;
	}
	return i;
}

void viofs_parking_copy(const struct viofs_parking *p, const struct viofs_parked *parked,
			uint32_t from, void *out, size_t len)
{
	uint32_t block = index_of(p, parked);
	uint8_t *to = out;

	for (; from >= p->max.block_size; from -= p->max.block_size)
		block = p->blocks[block].next;
	while (len) {
		size_t n = VIOFS_MIN(len, (size_t)p->max.block_size - from);

		memcpy(to, data_of(p, block) + from, n);
		to += n;
		len -= n;
		from = 0;
		block = p->blocks[block].next;
	}
}

/* Memory that many parked messages have used goes back to the system. */
static void give_back(struct viofs_parking *p)
{
	p->free = NONE;
	if (p->fresh > KEPT)
		viofs_page_drop(data_of(p, KEPT), (p->fresh - KEPT) * (size_t)p->max.block_size);
	p->fresh = 0;
}

static void unlink_message(struct viofs_parking *p, uint32_t index)
{
	uint32_t before = NONE, i = p->first;

	for (; i != index; i = p->blocks[i].follow)
		before = i;
	if (before == NONE)
		p->first = p->blocks[index].follow;
	else
		p->blocks[before].follow = p->blocks[index].follow;
	if (p->last == index)
		p->last = before;
	p->bytes -= bytes_of(&p->blocks[index]);
	p->count--;
}

void viofs_parking_drop(struct viofs_parking *p, const struct viofs_parked *parked)
{
	uint32_t index = index_of(p, parked), next;

	unlink_message(p, index);
	atomic_store_explicit(&p->blocks[index].seq, 0, memory_order_release);
	for (; index != NONE; index = next) {
		next = p->blocks[index].next;
		push_block(p, index);
	}
	if (!p->count)
		give_back(p);
}

void viofs_parking_clear(struct viofs_parking *p)
{
	while (p->first != NONE)
		viofs_parking_drop(p, &p->blocks[p->first]);
}

/* The message at @index: its chain is as long as it says, and shares no block. */
static bool mark_chain(struct viofs_parking *p, bool *taken, uint32_t index)
{
	uint32_t left = blocks_of(p, p->blocks[index].len), block = index;

	if (!p->blocks[index].len || p->blocks[index].len > p->max.largest)
		return false;
	for (; left--; block = p->blocks[block].next) {
		if (block >= p->max.block_count || taken[block])
			return false;
		taken[block] = true;
		p->free_count--;
		p->fresh = VIOFS_MAX(p->fresh, block + 1);
	}
	p->blocks[index].seq = VIOFS_MAX(p->blocks[index].seq, 1U);
	if (p->blocks[index].since < 0 || p->blocks[index].since > viofs_now_ns())
		p->blocks[index].since = viofs_now_ns();
	return block == NONE;
}

static int compare(const void *a, const void *b)
{
	const struct viofs_parked *const *x = a, *const *y = b;

	return ((*x)->seq > (*y)->seq) - ((*x)->seq < (*y)->seq);
}

/* All messages, in their order. */
static void make_lists(struct viofs_parking *p, const bool *taken, const struct viofs_parked **all,
		       uint32_t n)
{
	qsort(all, n, sizeof(*all), compare);
	for (uint32_t i = 0; i < n; i++) {
		append(p, index_of(p, all[i]));
		p->last_seq = all[i]->seq;
	}
	p->free_count = p->max.block_count - p->fresh;
	for (uint32_t i = p->fresh; i-- > 0;)
		if (!taken[i])
			push_block(p, i);
}

int viofs_parking_adopt(struct viofs_parking *p, const struct viofs_parking_bounds *max,
			struct viofs_parked *blocks, uint8_t *data)
{
	const struct viofs_parked **all = calloc(max->block_count, sizeof(const void *));
	bool *taken = calloc(max->block_count, sizeof(*taken));
	int rc = all && taken ? 0 : -ENOMEM;
	uint32_t n = 0;

	viofs_parking_init(p, max, blocks, data);
	for (uint32_t i = 0; i < max->block_count && !rc; i++) {
		if (!blocks[i].seq)
			continue;
		all[n++] = &blocks[i];
		rc = mark_chain(p, taken, i) ? 0 : -EPROTO;
	}
	if (!rc)
		make_lists(p, taken, all, n);
	free(all);
	free(taken);
	return rc;
}
