/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Regions of a VFIO device. Private to src/vfio. */
#ifndef VIOFS_VFIO_REGIONS_H
#define VIOFS_VFIO_REGIONS_H

#include "vfio/device_fd.h"

struct vfio_region_info;

/**
 * viofs_vfio_device_region() - ask the kernel about region @index
 * Return: bytes of *@out, for free(3); -errno.
 */
int viofs_vfio_device_region(const struct viofs_vfio_device *d, unsigned int index,
			     struct vfio_region_info **out);

/** viofs_vfio_config_open() - find configuration space. Return: 0 or -errno. */
int viofs_vfio_config_open(struct viofs_vfio_device *d);

/* For struct viofs_vfio_ops. */
int viofs_vfio_device_config_read(struct viofs_vfio *v, unsigned int off, void *buf,
				  unsigned int len);
int viofs_vfio_device_config_write(struct viofs_vfio *v, unsigned int off, const void *buf,
				   unsigned int len);

#endif
