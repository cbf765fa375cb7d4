/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The front end of a vhost-user back end. */
/*
 * Theory of operation
 *
 * One request is under way at a time. Each is answered, by a reply of its own, by the
 * acknowledgement that REPLY_ACK gives, or, where the back end has none, by a GET_FEATURES sent
 * behind it; so a back end that refuses something or dies is noticed at the message that did it.
 * The first failure is kept in `lost`, and nothing is sent after it: what the back end would make
 * of it isn't known.
 *
 * Addresses. The memory table has one region, the arena's memfd from offset 0 on. Its "guest" and
 * its "user" address only have to be numbers that both sides use alike, so they are one constant,
 * which tells the back end nothing of where our memory lies. Memory that a program of the library's adds
 * comes above it.
 *
 * What the back end can do with what it gets: read and write the device's part of the arena at any
 * time, which a device may anyway. Not the private part, and not cut the memfd short (arena.c). It can
 * punch holes into it: pages that are gone read as zeros, and hugepages may be missing then, for which
 * the kernel kills by SIGBUS. It has the eventfds, and what both have in common of them: whether they
 * block, and how full they are. So they are never written or read in a way that can wait
 * (relay/doorbell.h, relay/sleep.h, viofs_vhost_lost()).
 *
 * Another back end in its place. Where INFLIGHT_SHMFD was negotiated, the back end notes in memory
 * of its own, whose descriptor we keep and never look into, which requests it has taken and not
 * answered. After it has died another one is told everything anew (viofs_vhost_reconnect() and
 * after), gets that memory and the rings as they are, and takes up what was in flight. Who may try
 * that is one process; the other goes by the link (link.h).
 *
 * While no request is under way nothing comes on the socket. So input on it means that the back end
 * has closed it, or does what no front end expects: both are the end.
 */
#include "vhost/vhost.h"

#include "base/barrier.h"
#include "base/util.h"
#include "vhost/connect.h"
#include "vhost/wire.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where the memory starts for the back end; any page but the first would do. */
#define MEMORY_ADDRESS (1ULL << 32)
#define PROTOCOL_WANTED                                                                            \
	(VIOFS_VHOST_PROTOCOL_MQ | VIOFS_VHOST_PROTOCOL_REPLY_ACK | VIOFS_VHOST_PROTOCOL_CONFIG |          \
	 VIOFS_VHOST_PROTOCOL_MEM_SLOTS)
/* Regions begin on these: back ends map them in pages, huge ones too. */
#define REGION_ALIGN (1ULL << 30)
/* SET_VRING_*'s u64: the descriptor is missing on purpose. */
#define VRING_NO_FD (1ULL << 8)
#define CONFIG_HEAD offsetof(union viofs_vhost_payload, config.bytes)

static int lose(struct viofs_vhost *v, enum viofs_vhost_request request, int rc)
{
	const char *name = viofs_vhost_request_name(request);

	switch (rc) {
	case -ECONNRESET:
		snprintf(v->lost, sizeof(v->lost), "closed its socket at %s", name);
		break;
	case -ETIMEDOUT:
		snprintf(v->lost, sizeof(v->lost), "did not answer %s within %d ms", name,
			 v->timeout_ms);
		break;
	case -EPROTO:
		snprintf(v->lost, sizeof(v->lost),
			 "gave an answer to %s that is none of vhost-user's", name);
		break;
	case -EREMOTEIO:
		snprintf(v->lost, sizeof(v->lost), "refused %s", name);
		break;
	default:
		snprintf(v->lost, sizeof(v->lost), "can't be sent %s (%s)", name, strerror(-rc));
	}
	v->closed = rc == -ECONNRESET || rc == -ETIMEDOUT;
	return rc;
}

/* When the message that is sent now is given up. */
static int64_t end_of(const struct viofs_vhost *v)
{
	return v->end_ns ? v->end_ns : viofs_now_ns() + v->timeout_ms * VIOFS_NSEC_PER_MSEC;
}

