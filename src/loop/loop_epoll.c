/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting by epoll.
 *
 * Descriptors stay registered between waits, so a wait is one system call. A counter is never read:
 * a back end may have the same eventfd, could make it blocking and empty it between our poll and
 * our read. It is registered edge-triggered instead: each signal is an event, whatever the count
 * is. Our own eventfds could overflow only after 2^64 signals.
 *
 * A shared descriptor has EPOLLEXCLUSIVE: the kernel wakes one of those who wait. It skips an epoll
 * that nobody waits on. No request is overlooked, since whoever begins to wait looks first.
 */
#include "loop/loop_epoll.h"
#include "base/util.h"
#include "loop/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

static const unsigned int nothing;

static void epoll_close(struct viofs_loop *l)
{
	close(l->epoll_fd);
	l->epoll_fd = -1;
}

/* Any thread may wait on it. */
static int epoll_own(struct viofs_loop *l)
{
	return 0;
}

static void epoll_adopt(struct viofs_loop *l)
{
}

static void epoll_remove(struct viofs_loop *l, struct viofs_loop_fd *f)
{
	if (f->armed)
		epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, f->fd, NULL);
	f->armed = false;
}

/* A look costs a system call whether or not it is registered. */
static void epoll_arm(struct viofs_loop *l, struct viofs_loop_fd *f)
{
}

static int epoll_flush(struct viofs_loop *l)
{
	return 0;
}

/* EPOLLEXCLUSIVE can't be changed once it is there: so register and take away. */
static int add(struct viofs_loop *l, struct viofs_loop_fd *f)
{
	static const uint32_t flags[] = {
		[VIOFS_LOOP_INPUT] = 0,
		[VIOFS_LOOP_SHARED] = EPOLLEXCLUSIVE,
		[VIOFS_LOOP_COUNTER] = EPOLLET,
	};
	struct epoll_event event = {
		.events = EPOLLIN | flags[f->mode],
		.data.u32 = (uint32_t)(f - l->fds),
	};

	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, f->fd, &event) < 0)
		return -errno;
	f->armed = true;
	return 0;
}

static int add_all(struct viofs_loop *l)
{
	for (unsigned int i = 0; i < l->count; i++) {
		struct viofs_loop_fd *f = &l->fds[i];
		bool wanted = f->fd >= 0 && !f->disabled;
		int rc;

		f->has_fired = f->was_silent = false;
		if (f->armed && !wanted)
			epoll_remove(l, f);
		rc = wanted && !f->armed ? add(l, f) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

static int epoll_wait_for(struct viofs_loop *l, int64_t timeout_ns)
{
	struct epoll_event events[VIOFS_LOOP_FDS];
	int64_t ms = (timeout_ns + VIOFS_NSEC_PER_MSEC - 1) / VIOFS_NSEC_PER_MSEC;
	int rc = add_all(l), n;

	if (rc)
		return rc;
	n = epoll_wait(l->epoll_fd, events, VIOFS_LOOP_FDS,
		       timeout_ns < 0 ? -1 : (int)VIOFS_MIN(ms, (int64_t)INT32_MAX));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (unsigned int i = 0; i < l->count; i++)
		l->fds[i].was_silent = l->fds[i].armed;
	for (int i = 0; i < n; i++) {
		struct viofs_loop_fd *f = &l->fds[events[i].data.u32];

		f->has_fired = true;
		f->was_silent = false;
		f->value = 1;
	}
	return n ? 0 : -ETIME;
}

int viofs_loop_epoll_open(struct viofs_loop *l)
{
	static const struct viofs_loop_ops ops = {
		.close = epoll_close,
		.own = epoll_own,
		.adopt = epoll_adopt,
		.remove = epoll_remove,
		.arm = epoll_arm,
		.flush = epoll_flush,
		.wait = epoll_wait_for,
	};

	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return -errno;
	l->ops = &ops;
	l->head = l->tail = l->flags = &nothing;
	l->flag = 0;
	return 0;
}
