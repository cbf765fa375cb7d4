/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker: the process that relays. */
#ifndef VIOFS_DAEMON_WORKER_H
#define VIOFS_DAEMON_WORKER_H

#include "daemon/claim.h"
#include "daemon/descriptors.h"
#include "daemon/sandbox.h"
#include "loop/loop.h"

#include <sched.h>
#include <sys/types.h>

/** struct viofs_worker_config - what the worker needs of the supervisor, and what not */
struct viofs_worker_config {
	struct viofs_claim *claim;
	int fuse_fd;
	struct viofs_sandbox_config sandbox;
	const cpu_set_t *cpus; /* to run on; empty: wherever this process may */
	/* That the worker may have. All others end with the supervisor: those of its own, and what
	 * threads of its own have open. */
	const struct viofs_descriptors *descriptors;
	struct viofs_loop *supervisors_loop;    /* not open yet for the first worker */
	const struct viofs_relay_config *relay; /* that claim->relay was made with */
	bool succeeds;                          /* another worker, which has died */
	bool crashed;                           /* that one, by itself */
};

/** struct viofs_worker_pipes - what comes from the worker, to be read; both non-blocking */
struct viofs_worker_pipes {
	int report_fd; /* for viofs_report_read() */
	int log_fd;    /* for viofs_message_forward() */
	int life_fd;   /* ends when the worker dies, even where it can't be waited for (life.h) */
};

/**
 * viofs_worker_start() - fork the worker
 * It serves until the mount is gone and ends with status 0, or with 1 where the session failed.
 * Nobody else serves it at that time: a worker that it succeeds is dead.
 * Where the device is lost it reports so, lets go of its descriptors, and answers EIO until the
 * mount is gone. Return: its pid and *@out, or -errno.
 */
pid_t viofs_worker_start(const struct viofs_worker_config *config, struct viofs_worker_pipes *out,
			 struct viofs_err *err);

/**
 * viofs_worker_death() - what a worker died of
 * @status: as of waitpid(2).
 * Return: 0: it ended well; -EIO, in @err.
 */
int viofs_worker_death(int status, struct viofs_err *err);

#endif