/*
 * Send @m and take the reply into @m, and the descriptor that comes with it into @fd, where that is
 * not NULL. Return: 0; or -errno, and v->lost is set.
 */
static int ask_with_fd(struct viofs_vhost *v, struct viofs_vhost_message *m, int *fd)
{
	int64_t end = end_of(v);
	enum viofs_vhost_request request = m->request;
	int rc;

	if (v->lost[0])
		return -ENODEV;
	rc = viofs_vhost_send(v->sock, m, -1, false, end);
	if (!rc)
		rc = viofs_vhost_receive(v->sock, request, m, fd, end);
	return rc ? lose(v, request, rc) : 0;
}

static int ask(struct viofs_vhost *v, struct viofs_vhost_message *m)
{
	return ask_with_fd(v, m, NULL);
}

static int ask_u64(struct viofs_vhost *v, enum viofs_vhost_request request, uint64_t *value)
{
	struct viofs_vhost_message m = { .request = request };
	int rc = ask(v, &m);

	if (rc)
		return rc;
	if (m.size != sizeof(m.payload.u64))
		return lose(v, request, -EPROTO);
	*value = m.payload.u64;
	return 0;
}

/* Send @m, with @fd, and learn that the back end took it. Return: 0; or -errno, and v->lost is set.
 */
static int tell(struct viofs_vhost *v, const struct viofs_vhost_message *m, int fd)
{
	int64_t end = end_of(v);
	bool ack = v->protocol_features & VIOFS_VHOST_PROTOCOL_REPLY_ACK;
	struct viofs_vhost_message reply = { .request = VIOFS_VHOST_GET_FEATURES };
	int rc;

	if (v->lost[0])
		return -ENODEV;
	rc = viofs_vhost_send(v->sock, m, fd, ack, end);
	if (!rc && !ack)
		rc = viofs_vhost_send(v->sock, &reply, -1, false, end);
	if (!rc)
		rc = viofs_vhost_receive(v->sock, ack ? m->request : reply.request, &reply,
					 NULL, end);
	if (!rc && reply.size != sizeof(reply.payload.u64))
		rc = -EPROTO;
	if (!rc && ack && reply.payload.u64)
		rc = -EREMOTEIO;
	return rc ? lose(v, m->request, rc) : 0;
}

static int tell_u64(struct viofs_vhost *v, enum viofs_vhost_request request, uint64_t value, int fd)
{
	const struct viofs_vhost_message m = {
		.request = request,
		.size = sizeof(m.payload.u64),
		.payload.u64 = value,
	};

	return tell(v, &m, fd);
}

static int tell_state(struct viofs_vhost *v, enum viofs_vhost_request request, unsigned int index,
		      unsigned int num)
{
	const struct viofs_vhost_message m = {
		.request = request,
		.size = sizeof(m.payload.state),
		.payload.state = { index, num },
	};

	return tell(v, &m, -1);
}

/* The order is QEMU's, which every back end was tried with. */
static int handshake(struct viofs_vhost *v, uint64_t wanted)
{
	const struct viofs_vhost_message owner = { .request = VIOFS_VHOST_SET_OWNER };
	uint64_t offered = 0, taken, queues = 0;
	int rc;

	rc = ask_u64(v, VIOFS_VHOST_GET_FEATURES, &v->features);
	if (rc)
		return rc;
	if (!(v->features & VIOFS_VHOST_F_PROTOCOL_FEATURES))
		return -ENOTSUP;
	v->features &= ~VIOFS_VHOST_F_PROTOCOL_FEATURES;
	rc = ask_u64(v, VIOFS_VHOST_GET_PROTOCOL_FEATURES, &offered);
	if (rc)
		return rc;
	taken = offered & wanted;
	rc = tell_u64(v, VIOFS_VHOST_SET_PROTOCOL_FEATURES, taken, -1);
	if (rc)
		return rc;
	v->protocol_features = taken;
	if (taken & VIOFS_VHOST_PROTOCOL_MQ)
		rc = ask_u64(v, VIOFS_VHOST_GET_QUEUE_NUM, &queues);
	if (!rc)
		rc = tell(v, &owner, -1);
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
	v->timeout_ms = timeout_ms;
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
		rc = viofs_err_set(err, -ENOMEM, "No memory or descriptor to watch the back end with.");
		goto err_close;
	}
	*out = v;
	return 0;

