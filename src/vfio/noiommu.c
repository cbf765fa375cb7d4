/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO with no IOMMU: the device reaches all memory, at physical addresses. */
/*
 * Nothing is mapped here, and VFIO pins nothing, but compaction moves small pages, locked or not
 * (vm.compact_unevictable_allowed). So they are pinned by other means (pin.c) before their
 * addresses are read, until the device is closed. A worker has a copy of the pin, in case its
 * supervisor is killed.
 *
 * Hugepages only move when the administrator takes memory offline. So the caller may go on without
 * a pin if they can't be pinned.
 */
#include "vfio/alerts.h"
#include "vfio/group.h"
#include "vfio/mapping.h"
#include "vfio/pin.h"
#include "vfio/regions.h"

#include <errno.h>
#include <linux/vfio.h>
#include <string.h>

static int noiommu_pin(struct viofs_mapper *m, void *vaddr, size_t len, struct viofs_err *err)
{
	struct viofs_vfio_device *d = viofs_vfio_device_of_mapper(m);
	int fd = d->pin < 0 ? viofs_vfio_pin(vaddr, len) : -EBUSY;

	if (fd == -ENOMEM)
		return viofs_vfio_memlock_err(err, fd, len);
	if (fd < 0)
		return viofs_err_set(
			err, fd,
			"%s: with no IOMMU the kernel may move memory of small pages while the "
			"device uses it. An io_uring would pin it, and can't be had: %s. Reserve "
			"hugepages (vm.nr_hugepages), or let this program have io_uring (sysctl "
			"kernel.io_uring_disabled=0; a container's seccomp filter). From Linux 7.3 "
			"on iommufd pins it.",
			d->vfio.address, strerror(-fd));
	d->pin = fd;
	return 0;
}

static int noiommu_map(struct viofs_mapper *m, const struct viofs_mapper_memory *memory,
		       uint64_t iova, struct viofs_err *err)
{
	return 0;
}

static int noiommu_unmap(struct viofs_mapper *m, uint64_t iova, size_t len, struct viofs_err *err)
{
	return 0;
}

static const struct viofs_mapper_ops noiommu_mapper = {
	.pin = noiommu_pin,
	.map = noiommu_map,
	.unmap = noiommu_unmap,
};

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
};

static int noiommu_open(const struct viofs_pci_function *f, const char *node,
			struct viofs_vfio **out, struct viofs_err *err)
{
	struct viofs_vfio_device *d = NULL;
	int rc;

	rc = viofs_vfio_group_attach(f, node, VFIO_NOIOMMU_IOMMU, &noiommu_ops, &noiommu_mapper, &d,
				     err);
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
