/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The supervisor: the process that has the device and the mount, and outlives the worker. */
#ifndef VIOFS_DAEMON_SUPERVISOR_H
#define VIOFS_DAEMON_SUPERVISOR_H

#include "daemon/options.h"

/**
 * viofs_supervisor_run() - mount, watch over the worker, and take everything back at the end
 * @outcome_fd: for viofs_launch_outcome(), -1: in the foreground.
 * Return: the exit status: 0 after an unmount (whoever asked for it), 1 after a failure; what went
 * wrong has been said.
 */
int viofs_supervisor_run(const struct viofs_options *o, int outcome_fd);

#endif
