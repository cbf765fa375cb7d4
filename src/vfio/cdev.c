/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO by the device's own node and /dev/iommu (Documentation/driver-api/vfio.rst,
 * userspace-api/iommufd.rst). */
/*
 * The node is /dev/vfio/devices/NAME, and NAME is what sysfs has in the device's vfio-dev folder:
 * vfioN, or noiommu-vfioN for a function that is behind no IOMMU (Linux 7.3). The device refuses
 * everything until it is bound to an iommufd; binding it claims its group. Order: /dev/iommu, the
 * node, bind, an address space, the device into it, ranges, which are known only then. The device
 * is started last.
 *
 * There is no group's descriptor and no container: another function of the group could be bound to
 * the same iommufd, by us only. A device can be bound once; a second opener gets EINVAL, or EBUSY
 * where the first came by the group.
 *
 * With no IOMMU the same calls work. Mapping then only pins the pages, so that the kernel can't
 * move them while the device has their physical addresses.
 */
#include "base/util.h"
#include "vfio/alerts.h"
#include "vfio/backend.h"
#include "vfio/device_fd.h"
#include "vfio/holder.h"
#include "vfio/iommufd.h"
#include "vfio/mapping.h"
#include "vfio/regions.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int find(const struct viofs_pci_function *f, const char *prefix, char node[VIOFS_VFIO_NODE],
		struct viofs_err *why)
{
	char name[VIOFS_PCI_VFIO_NAME], iommufd[VIOFS_VFIO_NODE];

	if (viofs_pci_function_vfio_name(f, name))
		return viofs_err_set(why, -ENOENT,
				     "the kernel has no node for the device "
				     "(CONFIG_VFIO_DEVICE_CDEV)");
	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return viofs_err_set(why, -ENOENT, "the device is %s", name);
	viofs_vfio_node(node, "vfio/devices/%s", name);
	if (access(node, F_OK))
		return viofs_err_set(why, -ENOENT, "%s is not there", node);
	viofs_vfio_node(iommufd, "iommu");
	if (access(iommufd, F_OK))
		return viofs_err_set(why, -ENOENT, "%s is not there", iommufd);
	return 0;
}

static int open_node(const char *node, struct viofs_err *err)
{
	int fd = open(node, O_RDWR | O_CLOEXEC), rc;

	if (fd >= 0)
		return fd;
	rc = -errno;
	if (rc == -EBUSY)
		return viofs_vfio_busy_err(node, err);
	return viofs_err_set(err, rc, "%s can't be opened: %s.%s", node, strerror(-rc),
			     rc == -EACCES || rc == -EPERM ? " It needs root." : "");
}

static int bind_iommufd(const struct viofs_vfio_device *d, const struct viofs_pci_function *f,
			const char *node, struct viofs_err *err)
{
	struct viofs_vfio_bind bind = { .argsz = sizeof(bind), .iommufd = d->iommu };
	int rc;

	if (ioctl(d->fd, VIOFS_VFIO_BIND_IOMMUFD, &bind) == 0)
		return 0;
	rc = -errno;
	/* Either another function of the group is in use, or this one is bound already, by the
	 * group or by the node. */
	if (rc == -EBUSY && f->iommu_group >= 0 && viofs_pci_group_check(f, err) == -EPERM)
		return -EPERM;
	if (rc == -EBUSY || (rc == -EINVAL && viofs_vfio_holder(node)))
		return viofs_vfio_busy_err(node, err);
	return viofs_err_set(
		err, rc, "%s can't be bound to an iommufd: %s.%s", node, strerror(-rc),
		rc == -EPERM
			? " Its IOMMU has no interrupt remapping, it seems: switch it on (for a "
			  "guest: intremap=on), or load iommufd with allow_unsafe_interrupts=1."
			: "");
}

static int attach(struct viofs_vfio_device *d, struct viofs_err *err)
{
	struct viofs_iommufd_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct viofs_vfio_attach attach = { .argsz = sizeof(attach) };
	int rc;

	if (ioctl(d->iommu, VIOFS_IOMMUFD_IOAS_ALLOC, &ioas) < 0) {
		rc = -errno;
		return viofs_err_set(err, rc, "%s: there is no address space to be had: %s.",
				     d->vfio.address, strerror(-rc));
	}
	d->ioas = attach.ioas = ioas.ioas;
	if (ioctl(d->fd, VIOFS_VFIO_ATTACH_IOMMUFD_PT, &attach) < 0) {
		rc = -errno;
		return viofs_err_set(err, rc, "%s: the IOMMU can't be set up: %s.", d->vfio.address,
				     strerror(-rc));
	}
	return 0;
}

/* If there are more, the first ones are enough: addresses outside of them are not used. */
static int read_ranges(struct viofs_vfio_device *d, struct viofs_err *err)
{
	struct viofs_iommufd_range ranges[VIOFS_ARRAY_SIZE(d->vfio.mapper.ranges)] = { 0 };
	struct viofs_iommufd_ranges question = {
		.size = sizeof(question),
		.ioas = d->ioas,
		.count = VIOFS_ARRAY_SIZE(ranges),
		.ranges = (uintptr_t)ranges,
	};
	int rc;

	if (ioctl(d->iommu, VIOFS_IOMMUFD_IOAS_IOVA_RANGES, &question) < 0 && errno != EMSGSIZE) {
		rc = -errno;
		return viofs_err_set(err, rc,
				     "%s: the IOMMU does not say which addresses it takes: %s.",
				     d->vfio.address, strerror(-rc));
	}
	d->vfio.mapper.range_count = 0;
	for (size_t i = 0; i < VIOFS_MIN(question.count, VIOFS_ARRAY_SIZE(ranges)); i++)
		if (ranges[i].first <= ranges[i].last)
			d->vfio.mapper.ranges[d->vfio.mapper.range_count++] =
				(struct viofs_mapper_range){ ranges[i].first, ranges[i].last };
	if (!d->vfio.mapper.range_count)
		return viofs_err_set(err, -ENOSPC, "%s: the IOMMU has no address to give.",
				     d->vfio.address);
	return 0;
}

