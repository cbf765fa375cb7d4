/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mapping memory for the device, as far as it is the same for all back ends. Private to src/vfio.
 */
#ifndef VIOFS_VFIO_MAPPING_H
#define VIOFS_VFIO_MAPPING_H

#include "vfio/device_fd.h"

/** typedef viofs_vfio_mapper - one request to the kernel, @access as it is. Return: 0, or -errno.
 */
typedef int viofs_vfio_mapper(const struct viofs_vfio_device *d, void *vaddr, size_t len,
			      uint64_t iova, unsigned int access);

/**
 * viofs_vfio_map() - map by @mapper; what the device only writes it may read too where it can't be
 * had otherwise Return: 0, or -errno with what to do in @err.
 */
int viofs_vfio_map(const struct viofs_vfio_device *d, viofs_vfio_mapper *mapper, void *vaddr,
		   size_t len, uint64_t iova, unsigned int access, struct viofs_err *err);

/** viofs_vfio_memlock_err() - say that @len bytes can't be locked, and what to do. Return: @rc. */
int viofs_vfio_memlock_err(struct viofs_err *err, int rc, size_t len);

#endif
