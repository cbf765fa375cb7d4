/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO by group and container (Documentation/driver-api/vfio.rst in Linux). */
/*
 * Order, which the kernel asks for: container, group, is the group viable, group into container,
 * IOMMU into container, device out of group. The device is started last, when DMA can't go astray.
 */
#include "vfio/group.h"

#include "base/log.h"
#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define CONTAINER_NODE "/dev/vfio/vfio"

int viofs_vfio_memlock_err(struct viofs_err *err, int rc, size_t len)
{
	struct rlimit limit = { 0 };
	char is[32] = "unlimited";

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur != RLIM_INFINITY)
		snprintf(is, sizeof(is), "%llu KiB", (unsigned long long)limit.rlim_cur >> 10);
	return viofs_err_set(err, rc,
			     "%zu KiB of memory can't be locked for the device: %s. The limit "
			     "(RLIMIT_MEMLOCK) is %s for all of the process: raise it (ulimit -l, "
			     "LimitMEMLOCK= in a systemd unit), run with CAP_IPC_LOCK, or use less "
			     "memory.",
			     len >> 10, strerror(-rc), is);
}

static int open_container(int iommu, struct viofs_err *err)
{
	int fd, rc;

	fd = open(CONTAINER_NODE, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		rc = errno == ENODEV || errno == ENXIO ? -ENOENT : -errno;
		return viofs_err_set(err, rc, "%s can't be opened: %s. %s", CONTAINER_NODE,
				     strerror(-rc),
				     rc == -ENOENT ? "VFIO is not there; load it: modprobe "
						     "vfio-pci vfio_iommu_type1 (one by one)." :
						     "It needs root.");
	}
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION) {
		close(fd);
		return viofs_err_set(err, -ENOENT, "The kernel has another VFIO interface.");
	}
	if (ioctl(fd, VFIO_CHECK_EXTENSION, iommu) <= 0) {
		close(fd);
		return viofs_err_set(
			err, -ENOENT,
			iommu == VFIO_NOIOMMU_IOMMU ?
				"VFIO does not offer its noiommu mode: it needs CAP_SYS_RAWIO and "
				"vfio's parameter enable_unsafe_noiommu_mode=1." :
				"VFIO has no IOMMU type1v2; load it: modprobe vfio_iommu_type1.");
	}
	return fd;
}

/* Does process @pid have @node open? */
static bool has_open(const char *pid, const char *node)
{
	char path[PATH_MAX], target[PATH_MAX];
	struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		found = strcmp(target, node) == 0;
	}
	closedir(dir);
	return found;
}

