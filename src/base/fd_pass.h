/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor that goes by a socket to another process, beside a message. */
#ifndef VIOFS_BASE_FD_PASS_H
#define VIOFS_BASE_FD_PASS_H

#include <stddef.h>
#include <sys/types.h>

/**
 * viofs_fd_pass() - send one byte, and a descriptor with it
 * Return: 0 or -errno.
 */
int viofs_fd_pass(int sock, char byte, int fd);

/**
 * viofs_fd_receive() - recv(2), with room for one descriptor where @fd is wanted
 * @flags: 0 or MSG_DONTWAIT. @fd: gets what comes along, close-on-exec, unless it is one already;
 * NULL: the kernel closes what comes. A signal doesn't end the wait.
 * Return: as recv(2), with errno.
 */
ssize_t viofs_fd_receive(int sock, void *buf, size_t len, int flags, int *fd);

#endif