err_close:
	viofs_vhost_close(v);
	return rc;
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
	rc = ask(v, &m);
	if (rc)
		return rc;
	/* A payload of 0 bytes is the standard's "it failed"; some keep the size and set it to 0.
	 */
	if (!m.size || !m.payload.config.size)
		return -EOPNOTSUPP;
	if (m.size != CONFIG_HEAD + len || m.payload.config.size != len)
		return lose(v, m.request, -EPROTO);
	memcpy(buf, m.payload.config.bytes, len);
	return 0;
}

int viofs_vhost_set_features(struct viofs_vhost *v, uint64_t features)
{
	v->acked = features | VIOFS_VHOST_F_PROTOCOL_FEATURES;
	return tell_u64(v, VIOFS_VHOST_SET_FEATURES, v->acked, -1);
}

static int tell_memory(struct viofs_vhost *v, const struct viofs_arena *arena)
{
	const struct viofs_vhost_message m = {
		.request = VIOFS_VHOST_SET_MEM_TABLE,
		.size = sizeof(m.payload.memory),
		.payload.memory = {
			.count = 1,
			.regions[0] = {
				.guest_address = MEMORY_ADDRESS,
				.user_address = MEMORY_ADDRESS,
				.size = viofs_arena_device_size(arena),
			},
		},
	};

	return tell(v, &m, viofs_arena_fd(arena));
}

int viofs_vhost_share(struct viofs_vhost *v, struct viofs_arena *arena, struct viofs_err *err)
{
	int rc = tell_memory(v, arena);

	if (rc)
		return viofs_err_set(err, rc, "The back end %s.", v->lost);
	v->arena = arena;
	viofs_arena_share(arena, MEMORY_ADDRESS);
	v->next_address = MEMORY_ADDRESS + viofs_arena_device_size(arena);
	return 0;
}

static int tell_region(struct viofs_vhost *v, enum viofs_vhost_request request, uint64_t size,
		       uint64_t address, int fd, uint64_t offset)
{
	const struct viofs_vhost_message m = {
		.request = request,
		.size = sizeof(m.payload.region),
		.payload.region = {
			.guest_address = address,
			.size = size,
			.user_address = address,
			.mmap_offset = offset,
		},
	};

	return tell(v, &m, fd);
}

int viofs_vhost_add_region(struct viofs_vhost *v, uint64_t size, int fd, uint64_t offset,
			   uint64_t *address, struct viofs_err *err)
{
	uint64_t at = (v->next_address + REGION_ALIGN - 1) & ~(REGION_ALIGN - 1);
	int rc;

	if (!(v->protocol_features & VIOFS_VHOST_PROTOCOL_MEM_SLOTS))
		return viofs_err_set(err, -ENOTSUP,
				     "The back end takes no memory but what it got at the start (it lacks "
				     "VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS).");
	if (fd < 0)
		return viofs_err_set(err, -EBADF,
				     "A back end needs the file that the memory is mapped from.");
	rc = tell_region(v, VIOFS_VHOST_ADD_MEM_REG, size, at, fd, offset);
	if (rc)
		return viofs_err_set(err, rc, "The back end %s.", v->lost);
	v->next_address = at + size;
	*address = at;
	return 0;
}

int viofs_vhost_remove_region(struct viofs_vhost *v, uint64_t size, uint64_t address,
			      struct viofs_err *err)
{
	int rc = tell_region(v, VIOFS_VHOST_REM_MEM_REG, size, address, -1, 0);

	return rc ? viofs_err_set(err, rc, "The back end %s.", v->lost) : 0;
}

