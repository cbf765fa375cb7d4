/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leaving the terminal: whoever started the daemon waits until it knows how the start went. */
#ifndef VIOFS_DAEMON_LAUNCH_H
#define VIOFS_DAEMON_LAUNCH_H

#include "base/err.h"

/**
 * viofs_launch() - go on in a child
 * The parent does not return: it waits for viofs_launch_outcome(), says what went wrong, and exits
 * with 0 or @failure. Return: in the child, a descriptor for viofs_launch_outcome(); -errno where
 * there is no child.
 */
int viofs_launch(int failure, struct viofs_err *err);

/**
 * viofs_launch_leave_session() - a session of its own, away from the terminal's signals
 * Not before the mount: only the process group of an automounter may enter what it waits for.
 */
void viofs_launch_leave_session(void);

/** viofs_launch_outcome() - tell the parent. @rc: 0, or -errno with @err. Closes @fd. */
void viofs_launch_outcome(int fd, int rc, const struct viofs_err *err);

/**
 * viofs_launch_detach() - let go of the terminal: messages to the system's log, no standard
 * streams.
 */
void viofs_launch_detach(const char *mountpoint);

/**
 * viofs_launch_tell_systemd() - as sd_notify(3), where the build has it and systemd waits for us.
 */
void viofs_launch_tell_systemd(const char *state);

/**
 * viofs_launch_let_go() - no standard streams, no working directory; messages go where they went.
 */
void viofs_launch_let_go(void);

#endif
