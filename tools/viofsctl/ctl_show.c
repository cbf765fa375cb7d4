/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofsctl show: one device in detail.
 *
 * Names and the capability list come from libpci. Features and queue sizes are in registers; they
 * are read through VFIO, and only where that takes the device from nobody: it has no driver, or
 * vfio-pci that nobody uses. A daemon that has it is asked instead.
 */
#include "ctl.h"
#include "base/util.h"
#include "daemon/remedy.h"
#include "daemon/control.h"
#include "daemon/status.h"
#include "fs/device.h"
#include "attach/source.h"
#include "virtio/virtio.h"

#include <errno.h>
#include <limits.h>
#include <pci/pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* The name and the capabilities, into @o. */
static void add_pci(json_t *o, const struct viofs_pci_function *f)
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

/* The id of its shared memory (virtio 1.3 5.11.6.4). */
#define DAX_WINDOW 0

json_t *viofs_ctl_queue_sizes(const struct viofs_fs *fs)
{
	json_t *list = json_array();

	for (unsigned int q = 0; q < fs->queue_count; q++)
		json_array_append_new(list,
				      json_integer(fs->virtio->ops->queue_max(fs->virtio, q)));
	return list;
}

static void add_registers(json_t *o, const struct viofs_fs *fs)
{
	struct viofs_virtio *d = fs->virtio;
	struct viofs_virtio_description way;
	struct viofs_virtio_shm window;

	d->ops->describe(d, &way);
	json_object_set_new(o, "vfio", json_string(way.vfio));
	if (way.passed_over)
		json_object_set_new(o, "vfio_passed_over", json_string(way.passed_over));
	if (!d->mapper->translates)
		json_object_set_new(o, "note",
				    json_string("no IOMMU: mounts take -o allow-unsafe-noiommu, "
						"and give the device all memory of this "
						"machine"));
	json_object_set_new(o, "translates", json_boolean(d->mapper->translates));
	json_object_set_new(o, "features", viofs_status_features(d->offered));
	json_object_set_new(o, "num_request_queues", json_integer(fs->num_request_queues));
	json_object_set_new(o, "queue_sizes", viofs_ctl_queue_sizes(fs));
	json_object_set_new(o, "msix_vectors", json_integer(way.vectors));
	if (d->ops->shm_region && !d->ops->shm_region(d, DAX_WINDOW, &window))
		json_object_set_new(o, "dax_window", json_integer((json_int_t)window.length));
	json_object_set_new(o, "dma",
			    json_string(d->offered & VIOFS_VIRTIO_F_ACCESS_PLATFORM
						? "translated by the IOMMU"
						: "physical addresses (ACCESS_PLATFORM is not "
						  "offered: the device bypasses the IOMMU)"));
}

static int look(struct viofs_virtio *d, void *object, struct viofs_err *err)
{
	struct viofs_fs *fs;
	int rc = viofs_fs_open(d, &fs, err);

	if (rc) {
		viofs_virtio_close(d);
		return rc;
	}
	add_registers(object, fs);
	viofs_fs_close(fs);
	return 0;
}
/* Why the registers were not looked at, or the daemon that has them. */
static void add_device(json_t *o, const struct viofs_pci_function *f)
{
	struct viofs_err err = { .text = "" };
	char path[PATH_MAX], note[600];
	json_t *status = NULL;

	snprintf(path, sizeof(path), VIOFS_RUN_DIR "/%s" VIOFS_CONTROL_SUFFIX, f->text);
	if (!viofs_control_ask(path, VIOFS_CONTROL_STATUS, &status)) {
		json_object_set_new(o, "daemon", status);
		return;
	}
	if (f->driver[0] && strcmp(f->driver, "vfio-pci") != 0)
		snprintf(note, sizeof(note),
			 "%s has the device: features and queue sizes are read only "
			 "through VFIO (viofsctl bind %s first)",
			 f->driver, f->text);
	else if (!viofs_source_look(f, look, o, &err))
		return;
	if (err.text[0]) {
		/* In the words of virtiofs-vfio, which would use the device. */
		viofs_remedy_add(&err);
		snprintf(note, sizeof(note), "%s", err.text);
	}
	json_object_set_new(o, "note", json_string(note));
}

