/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The share as one side of a copy: libviofs's asynchronous calls.
 *
 * The copy's one thread, which has the user of calls that all of them go by. Files and directories
 * are owned by whoever opened them by this side.
 */
#include "format.h"
#include "xfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/* A call that is not under way ends at once. */
static void started(struct viofs_xfer *x, struct viofs_xfer_op *op, int rc)
{
	if (rc < 0)
		viofs_xfer_ready(x, op, rc);
}

static unsigned int following(bool follow)
{
	return follow ? 0 : VIOFS_PATH_NO_FOLLOW;
}

static void share_stat(struct viofs_xfer *x, const struct viofs_xfer_place *p, bool follow,
		       struct stat *st, struct viofs_xfer_op *op)
{
	started(x, op, viofs_path_stat_async(x->async, p->path, following(follow), st, op));
}

static void share_open(struct viofs_xfer *x, const struct viofs_xfer_place *p, int flags,
		       mode_t mode, void **file, struct viofs_xfer_op *op)
{
	started(x, op,
		viofs_file_open_async(x->async, p->path, 0, flags, mode, (struct viofs_file **)file,
				      op));
}

static void share_close(struct viofs_xfer *x, void *file, struct viofs_xfer_op *op)
{
	/* If the close can't begin, the file is still open; the blocking call closes it in any
	 * case. */
	if (viofs_file_close_async(x->async, file, op))
		viofs_xfer_ready(x, op, viofs_file_close(file, NULL));
}

static void share_read(struct viofs_xfer *x, void *file, void *data, size_t size, uint64_t offset,
		       struct viofs_xfer_op *op)
{
	started(x, op, viofs_file_pread_async(x->async, file, data, size, offset, op));
}

static void share_write(struct viofs_xfer *x, void *file, const void *data, size_t size,
			uint64_t offset, struct viofs_xfer_op *op)
{
	started(x, op, viofs_file_pwrite_async(x->async, file, data, size, offset, op));
}

static void share_seek(struct viofs_xfer *x, void *file, uint64_t offset, int whence,
		       struct viofs_xfer_op *op)
{
	started(x, op, viofs_file_lseek_async(x->async, file, (int64_t)offset, whence, op));
}

static void share_truncate(struct viofs_xfer *x, void *file, uint64_t size,
			   struct viofs_xfer_op *op)
{
	started(x, op, viofs_file_truncate_async(x->async, file, size, op));
}

static void share_pass(struct viofs_xfer *x, void *from, void *to, size_t size, uint64_t offset,
		       struct viofs_xfer_op *op)
{
	started(x, op,
		x->to == x->from
			? viofs_file_copy_async(x->async, from, offset, to, offset, size, op)
			: viofs_file_to_fd_async(x->async, from, offset, viofs_side_local_fd(to),
						 (int64_t)offset, size, op));
}

static void share_settle(struct viofs_xfer *x, void *file, struct viofs_xfer_op *op)
{
	started(x, op, viofs_file_sync_async(x->async, file, 1, op));
}

static int file_attr(struct viofs_xfer *x, enum viofs_attr what, void *file, const struct stat *st,
		     struct viofs_xfer_op *op)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	switch (what) {
	case VIOFS_ATTR_OWNER:
		return viofs_file_chown_async(x->async, file, st->st_uid, st->st_gid, op);
	case VIOFS_ATTR_MODE:
		return viofs_file_chmod_async(x->async, file, st->st_mode & 07777, op);
	default:
		return viofs_file_utimens_async(x->async, file, times, op);
	}
}

static int path_attr(struct viofs_xfer *x, enum viofs_attr what, const char *path,
		     const struct stat *st, struct viofs_xfer_op *op)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	unsigned int flags = VIOFS_PATH_NO_FOLLOW;

	switch (what) {
	case VIOFS_ATTR_OWNER:
		return viofs_path_chown_async(x->async, path, flags, st->st_uid, st->st_gid, op);
	case VIOFS_ATTR_MODE:
		return viofs_path_chmod_async(x->async, path, flags, st->st_mode & 07777, op);
	default:
		return viofs_path_utimens_async(x->async, path, flags, times, op);
	}
}

static void share_attr(struct viofs_xfer *x, enum viofs_attr what, void *file,
		       const struct viofs_xfer_place *p, const struct stat *st,
		       struct viofs_xfer_op *op)
{
	started(x, op,
		file ? file_attr(x, what, file, st, op) : path_attr(x, what, p->path, st, op));
}

