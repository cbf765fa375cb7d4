/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The directory that is mounted over: opened once, known by its descriptor from then on. */
#ifndef VIOFS_KERNEL_MOUNT_POINT_H
#define VIOFS_KERNEL_MOUNT_POINT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct viofs_mount_id - a mount while it exists; numbers are given again once it is gone */
struct viofs_mount_id {
	uint64_t mount;     /* as in /proc/self/mountinfo */
	unsigned int minor; /* of the file system's anonymous device; its major is 0 */
	bool is_root;       /* the descriptor is the root of that mount */
};

/**
 * viofs_mount_id_of() - what mount a descriptor belongs to; asks the kernel only, never the file
 * system
 * Return: 0 or -errno.
 */
int viofs_mount_id_of(int fd, struct viofs_mount_id *id);

/**
 * viofs_mount_point_walk() - the directory that a path leads to
 * Only root's symbolic links are followed: the owner of another one could lead the walk anywhere.
 * Return: an O_PATH descriptor; -EPERM: a symbolic link of somebody else's; -errno.
 */
int viofs_mount_point_walk(const char *path);

/**
 * viofs_mount_point_open() - open a directory to mount on
 * The end of such a walk, where nothing is mounted.
 * @real: out, its path without symbolic links, for messages and records.
 * Return: an O_PATH descriptor; -ENOENT, -ENOTDIR, -EPERM (a symbolic link of somebody else's),
 * -EBUSY (is a mount point already), and others, in @err.
 */
int viofs_mount_point_open(const char *path, char *real, size_t size, struct viofs_err *err);

#endif
