/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Start, reset and end of a VFIO device, by its descriptor. */
/*
 * Memory decoding stays on from start to close: with it off an access to a mapped BAR (bars.c)
 * would be a SIGBUS. Bus mastering is off until the device has been reset by its driver
 * (viofs_vfio_bus_master_set()): a former driver told it to write to memory that is somebody
 * else's by now.
 *
 * At close the kernel clears bus mastering and resets the function, when the last copy of the
 * descriptor goes. Interrupts (irqs.c) are switched off before, as a copy may be in another
 * process.
 */
#include "vfio/device_fd.h"

#include "vfio/alerts.h"
#include "vfio/regions.h"

#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Aligned so that an IOMMU can use large pages wherever the memory has them. */
#define IOVA_ALIGN ((uint64_t)2 << 20)

/* Memory decoding on, INTx off: nobody here would answer it. */
static int enable_function(struct viofs_vfio *v)
{
	uint16_t raw, command;
	int rc;

	rc = viofs_vfio_device_config_read(v, PCI_COMMAND, &raw, sizeof(raw));
	if (rc)
		return rc;
	command = le16toh(raw) | PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE;
	raw = htole16(command);
	rc = viofs_vfio_device_config_write(v, PCI_COMMAND, &raw, sizeof(raw));
	if (!rc)
		rc = viofs_vfio_device_config_read(v, PCI_COMMAND, &raw, sizeof(raw));
	if (rc)
		return rc;
	command = le16toh(raw);
	if (command == 0xffff || !(command & PCI_COMMAND_MEMORY))
		return -EIO;
	return 0;
}

int viofs_vfio_device_reset(struct viofs_vfio *v)
{
	const struct viofs_vfio_device *d = viofs_vfio_device_of(v);

	if (!d->can_reset)
		return -EOPNOTSUPP;
	if (ioctl(d->fd, VFIO_DEVICE_RESET) < 0)
		return -errno;
	return enable_function(v);
}

struct viofs_vfio_device *viofs_vfio_device_new(const struct viofs_pci_function *f,
						const struct viofs_vfio_ops *ops,
						const struct viofs_mapper_ops *mapper,
						struct viofs_err *err)
{
	struct viofs_vfio_device *d = calloc(1, sizeof(*d));

	if (!d) {
		viofs_err_set(err, -ENOMEM, "Out of memory.");
		return NULL;
	}
	d->vfio.ops = ops;
	d->vfio.mapper.ops = mapper;
	d->vfio.mapper.align = IOVA_ALIGN;
	d->iommu = d->group = d->fd = d->pin = -1;
	d->alerts.error_fd = d->alerts.request_fd = d->vfio.event_fd = -1;
	memcpy(d->vfio.address, f->text, sizeof(d->vfio.address));
	return d;
}

int viofs_vfio_device_start(struct viofs_vfio_device *d, struct viofs_err *err)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	const char *address = d->vfio.address;
	int rc;

	if (ioctl(d->fd, VFIO_DEVICE_GET_INFO, &info) < 0) {
		rc = -errno;
		goto err_ask;
	}
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI) || info.num_irqs <= VFIO_PCI_MSIX_IRQ_INDEX ||
	    info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX)
		return viofs_err_set(err, -ENODEV, "%s: VFIO does not have it as a PCI function.",
				     address);
	d->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	rc = viofs_vfio_config_open(d);
	/* Before the BARs: no BAR may be mapped while memory isn't decoded. */
	if (!rc) {
		rc = enable_function(&d->vfio);
		if (rc)
			return viofs_err_set(err, rc, "%s: its memory can't be enabled: %s.",
					     address, strerror(-rc));
	}
	if (!rc)
		rc = viofs_vfio_bars_open(d);
	if (!rc)
		rc = viofs_vfio_irqs_count(d);
	if (!rc) {
		viofs_vfio_alerts_open(d);
		return 0;
	}

err_ask:
	return viofs_err_set(err, rc, "%s: VFIO does not describe the function: %s.", address,
			     strerror(-rc));
}

void viofs_vfio_device_fini(struct viofs_vfio_device *d)
{
	viofs_vfio_irqs_off(d);
	viofs_vfio_bars_close(d);
	viofs_vfio_alerts_close(d);
	/* Close the device before its group and the mappings: it must be quiet when those go. */
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	viofs_vfio_device_drop_dma(&d->vfio);
	if (d->pin >= 0)
		close(d->pin);
	d->pin = -1;
}

void viofs_vfio_device_close(struct viofs_vfio *v)
{
	struct viofs_vfio_device *d = viofs_vfio_device_of(v);

	viofs_vfio_device_fini(d);
	free(d);
}

void viofs_vfio_device_close_copy(struct viofs_vfio *v)
{
	viofs_vfio_device_of(v)->msix_on = false;
	viofs_vfio_device_close(v);
}

/*
 * The kernel's objects for both live as long as the device's descriptor, and so do the mappings.
 * Memory that is pinned by other means stays pinned until the device is closed.
 */
void viofs_vfio_device_drop_dma(struct viofs_vfio *v)
{
	struct viofs_vfio_device *d = viofs_vfio_device_of(v);

	if (d->group >= 0)
		close(d->group);
	if (d->iommu >= 0)
		close(d->iommu);
	d->group = d->iommu = -1;
}
