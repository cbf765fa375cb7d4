/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a device, whatever its transport. */
#include "attach/attach.h"
#include "base/log.h"
#include "virtio/virtio.h"

#include <errno.h>

static int open_function(struct viofs_attach *a, const struct viofs_pci_function *f,
			 bool allow_noiommu, struct viofs_virtio **virtio, struct viofs_err *err)
{
	int rc;

	rc = viofs_vfio_open(f, allow_noiommu, &a->vfio, err);
	if (rc)
		return rc;
	if (!a->vfio->mapper.translates)
		viofs_warn("%s is used with no IOMMU: the device can read and write all memory of "
			   "this "
			   "machine",
			   f->text);
	return viofs_virtio_pci_open(a->vfio, virtio, err);
}

static int open_socket(struct viofs_attach *a, const char *path,
		       const struct viofs_attach_options *options, struct viofs_virtio **virtio,
		       struct viofs_err *err)
{
	int rc = viofs_vhost_open(path, VIOFS_VHOST_TIMEOUT_MS, options->track, &a->vhost, err);

	return rc ? rc : viofs_virtio_vhost_open(a->vhost, options->queues, virtio, err);
}

static int open_fs(struct viofs_attach *a, struct viofs_virtio *virtio,
		   const struct viofs_attach_options *options, struct viofs_err *err)
{
	uint64_t wanted = VIOFS_FS_WANTED;

	if (options->notification)
		wanted |= VIOFS_FS_F_NOTIFICATION;
	if (options->ring == VIOFS_RING_ONLY_SPLIT)
		wanted &= ~VIOFS_VIRTIO_F_RING_PACKED;
	if (options->ring == VIOFS_RING_ONLY_PACKED) {
		uint64_t offered = virtio->ops->features_get(virtio);

		if (!(offered & VIOFS_VIRTIO_F_RING_PACKED)) {
			viofs_err_set(
				err, -ENOTSUP,
				"Packed virtqueues are asked for, and the device does not "
				"offer VIRTIO_F_RING_PACKED (features 0x%llx). QEMU passes it "
				"on with packed=on, where the back end has it.",
				(unsigned long long)offered);
			return viofs_err_remedy(err, -ENOTSUP, VIOFS_REMEDY_ANY_RING);
		}
	}
	return viofs_fs_open_with(virtio, wanted, &a->fs, err);
}

int viofs_attach_open(const struct viofs_source *s, const struct viofs_attach_options *options,
		      struct viofs_attach *out, struct viofs_err *err)
{
	struct viofs_virtio *virtio;
	int rc;

	if (s->kind == VIOFS_SOURCE_VHOST_USER)
		rc = open_socket(out, s->path, options, &virtio, err);
	else
		rc = open_function(out, &s->function, options->allow_noiommu, &virtio, err);
	if (rc)
		return rc;
	rc = open_fs(out, virtio, options, err);
	if (rc) {
		viofs_virtio_close(virtio);
		return rc;
	}
	return viofs_source_check_tag(s, out->fs->tag, err);
}

int viofs_attach_close(struct viofs_attach *a, struct viofs_arena *arena)
{
	int rc = viofs_fs_close(a->fs);

	viofs_vhost_close(a->vhost);
	viofs_vfio_close(a->vfio);
	viofs_arena_detach(arena);
	if (!a->vfio)
		rc = 0;
	*a = (struct viofs_attach){ NULL, NULL, NULL };
	return rc;
}

struct viofs_mapper *viofs_attach_mapper(const struct viofs_attach *a)
{
	return a->vhost ? &a->vhost->mapper : &a->vfio->mapper;
}

int viofs_attach_map(const struct viofs_attach *a, struct viofs_arena *arena, struct viofs_err *err)
{
	return viofs_arena_map(arena, viofs_attach_mapper(a), viofs_fs_address_policy(a->fs), err);
}