static int map_once(const struct viofs_vfio_device *d, void *vaddr, size_t len, uint64_t iova,
		    unsigned int access)
{
	struct viofs_iommufd_map map = {
		.size = sizeof(map),
		.flags = VIOFS_IOMMUFD_MAP_FIXED,
		.ioas = d->ioas,
		.vaddr = (uintptr_t)vaddr,
		.len = len,
		.iova = iova,
	};

	if (access & VIOFS_DMA_READ)
		map.flags |= VIOFS_IOMMUFD_MAP_READ;
	if (access & VIOFS_DMA_WRITE)
		map.flags |= VIOFS_IOMMUFD_MAP_WRITE;
	return ioctl(d->iommu, VIOFS_IOMMUFD_IOAS_MAP, &map) < 0 ? -errno : 0;
}

static int cdev_map(struct viofs_mapper *m, const struct viofs_mapper_memory *memory, uint64_t iova,
		    struct viofs_err *err)
{
	return viofs_vfio_map(m, map_once, memory, iova, err);
}

static int unmap_once(const struct viofs_vfio_device *d, uint64_t iova, size_t len)
{
	struct viofs_iommufd_unmap unmap = {
		.size = sizeof(unmap), .ioas = d->ioas, .iova = iova, .len = len
	};

	if (ioctl(d->iommu, VIOFS_IOMMUFD_IOAS_UNMAP, &unmap) < 0)
		return -errno;
	return unmap.len == len ? 0 : -ENOENT;
}

static int cdev_unmap(struct viofs_mapper *m, uint64_t iova, size_t len, struct viofs_err *err)
{
	return viofs_vfio_unmap(m, unmap_once, iova, len, err);
}

static const struct viofs_mapper_ops cdev_mapper = { .map = cdev_map, .unmap = cdev_unmap };

static int open_device(const struct viofs_pci_function *f, const char *node,
		       const struct viofs_vfio_ops *ops, struct viofs_vfio_device **out,
		       struct viofs_err *err)
{
	struct viofs_vfio_device *d = viofs_vfio_device_new(f, ops, &cdev_mapper, err);
	char iommufd[VIOFS_VFIO_NODE];
	int rc;

	if (!d)
		return -ENOMEM;
	viofs_vfio_node(iommufd, "iommu");
	rc = d->iommu = open_node(iommufd, err);
	if (rc >= 0)
		rc = d->fd = open_node(node, err);
	if (rc >= 0)
		rc = bind_iommufd(d, f, node, err);
	if (!rc)
		rc = attach(d, err);
	if (!rc)
		rc = read_ranges(d, err);
	if (!rc)
		rc = viofs_vfio_device_start(d, err);
	if (rc) {
		viofs_vfio_device_close(&d->vfio);
		return rc;
	}
	*out = d;
	return 0;
}

/* The two differ in their names only. */
#define CDEV_OPS(text)                                                                             \
	{                                                                                          \
		.name = (text), .close = viofs_vfio_device_close,                                  \
		.close_copy = viofs_vfio_device_close_copy,                                        \
		.drop_dma = viofs_vfio_device_drop_dma, .lost = viofs_vfio_alerts_lost,            \
		.config_read = viofs_vfio_device_config_read,                                      \
		.config_write = viofs_vfio_device_config_write,                                    \
		.bar_size = viofs_vfio_device_bar_size, .bar_read = viofs_vfio_device_bar_read,    \
		.bar_write = viofs_vfio_device_bar_write, .msix_set = viofs_vfio_device_msix_set,  \
		.reset = viofs_vfio_device_reset,                                                  \
	}

static const struct viofs_vfio_ops cdev_ops = CDEV_OPS("cdev");
static const struct viofs_vfio_ops noiommu_cdev_ops = CDEV_OPS("noiommu-cdev");

static int cdev_find(const struct viofs_pci_function *f, char node[VIOFS_VFIO_NODE],
		     struct viofs_err *why)
{
	return find(f, "vfio", node, why);
}

static int cdev_open(const struct viofs_pci_function *f, const char *node, struct viofs_vfio **out,
		     struct viofs_err *err)
{
	struct viofs_vfio_device *d = NULL;
	int rc = open_device(f, node, &cdev_ops, &d, err);

	if (rc)
		return rc;
	d->vfio.mapper.translates = true;
	*out = &d->vfio;
	return 0;
}

static int noiommu_cdev_find(const struct viofs_pci_function *f, char node[VIOFS_VFIO_NODE],
			     struct viofs_err *why)
{
	return find(f, "noiommu-vfio", node, why);
}

static int noiommu_cdev_open(const struct viofs_pci_function *f, const char *node,
			     struct viofs_vfio **out, struct viofs_err *err)
{
	struct viofs_vfio_device *d = NULL;
	int rc = open_device(f, node, &noiommu_cdev_ops, &d, err);

	if (!rc)
		*out = &d->vfio;
	return rc;
}

const struct viofs_vfio_backend viofs_vfio_cdev = {
	.ops = &cdev_ops,
	.find = cdev_find,
	.open = cdev_open,
};

const struct viofs_vfio_backend viofs_vfio_noiommu_cdev = {
	.ops = &noiommu_cdev_ops,
	.unsafe = true,
	.find = noiommu_cdev_find,
	.open = noiommu_cdev_open,
};
