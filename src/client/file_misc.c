/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What else can be done with an open file: its own position, and what is asked of it.
 *
 * The file is the caller's, and stays open until the call has ended. Its position is used under its
 * lock, which is held over the whole call: reads and writes there come one after the other.
 */
#include "base/util.h"
#include "client/child.h"
#include "client/blocking.h"
#include "client/path_attr.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* One page less than 4 GiB: FUSE counts copied bytes in 32 bits. */
#define COPY_MAX 0xfffff000ULL

static int64_t read_or_write(struct viofs_file *file, bool write, const struct iovec *iov,
			     int count, struct viofs_err *err)
{
	ssize_t n = 0;

	if (viofs_dev_is_elsewhere(file->s->dev))
		return viofs_dev_elsewhere(err, write ? "write" : "read", file->path);
	pthread_mutex_lock(&file->lock);
	if (write && file->oflags & O_APPEND) {
		struct stat st = { 0 };

		n = viofs_file_stat(file, &st, err);
		if (!n)
			file->position = (uint64_t)st.st_size;
	}
	if (!n && write)
		n = viofs_file_pwritev(file, iov, count, file->position, err);
	else if (!n)
		n = viofs_file_preadv(file, iov, count, file->position, err);
	if (n > 0)
		file->position += (uint64_t)n;
	pthread_mutex_unlock(&file->lock);
	return n;
}

ssize_t viofs_file_readv(struct viofs_file *file, const struct iovec *iov, int count,
			 struct viofs_err *err)
{
	return read_or_write(file, false, iov, count, err);
}

ssize_t viofs_file_writev(struct viofs_file *file, const struct iovec *iov, int count,
			  struct viofs_err *err)
{
	return read_or_write(file, true, iov, count, err);
}

ssize_t viofs_file_read(struct viofs_file *file, void *buffer, size_t size, struct viofs_err *err)
{
	const struct iovec iov = { buffer, size };

	return read_or_write(file, false, &iov, 1, err);
}

ssize_t viofs_file_write(struct viofs_file *file, const void *buffer, size_t size,
			 struct viofs_err *err)
{
	const struct iovec iov = { (void *)(uintptr_t)buffer, size };

	return read_or_write(file, true, &iov, 1, err);
}

static void got_size(struct viofs_op *op)
{
	const struct fuse_attr_out *out = (const void *)op->reply;

	if (out->attr.size > INT64_MAX) {
		op->fault = "it answered with attributes that can't be";
		viofs_op_finish(op, -EIO);
	} else if (op->lseek.offset >= out->attr.size) {
		viofs_op_finish(op, -ENXIO);
	} else {
		viofs_op_finish(op, (int64_t)(op->lseek.whence == SEEK_DATA ? op->lseek.offset
									    : out->attr.size));
	}
}

/* A device without LSEEK: data everywhere and a hole at the end, as lseek(2) where holes aren't
 * told. */
static void ask_size(struct viofs_op *op)
{
	const struct fuse_getattr_in in = {
		.getattr_flags = op->file->opened ? FUSE_GETATTR_FH : 0,
		.fh = op->file->fh,
	};
	struct viofs_request r = viofs_request_to(FUSE_GETATTR, op->file->node, &in, sizeof(in));

	r.reply_size = sizeof(struct fuse_attr_out);
	viofs_op_call(op, &r, ask_size, got_size);
}

static void sought(struct viofs_op *op)
{
	const struct fuse_lseek_out *out = (const void *)op->reply;

	if (op->error == -ENOSYS) {
		__atomic_store_n(&op->a->s->no_lseek, 1, __ATOMIC_RELAXED);
		ask_size(op);
		return;
	}
	if (op->error) {
		viofs_op_finish(op, op->error);
		return;
	}
	if (out->offset > INT64_MAX) {
		op->fault = "it answered LSEEK with an offset that can't be";
		viofs_op_finish(op, -EIO);
		return;
	}
	viofs_op_finish(op, (int64_t)out->offset);
}

static void ask_lseek(struct viofs_op *op)
{
	const struct fuse_lseek_in in = {
		.fh = op->file->fh,
		.offset = op->lseek.offset,
		.whence = (uint32_t)op->lseek.whence,
	};
	struct viofs_request r = viofs_request_to(FUSE_LSEEK, op->file->node, &in, sizeof(in));

	r.reply_size = sizeof(struct fuse_lseek_out);
	viofs_op_call_sees(op, &r, ask_lseek, sought);
}

static void start_lseek(struct viofs_op *op, struct viofs_file *file, int64_t offset, int whence)
{
	viofs_op_on(op, file);
	op->lseek.offset = (uint64_t)offset;
	op->lseek.whence = whence;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		viofs_op_finish(op, -EINVAL);
	else if (offset < 0)
		viofs_op_finish(op, -ENXIO);
	else if (__atomic_load_n(&op->a->s->no_lseek, __ATOMIC_RELAXED))
		ask_size(op);
	else
		ask_lseek(op);
}

