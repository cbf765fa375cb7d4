/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open a function by the best back end present; bus mastering and configuration space of it. */
#include "vfio/backend.h"

#include "base/log.h"
#include "base/util.h"

#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The best first. */
static const struct viofs_vfio_backend *const backends[] = {
	&viofs_vfio_cdev,
	&viofs_vfio_group,
	&viofs_vfio_noiommu_cdev,
	&viofs_vfio_noiommu,
};

static void append(char *list, size_t size, const char *name, const char *why)
{
	size_t len = strlen(list);

	snprintf(list + len, size - len, "%s%s: %.*s", len ? "; " : "", name, (int)(size - len),
		 why);
}

static int no_node_err(const struct viofs_pci_function *f, const char *passed_over,
		       struct viofs_err *err)
{
	char directory[VIOFS_VFIO_NODE];

	viofs_vfio_node(directory, "vfio");
	if (f->iommu_group < 0)
		return viofs_err_set(
			err, -ENODEV,
			"%s is in no IOMMU group: there is no IOMMU, or it is off. Switch it "
			"on (intel_iommu=on on the kernel's command line; for a guest, give it "
			"a virtual IOMMU). %s",
			f->text, viofs_pci_noiommu_advice());
	if (access(directory, F_OK))
		return viofs_err_set(
			err, -ENOENT,
			"%s is not there; load VFIO: modprobe vfio-pci and modprobe "
			"vfio_iommu_type1. In a container, its /dev/vfio must be handed in.",
			directory);
	return viofs_err_set(
		err, -ENOENT,
		"VFIO has no node for %s (%s). The kernel lacks CONFIG_VFIO_GROUP and "
		"CONFIG_VFIO_DEVICE_CDEV, or the node was not handed into this container.",
		f->text, passed_over);
}

/* Read again: binding to vfio-pci has changed the driver, and with no IOMMU the group too. */
static int read_again(const struct viofs_pci_function *f, struct viofs_pci_function *now,
		      struct viofs_err *err)
{
	int rc = viofs_pci_function_read(&f->address, now, err);

	if (rc)
		return rc;
	/* vfio-pci, and the drivers made from it for a vendor. */
	if (strstr(now->driver, "vfio"))
		return 0;
	return viofs_err_set(
		err, -EINVAL,
		"%s is not bound to vfio-pci but to %s: bind it first (viofsctl bind %s).",
		now->text, now->driver[0] ? now->driver : "no driver", now->text);
}

int viofs_vfio_open(const struct viofs_pci_function *f, bool allow_noiommu, struct viofs_vfio **out,
		    struct viofs_err *err)
{
	char passed_over[sizeof((*out)->passed_over)] = "", node[VIOFS_VFIO_NODE];
	char refused[VIOFS_VFIO_NODE] = "";
	struct viofs_err first = { .text = "" };
	struct viofs_pci_function now;
	int rc, first_rc = 0;

	rc = read_again(f, &now, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(backends) && first_rc != -EBUSY; i++) {
		const struct viofs_vfio_backend *b = backends[i];
		struct viofs_err why = { .text = "" };

		rc = b->find(&now, node, &why);
		if (!rc && b->unsafe && !allow_noiommu) {
			if (!refused[0])
				memcpy(refused, node, sizeof(refused));
			continue;
		}
		if (!rc) {
			rc = b->open(&now, node, out, &why);
			if (!rc) {
				memcpy((*out)->passed_over, passed_over, sizeof(passed_over));
				return 0;
			}
			viofs_debug("%s: %s: %s", now.text, b->ops->name, why.text);
			if (!first_rc) {
				first_rc = rc;
				first = why;
			}
		}
		append(passed_over, sizeof(passed_over), b->ops->name, why.text);
	}
	if (first_rc && err)
		*err = first;
	if (first_rc)
		return first_rc;
	if (refused[0]) {
		viofs_err_set(err, -EPERM,
			      "%s can be had only with no IOMMU (%s), where the device reaches all "
			      "memory of this machine.",
			      now.text, refused);
		return viofs_err_remedy(err, -EPERM, VIOFS_REMEDY_ALLOW_NOIOMMU);
	}
	return no_node_err(&now, passed_over, err);
}

void viofs_vfio_close(struct viofs_vfio *v)
{
	if (v)
		v->ops->close(v);
}

int viofs_vfio_bus_master_set(struct viofs_vfio *v, bool on)
{
	uint16_t raw, command;
	int rc;

	rc = v->ops->config_read(v, PCI_COMMAND, &raw, sizeof(raw));
	if (rc)
		return rc;
	command = le16toh(raw);
	if (command == 0xffff)
		return -ENODEV;
	command = on ? command | PCI_COMMAND_MASTER : command & (uint16_t)~PCI_COMMAND_MASTER;
	raw = htole16(command);
	rc = v->ops->config_write(v, PCI_COMMAND, &raw, sizeof(raw));
	if (!rc)
		rc = v->ops->config_read(v, PCI_COMMAND, &raw, sizeof(raw));
	if (rc)
		return rc;
	if (le16toh(raw) == 0xffff)
		return -ENODEV;
	return !!(le16toh(raw) & PCI_COMMAND_MASTER) == on ? 0 : -EIO;
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
