/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handing out the records of what passes. */
#include "daemon/recorder.h"
#include "base/fd_pass.h"
#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Who is asked answers at once, or is about to end. */
#define ANSWER_TIMEOUT_S 5

void viofs_recorder_init(struct viofs_recorder *r, struct viofs_capture *c)
{
	*r = (struct viofs_recorder){ .capture = c, .epoll_fd = -1, .fd = -1 };
	if (c)
		r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
}

static void leave(struct viofs_recorder *r)
{
	if (r->fd < 0)
		return;
	viofs_capture_end(r->capture);
	/* A process that was forked meanwhile may have a copy. */
	epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, r->fd, NULL);
	shutdown(r->fd, SHUT_RDWR);
	close(r->fd);
	r->fd = -1;
}

void viofs_recorder_fini(struct viofs_recorder *r)
{
	leave(r);
	if (r->epoll_fd >= 0)
		close(r->epoll_fd);
	r->epoll_fd = -1;
}

static int hand_out(struct viofs_recorder *r, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int memory = viofs_capture_open(r->capture), rc;

	if (memory < 0)
		return memory;
	rc = viofs_fd_pass(fd, 0, memory);
	close(memory);
	if (!rc && epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		rc = -errno;
	return rc;
}

int viofs_recorder_invite(struct viofs_recorder *r)
{
	int fds[2], rc;

	if (!r->capture || r->epoll_fd < 0)
		return -ENOTSUP;
	/* Who was there may be gone, and nobody has looked yet. */
	viofs_recorder_look(r);
	if (r->fd >= 0)
		return -EBUSY;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	rc = hand_out(r, fds[0]);
	if (rc) {
		close(fds[0]);
		close(fds[1]);
		return rc;
	}
	r->fd = fds[0];
	return fds[1];
}

void viofs_recorder_look(struct viofs_recorder *r)
{
	struct viofs_recorder_wish wish = { .snap = 0 };
	int32_t rc;
	ssize_t n;

	if (r->fd < 0)
		return;
	n = recv(r->fd, &wish, sizeof(wish), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(wish)) {
		leave(r);
		return;
	}
	rc = wish.snap > VIOFS_CAPTURE_SNAP_MAX || wish.contents > 1
		     ? -EINVAL
		     : viofs_capture_begin(r->capture, wish.snap, wish.contents);
	if (!rc)
		viofs_info("viofsctl captures what passes%s",
			   wish.contents ? ", contents of files too" : "");
	if (send(r->fd, &rc, sizeof(rc), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 || rc)
		leave(r);
}

int viofs_recorder_accept(int fd)
{
	const struct timeval t = { .tv_sec = ANSWER_TIMEOUT_S };
	int memory = -1;
	char byte;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	if (viofs_fd_receive(fd, &byte, 1, 0, &memory) < 0)
		return -errno;
	return memory < 0 ? -EPROTO : memory;
}

int viofs_recorder_start(int fd, const struct viofs_recorder_wish *wish)
{
	int32_t rc = -EPROTO;

	if (send(fd, wish, sizeof(*wish), MSG_NOSIGNAL) < 0)
		return -errno;
	if (viofs_fd_receive(fd, &rc, sizeof(rc), 0, NULL) < 0)
		return -errno;
	return rc;
}
