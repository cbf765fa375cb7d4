/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attributes: stat, statx, statfs, access; chmod, chown, utimens, truncate.
 *
 * A call of a path has its node after the walk; one of a file has the file's. Both take a reference
 * of their own (op->node), so that a file's close by another thread ends nothing here.
 */
#include "base/page.h"
#include "base/util.h"
#include "client/blocking.h"
#include "client/check.h"
#include "client/path_attr.h"
#include "client/walk.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Bytes of struct statx that FUSE_STATX has too, at the same offsets (up to stx_dev_minor). */
#define STATX_BYTES 144U
#define STATX_OUT_AT 32U /* of them in the reply */

/* As the kernel does: a device may say any number, utimensat(2) takes none beyond a second. */
static uint32_t nsec(uint32_t n)
{
	return VIOFS_MIN(n, (uint32_t)VIOFS_NSEC_PER_SEC - 1);
}

void viofs_attr_to_stat(const struct fuse_attr *a, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = a->ino;
	st->st_mode = a->mode;
	st->st_nlink = a->nlink;
	st->st_uid = a->uid;
	st->st_gid = a->gid;
	st->st_rdev = makedev(a->rdev >> 8 & 0xfff, (a->rdev & 0xff) | (a->rdev >> 12 & 0xfff00));
	st->st_size = (off_t)a->size;
	st->st_blksize = (blksize_t)(a->blksize ? a->blksize : viofs_page_size());
	st->st_blocks = (blkcnt_t)a->blocks;
	st->st_atim = (struct timespec){ (time_t)a->atime, nsec(a->atimensec) };
	st->st_mtim = (struct timespec){ (time_t)a->mtime, nsec(a->mtimensec) };
	st->st_ctim = (struct timespec){ (time_t)a->ctime, nsec(a->ctimensec) };
}

static void attr_to_statx(const struct fuse_attr *a, struct statx *stx)
{
	memset(stx, 0, sizeof(*stx));
	stx->stx_mask = STATX_BASIC_STATS;
	stx->stx_blksize = a->blksize ? a->blksize : (uint32_t)viofs_page_size();
	stx->stx_nlink = a->nlink;
	stx->stx_uid = a->uid;
	stx->stx_gid = a->gid;
	stx->stx_mode = (uint16_t)a->mode;
	stx->stx_ino = a->ino;
	stx->stx_size = a->size;
	stx->stx_blocks = a->blocks;
	stx->stx_atime.tv_sec = (int64_t)a->atime;
	stx->stx_atime.tv_nsec = nsec(a->atimensec);
	stx->stx_mtime.tv_sec = (int64_t)a->mtime;
	stx->stx_mtime.tv_nsec = nsec(a->mtimensec);
	stx->stx_ctime.tv_sec = (int64_t)a->ctime;
	stx->stx_ctime.tv_nsec = nsec(a->ctimensec);
	stx->stx_rdev_major = a->rdev >> 8 & 0xfff;
	stx->stx_rdev_minor = (a->rdev & 0xff) | (a->rdev >> 12 & 0xfff00);
}

/* The walk has ended, or a file is used: from here on op->node counts. */
static void hold_node(struct viofs_op *op)
{
	if (op->node)
		return;
	op->node = op->file ? op->file->node : op->walk->node;
	viofs_node_get(&op->a->s->cache, op->node);
}

/* Take fuse_attr_out from the reply. Return: false: the op has ended. */
static bool take_attr(struct viofs_op *op)
{
	const struct fuse_attr_out *out = (const void *)op->reply;
	struct fuse_attr known;

	viofs_node_attr(&op->a->s->cache, op->node, &known);
	if ((out->attr.mode & S_IFMT) != (known.mode & S_IFMT) || out->attr.size > INT64_MAX) {
		op->fault = "it answered with attributes that can't be";
		viofs_op_finish(op, -EIO);
		return false;
	}
	viofs_node_set_attr(&op->a->s->cache, op->node, &out->attr, out->attr_valid,
			    out->attr_valid_nsec);
	return true;
}

