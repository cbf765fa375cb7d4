/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mapping memory for the device, as far as it is the same for all back ends. Private to src/vfio.
 */
#ifndef VIOFS_VFIO_MAPPING_H
#define VIOFS_VFIO_MAPPING_H

#include "vfio/device_fd.h"

/** typedef viofs_vfio_map_once - one request to the kernel, @access as it is. Return: 0, or -errno.
 */
typedef int viofs_vfio_map_once(const struct viofs_vfio_device *d, void *vaddr, size_t len,
				uint64_t iova, unsigned int access);

/** typedef viofs_vfio_unmap_once - and the way back. Return: 0; -ENOENT: not mapped so; -errno. */
typedef int viofs_vfio_unmap_once(const struct viofs_vfio_device *d, uint64_t iova, size_t len);

/**
 * viofs_vfio_map() - map by @once
 * Where the IOMMU has no write-only pages, the device may also read what it should only write.
 * Return: 0, or -errno with what to do in @err.
 */
int viofs_vfio_map(struct viofs_mapper *m, viofs_vfio_map_once *once,
		   const struct viofs_mapper_memory *memory, uint64_t iova, struct viofs_err *err);

/** viofs_vfio_unmap() - take back by @once. Return: 0, or -errno with @err. */
int viofs_vfio_unmap(struct viofs_mapper *m, viofs_vfio_unmap_once *once, uint64_t iova, size_t len,
		     struct viofs_err *err);

/** viofs_vfio_memlock_err() - say that @len bytes can't be locked, and what to do. Return: @rc. */
int viofs_vfio_memlock_err(struct viofs_err *err, int rc, size_t len);

#endif
