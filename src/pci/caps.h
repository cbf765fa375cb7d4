/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The walk over a function's capabilities, for virtio's own (virtio 1.3 4.1.4). */
#ifndef VIOFS_PCI_CAPS_H
#define VIOFS_PCI_CAPS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* cfg_type of a virtio vendor capability (virtio 1.3 4.1.4). */
enum viofs_pci_cfg_type {
	VIOFS_PCI_CFG_COMMON = 1,
	VIOFS_PCI_CFG_NOTIFY = 2,
	VIOFS_PCI_CFG_ISR = 3,
	VIOFS_PCI_CFG_DEVICE = 4,
	VIOFS_PCI_CFG_PCI = 5,
	VIOFS_PCI_CFG_SHARED_MEMORY = 8,
};

/** struct viofs_pci_cap - one virtio structure: where it lies in which BAR */
struct viofs_pci_cap {
	bool present;
	uint8_t bar;      /* 0..5 */
	uint32_t offset;  /* bytes in the BAR */
	uint32_t length;  /* bytes */
	uint8_t position; /* of the capability in configuration space */
};

#define VIOFS_PCI_SHM_MAX 4

/** struct viofs_pci_shm - a region of shared memory (virtio 1.3 4.1.4.7) */
struct viofs_pci_shm {
	uint8_t id, bar;
	uint64_t offset, length; /* bytes in the BAR */
};

/** struct viofs_pci_caps - what a virtio function's capability list says, each entry checked */
struct viofs_pci_caps {
	struct viofs_pci_cap common, notify, isr, device;
	struct viofs_pci_shm shm[VIOFS_PCI_SHM_MAX]; /* each id once */
	unsigned int shm_count;
	uint32_t notify_off_multiplier; /* bytes */
	uint8_t pci_cfg;                /* position of the PCI_CFG window, 0 = there is none */
	uint8_t msix;                   /* position of the MSI-X capability, 0 = there is none */
	uint16_t msix_vectors;          /* table size, 1..2048, where msix is set */
};

/** struct viofs_pci_config - how to read and write a function's configuration space */
struct viofs_pci_config {
	/** read @len bytes at @off; Return: 0 or -errno */
	int (*read)(void *context, unsigned int off, void *buf, unsigned int len);
	/** write; may be NULL where nothing is written */
	int (*write)(void *context, unsigned int off, const void *buf, unsigned int len);
	void *context;
};

/**
 * viofs_pci_caps_walk() - read the capability list
 * The list comes from the device: the walk ends after 48 entries, and a loop, an entry that leaves
 * configuration space, an unknown BAR, an offset or length that wraps, or a structure too short for
 * its type is skipped (the first good one of a type wins, virtio 1.3 4.1.4) or is an error where a
 * needed structure (common, notify, device) is left without.
 * Offsets are *not* checked against the BAR's size here: who maps the BAR does it.
 * Return: 0; -ENODEV: no virtio modern capabilities; -EPROTO: the list is broken; or the read's
 * error.
 */
int viofs_pci_caps_walk(const struct viofs_pci_config *config, struct viofs_pci_caps *out,
			struct viofs_err *err);

#endif
