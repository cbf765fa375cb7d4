/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tree in memory: operations on names and attributes. */
#include "dev_nodes.h"
#include "dev_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *name_after(const struct dev_request *r, size_t fixed)
{
	return (const char *)r->arg + fixed;
}

/* Return: the directory, where @name can be made in it; else NULL and *@rc. */
static struct dev_node *room_for(const struct dev_request *r, const char *name, int *rc)
{
	struct dev_node *dir = dev_node_find(r->head->nodeid);

	*rc = strlen(name) > 255 ? -ENAMETOOLONG : dev_entry_find(dir, name) ? -EEXIST : 0;
	return *rc ? NULL : dir;
}

static struct dev_node *make(const struct dev_request *r, struct dev_node *dir, const char *name,
			     uint32_t mode)
{
	bool inherits = dir->attr.mode & S_ISGID;
	struct dev_node *n;

	if (inherits && S_ISDIR(mode))
		mode |= S_ISGID;
	n = dev_node_new(mode, r->head->uid, inherits ? dir->attr.gid : r->head->gid);
	dev_entry_add(dir, name, n);
	return n;
}

static int entry(struct dev_request *r, struct dev_node *n)
{
	dev_node_reference(n, dev_payload(r));
	return sizeof(struct fuse_entry_out);
}

static int lookup(struct dev_request *r)
{
	struct dev_entry *e = dev_entry_find(dev_node_find(r->head->nodeid), name_after(r, 0));

	return e ? entry(r, e->node) : -ENOENT;
}

static int getattr(struct dev_request *r)
{
	struct fuse_attr_out *out = dev_payload(r);

	out->attr_valid = dev_nodes_valid_s;
	out->attr = dev_node_find(r->head->nodeid)->attr;
	return sizeof(*out);
}

static void set_times(struct dev_node *n, const struct fuse_setattr_in *in)
{
	struct fuse_attr now;

	dev_node_touch(n, false);
	now = n->attr;
	if (in->valid & FATTR_ATIME) {
		n->attr.atime = in->valid & FATTR_ATIME_NOW ? now.ctime : in->atime;
		n->attr.atimensec = in->valid & FATTR_ATIME_NOW ? now.ctimensec : in->atimensec;
	}
	if (in->valid & FATTR_MTIME) {
		n->attr.mtime = in->valid & FATTR_MTIME_NOW ? now.ctime : in->mtime;
		n->attr.mtimensec = in->valid & FATTR_MTIME_NOW ? now.ctimensec : in->mtimensec;
	}
}

static int setattr(struct dev_request *r)
{
	const struct fuse_setattr_in *in = r->arg;
	struct dev_node *n = dev_node_find(r->head->nodeid);
	int rc = 0;

	if (in->valid & FATTR_SIZE) {
		rc = dev_node_resize(n, in->size);
		dev_node_touch(n, true);
	}
	if (rc)
		return rc;
	if (in->valid & (FATTR_UID | FATTR_GID) && !S_ISDIR(n->attr.mode))
		n->attr.mode &= ~(uint32_t)(S_ISUID | (n->attr.mode & S_IXGRP ? S_ISGID : 0));
	if (in->valid & FATTR_MODE)
		n->attr.mode = (n->attr.mode & S_IFMT) | (in->mode & 07777);
	if (in->valid & FATTR_UID)
		n->attr.uid = in->uid;
	if (in->valid & FATTR_GID)
		n->attr.gid = in->gid;
	set_times(n, in);
	return getattr(r);
}

static int readlink_op(struct dev_request *r)
{
	const struct dev_node *n = dev_node_find(r->head->nodeid);

	if (!S_ISLNK(n->attr.mode))
		return -EINVAL;
	memcpy(dev_payload(r), n->data, n->attr.size);
	return (int)n->attr.size;
}

static int symlink_op(struct dev_request *r)
{
	const char *name = name_after(r, 0), *target = name + strlen(name) + 1;
	struct dev_node *dir, *n;
	int rc;

	dir = room_for(r, name, &rc);
	if (!dir)
		return rc;
	n = make(r, dir, name, S_IFLNK | 0777);
	dev_node_resize(n, strlen(target));
	memcpy(n->data, target, strlen(target));
	return entry(r, n);
}

static int mknod_op(struct dev_request *r)
{
	const struct fuse_mknod_in *in = r->arg;
	const char *name = name_after(r, sizeof(*in));
	struct dev_node *dir, *n;
	int rc;

	dir = room_for(r, name, &rc);
	if (!dir)
		return rc;
	n = make(r, dir, name, in->mode);
	n->attr.rdev = in->rdev;
	return entry(r, n);
}

static int mkdir_op(struct dev_request *r)
{
	const struct fuse_mkdir_in *in = r->arg;
	const char *name = name_after(r, sizeof(*in));
	struct dev_node *dir;
	int rc;

	dir = room_for(r, name, &rc);
	return dir ? entry(r, make(r, dir, name, S_IFDIR | in->mode)) : rc;
}

static int remove_name(struct dev_node *dir, struct dev_entry *e, bool is_dir)
{
	struct dev_node *n = e->node;

	if (is_dir && !S_ISDIR(n->attr.mode))
		return -ENOTDIR;
	if (!is_dir && S_ISDIR(n->attr.mode))
		return -EISDIR;
	if (n->entries)
		return -ENOTEMPTY;
	dev_entry_remove(dir, e);
	dev_node_drop(n);
	return 0;
}

