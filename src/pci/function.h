/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A PCI function as sysfs shows it: find, identify, bind. Needs no library and no privileges to
 * look. */
#ifndef VIOFS_PCI_FUNCTION_H
#define VIOFS_PCI_FUNCTION_H

#include "base/err.h"
#include "pci/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIOFS_PCI_VENDOR_VIRTIO 0x1af4
#define VIOFS_PCI_DEVICE_FS 0x105a
/* The driver that gives a function to programs. */
#define VIOFS_PCI_VFIO "vfio-pci"

/** struct viofs_pci_function - what sysfs says about one function */
struct viofs_pci_function {
	struct viofs_pci_address address;
	char text[VIOFS_PCI_ADDRESS_TEXT];
	uint16_t vendor, device;
	char driver[64]; /* "" = no driver */
	int iommu_group; /* -1 = none */
};

/** viofs_pci_function_read() - Return: 0; -ENODEV: no function at @a (said in @err). */
int viofs_pci_function_read(const struct viofs_pci_address *a, struct viofs_pci_function *out,
			    struct viofs_err *err);

/** viofs_pci_function_is_fs() - 1af4:105a? */
bool viofs_pci_function_is_fs(const struct viofs_pci_function *f);

/**
 * viofs_pci_function_scan() - all virtio-fs functions of the machine, by address
 * @list: allocated, for free(3).
 * Return: how many, or -errno.
 */
int viofs_pci_function_scan(struct viofs_pci_function **list, struct viofs_err *err);

/** viofs_pci_has_driver() - is the PCI driver @driver registered? */
bool viofs_pci_has_driver(const char *driver);

/** viofs_pci_has_module() - is it loaded, or built in and with parameters? */
bool viofs_pci_has_module(const char *module);

/** viofs_pci_noiommu_advice() - a sentence on VFIO's mode for machines with no IOMMU, as far as
 * this kernel has it. */
const char *viofs_pci_noiommu_advice(void);

/**
 * viofs_pci_function_bind() - hand the function to @driver by driver_override
 * Writes driver_override, unbinds the present driver, probes, and checks who has it then. On
 * failure the former driver is put back. Does nothing where @driver has it already. Return: 0;
 * -ENODEV: no such driver registered (module not loaded); -EBUSY and others.
 */
int viofs_pci_function_bind(const struct viofs_pci_address *a, const char *driver,
			    struct viofs_err *err);

/**
 * viofs_pci_function_release() - driver_override cleared, given to @former ("" = left without one)
 * Return: 0 or -errno.
 */
int viofs_pci_function_release(const struct viofs_pci_address *a, const char *former,
			       struct viofs_err *err);

/**
 * viofs_pci_group_check() - is every other function of the IOMMU group free for VFIO?
 * A group can be opened only when all its functions are bound to vfio-pci, to pci-stub, to a PCIe
 * port's driver, or to none.
 * Return: 0; -EPERM with the sibling and its driver named in @err; -ENODEV: no group.
 */
int viofs_pci_group_check(const struct viofs_pci_function *f, struct viofs_err *err);

#define VIOFS_PCI_VFIO_NAME 64

/**
 * viofs_pci_function_vfio_name() - the function's node in /dev/vfio/devices: "vfio3",
 * "noiommu-vfio3" Return: 0; -ENOENT: it has none: not bound for VFIO, or a kernel without such
 * nodes.
 */
int viofs_pci_function_vfio_name(const struct viofs_pci_function *f,
				 char name[VIOFS_PCI_VFIO_NAME]);

#endif
