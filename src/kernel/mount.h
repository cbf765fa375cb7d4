/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounting a fuse file system and taking it down again, by libfuse3 and umount2(2). */
#ifndef VIOFS_KERNEL_MOUNT_H
#define VIOFS_KERNEL_MOUNT_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct viofs_mount;

/** struct viofs_mount_config - what to mount */
struct viofs_mount_config {
	const char *source;     /* what /proc/mounts shows: tag or address */
	const char *mountpoint; /* an absolute path, no symbolic links */
	const char
		*options;  /* further options for libfuse and the kernel ("ro,noatime"), or NULL */
	uint32_t max_read; /* bytes, 0 = the kernel's own bound */
};

/**
 * viofs_mount_check() - can something be mounted at @path?
 * Return: 0; -ENOENT, -ENOTDIR, -EBUSY (is a mount point already); -ENODEV: no /dev/fuse; in @err.
 */
int viofs_mount_check(const char *path, struct viofs_err *err);

/**
 * viofs_mount_check_options() - does libfuse understand the options? Mounts nothing.
 * Return: 0; -EINVAL with libfuse's words in @err; -ENOMEM.
 */
int viofs_mount_check_options(const struct viofs_mount_config *config, struct viofs_err *err);

/**
 * viofs_mount_start() - mount, type fuse.virtiofs-vfio, default_permissions and allow_other as the
 * kernel's virtiofs has them, suid and dev unless the options say otherwise
 * Return: 0, and the kernel's INIT can be read from viofs_mount_fd(); -errno with libfuse's words.
 */
int viofs_mount_start(const struct viofs_mount_config *config, struct viofs_mount **out,
		      struct viofs_err *err);

/** viofs_mount_fd() - /dev/fuse of this mount, O_NONBLOCK. */
int viofs_mount_fd(const struct viofs_mount *m);

/** viofs_mount_is_there() - is it still mounted where we put it? */
bool viofs_mount_is_there(const struct viofs_mount *m);

/** viofs_mount_unmount() - umount2(2) while somebody serves: dirty pages get written. Return: 0;
 * -EBUSY; -EINVAL: was not mounted. */
int viofs_mount_unmount(struct viofs_mount *m);

/** viofs_mount_sync() - write dirty pages of the mount out (syncfs; blocks). Return: 0 or -errno.
 */
int viofs_mount_sync(struct viofs_mount *m);

/** viofs_mount_detach() - MNT_DETACH: nobody finds it any more, who has files open keeps them. */
int viofs_mount_detach(struct viofs_mount *m);

/** viofs_mount_abort() - end the connection: every request in flight or to come fails. */
int viofs_mount_abort(struct viofs_mount *m);

/**
 * viofs_mount_hang_up() - close /dev/fuse: with its last copy gone the kernel ends the connection
 * Also of a mount that isn't where it was made any more. NULL is fine.
 */
void viofs_mount_hang_up(struct viofs_mount *m);

/** viofs_mount_close() - close /dev/fuse and free; does not unmount. NULL is fine. */
void viofs_mount_close(struct viofs_mount *m);

#endif
