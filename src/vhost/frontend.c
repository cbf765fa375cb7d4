/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connection to a vhost-user back end: made, looked after, closed. */
/*
 * One exchange is under way at a time (ask.h). While none is, nothing comes on the socket. So input
 * on it means that the back end has closed it, or sends something that nobody asked for. Both end
 * the session.
 *
 * The back end shares our eventfds, O_NONBLOCK flag and counter included. So they are never written
 * or read in a way that can wait (base/bell.h, loop/loop.h, viofs_vhost_lost()).
 */
#include "vhost/ask.h"

#include "base/util.h"
#include "vhost/connect.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROTOCOL_WANTED                                                                            \
	(VIOFS_VHOST_PROTOCOL_MQ | VIOFS_VHOST_PROTOCOL_REPLY_ACK | VIOFS_VHOST_PROTOCOL_CONFIG |  \
	 VIOFS_VHOST_PROTOCOL_MEM_SLOTS)
#define CONFIG_HEAD offsetof(union viofs_vhost_payload, config.bytes)

const char *viofs_vhost_protocol_name(uint64_t mask)
{
	static const struct {
		uint64_t bit;
		const char *name;
	} known[] = {
		{ VIOFS_VHOST_PROTOCOL_MQ, "MQ" },
		{ VIOFS_VHOST_PROTOCOL_REPLY_ACK, "REPLY_ACK" },
		{ VIOFS_VHOST_PROTOCOL_CONFIG, "CONFIG" },
		{ VIOFS_VHOST_PROTOCOL_INFLIGHT_SHMFD, "INFLIGHT_SHMFD" },
		{ VIOFS_VHOST_PROTOCOL_MEM_SLOTS, "CONFIGURE_MEM_SLOTS" },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(known); i++)
		if (mask & known[i].bit)
			return known[i].name;
	return NULL;
}

int viofs_vhost_agree(struct viofs_vhost *v, uint64_t taken, uint64_t *queues)
{
	const struct viofs_vhost_message owner = { .request = VIOFS_VHOST_SET_OWNER };
	int rc;

	*queues = 0;
	/* A back end that has just connected has agreed to no feature yet. */
	v->protocol_features = 0;
	rc = viofs_vhost_tell_u64(v, VIOFS_VHOST_SET_PROTOCOL_FEATURES, taken, -1);
	v->protocol_features = taken;
	if (!rc && taken & VIOFS_VHOST_PROTOCOL_MQ)
		rc = viofs_vhost_ask_u64(v, VIOFS_VHOST_GET_QUEUE_NUM, queues);
	return rc ? rc : viofs_vhost_tell(v, &owner, -1);
}

/* The same order as QEMU's: every back end was tested with that. */
static int handshake(struct viofs_vhost *v, uint64_t wanted)
{
	uint64_t offered = 0, queues;
	int rc;

	rc = viofs_vhost_ask_u64(v, VIOFS_VHOST_GET_FEATURES, &v->features);
	if (rc)
		return rc;
	if (!(v->features & VIOFS_VHOST_F_PROTOCOL_FEATURES))
		return -ENOTSUP;
	v->features &= ~VIOFS_VHOST_F_PROTOCOL_FEATURES;
	rc = viofs_vhost_ask_u64(v, VIOFS_VHOST_GET_PROTOCOL_FEATURES, &offered);
	if (rc)
		return rc;
	rc = viofs_vhost_agree(v, offered & wanted, &queues);
	v->queue_max = (unsigned int)VIOFS_MIN(queues, UINT16_MAX);
	return rc;
}

static int say(const struct viofs_vhost *v, int rc, struct viofs_err *err)
{
	if (rc == -ENOTSUP)
		return viofs_err_set(
			err, rc,
			"The back end does not offer VHOST_USER_F_PROTOCOL_FEATURES (features "
			"0x%llx): it is too old, or no vhost-user-fs back end.",
			(unsigned long long)v->features);
	return viofs_err_set(err, rc,
			     "What listens there %s. Is it a vhost-user-fs back end "
			     "(virtiofsd) that no one else uses? Its own messages may say more.",
			     v->lost);
}

/* One descriptor for the two things that can happen unasked. */
static int watch(struct viofs_vhost *v)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP };

	v->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->event_fd = epoll_create1(EPOLL_CLOEXEC);
	if (v->err_fd < 0 || v->event_fd < 0 ||
	    epoll_ctl(v->event_fd, EPOLL_CTL_ADD, v->sock, &e) < 0 ||
	    epoll_ctl(v->event_fd, EPOLL_CTL_ADD, v->err_fd, &e) < 0)
		return -errno;
	return 0;
}

int viofs_vhost_open(const char *path, int timeout_ms, bool track, struct viofs_vhost **out,
		     struct viofs_err *err)
{
	struct viofs_vhost *v = calloc(1, sizeof(*v));
	uint64_t wanted = PROTOCOL_WANTED | (track ? VIOFS_VHOST_PROTOCOL_INFLIGHT_SHMFD : 0);
	int rc;

