/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sleeping on an io_uring. */
#include "relay/sleep.h"
#include "base/file.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

/*
 * What a restricted ring may be set up with. The kernel does its part of a request in the thread
 * that submitted it. It shall not interrupt it for that: the thread looks for a flag in the ring's
 * memory, and comes when it has something to submit too. With DEFER_TASKRUN (Linux 6.1) waking it
 * costs least.
 */
#define ONE_THREADS                                                                                \
	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG)
#define ANY_THREADS (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

int viofs_sleep_init(struct viofs_sleep *s)
{
	int rc;

	memset(s, 0, sizeof(*s));
	s->ring = &s->first;
	rc = io_uring_queue_init(2 * VIOFS_SLEEP_FDS, s->ring, 0);
	s->open = !rc;
	return rc;
}

int viofs_sleep_say(int rc, struct viofs_err *err)
{
	static const char refused[] =
		"A seccomp filter may be what refuses it, such as a container's: it must let "
		"io_uring_setup, io_uring_enter and io_uring_register through.";
	uint64_t disabled = 0;

	viofs_text_read_u64("/proc/sys/kernel/io_uring_disabled", &disabled);
	if (rc == -EPERM && disabled)
		return viofs_err_set(err, rc,
				     "io_uring: %s: it is switched off here. (The sysctl "
				     "kernel.io_uring_disabled is %d; it must be 0, or 1 with "
				     "CAP_SYS_ADMIN.)",
				     strerror(-rc), (int)disabled);
	if (rc == -EPERM || rc == -EACCES)
		return viofs_err_set(err, rc, "io_uring: %s, though it is not switched off. %s",
				     strerror(-rc), refused);
	if (rc == -ENOSYS)
		return viofs_err_set(err, rc,
				     "io_uring: %s: this kernel is built without it, or "
				     "hides it. %s",
				     strerror(-rc), refused);
	if (rc == -EMFILE || rc == -ENFILE)
		return viofs_err_set(err, rc, "io_uring: %s: raise the limit (ulimit -n).",
				     strerror(-rc));
	return viofs_err_set(err, rc, "io_uring: %s.", strerror(-rc));
}

/* liburing 2.3 declares functions for this and for restrictions, but its library has them not. */
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
		/* viofs_sleep_adopt() */
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
	rc = io_uring_queue_init(2 * VIOFS_SLEEP_FDS + commands, ring, flags);
	if (rc)
		return rc;
	rc = restrict_ring(ring, commands);
	if (rc)
		io_uring_queue_exit(ring);
	return rc;
}

int viofs_sleep_init_restricted(struct viofs_sleep *s, unsigned int commands, bool alone)
{
	int rc;

	memset(s, 0, sizeof(*s));
	s->ring = &s->first;
	rc = alone ? open_restricted(&s->first, commands, ONE_THREADS) : -EINVAL;
	s->alone = !rc;
	if (rc == -EINVAL)
		rc = open_restricted(&s->first, commands, commands ? ANY_THREADS : 0);
	if (rc)
		return rc;
	s->open = true;
	if (s->alone) {
		rc = open_restricted(&s->spare, 0, 0);
		s->alone = !rc;
	}
	if (!rc && s->alone)
		rc = enable(&s->spare);
	if (rc)
		viofs_sleep_fini(s);
	return rc;
}

int viofs_sleep_own(struct viofs_sleep *s)
{
	return enable(&s->first);
}

void viofs_sleep_fini(struct viofs_sleep *s)
{
	if (s->open)
		io_uring_queue_exit(&s->first);
	if (s->alone)
		io_uring_queue_exit(&s->spare);
	s->open = s->alone = false;
}

int viofs_sleep_add(struct viofs_sleep *s, int fd, bool counter)
{
	if (s->count == VIOFS_SLEEP_FDS)
		return -ENOSPC;
	s->fds[s->count] = (struct viofs_sleep_fd){ .fd = fd, .counter = counter };
	return (int)s->count++;
}

int viofs_sleep_add_shared(struct viofs_sleep *s, int fd, bool shared)
{
	int index = viofs_sleep_add(s, fd, false);

	if (index >= 0)
		s->fds[index].shared = shared;
	return index;
}

void viofs_sleep_remove(struct viofs_sleep *s, unsigned int index)
{
	assert(index < s->count && !s->fds[index].outstanding);
	s->fds[index].fd = -1;
	s->fds[index].woke = false;
}

/* What viofs_sleep_adopt() itself submits. */
#define NO_FD VIOFS_SLEEP_FDS

/* user_data: even, and another one for each thread. */
static uint64_t to_data(const struct viofs_sleep *s, unsigned int index)
{
	return (uint64_t)s->epoch << 8 | index << 1;
}

