/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that the kernel may not move. Private to src/vfio. */
#ifndef VIOFS_VFIO_PIN_H
#define VIOFS_VFIO_PIN_H

#include <stddef.h>

/**
 * viofs_vfio_pin() - pin @len bytes from @memory on, whole pages, for as long as the descriptor is
 * open Counts against RLIMIT_MEMLOCK without CAP_IPC_LOCK. Return: a descriptor that is good for
 * nothing else; -ENOMEM: the limit, or no memory; -errno: there is no io_uring here (-EPERM,
 * -ENOSYS), or it can't do it.
 */
int viofs_vfio_pin(void *memory, size_t len);

#endif
