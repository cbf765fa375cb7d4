/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Extended attributes.
 *
 * Values go by DMA memory that the op owns (op->dma), since they are longer than a slot's own
 * parts. The caller's memory is read when a value is sent, and written when one has come.
 * Everything runs in the op's thread.
 */
#include "base/util.h"
#include "client/blocking.h"
#include "client/check.h"
#include "client/walk.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 65536U

/* Whose attributes: the file's, or where the path led. */
static struct viofs_node *node_of(const struct viofs_op *op)
{
	return op->file ? op->file->node : op->walk->node;
}

static bool keep_name(struct viofs_op *op, const char *name)
{
	size_t len = strlen(name);

	if (!len || len > NAME_MAX)
		viofs_op_finish(op, -ERANGE);
	else
		return viofs_op_keep(op, name);
	return false;
}

static void got_size(struct viofs_op *op)
{
	const struct fuse_getxattr_out *out = (const void *)op->reply;

	viofs_op_finish(op, out->size > VALUE_MAX ? -E2BIG : (int64_t)out->size);
}

static void got_value(struct viofs_op *op)
{
	memcpy(op->xattr.value, op->dma, op->size);
	viofs_op_finish(op, op->size);
}

/* GETXATTR, or LISTXATTR without a name. */
static void ask_get(struct viofs_op *op)
{
	uint8_t args[sizeof(struct fuse_getxattr_in) + NAME_MAX + 1];
	uint32_t room = (uint32_t)VIOFS_MIN(op->xattr.size, (size_t)VALUE_MAX);
	const struct fuse_getxattr_in in = { .size = room };
	size_t len = op->kept ? strlen(op->kept) + 1 : 0;
	struct viofs_request r;
	struct iovec iov;

	memcpy(args, &in, sizeof(in));
	if (len)
		memcpy(args + sizeof(in), op->kept, len);
	r = viofs_request_to(len ? FUSE_GETXATTR : FUSE_LISTXATTR, node_of(op), args,
			     sizeof(in) + len);
	if (!room) {
		r.reply_size = sizeof(struct fuse_getxattr_out);
		viofs_op_call(op, &r, ask_get, got_size);
		return;
	}
	if (!viofs_op_dma(op, room, ask_get))
		return;
	iov = (struct iovec){ op->dma, room };
	r.reply_data = &iov;
	r.reply_data_count = 1;
	viofs_op_call(op, &r, ask_get, got_value);
}

static void check_get(struct viofs_op *op)
{
	if (viofs_check(op, node_of(op), viofs_judge_getxattr, ask_get))
		ask_get(op);
}

static void start_get(struct viofs_op *op, const char *path, unsigned int flags, const char *name,
		      void *value, size_t size)
{
	op->xattr.value = value;
	op->xattr.size = size;
	if (!name || keep_name(op, name))
		viofs_walk(op, op->walk, path, flags, VIOFS_TO_NODE, check_get);
}

static void start_file_get(struct viofs_op *op, struct viofs_file *file, const char *name,
			   void *value, size_t size)
{
	viofs_op_on(op, file);
	op->xattr.value = value;
	op->xattr.size = size;
	if (!name || keep_name(op, name))
		check_get(op);
}

ssize_t viofs_path_getxattr(struct viofs_session *s, const char *path, unsigned int flags,
			    const char *name, void *value, size_t size, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "getxattr", path, err, &op);

	if (rc)
		return rc;
	start_get(op, path, flags, name, value, size);
	return viofs_op_end(op);
}

int viofs_path_getxattr_async(struct viofs_async *a, const char *path, unsigned int flags,
			      const char *name, void *value, size_t size, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_get(op, path, flags, name, value, size);
	return rc;
}

ssize_t viofs_path_listxattr(struct viofs_session *s, const char *path, unsigned int flags,
			     char *names, size_t size, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "listxattr", path, err, &op);

	if (rc)
		return rc;
	start_get(op, path, flags, NULL, names, size);
	return viofs_op_end(op);
}

int viofs_path_listxattr_async(struct viofs_async *a, const char *path, unsigned int flags,
			       char *names, size_t size, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_get(op, path, flags, NULL, names, size);
	return rc;
}

static void was_set(struct viofs_op *op)
{
	viofs_node_stale(&op->a->s->cache, node_of(op)); /* ctime, and more with ACLs */
	viofs_op_finish(op, 0);
}

static void ask_set(struct viofs_op *op)
{
	const struct fuse_setxattr_in in = { .size = (uint32_t)op->xattr.size,
					     .flags = (uint32_t)op->xattr.how };
	size_t head =
		op->a->s->agreed.conn.setxattr_ext ? sizeof(in) : FUSE_COMPAT_SETXATTR_IN_SIZE;
	size_t name = strlen(op->kept) + 1, total = head + name + op->xattr.size;
	struct viofs_request r;
	struct iovec iov;
	uint8_t *message;

	/* Struct, name and value are one piece, which is too long for a request's own arguments. */
	if (!viofs_op_dma(op, total, ask_set))
		return;
	message = op->dma;
	memcpy(message, &in, head);
	memcpy(message + head, op->kept, name);
	if (op->xattr.size)
		memcpy(message + head + name, op->xattr.new_value, op->xattr.size);
	iov = (struct iovec){ message, total };
	r = viofs_request_to(FUSE_SETXATTR, node_of(op), NULL, 0);
	r.data = &iov;
	r.data_count = 1;
	viofs_op_call(op, &r, ask_set, was_set);
}

