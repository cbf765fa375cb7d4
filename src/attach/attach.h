/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens a device that was found and is held: afterwards it is negotiated and reaches our memory. */
#ifndef VIOFS_ATTACH_ATTACH_H
#define VIOFS_ATTACH_ATTACH_H

#include "dma/arena.h"
#include "fs/fs.h"
#include "attach/source.h"

#include <stdbool.h>

/** enum viofs_ring_choice - the form of the virtqueues */
enum viofs_ring_choice {
	VIOFS_ATTACH_RING_AUTO, /* packed where the device offers it */
	VIOFS_ATTACH_RING_ONLY_SPLIT,
	VIOFS_ATTACH_RING_ONLY_PACKED,
};

/** struct viofs_attach_options - how a device is to be opened; zeros are the defaults */
struct viofs_attach_options {
	struct viofs_transport_options transport;
	enum viofs_ring_choice ring;
	bool notification; /* take VIRTIO_FS_F_NOTIFICATION where it is offered */
};

/**
 * viofs_attach_open() - open VFIO or connect, reset, negotiate
 * Return: 0 and *@out; -ESTALE: the device lacks the tag that was asked for; -errno with @err.
 */
int viofs_attach_open(const struct viofs_source *s, const struct viofs_attach_options *options,
		      struct viofs_fs **out, struct viofs_err *err);

/**
 * viofs_attach_close() - halt a device, then close what leads to it
 * @fs: or NULL. @arena: what the device was given, or NULL. It is still there afterwards.
 * If the device can't be stopped, the kernel cuts it off from memory when its last descriptor
 * closes. So free the memory only after this call, whatever it returns.
 * Return: 0; -errno: a function that could not be stopped from here.
 */
int viofs_attach_close(struct viofs_fs *fs, struct viofs_arena *arena);

/** viofs_attach_map() - let the device reach @arena. Return: 0 or -errno with @err. */
int viofs_attach_map(const struct viofs_fs *fs, struct viofs_arena *arena, struct viofs_err *err);

#endif
