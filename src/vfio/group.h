/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The group and container interface of VFIO, for an IOMMU and for none. Private to src/vfio. */
#ifndef VIOFS_VFIO_GROUP_H
#define VIOFS_VFIO_GROUP_H

#include "pci/function.h"
#include "vfio/device_fd.h"

/**
 * viofs_vfio_group_open() - the group + container back end, IOMMU type1v2
 * @node: /dev/vfio/N
 * Return: 0 and *@out, or -errno as viofs_vfio_open() has them.
 */
int viofs_vfio_group_open(const struct viofs_pci_function *f, const char *node,
			  struct viofs_vfio **out, struct viofs_err *err);

/** viofs_vfio_noiommu_open() - the same with no IOMMU; @node: /dev/vfio/noiommu-N */
int viofs_vfio_noiommu_open(const struct viofs_pci_function *f, const char *node,
			    struct viofs_vfio **out, struct viofs_err *err);

/**
 * viofs_vfio_group_attach() - from nodes to a started device
 * @iommu: VFIO_TYPE1v2_IOMMU or VFIO_NOIOMMU_IOMMU
 * @ops: what the device answers to.
 * Return: 0 and *@out, for @ops->close; or -errno.
 */
int viofs_vfio_group_attach(const struct viofs_pci_function *f, const char *node, int iommu,
			    const struct viofs_vfio_ops *ops, struct viofs_vfio_device **out,
			    struct viofs_err *err);

/** viofs_vfio_memlock_err() - say that @len bytes can't be locked, and what to do. Return: @rc. */
int viofs_vfio_memlock_err(struct viofs_err *err, int rc, size_t len);

#endif