static int64_t seek_on_device(struct viofs_file *file, int64_t offset, int whence,
			      struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "lseek", file->path, err, &op);

	if (rc)
		return rc;
	start_lseek(op, file, offset, whence);
	return viofs_op_end(op);
}

/* Where the offset counts from. Return: 0; -errno. */
static int base_of(struct viofs_file *file, int whence, int64_t *base, struct viofs_err *err)
{
	struct stat st = { 0 };
	int rc;

	switch (whence) {
	case SEEK_SET:
		*base = 0;
		return 0;
	case SEEK_CUR:
		*base = (int64_t)file->position;
		return 0;
	case SEEK_END:
		rc = viofs_file_stat(file, &st, err);
		*base = st.st_size;
		return rc;
	default:
		return viofs_err_set(err, -EINVAL, "lseek: %d is no way to seek.", whence);
	}
}

int64_t viofs_file_lseek(struct viofs_file *file, int64_t offset, int whence, struct viofs_err *err)
{
	int64_t base = 0, to = 0;

	if (viofs_dev_is_elsewhere(file->s->dev))
		return viofs_dev_elsewhere(err, "lseek", file->path);
	pthread_mutex_lock(&file->lock);
	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		to = seek_on_device(file, offset, whence, err);
	else
		to = base_of(file, whence, &base, err);
	if (!to && whence != SEEK_DATA && whence != SEEK_HOLE &&
	    (__builtin_add_overflow(base, offset, &to) || to < 0))
		to = viofs_err_set(err, -EINVAL,
				   "lseek: the offset would be less than 0, or too large.");
	if (to >= 0)
		file->position = (uint64_t)to;
	pthread_mutex_unlock(&file->lock);
	return to;
}

int viofs_file_lseek_async(struct viofs_async *a, struct viofs_file *file, int64_t offset,
			   int whence, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_lseek(op, file, offset, whence);
	return rc;
}

static void start_stat(struct viofs_op *op, struct viofs_file *file, struct stat *st)
{
	viofs_op_on(op, file);
	op->stat.st = st;
	viofs_op_getattr(op);
}

int viofs_file_stat(struct viofs_file *file, struct stat *st, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "stat", file->path, err, &op);

	if (rc)
		return rc;
	start_stat(op, file, st);
	return (int)viofs_op_end(op);
}

int viofs_file_stat_async(struct viofs_async *a, struct viofs_file *file, struct stat *st,
			  void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_stat(op, file, st);
	return rc;
}

static void start_setattr(struct viofs_op *op, struct viofs_file *file,
			  const struct fuse_setattr_in *in)
{
	viofs_op_on(op, file);
	op->setattr = *in;
	viofs_op_setattr(op);
}

int viofs_file_truncate(struct viofs_file *file, uint64_t size, struct viofs_err *err)
{
	const struct fuse_setattr_in in = viofs_set_size(size);
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "truncate", file->path, err, &op);

	if (rc)
		return rc;
	start_setattr(op, file, &in);
	return (int)viofs_op_end(op);
}

int viofs_file_truncate_async(struct viofs_async *a, struct viofs_file *file, uint64_t size,
			      void *user)
{
	const struct fuse_setattr_in in = viofs_set_size(size);
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_setattr(op, file, &in);
	return rc;
}

int viofs_file_chmod(struct viofs_file *file, mode_t mode, struct viofs_err *err)
{
	const struct fuse_setattr_in in = viofs_set_mode(mode);
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "chmod", file->path, err, &op);

	if (rc)
		return rc;
	start_setattr(op, file, &in);
	return (int)viofs_op_end(op);
}

int viofs_file_chmod_async(struct viofs_async *a, struct viofs_file *file, mode_t mode, void *user)
{
	const struct fuse_setattr_in in = viofs_set_mode(mode);
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_setattr(op, file, &in);
	return rc;
}

int viofs_file_chown(struct viofs_file *file, uid_t uid, gid_t gid, struct viofs_err *err)
{
	const struct fuse_setattr_in in = viofs_set_owner(uid, gid);
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "chown", file->path, err, &op);

	if (rc)
		return rc;
	start_setattr(op, file, &in);
	return (int)viofs_op_end(op);
}

int viofs_file_chown_async(struct viofs_async *a, struct viofs_file *file, uid_t uid, gid_t gid,
			   void *user)
{
	const struct fuse_setattr_in in = viofs_set_owner(uid, gid);
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_setattr(op, file, &in);
	return rc;
}

static void start_utimens(struct viofs_op *op, struct viofs_file *file,
			  const struct timespec *times)
{
	struct fuse_setattr_in in;
	int rc = viofs_set_times(&in, times);

	if (rc)
		viofs_op_finish(op, rc);
	else
		start_setattr(op, file, &in);
}