static void prepare(struct viofs_sleep *s, struct viofs_sleep_fd *f)
{
	/* The ring has twice as many entries as there are descriptors: there is always one. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(s->ring);

	if (f->counter)
		io_uring_prep_read(sqe, f->fd, &f->value, sizeof(f->value), 0);
	else
		/* Whoever was woken alone looks until nothing is left: no request is overlooked. */
		io_uring_prep_poll_add(sqe, f->fd, POLLIN | (f->shared ? EPOLLEXCLUSIVE : 0U));
	sqe->user_data = to_data(s, (unsigned int)(f - s->fds));
	f->outstanding = true;
}

/* Return: it fired. */
static bool take(struct viofs_sleep *s, uint64_t data, int res)
{
	unsigned int index = data >> 1 & 0x7f;
	struct viofs_sleep_fd *f = &s->fds[index];
	bool own = data >> 8 == s->epoch;

	if (index >= s->count)
		return false;
	if (own)
		f->outstanding = false;
	/* A request that was cut short by a signal is simply made again. One of a thread before may
	 * have emptied an eventfd before it was cancelled. */
	if (res == -EINTR || res == -EAGAIN || res == -ECANCELED || (res < 0 && !own))
		return false;
	f->woke = true;
	return true;
}

/* Return: how many fired. */
static int reap(struct viofs_sleep *s)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;
	int fired = 0;

	io_uring_for_each_cqe(s->ring, head, cqe)
	{
		n++;
		if (cqe->user_data == LIBURING_UDATA_TIMEOUT)
			continue;
		if (cqe->user_data & 1) {
			s->other(s->other_arg, cqe->user_data, cqe->res);
			fired++;
		} else {
			fired += take(s, cqe->user_data, cqe->res);
		}
	}
	io_uring_cq_advance(s->ring, n);
	return fired;
}

void viofs_sleep_adopt(struct viofs_sleep *s)
{
	uint32_t before = s->epoch++;

	if (s->ring == &s->first && s->alone) {
		/* What is in it comes to the other thread, if it ever waits there, and to nobody
		 * else. */
		for (unsigned int i = 0; i < s->count; i++)
			s->fds[i].outstanding = false;
		s->ring = &s->spare;
		return;
	}
	for (unsigned int i = 0; i < s->count; i++) {
		struct io_uring_sqe *sqe;

		if (!s->fds[i].outstanding)
			continue;
		s->fds[i].outstanding = false;
		/* As many as there are descriptors; they go before any of our own is prepared. */
		sqe = viofs_sleep_command(s);
		io_uring_prep_cancel64(sqe, (uint64_t)before << 8 | i << 1, 0);
		sqe->user_data = to_data(s, NO_FD);
	}
	/* What isn't submitted now goes with the next wait. */
	io_uring_submit(s->ring);
}

struct io_uring_sqe *viofs_sleep_command(struct viofs_sleep *s)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(s->ring);

	assert(sqe); /* as many as were announced, and one for each descriptor */
	return sqe;
}

int viofs_sleep_flush(struct viofs_sleep *s)
{
	int rc = 0;

	/* Submitting makes the kernel do its part as well, where it is told so. */
	if (io_uring_sq_ready(s->ring))
		rc = io_uring_submit_and_get_events(s->ring);
	else if (IO_URING_READ_ONCE(*s->ring->sq.kflags) & IORING_SQ_TASKRUN)
		rc = io_uring_get_events(s->ring);
	reap(s);
	return rc < 0 && rc != -EINTR ? rc : 0;
}

/* Not what has fired and was not looked at: it would again, at once. */
void viofs_sleep_arm(struct viofs_sleep *s, unsigned int index)
{
	struct viofs_sleep_fd *f = &s->fds[index];

	if (f->fd >= 0 && !f->paused && !f->outstanding && !f->woke)
		prepare(s, f);
}

int viofs_sleep_wait(struct viofs_sleep *s, int64_t timeout_ns)
{
	struct __kernel_timespec ts = { timeout_ns / VIOFS_NSEC_PER_SEC,
					timeout_ns % VIOFS_NSEC_PER_SEC };
	struct io_uring_cqe *cqe;
	int rc;

	for (unsigned int i = 0; i < s->count; i++) {
		s->fds[i].woke = false;
		viofs_sleep_arm(s, i);
	}
	rc = io_uring_submit_and_wait_timeout(s->ring, &cqe, 1, timeout_ns < 0 ? NULL : &ts, NULL);
	if (reap(s))
		return 0;
	return rc == -EINTR || rc >= 0 ? 0 : rc;
}