static void share_rename(struct viofs_xfer *x, const struct viofs_xfer_place *from,
			 const struct viofs_xfer_place *to, struct viofs_xfer_op *op)
{
	started(x, op, viofs_path_rename_async(x->async, from->path, to->path, 0, 0, op));
}

static void share_unlink(struct viofs_xfer *x, const struct viofs_xfer_place *p,
			 struct viofs_xfer_op *op)
{
	started(x, op, viofs_path_unlink_async(x->async, p->path, 0, op));
}

static void share_mkdir(struct viofs_xfer *x, const struct viofs_xfer_place *p, mode_t mode,
			struct viofs_xfer_op *op)
{
	started(x, op, viofs_path_mkdir_async(x->async, p->path, 0, mode, op));
}

static void share_enter(struct viofs_xfer *x, const struct viofs_xfer_place *p, bool existed,
			bool follow, int *fd, struct viofs_xfer_op *op)
{
	/* Nobody looks at it: that there is a "." below the name is what is asked. */
	static struct stat ignored;
	char *inside = existed ? viofs_format_join(p->path, ".") : NULL;

	*fd = -1;
	if (!existed)
		viofs_xfer_ready(x, op, 0);
	else if (!inside)
		viofs_xfer_ready(x, op, -ENOMEM);
	else
		started(x, op, viofs_path_stat_async(x->async, inside, 0, &ignored, op));
	free(inside);
}

static void share_symlink(struct viofs_xfer *x, const char *target,
			  const struct viofs_xfer_place *p, struct viofs_xfer_op *op)
{
	started(x, op, viofs_path_symlink_async(x->async, target, p->path, 0, op));
}

static void share_readlink(struct viofs_xfer *x, const struct viofs_xfer_place *p,
			   char target[4096], struct viofs_xfer_op *op)
{
	started(x, op,
		viofs_path_readlink_async(x->async, p->path, VIOFS_PATH_NO_FOLLOW, target, 4096,
					  op));
}

static void share_mknod(struct viofs_xfer *x, const struct viofs_xfer_place *p, mode_t mode,
			dev_t dev, struct viofs_xfer_op *op)
{
	started(x, op, viofs_path_mknod_async(x->async, p->path, 0, mode, dev, op));
}

static void share_dir_open(struct viofs_xfer *x, const struct viofs_xfer_place *p, bool follow,
			   void **dir, struct viofs_xfer_op *op)
{
	started(x, op,
		viofs_dir_open_async(x->async, p->path, following(follow), (struct viofs_dir **)dir,
				     op));
}

static void share_dir_fill(struct viofs_xfer *x, void *dir, struct viofs_xfer_op *op)
{
	started(x, op, viofs_dir_fill_async(x->async, dir, op));
}

static int share_dir_next(struct viofs_xfer *x, void *dir, const char **name, bool *has_stat,
			  struct stat *st)
{
	struct viofs_dirent e;
	int rc = viofs_dir_next(dir, &e);

	if (rc <= 0)
		return rc;
	*name = e.name;
	*has_stat = e.st;
	if (e.st)
		*st = *e.st;
	return 1;
}

static int share_dir_fd(void *dir)
{
	return -1;
}

static void share_dir_close(struct viofs_xfer *x, void *dir, struct viofs_xfer_op *op)
{
	if (viofs_dir_close_async(x->async, dir, op))
		viofs_xfer_ready(x, op, viofs_dir_close(dir, NULL));
}

const struct viofs_side viofs_side_share = {
	.stat = share_stat,
	.open = share_open,
	.close = share_close,
	.read = share_read,
	.write = share_write,
	.seek = share_seek,
	.truncate = share_truncate,
	.pass = share_pass,
	.settle = share_settle,
	.attr = share_attr,
	.rename = share_rename,
	.unlink = share_unlink,
	.mkdir = share_mkdir,
	.enter = share_enter,
	.symlink = share_symlink,
	.readlink = share_readlink,
	.mknod = share_mknod,
	.dir_open = share_dir_open,
	.dir_fill = share_dir_fill,
	.dir_next = share_dir_next,
	.dir_fd = share_dir_fd,
	.dir_close = share_dir_close,
};
