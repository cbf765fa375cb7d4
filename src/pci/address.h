/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The address of a PCI function. */
#ifndef VIOFS_PCI_ADDRESS_H
#define VIOFS_PCI_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

/** struct viofs_pci_address - domain:bus:device.function */
struct viofs_pci_address {
	uint32_t domain;
	uint8_t bus;
	uint8_t device;   /* 0..31 */
	uint8_t function; /* 0..7 */
};

/* "ffffffff:ff:1f.7" and a NUL. */
#define VIOFS_PCI_ADDRESS_TEXT 20

/**
 * viofs_pci_address_parse() - read "0000:00:04.0" or "00:04.0"
 * Return: 0, or -EINVAL where @text is not exactly such an address (@out untouched).
 */
int viofs_pci_address_parse(const char *text, struct viofs_pci_address *out);

/** viofs_pci_address_format() - write the long form into @buf. Return: @buf. */
const char *viofs_pci_address_format(const struct viofs_pci_address *a,
				     char buf[VIOFS_PCI_ADDRESS_TEXT]);

bool viofs_pci_address_equal(const struct viofs_pci_address *a, const struct viofs_pci_address *b);

#endif
