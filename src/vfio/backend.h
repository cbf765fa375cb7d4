/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What viofs_vfio_open() sees of a back end: whether it is there, and how to open a function by it.
 * Private to src/vfio.
 */
#ifndef VIOFS_VFIO_BACKEND_H
#define VIOFS_VFIO_BACKEND_H

#include "vfio/vfio.h"

#define VIOFS_VFIO_NODE 128

/** struct viofs_vfio_backend - one way to a function */
struct viofs_vfio_backend {
	const struct viofs_vfio_ops *ops;
	bool unsafe; /* there is no IOMMU: used only when it is asked for */
	/** which node leads to @f. Return: 0; or -errno, and why there is none: part of a sentence
	 */
	int (*find)(const struct viofs_pci_function *f, char node[VIOFS_VFIO_NODE],
		    struct viofs_err *why);
	/** Return: 0 and *@out; or -errno as viofs_vfio_open() has them */
	int (*open)(const struct viofs_pci_function *f, const char *node, struct viofs_vfio **out,
		    struct viofs_err *err);
};

extern const struct viofs_vfio_backend viofs_vfio_cdev, viofs_vfio_group;
extern const struct viofs_vfio_backend viofs_vfio_noiommu_cdev, viofs_vfio_noiommu;

/** viofs_vfio_node() - "/dev/..." into @node; one too long comes out as "", which is never there.
 */
void viofs_vfio_node(char node[VIOFS_VFIO_NODE], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** viofs_vfio_set_dev_root() - use @root in place of /dev; NULL: /dev again. For tests. */
void viofs_vfio_set_dev_root(const char *root);

#endif
