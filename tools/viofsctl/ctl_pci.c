/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libpci knows of a device: its name, and the list of its capabilities. */
#include "ctl.h"
#include "attach/source.h"
#include "base/util.h"

#include <pci/pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

/* libpci's own hook exits the program. */
static jmp_buf pci_failed;

__attribute__((noreturn, format(printf, 1, 2))) static void pci_error(char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	viofs_ctl_complain("libpci: %s", text);
	longjmp(pci_failed, 1);
}

static const char *virtio_type(unsigned int type)
{
	static const char *const names[] = { "", "common", "notify", "isr", "device", "pci-cfg" };

	return type < VIOFS_ARRAY_SIZE(names) && type ? names[type] : "other";
}

static json_t *virtio_capability(struct pci_dev *d, unsigned int at)
{
	unsigned int type = pci_read_byte(d, (int)at + 3);

	return json_pack("{s:s, s:i, s:s, s:i, s:I, s:I}", "capability", "virtio", "at", (int)at,
			 "structure", virtio_type(type), "bar", (int)pci_read_byte(d, (int)at + 4),
			 "offset", (json_int_t)pci_read_long(d, (int)at + 8), "length",
			 (json_int_t)pci_read_long(d, (int)at + 12));
}

static json_t *capability(struct pci_dev *d, const struct pci_cap *c)
{
	char text[16];

	if (c->type == PCI_CAP_NORMAL && c->id == PCI_CAP_ID_VNDR)
		return virtio_capability(d, c->addr);
	/* Message control comes after the id and the next pointer. */
	if (c->type == PCI_CAP_NORMAL && c->id == PCI_CAP_ID_MSIX)
		return json_pack("{s:s, s:i, s:i}", "capability", "MSI-X", "at", (int)c->addr,
				 "vectors",
				 (pci_read_word(d, (int)c->addr + 2) & PCI_MSIX_TABSIZE) + 1);
	snprintf(text, sizeof(text), "%s 0x%02x", c->type == PCI_CAP_NORMAL ? "id" : "extended",
		 c->id);
	return json_pack("{s:s, s:i}", "capability",
			 c->id == PCI_CAP_ID_EXP && c->type == PCI_CAP_NORMAL ? "PCI Express"
									      : text,
			 "at", (int)c->addr);
}

void viofs_ctl_add_pci(json_t *o, const struct viofs_pci_function *f)
{
	struct pci_access *pci = pci_alloc();
	json_t *list = json_array();
	struct pci_dev *d;
	char name[256];

	pci->error = pci_error;
	if (!setjmp(pci_failed)) {
		pci_init(pci);
		d = pci_get_dev(pci, (int)f->address.domain, f->address.bus, f->address.device,
				f->address.function);
		pci_fill_info(d, PCI_FILL_IDENT | PCI_FILL_CAPS);
		json_object_set_new(
			o, "name",
			json_string(pci_lookup_name(pci, name, sizeof(name),
						    PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE,
						    d->vendor_id, d->device_id)));
		for (struct pci_cap *c = d->first_cap; c; c = c->next)
			json_array_append_new(list, capability(d, c));
		pci_free_dev(d);
		pci_cleanup(pci);
	}
	json_object_set_new(o, "capabilities", list);
}