uint16_t viofs_vhost_used_idx(const struct viofs_vhost *v, uint64_t used)
{
	/* virtio 1.3 2.7.8: behind the flags. */
	const uint16_t *at = viofs_arena_at(v->arena, used - MEMORY_ADDRESS + sizeof(*at), sizeof(*at));

	return at ? le16toh(VIOFS_READ_ONCE(*at)) : 0;
}

static int tell_inflight(struct viofs_vhost *v)
{
	const struct viofs_vhost_region *r = &v->inflight;
	const struct viofs_vhost_message m = {
		.request = VIOFS_VHOST_SET_INFLIGHT_FD,
		.size = sizeof(m.payload.inflight),
		.payload.inflight = {
			.mmap_size = r->size,
			.mmap_offset = r->offset,
			.num_queues = r->queues,
			.queue_size = r->entries,
		},
	};

	return tell(v, &m, r->fd);
}

int viofs_vhost_track(struct viofs_vhost *v, unsigned int queues, uint16_t entries)
{
	struct viofs_vhost_message m = {
		.request = VIOFS_VHOST_GET_INFLIGHT_FD,
		.size = sizeof(m.payload.inflight),
		.payload.inflight = { .num_queues = (uint16_t)queues, .queue_size = entries },
	};
	int rc = ask_with_fd(v, &m, &v->inflight.fd);

	if (rc)
		return rc;
	if (m.size != sizeof(m.payload.inflight) || v->inflight.fd < 0)
		return lose(v, VIOFS_VHOST_GET_INFLIGHT_FD, -EPROTO);
	v->inflight.size = m.payload.inflight.mmap_size;
	v->inflight.offset = m.payload.inflight.mmap_offset;
	v->inflight.queues = (uint16_t)queues;
	v->inflight.entries = entries;
	return tell_inflight(v);
}

static int tell_address(struct viofs_vhost *v, unsigned int index, const struct viofs_vhost_ring *r)
{
	const struct viofs_vhost_message m = {
		.request = VIOFS_VHOST_SET_VRING_ADDR,
		.size = sizeof(m.payload.addr),
		.payload.addr = {
			.index = index,
			.desc = r->desc,
			.used = r->device,
			.avail = r->driver,
		},
	};

	return tell(v, &m, -1);
}

int viofs_vhost_ring_start(struct viofs_vhost *v, unsigned int index,
			   const struct viofs_vhost_ring *r)
{
	int rc;

	rc = tell_state(v, VIOFS_VHOST_SET_VRING_NUM, index, r->size);
	if (!rc)
		rc = tell_state(v, VIOFS_VHOST_SET_VRING_BASE, index, r->base);
	if (!rc)
		rc = tell_address(v, index, r);
	if (!rc)
		rc = tell_u64(v, VIOFS_VHOST_SET_VRING_ERR, index, v->err_fd);
	/* The ring starts with its kick; what it signals must be known by then. */
	if (!rc)
		rc = tell_u64(v, VIOFS_VHOST_SET_VRING_CALL,
			      index | (r->call_fd < 0 ? VRING_NO_FD : 0), r->call_fd);
	if (!rc)
		rc = tell_u64(v, VIOFS_VHOST_SET_VRING_KICK, index, r->kick_fd);
	if (!rc)
		rc = tell_state(v, VIOFS_VHOST_SET_VRING_ENABLE, index, 1);
	return rc;
}

int viofs_vhost_ring_stop(struct viofs_vhost *v, unsigned int index)
{
	struct viofs_vhost_message m = {
		.request = VIOFS_VHOST_GET_VRING_BASE,
		.size = sizeof(m.payload.state),
		.payload.state = { .index = index },
	};
	int rc = ask(v, &m);

	/* How far it got is of no interest: the ring is not started again. */
	if (!rc && (m.size != sizeof(m.payload.state) || m.payload.state.index != index))
		rc = lose(v, VIOFS_VHOST_GET_VRING_BASE, -EPROTO);
	return rc;
}

void viofs_vhost_disconnect(struct viofs_vhost *v)
{
	if (v->sock < 0)
		return;
	/* A process that was forked has a copy of it, and so has the epoll as long as that is open. */
	epoll_ctl(v->event_fd, EPOLL_CTL_DEL, v->sock, NULL);
	close(v->sock);
	v->sock = -1;
}

