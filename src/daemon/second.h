/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file system that a daemon has mounted already: another mount of it, and changes to one. */
#ifndef VIOFS_DAEMON_SECOND_H
#define VIOFS_DAEMON_SECOND_H

#include "daemon/options.h"
#include "attach/source.h"

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
 * viofs_second_remount() - "remount": new flags for the mount at @o->mountpoint
 * Options that only a new session could have are refused, unless it has them.
 * Return: 0; -EINVAL (no mount of ours, such an option); others, in @err.
 */
int viofs_second_remount(const struct viofs_options *o, struct viofs_err *err);

#endif
