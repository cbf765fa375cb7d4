/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This machine as one side of a copy: system calls, each done when it is asked for.
 *
 * The copy's one thread. Descriptors are owned by whoever opened them by this side (xfer_file.c,
 * xfer_dir.c), and travel as pointers.
 */
#include "xfer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Entries between two looks at the rest of the copy. */
#define PORTION 256U

/* Of a directory that is read. */
struct local_dir {
	DIR *stream;
	unsigned int left; /* of the portion */
	bool ended;
};

/* Descriptors travel as pointers, one more than they are: NULL is none. */
static void *of_fd(int fd)
{
	return (void *)(intptr_t)(fd + 1);
}

int viofs_side_local_fd(void *file)
{
	return (int)(intptr_t)file - 1;
}

static int64_t or_errno(int64_t rc)
{
	return rc < 0 ? -errno : rc;
}

static void local_stat(struct viofs_xfer *x, const struct viofs_xfer_place *p, bool follow,
		       struct stat *st, struct viofs_xfer_op *op)
{
	viofs_xfer_ready(x, op,
			 or_errno(fstatat(p->dir, p->name, st, follow ? 0 : AT_SYMLINK_NOFOLLOW)));
}

static void local_open(struct viofs_xfer *x, const struct viofs_xfer_place *p, int flags,
		       mode_t mode, void **file, struct viofs_xfer_op *op)
{
	/* Below a name of the command line no link is followed, even if somebody puts one there
	 * meanwhile; and opening a fifo doesn't wait. */
	int more = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (p->dir == AT_FDCWD ? 0 : O_NOFOLLOW);
	int fd = openat(p->dir, p->name, flags | more, mode);

	if (fd >= 0)
		*file = of_fd(fd);
	viofs_xfer_ready(x, op, fd < 0 ? -errno : 0);
}

static void local_close(struct viofs_xfer *x, void *file, struct viofs_xfer_op *op)
{
	viofs_xfer_ready(x, op, or_errno(close(viofs_side_local_fd(file))));
}

static void local_read(struct viofs_xfer *x, void *file, void *data, size_t size, uint64_t offset,
		       struct viofs_xfer_op *op)
{
	size_t done = 0;
	ssize_t n = 0;

	while (done < size && (n = pread(viofs_side_local_fd(file), (char *)data + done,
					 size - done, (off_t)(offset + done))) > 0)
		done += (size_t)n;
	viofs_xfer_ready(x, op, n < 0 ? -errno : (int64_t)done);
}

static void local_write(struct viofs_xfer *x, void *file, const void *data, size_t size,
			uint64_t offset, struct viofs_xfer_op *op)
{
	size_t done = 0;
	ssize_t n = 0;

	while (done < size && (n = pwrite(viofs_side_local_fd(file), (const char *)data + done,
					  size - done, (off_t)(offset + done))) > 0)
		done += (size_t)n;
	viofs_xfer_ready(x, op, n < 0 ? -errno : (int64_t)done);
}

static void local_seek(struct viofs_xfer *x, void *file, uint64_t offset, int whence,
		       struct viofs_xfer_op *op)
{
	viofs_xfer_ready(x, op, or_errno(lseek(viofs_side_local_fd(file), (off_t)offset, whence)));
}

static void local_truncate(struct viofs_xfer *x, void *file, uint64_t size,
			   struct viofs_xfer_op *op)
{
	viofs_xfer_ready(x, op, or_errno(ftruncate(viofs_side_local_fd(file), (off_t)size)));
}

static void local_pass(struct viofs_xfer *x, void *from, void *to, size_t size, uint64_t offset,
		       struct viofs_xfer_op *op)
{
	int rc = viofs_file_from_fd_async(x->async, to, offset, viofs_side_local_fd(from),
					  (int64_t)offset, size, op);

	if (rc)
		viofs_xfer_ready(x, op, rc);
}

static void local_settle(struct viofs_xfer *x, void *file, struct viofs_xfer_op *op)
{
	int rc = fdatasync(viofs_side_local_fd(file)) ? -errno : 0;

	posix_fadvise(viofs_side_local_fd(file), 0, 0, POSIX_FADV_DONTNEED);
	viofs_xfer_ready(x, op, rc);
}

static void local_attr(struct viofs_xfer *x, enum viofs_attr what, void *file,
		       const struct viofs_xfer_place *p, const struct stat *st,
		       struct viofs_xfer_op *op)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	/* A directory that the command line names may be behind a link. */
	bool follow = p && p->dir == AT_FDCWD && S_ISDIR(st->st_mode);
	int flag = follow ? 0 : AT_SYMLINK_NOFOLLOW, rc;
	mode_t mode = st->st_mode & 07777;

	/* An open file has no name here. */
	if (what == VIOFS_ATTR_OWNER)
		rc = p ? fchownat(p->dir, p->name, st->st_uid, st->st_gid, flag)
		       : fchown(viofs_side_local_fd(file), st->st_uid, st->st_gid);
	else if (what == VIOFS_ATTR_MODE)
		rc = p ? fchmodat(p->dir, p->name, mode, flag)
		       : fchmod(viofs_side_local_fd(file), mode);
	else
		rc = p ? utimensat(p->dir, p->name, times, flag)
		       : futimens(viofs_side_local_fd(file), times);
	viofs_xfer_ready(x, op, or_errno(rc));
}