static void tell_attr(struct viofs_op *op, const struct fuse_attr *attr)
{
	if (op->stat.stx)
		attr_to_statx(attr, op->stat.stx);
	else
		viofs_attr_to_stat(attr, op->stat.st);
	viofs_op_finish(op, 0);
}

static void got_attr(struct viofs_op *op)
{
	const struct fuse_attr_out *out = (const void *)op->reply;

	if (!take_attr(op))
		return;
	tell_attr(op, &out->attr);
}

static void get_attr(struct viofs_op *op)
{
	struct fuse_getattr_in in = { 0 };
	struct viofs_request r;

	if (op->file && op->file->opened) {
		in.getattr_flags = FUSE_GETATTR_FH;
		in.fh = op->file->fh;
	}
	r = viofs_request_to(FUSE_GETATTR, op->node, &in, sizeof(in));
	r.reply_size = sizeof(struct fuse_attr_out);
	viofs_op_call(op, &r, get_attr, got_attr);
}

/* Will what is known of op->node do? */
static bool remembers(const struct viofs_op *op, struct fuse_attr *attr)
{
	bool holds = viofs_node_attr(&op->a->s->cache, op->node, attr);

	/* The root is never looked up: it may never have told anything. */
	return op->stat.sync & VIOFS_PATH_DONT_SYNC
		       ? attr->ino != 0
		       : holds && !(op->stat.sync & VIOFS_PATH_FORCE_SYNC);
}

void viofs_op_getattr(struct viofs_op *op)
{
	struct fuse_attr attr;

	hold_node(op);
	if (!op->file && remembers(op, &attr)) {
		tell_attr(op, &attr);
		return;
	}
	get_attr(op);
}

static void walk_to_stat(struct viofs_op *op, const char *path, unsigned int flags,
			 viofs_step *then)
{
	const unsigned int sync = VIOFS_PATH_FORCE_SYNC | VIOFS_PATH_DONT_SYNC;

	if (op->caller->fresh)
		flags |= VIOFS_PATH_FORCE_SYNC;
	op->stat.sync = flags & sync;
	if (op->stat.sync == sync)
		viofs_op_finish(op, -EINVAL);
	else
		viofs_walk(op, op->walk, path, flags & ~(unsigned int)VIOFS_PATH_DONT_SYNC,
			   VIOFS_TO_NODE, then);
}

static void start_stat(struct viofs_op *op, const char *path, unsigned int flags, struct stat *st)
{
	op->stat.st = st;
	walk_to_stat(op, path, flags, viofs_op_getattr);
}

int viofs_path_stat(struct viofs_session *s, const char *path, unsigned int flags, struct stat *st,
		    struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "stat", path, err, &op);

	if (rc)
		return rc;
	start_stat(op, path, flags, st);
	return (int)viofs_op_end(op);
}

int viofs_path_stat_async(struct viofs_async *a, const char *path, unsigned int flags,
			  struct stat *st, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_stat(op, path, flags, st);
	return rc;
}

static void got_statx(struct viofs_op *op)
{
	struct statx *stx = op->stat.stx;

	if (op->error == -ENOSYS) {
		__atomic_store_n(&op->a->s->no_statx, 1, __ATOMIC_RELAXED);
		viofs_op_getattr(op);
		return;
	}
	if (!op->error) {
		memset(stx, 0, sizeof(*stx));
		memcpy(stx, (const uint8_t *)op->reply + STATX_OUT_AT, STATX_BYTES);
	}
	viofs_op_finish(op, op->error);
}

