/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The /dev/fuse channel. */
#include "kernel/devfuse.h"
#include "base/barrier.h"
#include "base/uapi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * The two system calls of each request. In a C library readv(2) and writev(2) are cancellation
 * points, which costs time at each call, and nobody cancels our threads. With ThreadSanitizer the
 * library's functions are used, so that it sees what they copy.
 */
#ifdef VIOFS_TSAN
#define do_readv(fd, iov, count) readv(fd, iov, count)
#define do_writev(fd, iov, count) writev(fd, iov, count)
#else
#define do_readv(fd, iov, count) syscall(SYS_readv, (long)(fd), iov, (long)(count))
#define do_writev(fd, iov, count) syscall(SYS_writev, (long)(fd), iov, (long)(count))
#endif

int viofs_devfuse_clone(int fd)
{
	int clone = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK), rc;
	uint32_t of = (uint32_t)fd;

	if (clone < 0)
		return -errno;
	if (!ioctl(clone, FUSE_DEV_IOC_CLONE, &of))
		return clone;
	rc = -errno;
	close(clone);
	return rc;
}

int viofs_devfuse_defy_stops(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETOWN, getpid()) < 0 || fcntl(fd, F_SETSIG, SIGCONT) < 0 ||
	    fcntl(fd, F_SETFL, flags | O_ASYNC) < 0)
		return -errno;
	return 0;
}

ssize_t viofs_devfuse_read(int fd, const struct iovec *iov, int count)
{
	ssize_t n;

	/* ENOENT: the request was aborted while it was being copied; the next one is as good. */
	do {
		n = do_readv(fd, iov, count);
	} while (n < 0 && (errno == EINTR || errno == ENOENT));
	if (n < 0)
		return -errno;
	return n ? n : -ENODEV; /* /dev/fuse has no end of file, so this isn't /dev/fuse any more */
}

bool viofs_devfuse_is_over(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0;
}

int viofs_devfuse_error(int fd, uint64_t unique, int error)
{
	struct fuse_out_header out = { .len = sizeof(out), .error = error, .unique = unique };
	ssize_t n;

	do {
		n = write(fd, &out, sizeof(out));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int viofs_devfuse_notify(int fd, const void *message, size_t len)
{
	ssize_t n;

	do {
		n = write(fd, message, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int viofs_devfuse_reply(int fd, struct iovec *iov, int count)
{
	struct fuse_out_header *out = iov[0].iov_base;
	size_t len = 0;
	ssize_t n;

	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	out->len = (uint32_t)len;
	do {
		n = do_writev(fd, iov, count);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	/*
	 * Where fuse_dev_do_write() refuses a reply, it has ended the request with EIO in some
	 * cases, and left it waiting in others. So answer once more: ENOENT means that it had
	 * ended.
	 */
	viofs_devfuse_error(fd, out->unique, -EIO);
	return -EINVAL;
}
