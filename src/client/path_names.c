/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making, removing and moving names, and what symbolic links say.
 *
 * An op first walks to the folder (walk.node; the reference is the op's), then sends its request.
 * Names are copied into the message when it is sent; the cache is changed when the answer comes.
 * Everything runs in the op's thread.
 */
#include "client/blocking.h"
#include "client/check.h"
#include "client/walk.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Struct and names, as they lie in a request. */
struct message {
	uint8_t bytes[VIOFS_REQUEST_ARGS_MAX];
	size_t size;
};

static void append(struct message *m, const void *p, size_t size)
{
	memcpy(m->bytes + m->size, p, size);
	m->size += size;
}

static void append_name(struct message *m, const char *name)
{
	append(m, name, strlen(name) + 1);
}

static void folder_changed(struct viofs_op *op, struct viofs_node *folder)
{
	viofs_node_stale(&op->a->s->cache, folder);
}

/* A new name's entry is in the reply. */
static void made(struct viofs_op *op)
{
	const struct fuse_entry_out *e = (const void *)op->reply;
	struct viofs_node *node = NULL;
	int rc = viofs_entry_take(op->a->s, e, &node);

	folder_changed(op, op->walk->node);
	if (rc) {
		if (rc != -ENOMEM)
			op->fault = "it answered with an inode that can't be";
		viofs_op_finish(op, rc == -ENOMEM ? rc : -EIO);
		return;
	}
	viofs_name_set(&op->a->s->cache, op->walk->node, op->walk->name, node, e->entry_valid,
		       e->entry_valid_nsec);
	viofs_node_put(&op->a->s->cache, node);
	viofs_op_finish(op, 0);
}

static void make(struct viofs_op *op, uint32_t opcode, const struct message *m, viofs_step *retry)
{
	struct viofs_request r = viofs_request_to(opcode, op->walk->node, m->bytes, m->size);

	r.reply_size = sizeof(struct fuse_entry_out);
	op->undo = viofs_entry_undo;
	viofs_op_call(op, &r, retry, made);
}

/* "/", "." and ".." can't be made. Return: true: the op has ended. */
static bool exists(struct viofs_op *op)
{
	if (!op->walk->odd)
		return false;
	viofs_op_finish(op, -EEXIST);
	return true;
}

static void ask_mkdir(struct viofs_op *op)
{
	const struct fuse_mkdir_in in = { .mode = op->make.mode };
	struct message m = { .size = 0 };

	if (exists(op))
		return;
	append(&m, &in, sizeof(in));
	append_name(&m, op->walk->name);
	make(op, FUSE_MKDIR, &m, ask_mkdir);
}

static void start_mkdir(struct viofs_op *op, const char *path, unsigned int flags, mode_t mode)
{
	op->make.mode = mode & 07777;
	op->permitted = ask_mkdir;
	viofs_walk(op, op->walk, path, flags, VIOFS_TO_PARENT, viofs_check_folder);
}

int viofs_path_mkdir(struct viofs_session *s, const char *path, unsigned int flags, mode_t mode,
		     struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "mkdir", path, err, &op);

	if (rc)
		return rc;
	start_mkdir(op, path, flags, mode);
	return (int)viofs_op_end(op);
}

int viofs_path_mkdir_async(struct viofs_async *a, const char *path, unsigned int flags, mode_t mode,
			   void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_mkdir(op, path, flags, mode);
	return rc;
}

static void ask_mknod(struct viofs_op *op)
{
	struct message m = { .size = 0 };

	if (exists(op))
		return;
	append(&m, &op->make, sizeof(op->make));
	append_name(&m, op->walk->name);
	make(op, FUSE_MKNOD, &m, ask_mknod);
}

static void start_mknod(struct viofs_op *op, const char *path, unsigned int flags, mode_t mode,
			dev_t dev)
{
	op->make = (struct fuse_mknod_in){
		.mode = mode & S_IFMT ? mode : mode | S_IFREG,
		.rdev = (minor(dev) & 0xff) | major(dev) << 8 | (minor(dev) & ~0xffU) << 12,
	};
	op->permitted = ask_mknod;
	viofs_walk(op, op->walk, path, flags, VIOFS_TO_PARENT, viofs_check_folder);
}