int viofs_file_utimens(struct viofs_file *file, const struct timespec *times, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "utimens", file->path, err, &op);

	if (rc)
		return rc;
	start_utimens(op, file, times);
	return (int)viofs_op_end(op);
}

int viofs_file_utimens_async(struct viofs_async *a, struct viofs_file *file,
			     const struct timespec *times, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_utimens(op, file, times);
	return rc;
}

static void ask_sync(struct viofs_op *op)
{
	const struct fuse_fsync_in in = {
		.fh = op->file->fh,
		.fsync_flags = op->sync.data_only ? FUSE_FSYNC_FDATASYNC : 0,
	};
	struct viofs_request r = viofs_request_to(FUSE_FSYNC, op->file->node, &in, sizeof(in));

	viofs_op_call(op, &r, ask_sync, viofs_op_finish_zero);
}

static void start_sync(struct viofs_op *op, struct viofs_file *file, int data_only)
{
	viofs_op_on(op, file);
	op->sync.data_only = data_only;
	ask_sync(op);
}

int viofs_file_sync(struct viofs_file *file, int data_only, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "fsync", file->path, err, &op);

	if (rc)
		return rc;
	start_sync(op, file, data_only);
	return (int)viofs_op_end(op);
}

int viofs_file_sync_async(struct viofs_async *a, struct viofs_file *file, int data_only, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_sync(op, file, data_only);
	return rc;
}

static void changed(struct viofs_op *op)
{
	viofs_node_stale(&op->a->s->cache, op->file->node);
	viofs_op_finish(op, 0);
}

static void ask_allocate(struct viofs_op *op)
{
	const struct fuse_fallocate_in in = {
		.fh = op->file->fh,
		.offset = op->allocate.offset,
		.length = op->allocate.size,
		.mode = (uint32_t)op->allocate.mode,
	};
	struct viofs_request r = viofs_request_to(FUSE_FALLOCATE, op->file->node, &in, sizeof(in));

	viofs_op_call(op, &r, ask_allocate, changed);
}

static void start_allocate(struct viofs_op *op, struct viofs_file *file, int mode, uint64_t offset,
			   uint64_t size)
{
	viofs_op_on(op, file);
	op->allocate.mode = mode;
	op->allocate.offset = offset;
	op->allocate.size = size;
	ask_allocate(op);
}

int viofs_file_allocate(struct viofs_file *file, int mode, uint64_t offset, uint64_t size,
			struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "fallocate", file->path, err, &op);

	if (rc)
		return rc;
	start_allocate(op, file, mode, offset, size);
	return (int)viofs_op_end(op);
}

int viofs_file_allocate_async(struct viofs_async *a, struct viofs_file *file, int mode,
			      uint64_t offset, uint64_t size, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_allocate(op, file, mode, offset, size);
	return rc;
}

static void copied(struct viofs_op *op)
{
	const struct fuse_write_out *out = (const void *)op->reply;

	viofs_node_stale(&op->a->s->cache, op->copy.to->node);
	if (out->size > op->copy.size) {
		op->fault = "it says that it copied more than it was asked to";
		viofs_op_finish(op, -EIO);
		return;
	}
	viofs_op_finish(op, out->size);
}

static void ask_copy(struct viofs_op *op)
{
	const struct fuse_copy_file_range_in in = {
		.fh_in = op->file->fh,
		.off_in = op->copy.from_offset,
		.nodeid_out = op->copy.to->node->nodeid,
		.fh_out = op->copy.to->fh,
		.off_out = op->copy.to_offset,
		.len = op->copy.size,
	};
	struct viofs_request r =
		viofs_request_to(FUSE_COPY_FILE_RANGE, op->file->node, &in, sizeof(in));

	r.reply_size = sizeof(struct fuse_write_out);
	viofs_op_call(op, &r, ask_copy, copied);
}

static void start_copy(struct viofs_op *op, struct viofs_file *from, uint64_t from_offset,
		       struct viofs_file *to, uint64_t to_offset, size_t size)
{
	viofs_op_on(op, from);
	op->copy.to = to;
	op->copy.from_offset = from_offset;
	op->copy.to_offset = to_offset;
	op->copy.size = VIOFS_MIN((uint64_t)size, COPY_MAX);
	if (from->s != to->s || from->s != op->a->s)
		viofs_op_finish(op, -EXDEV);
	else
		ask_copy(op);
}

ssize_t viofs_file_copy(struct viofs_file *from, uint64_t from_offset, struct viofs_file *to,
			uint64_t to_offset, size_t size, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(from->s, from->caller, "copy", from->path, err, &op);

	if (rc)
		return rc;
	op->second = to->path;
	start_copy(op, from, from_offset, to, to_offset, size);
	return viofs_op_end(op);
}

int viofs_file_copy_async(struct viofs_async *a, struct viofs_file *from, uint64_t from_offset,
			  struct viofs_file *to, uint64_t to_offset, size_t size, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_copy(op, from, from_offset, to, to_offset, size);
	return rc;
}
