/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The /dev/fuse channel: requests by readv(2), replies by writev(2). */
#ifndef VIOFS_KERNEL_DEVFUSE_H
#define VIOFS_KERNEL_DEVFUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/**
 * viofs_devfuse_clone() - open /dev/fuse once more for the connection of @fd, O_NONBLOCK
 * Requests come to whoever reads first, and can be answered only where they were read.
 * Return: a descriptor or -errno.
 */
int viofs_devfuse_clone(int fd);

/**
 * viofs_devfuse_defy_stops() - from here on each request of the kernel's continues this process
 * @fd: the mount's /dev/fuse; one of them is enough for all of a connection.
 *
 * For the root of the whole system. At shutdown systemd stops every process with SIGSTOP while it
 * looks whom to kill, and on its way through /proc and /sys it looks at / itself. Where the kernel
 * has to ask us about that, PID 1 waits for a process that PID 1 was to continue. So the request
 * itself continues it: the kernel sends SIGCONT with each (O_ASYNC, F_SETSIG). A stopped process
 * runs by that; for one that runs it is nothing, as nobody has a handler for it.
 *
 * Requests over io_uring send no signal.
 * Return: 0 or -errno.
 */
int viofs_devfuse_defy_stops(int fd);

/**
 * viofs_devfuse_read() - take the kernel's next request
 * @fd: the mount's /dev/fuse, O_NONBLOCK. @iov: at least max(8192, 80 + max_write) bytes in all.
 * Return: bytes; -EAGAIN: none waiting; -ENODEV: unmounted or aborted; -ECONNABORTED: aborted;
 * -EPERM: not mounted yet; -EINVAL: @iov too small. EINTR and ENOENT are dealt with here.
 */
ssize_t viofs_devfuse_read(int fd, const struct iovec *iov, int count);

/**
 * viofs_devfuse_is_over() - would viofs_devfuse_read() say that it is unmounted or aborted? Takes
 * no request.
 */
bool viofs_devfuse_is_over(int fd);

/**
 * viofs_devfuse_reply() - answer a request; iov[0] starts with fuse_out_header, len filled in here
 * Context: any thread. May block on a page lock for READ.
 * Return: 0; -ENOENT: the request is gone (interrupted, aborted): nothing to do; -EINVAL: the
 * kernel didn't take this reply, the request has been ended with EIO; -ENODEV: unmounted.
 */
int viofs_devfuse_reply(int fd, struct iovec *iov, int count);

/**
 * viofs_devfuse_notify() - give the kernel a notification: fuse_out_header with unique 0, and
 * payload Context: any thread, but never a thread that answers requests: this may block on locks
 * whose holder waits for an answer. Return: 0; -ENOENT: it isn't cached; -EINVAL: not known;
 * -ENODEV.
 */
int viofs_devfuse_notify(int fd, const void *message, size_t len);

/**
 * viofs_devfuse_error() - answer @unique with @error (0 or -errno) and no payload. Return: as
 * above.
 */
int viofs_devfuse_error(int fd, uint64_t unique, int error);

#endif
