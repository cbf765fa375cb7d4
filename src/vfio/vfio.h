/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A PCI function in the hands of a process: registers, interrupts, DMA. Back ends meet here. */
#ifndef VIOFS_VFIO_VFIO_H
#define VIOFS_VFIO_VFIO_H

#include "base/err.h"
#include "dma/mapper.h"
#include "pci/caps.h"
#include "pci/function.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct viofs_vfio;

/**
 * struct viofs_vfio_ops - one way to have a function: cdev + iommufd, group + container, either of
 * them with no IOMMU; and the function in memory of the unit tests. All return 0 or -errno unless
 * said otherwise; on failure @err is filled.
 */
struct viofs_vfio_ops {
	const char
		*name; /* "cdev", "group", "noiommu-cdev", "noiommu": as `viofsctl show` says it */
	/** gives everything back: the function is reset by the kernel and cut off from memory, then
	 * what is mapped is taken back, as far as no other process has copies; @v is freed */
	void (*close)(struct viofs_vfio *v);
	/** closes this process's copies of what another process has too: the function is not
	 * touched, but as long as a copy is left the kernel can't have it back; @v is freed */
	void (*close_copy)(struct viofs_vfio *v);
	/** closes this process's copies of the descriptors that only mapping needs: what is mapped
	 * stays mapped until the device is closed. Nothing is mapped or unmapped after it. */
	void (*drop_dma)(struct viofs_vfio *v);
	/** NULL, or why the function is lost: "..." in "the device ..."; NULL here too: nobody
	 * tells */
	const char *(*lost)(struct viofs_vfio *v);
	int (*config_read)(struct viofs_vfio *v, unsigned int off, void *buf, unsigned int len);
	int (*config_write)(struct viofs_vfio *v, unsigned int off, const void *buf,
			    unsigned int len);
	/** bytes of memory BAR @bar (0..5) that can be accessed, 0 = none or not a memory BAR */
	uint64_t (*bar_size)(struct viofs_vfio *v, unsigned int bar);
	/** naturally aligned access of @width 1, 2 or 4 bytes, inside bar_size (checked by the
	 * caller once, asserted here). Little endian on the bus, CPU order here. Can't fail: a
	 * function that is gone reads as all ones. */
	uint32_t (*bar_read)(struct viofs_vfio *v, unsigned int bar, uint64_t off,
			     unsigned int width);
	void (*bar_write)(struct viofs_vfio *v, unsigned int bar, uint64_t off, unsigned int width,
			  uint32_t value);
	/** vectors 0..@count-1 signal @eventfds[i] (-1: not used); @count 0 = MSI-X off */
	int (*msix_set)(struct viofs_vfio *v, const int *eventfds, unsigned int count,
			struct viofs_err *err);
	/** function level reset, where the function has one (-EOPNOTSUPP) */
	int (*reset)(struct viofs_vfio *v);
};

/** struct viofs_vfio - what every back end fills in; embedded at the start of its own struct */
struct viofs_vfio {
	const struct viofs_vfio_ops *ops;
	struct viofs_mapper mapper; /* translates: an IOMMU stands between the device and memory */
	char address[VIOFS_PCI_ADDRESS_TEXT];
	char passed_over[256]; /* better back ends and why not they: "cdev: ...; ...", "" = none */
	int event_fd;          /* readable when ops->lost() may have changed, -1 = none */
	unsigned int msix_vectors; /* that the function has, 0 = no MSI-X */
};

/**
 * viofs_vfio_open() - open a function that is bound to vfio-pci, by the best back end that it can
 * be had by
 * @allow_noiommu: also with no IOMMU, where there is none.
 * In this order: the device's own node and /dev/iommu, group and container, the same two with no
 * IOMMU. Checks that the group is viable, sets up the IOMMU, enables memory. Bus mastering stays
 * off, see viofs_vfio_bus_master_set().
 * Return: 0 and *@out; -ENOENT: vfio not there (modules missing); -EPERM: group not viable, or
 * noiommu not allowed; -EBUSY: somebody else has it; -ENODEV: no IOMMU group; with what to do in
 * @err.
 */
int viofs_vfio_open(const struct viofs_pci_function *f, bool allow_noiommu, struct viofs_vfio **out,
		    struct viofs_err *err);

/** viofs_vfio_close() - NULL is fine. What is mapped is taken back with it, when it is quiet. */
void viofs_vfio_close(struct viofs_vfio *v);

/**
 * viofs_vfio_bus_master_set() - may the function reach memory? (PCI 3.0 6.2.2)
 * On when the device has been reset, and before it is given an address; off where it goes on though
 * it should not.
 * Return: 0; -ENODEV: the function is not on the bus any more, and so reaches nothing; -EIO: the
 * bit does not stick; -errno of the access.
 */
int viofs_vfio_bus_master_set(struct viofs_vfio *v, bool on);

/** viofs_vfio_config() - configuration space accessors over @v, for the capability walk. */
struct viofs_pci_config viofs_vfio_config(struct viofs_vfio *v);

#endif
