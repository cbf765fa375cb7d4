/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO with no IOMMU: the device reaches all memory, at physical addresses. */
/*
 * Nothing is mapped and VFIO pins nothing here. dma_map locks the pages (mlock(2)), which keeps
 * them from being swapped out; it does not keep the kernel from moving them, which compaction does
 * to 4 KiB pages, locked ones too (vm.compact_unevictable_allowed). Hugepages stay where they are
 * unless the administrator takes memory offline. So: hugepages here, and a device that must be
 * trusted.
 *
 * dma_unmap has nothing to take back: the lock goes with the memory. The device is quiet by then,
 * as it was reset.
 */
#include "vfio/group.h"
#include "vfio/mapping.h"

#include <errno.h>
#include <linux/vfio.h>
#include <sys/mman.h>

static int noiommu_dma_map(struct viofs_vfio *v, void *vaddr, size_t len, uint64_t iova,
			   unsigned int access, struct viofs_err *err)
{
	int rc;

	if (mlock(vaddr, len) == 0)
		return 0;
	rc = -errno;
	return viofs_vfio_memlock_err(err, rc == -EAGAIN || rc == -EPERM ? -ENOMEM : rc, len);
}

static int noiommu_dma_unmap(struct viofs_vfio *v, uint64_t iova, size_t len)
{
	return 0;
}

static const struct viofs_vfio_ops noiommu_ops = {
	.name = "noiommu",
	.close = viofs_vfio_device_close,
	.close_copy = viofs_vfio_device_close_copy,
	.drop_dma = viofs_vfio_device_drop_dma,
	.lost = viofs_vfio_alerts_lost,
	.config_read = viofs_vfio_device_config_read,
	.config_write = viofs_vfio_device_config_write,
	.bar_size = viofs_vfio_device_bar_size,
	.bar_read = viofs_vfio_device_bar_read,
	.bar_write = viofs_vfio_device_bar_write,
	.msix_set = viofs_vfio_device_msix_set,
	.reset = viofs_vfio_device_reset,
	.dma_map = noiommu_dma_map,
	.dma_unmap = noiommu_dma_unmap,
};

static int noiommu_open(const struct viofs_pci_function *f, const char *node,
			struct viofs_vfio **out, struct viofs_err *err)
{
	struct viofs_vfio_device *d = NULL;
	int rc;

	rc = viofs_vfio_group_attach(f, node, VFIO_NOIOMMU_IOMMU, &noiommu_ops, &d, err);
	if (!rc)
		*out = &d->vfio;
	return rc;
}

static int noiommu_find(const struct viofs_pci_function *f, char node[VIOFS_VFIO_NODE],
			struct viofs_err *why)
{
	return viofs_vfio_group_find(f, "noiommu-", node, why);
}

const struct viofs_vfio_backend viofs_vfio_noiommu = {
	.ops = &noiommu_ops,
	.unsafe = true,
	.find = noiommu_find,
	.open = noiommu_open,
};
