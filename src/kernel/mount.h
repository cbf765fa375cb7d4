/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A FUSE file system of ours, from its first mount to its last.
 *
 * It is one connection to the kernel (/dev/fuse), one super block, and any number of mounts of
 * that: the one that is made here, and copies of it. Whether it exists is known by its connection,
 * which mounts are its own by the super block's minor while it exists, and one of them by its mount
 * ID. Paths are for messages.
 */
#ifndef VIOFS_KERNEL_MOUNT_H
#define VIOFS_KERNEL_MOUNT_H

#include "base/err.h"
#include "kernel/mount_options.h"
#include "kernel/places.h"

#include <stdbool.h>
#include <stdint.h>

struct viofs_mount;

/** struct viofs_mount_config - what to mount */
struct viofs_mount_config {
	const char *source; /* what /proc/mounts shows: tag or address */
	int directory;      /* of viofs_mount_point_open() */
	const struct viofs_mount_options *options;
	uint32_t max_read; /* bytes, 0 = the kernel's own bound */
};

/** viofs_mount_new() - open /dev/fuse; mounts nothing yet. Return: 0 or -errno, in @err. */
int viofs_mount_new(struct viofs_mount **out, struct viofs_err *err);

/**
 * viofs_mount_start() - mount, type fuse.virtiofs-vfio, default_permissions and allow_other as the
 * kernel's virtiofs has them
 * Return: 0, and the kernel's INIT can be read from viofs_mount_fd(); -errno with the kernel's
 * words in @err.
 */
int viofs_mount_start(struct viofs_mount *m, const struct viofs_mount_config *config,
		      struct viofs_err *err);

/**
 * viofs_mount_put() - a mount that has no place yet (fsmount, open_tree) onto a directory. Return:
 * 0 or -errno.
 */
int viofs_mount_put(int mount_fd, int directory);

/** viofs_mount_fd() - /dev/fuse of this mount, O_NONBLOCK. */
int viofs_mount_fd(const struct viofs_mount *m);

/** viofs_mount_minor() - of its file system: its own as long as that exists. */
unsigned int viofs_mount_minor(const struct viofs_mount *m);

/** viofs_mount_control_fd() - its directory in fusectl; -1: there is none. */
int viofs_mount_control_fd(const struct viofs_mount *m);

/**
 * viofs_mount_exists() - has the file system a mount anywhere, detached or in another namespace?
 */
bool viofs_mount_exists(const struct viofs_mount *m);

/**
 * viofs_mount_places() - where it is mounted in this namespace
 * @places: out, for viofs_places_free(); empty where the connection has ended.
 * Return: 0 or -errno.
 */
int viofs_mount_places(const struct viofs_mount *m, struct viofs_places *places);

/**
 * viofs_mount_is_there() - is it mounted anywhere in this namespace where it can be unmounted? That
 * is, not as its root.
 */
bool viofs_mount_is_there(const struct viofs_mount *m);

/**
 * viofs_mount_unmount() - umount2(2) of all its mounts while somebody serves: dirty pages get
 * written Return: 0; -EBUSY: at least one is in use; -EINVAL: there was none.
 */
int viofs_mount_unmount(struct viofs_mount *m);

/**
 * viofs_mount_clone() - another mount of the same file system, for viofs_mount_put()
 * Return: descriptor; -ESTALE: there is no mount in this namespace; -errno.
 */
int viofs_mount_clone(const struct viofs_mount *m);

/** viofs_mount_sync() - write dirty pages out (syncfs; blocks). Return: 0 or -errno. */
int viofs_mount_sync(struct viofs_mount *m);

/**
 * viofs_mount_end() - abort the connection and detach all mounts: who still uses one gets errors
 * In that order, since nothing else ends a mount whose device hangs.
 * Return: 0: the connection has ended; -errno: it goes on until nobody has /dev/fuse of it open.
 */
int viofs_mount_end(struct viofs_mount *m);

/**
 * viofs_mount_abort() - end the connection: every request in flight or to come fails
 * This connection's, or nothing: the number of one that has ended may be another one's now.
 */
int viofs_mount_abort(struct viofs_mount *m);

/**
 * viofs_mount_hang_up() - close /dev/fuse: with its last copy gone the kernel ends the connection
 * Also of a mount that isn't where it was made any more. NULL is fine.
 */
void viofs_mount_hang_up(struct viofs_mount *m);

/** viofs_mount_close() - close /dev/fuse and free; does not unmount. NULL is fine. */
void viofs_mount_close(struct viofs_mount *m);

#endif
