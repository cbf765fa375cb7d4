/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "remount": new flags for a mount that a daemon serves. */
#ifndef VIOFS_DAEMON_REMOUNT_H
#define VIOFS_DAEMON_REMOUNT_H

#include "daemon/options.h"

/**
 * viofs_remount() - new flags for the mount at @o->mountpoint, and for no other of its file system
 * Options that only a new session could have are refused, unless the session has them.
 * Return: 0; -EINVAL (no mount of ours, such an option); others, in @err.
 */
int viofs_remount(const struct viofs_options *o, struct viofs_err *err);

#endif
