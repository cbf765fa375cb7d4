/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO by group and container (Documentation/driver-api/vfio.rst in Linux). */
/*
 * The kernel asks for this order: open the container, open the group, check that it is viable, put
 * the group into the container, set the container's IOMMU, get the device from the group. The
 * device is started last, when its DMA is bounded.
 */
#include "vfio/group.h"

#include "base/util.h"
#include "vfio/alerts.h"
#include "vfio/holder.h"
#include "vfio/mapping.h"
#include "vfio/regions.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int open_container(int iommu, struct viofs_err *err)
{
	char node[VIOFS_VFIO_NODE];
	int fd, rc;

	viofs_vfio_node(node, "vfio/vfio");
	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		rc = errno == ENODEV || errno == ENXIO ? -ENOENT : -errno;
		return viofs_err_set(err, rc, "%s can't be opened: %s. %s", node, strerror(-rc),
				     rc == -ENOENT ? "VFIO is not there; load it: modprobe "
						     "vfio-pci vfio_iommu_type1 (one by one)."
						   : "It needs root.");
	}
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION) {
		close(fd);
		return viofs_err_set(err, -ENOENT, "The kernel has another VFIO interface.");
	}
	if (ioctl(fd, VFIO_CHECK_EXTENSION, iommu) <= 0) {
		close(fd);
		if (iommu == VFIO_NOIOMMU_IOMMU)
			return viofs_err_set(
				err, -ENOENT,
				"VFIO does not offer its noiommu mode: it needs CAP_SYS_RAWIO. %s",
				viofs_pci_noiommu_advice());
		return viofs_err_set(
			err, -ENOENT,
			"VFIO has no IOMMU type1v2; load it: modprobe vfio_iommu_type1.");
	}
	return fd;
}

static int open_group(const struct viofs_pci_function *f, const char *node, struct viofs_err *err)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int fd, rc;

	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
		if (rc == -EBUSY)
			return viofs_vfio_busy_err(node, err);
		return viofs_err_set(err, rc, "%s can't be opened: %s.%s", node, strerror(-rc),
				     rc == -EACCES || rc == -EPERM ? " It needs root." : "");
	}
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status) < 0) {
		rc = -errno;
		viofs_err_set(err, rc, "%s does not tell its state: %s.", node, strerror(-rc));
		goto err_close;
	}
	if (status.flags & VFIO_GROUP_FLAGS_VIABLE)
		return fd;
	rc = viofs_pci_group_check(f, err);
	if (!rc)
		viofs_err_set(err, -EPERM,
			      "IOMMU group %d of %s is not viable: something in it is in use by "
			      "another driver.",
			      f->iommu_group, f->text);
	rc = -EPERM;

err_close:
	close(fd);
	return rc;
}

static int attach_iommu(const struct viofs_vfio_device *d, const char *node, int iommu,
			struct viofs_err *err)
{
	int rc;

	if (ioctl(d->group, VFIO_GROUP_SET_CONTAINER, &d->iommu) < 0) {
		rc = -errno;
		if (rc == -EBUSY)
			return viofs_vfio_busy_err(node, err);
		return viofs_err_set(err, rc, "%s can't be put into a container: %s.", node,
				     strerror(-rc));
	}
	if (ioctl(d->iommu, VFIO_SET_IOMMU, iommu) < 0) {
		rc = -errno;
		return viofs_err_set(
			err, rc, "The IOMMU can't be set up for %s: %s.%s", node, strerror(-rc),
			rc == -EPERM ? " It has no interrupt remapping, it seems: switch it "
				       "on (for a guest: intremap=on), or load "
				       "vfio_iommu_type1 with allow_unsafe_interrupts=1."
				     : "");
	}
	return 0;
}

static int open_device(struct viofs_vfio_device *d, struct viofs_err *err)
{
	int rc;

	/* The kernel sets O_CLOEXEC on it. */
	d->fd = ioctl(d->group, VFIO_GROUP_GET_DEVICE_FD, d->vfio.address);
	if (d->fd >= 0)
		return 0;
	rc = -errno;
	return viofs_err_set(err, rc, "VFIO does not hand out %s: %s.%s", d->vfio.address,
			     strerror(-rc), rc == -EBUSY ? " Somebody else has it." : "");
}

int viofs_vfio_group_attach(const struct viofs_pci_function *f, const char *node, int iommu,
			    const struct viofs_vfio_ops *ops, const struct viofs_mapper_ops *mapper,
			    struct viofs_vfio_device **out, struct viofs_err *err)
{
	struct viofs_vfio_device *d = viofs_vfio_device_new(f, ops, mapper, err);
	int rc;

