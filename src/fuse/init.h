/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * FUSE_INIT between three parties: what the kernel offers, what the device takes, what we can keep.
 */
#ifndef VIOFS_FUSE_INIT_H
#define VIOFS_FUSE_INIT_H

#include "base/err.h"
#include "fuse/opcodes.h"

/** struct viofs_fuse_limits - what the relay can carry */
struct viofs_fuse_limits {
	uint32_t max_data; /* bytes of one READ or WRITE, a multiple of page_size, >= 128 KiB */
	uint32_t page_size;
	uint16_t max_background;  /* requests in flight that leave slots for the rest */
	bool default_permissions; /* as mounted: without it ALLOW_IDMAP must not reach the kernel */
	bool sync_dio;            /* not ASYNC_DIO: whoever reads ends a direct read, and not we */
	bool io_uring;            /* entries of FUSE over io_uring are ready to be registered */
};

/** struct viofs_fuse_agreed - INIT as it ended, for `status` and for shapes */
struct viofs_fuse_agreed {
	struct viofs_fuse_conn conn;
	uint32_t kernel_minor, device_minor; /* as each said it */
	uint64_t kernel_flags;               /* offered by the kernel: flags | flags2 << 32 */
	uint64_t device_flags;               /* as the device answered */
	uint64_t flags;                      /* that the kernel was told */
	uint32_t max_write;                  /* bytes */
	uint32_t max_pages;                  /* 32 where FUSE_MAX_PAGES wasn't agreed */
	uint32_t max_readahead;              /* bytes */
	uint16_t max_background, congestion_threshold;
	uint32_t time_gran; /* ns */
};

/**
 * viofs_fuse_init_request() - the INIT to send to the device
 * @in: the kernel's, @len bytes after its fuse_in_header (16 before 7.36, else 64; less is
 * refused).
 * @out: minor clamped, flags that we can't keep removed (SPLICE_*, FUSE_OVER_IO_URING,
 * HAS_IO_URING_BUFPOOL, PASSTHROUGH, HAS_RESEND, REQUEST_TIMEOUT, SUBMOUNTS, MAP_ALIGNMENT,
 * HAS_INODE_DAX, and every flag we don't know); INIT_EXT and flags2 kept.
 * @out_len: 16 or 64, as the kernel's.
 * Return: 0; -EPROTO: not FUSE 7, or too short.
 */
int viofs_fuse_init_request(const void *in, size_t len, struct fuse_init_in *out, size_t *out_len,
			    struct viofs_err *err);

/**
 * viofs_fuse_init_reply() - what the kernel is told, from what the device answered
 * @kernel: the kernel's INIT. @sent: what viofs_fuse_init_request() made of it.
 * @payload: the device's reply after its fuse_out_header, a private copy; 8, 24 or 64 bytes are
 * accepted (and anything longer cut to 64).
 * @out: zero-extended to 64 bytes always.
 * Return: 0; -EPROTO: major other than 7, minor below 7.27, or a length that is no INIT reply; @err
 * says it with the values.
 */
int viofs_fuse_init_reply(const struct fuse_init_in *kernel, const struct fuse_init_in *sent,
			  const struct viofs_fuse_limits *limits, const void *payload, size_t len,
			  struct fuse_init_out *out, struct viofs_fuse_agreed *agreed,
			  struct viofs_err *err);

#endif
