/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One copy: a node that is being worked on. */
#ifndef VIOFS_TOOLS_XFER_FILE_H
#define VIOFS_TOOLS_XFER_FILE_H

#include "xfer.h"

/** struct viofs_digest - of a block's data */
struct viofs_digest {
	uint64_t low, high;
};

/** struct viofs_copy - see xfer_file.c */
struct viofs_copy {
	struct viofs_xfer *x;
	struct viofs_xfer_node *node;
	struct viofs_xfer_op op;
	struct viofs_copy *next_hungry;
	bool is_hungry;
	void (*fed)(struct viofs_copy *c);
	void *from, *to;              /* open files */
	struct viofs_xfer_place part; /* path NULL: it is written under its own name */
	struct stat have;             /* of what is there already */
	bool existed, resumed, sparse, ended, seeking;
	uint64_t segment_end;       /* of a sparse file's data */
	uint64_t next, end;         /* what is to be read next; end of what is known to be there */
	size_t unit;                /* bytes of a block */
	struct viofs_block *blocks; /* under way */
	unsigned int in_flight;
	int64_t error;
	bool verifying, mismatch;
	const char *refused;          /* why, in words */
	struct viofs_digest *digests; /* by block; none of what was not read */
	bool *has_digest;
	size_t digest_room;
	char target[4096];
};

/* xfer.c */
/** viofs_xfer_wait_block() - nothing of @c is under way, and no buffer is left: @then when there
 * may be one. */
void viofs_xfer_wait_block(struct viofs_copy *c, void (*then)(struct viofs_copy *c));

/* xfer_node.c */
/** viofs_copy_end() - with c->error said; frees it. */
void viofs_copy_end(struct viofs_copy *c);
/** viofs_copy_attrs() - owner, mode, times of the name itself, then the end; c->op is free. */
void viofs_copy_attrs(struct viofs_copy *c);

/* xfer_file.c */
void viofs_copy_regular(struct viofs_copy *c);
/** viofs_copy_move() - go on with what can go on. */
void viofs_copy_move(struct viofs_copy *c);
/** viofs_copy_finish() - all data is there (and verified): attributes, closing, renaming. */
void viofs_copy_finish(struct viofs_copy *c);

/* xfer_verify.c */
/** viofs_verify_can() - is there a checksum built in? */
bool viofs_verify_can(void);
/** viofs_verify_note() - remember what was read. */
void viofs_verify_note(struct viofs_copy *c, uint64_t offset, const void *data, size_t size);
/** viofs_verify_begin() - read back all that was written; viofs_copy_finish() is next. */
void viofs_verify_begin(struct viofs_copy *c);

#endif
