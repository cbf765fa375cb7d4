/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DMA memory for programs: pages of the arena's data section, and memory of their own.
 *
 * The pool is the device's, and has a lock: any thread takes and gives. A piece is its taker's
 * until he gives it back, or until the device is closed, with which all of it goes. Regions of the
 * program's own (register.c) are read here without a lock: the program registers memory before it
 * uses it.
 */
#include "client/pool.h"
#include "base/page.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int viofs_pool_init(struct viofs_pool *pool, struct viofs_arena *arena, size_t size)
{
	pool->page = viofs_page_size();
	pool->count = size / pool->page;
	pool->free = pool->count;
	pool->base = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_RW, size, pool->page);
	pool->run = calloc(pool->count, sizeof(*pool->run));
	pool->taken = calloc(pool->count, sizeof(*pool->taken));
	pthread_mutex_init(&pool->lock, NULL);
	return pool->run && pool->taken ? 0 : -ENOMEM;
}

void viofs_pool_fini(struct viofs_pool *pool)
{
	if (!pool->page)
		return;
	free(pool->run);
	free(pool->taken);
	pthread_mutex_destroy(&pool->lock);
}

/* First fit from @from on. Return: the first page, or count: none. */
static size_t find(const struct viofs_pool *pool, size_t from, size_t pages)
{
	size_t free = 0;

	for (size_t i = from; i < pool->count; i++) {
		free = pool->taken[i] ? 0 : free + 1;
		if (free == pages)
			return i + 1 - pages;
		/* What is taken is passed in one step. */
		if (pool->run[i])
			i += pool->run[i] - 1;
	}
	return pool->count;
}

void *viofs_dma_alloc(struct viofs_dev *dev, size_t size)
{
	struct viofs_pool *pool = &dev->pool;
	size_t pages, first;

	if (!size || size > pool->count * pool->page || viofs_dev_is_elsewhere(dev))
		return NULL;
	pages = (size + pool->page - 1) / pool->page;
	pthread_mutex_lock(&pool->lock);
	first = find(pool, pool->next, pages);
	if (first == pool->count)
		first = find(pool, 0, pages);
	if (first < pool->count) {
		memset(pool->taken + first, 1, pages);
		pool->run[first] = (uint32_t)pages;
		pool->free -= pages;
		pool->next = first + pages < pool->count ? first + pages : 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return first < pool->count ? pool->base + first * pool->page : NULL;
}

void viofs_dma_free(struct viofs_dev *dev, void *memory)
{
	struct viofs_pool *pool = &dev->pool;
	size_t first, off = (size_t)((uintptr_t)memory - (uintptr_t)pool->base);

	if (!memory || off >= pool->count * pool->page || off % pool->page ||
	    viofs_dev_is_elsewhere(dev))
		return;
	first = off / pool->page;
	pthread_mutex_lock(&pool->lock);
	if (pool->run[first]) {
		memset(pool->taken + first, 0, pool->run[first]);
		pool->free += pool->run[first];
		pool->run[first] = 0;
	}
	pthread_mutex_unlock(&pool->lock);
}

static const struct viofs_region *region_of(const struct viofs_dev *dev, const void *p)
{
	for (unsigned int i = 0; i < dev->region_count; i++) {
		const struct viofs_region *r = &dev->regions[i];

		if ((uintptr_t)p - (uintptr_t)r->memory < r->size)
			return r;
	}
	return NULL;
}

bool viofs_dma_piece(const struct viofs_dev *dev, const void *p, size_t len, uint64_t *iova,
		     size_t *run)
{
	const struct viofs_region *r;
	size_t off;

	if (viofs_arena_contains(dev->at.arena, p, len)) {
		*iova = viofs_arena_iova(dev->at.arena, p, len, run);
		return true;
	}
	r = region_of(dev, p);
	if (!r)
		return false;
	off = (size_t)((uintptr_t)p - (uintptr_t)r->memory);
	if (len > r->size - off)
		return false;
	*iova = r->iova + off;
	*run = len;
	return true;
}

bool viofs_dma_has(const struct viofs_dev *dev, const void *p, size_t len)
{
	uint64_t iova;
	size_t run;

	return viofs_dma_piece(dev, p, len, &iova, &run);
}
