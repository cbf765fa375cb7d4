/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FORGETs: out of messages of any length, and into ones that devices take. */
#ifndef VIOFS_FUSE_FORGET_H
#define VIOFS_FUSE_FORGET_H

#include "fuse/opcodes.h"

#include <stdbool.h>

/* A piece is at most 4 KiB: 40 + 8 + 253 * 16. Larger ones crash some devices. */
#define VIOFS_FUSE_FORGET_COUNT 253U
#define VIOFS_FUSE_FORGET_BYTES 4096U

/**
 * struct viofs_fuse_forgets - a walk over FORGETs in memory of ours; a copy is good for as long as
 * the first one's memory is
 */
struct viofs_fuse_forgets {
	const uint8_t *entries;
	uint32_t left; /* struct fuse_forget_one still to be taken */
	struct fuse_forget_one single;
};

/** viofs_fuse_forgets_start() - @message: a FORGET or a BATCH_FORGET, contiguous.
 *  Return: 0; -EPROTO: count and length don't agree. */
int viofs_fuse_forgets_start(struct viofs_fuse_forgets *f, const void *message, size_t len);

/** viofs_fuse_forgets_list() - the same for @count entries that are in no message. */
void viofs_fuse_forgets_list(struct viofs_fuse_forgets *f, const struct fuse_forget_one *entries,
			     uint32_t count);

/** viofs_fuse_forgets_skip() - leave the next @count entries out, or all that are left. */
void viofs_fuse_forgets_skip(struct viofs_fuse_forgets *f, uint32_t count);

/**
 * viofs_fuse_forgets_next() - write the next piece, a whole BATCH_FORGET (a plain FORGET for one
 * entry)
 * @out: VIOFS_FUSE_FORGET_BYTES. It has no unique; no reply will come.
 * Return: bytes written, 0 when done.
 */
size_t viofs_fuse_forgets_next(struct viofs_fuse_forgets *f, void *out);

/** viofs_fuse_forgets_one() - take the next entry. Return: false when done. */
bool viofs_fuse_forgets_one(struct viofs_fuse_forgets *f, struct fuse_forget_one *out);

#endif
