/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading and writing. A transfer is cut into chunks of at most max_write, of which several are in
 * flight. A chunk whose memory the device reaches goes there by itself; another one goes by a
 * bounce buffer. What counts is how far it is good from the start on: `end` is the first place
 * where something was short or failed.
 */
#include "client/engine.h"
#include "base/util.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define PIECES_MAX 128U

/* One request of a transfer. */
struct viofs_chunk {
	struct viofs_call call; /* first */
	struct viofs_op *op;
	struct viofs_chunk *next;
	uint64_t at, len; /* in the transfer */
	uint8_t *bounce;  /* or NULL */
	struct fuse_write_out written;
};

void viofs_chunks_fini(struct viofs_async *a)
{
	while (a->chunks) {
		struct viofs_chunk *chunk = a->chunks;

		a->chunks = chunk->next;
		free(chunk);
	}
}

static struct viofs_chunk *take_chunk(struct viofs_async *a)
{
	struct viofs_chunk *chunk = a->chunks;

	if (!chunk)
		return calloc(1, sizeof(*chunk));
	a->chunks = chunk->next;
	return chunk;
}

static void give_chunk(struct viofs_async *a, struct viofs_chunk *chunk)
{
	viofs_scratch_free(a, chunk->bounce);
	chunk->next = a->chunks;
	a->chunks = chunk;
}

/* A walk over the caller's memory. */
struct pieces {
	const struct viofs_io *io;
	unsigned int next; /* iovec */
	uint64_t at;       /* bytes to pass over before it */
	uint64_t len;      /* bytes left */
};

/* Return: false: there are no more. */
static bool next_piece(struct pieces *p, struct iovec *out)
{
	for (; p->next < p->io->iov_count && p->len; p->next++) {
		const struct iovec *v = p->io->iov_count == 1 ? &p->io->one : &p->io->iov[p->next];
		size_t take;

		if (p->at >= v->iov_len) {
			p->at -= v->iov_len;
			continue;
		}
		take = VIOFS_MIN(v->iov_len - (size_t)p->at, (size_t)p->len);
		*out = (struct iovec){ (uint8_t *)v->iov_base + p->at, take };
		p->len -= take;
		p->at = 0;
		p->next++;
		return true;
	}
	return false;
}

/* The caller's memory of bytes [@at, @at + @len). Return: pieces, or 0: too many. */
static unsigned int pieces_of(const struct viofs_io *io, uint64_t at, uint64_t len,
			      struct iovec *out)
{
	struct pieces p = { io, 0, at, len };
	struct iovec piece;
	unsigned int n = 0;

	while (next_piece(&p, &piece)) {
		if (n == PIECES_MAX)
			return 0;
		out[n++] = piece;
	}
	return n;
}

static bool all_dma(const struct viofs_dev *dev, const struct iovec *v, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (!viofs_dma_has(dev, v[i].iov_base, v[i].iov_len))
			return false;
	return n;
}

/* Between the bounce buffer and the caller's memory. */
static void copy(const struct viofs_io *io, struct viofs_chunk *chunk, uint64_t len, bool out)
{
	struct pieces p = { io, 0, chunk->at, len };
	uint8_t *bounce = chunk->bounce;
	struct iovec piece;

	while (next_piece(&p, &piece)) {
		if (out)
			memcpy(piece.iov_base, bounce, piece.iov_len);
		else
			memcpy(bounce, piece.iov_base, piece.iov_len);
		bounce += piece.iov_len;
	}
}

static void send_chunks(struct viofs_op *op);

static void io_end(struct viofs_op *op)
{
	struct viofs_io *io = &op->io;

	if (io->write)
		viofs_node_stale(&op->a->s->cache, io->file->node);
	viofs_op_finish(op, io->end || !io->error ? (int64_t)io->end : io->error);
}

/* It is good up to @at, and no further. */
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
	struct viofs_op *op = chunk->op;
	struct viofs_io *io = &op->io;
	uint64_t got = io->write ? chunk->written.size : c->size;
	int error = c->error;

	if (!error && got > chunk->len) {
		error = -EIO; /* only a WRITE: the ring's check bounds the rest */
		op->fault = "it says that it wrote more than it was given";
	}
	if (c->fault)
		op->fault = c->fault;
	if (error)
		got = 0;
	else if (!io->write && chunk->bounce)
		copy(io, chunk, got, true);
	if (got < chunk->len)
		stop_at(io, chunk->at + got, error);
	io->in_flight--;
	give_chunk(op->a, chunk);
	/* It may wait for room already: then it is run from there. */
	if (op->step)
		return;
	send_chunks(op);
}

