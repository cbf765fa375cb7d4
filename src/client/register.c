/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory of the program's own, given to the device.
 *
 * The memory stays the program's, and has to be there until it is taken back or the device is
 * closed. The list of regions is the device's, changed under dev->lock by any thread.
 */
#include "base/page.h"
#include "base/util.h"
#include "client/child.h"

#include <errno.h>
#include <unistd.h>

static int check(const struct viofs_dev *dev, const uint8_t *memory, size_t size,
		 struct viofs_err *err)
{
	size_t page = viofs_page_size();

	if (!size || size % page || (uintptr_t)memory % page ||
	    (uintptr_t)memory + size < (uintptr_t)memory)
		return viofs_err_set(err, -EINVAL,
				     "Memory for the device must be whole pages of %zu bytes.",
				     page);
	if (dev->region_count == VIOFS_REGIONS_MAX)
		return viofs_err_set(err, -ENOSPC, "The device has %u regions of memory already.",
				     VIOFS_REGIONS_MAX);
	for (unsigned int i = 0; i < dev->region_count; i++)
		if (memory < dev->regions[i].memory + dev->regions[i].size &&
		    dev->regions[i].memory < memory + size)
			return viofs_err_set(err, -EINVAL,
					     "The memory overlaps with memory that the device "
					     "has already.");
	return 0;
}

/* Above all that the device was given. */
static int find_iova(const struct viofs_dev *dev, const struct viofs_mapper *m, size_t size,
		     uint64_t *out)
{
	uint64_t from;
	size_t run;

	/* The data section is the arena's last. */
	from = viofs_arena_iova(dev->at.arena, dev->pool.base, 1, &run) +
	       dev->pool.count * dev->pool.page;
	for (unsigned int i = 0; i < dev->region_count; i++)
		from = VIOFS_MAX(from, dev->regions[i].iova + dev->regions[i].size);
	return viofs_mapper_place(m, from, size, out);
}

static int map(struct viofs_dev *dev, struct viofs_region *r, int fd, uint64_t offset,
	       struct viofs_err *err)
{
	struct viofs_mapper *m = dev->at.fs->virtio->mapper;
	const struct viofs_mapper_memory memory = {
		.vaddr = r->memory,
		.len = r->size,
		.fd = fd,
		.offset = offset,
		.access = VIOFS_DMA_READ | VIOFS_DMA_WRITE,
	};
	int rc;

	if (viofs_arena_granule(dev->at.arena) != SIZE_MAX)
		return viofs_err_set(err, -ENOTSUP,
				     "This device takes physical addresses, which memory of "
				     "the program's own can't be counted on to keep. Take it from "
				     "viofs_dma_alloc().");
	rc = find_iova(dev, m, r->size, &r->iova);
	if (rc)
		return viofs_err_set(err, rc, "The device has no addresses for %zu MiB more.",
				     r->size >> 20);
	return m->ops->map(m, &memory, r->iova, err);
}

int viofs_dma_register(struct viofs_dev *dev, void *memory, size_t size, int fd, uint64_t offset,
		       struct viofs_err *err)
{
	struct viofs_region r = { .memory = memory, .size = size };
	int rc;

	if (viofs_dev_is_elsewhere(dev))
		return viofs_dev_elsewhere(err, "register", "memory");
	pthread_mutex_lock(&dev->lock);
	rc = check(dev, memory, size, err);
	if (!rc)
		rc = map(dev, &r, fd, offset, err);
	if (!rc)
		dev->regions[dev->region_count++] = r;
	pthread_mutex_unlock(&dev->lock);
	return rc;
}

static int take_back(struct viofs_dev *dev, const struct viofs_region *r, struct viofs_err *err)
{
	struct viofs_mapper *m = dev->at.fs->virtio->mapper;

	return m->ops->unmap(m, r->iova, r->size, err);
}

int viofs_dma_unregister(struct viofs_dev *dev, void *memory, struct viofs_err *err)
{
	int rc = -ENOENT;

	if (viofs_dev_is_elsewhere(dev))
		return viofs_dev_elsewhere(err, "unregister", "memory");
	pthread_mutex_lock(&dev->lock);
	for (unsigned int i = 0; i < dev->region_count; i++) {
		if (dev->regions[i].memory != memory)
			continue;
		if (dev->runs_on) {
			rc = viofs_err_set(err, -EBUSY,
					   "The device has failed and could not be stopped: it may "
					   "write to this memory until viofs_dev_close().");
			break;
		}
		/* A device that has failed is halted: it reaches nothing. */
		rc = take_back(dev, &dev->regions[i],
			       viofs_dev_state(dev) == VIOFS_DEV_WORKS ? err : NULL);
		if (viofs_dev_state(dev) != VIOFS_DEV_WORKS)
			rc = 0;
		/* The device still reaches it: the caller may try again. */
		if (rc)
			break;
		dev->regions[i] = dev->regions[--dev->region_count];
		break;
	}
	pthread_mutex_unlock(&dev->lock);
	if (rc == -ENOENT)
		viofs_err_set(err, rc, "This memory was not registered.");
	return rc;
}
