/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Regions of a VFIO device: where each begins in the descriptor; configuration space. */
#include "vfio/regions.h"

#include "base/util.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <unistd.h>

int viofs_vfio_device_region(const struct viofs_vfio_device *d, unsigned int index,
			     struct vfio_region_info **out)
{
	struct vfio_region_info question = { .index = index };
	void *info = NULL;
	int rc = viofs_vfio_info_get(d->fd, VFIO_DEVICE_GET_REGION_INFO, &question,
				     sizeof(question), &info);

	if (rc >= 0)
		*out = info;
	return rc;
}

int viofs_vfio_config_open(struct viofs_vfio_device *d)
{
	struct vfio_region_info *info = NULL;
	int rc;

	rc = viofs_vfio_device_region(d, VFIO_PCI_CONFIG_REGION_INDEX, &info);
	if (rc < 0)
		return rc;
	d->config_region = info->offset;
	d->config_size = info->size;
	free(info);
	return 0;
}

int viofs_vfio_device_config_read(struct viofs_vfio *v, unsigned int off, void *buf,
				  unsigned int len)
{
	const struct viofs_vfio_device *d = viofs_vfio_device_of(v);
	ssize_t n;

	if (!viofs_range_ok(off, len, d->config_size))
		return -ERANGE;
	n = pread(d->fd, buf, len, (off_t)(d->config_region + off));
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int viofs_vfio_device_config_write(struct viofs_vfio *v, unsigned int off, const void *buf,
				   unsigned int len)
{
	const struct viofs_vfio_device *d = viofs_vfio_device_of(v);
	ssize_t n;

	if (!viofs_range_ok(off, len, d->config_size))
		return -ERANGE;
	n = pwrite(d->fd, buf, len, (off_t)(d->config_region + off));
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}
