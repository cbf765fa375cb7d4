/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BATCH_FORGET in pieces that devices take. */
#ifndef VIOFS_FUSE_FORGET_H
#define VIOFS_FUSE_FORGET_H

#include "fuse/opcodes.h"

/* A piece is at most 4 KiB: 40 + 8 + 253 * 16. Larger ones crash some devices. */
#define VIOFS_FUSE_FORGET_COUNT 253U
#define VIOFS_FUSE_FORGET_BYTES 4096U

/** struct viofs_fuse_forgets - a walk over one BATCH_FORGET message in memory of ours */
struct viofs_fuse_forgets {
	const struct fuse_in_header *head;
	const uint8_t *entries;
	uint32_t left; /* struct fuse_forget_one still to be sent */
};

/** viofs_fuse_forgets_start() - @message: header, fuse_batch_forget_in and entries, contiguous.
 *  Return: 0; -EPROTO: count and length don't agree. */
int viofs_fuse_forgets_start(struct viofs_fuse_forgets *f, const void *message, size_t len);

/**
 * viofs_fuse_forgets_next() - write the next piece, a whole BATCH_FORGET (a plain FORGET for one
 * entry)
 * @out: VIOFS_FUSE_FORGET_BYTES. The unique is the original's; no reply will come.
 * Return: bytes written, 0 when done.
 */
size_t viofs_fuse_forgets_next(struct viofs_fuse_forgets *f, void *out);

#endif
