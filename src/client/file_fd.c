/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copies between a file and a descriptor, by the requests of a read or write (file_io.c).
 *
 * Each chunk goes by a buffer of DMA memory. With a place in the descriptor it is read or written
 * there at once; without one the descriptor is a stream: what the device has answered too early
 * waits (io->early) for what lies in front of it. What was read from the descriptor and found no
 * room at the device is kept (io->held), since a stream gives it once only.
 *
 * System calls on the descriptor are made by the op's thread. A blocking call has a user of its own
 * (async.h), so that a slow descriptor holds up nobody who shares a lane.
 */
#include "client/file_fd.h"
#include "base/util.h"
#include "client/async.h"
#include "client/child.h"
#include "client/file_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_stream(const struct viofs_io *io)
{
	return io->fd_offset < 0;
}

/* All of it, or up to the end. Return: bytes; -errno where there were none. */
static int64_t read_all(const struct viofs_io *io, uint8_t *to, uint64_t at, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		ssize_t n = is_stream(io) ? read(io->fd, to + done, len - done)
					  : pread(io->fd, to + done, len - done,
						  (off_t)((uint64_t)io->fd_offset + at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !done)
			return -errno;
		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

static int write_all(const struct viofs_io *io, const uint8_t *from, uint64_t at, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		ssize_t n = is_stream(io) ? write(io->fd, from + done, len - done)
					  : pwrite(io->fd, from + done, len - done,
						   (off_t)((uint64_t)io->fd_offset + at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

int64_t viofs_fd_fill(struct viofs_chunk *chunk)
{
	int64_t n = read_all(&chunk->call.op->io, chunk->bounce, chunk->at, chunk->len);

	if (n >= 0)
		chunk->len = (uint64_t)n;
	return n;
}

/* What comes next, and is there. Return: 0 or -errno, at io->passed. */
static int pass_on(struct viofs_io *io)
{
	int rc = 0;

	while (!rc && io->early && io->early->at == io->passed) {
		struct viofs_chunk *chunk = io->early;

		io->early = chunk->next;
		rc = write_all(io, chunk->bounce, chunk->at, chunk->got);
		if (!rc)
			io->passed += chunk->got;
		viofs_chunk_free(chunk);
	}
	return rc;
}

static void keep(struct viofs_io *io, struct viofs_chunk *chunk)
{
	struct viofs_chunk **at = &io->early;

	while (*at && (*at)->at < chunk->at)
		at = &(*at)->next;
	chunk->next = *at;
	*at = chunk;
}

bool viofs_fd_take(struct viofs_chunk *chunk, uint64_t got, int *error, uint64_t *where)
{
	struct viofs_io *io = &chunk->call.op->io;

	*where = chunk->at;
	if (!is_stream(io)) {
		*error = write_all(io, chunk->bounce, chunk->at, got);
		return false;
	}
	chunk->got = got;
	keep(io, chunk);
	*error = pass_on(io);
	*where = io->passed;
	return true;
}

static void free_kept(void *own)
{
	struct viofs_io *io = &((struct viofs_op *)own)->io;

	if (io->held)
		viofs_chunk_free(io->held);
	while (io->early) {
		struct viofs_chunk *chunk = io->early;

		io->early = chunk->next;
		viofs_chunk_free(chunk);
	}
	io->held = NULL;
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
	op->own_free = free_kept;
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