	if (!d)
		return -ENOMEM;
	rc = d->iommu = open_container(iommu, err);
	if (rc >= 0)
		rc = d->group = open_group(f, node, err);
	if (rc >= 0)
		rc = attach_iommu(d, node, iommu, err);
	if (!rc)
		rc = open_device(d, err);
	if (!rc)
		rc = viofs_vfio_device_start(d, err);
	if (rc) {
		viofs_vfio_device_close(&d->vfio);
		return rc;
	}
	*out = d;
	return 0;
}

static int read_ranges(struct viofs_vfio_device *d, struct viofs_err *err)
{
	struct vfio_iommu_type1_info question = { 0 };
	void *info = NULL;
	int rc;

	rc = viofs_vfio_info_get(d->iommu, VFIO_IOMMU_GET_INFO, &question, sizeof(question), &info);
	if (rc < 0)
		return viofs_err_set(err, rc, "%s: the IOMMU does not describe itself: %s.",
				     d->vfio.address, strerror(-rc));
	rc = viofs_vfio_info_ranges(info, (size_t)rc, d->vfio.mapper.ranges,
				    VIOFS_ARRAY_SIZE(d->vfio.mapper.ranges));
	free(info);
	/*
	 * An older kernel doesn't list ranges. Any address is tried, and mapping fails where it
	 * isn't allowed.
	 */
	if (rc == -ENOENT)
		return 0;
	if (!rc)
		return viofs_err_set(err, -ENOSPC, "%s: the IOMMU has no address to give.",
				     d->vfio.address);
	d->vfio.mapper.range_count = (unsigned int)rc;
	return 0;
}

static int map_once(const struct viofs_vfio_device *d, void *vaddr, size_t len, uint64_t iova,
		    unsigned int access)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.vaddr = (uintptr_t)vaddr,
		.iova = iova,
		.size = len,
	};

	if (access & VIOFS_DMA_READ)
		map.flags |= VFIO_DMA_MAP_FLAG_READ;
	if (access & VIOFS_DMA_WRITE)
		map.flags |= VFIO_DMA_MAP_FLAG_WRITE;
	return ioctl(d->iommu, VFIO_IOMMU_MAP_DMA, &map) < 0 ? -errno : 0;
}

static int group_map(struct viofs_mapper *m, const struct viofs_mapper_memory *memory,
		     uint64_t iova, struct viofs_err *err)
{
	return viofs_vfio_map(m, map_once, memory, iova, err);
}

static int unmap_once(const struct viofs_vfio_device *d, uint64_t iova, size_t len)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = len,
	};

	if (ioctl(d->iommu, VFIO_IOMMU_UNMAP_DMA, &unmap) < 0)
		return -errno;
	return unmap.size == len ? 0 : -ENOENT;
}

static int group_unmap(struct viofs_mapper *m, uint64_t iova, size_t len, struct viofs_err *err)
{
	return viofs_vfio_unmap(m, unmap_once, iova, len, err);
}

static const struct viofs_mapper_ops group_mapper = { .map = group_map, .unmap = group_unmap };

static const struct viofs_vfio_ops group_ops = {
	.name = "group",
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

static int group_open(const struct viofs_pci_function *f, const char *node, struct viofs_vfio **out,
		      struct viofs_err *err)
{
	struct viofs_vfio_device *d = NULL;
	int rc;

	rc = viofs_vfio_group_attach(f, node, VFIO_TYPE1v2_IOMMU, &group_ops, &group_mapper, &d,
				     err);
	if (rc)
		return rc;
	d->vfio.mapper.translates = true;
	rc = read_ranges(d, err);
	if (rc) {
		viofs_vfio_device_close(&d->vfio);
		return rc;
	}
	*out = &d->vfio;
	return 0;
}

int viofs_vfio_group_find(const struct viofs_pci_function *f, const char *prefix,
			  char node[VIOFS_VFIO_NODE], struct viofs_err *why)
{
	if (f->iommu_group < 0)
		return viofs_err_set(why, -ENODEV, "the function is in no IOMMU group");
	viofs_vfio_node(node, "vfio/%s%d", prefix, f->iommu_group);
	if (access(node, F_OK) == 0)
		return 0;
	return viofs_err_set(why, -ENOENT, "%s is not there", node);
}

static int group_find(const struct viofs_pci_function *f, char node[VIOFS_VFIO_NODE],
		      struct viofs_err *why)
{
	return viofs_vfio_group_find(f, "", node, why);
}

const struct viofs_vfio_backend viofs_vfio_group = {
	.ops = &group_ops,
	.find = group_find,
	.open = group_open,
};
