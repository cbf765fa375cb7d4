/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Chunks: a transfer's requests, and where their bytes are.
 *
 * A chunk is its op's, and so is used by the op's thread. It has a bounce buffer if the device
 * can't reach the caller's memory, or if that is in too many pieces; it keeps the buffer until it
 * is freed, or until the request finds no room. The caller's memory is touched before it is sent (a
 * write), or when it has come (a read).
 */
#include "client/chunk.h"
#include "base/util.h"
#include "client/pool.h"
#include "client/scratch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECES_MAX 128U

void viofs_chunks_fini(struct viofs_async *a)
{
	while (a->chunks) {
		struct viofs_chunk *chunk = a->chunks;

		a->chunks = chunk->next;
		free(chunk);
	}
}

static void drop(struct viofs_call *call)
{
	viofs_chunk_free(VIOFS_CONTAINER_OF(call, struct viofs_chunk, call));
}

struct viofs_chunk *viofs_chunk_new(struct viofs_op *op)
{
	struct viofs_async *a = op->a;
	struct viofs_chunk *chunk = a->chunks;

	if (chunk)
		a->chunks = chunk->next;
	else
		chunk = malloc(sizeof(*chunk));
	if (chunk)
		*chunk = (struct viofs_chunk){ .call = { .op = op, .drop = drop } };
	return chunk;
}

void viofs_chunk_free(struct viofs_chunk *chunk)
{
	struct viofs_async *a = chunk->call.op->a;

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
		const struct iovec *v = &p->io->iov[p->next];
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
static void copy(const struct viofs_chunk *chunk, uint64_t len, bool out)
{
	struct pieces p = { &chunk->call.op->io, 0, chunk->at, len };
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

void viofs_chunk_take(const struct viofs_chunk *chunk, uint64_t got)
{
	if (chunk->bounce)
		copy(chunk, got, true);
}

/* The reserve makes a chunk shorter. */
bool viofs_chunk_buffer(struct viofs_chunk *chunk)
{
	struct viofs_async *a = chunk->call.op->a;

	if (chunk->bounce)
		return true;
	chunk->bounce = viofs_dma_alloc(a->s->dev, chunk->len);
	if (chunk->bounce || chunk->call.op->io.in_flight)
		return chunk->bounce;
	chunk->bounce = viofs_reserve_take(a);
	chunk->len = VIOFS_MIN(chunk->len, (uint64_t)VIOFS_RESERVE);
	return chunk->bounce;
}

/* The request, whose data are these pieces. Return: as viofs_op_send(). */
static int send_pieces(struct viofs_chunk *chunk, struct iovec *pieces, unsigned int n)
{
	struct viofs_op *op = chunk->call.op;
	const struct viofs_io *io = &op->io;
	struct fuse_write_in in = {
		.fh = op->file->fh,
		.offset = io->offset + chunk->at,
		.size = (uint32_t)chunk->len,
	};
	struct viofs_request r;

	/* fuse_read_in has the same fields in the same places. */
	in.flags =
		(uint32_t)op->file->oflags & (O_APPEND | O_DIRECT | O_SYNC | O_DSYNC | O_ACCMODE);
	if (io->write && op->caller->uid && op->a->s->agreed.flags & FUSE_HANDLE_KILLPRIV_V2)
		in.write_flags = FUSE_WRITE_KILL_SUIDGID;
	r = viofs_request_to(io->write ? FUSE_WRITE : FUSE_READ, op->file->node, &in, sizeof(in));
	*(io->write ? &r.data : &r.reply_data) = pieces;
	*(io->write ? &r.data_count : &r.reply_data_count) = n;
	if (io->write) {
		r.reply = &chunk->written;
		r.reply_size = sizeof(chunk->written);
	}
	return viofs_op_send(op, &chunk->call, &r);
}

int viofs_chunk_send(struct viofs_chunk *chunk)
{
	struct viofs_op *op = chunk->call.op;
	const struct viofs_io *io = &op->io;
	struct iovec pieces[PIECES_MAX];
	unsigned int n = pieces_of(io, chunk->at, chunk->len, pieces);
	int rc = -EMSGSIZE;

	if (all_dma(op->a->s->dev, pieces, n))
		rc = send_pieces(chunk, pieces, n);
	if (rc != -EMSGSIZE)
		return rc;
	/* The device doesn't reach it, or it lies in more pieces than a chain of its queue has. */
	if (!viofs_chunk_buffer(chunk))
		return 0;
	if (io->write && !io->by_fd)
		copy(chunk, chunk->len, false);
	pieces[0] = (struct iovec){ chunk->bounce, chunk->len };
	return send_pieces(chunk, pieces, 1);
}
