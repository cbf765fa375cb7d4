/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mount whose device was lost.
 *
 * It stays, and answers EIO. Taken away, it would uncover the directory below, and whoever goes on
 * writing would fill that one without knowing. Writing back dirty pages fails at once, so an
 * unmount has nothing to wait for.
 */
#include "relay/session.h"
#include "base/util.h"
#include "kernel/devfuse.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* No answer to INTERRUPT is legal: what it is about is answered already. */
static bool wants_answer(uint32_t opcode)
{
	return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT &&
	       opcode != FUSE_NOTIFY_REPLY;
}

int viofs_relay_refuse(struct viofs_relay *r)
{
	struct pollfd p = { .fd = r->fuse_fd, .events = POLLIN };
	struct iovec iov = { r->plain, r->plain_size };

	for (;;) {
		ssize_t n = viofs_devfuse_read(r->fuse_fd, &iov, 1);
		struct fuse_in_header head;

		if (n == -ENODEV || n == -ECONNABORTED)
			return 0;
		if (n == -EAGAIN)
			poll(&p, 1, -1);
		else if (n < 0)
			return (int)n;
		if (n < (ssize_t)sizeof(head))
			continue;
		memcpy(&head, r->plain, sizeof(head));
		if (wants_answer(head.opcode))
			viofs_answer(r, head.unique, -EIO);
	}
}
