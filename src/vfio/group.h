/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The group and container interface of VFIO, for an IOMMU and for none. Private to src/vfio. */
#ifndef VIOFS_VFIO_GROUP_H
#define VIOFS_VFIO_GROUP_H

#include "vfio/backend.h"
#include "vfio/device_fd.h"

/** viofs_vfio_group_find() - for the back ends' find: /dev/vfio/@prefixN */
int viofs_vfio_group_find(const struct viofs_pci_function *f, const char *prefix,
			  char node[VIOFS_VFIO_NODE], struct viofs_err *why);

/**
 * viofs_vfio_group_attach() - from nodes to a started device
 * @iommu: VFIO_TYPE1v2_IOMMU or VFIO_NOIOMMU_IOMMU
 * @ops, @mapper: what the device answers to.
 * Return: 0 and *@out, for @ops->close; or -errno.
 */
int viofs_vfio_group_attach(const struct viofs_pci_function *f, const char *node, int iommu,
			    const struct viofs_vfio_ops *ops, const struct viofs_mapper_ops *mapper,
			    struct viofs_vfio_device **out, struct viofs_err *err);

#endif
