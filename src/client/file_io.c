/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading and writing. A transfer is cut into chunks (chunk.c) of at most max_write, of which
 * several are in flight. A chunk whose memory the device reaches goes there by itself; another one
 * goes by a bounce buffer. The result is how much was done without a gap from the start on: `end`
 * is the first place where a chunk was short or failed.
 *
 * All of it is the op's, and of its thread. Its step is set only while it waits for room.
 */
#include "base/util.h"
#include "client/chunk.h"
#include "client/fd_side.h"
#include "client/file_io.h"
#include "client/blocking.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Requests of one read or write in flight at once. */
#define IO_PARALLEL 8U

static void send_chunks(struct viofs_op *op);

static void io_end(struct viofs_op *op)
{
	struct viofs_io *io = &op->io;

	if (io->write)
		viofs_node_stale(&op->a->s->cache, op->file->node);
	op->fell_short = io->error || (io->write && !io->by_fd && io->end < io->size);
	viofs_op_finish(op, io->end || !io->error ? (int64_t)io->end : io->error);
}

/* The transfer counts up to @at, and no further. */
static void stop_at(struct viofs_io *io, uint64_t at, int error)
{
	if (at > io->end)
		return;
	if (at < io->end || error)
		io->error = error;
	io->end = at;
}

static void chunk_done(struct viofs_call *call, const struct viofs_completion *c)
{
	struct viofs_chunk *chunk = VIOFS_CONTAINER_OF(call, struct viofs_chunk, call);
	struct viofs_op *op = call->op;
	struct viofs_io *io = &op->io;
	uint64_t got = io->write ? chunk->written.size : c->size, where = chunk->at;
	int error = c->error;
	bool kept = false;

	if (!error && got > chunk->len) {
		error = -EIO; /* only a WRITE: the ring's check bounds the rest */
		op->fault = "it says that it wrote more than it was given";
	}
	if (c->fault)
		op->fault = c->fault;
	if (error) {
		op->error = error;
		got = 0;
	}
	if (got < chunk->len)
		stop_at(io, chunk->at + got, error);
	if (!error && !io->write && io->by_fd)
		kept = viofs_fd_take(chunk, got, &error, &where);
	else if (!error && !io->write)
		viofs_chunk_take(chunk, got);
	if (error)
		stop_at(io, where, error);
	io->in_flight--;
	if (!kept)
		viofs_chunk_free(chunk);
	/* It may wait for room already: then it is run from there. */
	if (op->step)
		return;
	send_chunks(op);
}

/* The next one, with what it is to write where that comes from a descriptor. Return: 1 and @out; 0:
 * there is no memory now, or no more to write; -errno. */
static int next_chunk(struct viofs_op *op, struct viofs_chunk **out)
{
	struct viofs_io *io = &op->io;
	struct viofs_chunk *chunk = io->held;
	int64_t rc = 1;

	io->held = NULL;
	*out = chunk;
	if (chunk)
		return 1;
	chunk = viofs_chunk_new(op);
	if (!chunk)
		return -ENOMEM;
	chunk->call.done = chunk_done;
	chunk->at = io->issued;
	chunk->len = VIOFS_MIN((uint64_t)op->a->s->agreed.max_write, io->size - io->issued);
	if (io->by_fd && io->write) {
		uint64_t wanted;

		rc = viofs_chunk_buffer(chunk);
		wanted = chunk->len;
		if (rc)
			rc = viofs_fd_fill(chunk);
		if (rc > 0 && chunk->len < wanted)
			stop_at(io, chunk->at + chunk->len, 0);
		else if (!rc && !chunk->len)
			stop_at(io, chunk->at, 0);
	}
	if (rc <= 0)
		viofs_chunk_free(chunk);
	*out = chunk;
	return rc > 0 ? 1 : (int)rc;
}

