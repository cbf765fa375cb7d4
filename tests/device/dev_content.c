/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tree in memory: operations on what is open. */
#include "dev_nodes.h"
#include "dev_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static struct dev_node *node_of(const struct dev_request *r)
{
	return dev_node_find(r->head->nodeid);
}

int dev_tree_ok(struct dev_request *r)
{
	return 0;
}

int dev_tree_open(struct dev_request *r)
{
	const struct fuse_open_in *in = r->arg;
	struct dev_node *n = node_of(r);

	if (r->head->opcode == FUSE_OPEN && in->flags & O_TRUNC) {
		dev_node_resize(n, 0);
		dev_node_touch(n, true);
	}
	n->opens++;
	return sizeof(struct fuse_open_out);
}

int dev_tree_release(struct dev_request *r)
{
	struct dev_node *n = node_of(r);

	if (!n->opens)
		dev_driver_fault("%s of node %llu, which is not open",
				 dev_fuse_name(r->head->opcode),
				 (unsigned long long)r->head->nodeid);
	n->opens--;
	dev_node_drop(n);
	return 0;
}

int dev_tree_read(struct dev_request *r)
{
	const struct fuse_read_in *in = r->arg;
	const struct dev_node *n = node_of(r);
	uint64_t len = in->size;

	if (in->offset >= n->attr.size)
		return 0;
	if (len > n->attr.size - in->offset)
		len = n->attr.size - in->offset;
	memcpy(dev_payload(r), n->data + in->offset, len);
	return (int)len;
}

int dev_tree_write(struct dev_request *r)
{
	const struct fuse_write_in *in = r->arg;
	struct fuse_write_out *out = dev_payload(r);
	struct dev_node *n = node_of(r);
	int rc = 0;

	if (r->arg_len != sizeof(*in) + in->size)
		dev_driver_fault("WRITE of %u bytes with %u", in->size,
				 r->arg_len - (uint32_t)sizeof(*in));
	if (in->offset + in->size > n->attr.size)
		rc = dev_node_resize(n, in->offset + in->size);
	if (rc)
		return rc;
	memcpy(n->data + in->offset, in + 1, in->size);
	if (in->write_flags & FUSE_WRITE_KILL_SUIDGID)
		n->attr.mode &= ~(uint32_t)(S_ISUID | (n->attr.mode & S_IXGRP ? S_ISGID : 0));
	dev_node_touch(n, true);
	out->size = in->size;
	return sizeof(*out);
}

int dev_tree_fallocate(struct dev_request *r)
{
	const struct fuse_fallocate_in *in = r->arg;
	struct dev_node *n = node_of(r);

	if (in->mode & ~(uint32_t)FALLOC_FL_KEEP_SIZE)
		return -EOPNOTSUPP;
	if (in->mode || in->offset + in->length <= n->attr.size)
		return 0;
	return dev_node_resize(n, in->offset + in->length);
}

int dev_tree_statfs(struct dev_request *r)
{
	struct fuse_statfs_out *out = dev_payload(r);

	out->st = (struct fuse_kstatfs){
		.bsize = 4096,
		.frsize = 4096,
		.blocks = 1 << 20,
		.bfree = 1 << 19,
		.bavail = 1 << 19,
		.files = 1 << 20,
		.ffree = (1 << 20) - dev_node_count(),
		.namelen = 255,
	};
	return sizeof(*out);
}

/* One name into the reply. Return: bytes, or 0: it doesn't fit. */
static size_t add_name(struct dev_request *r, size_t at, size_t room, const char *name,
		       struct dev_node *n, uint64_t cookie)
{
	bool plus = r->head->opcode == FUSE_READDIRPLUS;
	size_t head = plus ? offsetof(struct fuse_direntplus, dirent) : 0;
	size_t len = head + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + strlen(name));
	uint8_t *to = (uint8_t *)dev_payload(r) + at;
	struct fuse_dirent d = {
		.ino = n->attr.ino,
		.off = cookie,
		.namelen = (uint32_t)strlen(name),
		.type = n->attr.mode >> 12,
	};
	struct fuse_entry_out e = { 0 };

	if (len > room)
		return 0;
	/* "." and ".." are no references. */
	if (plus && cookie > 2)
		dev_node_reference(n, &e);
	if (plus)
		memcpy(to, &e, sizeof(e));
	memcpy(to + head, &d, FUSE_NAME_OFFSET);
	memcpy(to + head + FUSE_NAME_OFFSET, name, strlen(name));
	return len;
}

int dev_tree_readdir(struct dev_request *r)
{
	const struct fuse_read_in *in = r->arg;
	struct dev_node *dir = node_of(r);
	size_t size = in->size, at = 0, n = 1;

	if (in->offset < 1)
		at += n = add_name(r, at, size - at, ".", dir, 1);
	if (n && in->offset < 2)
		at += n = add_name(r, at, size - at, "..", dir->parent, 2);
	for (struct dev_entry *e = dir->entries; n && e; e = e->next)
		if (e->cookie > in->offset)
			at += n = add_name(r, at, size - at, e->name, e->node, e->cookie);
	return (int)at;
}
