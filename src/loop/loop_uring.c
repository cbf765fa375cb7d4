/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting on an io_uring.
 *
 * The kernel completes a request in the thread that submitted it, and cheapest where that is the
 * ring's only one. A stuck thread completes none, so the thread that takes over uses a spare ring,
 * which any thread may use.
 *
 * An io_uring is a way round a seccomp filter: whoever may submit can open files and connect
 * sockets. A restricted ring takes the opcodes that are used here and FUSE's commands, and nothing
 * can be registered with it.
 */
#include "loop/loop_uring.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

/*
 * Flags to set a restricted ring up with. The kernel does its part of a request in the thread that
 * submitted it. It must not interrupt the thread for that: the thread sees a flag in the ring's
 * memory, and enters the kernel when it has something to submit, too. With DEFER_TASKRUN (Linux
 * 6.1) a wake-up costs least.
 */
#define ONE_THREADS                                                                                \
	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG)
#define ANY_THREADS (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

struct viofs_loop_uring {
	struct io_uring *ring; /* one of these */
	struct io_uring first, spare;
	uint32_t epoch; /* counts threads that took over */
	viofs_loop_completed *completed;
	void *arg;
};

/* Where viofs_loop_has_news() looks. */
static void use_ring(struct viofs_loop *l, struct io_uring *ring)
{
	l->uring->ring = ring;
	l->head = ring->cq.khead;
	l->tail = ring->cq.ktail;
	l->flags = ring->sq.kflags;
	l->flag = IORING_SQ_TASKRUN;
}

/* liburing 2.3 declares functions for this and for restrictions, but its library lacks them. */
static int enable(struct io_uring *ring)
{
	return io_uring_register((unsigned int)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
				 0);
}

static int restrict_ring(struct io_uring *ring, bool commands)
{
	struct io_uring_restriction allowed[] = {
		/* A command that may block is left to a thread of the kernel's. */
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
		  .sqe_flags = commands ? IOSQE_ASYNC : 0 },
		/* prepare() */
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_ADD },
		/* uring_adopt() */
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_ASYNC_CANCEL },
		/* liburing's own for a time-out, where the kernel can't be given one with the wait.
		 */
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_TIMEOUT },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_URING_CMD },
	};
	unsigned int count = VIOFS_ARRAY_SIZE(allowed) - !commands;

	return io_uring_register((unsigned int)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
				 count);
}

/* Still disabled. */
static int open_restricted(struct io_uring *ring, unsigned int commands, unsigned int flags)
{
	int rc;

	flags |= IORING_SETUP_R_DISABLED | (commands ? IORING_SETUP_SQE128 : 0);
	rc = io_uring_queue_init(2 * VIOFS_LOOP_FDS + commands, ring, flags);
	if (rc)
		return rc;
	rc = restrict_ring(ring, commands);
	if (rc)
		io_uring_queue_exit(ring);
	return rc;
}

static void uring_close(struct viofs_loop *l)
{
	io_uring_queue_exit(&l->uring->first);
	if (l->alone)
		io_uring_queue_exit(&l->uring->spare);
	free(l->uring);
	l->uring = NULL;
}

static int uring_own(struct viofs_loop *l)
{
	return enable(&l->uring->first);
}

/* What uring_adopt() itself submits. */
#define NO_FD VIOFS_LOOP_FDS

/* user_data: even, and another one for each thread. */
static uint64_t to_data(const struct viofs_loop *l, unsigned int index)
{
	return (uint64_t)l->uring->epoch << 8 | index << 1;
}

static void prepare(struct viofs_loop *l, struct viofs_loop_fd *f)
{
	/* The ring has twice as many entries as there are descriptors: there is always one. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(l->uring->ring);

	if (f->mode == VIOFS_LOOP_COUNTER)
		io_uring_prep_read(sqe, f->fd, &f->value, sizeof(f->value), 0);
	else
		/* Only one sleeper is woken, and it reads until nothing is left: no request is
		 * overlooked. */
		io_uring_prep_poll_add(
			sqe, f->fd, POLLIN | (f->mode == VIOFS_LOOP_SHARED ? EPOLLEXCLUSIVE : 0U));
	sqe->user_data = to_data(l, (unsigned int)(f - l->fds));
	f->armed = true;
}

/* Return: it fired. */
static bool reap_one(struct viofs_loop *l, uint64_t data, int res)
{
	unsigned int index = data >> 1 & 0x7f;
	struct viofs_loop_fd *f = &l->fds[index];
	bool own = data >> 8 == l->uring->epoch;

	if (index >= l->count)
		return false;
	if (own)
		f->armed = false;
	if (f->fd < 0)
		return false;
	/* A request that was cut short by a signal is simply made again. One of a thread before may
	 * have emptied an eventfd before it was cancelled. */
	if (res == -EINTR || res == -EAGAIN || res == -ECANCELED || (res < 0 && !own))
		return false;
	f->has_fired = true;
	return true;
}

/* Return: how many fired. */
static int reap(struct viofs_loop *l)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;
	int fired = 0;

	io_uring_for_each_cqe(l->uring->ring, head, cqe)
	{
		n++;
		if (cqe->user_data == LIBURING_UDATA_TIMEOUT)
			continue;
		if (cqe->user_data & 1) {
			l->uring->completed(l->uring->arg, cqe->user_data, cqe->res);
			fired++;
		} else {
			fired += reap_one(l, cqe->user_data, cqe->res);
		}
	}
	io_uring_cq_advance(l->uring->ring, n);
	return fired;
}

