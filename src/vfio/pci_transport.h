/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The modern virtio-pci transport over VFIO. */
#ifndef VIOFS_VFIO_PCI_TRANSPORT_H
#define VIOFS_VFIO_PCI_TRANSPORT_H

#include "vfio/vfio.h"
#include "virtio/transport.h"

/** PCI functions that are bound to vfio-pci */
extern const struct viofs_transport viofs_pci_transport;

/**
 * viofs_virtio_pci_open() - the transport over @v
 * Walks the capabilities, checks every structure against its BAR. Touches no register yet.
 * Return: 0, and @v is *@out's; -ENODEV: not a modern virtio device; -EPROTO: capabilities that
 * make no sense.
 */
int viofs_virtio_pci_open(struct viofs_vfio *v, struct viofs_virtio **out, struct viofs_err *err);

#endif
