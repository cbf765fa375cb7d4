/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vhost-user, the back end's side (vhost-user.rst). */
#include "dev_evil.h"
#include "dev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define VERSION 1U
#define REPLY 4U
#define NEED_REPLY 8U
#define FDS_MAX 8
#define NO_FD (1U << 8)

#define F_NOTIFICATION (1ULL << 0)
#define F_EVENT_IDX (1ULL << 29)
#define F_INDIRECT (1ULL << 28)
#define F_PROTOCOL (1ULL << 30)
#define F_VERSION_1 (1ULL << 32)
#define F_ACCESS_PLATFORM (1ULL << 33)
#define F_PACKED (1ULL << 34)
#define P_MQ (1ULL << 0)
#define P_REPLY_ACK (1ULL << 3)
#define P_BACKEND_REQ (1ULL << 5)
#define P_CONFIG (1ULL << 9)
#define P_INFLIGHT (1ULL << 12)

enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	SET_BACKEND_REQ_FD = 21,
	IOTLB_MSG = 22,
	GET_CONFIG = 24,
	GET_INFLIGHT_FD = 31,
	SET_INFLIGHT_FD = 32,
	MESSAGES = 33,
};

static const char *const names[MESSAGES] = {
	[GET_FEATURES] = "GET_FEATURES",
	[SET_FEATURES] = "SET_FEATURES",
	[SET_OWNER] = "SET_OWNER",
	[SET_MEM_TABLE] = "SET_MEM_TABLE",
	[SET_VRING_NUM] = "SET_VRING_NUM",
	[SET_VRING_ADDR] = "SET_VRING_ADDR",
	[SET_VRING_BASE] = "SET_VRING_BASE",
	[GET_VRING_BASE] = "GET_VRING_BASE",
	[SET_VRING_KICK] = "SET_VRING_KICK",
	[SET_VRING_CALL] = "SET_VRING_CALL",
	[SET_VRING_ERR] = "SET_VRING_ERR",
	[GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
	[SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
	[GET_QUEUE_NUM] = "GET_QUEUE_NUM",
	[SET_VRING_ENABLE] = "SET_VRING_ENABLE",
	[SET_BACKEND_REQ_FD] = "SET_BACKEND_REQ_FD",
	[IOTLB_MSG] = "IOTLB_MSG",
	[GET_CONFIG] = "GET_CONFIG",
	[GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
	[SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
};

/* The wire starts at `request`; `unused` has the payload aligned right behind the 12 bytes of
 * header. */
struct message {
	uint32_t unused;
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		uint32_t u32[2];
		struct {
			uint32_t index, flags;
			uint64_t desc, used, avail, log;
		} addr;
		struct {
			uint32_t count, padding;
			struct {
				uint64_t guest, size, user, offset;
			} regions[DEV_REGIONS_MAX];
		} memory;
		struct {
			uint32_t offset, size, flags;
			uint8_t bytes[256];
		} config;
		struct dev_inflight_message inflight;
		struct dev_iotlb_message iotlb;
	} payload;
	int fds[FDS_MAX];
	unsigned int fd_count;
};

#define HEADER (3 * sizeof(uint32_t))

unsigned int dev_messages_number(const char *name)
{
	for (unsigned int i = 0; i < MESSAGES; i++)
		if (names[i] && !strcmp(names[i], name))
			return i;
	return (unsigned int)atoi(name);
}

int dev_messages_listen(struct dev *d)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(d->socket_path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, d->socket_path);
	unlink(d->socket_path);
	d->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (d->listen_fd < 0 || bind(d->listen_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(d->listen_fd, 1) < 0)
		return -errno;
	return 0;
}

/* Return: false: closed, or not a message. */
static bool receive(int sock, struct message *m)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { &m->request, HEADER };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	memset(m, 0, sizeof(*m));
	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_WAITALL) != (ssize_t)HEADER)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		m->fd_count = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(m->fds, CMSG_DATA(c), m->fd_count * sizeof(int));
	}
	if ((m->flags & 3) != VERSION || m->flags & REPLY)
		dev_driver_fault("message %u with flags 0x%x", m->request, m->flags);
	if (m->size > sizeof(m->payload))
		dev_driver_fault("message %u of %u bytes", m->request, m->size);
	return !m->size || recv(sock, &m->payload, m->size, MSG_WAITALL) == (ssize_t)m->size;
}