int viofs_path_mknod(struct viofs_session *s, const char *path, unsigned int flags, mode_t mode,
		     dev_t dev, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "mknod", path, err, &op);

	if (rc)
		return rc;
	start_mknod(op, path, flags, mode, dev);
	return (int)viofs_op_end(op);
}

int viofs_path_mknod_async(struct viofs_async *a, const char *path, unsigned int flags, mode_t mode,
			   dev_t dev, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_mknod(op, path, flags, mode, dev);
	return rc;
}

static void ask_symlink(struct viofs_op *op)
{
	struct message m = { .size = 0 };

	if (exists(op))
		return;
	append_name(&m, op->walk->name);
	append_name(&m, op->kept);
	make(op, FUSE_SYMLINK, &m, ask_symlink);
}

/* A second path, or a link's target. Return: false: the op has ended. */
static bool keep(struct viofs_op *op, const char *text)
{
	if (strlen(text) < PATH_MAX)
		return viofs_op_keep(op, text);
	viofs_op_finish(op, -ENAMETOOLONG);
	return false;
}

static void start_symlink(struct viofs_op *op, const char *target, const char *path,
			  unsigned int flags)
{
	op->permitted = ask_symlink;
	if (!*target)
		viofs_op_finish(op, -ENOENT);
	else if (keep(op, target))
		viofs_walk(op, op->walk, path, flags, VIOFS_TO_PARENT, viofs_check_folder);
}

int viofs_path_symlink(struct viofs_session *s, const char *target, const char *path,
		       unsigned int flags, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "symlink", path, err, &op);

	if (rc)
		return rc;
	start_symlink(op, target, path, flags);
	return (int)viofs_op_end(op);
}

int viofs_path_symlink_async(struct viofs_async *a, const char *target, const char *path,
			     unsigned int flags, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_symlink(op, target, path, flags);
	return rc;
}

static void removed(struct viofs_op *op)
{
	struct viofs_cache *c = &op->a->s->cache;

	/* Its link count, where it has other names. */
	viofs_node_stale(c, op->walk->named);
	viofs_name_drop(c, op->walk->node, op->walk->name);
	folder_changed(op, op->walk->node);
	viofs_op_finish(op, 0);
}

/* The name is known to the device by now: some answer EIO else. */
static void ask_remove(struct viofs_op *op)
{
	struct viofs_walk *w = op->walk;
	struct viofs_request r;

	if (w->odd) {
		viofs_op_finish(op, op->remove.opcode == FUSE_UNLINK ? -EISDIR
				    : w->depth > 1                   ? -EINVAL
								     : -EBUSY);
		return;
	}
	if (w->must_be_folder && op->remove.opcode == FUSE_UNLINK) {
		viofs_op_finish(op, -ENOTDIR);
		return;
	}
	r = viofs_request_to(op->remove.opcode, w->node, w->name, strlen(w->name) + 1);
	viofs_op_call(op, &r, ask_remove, removed);
}

static void check_removed(struct viofs_op *op)
{
	if (viofs_check(op, op->walk->named, viofs_judge_victim, ask_remove))
		ask_remove(op);
}

static void check_remove(struct viofs_op *op)
{
	op->permitted = check_removed;
	if (op->walk->odd)
		ask_remove(op);
	else
		viofs_check_folder(op);
}

static void start_remove(struct viofs_op *op, uint32_t opcode, const char *path, unsigned int flags)
{
	op->remove.opcode = opcode;
	viofs_walk(op, op->walk, path, flags, VIOFS_TO_NAME, check_remove);
}

int viofs_path_unlink(struct viofs_session *s, const char *path, unsigned int flags,
		      struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "unlink", path, err, &op);

	if (rc)
		return rc;
	start_remove(op, FUSE_UNLINK, path, flags);
	return (int)viofs_op_end(op);
}

int viofs_path_unlink_async(struct viofs_async *a, const char *path, unsigned int flags, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_remove(op, FUSE_UNLINK, path, flags);
	return rc;
}

