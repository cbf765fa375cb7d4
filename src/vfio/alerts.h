/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Alerts from the kernel about a function. Private to src/vfio. */
#ifndef VIOFS_VFIO_ALERTS_H
#define VIOFS_VFIO_ALERTS_H

#include "vfio/device_fd.h"

/** viofs_vfio_alerts_open() - listen for the alerts that kernel and function support */
void viofs_vfio_alerts_open(struct viofs_vfio_device *d);

/** viofs_vfio_alerts_close() - close the descriptors; the kernel then signals nobody */
void viofs_vfio_alerts_close(struct viofs_vfio_device *d);

/** viofs_vfio_alerts_lost() - NULL, or the first alert that came. For ops->lost. */
const char *viofs_vfio_alerts_lost(struct viofs_vfio *v);

#endif