static void uring_adopt(struct viofs_loop *l)
{
	uint32_t before = l->uring->epoch++;

	if (l->uring->ring == &l->uring->first && l->alone) {
		/* Completions in it come to the other thread if it ever waits there, and to nobody
		 * else. */
		for (unsigned int i = 0; i < l->count; i++)
			l->fds[i].armed = false;
		use_ring(l, &l->uring->spare);
		return;
	}
	for (unsigned int i = 0; i < l->count; i++) {
		struct io_uring_sqe *sqe;

		if (!l->fds[i].armed)
			continue;
		l->fds[i].armed = false;
		/* As many as there are descriptors; they go before any of our own is prepared. */
		sqe = viofs_loop_uring_command(l);
		io_uring_prep_cancel64(sqe, (uint64_t)before << 8 | i << 1, 0);
		sqe->user_data = to_data(l, NO_FD);
	}
	/* What isn't submitted now goes with the next wait. */
	io_uring_submit(l->uring->ring);
}

struct io_uring_sqe *viofs_loop_uring_command(struct viofs_loop *l)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(l->uring->ring);

	assert(sqe); /* as many as were announced, and one for each descriptor */
	return sqe;
}

static int uring_flush(struct viofs_loop *l)
{
	int rc = 0;

	/* Submitting makes the kernel do its part as well, where it is told so. */
	if (io_uring_sq_ready(l->uring->ring))
		rc = io_uring_submit_and_get_events(l->uring->ring);
	else if (IO_URING_READ_ONCE(*l->uring->ring->sq.kflags) & IORING_SQ_TASKRUN)
		rc = io_uring_get_events(l->uring->ring);
	reap(l);
	return rc < 0 && rc != -EINTR ? rc : 0;
}

/* Skip what has fired and was not looked at yet: it would fire again at once. */
static void uring_arm(struct viofs_loop *l, struct viofs_loop_fd *f)
{
	if (f->fd >= 0 && !f->disabled && !f->armed && !f->has_fired)
		prepare(l, f);
}

static int uring_wait(struct viofs_loop *l, int64_t timeout_ns)
{
	struct __kernel_timespec ts = { timeout_ns / VIOFS_NSEC_PER_SEC,
					timeout_ns % VIOFS_NSEC_PER_SEC };
	struct io_uring_cqe *cqe;
	int rc;

	for (unsigned int i = 0; i < l->count; i++) {
		l->fds[i].has_fired = false;
		uring_arm(l, &l->fds[i]);
	}
	rc = io_uring_submit_and_wait_timeout(l->uring->ring, &cqe, 1, timeout_ns < 0 ? NULL : &ts,
					      NULL);
	if (reap(l))
		return 0;
	return rc == -EINTR || rc >= 0 ? 0 : rc;
}

/* Its request stays in the ring; the completion is ignored. */
static void uring_remove(struct viofs_loop *l, struct viofs_loop_fd *f)
{
}

static const struct viofs_loop_ops ops = {
	.close = uring_close,
	.own = uring_own,
	.adopt = uring_adopt,
	.remove = uring_remove,
	.arm = uring_arm,
	.flush = uring_flush,
	.wait = uring_wait,
};

static int finish_open(struct viofs_loop *l, int rc)
{
	if (rc) {
		free(l->uring);
		l->uring = NULL;
		return rc;
	}
	l->ops = &ops;
	use_ring(l, &l->uring->first);
	return 0;
}

int viofs_loop_uring_open(struct viofs_loop *l)
{
	l->uring = calloc(1, sizeof(*l->uring));
	if (!l->uring)
		return -ENOMEM;
	return finish_open(l, io_uring_queue_init(2 * VIOFS_LOOP_FDS, &l->uring->first, 0));
}

/* For the thread that takes over, where the first ring is one thread's own. */
static int open_spare(struct viofs_loop *l)
{
	struct viofs_loop_uring *u = l->uring;
	int rc = open_restricted(&u->spare, 0, 0);

	if (!rc) {
		rc = enable(&u->spare);
		if (rc)
			io_uring_queue_exit(&u->spare);
	}
	if (rc)
		io_uring_queue_exit(&u->first);
	return rc;
}

int viofs_loop_uring_open_restricted(struct viofs_loop *l, unsigned int commands, bool alone)
{
	struct viofs_loop_uring *u = calloc(1, sizeof(*u));
	int rc;

	if (!u)
		return -ENOMEM;
	l->uring = u;
	rc = alone ? open_restricted(&u->first, commands, ONE_THREADS) : -EINVAL;
	l->alone = !rc;
	if (rc == -EINVAL)
		rc = open_restricted(&u->first, commands, commands ? ANY_THREADS : 0);
	if (!rc && l->alone)
		rc = open_spare(l);
	if (rc)
		l->alone = false;
	return finish_open(l, rc);
}

void viofs_loop_uring_listen(struct viofs_loop *l, viofs_loop_completed *completed, void *arg)
{
	l->uring->completed = completed;
	l->uring->arg = arg;
}

struct io_uring *viofs_loop_uring_ring(const struct viofs_loop *l)
{
	return l->uring->ring;
}
