/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Interrupts of a VFIO device, as eventfds. Private to src/vfio. */
#ifndef VIOFS_VFIO_IRQS_H
#define VIOFS_VFIO_IRQS_H

#include "vfio/vfio.h"

struct viofs_vfio_device;

/** viofs_vfio_irqs_count() - learn how many MSI-X vectors there are. Return: 0 or -errno. */
int viofs_vfio_irqs_count(struct viofs_vfio_device *d);

/** viofs_vfio_irqs_off() - MSI-X off, if it is on. */
void viofs_vfio_irqs_off(struct viofs_vfio_device *d);

/** viofs_vfio_device_irqs_set() - let interrupts 0..@count-1 of @index signal @eventfds; 0 = off.
 */
int viofs_vfio_device_irqs_set(const struct viofs_vfio_device *d, unsigned int index,
			       const int *eventfds, unsigned int count);

/** viofs_vfio_device_msix_set() - for struct viofs_vfio_ops. */
int viofs_vfio_device_msix_set(struct viofs_vfio *v, const int *eventfds, unsigned int count,
			       struct viofs_err *err);

#endif
