/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All ways to a device: the one place that names them. */
#include "attach/transports.h"

#include "base/util.h"
#include "vfio/pci_transport.h"
#include "viofs_config.h"
#include "vhost/vhost_transport.h"

#include <string.h>

static const struct viofs_transport *const transports[] = {
#if VIOFS_HAVE_VFIO
	&viofs_pci_transport,
#endif
	&viofs_vhost_transport,
};

const struct viofs_transport *viofs_transport_of(const char *text)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(transports); i++) {
		const char *prefix = transports[i]->prefix;

		if (prefix && !strncmp(text, prefix, strlen(prefix)))
			return transports[i];
	}
	return NULL;
}

const struct viofs_transport *viofs_transport_function(void)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(transports); i++)
		if (!transports[i]->prefix)
			return transports[i];
	return NULL;
}
