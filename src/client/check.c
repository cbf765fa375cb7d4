/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Permissions, as the kernel checks them for a mount with default_permissions: by owner and mode of
 * each folder on the way and of what it leads to. There are no ACLs, and no further groups.
 *
 * Cached attributes are good enough for as long as the device allows, except for a refusal: before
 * that the device is asked. Others may change everything between a check and what it permits, as
 * with the kernel's checks: the device checks nothing.
 *
 * All of it is the op's (op->check), and of its thread. Nodes that are judged are referenced by the
 * op's walks, or by its file.
 */
#include "client/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool viofs_check_mask(const struct viofs_caller *c, const struct fuse_attr *a, unsigned int mask)
{
	uint32_t bits = a->mode;

	if (!c->uid) /* anything, but to execute what nobody may */
		return !(mask & X_OK) || S_ISDIR(a->mode) || a->mode & 0111;
	if (c->uid == a->uid)
		bits >>= 6;
	else if (c->gid == a->gid)
		bits >>= 3;
	return !(mask & ~bits);
}

static void ask(struct viofs_op *op);

static void told(struct viofs_op *op)
{
	const struct fuse_attr_out *out = (const void *)op->reply;
	struct viofs_cache *c = &op->a->s->cache;
	struct fuse_attr known;
	int rc;

	viofs_node_attr(c, op->check.node, &known);
	if ((out->attr.mode & S_IFMT) != (known.mode & S_IFMT)) {
		op->fault = "it answered with attributes that can't be";
		viofs_op_finish(op, -EIO);
		return;
	}
	viofs_node_set_attr(c, op->check.node, &out->attr, out->attr_valid, out->attr_valid_nsec);
	rc = op->check.judge(op, &out->attr);
	if (rc)
		viofs_op_finish(op, rc);
	else
		op->check.then(op);
}

static void ask(struct viofs_op *op)
{
	const struct fuse_getattr_in in = { 0 };
	struct viofs_request r = viofs_request_to(FUSE_GETATTR, op->check.node, &in, sizeof(in));

	r.reply_size = sizeof(struct fuse_attr_out);
	viofs_op_call(op, &r, ask, told);
}

bool viofs_check(struct viofs_op *op, struct viofs_node *node, viofs_judge *judge, viofs_step *then)
{
	struct fuse_attr attr;

	if (!op->caller->check)
		return true;
	if (!op->caller->fresh && viofs_node_attr(&op->a->s->cache, node, &attr) &&
	    !judge(op, &attr))
		return true;
	op->check.node = node;
	op->check.judge = judge;
	op->check.then = then;
	ask(op);
	return false;
}

int viofs_judge_search(struct viofs_op *op, const struct fuse_attr *attr)
{
	return viofs_check_mask(op->caller, attr, X_OK) ? 0 : -EACCES;
}

int viofs_judge_read(struct viofs_op *op, const struct fuse_attr *attr)
{
	return viofs_check_mask(op->caller, attr, R_OK) ? 0 : -EACCES;
}

int viofs_judge_write(struct viofs_op *op, const struct fuse_attr *attr)
{
	return viofs_check_mask(op->caller, attr, W_OK) ? 0 : -EACCES;
}

static int judge_folder(struct viofs_op *op, const struct fuse_attr *attr)
{
	return viofs_check_mask(op->caller, attr, W_OK | X_OK) ? 0 : -EACCES;
}

void viofs_check_folder(struct viofs_op *op)
{
	if (viofs_check(op, op->walk->node, judge_folder, op->permitted))
		op->permitted(op);
}

int viofs_judge_victim(struct viofs_op *op, const struct fuse_attr *attr)
{
	uint32_t uid = op->caller->uid;
	struct fuse_attr folder;

	viofs_node_attr(&op->a->s->cache, op->walk->node, &folder);
	return folder.mode & S_ISVTX && uid && uid != attr->uid && uid != folder.uid ? -EPERM : 0;
}

static bool is_owner(const struct viofs_caller *c, const struct fuse_attr *attr)
{
	return !c->uid || c->uid == attr->uid;
}

int viofs_judge_open(struct viofs_op *op, const struct fuse_attr *attr)
{
	int oflags = op->open.oflags, access = oflags & O_ACCMODE;
	unsigned int mask = access == O_RDONLY ? R_OK : access == O_WRONLY ? W_OK : R_OK | W_OK;

	if (oflags & O_TRUNC)
		mask |= W_OK;
	if (!viofs_check_mask(op->caller, attr, mask))
		return -EACCES;
	return oflags & O_NOATIME && !is_owner(op->caller, attr) ? -EPERM : 0;
}

/* setattr_prepare() of Linux. */
int viofs_judge_setattr(struct viofs_op *op, const struct fuse_attr *attr)
{
	const uint32_t times = FATTR_ATIME | FATTR_MTIME;
	const uint32_t now = FATTR_ATIME_NOW | FATTR_MTIME_NOW;
	const struct viofs_caller *c = op->caller;
	struct fuse_setattr_in *in = &op->setattr;
	bool owner = is_owner(c, attr);

	if (!c->uid)
		return 0;
	if (in->valid & FATTR_UID && (!owner || in->uid != attr->uid))
		return -EPERM;
	if (in->valid & FATTR_GID && (!owner || (in->gid != attr->gid && in->gid != c->gid)))
		return -EPERM;
	if (in->valid & FATTR_MODE) {
		if (!owner)
			return -EPERM;
		if (attr->gid != c->gid)
			in->mode &= ~(uint32_t)S_ISGID;
	}
	if (in->valid & times && !owner) {
		if ((in->valid & (times | now)) != (times | now))
			return -EPERM;
		if (!viofs_check_mask(c, attr, W_OK))
			return -EACCES;
	}
	/* For a file that is open for writing this was checked when it was opened. */
	return in->valid & FATTR_SIZE && !op->file ? viofs_judge_write(op, attr) : 0;
}

static bool begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

int viofs_judge_getxattr(struct viofs_op *op, const struct fuse_attr *attr)
{
	if (!op->kept) /* the list of them */
		return 0;
	if (begins(op->kept, "trusted.") && op->caller->uid)
		return -ENODATA;
	return begins(op->kept, "user.") ? viofs_judge_read(op, attr) : 0;
}

int viofs_judge_setxattr(struct viofs_op *op, const struct fuse_attr *attr)
{
	if (begins(op->kept, "user."))
		return viofs_judge_write(op, attr);
	if (begins(op->kept, "system."))
		return is_owner(op->caller, attr) ? 0 : -EPERM;
	return op->caller->uid ? -EPERM : 0;
}
