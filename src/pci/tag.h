/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Learning a function's tag without taking the device from anybody. */
#ifndef VIOFS_PCI_TAG_H
#define VIOFS_PCI_TAG_H

#include "base/err.h"
#include "pci/function.h"

/* A tag is up to 36 bytes of UTF-8, not NUL-terminated when it fills them (virtio 1.3 5.11.4). */
#define VIOFS_TAG_SIZE 36
#define VIOFS_TAG_TEXT (VIOFS_TAG_SIZE + 1)

/**
 * viofs_tag_check() - can the tag that a device gives be used?
 * @raw: 36 bytes of the device's configuration space.
 * Return: 0 and @out filled; -EPROTO: empty, with control characters, or not UTF-8 (said in @err).
 */
int viofs_tag_check(const uint8_t raw[VIOFS_TAG_SIZE], char out[VIOFS_TAG_TEXT],
		    struct viofs_err *err);

/**
 * viofs_pci_tag_read() - the tag and the number of request queues of a function
 * From the kernel driver's sysfs where there is one (Linux 6.9 on: /sys/fs/virtiofs), else through
 * the PCI_CFG capability's window in sysfs `config` (virtio 1.3 4.1.4.9), which needs root and
 * disturbs no driver. Never binds or unbinds.
 * @num_queues: may be NULL; 0 where only the tag could be learnt.
 * Return: 0; -EOPNOTSUPP: neither way works here (VFIO is the way for a function with no driver or
 * vfio-pci; the daemon does that); other -errno.
 */
int viofs_pci_tag_read(const struct viofs_pci_function *f, char tag[VIOFS_TAG_TEXT],
		       uint32_t *num_queues, struct viofs_err *err);

#endif
