/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open a function by the best back end present, and what all back ends share. */
#include "vfio/vfio.h"

#include "base/util.h"
#include "vfio/group.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NODE_TEXT 64

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static int no_node_err(const char *node, struct viofs_err *err)
{
	if (!exists("/dev/vfio"))
		return viofs_err_set(err, -ENOENT,
				     "/dev/vfio is not there; load VFIO: modprobe vfio-pci and "
				     "modprobe vfio_iommu_type1. In a container, its /dev/vfio must be "
				     "handed in.");
	return viofs_err_set(err, -ENOENT,
			     "%s is not there: the kernel has no VFIO groups (CONFIG_VFIO_GROUP), "
			     "or the node was not handed into this container.",
			     node);
}

static int no_group_err(const struct viofs_pci_function *f, struct viofs_err *err)
{
	return viofs_err_set(err, -ENODEV,
			     "%s is in no IOMMU group: there is no IOMMU, or it is off. Switch it "
			     "on (intel_iommu=on on the kernel's command line; for a guest, give it "
			     "a virtual IOMMU). Without one there is only VFIO's noiommu mode "
			     "(enable_unsafe_noiommu_mode=1) and -o allow-unsafe-noiommu.",
			     f->text);
}

int viofs_vfio_open(const struct viofs_pci_function *f, bool allow_noiommu,
		    struct viofs_vfio **out, struct viofs_err *err)
{
	char node[NODE_TEXT], noiommu[NODE_TEXT];
	struct viofs_pci_function now;
	int rc;

	/* Anew: binding to vfio-pci changed the driver, and in noiommu mode the group too. */
	rc = viofs_pci_function_read(&f->address, &now, err);
	if (rc)
		return rc;
	/* vfio-pci, and the drivers made from it for a vendor. */
	if (!strstr(now.driver, "vfio"))
		return viofs_err_set(err, -EINVAL,
				     "%s is not bound to vfio-pci but to %s: bind it first "
				     "(viofsctl bind %s).",
				     now.text, now.driver[0] ? now.driver : "no driver", now.text);
	if (now.iommu_group < 0)
		return no_group_err(&now, err);

	snprintf(node, sizeof(node), "/dev/vfio/%d", now.iommu_group);
	if (exists(node))
		return viofs_vfio_group_open(&now, node, out, err);
	snprintf(noiommu, sizeof(noiommu), "/dev/vfio/noiommu-%d", now.iommu_group);
	if (!exists(noiommu))
		return no_node_err(node, err);
	if (!allow_noiommu)
		return viofs_err_set(err, -EPERM,
				     "%s can be had only with no IOMMU (%s), where the device "
				     "reaches all memory of this machine. If you trust it, say -o "
				     "allow-unsafe-noiommu.",
				     now.text, noiommu);
	return viofs_vfio_noiommu_open(&now, noiommu, out, err);
}

void viofs_vfio_close(struct viofs_vfio *v)
{
	if (v)
		v->ops->close(v);
}

static int config_read(void *context, unsigned int off, void *buf, unsigned int len)
{
	struct viofs_vfio *v = context;

	return v->ops->config_read(v, off, buf, len);
}

static int config_write(void *context, unsigned int off, const void *buf, unsigned int len)
{
	struct viofs_vfio *v = context;

	return v->ops->config_write(v, off, buf, len);
}

struct viofs_pci_config viofs_vfio_config(struct viofs_vfio *v)
{
	return (struct viofs_pci_config){
		.read = config_read,
		.write = config_write,
		.context = v,
	};
}

bool viofs_vfio_iova_ok(const struct viofs_vfio *v, uint64_t iova, uint64_t len)
{
	uint64_t last;

	if (!len || __builtin_add_overflow(iova, len - 1, &last))
		return false;
	if (!v->range_count)
		return true;
	for (unsigned int i = 0; i < v->range_count; i++)
		if (iova >= v->ranges[i].first && last <= v->ranges[i].last)
			return true;
	return false;
}
