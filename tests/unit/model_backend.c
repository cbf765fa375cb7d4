/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model_backend.h"

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD 12
#define VERSION 1U
#define REPLY 4U
#define NEED_REPLY 8U
#define PROTOCOL_FEATURES (1ULL << 30)

void model_backend_init(struct model_backend *b)
{
	memset(b, 0, sizeof(*b));
	b->features = PROTOCOL_FEATURES | 1ULL << 32 | 1ULL << 28 | 1ULL << 29;
	b->protocol = 1ULL << 0 | 1ULL << 3 | 1ULL << 9 | 1ULL << 15;
	b->queues = 2;
	strcpy((char *)b->config, "a-tag");
	b->config[36] = 1;
	b->listener = -1;
	pthread_mutex_init(&b->lock, NULL);
}

/* Return: false: the front end has gone, or the test ends. */
static bool read_all(struct model_backend *b, int sock, void *buf, size_t len, int *fd)
{
	for (size_t done = 0; done < len;) {
		char control[64] __attribute__((aligned(8)));
		struct iovec iov = { (char *)buf + done, len - done };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		struct pollfd p[2] = { { .fd = sock, .events = POLLIN },
				       { .fd = b->stop[0], .events = POLLIN } };
		struct cmsghdr *c;
		ssize_t n;

		if (poll(p, 2, -1) < 0 || p[1].revents)
			return false;
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return false;
		c = CMSG_FIRSTHDR(&msg);
		if (c)
			memcpy(fd, CMSG_DATA(c), sizeof(*fd));
		done += (size_t)n;
	}
	return true;
}

