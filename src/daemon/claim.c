/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Claiming a device, and giving it back. */
#include "daemon/claim.h"
#include "base/log.h"
#include "virtio/virtio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* For a daemon that has unmounted and still talks to the device: DESTROY, reset, binding. */
#define WAIT_ENDING_MS 15000

/* Is there a daemon to wait for: one that holds the device but has no mount any more? */
static int wait_time(const struct viofs_pci_function *f)
{
	struct viofs_record record;
	struct viofs_mounted at;

	if (viofs_record_read(f->text, &record) || !record.pid)
		return 0;
	if (viofs_tag_mounted(record.tag, f->text, &at) == 1 && at.ours)
		return 0;
	return WAIT_ENDING_MS;
}

static int open_device(struct viofs_claim *c, const struct viofs_pci_function *f,
		       const struct viofs_options *o, struct viofs_err *err)
{
	struct viofs_virtio *virtio;
	int rc;

	rc = viofs_vfio_open(f, o->allow_noiommu, &c->vfio, err);
	if (rc)
		return rc;
	if (!c->vfio->translates)
		viofs_warn("%s is used with no IOMMU: the device can read and write all memory of this "
			   "machine", f->text);
	rc = viofs_virtio_pci_open(c->vfio, &virtio, err);
	if (rc)
		return rc;
	rc = viofs_fs_open(virtio, &c->fs, err);
	if (rc)
		viofs_virtio_close(virtio);
	return rc;
}

static int start_device(struct viofs_claim *c, const struct viofs_options *o, struct viofs_err *err)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };
	int rc;

	viofs_fs_arena_sizes(c->fs, sizes);
	viofs_relay_arena_sizes(&o->relay, sizes);
	rc = viofs_arena_new(sizes, !o->small_pages, &c->arena, err);
	if (!rc)
		rc = viofs_arena_map(c->arena, c->vfio, viofs_fs_address_policy(c->fs), err);
	if (!rc)
		rc = viofs_fs_start(c->fs, c->arena, err);
	if (!rc)
		rc = viofs_relay_new(&o->relay, c->fs, c->arena, &c->relay, err);
	return rc;
}

int viofs_claim_open(const struct viofs_pci_function *f, const struct viofs_options *o,
		     struct viofs_claim **out, struct viofs_err *err)
{
	struct viofs_claim *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	rc = viofs_hold_take(f, wait_time(f), &c->hold, err);
	if (rc) {
		free(c);
		return rc;
	}
	rc = open_device(c, f, o, err);
	if (!rc)
		rc = start_device(c, o, err);
	if (rc) {
		viofs_err_prefix(err, rc, "%s", f->text);
		viofs_claim_close(c, NULL);
		return rc;
	}
	*out = c;
	return 0;
}

int viofs_claim_close(struct viofs_claim *c, struct viofs_err *err)
{
	int rc;

	if (!c)
		return 0;
	viofs_fs_close(c->fs); /* reset: from here on the device touches no memory */
	viofs_relay_free(c->relay);
	viofs_arena_free(c->arena);
	viofs_vfio_close(c->vfio);
	rc = viofs_hold_release(&c->hold, err);
	free(c);
	return rc;
}
