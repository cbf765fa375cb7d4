/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device's registers through its configuration space (virtio 1.3 4.1.4.9). Private to src/pci. */
#ifndef VIOFS_PCI_WINDOW_H
#define VIOFS_PCI_WINDOW_H

#include "base/err.h"
#include "pci/caps.h"

/**
 * viofs_pci_window_read() - @len bytes at @off of the device's own configuration structure
 * @off, @len: multiples of 4.
 * Only where the function decodes memory, see the head of window.c.
 * Return: 0; -EOPNOTSUPP: there is no window here, or it can't be used; -EPROTO and what
 * viofs_pci_caps_walk() returns; the accessor's error.
 */
int viofs_pci_window_read(const struct viofs_pci_config *config, unsigned int off, void *buf,
			  unsigned int len, struct viofs_err *err);

#endif
