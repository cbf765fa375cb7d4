/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One request of a transfer. Private to src/client */
#ifndef VIOFS_CLIENT_CHUNK_H
#define VIOFS_CLIENT_CHUNK_H

#include "client/op.h"

/** struct viofs_chunk - it, and its memory */
struct viofs_chunk {
	struct viofs_call call;   /* first */
	struct viofs_chunk *next; /* free */
	uint64_t at, len;         /* in the transfer */
	uint64_t got;             /* of a read that is kept; see file_fd.c */
	uint8_t *bounce;          /* or NULL */
	struct fuse_write_out written;
};

/** viofs_chunk_new() - of @op's transfer, zeroed. Return: it, or NULL: no memory. */
struct viofs_chunk *viofs_chunk_new(struct viofs_op *op);
/** viofs_chunk_free() - with its bounce buffer. */
void viofs_chunk_free(struct viofs_chunk *chunk);
/** viofs_chunks_fini() - free ones of @a. */
void viofs_chunks_fini(struct viofs_async *a);
/**
 * viofs_chunk_send() - READ or WRITE, as op->io says
 * Its `len` may become shorter, where there is little memory. Return: as viofs_op_send().
 */
int viofs_chunk_send(struct viofs_chunk *chunk);
/** viofs_chunk_buffer() - a bounce buffer, where it has none. Return: false: no memory now. */
bool viofs_chunk_buffer(struct viofs_chunk *chunk);
/** viofs_chunk_take() - @got bytes have been read: to the caller's memory with them. */
void viofs_chunk_take(const struct viofs_chunk *chunk, uint64_t got);

#endif