static void print_strings(const char *title, const json_t *list)
{
	size_t i;
	json_t *item;

	printf("%-14s", title);
	json_array_foreach(list, i, item)
	{
		if (json_is_string(item))
			printf(" %s", json_string_value(item));
		else
			printf(" %lld", (long long)json_integer_value(item));
	}
	putchar('\n');
}

static void print_capabilities(const json_t *list)
{
	size_t i;
	json_t *c;

	json_array_foreach(list, i, c)
	{
		printf("capability     at 0x%02llx %s",
		       (long long)json_integer_value(json_object_get(c, "at")),
		       json_string_value(json_object_get(c, "capability")));
		if (json_object_get(c, "structure"))
			printf(" %s: BAR %lld, offset 0x%llx, length 0x%llx",
			       json_string_value(json_object_get(c, "structure")),
			       (long long)json_integer_value(json_object_get(c, "bar")),
			       (long long)json_integer_value(json_object_get(c, "offset")),
			       (long long)json_integer_value(json_object_get(c, "length")));
		else if (json_object_get(c, "vectors"))
			printf(": %lld vectors",
			       (long long)json_integer_value(json_object_get(c, "vectors")));
		putchar('\n');
	}
}

static void print_value(const char *title, const json_t *v)
{
	if (json_is_string(v))
		printf("%-14s %s\n", title, json_string_value(v));
	else if (json_is_integer(v))
		printf("%-14s %lld\n", title, (long long)json_integer_value(v));
}

static void print_device(const json_t *o)
{
	static const char *const values[][2] = {
		{ "address", "address" },
		{ "name", "name" },
		{ "tag", "tag" },
		{ "driver", "driver" },
		{ "IOMMU group", "iommu_group" },
		{ "mounted at", "mountpoint" },
		{ "transport", "transport" },
		{ "vfio", "vfio" },
		{ "  passed over", "vfio_passed_over" },
		{ "DMA", "dma" },
		{ "request queues", "num_request_queues" },
		{ "MSI-X vectors", "msix_vectors" },
		{ "DAX window", "dax_window" },
		{ "note", "note" },
	};
	const json_t *daemon = json_object_get(o, "daemon");

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(values); i++)
		print_value(values[i][0], json_object_get(o, values[i][1]));
	if (json_object_get(o, "features"))
		print_strings("features", json_object_get(o, "features"));
	if (json_object_get(o, "queue_sizes"))
		print_strings("queue sizes", json_object_get(o, "queue_sizes"));
	if (daemon) {
		print_value("vfio", json_object_get(json_object_get(daemon, "device"), "vfio"));
		print_value("  passed over",
			    json_object_get(json_object_get(daemon, "device"), "vfio_passed_over"));
		print_value("DMA", json_object_get(json_object_get(daemon, "device"), "dma"));
		print_strings("features", json_object_get(json_object_get(daemon, "device"),
							  "features_offered"));
		puts("daemon         see viofsctl status");
	}
	print_capabilities(json_object_get(o, "capabilities"));
}

int viofs_ctl_print_device(json_t *o, bool json)
{
	if (json)
		return viofs_ctl_print_json(o);
	viofs_ctl_clean(o);
	print_device(o);
	json_decref(o);
	return 0;
}

int viofs_ctl_show(const char *source, bool json)
{
	struct viofs_source s;
	struct viofs_err err;
	json_t *o;

	if (viofs_source_find(source, &s, &err))
		return viofs_ctl_complain("%s", err.text);
	if (!viofs_source_is_function(&s))
		return viofs_ctl_show_socket(&s, source, json);
	o = viofs_ctl_describe(&s.function);
	add_pci(o, &s.function);
	add_device(o, &s.function);
	return viofs_ctl_print_device(o, json);
}
