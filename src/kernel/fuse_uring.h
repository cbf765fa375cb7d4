/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The FUSE-over-io_uring channel: entries that the kernel puts requests into, one queue for each
 * CPU.
 */
#ifndef VIOFS_KERNEL_FUSE_URING_H
#define VIOFS_KERNEL_FUSE_URING_H

#include <liburing.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define VIOFS_FUSE_URING_ENABLE "/sys/module/fuse/parameters/enable_uring"

/* Bytes of a request's first argument, at most. */
#define VIOFS_FUSE_URING_OP_MAX 128U

/**
 * struct viofs_fuse_uring_header - fuse_uring_req_header of the uapi, newer than the build host's
 * Of the kernel's requests and of our replies; memory that no device reaches.
 */
struct viofs_fuse_uring_header {
	union {
		struct fuse_in_header in;
		struct fuse_out_header out;
		uint8_t in_out[128];
	};
	uint8_t op_in[VIOFS_FUSE_URING_OP_MAX]; /* the first argument of a request */
	uint64_t flags;
	uint64_t commit_id;
	uint32_t payload_size; /* bytes that follow in the payload area, of request or reply */
	uint32_t padding;
	uint64_t reserved;
};

/** struct viofs_fuse_uring_request - what lies where in an entry that was filled */
struct viofs_fuse_uring_request {
	uint32_t op_size;      /* bytes of op_in */
	uint32_t payload_size; /* bytes of the payload area */
};

/**
 * viofs_fuse_uring_is_enabled() - will the kernel offer it with FUSE_INIT?
 * Return: 1; 0: it could, but enable_uring is off; -ENOENT: the kernel lacks it; -errno.
 */
int viofs_fuse_uring_is_enabled(void);

/**
 * viofs_fuse_uring_queues() - queues that each need an entry: CPUs that may ever come. Or -errno.
 */
int viofs_fuse_uring_queues(void);

/**
 * viofs_fuse_uring_count_cpus() - of a list such as "0-3,8": the highest one and 1. Return: or
 * -EINVAL.
 */
int viofs_fuse_uring_count_cpus(const char *list);

/**
 * viofs_fuse_uring_register() - make @sqe hand an entry to the kernel, for requests of CPU @queue
 * @sqe: of a ring of IORING_SETUP_SQE128. @iov: header and payload area; read when it is submitted.
 * After INIT was answered. The CQE comes with the first request (0), or at once with -errno. After
 * an error all requests come over /dev/fuse.
 */
void viofs_fuse_uring_register(struct io_uring_sqe *sqe, int fd, unsigned int queue,
			       const struct iovec iov[2]);

/** viofs_fuse_uring_give_up() - a REGISTER that fails: all goes over /dev/fuse from then on. */
void viofs_fuse_uring_give_up(struct io_uring_sqe *sqe, int fd);

/**
 * viofs_fuse_uring_parse() - look at an entry that the kernel filled in
 * @room: bytes of its payload area. Return: 0; -EPROTO: sizes that can't be.
 */
int viofs_fuse_uring_parse(const struct viofs_fuse_uring_header *header, size_t room,
			   struct viofs_fuse_uring_request *out);

/**
 * viofs_fuse_uring_commit() - make @sqe give the reply to the kernel and ask for the next request
 * @header: as the kernel filled it in. @error: 0 or -errno. @payload_size: of the reply, in the
 * payload area. The CQE comes with the next request (0); -ENOTCONN: unmounted or aborted.
 */
void viofs_fuse_uring_commit(struct io_uring_sqe *sqe, int fd, unsigned int queue,
			     struct viofs_fuse_uring_header *header, int error,
			     uint32_t payload_size);

#endif