static void local_rename(struct viofs_xfer *x, const struct viofs_xfer_place *from,
			 const struct viofs_xfer_place *to, struct viofs_xfer_op *op)
{
	viofs_xfer_ready(x, op, or_errno(renameat(from->dir, from->name, to->dir, to->name)));
}

static void local_unlink(struct viofs_xfer *x, const struct viofs_xfer_place *p,
			 struct viofs_xfer_op *op)
{
	viofs_xfer_ready(x, op, or_errno(unlinkat(p->dir, p->name, 0)));
}

static void local_mkdir(struct viofs_xfer *x, const struct viofs_xfer_place *p, mode_t mode,
			struct viofs_xfer_op *op)
{
	viofs_xfer_ready(x, op, or_errno(mkdirat(p->dir, p->name, mode)));
}

static void local_enter(struct viofs_xfer *x, const struct viofs_xfer_place *p, bool existed,
			bool follow, int *fd, struct viofs_xfer_op *op)
{
	*fd = openat(p->dir, p->name,
		     O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
	viofs_xfer_ready(x, op, *fd < 0 ? -errno : 0);
}

static void local_symlink(struct viofs_xfer *x, const char *target,
			  const struct viofs_xfer_place *p, struct viofs_xfer_op *op)
{
	viofs_xfer_ready(x, op, or_errno(symlinkat(target, p->dir, p->name)));
}

static void local_readlink(struct viofs_xfer *x, const struct viofs_xfer_place *p,
			   char target[4096], struct viofs_xfer_op *op)
{
	ssize_t n = readlinkat(p->dir, p->name, target, 4095);

	target[n < 0 ? 0 : n] = '\0';
	viofs_xfer_ready(x, op, or_errno(n));
}

static void local_mknod(struct viofs_xfer *x, const struct viofs_xfer_place *p, mode_t mode,
			dev_t dev, struct viofs_xfer_op *op)
{
	viofs_xfer_ready(x, op, or_errno(mknodat(p->dir, p->name, mode, dev)));
}

static void local_dir_open(struct viofs_xfer *x, const struct viofs_xfer_place *p, bool follow,
			   void **dir, struct viofs_xfer_op *op)
{
	struct local_dir *d = calloc(1, sizeof(*d));
	int fd = d ? openat(p->dir, p->name,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW))
		   : -1;
	int rc;

	if (fd >= 0)
		d->stream = fdopendir(fd);
	if (d && d->stream) {
		*dir = d;
		viofs_xfer_ready(x, op, 0);
		return;
	}
	rc = d ? -errno : -ENOMEM;
	if (fd >= 0)
		close(fd);
	free(d);
	viofs_xfer_ready(x, op, rc);
}

static void local_dir_fill(struct viofs_xfer *x, void *dir, struct viofs_xfer_op *op)
{
	struct local_dir *d = dir;

	/* 0 at the end: the portion before was not full. */
	viofs_xfer_ready(x, op, d->ended ? 0 : 1);
	d->left = PORTION;
}

static int local_dir_next(struct viofs_xfer *x, void *dir, const char **name, bool *has_stat,
			  struct stat *st)
{
	struct local_dir *d = dir;
	struct dirent *e;

	if (!d->left--)
		return 0;
	errno = 0;
	e = readdir(d->stream);
	if (!e) {
		d->ended = true;
		return -errno;
	}
	*name = e->d_name;
	/* An entry that has gone meanwhile is looked at once more; then it is an error. */
	*has_stat = !fstatat(dirfd(d->stream), e->d_name, st, AT_SYMLINK_NOFOLLOW);
	return 1;
}

static int local_dir_fd(void *dir)
{
	return dirfd(((struct local_dir *)dir)->stream);
}

static void local_dir_close(struct viofs_xfer *x, void *dir, struct viofs_xfer_op *op)
{
	struct local_dir *d = dir;
	closedir(d->stream);
	free(d);
	viofs_xfer_ready(x, op, 0);
}

const struct viofs_side viofs_side_local = {
	.stat = local_stat,
	.open = local_open,
	.close = local_close,
	.read = local_read,
	.write = local_write,
	.seek = local_seek,
	.truncate = local_truncate,
	.pass = local_pass,
	.settle = local_settle,
	.attr = local_attr,
	.rename = local_rename,
	.unlink = local_unlink,
	.mkdir = local_mkdir,
	.enter = local_enter,
	.symlink = local_symlink,
	.readlink = local_readlink,
	.mknod = local_mknod,
	.dir_open = local_dir_open,
	.dir_fill = local_dir_fill,
	.dir_next = local_dir_next,
	.dir_fd = local_dir_fd,
	.dir_close = local_dir_close,
};
