/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nothing to do: every name is a file of zeros. What is left is the cost of the way here and back.
 */
#include "dev.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES (1ULL << 30)
#define FOREVER 86400

static void fill(struct fuse_attr *a, uint64_t ino)
{
	memset(a, 0, sizeof(*a));
	a->ino = ino;
	a->mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
	a->nlink = 1;
	a->size = ino == FUSE_ROOT_ID ? 0 : FILE_BYTES;
	a->blksize = 4096;
}

static int lookup(struct dev_request *r)
{
	struct fuse_entry_out *out = dev_payload(r);

	out->nodeid = FUSE_ROOT_ID + 1;
	out->entry_valid = out->attr_valid = FOREVER;
	fill(&out->attr, out->nodeid);
	return sizeof(*out);
}

static int attributes(struct dev_request *r)
{
	struct fuse_attr_out *out = dev_payload(r);

	fill(&out->attr, r->head->nodeid);
	/* Or paths and reads would ask for attributes first, and one operation be two requests. */
	out->attr_valid = FOREVER;
	return sizeof(*out);
}

static int statfs(struct dev_request *r)
{
	struct fuse_statfs_out *out = dev_payload(r);

	out->st.bsize = out->st.frsize = 4096;
	out->st.namelen = 255;
	return sizeof(*out);
}

static int any(struct dev_request *r)
{
	switch (r->head->opcode) {
	case FUSE_LOOKUP:
		return lookup(r);
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		return attributes(r);
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		return sizeof(struct fuse_open_out);
	case FUSE_READ:
		return (int)((const struct fuse_read_in *)r->arg)->size;
	case FUSE_WRITE:
		((struct fuse_write_out *)dev_payload(r))->size =
			((const struct fuse_write_in *)r->arg)->size;
		return sizeof(struct fuse_write_out);
	case FUSE_STATFS:
		return statfs(r);
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
	case FUSE_FSYNC:
		return 0;
	default:
		return -ENOSYS;
	}
}

const struct dev_fs dev_null_fs = { .name = "null", .any = true, .op = { any } };