static void reply(int sock, uint32_t request, const void *payload, uint32_t size, int fd)
{
	uint32_t head[3] = { request, VERSION | REPLY, size };
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov[2] = { { head, HEAD }, { (void *)payload, size } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	(void)!sendmsg(sock, &msg, MSG_NOSIGNAL);
}

static void answer_config(struct model_backend *b, int sock, const struct model_message *m,
			  bool refuses)
{
	uint8_t out[12 + 256] = { 0 };
	uint32_t off = m->payload.u32[0], size = m->payload.u32[1];

	memcpy(out, m->payload.bytes, 12);
	if (refuses || b->has_no_config || off + size > sizeof(b->config)) {
		reply(sock, m->request, out, 0, -1);
		return;
	}
	memcpy(out + 12, b->config + off, size);
	reply(sock, m->request, out, 12 + size, -1);
}

static void answer_inflight(int sock, const struct model_message *m)
{
	uint64_t out[3] = { 8192, 4096, m->payload.words[2] };
	int fd = memfd_create("inflight", MFD_CLOEXEC);

	reply(sock, m->request, out, sizeof(out), fd);
	close(fd);
}

/* What a good one answers. */
static void answer(struct model_backend *b, int sock, const struct model_message *m,
		   enum model_fault f)
{
	uint64_t value = 0;
	uint32_t state[2] = { m->payload.u32[0] + (uint32_t)b->wrong_index, 7 };
	uint32_t request = f == MODEL_BABBLES ? m->request + 1 : m->request;
	uint32_t size = f == MODEL_IS_SHORT ? 4 : 8;

	switch (m->request) {
	case MODEL_GET_FEATURES:
		reply(sock, request, &b->features, size, -1);
		return;
	case MODEL_GET_PROTOCOL_FEATURES:
		reply(sock, request, &b->protocol, size, -1);
		return;
	case MODEL_GET_QUEUE_NUM:
		reply(sock, request, &b->queues, size, -1);
		return;
	case MODEL_GET_VRING_BASE:
		reply(sock, request, state, size, -1);
		return;
	case MODEL_GET_CONFIG:
		answer_config(b, sock, m, f == MODEL_REFUSES);
		return;
	case MODEL_GET_INFLIGHT_FD:
		if (f == MODEL_REFUSES)
			reply(sock, request, &value, 0, -1);
		else
			answer_inflight(sock, m);
		return;
	default:
		value = f == MODEL_REFUSES;
		if (m->flags & NEED_REPLY && b->is_acking)
			reply(sock, request, &value, size, -1);
	}
}

/* Return: false: the connection is over. */
static bool take(struct model_backend *b, int sock)
{
	struct model_message *m = &b->got[b->count % 256];
	struct pollfd end = { .fd = b->stop[0], .events = POLLIN };
	unsigned int late_ms;
	enum model_fault f;

	m->fd = -1;
	if (!read_all(b, sock, m, HEAD, &m->fd) || m->size > sizeof(m->payload) ||
	    !read_all(b, sock, &m->payload, m->size, &m->fd))
		return false;
	pthread_mutex_lock(&b->lock);
	b->count++;
	f = b->fault_at == m->request ? b->fault : MODEL_GOOD;
	late_ms = b->late_ms;
	pthread_mutex_unlock(&b->lock);
	if (m->request == MODEL_SET_PROTOCOL_FEATURES)
		b->is_acking = m->payload.u64 & 1ULL << 3;
	usleep(late_ms * 1000);
	if (f == MODEL_CLOSES)
		return false;
	if (f == MODEL_IS_QUIET)
		return poll(&end, 1, -1) < 0;
	answer(b, sock, m, f);
	return true;
}

static void *serve(void *arg)
{
	struct model_backend *b = arg;

	for (;;) {
		struct pollfd p[2] = { { .fd = b->listener, .events = POLLIN },
				       { .fd = b->stop[0], .events = POLLIN } };
		int sock;

		if (poll(p, 2, -1) < 0 || p[1].revents)
			return NULL;
		sock = accept(b->listener, NULL, NULL);
		b->connections++;
		b->is_acking = false;
		while (take(b, sock))
			;
		close(sock);
	}
}

void model_backend_start(struct model_backend *b)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (!b->dir[0]) {
		strcpy(b->dir, "/tmp/model.XXXXXX");
		assert_non_null(mkdtemp(b->dir));
		snprintf(b->path, sizeof(b->path), "%s/a-socket", b->dir);
	} else {
		assert_int_equal(mkdir(b->dir, 0700), 0);
	}
	strcpy(a.sun_path, b->path);
	b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(b->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(b->listener, 1), 0);
	assert_int_equal(pipe(b->stop), 0);
	assert_int_equal(pthread_create(&b->thread, NULL, serve, b), 0);
	b->is_running = true;
}

void model_backend_stop(struct model_backend *b)
{
	assert_int_equal(write(b->stop[1], "", 1), 1);
	pthread_join(b->thread, NULL);
	close(b->listener);
	close(b->stop[0]);
	close(b->stop[1]);
	for (unsigned int i = 0; i < b->count; i++)
		if (b->got[i].fd >= 0)
			close(b->got[i].fd);
	b->count = 0;
	unlink(b->path);
	rmdir(b->dir);
	b->is_running = false;
}

const struct model_message *model_backend_last(struct model_backend *b, enum model_request request)
{
	const struct model_message *found = NULL;

	pthread_mutex_lock(&b->lock);
	for (unsigned int i = 0; i < b->count; i++)
		if (b->got[i].request == request)
			found = &b->got[i];
	pthread_mutex_unlock(&b->lock);
	return found;
}

unsigned int model_backend_times(struct model_backend *b, enum model_request request)
{
	unsigned int times = 0;

	pthread_mutex_lock(&b->lock);
	for (unsigned int i = 0; i < b->count; i++)
		times += b->got[i].request == request;
	pthread_mutex_unlock(&b->lock);
	return times;
}

unsigned int model_backend_place(struct model_backend *b, enum model_request request)
{
	for (unsigned int i = 0; i < b->count; i++)
		if (b->got[i].request == request)
			return i;
	fail_msg("it was never told %d", (int)request);
	return 0;
}

unsigned int model_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}
