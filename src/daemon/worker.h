/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker: the process that relays. */
#ifndef VIOFS_DAEMON_WORKER_H
#define VIOFS_DAEMON_WORKER_H

#include "daemon/claim.h"

#include <sys/types.h>

/** struct viofs_worker_report - what the worker tells the supervisor, once, in one write */
struct viofs_worker_report {
	int rc; /* 0: INIT is done, the mount answers; -errno: it failed, @err says how */
	struct viofs_err err;
};

/**
 * viofs_worker_start() - fork the worker
 * It serves until the mount is gone and ends with status 0, or with 1 where the session failed.
 * @detach: it leaves the terminal once it serves.
 * @report_fd: out, where its report can be read.
 * Return: its pid, or -errno.
 */
pid_t viofs_worker_start(struct viofs_claim *claim, int fuse_fd, bool detach, const char *mountpoint,
			 int *report_fd, struct viofs_err *err);

#endif
