/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a device, whatever its transport. */
#include "attach/attach.h"
#include "base/log.h"

#include <errno.h>

static int open_fs(struct viofs_virtio *virtio, const struct viofs_attach_options *options,
		   struct viofs_fs **out, struct viofs_err *err)
{
	uint64_t wanted = VIOFS_FS_WANTED;

	if (options->notification)
		wanted |= VIOFS_FS_F_NOTIFICATION;
	if (options->ring == VIOFS_ATTACH_RING_ONLY_SPLIT)
		wanted &= ~VIOFS_VIRTIO_F_RING_PACKED;
	if (options->ring == VIOFS_ATTACH_RING_ONLY_PACKED) {
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
	return viofs_fs_open_with(virtio, wanted, out, err);
}

int viofs_attach_open(const struct viofs_source *s, const struct viofs_attach_options *options,
		      struct viofs_fs **out, struct viofs_err *err)
{
	struct viofs_virtio *virtio;
	struct viofs_fs *fs;
	int rc;

	rc = s->transport->open(viofs_source_name(s), &options->transport, &virtio, err);
	if (rc)
		return rc;
	rc = open_fs(virtio, options, &fs, err);
	if (rc) {
		viofs_virtio_close(virtio);
		return rc;
	}
	rc = viofs_source_check_tag(s, fs->tag, err);
	if (rc) {
		viofs_fs_close(fs);
		return rc;
	}
	*out = fs;
	return 0;
}

int viofs_attach_close(struct viofs_fs *fs, struct viofs_arena *arena)
{
	bool by_file = fs && fs->virtio && fs->virtio->mapper->by_file;
	int rc = viofs_fs_close(fs);

	viofs_arena_detach(arena);
	return by_file ? 0 : rc;
}

int viofs_attach_map(const struct viofs_fs *fs, struct viofs_arena *arena, struct viofs_err *err)
{
	return viofs_arena_map(arena, fs->virtio->mapper, viofs_fs_address_policy(fs), err);
}