static void get_statx(struct viofs_op *op)
{
	struct {
		uint32_t getattr_flags, reserved;
		uint64_t fh;
		uint32_t flags, mask;
	} in = { .flags = op->stat.sync & VIOFS_PATH_FORCE_SYNC ? AT_STATX_FORCE_SYNC : 0,
		 .mask = op->stat.mask };
	struct viofs_request r;

	hold_node(op);
	if ((op->stat.sync & VIOFS_PATH_DONT_SYNC && !(op->stat.mask & ~STATX_BASIC_STATS)) ||
	    op->a->s->agreed.conn.minor < 39 ||
	    __atomic_load_n(&op->a->s->no_statx, __ATOMIC_RELAXED)) {
		viofs_op_getattr(op);
		return;
	}
	r = viofs_request_to(VIOFS_FUSE_STATX, op->node, &in, sizeof(in));
	r.reply_size = VIOFS_FUSE_STATX_OUT;
	viofs_op_call_sees(op, &r, get_statx, got_statx);
}

static void start_statx(struct viofs_op *op, const char *path, unsigned int flags,
			unsigned int mask, struct statx *stx)
{
	op->stat.stx = stx;
	op->stat.mask = mask;
	walk_to_stat(op, path, flags, get_statx);
}

int viofs_path_statx(struct viofs_session *s, const char *path, unsigned int flags,
		     unsigned int mask, struct statx *stx, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "statx", path, err, &op);

	if (rc)
		return rc;
	start_statx(op, path, flags, mask, stx);
	return (int)viofs_op_end(op);
}

int viofs_path_statx_async(struct viofs_async *a, const char *path, unsigned int flags,
			   unsigned int mask, struct statx *stx, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_statx(op, path, flags, mask, stx);
	return rc;
}

static void got_statfs(struct viofs_op *op)
{
	const struct fuse_kstatfs *k =
		&((const struct fuse_statfs_out *)(const void *)op->reply)->st;
	struct statvfs *st = op->statfs.out;

	memset(st, 0, sizeof(*st));
	st->f_bsize = k->bsize;
	st->f_frsize = k->frsize;
	st->f_blocks = k->blocks;
	st->f_bfree = k->bfree;
	st->f_bavail = k->bavail;
	st->f_files = k->files;
	st->f_ffree = st->f_favail = k->ffree;
	st->f_namemax = k->namelen;
	viofs_op_finish(op, 0);
}

static void get_statfs(struct viofs_op *op)
{
	struct viofs_request r = viofs_request_to(FUSE_STATFS, op->walk->node, NULL, 0);

	r.reply_size = sizeof(struct fuse_statfs_out);
	viofs_op_call(op, &r, get_statfs, got_statfs);
}

static void start_statfs(struct viofs_op *op, const char *path, unsigned int flags,
			 struct statvfs *st)
{
	op->statfs.out = st;
	viofs_walk(op, op->walk, path, flags, VIOFS_TO_NODE, get_statfs);
}

int viofs_path_statfs(struct viofs_session *s, const char *path, unsigned int flags,
		      struct statvfs *st, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "statfs", path, err, &op);

	if (rc)
		return rc;
	start_statfs(op, path, flags, st);
	return (int)viofs_op_end(op);
}

int viofs_path_statfs_async(struct viofs_async *a, const char *path, unsigned int flags,
			    struct statvfs *st, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_statfs(op, path, flags, st);
	return rc;
}

static void decide(struct viofs_op *op, const struct fuse_attr *attr)
{
	viofs_op_finish(op, viofs_check_mask(op->caller, attr, op->access.mask) ? 0 : -EACCES);
}

static void got_permissions(struct viofs_op *op)
{
	const struct fuse_attr_out *out = (const void *)op->reply;

	if (take_attr(op))
		decide(op, &out->attr);
}

static void ask_permissions(struct viofs_op *op)
{
	const struct fuse_getattr_in in = { 0 };
	struct viofs_request r = viofs_request_to(FUSE_GETATTR, op->node, &in, sizeof(in));

	r.reply_size = sizeof(struct fuse_attr_out);
	viofs_op_call(op, &r, ask_permissions, got_permissions);
}

