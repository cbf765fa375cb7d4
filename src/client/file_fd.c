/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copies between a file and a descriptor, by the requests of a read or write (file_io.c).
 *
 * Each chunk goes by a buffer of DMA memory; fd_side.c fills and empties it. The op owns what is
 * kept there, and its thread makes all system calls on the descriptor. A blocking call has a user
 * of its own (async.h), so that a slow descriptor holds up nobody who shares a lane.
 */
#include "client/fd_side.h"
#include "base/util.h"
#include "client/async.h"
#include "client/child.h"
#include "client/file_io.h"

#include <errno.h>
#include <string.h>

static void forget(void *own)
{
	viofs_fd_forget(&((struct viofs_op *)own)->io);
}

static void start(struct viofs_op *op, struct viofs_file *file, bool write, uint64_t offset, int fd,
		  int64_t fd_offset, uint64_t size)
{
	const uint64_t most = INT64_MAX;

	if (offset > most) {
		viofs_op_finish(op, -EINVAL);
		return;
	}
	size = VIOFS_MIN(size, most - offset);
	if (fd_offset > 0)
		size = VIOFS_MIN(size, most - (uint64_t)fd_offset);
	op->io = (struct viofs_io){
		.write = write,
		.by_fd = true,
		.fd = fd,
		.fd_offset = fd_offset,
		.offset = offset,
		.size = size,
		.end = size,
	};
	op->own = op;
	op->own_free = forget;
	viofs_io_start(op, file);
}

int viofs_file_to_fd_async(struct viofs_async *a, struct viofs_file *file, uint64_t offset, int fd,
			   int64_t fd_offset, uint64_t size, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start(op, file, false, offset, fd, fd_offset, size);
	return rc;
}

int viofs_file_from_fd_async(struct viofs_async *a, struct viofs_file *file, uint64_t offset,
			     int fd, int64_t fd_offset, uint64_t size, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start(op, file, true, offset, fd, fd_offset, size);
	return rc;
}

typedef int begin_fn(struct viofs_async *a, struct viofs_file *file, uint64_t offset, int fd,
		     int64_t fd_offset, uint64_t size, void *user);

static int64_t blocking(begin_fn *begin, const char *what, struct viofs_file *file, uint64_t offset,
			int fd, int64_t fd_offset, uint64_t size, struct viofs_err *err)
{
	struct viofs_event event = { .result = -ENODEV };
	struct viofs_async *a;
	int rc;

	if (viofs_dev_is_elsewhere(file->s->dev))
		return viofs_dev_elsewhere(err, "copy", file->path);
	rc = viofs_async_new(file->s, 1, &a, err);
	if (rc)
		return rc;
	rc = begin(a, file, offset, fd, fd_offset, size, NULL);
	if (rc)
		event.result = rc;
	else
		viofs_async_wait(a, &event, 1, 1, -1);
	viofs_async_close(a);
	if (event.result < 0 && event.fault)
		viofs_err_set(err, (int)event.result,
			      "copy %s %s descriptor %d: %s. The device's fault: %s.", file->path,
			      what, fd, strerror((int)-event.result), event.fault);
	else if (event.result < 0)
		viofs_err_set(err, (int)event.result, "copy %s %s descriptor %d: %s.", file->path,
			      what, fd, strerror((int)-event.result));
	return event.result;
}

int64_t viofs_file_to_fd(struct viofs_file *file, uint64_t offset, int fd, int64_t fd_offset,
			 uint64_t size, struct viofs_err *err)
{
	return blocking(viofs_file_to_fd_async, "to", file, offset, fd, fd_offset, size, err);
}

int64_t viofs_file_from_fd(struct viofs_file *file, uint64_t offset, int fd, int64_t fd_offset,
			   uint64_t size, struct viofs_err *err)
{
	return blocking(viofs_file_from_fd_async, "from", file, offset, fd, fd_offset, size, err);
}