int viofs_path_rmdir(struct viofs_session *s, const char *path, unsigned int flags,
		     struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "rmdir", path, err, &op);

	if (rc)
		return rc;
	start_remove(op, FUSE_RMDIR, path, flags);
	return (int)viofs_op_end(op);
}

int viofs_path_rmdir_async(struct viofs_async *a, const char *path, unsigned int flags, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_remove(op, FUSE_RMDIR, path, flags);
	return rc;
}

static void renamed(struct viofs_op *op)
{
	struct viofs_cache *c = &op->a->s->cache;

	for (int i = 0; i < 2; i++) {
		viofs_name_drop(c, op->walks[i].node, op->walks[i].name);
		folder_changed(op, op->walks[i].node);
	}
	viofs_op_finish(op, 0);
}

static void ask_rename(struct viofs_op *op)
{
	const struct fuse_rename2_in in2 = { .newdir = op->walks[1].node->nodeid,
					     .flags = op->to.how };
	const struct fuse_rename_in in = { .newdir = in2.newdir };
	struct message m = { .size = 0 };
	struct viofs_request r;

	if (op->walks[0].odd || op->walks[1].odd) {
		viofs_op_finish(op, -EBUSY);
		return;
	}
	if (op->to.how)
		append(&m, &in2, sizeof(in2));
	else
		append(&m, &in, sizeof(in));
	append_name(&m, op->walks[0].name);
	append_name(&m, op->walks[1].name);
	r = viofs_request_to(op->to.how ? FUSE_RENAME2 : FUSE_RENAME, op->walks[0].node, m.bytes,
			     m.size);
	viofs_op_call(op, &r, ask_rename, renamed);
}

/* What is at the new name goes, or takes the old one. */
static void check_replaced(struct viofs_op *op)
{
	struct viofs_node *old = op->walk->named;

	if (!old || viofs_check(op, old, viofs_judge_victim, ask_rename))
		ask_rename(op);
}

static void check_new_folder(struct viofs_op *op)
{
	op->walk = &op->walks[1];
	op->permitted = check_replaced;
	viofs_check_folder(op);
}

/* A folder's ".." is written to, where that changes. */
static int judge_moved(struct viofs_op *op, const struct fuse_attr *attr)
{
	bool moves = op->walks[0].node != op->walks[1].node && S_ISDIR(attr->mode);
	int rc = viofs_judge_victim(op, attr);

	return rc || !moves ? rc : viofs_judge_write(op, attr);
}

static void check_moved(struct viofs_op *op)
{
	if (viofs_check(op, op->walk->named, judge_moved, check_new_folder))
		check_new_folder(op);
}

static void check_rename(struct viofs_op *op)
{
	if (!op->caller->check || op->walks[0].odd || op->walks[1].odd) {
		ask_rename(op);
		return;
	}
	op->walk = &op->walks[0];
	op->permitted = check_moved;
	viofs_check_folder(op);
}

/* The first path has been walked; op->kept is the second. Only who is checked has to know what is
 * there. */
static void rename_to(struct viofs_op *op)
{
	viofs_walk(op, &op->walks[1], op->kept, op->to.flags,
		   op->caller->check ? VIOFS_TO_ANY_NAME : VIOFS_TO_PARENT, check_rename);
}

static void start_rename(struct viofs_op *op, const char *from, const char *to, unsigned int flags,
			 unsigned int how)
{
	op->to.how = how;
	op->to.flags = flags;
	if (keep(op, to))
		viofs_walk(op, op->walk, from, flags, VIOFS_TO_NAME, rename_to);
}

int viofs_path_rename(struct viofs_session *s, const char *from, const char *to, unsigned int flags,
		      unsigned int how, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "rename", from, err, &op);

	if (rc)
		return rc;
	op->second = to;
	start_rename(op, from, to, flags, how);
	return (int)viofs_op_end(op);
}

int viofs_path_rename_async(struct viofs_async *a, const char *from, const char *to,
			    unsigned int flags, unsigned int how, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_rename(op, from, to, flags, how);
	return rc;
}

static void linked(struct viofs_op *op)
{
	viofs_node_stale(&op->a->s->cache, op->walks[0].node);
	made(op);
}

