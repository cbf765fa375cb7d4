/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Interrupts of a VFIO device, as eventfds. */
#include "vfio/irqs.h"

#include "base/util.h"
#include "vfio/device_fd.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* The size of the MSI-X table has 11 bits. */
#define VECTORS_MAX 2048U

int viofs_vfio_device_irqs_set(const struct viofs_vfio_device *d, unsigned int index,
			       const int *eventfds, unsigned int count)
{
	struct vfio_irq_set *set;
	size_t size = sizeof(*set) + count * sizeof(*eventfds);
	int rc;

	set = calloc(1, size);
	if (!set)
		return -ENOMEM;
	set->argsz = (uint32_t)size;
	set->flags = VFIO_IRQ_SET_ACTION_TRIGGER |
		     (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	set->index = index;
	set->count = count;
	if (count)
		memcpy(set->data, eventfds, count * sizeof(*eventfds));
	rc = ioctl(d->fd, VFIO_DEVICE_SET_IRQS, set);
	if (rc < 0)
		rc = -errno;
	else if (rc > 0)
		rc = -ENOSPC; /* the number that there would have been */
	free(set);
	return rc;
}

static int set_msix(const struct viofs_vfio_device *d, const int *eventfds, unsigned int count)
{
	return viofs_vfio_device_irqs_set(d, VFIO_PCI_MSIX_IRQ_INDEX, eventfds, count);
}

int viofs_vfio_device_msix_set(struct viofs_vfio *v, const int *eventfds, unsigned int count,
			       struct viofs_err *err)
{
	struct viofs_vfio_device *d = viofs_vfio_device_of(v);
	int rc;

	if (count > v->msix_vectors)
		return viofs_err_set(err, -EINVAL,
				     "%s has %u interrupt vectors, %u were asked for.", v->address,
				     v->msix_vectors, count);
	/* Vectors can't be added while MSI-X is on (VFIO_IRQ_INFO_NORESIZE). */
	if (d->msix_on) {
		rc = set_msix(d, NULL, 0);
		if (rc)
			return viofs_err_set(err, rc, "%s: interrupts can't be switched off: %s.",
					     v->address, strerror(-rc));
		d->msix_on = false;
	}
	if (!count)
		return 0;
	rc = set_msix(d, eventfds, count);
	if (rc) {
		viofs_err_set(err, rc, "%s: %u interrupt vectors can't be had: %s.", v->address,
			      count, strerror(-rc));
		return viofs_err_remedy(err, rc, VIOFS_REMEDY_NO_INTERRUPTS);
	}
	d->msix_on = true;
	return 0;
}

int viofs_vfio_irqs_count(struct viofs_vfio_device *d)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = VFIO_PCI_MSIX_IRQ_INDEX };

	if (ioctl(d->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0)
		return -errno;
	if (info.flags & VFIO_IRQ_INFO_EVENTFD)
		d->vfio.msix_vectors = VIOFS_MIN(info.count, VECTORS_MAX);
	return 0;
}

void viofs_vfio_irqs_off(struct viofs_vfio_device *d)
{
	if (d->msix_on)
		set_msix(d, NULL, 0);
	d->msix_on = false;
}
