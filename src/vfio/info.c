/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO's info structures. */
#include "vfio/info.h"

#include "base/util.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* More than any kernel has to say, and a bound for what we allocate. */
#define INFO_MAX (64U << 10)
#define CHAIN_MAX 64
#define TRIES 4

/* What all info structures begin with. */
struct info_head {
	uint32_t argsz, flags;
};

int viofs_vfio_info_get(int fd, unsigned long request, const void *question, size_t size,
			void **out)
{
	size_t room = size;

	/* The kernel answers with the size it needs; that could grow between two questions. */
	for (int i = 0; i < TRIES; i++) {
		struct info_head *head = calloc(1, room);
		int rc = 0;

		if (!head)
			return -ENOMEM;
		memcpy(head, question, size);
		head->argsz = (uint32_t)room;
		if (ioctl(fd, request, head) < 0)
			rc = -errno;
		else if (head->argsz <= room) {
			*out = head;
			return (int)room;
		} else if (head->argsz > INFO_MAX)
			rc = -E2BIG;
		room = head->argsz;
		free(head);
		if (rc)
			return rc;
	}
	return -EAGAIN;
}

size_t viofs_vfio_info_find(const void *info, size_t size, uint32_t first, uint16_t id,
			    size_t least)
{
	struct vfio_info_cap_header header;
	uint32_t off = first;

	for (int i = 0; off && i < CHAIN_MAX; i++, off = header.next) {
		if (!viofs_range_ok(off, sizeof(header), size))
			return 0;
		memcpy(&header, (const char *)info + off, sizeof(header));
		if (header.id == id)
			return viofs_range_ok(off, least, size) ? off : 0;
	}
	return 0;
}

int viofs_vfio_info_ranges(const void *info, size_t size, struct viofs_mapper_range *ranges,
			   unsigned int max)
{
	struct vfio_iommu_type1_info_cap_iova_range cap;
	struct vfio_iommu_type1_info head;
	unsigned int count = 0;
	size_t off;

	memcpy(&head, info, sizeof(head));
	if (!(head.flags & VFIO_IOMMU_INFO_CAPS))
		return -ENOENT;
	off = viofs_vfio_info_find(info, size, head.cap_offset,
				   VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, sizeof(cap));
	if (!off)
		return -ENOENT;
	memcpy(&cap, (const char *)info + off, sizeof(cap));
	off += sizeof(cap);
	for (uint32_t i = 0; i < cap.nr_iovas && count < max; i++) {
		struct vfio_iova_range r;

		if (!viofs_range_ok(off, sizeof(r), size))
			break;
		memcpy(&r, (const char *)info + off, sizeof(r));
		off += sizeof(r);
		if (r.start <= r.end)
			ranges[count++] = (struct viofs_mapper_range){ r.start, r.end };
	}
	return (int)count;
}

static bool is_mappable(const struct vfio_region_info *head, uint64_t off, uint64_t len,
			uint64_t page_size)
{
	return len && off % page_size == 0 && len % page_size == 0 &&
	       viofs_range_ok(off, len, head->size);
}

unsigned int viofs_vfio_info_mappable(const void *info, size_t size, uint64_t page_size,
				      struct viofs_vfio_extent *extents, unsigned int max)
{
	struct vfio_region_info_cap_sparse_mmap cap;
	struct vfio_region_info head;
	unsigned int count = 0;
	size_t off = 0;

	memcpy(&head, info, sizeof(head));
	if (!(head.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	if (head.flags & VFIO_REGION_INFO_FLAG_CAPS)
		off = viofs_vfio_info_find(info, size, head.cap_offset,
					   VFIO_REGION_INFO_CAP_SPARSE_MMAP, sizeof(cap));
	if (!off) {
		uint64_t whole = head.size & ~(page_size - 1);

		if (max && is_mappable(&head, 0, whole, page_size))
			extents[count++] = (struct viofs_vfio_extent){ 0, whole };
		return count;
	}
	memcpy(&cap, (const char *)info + off, sizeof(cap));
	off += sizeof(cap);
	for (uint32_t i = 0; i < cap.nr_areas && count < max; i++) {
		struct vfio_region_sparse_mmap_area a;

		if (!viofs_range_ok(off, sizeof(a), size))
			break;
		memcpy(&a, (const char *)info + off, sizeof(a));
		off += sizeof(a);
		if (is_mappable(&head, a.offset, a.size, page_size))
			extents[count++] = (struct viofs_vfio_extent){ a.offset, a.size };
	}
	return count;
}
