/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What else can be done with an open file. */
#include "client/engine.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define WHICH "file"

/* One page less than 4 GiB: FUSE counts copied bytes in 32 bits. */
#define COPY_MAX 0xfffff000ULL

static int64_t read_or_write(struct viofs_file *file, bool write, const struct iovec *iov,
			     int count, struct viofs_err *err)
{
	ssize_t n = 0;

	if (viofs_dev_is_elsewhere(file->s->dev))
		return viofs_dev_elsewhere(err, write ? "write" : "read", WHICH);
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
	} else if (op->number >= out->attr.size) {
		viofs_op_finish(op, -ENXIO);
	} else {
		viofs_op_finish(op, (int64_t)(op->how == SEEK_DATA ? op->number : out->attr.size));
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
		.offset = op->number,
		.whence = (uint32_t)op->how,
	};
	struct viofs_request r = viofs_request_to(FUSE_LSEEK, op->file->node, &in, sizeof(in));

	r.reply_size = sizeof(struct fuse_lseek_out);
	viofs_op_call_sees(op, &r, ask_lseek, sought);
}

static void start_lseek(struct viofs_op *op, struct viofs_file *file, int64_t offset, int whence)
{
	op->file = file;
	op->number = (uint64_t)offset;
	op->how = whence;
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
	VIOFS_BLOCKING(file->s, err, "lseek", WHICH, start_lseek(op, file, offset, whence));
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
		return viofs_dev_elsewhere(err, "lseek", WHICH);
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
	VIOFS_ASYNC(a, user, start_lseek(op, file, offset, whence));
}

static void start_stat(struct viofs_op *op, struct viofs_file *file, struct stat *st)
{
	op->file = file;
	op->out = st;
	viofs_op_getattr(op);
}

int viofs_file_stat(struct viofs_file *file, struct stat *st, struct viofs_err *err)
{
	VIOFS_BLOCKING(file->s, err, "stat", WHICH, start_stat(op, file, st));
}

int viofs_file_stat_async(struct viofs_async *a, struct viofs_file *file, struct stat *st,
			  void *user)
{
	VIOFS_ASYNC(a, user, start_stat(op, file, st));
}

static void start_setattr(struct viofs_op *op, struct viofs_file *file,
			  const struct fuse_setattr_in *in)
{
	op->file = file;
	op->in.setattr = *in;
	viofs_op_setattr(op);
}

int viofs_file_truncate(struct viofs_file *file, uint64_t size, struct viofs_err *err)
{
	const struct fuse_setattr_in in = { .valid = FATTR_SIZE, .size = size };

	VIOFS_BLOCKING(file->s, err, "truncate", WHICH, start_setattr(op, file, &in));
}

int viofs_file_truncate_async(struct viofs_async *a, struct viofs_file *file, uint64_t size,
			      void *user)
{
	const struct fuse_setattr_in in = { .valid = FATTR_SIZE, .size = size };

	VIOFS_ASYNC(a, user, start_setattr(op, file, &in));
}

int viofs_file_chmod(struct viofs_file *file, mode_t mode, struct viofs_err *err)
{
	const struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = mode & 07777 };

	VIOFS_BLOCKING(file->s, err, "chmod", WHICH, start_setattr(op, file, &in));
}

int viofs_file_chmod_async(struct viofs_async *a, struct viofs_file *file, mode_t mode, void *user)
{
	const struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = mode & 07777 };

	VIOFS_ASYNC(a, user, start_setattr(op, file, &in));
}

static struct fuse_setattr_in owner(uid_t uid, gid_t gid)
{
	return (struct fuse_setattr_in){
		.valid = (uid == (uid_t)-1 ? 0 : FATTR_UID) | (gid == (gid_t)-1 ? 0 : FATTR_GID),
		.uid = uid,
		.gid = gid,
	};
}

int viofs_file_chown(struct viofs_file *file, uid_t uid, gid_t gid, struct viofs_err *err)
{
	const struct fuse_setattr_in in = owner(uid, gid);

	VIOFS_BLOCKING(file->s, err, "chown", WHICH, start_setattr(op, file, &in));
}

int viofs_file_chown_async(struct viofs_async *a, struct viofs_file *file, uid_t uid, gid_t gid,
			   void *user)
{
	const struct fuse_setattr_in in = owner(uid, gid);

	VIOFS_ASYNC(a, user, start_setattr(op, file, &in));
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
	VIOFS_BLOCKING(file->s, err, "utimens", WHICH, start_utimens(op, file, times));
}

