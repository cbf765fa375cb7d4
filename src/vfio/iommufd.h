/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ioctls of /dev/iommu, and VFIO's that go with it: newer than the headers of Debian 12.
 * Private to src/vfio. */
/*
 * Linux 6.6 and later: include/uapi/linux/iommufd.h, and the end of VFIO's. All structures begin
 * with their own size, by which the kernel tells older callers from newer ones: these are the first
 * versions, which every kernel takes.
 */
#ifndef VIOFS_VFIO_IOMMUFD_H
#define VIOFS_VFIO_IOMMUFD_H

#include <linux/ioctl.h>
#include <linux/vfio.h>
#include <stdint.h>

#define VIOFS_IOMMUFD_IOAS_ALLOC _IO(';', 0x81)
#define VIOFS_IOMMUFD_IOAS_IOVA_RANGES _IO(';', 0x84)
#define VIOFS_IOMMUFD_IOAS_MAP _IO(';', 0x85)
#define VIOFS_IOMMUFD_IOAS_UNMAP _IO(';', 0x86)

/** struct viofs_iommufd_ioas_alloc - an empty IO address space */
struct viofs_iommufd_ioas_alloc {
	uint32_t size, flags;
	uint32_t ioas; /* out */
};

/** struct viofs_iommufd_range - both ends included */
struct viofs_iommufd_range {
	uint64_t first, last;
};

/** struct viofs_iommufd_ranges - which IOVAs can be mapped; -EMSGSIZE where there are more than
 * @count */
struct viofs_iommufd_ranges {
	uint32_t size, ioas;
	uint32_t count; /* in: room; out: how many there are */
	uint32_t reserved;
	uint64_t ranges;    /* pointer to struct viofs_iommufd_range */
	uint64_t alignment; /* out */
};

#define VIOFS_IOMMUFD_MAP_FIXED (1U << 0)
#define VIOFS_IOMMUFD_MAP_WRITE (1U << 1) /* the device writes */
#define VIOFS_IOMMUFD_MAP_READ (1U << 2)  /* the device reads */

/** struct viofs_iommufd_map - pin memory, and map it at @iova */
struct viofs_iommufd_map {
	uint32_t size, flags, ioas, reserved;
	uint64_t vaddr, len, iova;
};

/** struct viofs_iommufd_unmap - @len comes back as what was unmapped */
struct viofs_iommufd_unmap {
	uint32_t size, ioas;
	uint64_t iova, len;
};

#define VIOFS_VFIO_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#define VIOFS_VFIO_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)

/** struct viofs_vfio_bind - to be done first with a device's own node: until then it takes nothing
 * else */
struct viofs_vfio_bind {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t device; /* out */
};

/** struct viofs_vfio_attach - from then on the device's DMA goes by the address space @ioas */
struct viofs_vfio_attach {
	uint32_t argsz, flags;
	uint32_t ioas; /* out: what the kernel made of it */
};

#endif
