/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sysfs tree with PCI functions in a test's own tree, and a kernel behind it. */
#ifndef TESTS_UNIT_MODEL_SYSFS_H
#define TESTS_UNIT_MODEL_SYSFS_H

#include "pci/address.h"

#include <stdbool.h>

/* How the kernel of this tree behaves. */
struct model_kernel {
	const char *refuses_at; /* writes to such a path fail with `error` */
	int error;
	const char *taken_by;   /* takes whatever is probed */
	bool no_probe;          /* the driver does not take it */
	unsigned int killed_at; /* who makes the so-many-th write ends before it; 0: nobody */
	char log[2048];         /* what was written: "attribute=text;" */
};

extern struct model_kernel model_kernel;

/* After tree_make(): an empty bus, with the drivers virtio-pci and vfio-pci. */
void model_sysfs_start(void);
void model_sysfs_end(void);

/* All that is the machine's: a tree with such a sysfs, a /proc, and a directory for records. */
void model_machine_start(void);
void model_machine_end(void);

/* @group: NULL: in none. */
void model_add_function(const char *address, const char *vendor, const char *device,
			const char *driver, const char *group);
struct viofs_pci_address model_address(const char *text);
void model_set_driver(const char *address, const char *driver);
const char *model_driver(const char *address);
const char *model_override(const char *address);

#endif