int viofs_file_utimens_async(struct viofs_async *a, struct viofs_file *file,
			     const struct timespec *times, void *user)
{
	VIOFS_ASYNC(a, user, start_utimens(op, file, times));
}

static void ask_sync(struct viofs_op *op)
{
	const struct fuse_fsync_in in = {
		.fh = op->file->fh,
		.fsync_flags = op->how ? FUSE_FSYNC_FDATASYNC : 0,
	};
	struct viofs_request r = viofs_request_to(FUSE_FSYNC, op->file->node, &in, sizeof(in));

	viofs_op_call(op, &r, ask_sync, viofs_op_finish_zero);
}

static void start_sync(struct viofs_op *op, struct viofs_file *file, int data_only)
{
	op->file = file;
	op->how = data_only;
	ask_sync(op);
}

int viofs_file_sync(struct viofs_file *file, int data_only, struct viofs_err *err)
{
	VIOFS_BLOCKING(file->s, err, "fsync", WHICH, start_sync(op, file, data_only));
}

int viofs_file_sync_async(struct viofs_async *a, struct viofs_file *file, int data_only, void *user)
{
	VIOFS_ASYNC(a, user, start_sync(op, file, data_only));
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
		.offset = op->number,
		.length = op->number2,
		.mode = (uint32_t)op->how,
	};
	struct viofs_request r = viofs_request_to(FUSE_FALLOCATE, op->file->node, &in, sizeof(in));

	viofs_op_call(op, &r, ask_allocate, changed);
}

static void start_allocate(struct viofs_op *op, struct viofs_file *file, int mode, uint64_t offset,
			   uint64_t size)
{
	op->file = file;
	op->how = mode;
	op->number = offset;
	op->number2 = size;
	ask_allocate(op);
}

int viofs_file_allocate(struct viofs_file *file, int mode, uint64_t offset, uint64_t size,
			struct viofs_err *err)
{
	VIOFS_BLOCKING(file->s, err, "fallocate", WHICH,
		       start_allocate(op, file, mode, offset, size));
}

int viofs_file_allocate_async(struct viofs_async *a, struct viofs_file *file, int mode,
			      uint64_t offset, uint64_t size, void *user)
{
	VIOFS_ASYNC(a, user, start_allocate(op, file, mode, offset, size));
}

static void copied(struct viofs_op *op)
{
	const struct fuse_write_out *out = (const void *)op->reply;

	viofs_node_stale(&op->a->s->cache, op->other->node);
	if (out->size > op->out_size) {
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
		.off_in = op->number,
		.nodeid_out = op->other->node->nodeid,
		.fh_out = op->other->fh,
		.off_out = op->number2,
		.len = op->out_size,
	};
	struct viofs_request r =
		viofs_request_to(FUSE_COPY_FILE_RANGE, op->file->node, &in, sizeof(in));

	r.reply_size = sizeof(struct fuse_write_out);
	viofs_op_call(op, &r, ask_copy, copied);
}

static void start_copy(struct viofs_op *op, struct viofs_file *from, uint64_t from_offset,
		       struct viofs_file *to, uint64_t to_offset, size_t size)
{
	op->file = from;
	op->other = to;
	op->number = from_offset;
	op->number2 = to_offset;
	op->out_size = (size_t)VIOFS_MIN((uint64_t)size, COPY_MAX);
	if (from->s != to->s || from->s != op->a->s)
		viofs_op_finish(op, -EXDEV);
	else
		ask_copy(op);
}

ssize_t viofs_file_copy(struct viofs_file *from, uint64_t from_offset, struct viofs_file *to,
			uint64_t to_offset, size_t size, struct viofs_err *err)
{
	VIOFS_BLOCKING(from->s, err, "copy", WHICH,
		       start_copy(op, from, from_offset, to, to_offset, size));
}

int viofs_file_copy_async(struct viofs_async *a, struct viofs_file *from, uint64_t from_offset,
			  struct viofs_file *to, uint64_t to_offset, size_t size, void *user)
{
	VIOFS_ASYNC(a, user, start_copy(op, from, from_offset, to, to_offset, size));
}

static bool is_lock(const struct fuse_file_lock *lk)
{
	return lk->type == F_UNLCK || ((lk->type == F_RDLCK || lk->type == F_WRLCK) &&
				       lk->start <= lk->end && lk->end <= INT64_MAX);
}