static void check_set(struct viofs_op *op)
{
	if (viofs_check(op, node_of(op), viofs_judge_setxattr, ask_set))
		ask_set(op);
}

/* Return: false: the op has ended. */
static bool keep_value(struct viofs_op *op, const char *name, const void *value, size_t size,
		       int how)
{
	if (size > VALUE_MAX) {
		viofs_op_finish(op, -E2BIG);
		return false;
	}
	op->xattr.new_value = value;
	op->xattr.size = size;
	op->xattr.how = how;
	return keep_name(op, name);
}

static void start_file_set(struct viofs_op *op, struct viofs_file *file, const char *name,
			   const void *value, size_t size, int how)
{
	viofs_op_on(op, file);
	if (keep_value(op, name, value, size, how))
		check_set(op);
}

static void start_set(struct viofs_op *op, const char *path, unsigned int flags, const char *name,
		      const void *value, size_t size, int how)
{
	if (keep_value(op, name, value, size, how))
		viofs_walk(op, op->walk, path, flags, VIOFS_TO_NODE, check_set);
}

int viofs_path_setxattr(struct viofs_session *s, const char *path, unsigned int flags,
			const char *name, const void *value, size_t size, int how,
			struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "setxattr", path, err, &op);

	if (rc)
		return rc;
	start_set(op, path, flags, name, value, size, how);
	return (int)viofs_op_end(op);
}

int viofs_path_setxattr_async(struct viofs_async *a, const char *path, unsigned int flags,
			      const char *name, const void *value, size_t size, int how, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_set(op, path, flags, name, value, size, how);
	return rc;
}

static void ask_removexattr(struct viofs_op *op)
{
	struct viofs_request r =
		viofs_request_to(FUSE_REMOVEXATTR, node_of(op), op->kept, strlen(op->kept) + 1);

	viofs_op_call(op, &r, ask_removexattr, was_set);
}

static void check_removexattr(struct viofs_op *op)
{
	if (viofs_check(op, node_of(op), viofs_judge_setxattr, ask_removexattr))
		ask_removexattr(op);
}

static void start_file_remove(struct viofs_op *op, struct viofs_file *file, const char *name)
{
	viofs_op_on(op, file);
	if (keep_name(op, name))
		check_removexattr(op);
}

static void start_removexattr(struct viofs_op *op, const char *path, unsigned int flags,
			      const char *name)
{
	if (keep_name(op, name))
		viofs_walk(op, op->walk, path, flags, VIOFS_TO_NODE, check_removexattr);
}

int viofs_path_removexattr(struct viofs_session *s, const char *path, unsigned int flags,
			   const char *name, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "removexattr", path, err, &op);

	if (rc)
		return rc;
	start_removexattr(op, path, flags, name);
	return (int)viofs_op_end(op);
}

int viofs_path_removexattr_async(struct viofs_async *a, const char *path, unsigned int flags,
				 const char *name, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_removexattr(op, path, flags, name);
	return rc;
}

ssize_t viofs_file_getxattr(struct viofs_file *file, const char *name, void *value, size_t size,
			    struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "getxattr", file->path, err, &op);

	if (rc)
		return rc;
	start_file_get(op, file, name, value, size);
	return viofs_op_end(op);
}

int viofs_file_getxattr_async(struct viofs_async *a, struct viofs_file *file, const char *name,
			      void *value, size_t size, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_file_get(op, file, name, value, size);
	return rc;
}

ssize_t viofs_file_listxattr(struct viofs_file *file, char *names, size_t size,
			     struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "listxattr", file->path, err, &op);

	if (rc)
		return rc;
	start_file_get(op, file, NULL, names, size);
	return viofs_op_end(op);
}

int viofs_file_listxattr_async(struct viofs_async *a, struct viofs_file *file, char *names,
			       size_t size, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_file_get(op, file, NULL, names, size);
	return rc;
}

int viofs_file_setxattr(struct viofs_file *file, const char *name, const void *value, size_t size,
			int how, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "setxattr", file->path, err, &op);

	if (rc)
		return rc;
	start_file_set(op, file, name, value, size, how);
	return (int)viofs_op_end(op);
}

int viofs_file_setxattr_async(struct viofs_async *a, struct viofs_file *file, const char *name,
			      const void *value, size_t size, int how, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_file_set(op, file, name, value, size, how);
	return rc;
}

int viofs_file_removexattr(struct viofs_file *file, const char *name, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "removexattr", file->path, err, &op);

	if (rc)
		return rc;
	start_file_remove(op, file, name);
	return (int)viofs_op_end(op);
}

int viofs_file_removexattr_async(struct viofs_async *a, struct viofs_file *file, const char *name,
				 void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_file_remove(op, file, name);
	return rc;
}
