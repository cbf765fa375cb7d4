/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pin memory where no IOMMU does: as a registered buffer of an io_uring. */
/*
 * mlock(2) keeps pages in memory, but not in their place: compaction moves them, locked ones too.
 * Pages with a long-term pin stay in place, and io_uring pins its registered buffers so for as long
 * as the ring exists. The ring is used for nothing else. It is never enabled, and restricted to
 * NOP: a sandboxed process that has a copy of the descriptor can make no system calls by it.
 *
 * System calls as they are, as libviofs needs nothing but libc.
 */
#include "vfio/pin.h"

#include "base/util.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The largest that a buffer may be, and how many there may be (Linux 5.1). */
#define BUFFER_MAX ((size_t)1 << 30)
#define BUFFERS_MAX 1024

static int ring_register(int fd, unsigned int what, const void *arg, unsigned int count)
{
	return syscall(__NR_io_uring_register, fd, what, arg, count) < 0 ? -errno : 0;
}

/* Return: a descriptor, closed at exec(3); or -errno. */
static int open_ring(void)
{
	const struct io_uring_restriction nop = {
		.opcode = IORING_RESTRICTION_SQE_OP,
		.sqe_op = IORING_OP_NOP,
	};
	struct io_uring_params params = { .flags = IORING_SETUP_R_DISABLED };
	int fd = (int)syscall(__NR_io_uring_setup, 1, &params), rc;

	if (fd < 0)
		return -errno;
	rc = ring_register(fd, IORING_REGISTER_RESTRICTIONS, &nop, 1);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int viofs_vfio_pin(void *memory, size_t len)
{
	struct iovec buffers[BUFFERS_MAX];
	unsigned int count = 0;
	size_t done = 0;
	int fd, rc;

	for (; done < len && count < BUFFERS_MAX; count++) {
		buffers[count] = (struct iovec){ (uint8_t *)memory + done,
						 VIOFS_MIN(len - done, BUFFER_MAX) };
		done += buffers[count].iov_len;
	}
	if (done < len)
		return -E2BIG;
	fd = open_ring();
	if (fd < 0)
		return fd;
	rc = ring_register(fd, IORING_REGISTER_BUFFERS, buffers, count);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}
