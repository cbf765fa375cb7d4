/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The FUSE-over-io_uring channel (Linux 6.14; fs/fuse/dev_uring.c).
 *
 * An entry is a header and a payload area that were given to the kernel once, by REGISTER, for one
 * of its queues; there is a queue for each possible CPU. The kernel fills it with a request and
 * completes the command. The answer goes back in the same memory by COMMIT_AND_FETCH, which is also
 * the wait for the next request. Copying is done in the context of the thread that submitted the
 * command.
 *
 * The flag in the INIT reply makes every new request wait until each queue has an entry, so it is
 * set only where rings are ready. A REGISTER that fails takes the flag back.
 */
#include "kernel/fuse_uring.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POSSIBLE "/sys/devices/system/cpu/possible"
#define CPUS_MAX 65536L

enum uring_cmd {
	CMD_REGISTER = 1,
	CMD_COMMIT_AND_FETCH = 2,
};

/* fuse_uring_cmd_req, in the second half of the SQE. */
struct cmd_req {
	uint64_t flags;
	uint64_t commit_id;
	uint16_t qid;
	uint8_t padding[6];
};

static_assert(sizeof(struct viofs_fuse_uring_header) == 288, "fuse_uring_req_header");
static_assert(offsetof(struct viofs_fuse_uring_header, flags) == 256, "fuse_uring_ent_in_out");
static_assert(sizeof(struct cmd_req) == 24, "fuse_uring_cmd_req");

/* Reads a short line. Return: 0 or -errno. */
static int read_line(const char *path, char *line, int size)
{
	FILE *f = fopen(path, "re");
	int rc;

	if (!f)
		return -errno;
	rc = fgets(line, size, f) ? 0 : -EIO;
	fclose(f);
	return rc;
}

int viofs_fuse_uring_is_enabled(void)
{
	char line[16];
	int rc = read_line(VIOFS_FUSE_URING_ENABLE, line, sizeof(line));

	return rc ? rc : line[0] == 'Y';
}

int viofs_fuse_uring_count_cpus(const char *list)
{
	long last = -1;

	while (*list && *list != '\n') {
		char *end;

		if (*list < '0' || *list > '9')
			return -EINVAL;
		errno = 0;
		last = strtol(list, &end, 10);
		if (errno || last >= CPUS_MAX || (*end && !strchr("-,\n", *end)))
			return -EINVAL;
		list = end + (*end == '-' || *end == ',');
	}
	return last < 0 ? -EINVAL : (int)last + 1;
}

int viofs_fuse_uring_queues(void)
{
	char line[4096];
	int rc = read_line(POSSIBLE, line, sizeof(line));

	return rc ? rc : viofs_fuse_uring_count_cpus(line);
}

static void prepare(struct io_uring_sqe *sqe, int fd, enum uring_cmd cmd, unsigned int queue,
		    uint64_t commit_id)
{
	struct cmd_req req = { .commit_id = commit_id, .qid = (uint16_t)queue };

	/* Clear both halves of the SQE: no field of an older one may stay. */
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = cmd;
	memcpy(sqe->cmd, &req, sizeof(req));
}

void viofs_fuse_uring_register(struct io_uring_sqe *sqe, int fd, unsigned int queue,
			       const struct iovec iov[2])
{
	prepare(sqe, fd, CMD_REGISTER, queue, 0);
	sqe->addr = (uint64_t)(uintptr_t)iov;
	sqe->len = 2;
}

void viofs_fuse_uring_give_up(struct io_uring_sqe *sqe, int fd)
{
	prepare(sqe, fd, CMD_REGISTER, 0, 0);
}

int viofs_fuse_uring_parse(const struct viofs_fuse_uring_header *header, size_t room,
			   struct viofs_fuse_uring_request *out)
{
	uint32_t len = header->in.len, payload = header->payload_size;

	if (len < sizeof(header->in) || payload > room || payload > len - sizeof(header->in) ||
	    len - sizeof(header->in) - payload > sizeof(header->op_in))
		return -EPROTO;
	*out = (struct viofs_fuse_uring_request){
		.op_size = len - (uint32_t)sizeof(header->in) - payload,
		.payload_size = payload,
	};
	return 0;
}

void viofs_fuse_uring_commit(struct io_uring_sqe *sqe, int fd, unsigned int queue,
			     struct viofs_fuse_uring_header *header, int error,
			     uint32_t payload_size)
{
	uint64_t unique = header->in.unique;

	header->out = (struct fuse_out_header){
		.len = (uint32_t)sizeof(header->out) + payload_size,
		.error = error,
		.unique = unique,
	};
	header->payload_size = payload_size;
	prepare(sqe, fd, CMD_COMMIT_AND_FETCH, queue, header->commit_id);
}