/* Return: false: there is no memory now. The reserve makes a chunk shorter. */
static bool take_bounce(struct viofs_async *a, struct viofs_chunk *chunk)
{
	chunk->bounce = viofs_dma_alloc(a->s->dev, chunk->len);
	if (chunk->bounce || chunk->op->io.in_flight)
		return chunk->bounce;
	chunk->bounce = viofs_reserve_take(a);
	chunk->len = VIOFS_MIN(chunk->len, (uint64_t)VIOFS_RESERVE);
	return chunk->bounce;
}

/* Return: as viofs_op_send(). */
static int send_chunk(struct viofs_op *op, struct viofs_chunk *chunk)
{
	struct viofs_io *io = &op->io;
	const struct viofs_session *s = op->a->s;
	struct iovec pieces[PIECES_MAX];
	struct fuse_write_in in = { .fh = io->file->fh, .offset = io->offset + chunk->at };
	struct viofs_request r;
	unsigned int n = pieces_of(io, chunk->at, chunk->len, pieces);

	if (!all_dma(s->dev, pieces, n)) {
		if (!take_bounce(op->a, chunk))
			return 0;
		if (io->write)
			copy(io, chunk, chunk->len, false);
		pieces[0] = (struct iovec){ chunk->bounce, chunk->len };
		n = 1;
	}
	in.size = (uint32_t)chunk->len;
	/* fuse_read_in has the same fields in the same places. */
	in.flags =
		(uint32_t)io->file->oflags & (O_APPEND | O_DIRECT | O_SYNC | O_DSYNC | O_ACCMODE);
	if (io->write && s->uid && s->agreed.flags & FUSE_HANDLE_KILLPRIV_V2)
		in.write_flags = FUSE_WRITE_KILL_SUIDGID;
	r = viofs_request_to(io->write ? FUSE_WRITE : FUSE_READ, io->file->node, &in, sizeof(in));
	*(io->write ? &r.data : &r.reply_data) = pieces;
	*(io->write ? &r.data_count : &r.reply_data_count) = n;
	if (io->write) {
		r.reply = &chunk->written;
		r.reply_size = sizeof(chunk->written);
	}
	return viofs_op_send(op, &chunk->call, &r);
}

/* Send what may be in flight. op->step is set while the op waits for room. */
static void send_chunks(struct viofs_op *op)
{
	struct viofs_io *io = &op->io;
	uint64_t most = op->a->s->agreed.max_write;

	if (!viofs_op_turn(op)) {
		viofs_op_retry(op, send_chunks);
		return;
	}
	op->step = NULL;
	while (io->issued < io->end && io->in_flight < VIOFS_IO_PARALLEL) {
		struct viofs_chunk *chunk = take_chunk(op->a);
		int rc = -ENOMEM;

		if (chunk) {
			*chunk = (struct viofs_chunk){
				.call.done = chunk_done,
				.op = op,
				.at = io->issued,
				.len = VIOFS_MIN(most, io->size - io->issued),
			};
			rc = send_chunk(op, chunk);
			if (rc != 1)
				give_chunk(op->a, chunk);
		}
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

void viofs_io_start(struct viofs_op *op, struct viofs_file *file, bool write,
		    const struct iovec *iov, int count, uint64_t offset)
{
	struct viofs_io *io = &op->io;
	int access = file->oflags & O_ACCMODE;
	uint64_t size = 0;

	io->file = file;
	io->write = write;
	io->offset = offset;
	if (access == (write ? O_RDONLY : O_WRONLY)) {
		viofs_op_finish(op, -EBADF);
		return;
	}
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
	} else if (count) {
		io->iov = malloc((size_t)count * sizeof(*iov));
		if (!io->iov) {
			viofs_op_finish(op, -ENOMEM);
			return;
		}
		memcpy(io->iov, iov, (size_t)count * sizeof(*iov));
	}
	io->size = io->end = size;
	send_chunks(op);
}

ssize_t viofs_file_preadv(struct viofs_file *file, const struct iovec *iov, int count,
			  uint64_t offset, struct viofs_err *err)
{
	VIOFS_BLOCKING(file->s, err, "read", "file",
		       viofs_io_start(op, file, false, iov, count, offset));
}

ssize_t viofs_file_pwritev(struct viofs_file *file, const struct iovec *iov, int count,
			   uint64_t offset, struct viofs_err *err)
{
	VIOFS_BLOCKING(file->s, err, "write", "file",
		       viofs_io_start(op, file, true, iov, count, offset));
}

int viofs_file_preadv_async(struct viofs_async *a, struct viofs_file *file, const struct iovec *iov,
			    int count, uint64_t offset, void *user)
{
	VIOFS_ASYNC(a, user, viofs_io_start(op, file, false, iov, count, offset));
}

int viofs_file_pwritev_async(struct viofs_async *a, struct viofs_file *file,
			     const struct iovec *iov, int count, uint64_t offset, void *user)
{
	VIOFS_ASYNC(a, user, viofs_io_start(op, file, true, iov, count, offset));
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
