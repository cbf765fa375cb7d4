/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notifying a device by eventfds.
 *
 * A vhost-user back end has the same kick eventfds as we, and O_NONBLOCK is of what both share. So
 * it could make one blocking and fill it: write(2) would wait then for as long as it likes.
 * RWF_NOWAIT isn't for eventfds, and they can't be opened a second time.
 *
 * What the kernel itself does to an eventfd never waits, however full it is. So each one is
 * registered with an io_uring of its own, which signals it at each completion, and a notification
 * is a NOP in that ring: one system call still, some 70 ns dearer than the write. The rings can do
 * nothing else.
 */
#include "relay/doorbell.h"
#include "base/util.h"

#include <string.h>

static int open_ring(struct io_uring *ring, int eventfd)
{
	struct io_uring_restriction allowed[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP },
	};
	int rc;

	rc = io_uring_queue_init(1, ring, IORING_SETUP_R_DISABLED);
	if (rc)
		return rc;
	rc = io_uring_register_eventfd(ring, eventfd);
	/* As in sleep.c: not all liburings have functions for these. */
	if (!rc)
		rc = io_uring_register((unsigned int)ring->ring_fd, IORING_REGISTER_RESTRICTIONS,
				       allowed, VIOFS_ARRAY_SIZE(allowed));
	if (!rc)
		rc = io_uring_register((unsigned int)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS,
				       NULL, 0);
	if (rc)
		io_uring_queue_exit(ring);
	return rc;
}

static void ring_once(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	/* None: the last one was not taken, and goes now. Notifications are made up for (serve.c).
	 */
	if (sqe)
		io_uring_prep_nop(sqe);
	io_uring_submit(ring);
	io_uring_cq_advance(ring, io_uring_cq_ready(ring));
}

static void ring_bell(void *arg, unsigned int q)
{
	struct viofs_doorbells *b = arg;

	ring_once(&b->rings[q]);
}

void viofs_doorbell_signal(int eventfd)
{
	struct io_uring ring;

	if (open_ring(&ring, eventfd))
		return;
	ring_once(&ring);
	io_uring_queue_exit(&ring);
}

int viofs_doorbells_init(struct viofs_doorbells *b, struct viofs_fs *fs)
{
	int rc = 0;

	memset(b, 0, sizeof(*b));
	if (!fs->virtio->ops->kick_fd)
		return 0;
	b->virtio = fs->virtio;
	while (!rc && b->count < viofs_fs_virtqueue_count(fs)) {
		rc = open_ring(&b->rings[b->count], fs->virtio->ops->kick_fd(fs->virtio, b->count));
		b->count += !rc;
	}
	if (rc) {
		viofs_doorbells_fini(b);
		return rc;
	}
	fs->virtio->bell_arg = b;
	fs->virtio->bell = ring_bell;
	return 0;
}

void viofs_doorbells_fini(struct viofs_doorbells *b)
{
	if (!b->virtio)
		return;
	while (b->count)
		io_uring_queue_exit(&b->rings[--b->count]);
	b->virtio = NULL;
}
