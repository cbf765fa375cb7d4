/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptor's side of a copy between it and a file. Private to src/client */
#ifndef VIOFS_CLIENT_FD_SIDE_H
#define VIOFS_CLIENT_FD_SIDE_H

#include "client/chunk.h"

/** viofs_fd_fill() - from the descriptor into the chunk's buffer; its `len` is what there was.
 * Return: that, 0 = the end; -errno. */
int64_t viofs_fd_fill(struct viofs_chunk *chunk);

/**
 * viofs_fd_take() - @got bytes have been read: to the descriptor with them
 * @error: out, 0 or -errno, @where in the transfer. Return: true: the chunk is no more the
 * caller's.
 */
bool viofs_fd_take(struct viofs_chunk *chunk, uint64_t got, int *error, uint64_t *where);

/** viofs_fd_forget() - free the chunks that are kept: the op ends. */
void viofs_fd_forget(struct viofs_io *io);

#endif