/* Who has @node. Return: its process id, 0 = not found (no privilege, another pid namespace). */
static int find_holder(const char *node)
{
	struct dirent *e;
	int pid = 0;
	DIR *dir;

	dir = opendir("/proc");
	if (!dir)
		return 0;
	while (!pid && (e = readdir(dir)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && has_open(e->d_name, node))
			pid = atoi(e->d_name);
	closedir(dir);
	return pid;
}

static int busy_err(const char *node, struct viofs_err *err)
{
	int pid = find_holder(node);

	if (pid)
		return viofs_err_set(err, -EBUSY, "%s is in use by process %d: end that one first.",
				     node, pid);
	return viofs_err_set(err, -EBUSY,
			     "%s is in use, most likely by another virtiofs-vfio, a QEMU that has "
			     "a device of this group, or DPDK or SPDK: end that one first.",
			     node);
}

static int open_group(const struct viofs_pci_function *f, const char *node, struct viofs_err *err)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int fd, rc;

	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
		if (rc == -EBUSY)
			return busy_err(node, err);
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

	if (ioctl(d->group, VFIO_GROUP_SET_CONTAINER, &d->container) < 0) {
		rc = -errno;
		if (rc == -EBUSY)
			return busy_err(node, err);
		return viofs_err_set(err, rc, "%s can't be put into a container: %s.", node,
				     strerror(-rc));
	}
	if (ioctl(d->container, VFIO_SET_IOMMU, iommu) < 0) {
		rc = -errno;
		return viofs_err_set(err, rc, "The IOMMU can't be set up for %s: %s.%s", node,
				     strerror(-rc),
				     rc == -EPERM ?
					     " It has no interrupt remapping, it seems: switch it "
					     "on (for a guest: intremap=on), or load "
					     "vfio_iommu_type1 with allow_unsafe_interrupts=1." :
					     "");
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
			    const struct viofs_vfio_ops *ops, struct viofs_vfio_device **out,
			    struct viofs_err *err)
{
	struct viofs_vfio_device *d;
	int rc;

	d = calloc(1, sizeof(*d));
	if (!d)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	d->vfio.ops = ops;
	d->container = d->group = d->fd = -1;
	d->alerts.error_fd = d->alerts.request_fd = d->vfio.event_fd = -1;
	memcpy(d->vfio.address, f->text, sizeof(d->vfio.address));

	rc = d->container = open_container(iommu, err);
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

	rc = viofs_vfio_info_get(d->container, VFIO_IOMMU_GET_INFO, &question, sizeof(question),
				 &info);
	if (rc < 0)
		return viofs_err_set(err, rc, "%s: the IOMMU does not describe itself: %s.",
				     d->vfio.address, strerror(-rc));
	rc = viofs_vfio_info_ranges(info, (size_t)rc, d->vfio.ranges,
				    VIOFS_ARRAY_SIZE(d->vfio.ranges));
	free(info);
	/* An older kernel: any address is tried, and refused when it is mapped. */
	if (rc == -ENOENT)
		return 0;
	if (!rc)
		return viofs_err_set(err, -ENOSPC, "%s: the IOMMU has no address to give.",
				     d->vfio.address);
	d->vfio.range_count = (unsigned int)rc;
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

	if (access & VIOFS_VFIO_READ)
		map.flags |= VFIO_DMA_MAP_FLAG_READ;
	if (access & VIOFS_VFIO_WRITE)
		map.flags |= VFIO_DMA_MAP_FLAG_WRITE;
	return ioctl(d->container, VFIO_IOMMU_MAP_DMA, &map) < 0 ? -errno : 0;
}

static int group_dma_map(struct viofs_vfio *v, void *vaddr, size_t len, uint64_t iova,
			 unsigned int access, struct viofs_err *err)
{
	const struct viofs_vfio_device *d = viofs_vfio_device_of(v);
	const char *hint = "";
	int rc;

	rc = map_once(d, vaddr, len, iova, access);
	/* Some IOMMUs have no write-only page. What is lost is a fence, not a function. */
	if (rc == -EINVAL && access == VIOFS_VFIO_WRITE) {
		rc = map_once(d, vaddr, len, iova, VIOFS_VFIO_READ | VIOFS_VFIO_WRITE);
		if (!rc)
			viofs_debug("%s: the IOMMU has no write-only mappings; the device can "
				    "read its reply buffers too.",
				    v->address);
	}
	if (!rc)
		return 0;
	if (rc == -ENOMEM)
		return viofs_vfio_memlock_err(err, rc, len);
	if (rc == -EEXIST)
		hint = " The address is mapped already.";
	else if (rc == -EINVAL)
		hint = " The address is reserved, or beyond what the IOMMU can reach.";
	else if (rc == -ENOSPC)
		hint = " There are too many mappings: hugepages need fewer, or raise "
		       "vfio_iommu_type1's dma_entry_limit.";
	return viofs_err_set(err, rc,
			     "%s: %zu KiB can't be mapped for the device at address 0x%llx: %s.%s",
			     v->address, len >> 10, (unsigned long long)iova, strerror(-rc), hint);
}

static int group_dma_unmap(struct viofs_vfio *v, uint64_t iova, size_t len)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = len,
	};

	if (ioctl(viofs_vfio_device_of(v)->container, VFIO_IOMMU_UNMAP_DMA, &unmap) < 0)
		return -errno;
	return unmap.size == len ? 0 : -ENOENT;
}

static const struct viofs_vfio_ops group_ops = {
	.name = "group",
	.close = viofs_vfio_device_close,
	.close_copy = viofs_vfio_device_close_copy,
	.lost = viofs_vfio_alerts_lost,
	.config_read = viofs_vfio_device_config_read,
	.config_write = viofs_vfio_device_config_write,
	.bar_size = viofs_vfio_device_bar_size,
	.bar_read = viofs_vfio_device_bar_read,
	.bar_write = viofs_vfio_device_bar_write,
	.msix_set = viofs_vfio_device_msix_set,
	.reset = viofs_vfio_device_reset,
	.dma_map = group_dma_map,
	.dma_unmap = group_dma_unmap,
};

int viofs_vfio_group_open(const struct viofs_pci_function *f, const char *node,
			  struct viofs_vfio **out, struct viofs_err *err)
{
	struct viofs_vfio_device *d = NULL;
	int rc;

	rc = viofs_vfio_group_attach(f, node, VFIO_TYPE1v2_IOMMU, &group_ops, &d, err);
	if (rc)
		return rc;
	d->vfio.translates = true;
	rc = read_ranges(d, err);
	if (rc) {
		viofs_vfio_device_close(&d->vfio);
		return rc;
	}
	*out = &d->vfio;
	return 0;
}