	if (!v)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	v->err_fd = v->event_fd = v->inflight.fd = -1;
	viofs_vhost_memory_init(v);
	v->timeout_ms = timeout_ms;
	v->left_ns = timeout_ms * VIOFS_NSEC_PER_MSEC * VIOFS_VHOST_START_FACTOR;
	rc = v->sock =
		viofs_vhost_connect(path, viofs_now_ns() + timeout_ms * VIOFS_NSEC_PER_MSEC, err);
	if (rc < 0)
		goto err_close;
	snprintf(v->path, sizeof(v->path), "%s", path);
	rc = watch(v);
	if (rc) {
		viofs_err_set(err, rc, "No descriptors to watch the socket with: %s.",
			      strerror(-rc));
		goto err_close;
	}
	rc = handshake(v, wanted);
	if (rc) {
		say(v, rc, err);
		goto err_close;
	}
	if (v->protocol_features & VIOFS_VHOST_PROTOCOL_INFLIGHT_SHMFD)
		v->link = viofs_vhost_link_new();
	if (v->protocol_features & VIOFS_VHOST_PROTOCOL_INFLIGHT_SHMFD && !v->link) {
		rc = viofs_err_set(err, -ENOMEM,
				   "No memory or descriptor to watch the back end with.");
		goto err_close;
	}
	*out = v;
	return 0;

err_close:
	viofs_vhost_close(v);
	return rc;
}

void viofs_vhost_started(struct viofs_vhost *v)
{
	v->left_ns = INT64_MAX;
}

void viofs_vhost_set_timeout(struct viofs_vhost *v, int timeout_ms)
{
	v->timeout_ms = timeout_ms;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void viofs_vhost_drop_memory(struct viofs_vhost *v)
{
	close_if_open(v->inflight.fd);
	v->inflight.fd = v->memory.fd = -1;
}

void viofs_vhost_close(struct viofs_vhost *v)
{
	if (!v)
		return;
	close_if_open(v->sock);
	close_if_open(v->err_fd);
	close_if_open(v->event_fd);
	close_if_open(v->inflight.fd);
	viofs_vhost_link_free(v->link);
	free(v);
}

int viofs_vhost_config(struct viofs_vhost *v, unsigned int off, void *buf, unsigned int len)
{
	struct viofs_vhost_message m = {
		.request = VIOFS_VHOST_GET_CONFIG,
		.size = (uint32_t)(CONFIG_HEAD + len),
		.payload.config = { .offset = off, .size = len },
	};
	int rc;

	if (!(v->protocol_features & VIOFS_VHOST_PROTOCOL_CONFIG))
		return -EOPNOTSUPP;
	if (!viofs_range_ok(off, len, VIOFS_VHOST_CONFIG_MAX))
		return -ERANGE;
	rc = viofs_vhost_ask(v, &m);
	if (rc)
		return rc;
	/* A payload of 0 bytes is the standard's "it failed"; some keep the size and set it to 0.
	 */
	if (!m.size || !m.payload.config.size)
		return -EOPNOTSUPP;
	if (m.size != CONFIG_HEAD + len || m.payload.config.size != len)
		return viofs_vhost_lose(v, m.request, -EPROTO);
	memcpy(buf, m.payload.config.bytes, len);
	return 0;
}

int viofs_vhost_set_features(struct viofs_vhost *v, uint64_t features)
{
	v->acked = features | VIOFS_VHOST_F_PROTOCOL_FEATURES;
	return viofs_vhost_tell_u64(v, VIOFS_VHOST_SET_FEATURES, v->acked, -1);
}

const char *viofs_vhost_look(struct viofs_vhost *v)
{
	struct pollfd error = { .fd = v->err_fd, .events = POLLIN };
	ssize_t n;
	char c;

	if (v->lost[0] && !v->closed)
		return v->lost;
	/* Checked for a closed socket, too: no other back end can go on with a broken ring. The
	 * eventfd is polled and not read: the back end shares it, and may have made it blocking. */
	if (poll(&error, 1, 0) > 0) {
		snprintf(v->lost, sizeof(v->lost), "reports an error of a virtqueue");
		v->closed = false;
		return v->lost;
	}
	if (v->lost[0])
		return v->lost;
	n = recv(v->sock, &c, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0) {
		snprintf(v->lost, sizeof(v->lost), "sent a message that nobody asked for");
	} else if (!n || (errno != EAGAIN && errno != EINTR)) {
		snprintf(v->lost, sizeof(v->lost), "has closed its socket");
		v->closed = true;
	}
	return v->lost[0] ? v->lost : NULL;
}

const char *viofs_vhost_lost(struct viofs_vhost *v)
{
	if (!v->link)
		return viofs_vhost_look(v);
	switch (viofs_vhost_link_get(v->link)) {
	case VIOFS_VHOST_LINK_DIRECT:
		return viofs_vhost_look(v);
	case VIOFS_VHOST_LINK_LOST:
		return viofs_vhost_link_reason(v->link);
	default:
		return NULL;
	}
}
