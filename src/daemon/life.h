/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is the worker dying, though it can't be waited for? */
#ifndef VIOFS_DAEMON_LIFE_H
#define VIOFS_DAEMON_LIFE_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * viofs_life_start() - a thread of this process that alone has @fd, until the process dies
 * The other end of the pipe has its end then, though some other thread of the process may live on.
 * @fd: closed here, also on failure. Return: 0 or -errno.
 */
int viofs_life_start(int fd);

/**
 * viofs_life_is_stuck() - has @pid been killed, and do only such threads of it live on that wait in
 * the kernel? None of them comes back to its program.
 */
bool viofs_life_is_stuck(pid_t pid);

#endif