/* A device that knows no ACCESS: what its attributes say. */
static void by_attributes(struct viofs_op *op)
{
	struct fuse_attr attr;

	hold_node(op);
	if (viofs_node_attr(&op->a->s->cache, op->node, &attr))
		decide(op, &attr);
	else
		ask_permissions(op);
}

static void may_access(struct viofs_op *op)
{
	if (op->error != -ENOSYS) {
		viofs_op_finish(op, op->error);
		return;
	}
	__atomic_store_n(&op->a->s->no_access, 1, __ATOMIC_RELAXED);
	by_attributes(op);
}

static void ask_access(struct viofs_op *op)
{
	const struct fuse_access_in in = { .mask = op->access.mask };
	struct viofs_request r = viofs_request_to(FUSE_ACCESS, op->walk->node, &in, sizeof(in));

	if (op->caller->check || __atomic_load_n(&op->a->s->no_access, __ATOMIC_RELAXED))
		by_attributes(op);
	else
		viofs_op_call_sees(op, &r, ask_access, may_access);
}

static void start_access(struct viofs_op *op, const char *path, unsigned int flags, int mode)
{
	if (mode & ~(R_OK | W_OK | X_OK)) {
		viofs_op_finish(op, -EINVAL);
		return;
	}
	op->access.mask = (uint32_t)mode;
	viofs_walk(op, op->walk, path, flags, VIOFS_TO_NODE, ask_access);
}

int viofs_path_access(struct viofs_session *s, const char *path, unsigned int flags, int mode,
		      struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "access", path, err, &op);

	if (rc)
		return rc;
	start_access(op, path, flags, mode);
	return (int)viofs_op_end(op);
}

int viofs_path_access_async(struct viofs_async *a, const char *path, unsigned int flags, int mode,
			    void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_access(op, path, flags, mode);
	return rc;
}

static void attr_was_set(struct viofs_op *op)
{
	if (take_attr(op))
		viofs_op_finish(op, 0);
}

static void ask_setattr(struct viofs_op *op)
{
	struct viofs_request r;

	if (op->file && op->file->opened) {
		op->setattr.valid |= FATTR_FH;
		op->setattr.fh = op->file->fh;
	}
	if (op->setattr.valid & FATTR_SIZE && op->caller->uid &&
	    op->a->s->agreed.flags & FUSE_HANDLE_KILLPRIV_V2)
		op->setattr.valid |= FATTR_KILL_SUIDGID;
	r = viofs_request_to(FUSE_SETATTR, op->node, &op->setattr, sizeof(op->setattr));
	r.reply_size = sizeof(struct fuse_attr_out);
	viofs_op_call(op, &r, ask_setattr, attr_was_set);
}

void viofs_op_setattr(struct viofs_op *op)
{
	hold_node(op);
	if (viofs_check(op, op->node, viofs_judge_setattr, ask_setattr))
		ask_setattr(op);
}

static void start_setattr(struct viofs_op *op, const char *path, unsigned int flags,
			  const struct fuse_setattr_in *in)
{
	op->setattr = *in;
	viofs_walk(op, op->walk, path, flags, VIOFS_TO_NODE, viofs_op_setattr);
}

struct fuse_setattr_in viofs_set_mode(mode_t mode)
{
	return (struct fuse_setattr_in){ .valid = FATTR_MODE, .mode = mode & 07777 };
}

struct fuse_setattr_in viofs_set_owner(uid_t uid, gid_t gid)
{
	return (struct fuse_setattr_in){
		.valid = (uid == (uid_t)-1 ? 0 : FATTR_UID) | (gid == (gid_t)-1 ? 0 : FATTR_GID),
		.uid = uid,
		.gid = gid,
	};
}

struct fuse_setattr_in viofs_set_size(uint64_t size)
{
	return (struct fuse_setattr_in){ .valid = FATTR_SIZE, .size = size };
}