/* Send what may be in flight. op->step is set while the op waits for room. */
static void send_chunks(struct viofs_op *op)
{
	struct viofs_io *io = &op->io;

	if (op->ending) {
		stop_at(io, io->issued, op->ending);
		if (!io->in_flight)
			io_end(op);
		return;
	}
	if (!viofs_op_turn(op)) {
		viofs_op_retry(op, send_chunks);
		return;
	}
	op->step = NULL;
	while (io->issued < io->end && io->in_flight < IO_PARALLEL) {
		struct viofs_chunk *chunk;
		int rc = next_chunk(op, &chunk);

		if (rc == 1) {
			rc = viofs_chunk_send(chunk);
			if (!rc && io->by_fd && io->write)
				io->held = chunk; /* a stream doesn't give it again */
			else if (rc != 1)
				viofs_chunk_free(chunk);
		}
		if (!rc && io->issued >= io->end)
			break;
		if (!rc && io->in_flight)
			break; /* its own completions bring it back here */
		if (!rc) {
			viofs_op_retry(op, send_chunks);
			return;
		}
		if (rc != 1) {
			stop_at(io, io->issued, rc);
			break;
		}
		io->issued += chunk->len;
		io->in_flight++;
	}
	if (!io->in_flight)
		io_end(op);
}

void viofs_io_start(struct viofs_op *op, struct viofs_file *file)
{
	int access = file->oflags & O_ACCMODE;

	viofs_op_on(op, file);
	if (access == (op->io.write ? O_RDONLY : O_WRONLY))
		viofs_op_finish(op, -EBADF);
	else
		send_chunks(op);
}

static void start_io(struct viofs_op *op, struct viofs_file *file, bool write,
		     const struct iovec *iov, int count, uint64_t offset)
{
	struct viofs_io *io = &op->io;
	uint64_t size = 0;

	io->write = write;
	io->offset = offset;
	if (count < 0 || count > IOV_MAX) {
		viofs_op_finish(op, -EINVAL);
		return;
	}
	for (int i = 0; i < count; i++)
		if (__builtin_add_overflow(size, iov[i].iov_len, &size) || size > INT64_MAX ||
		    offset > INT64_MAX - size) {
			viofs_op_finish(op, -EINVAL);
			return;
		}
	io->iov_count = (unsigned int)count;
	if (count == 1) {
		io->one = *iov;
		io->iov = &io->one;
	} else if (count) {
		op->kept = malloc((size_t)count * sizeof(*iov));
		if (!op->kept) {
			viofs_op_finish(op, -ENOMEM);
			return;
		}
		memcpy(op->kept, iov, (size_t)count * sizeof(*iov));
		io->iov = (const void *)op->kept;
	}
	io->size = io->end = size;
	viofs_io_start(op, file);
}

ssize_t viofs_file_preadv(struct viofs_file *file, const struct iovec *iov, int count,
			  uint64_t offset, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "read", file->path, err, &op);

	if (rc)
		return rc;
	start_io(op, file, false, iov, count, offset);
	return viofs_op_end(op);
}

ssize_t viofs_file_pwritev(struct viofs_file *file, const struct iovec *iov, int count,
			   uint64_t offset, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "write", file->path, err, &op);

	if (rc)
		return rc;
	start_io(op, file, true, iov, count, offset);
	return viofs_op_end(op);
}

int viofs_file_preadv_async(struct viofs_async *a, struct viofs_file *file, const struct iovec *iov,
			    int count, uint64_t offset, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_io(op, file, false, iov, count, offset);
	return rc;
}

int viofs_file_pwritev_async(struct viofs_async *a, struct viofs_file *file,
			     const struct iovec *iov, int count, uint64_t offset, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_io(op, file, true, iov, count, offset);
	return rc;
}

static struct iovec one_piece(const void *buffer, size_t size)
{
	return (struct iovec){ (void *)(uintptr_t)buffer, size };
}

ssize_t viofs_file_pread(struct viofs_file *file, void *buffer, size_t size, uint64_t offset,
			 struct viofs_err *err)
{
	const struct iovec iov = one_piece(buffer, size);

	return viofs_file_preadv(file, &iov, 1, offset, err);
}

ssize_t viofs_file_pwrite(struct viofs_file *file, const void *buffer, size_t size, uint64_t offset,
			  struct viofs_err *err)
{
	const struct iovec iov = one_piece(buffer, size);

	return viofs_file_pwritev(file, &iov, 1, offset, err);
}

int viofs_file_pread_async(struct viofs_async *a, struct viofs_file *file, void *buffer,
			   size_t size, uint64_t offset, void *user)
{
	const struct iovec iov = one_piece(buffer, size);

	return viofs_file_preadv_async(a, file, &iov, 1, offset, user);
}

int viofs_file_pwrite_async(struct viofs_async *a, struct viofs_file *file, const void *buffer,
			    size_t size, uint64_t offset, void *user)
{
	const struct iovec iov = one_piece(buffer, size);

	return viofs_file_pwritev_async(a, file, &iov, 1, offset, user);
}
