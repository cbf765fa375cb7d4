/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file system that a daemon has mounted already: another mount of it. */
#ifndef VIOFS_DAEMON_SECOND_H
#define VIOFS_DAEMON_SECOND_H

#include "daemon/options.h"
#include "attach/source.h"

#include <jansson.h>
#include <sys/mount.h>

/* The flags that each mount has for itself. */
#define VIOFS_SECOND_ATTRIBUTES                                                                    \
	(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |            \
	 MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW)

/**
 * viofs_second_mount() - mount what another daemon serves at a second place
 * That daemon clones its mount: both are of one super block, and its session ends with the last
 * one.
 * @directory: of viofs_mount_point_open().
 * Return: 1: done, there is nothing to serve here; 0: nobody serves it, or somebody who is ending;
 * -EBUSY: the options don't go with those of the first mount; others, in @err.
 */
int viofs_second_mount(const struct viofs_source *source, const struct viofs_options *o,
		       int directory, struct viofs_err *err);

/**
 * viofs_second_new_word() - the first of the daemon's options in @o that a running one lacks
 * @reply: of that daemon, with its "options". Return: NULL: it has all of them.
 */
const char *viofs_second_new_word(const struct viofs_options *o, const json_t *reply);

#endif
