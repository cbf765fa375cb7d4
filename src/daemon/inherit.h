/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process has from whoever started it, and what the daemon makes of it. */
#ifndef VIOFS_DAEMON_INHERIT_H
#define VIOFS_DAEMON_INHERIT_H

#include "base/err.h"

#include <signal.h>

/**
 * viofs_inherit_drop_tunables() - begin anew without glibc's tunables
 * @argv: main()'s, unchanged. Comes back where there are none, or where the program's file is not
 * to be found: then with what glibc has read.
 */
void viofs_inherit_drop_tunables(char **argv);

/**
 * viofs_inherit_clean() - before anything else is opened
 * Afterwards: standard descriptors are open and no others are; no signal but those that are meant
 * ends the process; limits are as wide as this process may make them; files are made with the modes
 * that are asked for. Return: 0, or -errno: the process must not go on.
 */
int viofs_inherit_clean(void);

/**
 * viofs_inherit_end_signals() - those that ask for the end, without what the starter has switched
 * off: SIGTERM always; SIGINT, SIGHUP and SIGQUIT unless they were ignored, by nohup(1) or a
 * shell's `&`.
 */
void viofs_inherit_end_signals(sigset_t *set);

/**
 * viofs_inherit_signalfd() - those, and SIGCHLD, come by a descriptor from now on (non-blocking)
 * Return: it, or -errno.
 */
int viofs_inherit_signalfd(struct viofs_err *err);

/**
 * viofs_inherit_widen_limits() - of memory, CPU time, file sizes and descriptors
 * What can't be widened as far as a mount may need is said in a warning.
 */
void viofs_inherit_widen_limits(void);

/**
 * viofs_inherit_no_oom() - the OOM killer spares this process and those that it forks
 * Best effort: without CAP_SYS_RESOURCE that isn't possible, which a debugging message says.
 */
void viofs_inherit_no_oom(void);

#endif
