/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The address of a PCI function, as text and back. */
#include "pci/address.h"

#include <errno.h>
#include <stdio.h>

#define DOMAIN_DIGITS_MIN 4
#define DOMAIN_DIGITS_MAX 8

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Takes all hex digits at *@p, up to @max. Return: how many there were. */
static unsigned int parse_hex(const char **p, unsigned int max, uint32_t *value)
{
	unsigned int n = 0;

	*value = 0;
	while (n < max && hex_digit(**p) >= 0) {
		*value = *value << 4 | (uint32_t)hex_digit(**p);
		(*p)++;
		n++;
	}
	return n;
}

static bool parse_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

int viofs_pci_address_parse(const char *text, struct viofs_pci_address *out)
{
	uint32_t domain = 0, bus, device, function;
	const char *p = text;
	unsigned int n;

	n = parse_hex(&p, DOMAIN_DIGITS_MAX, &bus);
	if (!parse_char(&p, ':'))
		return -EINVAL;
	if (n >= DOMAIN_DIGITS_MIN) {
		domain = bus;
		n = parse_hex(&p, 2, &bus);
		if (!parse_char(&p, ':'))
			return -EINVAL;
	}
	if (n != 2)
		return -EINVAL;
	if (parse_hex(&p, 2, &device) != 2 || device > 31 || !parse_char(&p, '.'))
		return -EINVAL;
	if (parse_hex(&p, 1, &function) != 1 || function > 7 || *p)
		return -EINVAL;

	*out = (struct viofs_pci_address){
		.domain = domain,
		.bus = (uint8_t)bus,
		.device = (uint8_t)device,
		.function = (uint8_t)function,
	};
	return 0;
}

const char *viofs_pci_address_format(const struct viofs_pci_address *a,
				     char buf[VIOFS_PCI_ADDRESS_TEXT])
{
	/* Masked, so that a caller's mistake can't overflow @buf. */
	snprintf(buf, VIOFS_PCI_ADDRESS_TEXT, "%04x:%02x:%02x.%u", a->domain, a->bus,
		 a->device & 0x1fU, a->function & 7U);
	return buf;
}

bool viofs_pci_address_equal(const struct viofs_pci_address *a, const struct viofs_pci_address *b)
{
	return a->domain == b->domain && a->bus == b->bus && a->device == b->device &&
	       a->function == b->function;
}