/* What one try came to: nobody there, or somebody who won't do. */
static int say_again(const struct viofs_vhost *v, int rc, struct viofs_err *err)
{
	return viofs_err_set(err, v->closed ? -EAGAIN : rc, "%s%s", v->closed ? "" : "came back and ",
			     v->lost);
}

static int connect_again(struct viofs_vhost *v, struct viofs_err *err)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP };
	struct viofs_err why;
	int rc;

	viofs_vhost_disconnect(v);
	rc = viofs_vhost_connect(v->path, v->end_ns, &why);
	if (rc < 0)
		return viofs_err_set(err, -EAGAIN, "%s", why.text);
	v->sock = rc;
	v->lost[0] = '\0';
	v->closed = false;
	if (epoll_ctl(v->event_fd, EPOLL_CTL_ADD, v->sock, &e) < 0)
		return viofs_err_set(err, -errno, "can't be watched (%s)", strerror(errno));
	return 0;
}

/* Protocol features that are missing, by name. */
static int check_protocol(const struct viofs_vhost *v, uint64_t offered, struct viofs_err *err)
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
		if (known[i].bit & v->protocol_features & ~offered)
			return viofs_err_set(err, -ENOTSUP,
					     "came back without VHOST_USER_PROTOCOL_F_%s, which the "
					     "session uses",
					     known[i].name);
	return 0;
}

int viofs_vhost_reconnect(struct viofs_vhost *v, int64_t end_ns, struct viofs_err *err)
{
	const struct viofs_vhost_message owner = { .request = VIOFS_VHOST_SET_OWNER };
	uint64_t offered = 0, protocol = 0, taken = v->protocol_features, queues = 0;
	int rc;

	v->end_ns = end_ns;
	rc = connect_again(v, err);
	if (rc)
		return rc;
	rc = ask_u64(v, VIOFS_VHOST_GET_FEATURES, &offered);
	if (!rc && offered & VIOFS_VHOST_F_PROTOCOL_FEATURES)
		rc = ask_u64(v, VIOFS_VHOST_GET_PROTOCOL_FEATURES, &protocol);
	if (rc)
		return say_again(v, rc, err);
	rc = check_protocol(v, protocol, err);
	if (rc)
		return rc;
	/* Who has just come has agreed to none of them. */
	v->protocol_features = 0;
	rc = tell_u64(v, VIOFS_VHOST_SET_PROTOCOL_FEATURES, taken, -1);
	v->protocol_features = taken;
	if (!rc && v->protocol_features & VIOFS_VHOST_PROTOCOL_MQ)
		rc = ask_u64(v, VIOFS_VHOST_GET_QUEUE_NUM, &queues);
	if (!rc)
		rc = tell(v, &owner, -1);
	if (rc)
		return say_again(v, rc, err);
	if (queues < v->queue_max)
		return viofs_err_set(err, -ENOTSUP, "came back with %llu virtqueues, it had %u",
				     (unsigned long long)queues, v->queue_max);
	v->features = offered & ~VIOFS_VHOST_F_PROTOCOL_FEATURES;
	return 0;
}

int viofs_vhost_restore(struct viofs_vhost *v, struct viofs_err *err)
{
	int rc;

	rc = tell_u64(v, VIOFS_VHOST_SET_FEATURES, v->acked, -1);
	if (!rc)
		rc = tell_inflight(v);
	if (!rc)
		rc = tell_memory(v, v->arena);
	return rc ? say_again(v, rc, err) : 0;
}

const char *viofs_vhost_look(struct viofs_vhost *v)
{
	struct pollfd error = { .fd = v->err_fd, .events = POLLIN };
	ssize_t n;
	char c;

	if (v->lost[0] && !v->closed)
		return v->lost;
	/* Also of one that has closed its socket: with a broken ring nobody can go on. Not read:
	 * the back end has the eventfd too, and may have made it blocking. */
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