static int unlink_op(struct dev_request *r)
{
	struct dev_node *dir = dev_node_find(r->head->nodeid);
	struct dev_entry *e = dev_entry_find(dir, name_after(r, 0));

	return e ? remove_name(dir, e, r->head->opcode == FUSE_RMDIR) : -ENOENT;
}

static int rename_to(struct dev_request *r, uint64_t newdir, uint32_t flags, const char *from)
{
	struct dev_node *dir = dev_node_find(r->head->nodeid), *to_dir = dev_node_find(newdir), *n;
	const char *to = from + strlen(from) + 1;
	struct dev_entry *old = dev_entry_find(dir, from), *present = dev_entry_find(to_dir, to);
	int rc;

	if (flags & ~(uint32_t)RENAME_NOREPLACE)
		return -EINVAL;
	if (!old)
		return -ENOENT;
	if (present && flags & RENAME_NOREPLACE)
		return -EEXIST;
	n = old->node;
	if (present && present->node == n)
		return 0;
	if (present) {
		rc = remove_name(to_dir, present, S_ISDIR(n->attr.mode));
		if (rc)
			return rc;
	}
	dev_entry_add(to_dir, to, n);
	dev_entry_remove(dir, dev_entry_find(dir, from));
	if (S_ISDIR(n->attr.mode))
		n->parent = to_dir;
	return 0;
}

static int rename_op(struct dev_request *r)
{
	const struct fuse_rename_in *in = r->arg;

	return rename_to(r, in->newdir, 0, name_after(r, sizeof(*in)));
}

static int rename2_op(struct dev_request *r)
{
	const struct fuse_rename2_in *in = r->arg;

	return rename_to(r, in->newdir, in->flags, name_after(r, sizeof(*in)));
}

static int link_op(struct dev_request *r)
{
	const struct fuse_link_in *in = r->arg;
	const char *name = name_after(r, sizeof(*in));
	struct dev_node *n = dev_node_find(in->oldnodeid), *dir;
	int rc;

	dir = room_for(r, name, &rc);
	if (!dir)
		return rc;
	dev_entry_add(dir, name, n);
	return entry(r, n);
}

static int create_op(struct dev_request *r)
{
	const struct fuse_create_in *in = r->arg;
	const char *name = name_after(r, sizeof(*in));
	struct dev_node *dir = dev_node_find(r->head->nodeid), *n;
	struct dev_entry *e = dev_entry_find(dir, name);
	struct fuse_entry_out *out = dev_payload(r);

	if (e && in->flags & O_EXCL)
		return -EEXIST;
	if (strlen(name) > 255)
		return -ENAMETOOLONG;
	n = e ? e->node : make(r, dir, name, S_IFREG | (in->mode & 07777));
	if (in->flags & O_TRUNC)
		dev_node_resize(n, 0);
	n->opens++;
	entry(r, n);
	memset(out + 1, 0, sizeof(struct fuse_open_out));
	return sizeof(*out) + sizeof(struct fuse_open_out);
}

static void forget(struct dev *d, uint64_t nodeid, uint64_t count)
{
	struct dev_node *n;

	if (nodeid == FUSE_ROOT_ID)
		return;
	n = dev_node_find(nodeid);
	if (n->nlookup < count)
		dev_driver_fault("FORGET of %llu references to node %llu, which has %llu",
				 (unsigned long long)count, (unsigned long long)nodeid,
				 (unsigned long long)n->nlookup);
	n->nlookup -= count;
	dev_references -= (int64_t)count;
	dev_node_drop(n);
}

const struct dev_fs dev_tree_fs = {
	.name = "tree",
	.forget = forget,
	.op = {
		[FUSE_LOOKUP] = lookup,
		[FUSE_GETATTR] = getattr,
		[FUSE_SETATTR] = setattr,
		[FUSE_READLINK] = readlink_op,
		[FUSE_SYMLINK] = symlink_op,
		[FUSE_MKNOD] = mknod_op,
		[FUSE_MKDIR] = mkdir_op,
		[FUSE_UNLINK] = unlink_op,
		[FUSE_RMDIR] = unlink_op,
		[FUSE_RENAME] = rename_op,
		[FUSE_RENAME2] = rename2_op,
		[FUSE_LINK] = link_op,
		[FUSE_CREATE] = create_op,
		[FUSE_OPEN] = dev_tree_open,
		[FUSE_OPENDIR] = dev_tree_open,
		[FUSE_RELEASE] = dev_tree_release,
		[FUSE_RELEASEDIR] = dev_tree_release,
		[FUSE_READ] = dev_tree_read,
		[FUSE_WRITE] = dev_tree_write,
		[FUSE_READDIR] = dev_tree_readdir,
		[FUSE_READDIRPLUS] = dev_tree_readdir,
		[FUSE_FALLOCATE] = dev_tree_fallocate,
		[FUSE_STATFS] = dev_tree_statfs,
		[FUSE_FLUSH] = dev_tree_ok,
		[FUSE_FSYNC] = dev_tree_ok,
		[FUSE_FSYNCDIR] = dev_tree_ok,
		[FUSE_SETXATTR] = dev_tree_setxattr,
		[FUSE_GETXATTR] = dev_tree_getxattr,
		[FUSE_LISTXATTR] = dev_tree_listxattr,
		[FUSE_REMOVEXATTR] = dev_tree_removexattr,
	},
};

int dev_tree_init(struct dev *d)
{
	struct dev_node *root = dev_node_new(S_IFDIR | 0755, 0, 0);

	root->attr.nlink = 2;
	root->parent = root;
	d->fs = &dev_tree_fs;
	return 0;
}