static void ask_link(struct viofs_op *op)
{
	const struct fuse_link_in in = { .oldnodeid = op->walks[0].node->nodeid };
	struct message m = { .size = 0 };
	struct viofs_request r;

	if (exists(op))
		return;
	append(&m, &in, sizeof(in));
	append_name(&m, op->walk->name);
	r = viofs_request_to(FUSE_LINK, op->walk->node, m.bytes, m.size);
	r.reply_size = sizeof(struct fuse_entry_out);
	op->undo = viofs_entry_undo;
	viofs_op_call(op, &r, ask_link, linked);
}

static void link_to(struct viofs_op *op)
{
	viofs_walk(op, &op->walks[1], op->kept, op->to.flags, VIOFS_TO_PARENT, viofs_check_folder);
}

static void start_link(struct viofs_op *op, const char *from, const char *to, unsigned int flags)
{
	op->to.flags = flags;
	op->permitted = ask_link;
	if (keep(op, to))
		viofs_walk(op, op->walk, from, flags, VIOFS_TO_NODE, link_to);
}

int viofs_path_link(struct viofs_session *s, const char *from, const char *to, unsigned int flags,
		    struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "link", from, err, &op);

	if (rc)
		return rc;
	op->second = to;
	start_link(op, from, to, flags);
	return (int)viofs_op_end(op);
}

int viofs_path_link_async(struct viofs_async *a, const char *from, const char *to,
			  unsigned int flags, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_link(op, from, to, flags);
	return rc;
}

static void start_file_link(struct viofs_op *op, struct viofs_file *file, const char *to,
			    unsigned int flags)
{
	op->walks[0].node = file->node;
	op->permitted = ask_link;
	viofs_walk(op, &op->walks[1], to, flags, VIOFS_TO_PARENT, viofs_check_folder);
}

int viofs_file_link(struct viofs_file *file, struct viofs_session *s, const char *to,
		    unsigned int flags, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "link", file->path, err, &op);

	if (rc)
		return rc;
	op->second = to;
	start_file_link(op, file, to, flags);
	return (int)viofs_op_end(op);
}

int viofs_file_link_async(struct viofs_async *a, struct viofs_file *file, const char *to,
			  unsigned int flags, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_file_link(op, file, to, flags);
	return rc;
}

static void got_target(struct viofs_op *op)
{
	char *target = op->readlink.target;

	if (op->size >= op->readlink.size) {
		viofs_op_finish(op, -ERANGE);
		return;
	}
	memcpy(target, op->dma, op->size);
	target[op->size] = '\0';
	viofs_op_finish(op, op->size);
}

static void ask_readlink(struct viofs_op *op)
{
	struct viofs_request r = viofs_request_to(FUSE_READLINK, op->walk->node, NULL, 0);
	struct fuse_attr attr;
	struct iovec iov;

	viofs_node_attr(&op->a->s->cache, op->walk->node, &attr);
	if ((attr.mode & S_IFMT) != S_IFLNK) {
		viofs_op_finish(op, -EINVAL);
		return;
	}
	if (!viofs_op_dma(op, PATH_MAX, ask_readlink))
		return;
	iov = (struct iovec){ op->dma, PATH_MAX - 1 };
	r.reply_data = &iov;
	r.reply_data_count = 1;
	viofs_op_call(op, &r, ask_readlink, got_target);
}

static void start_readlink(struct viofs_op *op, const char *path, unsigned int flags, char *target,
			   size_t size)
{
	op->readlink.target = target;
	op->readlink.size = size;
	viofs_walk(op, op->walk, path, flags | VIOFS_PATH_NO_FOLLOW, VIOFS_TO_NODE, ask_readlink);
}

ssize_t viofs_path_readlink(struct viofs_session *s, const char *path, unsigned int flags,
			    char *target, size_t size, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "readlink", path, err, &op);

	if (rc)
		return rc;
	start_readlink(op, path, flags, target, size);
	return viofs_op_end(op);
}

int viofs_path_readlink_async(struct viofs_async *a, const char *path, unsigned int flags,
			      char *target, size_t size, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_readlink(op, path, flags, target, size);
	return rc;
}
