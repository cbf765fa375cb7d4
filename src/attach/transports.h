/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All ways to a device that this build has. */
#ifndef VIOFS_ATTACH_TRANSPORTS_H
#define VIOFS_ATTACH_TRANSPORTS_H

#include "virtio/transport.h"

/**
 * viofs_transport_of() - the one that SOURCE @text names by its prefix
 * Return: NULL: none, so @text is a tag or the address of a PCI function.
 */
const struct viofs_transport *viofs_transport_of(const char *text);

/** viofs_transport_function() - the one for PCI functions; NULL: this build has no VFIO. */
const struct viofs_transport *viofs_transport_function(void);

#endif
