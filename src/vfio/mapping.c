/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mapping memory for the device, as far as it is the same for all back ends: what to try, what to
 * say. */
#include "vfio/mapping.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

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

/* What the user can do about it; "" if the error says it all. */
static const char *hint(int rc)
{
	switch (rc) {
	case -EEXIST:
		return " The address is mapped already.";
	case -EINVAL:
	case -EOVERFLOW:
	case -ERANGE:
		return " The address is reserved, or beyond what the IOMMU can reach.";
	case -ENOSPC:
		return " There are too many mappings, as the memory is in too many pieces. "
		       "Hugepages "
		       "need few; vfio_iommu_type1's parameter dma_entry_limit allows more.";
	case -EFAULT:
		return " The pages can't be pinned.";
	default:
		return "";
	}
}

int viofs_vfio_map(struct viofs_mapper *m, viofs_vfio_map_once *once,
		   const struct viofs_mapper_memory *memory, uint64_t iova, struct viofs_err *err)
{
	const struct viofs_vfio_device *d = viofs_vfio_device_of_mapper(m);
	size_t len = memory->len;
	int rc = once(d, memory->vaddr, len, iova, memory->access);

	/*
	 * Some IOMMUs have no write-only pages. Then the device can read these pages too, which
	 * loses a safeguard but works.
	 */
	if ((rc == -EINVAL || rc == -EOPNOTSUPP) && memory->access == VIOFS_DMA_WRITE) {
		rc = once(d, memory->vaddr, len, iova, VIOFS_DMA_READ | VIOFS_DMA_WRITE);
		if (!rc)
			viofs_debug(
				"%s: the IOMMU has no write-only mappings; the device can read its "
				"reply buffers too.",
				d->vfio.address);
	}
	if (!rc)
		return 0;
	if (rc == -ENOMEM)
		return viofs_vfio_memlock_err(err, rc, len);
	viofs_err_set(
		err, rc, "%s: %zu KiB can't be mapped for the device at address 0x%llx: %s.%s",
		d->vfio.address, len >> 10, (unsigned long long)iova, strerror(-rc), hint(rc));
	return viofs_err_remedy(err, rc,
				rc == -ENOSPC ? VIOFS_REMEDY_LESS_MEMORY : VIOFS_REMEDY_NONE);
}

int viofs_vfio_unmap(struct viofs_mapper *m, viofs_vfio_unmap_once *once, uint64_t iova, size_t len,
		     struct viofs_err *err)
{
	int rc = once(viofs_vfio_device_of_mapper(m), iova, len);

	return rc ? viofs_err_set(err, rc, "The memory can't be taken from the IOMMU: %s.",
				  strerror(-rc))
		  : 0;
}