int viofs_set_times(struct fuse_setattr_in *in, const struct timespec *times)
{
	static const struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };

	memset(in, 0, sizeof(*in));
	if (!times)
		times = now;
	for (int i = 0; i < 2; i++)
		if (times[i].tv_nsec != UTIME_NOW && times[i].tv_nsec != UTIME_OMIT &&
		    (times[i].tv_nsec < 0 || times[i].tv_nsec > 999999999))
			return -EINVAL;
	if (times[0].tv_nsec != UTIME_OMIT)
		in->valid |= FATTR_ATIME | (times[0].tv_nsec == UTIME_NOW ? FATTR_ATIME_NOW : 0);
	if (times[1].tv_nsec != UTIME_OMIT)
		in->valid |= FATTR_MTIME | (times[1].tv_nsec == UTIME_NOW ? FATTR_MTIME_NOW : 0);
	in->atime = (uint64_t)times[0].tv_sec;
	in->mtime = (uint64_t)times[1].tv_sec;
	in->atimensec = times[0].tv_nsec == UTIME_NOW ? 0 : (uint32_t)times[0].tv_nsec;
	in->mtimensec = times[1].tv_nsec == UTIME_NOW ? 0 : (uint32_t)times[1].tv_nsec;
	return 0;
}

int viofs_path_chmod(struct viofs_session *s, const char *path, unsigned int flags, mode_t mode,
		     struct viofs_err *err)
{
	const struct fuse_setattr_in in = viofs_set_mode(mode);
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "chmod", path, err, &op);

	if (rc)
		return rc;
	start_setattr(op, path, flags, &in);
	return (int)viofs_op_end(op);
}

int viofs_path_chmod_async(struct viofs_async *a, const char *path, unsigned int flags, mode_t mode,
			   void *user)
{
	const struct fuse_setattr_in in = viofs_set_mode(mode);
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_setattr(op, path, flags, &in);
	return rc;
}

int viofs_path_chown(struct viofs_session *s, const char *path, unsigned int flags, uid_t uid,
		     gid_t gid, struct viofs_err *err)
{
	const struct fuse_setattr_in in = viofs_set_owner(uid, gid);
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "chown", path, err, &op);

	if (rc)
		return rc;
	start_setattr(op, path, flags, &in);
	return (int)viofs_op_end(op);
}

int viofs_path_chown_async(struct viofs_async *a, const char *path, unsigned int flags, uid_t uid,
			   gid_t gid, void *user)
{
	const struct fuse_setattr_in in = viofs_set_owner(uid, gid);
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_setattr(op, path, flags, &in);
	return rc;
}

static void start_utimens(struct viofs_op *op, const char *path, unsigned int flags,
			  const struct timespec *times)
{
	struct fuse_setattr_in in;
	int rc = viofs_set_times(&in, times);

	if (rc)
		viofs_op_finish(op, rc);
	else
		start_setattr(op, path, flags, &in);
}

int viofs_path_utimens(struct viofs_session *s, const char *path, unsigned int flags,
		       const struct timespec *times, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "utimens", path, err, &op);

	if (rc)
		return rc;
	start_utimens(op, path, flags, times);
	return (int)viofs_op_end(op);
}

int viofs_path_utimens_async(struct viofs_async *a, const char *path, unsigned int flags,
			     const struct timespec *times, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_utimens(op, path, flags, times);
	return rc;
}

int viofs_path_truncate(struct viofs_session *s, const char *path, unsigned int flags,
			uint64_t size, struct viofs_err *err)
{
	const struct fuse_setattr_in in = viofs_set_size(size);
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "truncate", path, err, &op);

	if (rc)
		return rc;
	start_setattr(op, path, flags, &in);
	return (int)viofs_op_end(op);
}

int viofs_path_truncate_async(struct viofs_async *a, const char *path, unsigned int flags,
			      uint64_t size, void *user)
{
	const struct fuse_setattr_in in = viofs_set_size(size);
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_setattr(op, path, flags, &in);
	return rc;
}
