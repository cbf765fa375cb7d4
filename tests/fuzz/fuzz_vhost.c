/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vhost-user back end that says anything. Input: what comes on the socket before it closes; each
 * byte of the first is a bit of how. Nothing has to be waited for: all is there, or the end is.
 */
#include "vhost/vhost_transport.h"
#include "fuzz.h"

#include "vhost/connect.h"
#include "vhost/vhost.h"
#include "virtio/virtio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static int next_sock;

/* Linked in place of the real one. */
int __wrap_viofs_vhost_connect(const char *path, int64_t end_ns, struct viofs_err *err);
int __wrap_viofs_vhost_connect(const char *path, int64_t end_ns, struct viofs_err *err)
{
	return next_sock;
}

/* With a descriptor that nobody asked for. */
static void send_with_fd(int sock, const void *data, size_t len)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &sock, sizeof(int));
	(void)!sendmsg(sock, &m, MSG_DONTWAIT);
}

/* And close it. */
static void talk(struct viofs_vhost *v, unsigned int requests)
{
	const struct viofs_vhost_ring ring = {
		.size = 64,
		.desc = 0x1000,
		.driver = 0x2000,
		.device = 0x3000,
		.kick_fd = v->err_fd,
		.call_fd = -1,
	};
	struct viofs_virtio *virtio = NULL;
	struct viofs_err err = { .text = "" };
	uint8_t config[40];

	fuzz_check(!v->lost[0]);
	fuzz_check(v->queue_max <= UINT16_MAX);
	if (!viofs_virtio_vhost_open(v, requests, &virtio, &err)) {
		fuzz_check(virtio->ops->queue_count(virtio) <= 64);
		fuzz_check(!virtio->ops->config_read(virtio, 0, config, sizeof(config)));
	} else {
		fuzz_check(err.text[0]);
	}
	viofs_vhost_set_features(v, v->features);
	if (v->link)
		viofs_vhost_track(v, 2, 64);
	if (!viofs_vhost_ring_start(v, 0, &ring))
		viofs_vhost_ring_stop(v, 0);
	/* All has been said and the socket is closed by now, so it must be noticed. */
	fuzz_check(viofs_vhost_lost(v));
	if (virtio)
		viofs_virtio_close(virtio);
	else
		viofs_vhost_close(v);
}

/* Descriptors that come with messages are not kept. */
static unsigned int open_descriptors(void)
{
	unsigned int n = 0;

	for (int fd = 3; fd < 32; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t how = fuzz_u8(&in);
	unsigned int before = open_descriptors();
	struct viofs_vhost *v = NULL;
	struct viofs_err err = { .text = "" };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	if (how & 1)
		send_with_fd(pair[1], in.at, in.left);
	else
		(void)!send(pair[1], in.at, in.left, MSG_DONTWAIT);
	shutdown(pair[1], SHUT_WR);
	next_sock = pair[0];
	if (viofs_vhost_open("/nowhere", 1000, how & 8, &v, &err)) {
		fuzz_check(err.text[0]);
	} else {
		talk(v, (how >> 1) % 4);
	}
	close(pair[1]);
	fuzz_check(open_descriptors() == before);
	return 0;
}
