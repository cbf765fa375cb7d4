/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO's info structures, which may have a chain of capabilities behind them. Private to src/vfio.
 */
#ifndef VIOFS_VFIO_INFO_H
#define VIOFS_VFIO_INFO_H

#include "vfio/vfio.h"

#include <stddef.h>
#include <stdint.h>

/**
 * viofs_vfio_info_get() - ask for an info structure with all its capabilities
 * @request: an ioctl whose structure begins with argsz and flags.
 * @question: @size bytes of that structure, its input fields set; argsz is set here.
 * @out: allocated, for free(3).
 * Return: bytes in *@out, at least @size; or -errno.
 */
int viofs_vfio_info_get(int fd, unsigned long request, const void *question, size_t size,
			void **out);

/**
 * viofs_vfio_info_find() - look for a capability
 * @info, @size: as from viofs_vfio_info_get().
 * @first: the structure's own offset of the first capability, 0 = none.
 * @least: bytes that the capability has at least.
 * Return: offset of the capability, with @least bytes from there on in @info; 0 = not there. A
 * chain that is a loop or leaves @info ends there.
 */
size_t viofs_vfio_info_find(const void *info, size_t size, uint32_t first, uint16_t id,
			    size_t least);

/**
 * viofs_vfio_info_ranges() - the IOVA ranges out of a struct vfio_iommu_type1_info
 * Empty ranges are left out, and what is more than fits.
 * Return: how many; -ENOENT: the kernel does not say (before Linux 5.4).
 */
int viofs_vfio_info_ranges(const void *info, size_t size, struct viofs_mapper_range *ranges,
			   unsigned int max);

/** struct viofs_vfio_extent - a piece of a region, in bytes */
struct viofs_vfio_extent {
	uint64_t off, len;
};

/**
 * viofs_vfio_info_mappable() - which pieces may be mapped, out of a struct vfio_region_info
 * Only whole pages inside the region count.
 * Return: how many, 0 = none.
 */
unsigned int viofs_vfio_info_mappable(const void *info, size_t size, uint64_t page_size,
				      struct viofs_vfio_extent *extents, unsigned int max);

#endif
