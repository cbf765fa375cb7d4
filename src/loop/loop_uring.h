/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What only a loop on an io_uring can: commands of FUSE over io_uring (relay/entry.c), which the
 * same system call submits that waits for anything. A command's user_data is odd.
 */
#ifndef VIOFS_LOOP_LOOP_URING_H
#define VIOFS_LOOP_LOOP_URING_H

#include "loop/loop.h"

#include <liburing.h>

/** typedef viofs_loop_completed - a command completed; @data: its user_data. Called while waiting
 * or flushing. */
typedef void viofs_loop_completed(void *arg, uint64_t data, int res);

/** viofs_loop_uring_open() - Return: 0 or -errno (-ENOSYS, -EPERM: io_uring is switched off). */
int viofs_loop_uring_open(struct viofs_loop *l);

/** viofs_loop_uring_open_restricted() - as viofs_loop_open_restricted(). */
int viofs_loop_uring_open_restricted(struct viofs_loop *l, unsigned int commands, bool alone);

/** viofs_loop_uring_listen() - the function that completed commands are handed to. */
void viofs_loop_uring_listen(struct viofs_loop *l, viofs_loop_completed *completed, void *arg);

/** viofs_loop_uring_command() - an SQE of 128 bytes for a command; viofs_loop_flush() or _wait()
 * submits it. */
struct io_uring_sqe *viofs_loop_uring_command(struct viofs_loop *l);

/** viofs_loop_uring_ring() - the ring that is in use now. */
struct io_uring *viofs_loop_uring_ring(const struct viofs_loop *l);

#endif
