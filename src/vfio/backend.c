/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device nodes, for the back ends. */
#include "vfio/backend.h"

#include <stdarg.h>
#include <stdio.h>

static const char *dev_root = "/dev";

void viofs_vfio_set_dev_root(const char *root)
{
	dev_root = root ? root : "/dev";
}

void viofs_vfio_node(char node[VIOFS_VFIO_NODE], const char *fmt, ...)
{
	va_list ap;
	int len, n;

	len = snprintf(node, VIOFS_VFIO_NODE, "%s/", dev_root);
	va_start(ap, fmt);
	n = len < VIOFS_VFIO_NODE ? vsnprintf(node + len, (size_t)(VIOFS_VFIO_NODE - len), fmt, ap)
				  : 0;
	va_end(ap);
	if (len + n >= VIOFS_VFIO_NODE)
		node[0] = '\0';
}
