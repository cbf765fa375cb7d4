/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay: requests of the kernel's FUSE client to the device's queues, replies back. */
#ifndef VIOFS_RELAY_RELAY_H
#define VIOFS_RELAY_RELAY_H

#include "base/err.h"
#include "dma/arena.h"
#include "fs/fs.h"
#include "relay/config.h"

struct viofs_relay;

/**
 * viofs_relay_new() - lay out slots in the mapped arena
 * @fs: negotiated; its queues are used once viofs_relay_run() is called.
 * In the supervisor, before the worker is forked. Return: 0 or -errno.
 */
int viofs_relay_new(const struct viofs_relay_config *config, struct viofs_fs *fs,
		    struct viofs_arena *arena, struct viofs_relay **out, struct viofs_err *err);

/**
 * viofs_relay_describe() - write the session's part of the state (state.h), and where all of it is
 * @config: as viofs_relay_new() was given it: before sizes were bounded.
 * In the process that has made @r, which doesn't serve: where a worker had the state, it is as it
 * was again.
 */
void viofs_relay_describe(struct viofs_relay *r, const struct viofs_relay_config *config);

/** viofs_relay_free() - NULL is fine. */
void viofs_relay_free(struct viofs_relay *r);

/**
 * viofs_relay_open() - a /dev/fuse for each lane, in the process that keeps them
 * With the last copy of one the kernel ends the requests that were read there, so that a worker's
 * death would end them all. viofs_relay_prepare() does it where it wasn't done.
 * Return: 0 or -errno with @err.
 */
int viofs_relay_open(struct viofs_relay *r, int fuse_fd, struct viofs_err *err);

/** viofs_relay_hang_up() - let go of them: nobody serves any more. NULL is fine. */
void viofs_relay_hang_up(struct viofs_relay *r);

/**
 * viofs_relay_prepare() - open what viofs_relay_run() needs, so that it opens nothing
 * For a worker that gives up its rights between the two; viofs_relay_run() does it itself
 * otherwise. Afterwards the relay makes threads, waits, reads and writes; its io_uring can do
 * nothing else. Return: 0 or -errno with @err.
 */
int viofs_relay_prepare(struct viofs_relay *r, int fuse_fd, struct viofs_err *err);

/**
 * viofs_relay_run() - the worker process's life: INIT, serve, DESTROY
 * @fuse_fd: /dev/fuse of the mount, O_NONBLOCK.
 * @ready: called once when INIT is done and the mount answers.
 * Return: 0 after an unmount; -errno where the session failed, with the reason in @err (and in the
 * statistics); the kernel's requests have then been answered with EIO as far as possible. Where the
 * device was lost (viofs_observe_is_lost()) the mount can be served on by viofs_relay_refuse();
 * nothing touches the device any more.
 */
int viofs_relay_run(struct viofs_relay *r, int fuse_fd, void (*ready)(void *), void *ready_arg,
		    struct viofs_err *err);

/**
 * viofs_relay_refuse() - answer every request with EIO until the mount is gone
 * After viofs_relay_run(), in the same process. Touches neither device nor rings: they may be
 * closed. Return: 0, or -errno of reading /dev/fuse.
 */
int viofs_relay_refuse(struct viofs_relay *r);

#endif
