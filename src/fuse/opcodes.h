/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the FUSE protocol says about each request: its queue, its shape, the room its reply needs.
 */
#ifndef VIOFS_FUSE_OPCODES_H
#define VIOFS_FUSE_OPCODES_H

#include "base/uapi.h"

#include <viofs/fuse_names.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Largest fixed arguments of a request (COPY_FILE_RANGE 56, SETATTR 88) and of a reply (STATX). */
#define VIOFS_FUSE_ARGS_MAX 88U
#define VIOFS_FUSE_FIXED_MAX 288U

/** struct viofs_fuse_conn - what INIT agreed, as far as shapes of messages depend on it */
struct viofs_fuse_conn {
	uint32_t minor;     /* the device's, clamped to what we know */
	uint32_t page_size; /* of this machine: bounds READLINK and IOCTL replies */
	bool setxattr_ext;  /* FUSE_SETXATTR_EXT: SETXATTR's arguments are 16 bytes, not 8 */
	bool remote_locks;  /* FUSE_POSIX_LOCKS or FUSE_FLOCK_LOCKS: INTERRUPT is of use */
};

/**
 * struct viofs_fuse_shape - one request as it must be laid out for the device
 * Readable: fuse_in_header (40) | args (args_size, then in one piece the names that follow) | data.
 * Writable: fuse_out_header (16) | fixed | data; none at all where @replies is false.
 */
struct viofs_fuse_shape {
	uint32_t opcode;
	uint32_t args;  /* bytes after the header that must be in one piece: struct and names */
	uint32_t data;  /* bytes after those: WRITE data, IOCTL input; 0 = none */
	uint32_t fixed; /* bytes of the reply's struct(s) after fuse_out_header, 0..288 */
	uint32_t reply_data; /* room for data after those; the reply may be shorter; 0 = none */
	bool hiprio;         /* FORGET, BATCH_FORGET, INTERRUPT: virtqueue 0 */
	bool replies;        /* false: the device gets no writable descriptor */
	bool may_block;      /* READ: handing the reply to the kernel can wait for a page lock */
	bool may_wait;       /* SETLKW that locks: the device may answer after hours */
	bool unlinks;        /* UNLINK, RMDIR, RENAME, RENAME2: a FORGET may free a file's room */
	uint8_t spare[3];
};

/**
 * viofs_fuse_classify() - the shape of a request that the kernel sent
 * @head: fuse_in_header, then at least the first 40 bytes of arguments where the request has them.
 * @len: bytes of the request in all, as read(2) said. Must equal head->len.
 * Return: 0; -ENOSYS: an opcode that we don't know, that never takes this path (CUSE_INIT, DAX
 * mappings) or that is the relay's own affair (INIT, DESTROY): not to be forwarded; -EPROTO:
 * shorter than its opcode needs.
 */
int viofs_fuse_classify(const struct viofs_fuse_conn *conn, const struct fuse_in_header *head,
			size_t len, struct viofs_fuse_shape *out);

#endif
