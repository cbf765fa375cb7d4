/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is what the device answered a legal reply? Everything here looks at private copies only. */
#ifndef VIOFS_FUSE_REPLY_H
#define VIOFS_FUSE_REPLY_H

#include "fuse/opcodes.h"

/** struct viofs_fuse_reply - a reply that may go to the kernel */
struct viofs_fuse_reply {
	int32_t error;    /* 0 or -1..-511, for fuse_out_header.error */
	uint32_t payload; /* bytes after fuse_out_header; 0 with an error */
	const char
		*fault; /* NULL, or what the device did wrong (static); the request gets @error */
};

/**
 * viofs_fuse_reply_check() - decide what the kernel gets
 * @shape: of the request. @unique: as it was sent to the device.
 * @head: *private copy* of the fuse_out_header the device wrote (zeroed before the request was
 * sent).
 * @used_len: bytes that the used entry says were written, already <= the room offered.
 * @used_len_zero: the quirk of devices that never set it (SPDK, libkrun): head->len counts then.
 *
 * A length or error that breaks the rules gives -EIO to this request and a fault. An error reply
 * with trailing bytes is cut to its header, as the kernel driver does. Return: 0; -EPROTO: the
 * unique is another's: the session can't go on (out->fault says so).
 */
int viofs_fuse_reply_check(const struct viofs_fuse_shape *shape, uint64_t unique,
			   const struct fuse_out_header *head, uint32_t used_len,
			   bool used_len_zero, struct viofs_fuse_reply *out);

/**
 * viofs_fuse_reply_has_zero_len() - does this reply, to INIT say, show the quirk @used_len_zero?
 * INIT is the first request, and an empty reply to it is none.
 */
static inline bool viofs_fuse_reply_has_zero_len(const struct fuse_out_header *head,
						 uint32_t used_len)
{
	return !used_len && head->len >= sizeof(*head);
}

/**
 * viofs_fuse_reply_strip() - remove flags that a device may not set from a fixed reply
 * @fixed: private copy of the reply's fixed part. Clears FOPEN_PASSTHROUGH and
 * FOPEN_IO_URING_ZERO_COPY from the open flags of OPEN, OPENDIR, CREATE and TMPFILE.
 * Return: true where something was cleared.
 */
bool viofs_fuse_reply_strip(const struct viofs_fuse_shape *shape, void *fixed, size_t len);

#endif
