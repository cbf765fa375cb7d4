/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a back end can do to what it shares with its front end: eventfds and memory. */
#include "dev.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_SEAL_WRITE 8
#endif
#ifndef FALLOC_FL_KEEP_SIZE
#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2
#endif

/* These flags are of the open file, which both sides have. */
static int set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int fill_kicks(struct dev *d)
{
	const uint64_t most = UINT64_MAX - 1;
	uint64_t count;
	int rc = 0;

	d->kicks_full = true;
	for (unsigned int i = 0; !rc && i <= d->request_queues; i++) {
		int fd = d->queues[i].kick_fd;

		/* Emptied first: it takes no more than the rest. */
		if (fd < 0 || (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN) ||
		    write(fd, &most, sizeof(most)) < 0)
			rc = -EIO;
		else
			rc = set_nonblock(fd, false);
	}
	return rc;
}

static int report_error(struct dev *d)
{
	const uint64_t one = 1;

	return write(d->queues[1].err_fd, &one, sizeof(one)) < 0 ? -EIO : 0;
}

static int block_errors(struct dev *d)
{
	return set_nonblock(d->queues[1].err_fd, false);
}

static int unblock_calls(struct dev *d)
{
	int rc = 0;

	for (unsigned int i = 0; !rc && i <= d->request_queues; i++)
		rc = set_nonblock(d->queues[i].call_fd, true);
	return rc;
}

static int cut(struct dev *d)
{
	return ftruncate(d->memory.regions[0].fd, 0) < 0 ? -EIO : 0;
}

static int grow(struct dev *d)
{
	return ftruncate(d->memory.regions[0].fd, (off_t)d->memory.regions[0].map_size * 2) < 0
		       ? -EIO
		       : 0;
}

static int seal(struct dev *d)
{
	return fcntl(d->memory.regions[0].fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 ? -EIO : 0;
}

static int punch(struct dev *d)
{
	const struct dev_region *r = &d->memory.regions[0];

	d->silent = true; /* it would meet the holes itself */
	return fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)r->map_size) <
			       0
		       ? -EIO
		       : 0;
}

static const struct {
	const char *word;
	int (*run)(struct dev *d);
} orders[] = {
	{ "kicks-full", fill_kicks },
	{ "error", report_error },
	{ "error-block", block_errors },
	{ "calls-nonblock", unblock_calls },
	{ "cut", cut },
	{ "grow", grow },
	{ "seal", seal },
	{ "punch", punch },
};

int dev_hostile_do(struct dev *d, const char *word)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (!strcmp(orders[i].word, word))
			return orders[i].run(d);
	return -EINVAL;
}