static void send_reply(struct dev *d, struct message *m)
{
	m->flags = VERSION | REPLY;
	if (dev_evil_reply_message(d, m->request, &m->request, HEADER + m->size))
		return;
	if (send(d->sock, &m->request, HEADER + m->size, MSG_NOSIGNAL) < 0)
		dev_say("send: %s", strerror(errno));
}

/* The descriptor goes with the first byte. */
static void send_with_fd(struct dev *d, struct message *m, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { &m->request, HEADER + m->size };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	m->flags = VERSION | REPLY;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (!dev_evil_reply_message(d, m->request, &m->request, HEADER + m->size) &&
	    sendmsg(d->sock, &msg, MSG_NOSIGNAL) < 0)
		dev_say("sendmsg: %s", strerror(errno));
	close(fd);
}

static void reply_u64(struct dev *d, struct message *m, uint64_t value)
{
	m->size = sizeof(value);
	m->payload.u64 = value;
	send_reply(d, m);
}

static uint64_t offered(const struct dev *d)
{
	uint64_t f = F_VERSION_1 | F_EVENT_IDX | F_INDIRECT | F_PROTOCOL;

	if (d->packed)
		f |= F_PACKED;
	if (d->notify)
		f |= F_NOTIFICATION;
	if (d->iommu)
		f |= F_ACCESS_PLATFORM;
	return f & ~d->hide_features;
}

static uint64_t offered_protocol(const struct dev *d)
{
	/* Packed rings are noted in another way, which nobody here needs. */
	return (P_MQ | P_REPLY_ACK | (d->packed || d->iommu ? 0 : P_INFLIGHT) |
		(d->tag ? P_CONFIG : 0) | (d->iommu ? P_BACKEND_REQ : 0)) &
	       ~d->hide_protocol;
}

static struct dev_queue *queue_of(struct dev *d, const struct message *m, uint32_t index)
{
	if (index >= dev_queue_count(d))
		dev_driver_fault("%s names queue %u", names[m->request], index);
	return &d->queues[index];
}

static int take_fd(struct message *m, bool may_lack)
{
	int fd = m->fd_count ? m->fds[0] : -1;

	if (fd < 0 && !(may_lack && m->payload.u64 & NO_FD))
		dev_driver_fault("%s has no descriptor", names[m->request]);
	m->fd_count = 0;
	return fd;
}

static int set_memory(struct dev *d, struct message *m)
{
	dev_memory_clear(&d->memory);
	/* What was found in the old memory is looked for again. */
	d->iotlb.count = 0;
	for (unsigned int i = 0; i < DEV_QUEUES_MAX; i++)
		d->queues[i].mapped = false;
	if (m->payload.memory.count != m->fd_count)
		dev_driver_fault("SET_MEM_TABLE of %u regions with %u descriptors",
				 m->payload.memory.count, m->fd_count);
	for (unsigned int i = 0; i < m->fd_count; i++) {
		int rc = dev_memory_add(&d->memory, m->payload.memory.regions[i].guest,
					m->payload.memory.regions[i].user,
					m->payload.memory.regions[i].size,
					m->payload.memory.regions[i].offset, m->fds[i]);

		if (rc)
			dev_driver_fault("region %u can't be mapped: %s", i, strerror(-rc));
	}
	m->fd_count = 0;
	return 0;
}

static void get_config(struct dev *d, struct message *m)
{
	uint8_t config[44] = { 0 };
	size_t size = d->notify ? 44 : 40;
	uint32_t at = m->payload.config.offset, len = m->payload.config.size;

	memcpy(config, d->tag, strnlen(d->tag, 36));
	config[36] = (uint8_t)d->request_queues;
	memcpy(config + 40, &d->notify_size, sizeof(d->notify_size));
	if (at > size || len > size - at)
		dev_driver_fault("GET_CONFIG of %u bytes at %u", len, at);
	memcpy(m->payload.config.bytes, config + at, len);
	m->size = 12 + len;
	send_reply(d, m);
}

static void set_address(struct dev *d, struct message *m)
{
	struct dev_vring *v = &queue_of(d, m, m->payload.addr.index)->vring;

	v->desc = m->payload.addr.desc;
	v->driver = m->payload.addr.avail;
	v->device = m->payload.addr.used;
}

