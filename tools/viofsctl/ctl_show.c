/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofsctl show: one device in detail.
 *
 * Names and the capability list come from libpci. Features and queue sizes are in registers; they
 * are read through VFIO, but only if nobody loses the device by that: it has no driver, or is bound
 * to vfio-pci and not in use. If a daemon has the device, the daemon is asked.
 */
#include "ctl.h"
#include "ctl_device.h"
#include "base/util.h"
#include "daemon/remedy.h"
#include "daemon/control.h"
#include "daemon/status.h"
#include "fs/fs.h"
#include "attach/source.h"
#include "virtio/virtio.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

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
	if (f->driver[0] && strcmp(f->driver, VIOFS_PCI_VFIO) != 0)
		snprintf(note, sizeof(note),
			 "%s has the device: features and queue sizes are read only "
			 "through VFIO (viofsctl bind %s first)",
			 f->driver, f->text);
	else if (!viofs_source_look(f, look, o, &err))
		return;
	if (err.text[0]) {
		/* The advice is for the options of virtiofs-vfio, as that would use the device. */
		viofs_remedy_add(&err);
		snprintf(note, sizeof(note), "%s", err.text);
	}
	json_object_set_new(o, "note", json_string(note));
}

int viofs_ctl_show(const char *source, bool json)
{
	struct viofs_ctl_device d;
	struct viofs_source s;
	struct viofs_err err;
	json_t *o;

	if (viofs_source_find(source, &s, &err))
		return viofs_ctl_complain("%s", err.text);
	if (!viofs_source_is_function(&s))
		return viofs_ctl_show_socket(&s, source, json);
	viofs_ctl_device_look(&s.function, &d);
	viofs_ctl_device_complain(&d);
	o = viofs_ctl_device_json(&d);
	viofs_ctl_add_pci(o, &s.function);
	add_device(o, &s.function);
	return viofs_ctl_print_device(o, json);
}
