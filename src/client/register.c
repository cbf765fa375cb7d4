/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of the program's own, given to the device. */
#include "client/client_dev.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* IOVAs of regions begin on these, as those of the arena do. */
#define IOVA_ALIGN ((uint64_t)2 << 20)

static int check(const struct viofs_dev *dev, const uint8_t *memory, size_t size,
		 struct viofs_err *err)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

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

/* Above all that is mapped, inside one of the IOMMU's ranges. */
static int find_iova(const struct viofs_dev *dev, size_t size, uint64_t *out)
{
	const struct viofs_vfio *v = dev->at.vfio;
	uint64_t from;
	size_t run;

	/* The data section is the arena's last. */
	from = viofs_arena_iova(dev->arena, dev->pool.base, 1, &run) +
	       dev->pool.count * dev->pool.page;
	for (unsigned int i = 0; i < dev->region_count; i++)
		from = VIOFS_MAX(from, dev->regions[i].iova + dev->regions[i].size);
	from = (from + IOVA_ALIGN - 1) & ~(IOVA_ALIGN - 1);
	if (!v->range_count) {
		*out = from;
		return 0;
	}
	for (unsigned int i = 0; i < v->range_count; i++) {
		uint64_t start = VIOFS_MAX(from, v->ranges[i].first);

		start = (start + IOVA_ALIGN - 1) & ~(IOVA_ALIGN - 1);
		if (start >= from && viofs_vfio_iova_ok(v, start, size)) {
			*out = start;
			return 0;
		}
	}
	return -ENOSPC;
}

static int map_for_function(struct viofs_dev *dev, struct viofs_region *r, struct viofs_err *err)
{
	struct viofs_vfio *v = dev->at.vfio;
	int rc;

	if (viofs_fs_address_policy(dev->at.fs) == VIOFS_ADDRESS_PHYSICAL || !v->translates)
		return viofs_err_set(err, -ENOTSUP,
				     "This device takes physical addresses, which memory of "
				     "the program's own can't be counted on to keep. Take it from "
				     "viofs_dma_alloc().");
	rc = find_iova(dev, r->size, &r->iova);
	if (rc)
		return viofs_err_set(err, rc, "The IOMMU has no room for %zu MiB more.",
				     r->size >> 20);
	return v->ops->dma_map(v, r->memory, r->size, r->iova, VIOFS_VFIO_READ | VIOFS_VFIO_WRITE,
			       err);
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
	if (!rc && dev->at.vhost)
		rc = viofs_vhost_add_region(dev->at.vhost, size, fd, offset, &r.iova, err);
	else if (!rc)
		rc = map_for_function(dev, &r, err);
	if (!rc)
		dev->regions[dev->region_count++] = r;
	pthread_mutex_unlock(&dev->lock);
	return rc;
}

static int take_back(struct viofs_dev *dev, const struct viofs_region *r, struct viofs_err *err)
{
	int rc;

	if (dev->at.vhost)
		return viofs_vhost_remove_region(dev->at.vhost, r->size, r->iova, err);
	rc = dev->at.vfio->ops->dma_unmap(dev->at.vfio, r->iova, r->size);
	return rc ? viofs_err_set(err, rc, "The memory can't be taken from the IOMMU: %s.",
				  strerror(-rc))
		  : 0;
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
		/* Else the device reaches it still: it can be tried again. */
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
