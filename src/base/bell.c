/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signalling an eventfd that somebody else has too.
 *
 * O_NONBLOCK belongs to what both sides share. So the other side can make the eventfd blocking and
 * fill it, and write(2) would then wait for as long as it likes. A look at the flag before the
 * write is a race, and RWF_NOWAIT doesn't work on eventfds.
 *
 * What the kernel itself does to an eventfd never waits, however full it is. There are two ways to
 * have it done, in the order in which they are tried:
 *
 *   io_uring   the eventfd is registered with a ring, and each completion signals it. To ring the
 *              bell is to submit a NOP. The ring can do nothing else.
 *   AIO        (io_submit(2)) an operation that names the eventfd signals it when it is done. To
 *              ring the bell is to read no bytes from a file of our own. Slower, but allowed in
 *              containers that have no io_uring.
 *
 * System calls as they are, as libviofs needs nothing but libc.
 */
#include "base/bell.h"

#include "base/util.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Completions that AIO keeps until they are fetched. */
#define AIO_EVENTS 64

struct viofs_bell {
	int fd; /* the ring, or the file that AIO reads */
	/* io_uring: mapped memory of the ring, NULL: by AIO. */
	uint8_t *ring;
	size_t ring_size;
	struct io_uring_sqe *sqes;
	size_t sqes_size;
	struct io_uring_params params;
	/* AIO */
	aio_context_t aio;
	int eventfd;
};

static int ring_register(int fd, unsigned int what, const void *arg, unsigned int count)
{
	return syscall(__NR_io_uring_register, fd, what, arg, count) < 0 ? -errno : 0;
}

static int restrict_ring(int fd, int eventfd)
{
	const struct io_uring_restriction nop = {
		.opcode = IORING_RESTRICTION_SQE_OP,
		.sqe_op = IORING_OP_NOP,
	};
	int rc = ring_register(fd, IORING_REGISTER_EVENTFD, &eventfd, 1);

	if (!rc)
		rc = ring_register(fd, IORING_REGISTER_RESTRICTIONS, &nop, 1);
	if (!rc)
		rc = ring_register(fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	return rc;
}

static void *map_ring(int fd, size_t size, uint64_t what)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		       (off_t)what);

	return p == MAP_FAILED ? NULL : p;
}

static void close_ring(struct viofs_bell *b)
{
	if (b->ring)
		munmap(b->ring, b->ring_size);
	if (b->sqes)
		munmap(b->sqes, b->sqes_size);
	b->ring = NULL;
	b->sqes = NULL;
	close(b->fd);
}

/* Return: 0, or -errno: no io_uring. */
static int open_ring(struct viofs_bell *b, int eventfd)
{
	struct io_uring_params *p = &b->params;
	int rc;

	p->flags = IORING_SETUP_R_DISABLED;
	b->fd = (int)syscall(__NR_io_uring_setup, 1, p);
	if (b->fd < 0)
		return -errno;
	rc = restrict_ring(b->fd, eventfd);
	if (!rc && !(p->features & IORING_FEAT_SINGLE_MMAP))
		rc = -ENOSYS;
	if (!rc) {
		b->ring_size =
			VIOFS_MAX(p->sq_off.array + p->sq_entries * sizeof(uint32_t),
				  p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe));
		b->sqes_size = p->sq_entries * sizeof(*b->sqes);
		b->ring = map_ring(b->fd, b->ring_size, IORING_OFF_SQ_RING);
		b->sqes = map_ring(b->fd, b->sqes_size, IORING_OFF_SQES);
		rc = b->ring && b->sqes ? 0 : -ENOMEM;
	}
	if (rc)
		close_ring(b);
	return rc;
}

static uint32_t *ring_word(const struct viofs_bell *b, uint32_t offset)
{
	return (uint32_t *)(void *)(b->ring + offset);
}

static void ring_uring(struct viofs_bell *b)
{
	const struct io_sqring_offsets *sq = &b->params.sq_off;
	const struct io_cqring_offsets *cq = &b->params.cq_off;
	uint32_t *tail = ring_word(b, sq->tail);

	/* An entry that the kernel has not taken yet is submitted now, in place of a new one. */
	if (*tail == __atomic_load_n(ring_word(b, sq->head), __ATOMIC_ACQUIRE)) {
		memset(b->sqes, 0, sizeof(*b->sqes));
		b->sqes->opcode = IORING_OP_NOP;
		*ring_word(b, sq->array) = 0;
		/* The entry before the tail; pairs with the kernel's load of the tail. */
		__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	}
	syscall(__NR_io_uring_enter, b->fd, 1, 0, 0, NULL, 0);
	__atomic_store_n(ring_word(b, cq->head),
			 __atomic_load_n(ring_word(b, cq->tail), __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
}

/* Return: 0, or -errno: no AIO. */
static int open_aio(struct viofs_bell *b, int eventfd)
{
	int rc;

	b->eventfd = eventfd;
	b->fd = memfd_create("viofs-bell", MFD_CLOEXEC);
	if (b->fd < 0)
		return -errno;
	if (syscall(__NR_io_setup, AIO_EVENTS, &b->aio) == 0)
		return 0;
	rc = -errno;
	close(b->fd);
	return rc;
}

static void ring_aio(struct viofs_bell *b)
{
	struct iocb read = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)b->fd,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)b->eventfd,
	};
	struct iocb *list[] = { &read };
	struct timespec now = { 0 };
	struct io_event done[AIO_EVENTS];

	if (syscall(__NR_io_submit, b->aio, 1, list) == 1)
		return;
	/* Full of completions. */
	syscall(__NR_io_getevents, b->aio, 1, AIO_EVENTS, done, &now);
	syscall(__NR_io_submit, b->aio, 1, list);
}

int viofs_bell_new(int eventfd, unsigned int ways, struct viofs_bell **out)
{
	struct viofs_bell *b = calloc(1, sizeof(*b));
	int rc = -ENOSYS;

	if (!b)
		return -ENOMEM;
	if (ways & VIOFS_BELL_URING)
		rc = open_ring(b, eventfd);
	if (rc && ways & VIOFS_BELL_AIO)
		rc = open_aio(b, eventfd);
	if (rc)
		free(b);
	else
		*out = b;
	return rc;
}

void viofs_bell_ring(struct viofs_bell *b)
{
	if (b->ring)
		ring_uring(b);
	else
		ring_aio(b);
}

void viofs_bell_free(struct viofs_bell *b)
{
	if (!b)
		return;
	if (b->ring) {
		close_ring(b);
	} else {
		/* A child of fork(2) has none: it fails there, and nothing is lost. */
		syscall(__NR_io_destroy, b->aio);
		close(b->fd);
	}
	free(b);
}

void viofs_bell_signal(int eventfd)
{
	struct viofs_bell *b;

	/* AIO first: the caller may have been told to use no io_uring. */
	if (viofs_bell_new(eventfd, VIOFS_BELL_AIO, &b) &&
	    viofs_bell_new(eventfd, VIOFS_BELL_URING, &b))
		return;
	viofs_bell_ring(b);
	viofs_bell_free(b);
}