static void set_kick(struct dev *d, struct message *m)
{
	struct dev_queue *q = queue_of(d, m, m->payload.u64 & 0xff);

	q->kick_fd = take_fd(m, false);
	q->vring.packed = d->features & F_PACKED;
	q->vring.event_idx = d->features & F_EVENT_IDX;
	q->vring.indirect = d->features & F_INDIRECT;
	dev_queue_start(q);
}

static void set_features(struct dev *d, struct message *m)
{
	if (m->payload.u64 & ~offered(d))
		dev_driver_fault("features 0x%llx were not offered",
				 (unsigned long long)(m->payload.u64 & ~offered(d)));
	d->features = m->payload.u64;
}

/* Messages that have no reply of their own. Return: 0, or what the acknowledgement says. */
static int set(struct dev *d, struct message *m)
{
	struct dev_queue *q;

	switch (m->request) {
	case SET_FEATURES:
		set_features(d, m);
		return 0;
	case SET_PROTOCOL_FEATURES:
		if (m->payload.u64 & ~offered_protocol(d))
			dev_driver_fault("protocol features that were not offered");
		d->protocol_features = m->payload.u64;
		return 0;
	case SET_OWNER:
		return 0;
	case SET_MEM_TABLE:
		return set_memory(d, m);
	case SET_VRING_NUM:
		queue_of(d, m, m->payload.u32[0])->vring.size = (uint16_t)m->payload.u32[1];
		return m->payload.u32[1] > DEV_RING_MAX;
	case SET_VRING_BASE:
		queue_of(d, m, m->payload.u32[0])->vring.base = m->payload.u32[1];
		return 0;
	case SET_VRING_ADDR:
		set_address(d, m);
		return 0;
	case SET_VRING_KICK:
		set_kick(d, m);
		return 0;
	case SET_VRING_CALL:
		q = queue_of(d, m, m->payload.u64 & 0xff);
		if (q->call_fd >= 0)
			close(q->call_fd);
		q->call_fd = take_fd(m, true);
		return 0;
	case SET_VRING_ERR:
		q = queue_of(d, m, m->payload.u64 & 0xff);
		if (q->err_fd >= 0)
			close(q->err_fd);
		q->err_fd = take_fd(m, false);
		return 0;
	case SET_INFLIGHT_FD:
		dev_inflight_take(d, &m->payload.inflight, take_fd(m, false));
		return 0;
	case SET_BACKEND_REQ_FD:
		d->backend_fd = take_fd(m, false);
		return 0;
	case IOTLB_MSG:
		dev_iotlb_take(d, &m->payload.iotlb);
		return 0;
	case SET_VRING_ENABLE:
		queue_of(d, m, m->payload.u32[0])->enabled = m->payload.u32[1];
		return 0;
	default:
		dev_driver_fault("message %u is not known", m->request);
	}
}

/* Return: false: it has no reply of its own. */
static bool get(struct dev *d, struct message *m)
{
	switch (m->request) {
	case GET_FEATURES:
		reply_u64(d, m, offered(d));
		return true;
	case GET_PROTOCOL_FEATURES:
		reply_u64(d, m, offered_protocol(d));
		return true;
	case GET_QUEUE_NUM:
		reply_u64(d, m, dev_queue_count(d));
		return true;
	case GET_CONFIG:
		get_config(d, m);
		return true;
	case GET_INFLIGHT_FD:
		send_with_fd(d, m, dev_inflight_make(&m->payload.inflight));
		return true;
	case GET_VRING_BASE:
		m->payload.u32[1] = dev_queue_stop(queue_of(d, m, m->payload.u32[0]));
		m->size = 8;
		send_reply(d, m);
		return true;
	default:
		return false;
	}
}

bool dev_messages_take(struct dev *d)
{
	struct message m;
	bool need;
	int rc;

	if (!receive(d->sock, &m))
		return false;
	need = m.flags & NEED_REPLY;
	if (need && !(d->protocol_features & P_REPLY_ACK))
		dev_driver_fault("an acknowledgement is asked for, without REPLY_ACK");
	if (dev_evil_message(d, m.request))
		return !d->quit;
	if (get(d, &m))
		return !d->quit;
	rc = set(d, &m);
	for (unsigned int i = 0; i < m.fd_count; i++)
		close(m.fds[i]);
	if (need)
		reply_u64(d, &m, (uint64_t)dev_evil_ack(d, m.request, rc));
	return !d->quit;
}
