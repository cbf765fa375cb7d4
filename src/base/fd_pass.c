/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor that goes by a socket to another process. */
#include "base/fd_pass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union room {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int viofs_fd_pass(int sock, char byte, int fd)
{
	union room room = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
				      .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS } };
	struct iovec data = { &byte, 1 };
	const struct msghdr m = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &room,
				  .msg_controllen = sizeof(room) };

	memcpy(CMSG_DATA(&room.head), &fd, sizeof(fd));
	return sendmsg(sock, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The descriptor that came along, unless there is one already. */
static void take_fd(struct msghdr *m, int *fd)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int got;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(got)))
		return;
	memcpy(&got, CMSG_DATA(c), sizeof(got));
	if (*fd < 0)
		*fd = got;
	else
		close(got);
}

ssize_t viofs_fd_receive(int sock, void *buf, size_t len, int flags, int *fd)
{
	struct iovec data = { buf, len };
	union room room;
	ssize_t n;

	for (;;) {
		/* CMSG_SPACE() has room for two on 64 bits. */
		struct msghdr m = { .msg_iov = &data,
				    .msg_iovlen = 1,
				    .msg_control = fd ? &room : NULL,
				    .msg_controllen = fd ? CMSG_LEN(sizeof(int)) : 0 };

		n = recvmsg(sock, &m, flags | MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0 && fd)
			take_fd(&m, fd);
		return n;
	}
}
