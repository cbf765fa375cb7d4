/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sending and receiving vhost-user messages. */
/*
 * The socket is non-blocking and every wait has an end: a back end that stops in the middle of a
 * message costs one time-out. A message is written and read as header and payload, and a reply is
 * looked at only when all of it has come.
 */
#include "vhost/wire.h"

#include "base/fd_pass.h"
#include "base/util.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define FLAG_VERSION 1U
#define FLAG_VERSION_MASK 3U
#define FLAG_REPLY (1U << 2)
#define FLAG_NEED_REPLY (1U << 3)

/* What comes first on the wire. */
struct header {
	uint32_t request, flags, size;
};

static const char *const names[] = {
	[VIOFS_VHOST_GET_FEATURES] = "GET_FEATURES",
	[VIOFS_VHOST_SET_FEATURES] = "SET_FEATURES",
	[VIOFS_VHOST_SET_OWNER] = "SET_OWNER",
	[VIOFS_VHOST_SET_MEM_TABLE] = "SET_MEM_TABLE",
	[VIOFS_VHOST_SET_VRING_NUM] = "SET_VRING_NUM",
	[VIOFS_VHOST_SET_VRING_ADDR] = "SET_VRING_ADDR",
	[VIOFS_VHOST_SET_VRING_BASE] = "SET_VRING_BASE",
	[VIOFS_VHOST_GET_VRING_BASE] = "GET_VRING_BASE",
	[VIOFS_VHOST_SET_VRING_KICK] = "SET_VRING_KICK",
	[VIOFS_VHOST_SET_VRING_CALL] = "SET_VRING_CALL",
	[VIOFS_VHOST_SET_VRING_ERR] = "SET_VRING_ERR",
	[VIOFS_VHOST_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
	[VIOFS_VHOST_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
	[VIOFS_VHOST_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
	[VIOFS_VHOST_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
	[VIOFS_VHOST_GET_CONFIG] = "GET_CONFIG",
	[VIOFS_VHOST_ADD_MEM_REG] = "ADD_MEM_REG",
	[VIOFS_VHOST_REM_MEM_REG] = "REM_MEM_REG",
	[VIOFS_VHOST_GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
	[VIOFS_VHOST_SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
};

const char *viofs_vhost_request_name(enum viofs_vhost_request request)
{
	return names[request];
}

/* Return: 0: @events or an error are there to be met; -ETIMEDOUT; -errno. */
static int wait_for(int sock, short events, int64_t end_ns)
{
	struct pollfd p = { .fd = sock, .events = events };

	for (;;) {
		int64_t left = end_ns - viofs_now_ns();
		int rc;

		if (left <= 0)
			return -ETIMEDOUT;
		/* Rounded up; otherwise the last millisecond would be a busy loop. */
		rc = poll(&p, 1, (int)(left / VIOFS_NSEC_PER_MSEC) + 1);
		if (rc > 0)
			return 0;
		if (rc < 0 && errno != EINTR)
			return -errno;
	}
}

/* One errno for the many ways in which a closed connection shows. */
static int closed(int rc)
{
	return rc == -EPIPE ? -ECONNRESET : rc;
}

static void attach(struct msghdr *msg, char *control, size_t size, int fd)
{
	struct cmsghdr *c;

	memset(control, 0, size);
	msg->msg_control = control;
	msg->msg_controllen = size;
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
}

int viofs_vhost_send(int sock, const struct viofs_vhost_message *m, int fd, bool need_reply,
		     int64_t end_ns)
{
	uint8_t raw[sizeof(struct header) + sizeof(m->payload)];
	const struct header h = {
		.request = m->request,
		.flags = FLAG_VERSION | (need_reply ? FLAG_NEED_REPLY : 0),
		.size = m->size,
	};
	size_t len = sizeof(h) + m->size, done = 0;
	char control[CMSG_SPACE(sizeof(fd))] __attribute__((aligned(8)));

	memcpy(raw, &h, sizeof(h));
	memcpy(raw + sizeof(h), &m->payload, m->size);
	while (done < len) {
		struct iovec iov = { raw + done, len - done };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;
		int rc;

		/* With the first byte, and only with it. */
		if (fd >= 0 && !done)
			attach(&msg, control, sizeof(control), fd);
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return closed(-errno);
		rc = wait_for(sock, POLLOUT, end_ns);
		if (rc)
			return rc;
	}
	return 0;
}

static int receive_all(int sock, void *buf, size_t len, int *fd, int64_t end_ns)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = viofs_fd_receive(sock, p, len, MSG_DONTWAIT, fd);
		int rc;

		if (n > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (!n)
			return -ECONNRESET;
		if (errno != EAGAIN)
			return closed(-errno);
		rc = wait_for(sock, POLLIN, end_ns);
		if (rc)
			return rc;
	}
	return 0;
}

int viofs_vhost_receive(int sock, enum viofs_vhost_request request, struct viofs_vhost_message *m,
			int *fd, int64_t end_ns)
{
	struct viofs_vhost_message reply = { .request = request };
	struct header h;
	int got = -1, rc;

	rc = receive_all(sock, &h, sizeof(h), fd ? &got : NULL, end_ns);
	if (!rc && (h.request != request || (h.flags & FLAG_VERSION_MASK) != FLAG_VERSION ||
		    !(h.flags & FLAG_REPLY) || h.size > sizeof(reply.payload)))
		rc = -EPROTO;
	if (!rc) {
		reply.size = h.size;
		rc = receive_all(sock, &reply.payload, h.size, NULL, end_ns);
	}
	if (rc && got >= 0)
		close(got);
	if (rc)
		return rc;
	*m = reply;
	if (fd)
		*fd = got;
	return 0;
}
