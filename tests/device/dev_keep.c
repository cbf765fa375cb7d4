/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A back end that keeps its state. */
/*
 * Everything that changes something (references count) is written to a file with its reply, before
 * the driver gets to see that. Who starts with the file runs it all again, at the times that it was
 * run at, and has the same nodes with the same numbers, open files and references. So a kill at any
 * moment leaves a request either not run, or run and its reply known: none is run twice.
 *
 * A record that was cut short by the kill is none: its request had not been answered.
 */
#include "dev_keep.h"
#include "dev_nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct record {
	int64_t s, ns;
	uint32_t in_len, room, out_len, padding;
	/* then the request, and the reply */
};

static int file = -1;
static struct timespec now;
static uint8_t *done; /* records of the one before */
static size_t done_size;

/* These leave everything as it is. */
static const bool reads_only[DEV_OPCODES] = {
	[FUSE_GETATTR] = true,   [FUSE_READLINK] = true, [FUSE_READ] = true,
	[FUSE_STATFS] = true,    [FUSE_FSYNC] = true,    [FUSE_GETXATTR] = true,
	[FUSE_LISTXATTR] = true, [FUSE_FLUSH] = true,    [FUSE_READDIR] = true,
	[FUSE_FSYNCDIR] = true,  [FUSE_ACCESS] = true,   [FUSE_INTERRUPT] = true,
	[FUSE_LSEEK] = true,     [FUSE_SYNCFS] = true,
};

void dev_keep_begin(void)
{
	clock_gettime(CLOCK_REALTIME, &now);
}

void dev_keep_now(struct timespec *t)
{
	if (now.tv_sec)
		*t = now;
	else
		clock_gettime(CLOCK_REALTIME, t);
}

/* Return: bytes of the record at @at, 0: there is no whole one. */
static size_t whole(size_t at)
{
	struct record rec;
	size_t len;

	if (done_size - at < sizeof(rec))
		return 0;
	memcpy(&rec, done + at, sizeof(rec));
	len = sizeof(rec) + rec.in_len + rec.out_len;
	return len <= done_size - at ? len : 0;
}

static void replay(struct dev *d, size_t at)
{
	struct dev_request r = { .queue = &d->queues[0] };
	struct record rec;

	memcpy(&rec, done + at, sizeof(rec));
	now = (struct timespec){ .tv_sec = rec.s, .tv_nsec = rec.ns };
	r.in_len = rec.in_len;
	r.room = rec.room;
	r.in = calloc(1, rec.in_len + sizeof(struct fuse_in_header) + 1);
	r.out = calloc(1, rec.room + sizeof(struct fuse_out_header));
	if (!r.in || !r.out)
		abort();
	memcpy(r.in, done + at + sizeof(rec), rec.in_len);
	r.head = (struct fuse_in_header *)(void *)r.in;
	r.arg = r.in + sizeof(*r.head);
	r.arg_len = rec.in_len - (uint32_t)sizeof(*r.head);
	dev_reply_head(&r, dev_fuse_handle(&r));
	if (r.out_len != rec.out_len ||
	    memcmp(r.out, done + at + sizeof(rec) + rec.in_len, rec.out_len) != 0) {
		dev_say("%s comes out differently when it is run again",
			dev_fuse_name(r.head->opcode));
		exit(1);
	}
	free(r.in);
	free(r.out);
}

/* The root is older than all requests, and the same to each who starts with the file. */
static void date_root(void)
{
	struct dev_node *root = dev_node_find(FUSE_ROOT_ID);

	now = (struct timespec){ .tv_sec = 1 };
	dev_node_touch(root, true);
	root->attr.atime = root->attr.mtime;
	root->attr.atimensec = root->attr.mtimensec;
}

int dev_keep_open(struct dev *d, const char *path)
{
	struct stat st;
	size_t at = 0, len, count = 0;

	file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (file < 0 || fstat(file, &st) < 0)
		return -errno;
	done_size = (size_t)st.st_size;
	done = malloc(done_size + 1);
	if (!done || pread(file, done, done_size, 0) != (ssize_t)done_size)
		abort();
	date_root();
	for (; (len = whole(at)); at += len, count++)
		replay(d, at);
	done_size = at;
	if (ftruncate(file, (off_t)at) < 0)
		return -errno;
	if (count)
		dev_say("%zu requests were run again", count);
	return 0;
}

void dev_keep_note(const struct dev_request *r)
{
	const struct record rec = {
		.s = now.tv_sec,
		.ns = now.tv_nsec,
		.in_len = r->in_len,
		.room = r->room,
		.out_len = r->out_len,
	};
	const struct iovec iov[] = {
		{ (void *)(uintptr_t)&rec, sizeof(rec) },
		{ r->in, r->in_len },
		{ r->out, r->out_len },
	};

	if (file < 0 || r->head->opcode >= DEV_OPCODES || reads_only[r->head->opcode])
		return;
	if (writev(file, iov, 3) != (ssize_t)(sizeof(rec) + r->in_len + r->out_len)) {
		dev_say("what was done can't be kept: %s", strerror(errno));
		exit(1);
	}
}

bool dev_keep_recall(struct dev_request *r)
{
	size_t found = SIZE_MAX;
	struct record rec;

	if (file < 0)
		return false;
	/* The driver's unique is never used again, so the header names the request. */
	for (size_t at = 0, len; (len = whole(at)); at += len) {
		memcpy(&rec, done + at, sizeof(rec));
		if (rec.in_len == r->in_len &&
		    !memcmp(done + at + sizeof(rec), r->in, sizeof(*r->head)))
			found = at;
	}
	if (found == SIZE_MAX)
		return false;
	memcpy(&rec, done + found, sizeof(rec));
	memcpy(r->out, done + found + sizeof(rec) + rec.in_len, rec.out_len);
	r->out_len = r->used_len = rec.out_len;
	return true;
}
