/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connecting to a back end's socket. Private to src/vhost. */
#ifndef VIOFS_VHOST_CONNECT_H
#define VIOFS_VHOST_CONNECT_H

#include "base/err.h"

#include <stdint.h>

/** viofs_vhost_connect() - Return: the socket (non-blocking), or -errno with @err (@path not in
 * it). */
int viofs_vhost_connect(const char *path, int64_t end_ns, struct viofs_err *err);

#endif
