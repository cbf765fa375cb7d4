/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a node of VFIO's open. Private to src/vfio. */
#ifndef VIOFS_VFIO_HOLDER_H
#define VIOFS_VFIO_HOLDER_H

#include "base/err.h"

/** viofs_vfio_holder() - Return: another process that has @node open; 0: none was seen (it may be
 * hidden). */
int viofs_vfio_holder(const char *node);

/** viofs_vfio_busy_err() - say that @node is in use, by whom as far as it can be seen. Return:
 * -EBUSY. */
int viofs_vfio_busy_err(const char *node, struct viofs_err *err);

#endif