static void got_lock(struct viofs_op *op)
{
	const struct fuse_file_lock *lk =
		&((const struct fuse_lk_out *)(const void *)op->reply)->lk;
	struct flock *out = op->out;

	if (!is_lock(lk)) {
		op->fault = "it answered GETLK with a lock that can't be";
		viofs_op_finish(op, -EIO);
		return;
	}
	out->l_type = (short)lk->type;
	if (lk->type != F_UNLCK) {
		out->l_whence = SEEK_SET;
		out->l_start = (off_t)lk->start;
		out->l_len = lk->end == INT64_MAX ? 0 : (off_t)(lk->end - lk->start + 1);
		out->l_pid = (pid_t)lk->pid;
	}
	viofs_op_finish(op, 0);
}

/* op->mask is the opcode. */
static void ask_lock(struct viofs_op *op)
{
	struct viofs_request r =
		viofs_request_to(op->mask, op->file->node, &op->in.lock, sizeof(op->in.lock));

	r.reply_size = op->mask == FUSE_GETLK ? sizeof(struct fuse_lk_out) : 0;
	op->patient = viofs_request_may_wait(op->mask);
	viofs_op_call(op, &r, ask_lock, op->mask == FUSE_GETLK ? got_lock : viofs_op_finish_zero);
}

static int opcode_of(int command)
{
	switch (command) {
	case F_GETLK:
	case F_OFD_GETLK:
		return FUSE_GETLK;
	case F_SETLK:
	case F_OFD_SETLK:
		return FUSE_SETLK;
	case F_SETLKW:
	case F_OFD_SETLKW:
		return FUSE_SETLKW;
	default:
		return -EINVAL;
	}
}

static void start_lock(struct viofs_op *op, struct viofs_file *file, int command,
		       struct flock *lock)
{
	int opcode = opcode_of(command);
	int rc = 0;

	if (opcode < 0 || lock->l_whence != SEEK_SET || lock->l_start < 0 || lock->l_len < 0 ||
	    lock->l_start > INT64_MAX - lock->l_len)
		rc = -EINVAL;
	else if (!(op->a->s->agreed.flags & FUSE_POSIX_LOCKS))
		rc = -ENOSYS;
	if (rc) {
		viofs_op_finish(op, rc);
		return;
	}
	op->file = file;
	op->out = lock;
	/* An unlock waits for nobody, and must not stand behind those who wait for it. */
	op->mask = opcode == FUSE_SETLKW && lock->l_type == F_UNLCK ? FUSE_SETLK
								    : (unsigned int)opcode;
	op->in.lock = (struct fuse_lk_in){
		.fh = file->fh,
		.owner = file->owner,
		.lk = {
			.start = (uint64_t)lock->l_start,
			.end = lock->l_len ? (uint64_t)(lock->l_start + lock->l_len - 1) : INT64_MAX,
			.type = (uint32_t)lock->l_type,
			.pid = op->a->s->pid,
		},
	};
	ask_lock(op);
}

int viofs_file_lock(struct viofs_file *file, int command, struct flock *lock, struct viofs_err *err)
{
	VIOFS_BLOCKING(file->s, err, "lock", WHICH, start_lock(op, file, command, lock));
}

int viofs_file_lock_async(struct viofs_async *a, struct viofs_file *file, int command,
			  struct flock *lock, void *user)
{
	VIOFS_ASYNC(a, user, start_lock(op, file, command, lock));
}

static void start_flock(struct viofs_op *op, struct viofs_file *file, int operation)
{
	int what = operation & ~LOCK_NB;

	if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN) {
		viofs_op_finish(op, -EINVAL);
		return;
	}
	if (!(op->a->s->agreed.flags & FUSE_FLOCK_LOCKS)) {
		viofs_op_finish(op, -ENOSYS);
		return;
	}
	op->file = file;
	op->mask = operation & LOCK_NB || what == LOCK_UN ? FUSE_SETLK : FUSE_SETLKW;
	op->in.lock = (struct fuse_lk_in){
		.fh = file->fh,
		.owner = file->owner,
		.lk_flags = FUSE_LK_FLOCK,
		.lk = {
			.end = INT64_MAX,
			.type = what == LOCK_SH ? F_RDLCK : what == LOCK_EX ? F_WRLCK : F_UNLCK,
			.pid = op->a->s->pid,
		},
	};
	ask_lock(op);
}

int viofs_file_flock(struct viofs_file *file, int operation, struct viofs_err *err)
{
	VIOFS_BLOCKING(file->s, err, "flock", WHICH, start_flock(op, file, operation));
}

int viofs_file_flock_async(struct viofs_async *a, struct viofs_file *file, int operation,
			   void *user)
{
	VIOFS_ASYNC(a, user, start_flock(op, file, operation));
}
