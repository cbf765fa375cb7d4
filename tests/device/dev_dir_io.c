/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory of this machine: operations on what is open, and extended attributes. */
#include "dev_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

int dev_dir_ok(struct dev_request *r)
{
	return 0;
}

int dev_dir_open(struct dev_request *r)
{
	const struct fuse_open_in *in = r->arg;
	struct fuse_open_out *out = dev_payload(r);
	/* The kernel appends at offsets of its own, and reads to fill pages. */
	int flags = (int)in->flags & ~(O_NOFOLLOW | O_APPEND | O_DIRECT | O_CREAT | O_EXCL);
	int fd;

	if ((flags & O_ACCMODE) == O_WRONLY)
		flags = (flags & ~O_ACCMODE) | O_RDWR;
	fd = open(dev_dir_proc(r->head->nodeid), flags | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	out->fh = (uint64_t)fd;
	return sizeof(*out);
}

int dev_dir_release(struct dev_request *r)
{
	return close((int)((const struct fuse_release_in *)r->arg)->fh) < 0 ? -errno : 0;
}

/* A directory's handle is the DIR itself: readdir(3) keeps a place in it. One that a driver makes
 * up is none of these. */
struct open_dir {
	DIR *dir;
	struct open_dir *next;
};

static struct open_dir *open_dirs;

/* NULL: there is no such one. */
static struct open_dir **find_dir(uint64_t fh)
{
	struct open_dir **at = &open_dirs;

	while (*at && (uint64_t)(uintptr_t)(*at)->dir != fh)
		at = &(*at)->next;
	return *at ? at : NULL;
}

int dev_dir_opendir(struct dev_request *r)
{
	struct fuse_open_out *out = dev_payload(r);
	int fd = open(dev_dir_proc(r->head->nodeid), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct open_dir *one;

	if (!dir)
		return -errno;
	one = malloc(sizeof(*one));
	if (!one) {
		closedir(dir);
		return -ENOMEM;
	}
	*one = (struct open_dir){ dir, open_dirs };
	open_dirs = one;
	out->fh = (uint64_t)(uintptr_t)dir;
	return sizeof(*out);
}

int dev_dir_releasedir(struct dev_request *r)
{
	struct open_dir **at = find_dir(((const struct fuse_release_in *)r->arg)->fh), *one;

	if (!at)
		return -EBADF;
	one = *at;
	*at = one->next;
	closedir(one->dir);
	free(one);
	return 0;
}

int dev_dir_read(struct dev_request *r)
{
	const struct fuse_read_in *in = r->arg;
	ssize_t n = pread((int)in->fh, dev_payload(r), in->size, (off_t)in->offset);

	return n < 0 ? -errno : (int)n;
}

int dev_dir_write(struct dev_request *r)
{
	const struct fuse_write_in *in = r->arg;
	struct fuse_write_out *out = dev_payload(r);
	ssize_t n;

	if (r->arg_len != sizeof(*in) + in->size)
		dev_driver_fault("WRITE of %u bytes with %u", in->size,
				 r->arg_len - (uint32_t)sizeof(*in));
	n = pwrite((int)in->fh, in + 1, in->size, (off_t)in->offset);
	if (n < 0)
		return -errno;
	out->size = (uint32_t)n;
	return sizeof(*out);
}

/* One name into the reply. Return: bytes; 0: it doesn't fit. */
static size_t add_name(struct dev_request *r, size_t at, size_t room, int dir,
		       const struct dirent *d)
{
	bool plus = r->head->opcode == FUSE_READDIRPLUS;
	size_t head = plus ? offsetof(struct fuse_direntplus, dirent) : 0;
	size_t len = head + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + strlen(d->d_name));
	bool is_dot = !strcmp(d->d_name, ".") || !strcmp(d->d_name, "..");
	uint8_t *to = (uint8_t *)dev_payload(r) + at;
	struct fuse_entry_out entry = { 0 };
	struct fuse_dirent out = {
		.ino = d->d_ino,
		.off = (uint64_t)d->d_off,
		.namelen = (uint32_t)strlen(d->d_name),
		.type = d->d_type,
	};

	if (len > room)
		return 0;
	/* Gone meanwhile: a node of 0 says that nothing is known of it. */
	if (plus && !is_dot && dev_dir_entry(dir, d->d_name, &entry) < 0)
		memset(&entry, 0, sizeof(entry));
	if (plus)
		memcpy(to, &entry, sizeof(entry));
	memcpy(to + head, &out, FUSE_NAME_OFFSET);
	memcpy(to + head + FUSE_NAME_OFFSET, d->d_name, strlen(d->d_name));
	return len;
}

int dev_dir_readdir(struct dev_request *r)
{
	const struct fuse_read_in *in = r->arg;
	struct open_dir **one = find_dir(in->fh);
	DIR *dir = one ? (*one)->dir : NULL;
	const struct dirent *d;
	size_t at = 0, n = 1;

	if (!dir)
		return -EBADF;
	seekdir(dir, (long)in->offset);
	while (n && (d = readdir(dir)))
		at += n = add_name(r, at, in->size - at, dirfd(dir), d);
	return (int)at;
}

int dev_dir_fsync(struct dev_request *r)
{
	return fsync((int)((const struct fuse_fsync_in *)r->arg)->fh) < 0 ? -errno : 0;
}

int dev_dir_statfs(struct dev_request *r)
{
	struct fuse_statfs_out *out = dev_payload(r);
	struct statvfs st;

	if (fstatvfs(dev_dir_fd(r->head->nodeid), &st) < 0)
		return -errno;
	out->st = (struct fuse_kstatfs){
		.blocks = st.f_blocks,
		.bfree = st.f_bfree,
		.bavail = st.f_bavail,
		.files = st.f_files,
		.ffree = st.f_ffree,
		.bsize = (uint32_t)st.f_bsize,
		.namelen = (uint32_t)st.f_namemax,
		.frsize = (uint32_t)st.f_frsize,
	};
	return sizeof(*out);
}

int dev_dir_fallocate(struct dev_request *r)
{
	const struct fuse_fallocate_in *in = r->arg;

	return fallocate((int)in->fh, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0
		       ? -errno
		       : 0;
}

int dev_dir_lseek(struct dev_request *r)
{
	const struct fuse_lseek_in *in = r->arg;
	struct fuse_lseek_out *out = dev_payload(r);
	off_t at = lseek((int)in->fh, (off_t)in->offset, (int)in->whence);

	if (at < 0)
		return -errno;
	out->offset = (uint64_t)at;
	return sizeof(*out);
}

/* /proc/self/fd leads to a symlink's target: attributes of links themselves are not for this way.
 */
static bool is_link(const struct dev_request *r)
{
	struct stat st;

	return fstatat(dev_dir_fd(r->head->nodeid), "", &st, AT_EMPTY_PATH) < 0 ||
	       S_ISLNK(st.st_mode);
}

int dev_dir_setxattr(struct dev_request *r)
{
	const struct fuse_setxattr_in *in = r->arg;
	const char *name = (const char *)r->arg + FUSE_COMPAT_SETXATTR_IN_SIZE;

	if (is_link(r))
		return -EPERM;
	return setxattr(dev_dir_proc(r->head->nodeid), name, name + strlen(name) + 1, in->size,
			(int)in->flags) < 0
		       ? -errno
		       : 0;
}

/* @n of getxattr(2) and its like, for someone who has room for @size or asks how much it takes. */
static int answer(struct dev_request *r, ssize_t n, uint32_t size)
{
	struct fuse_getxattr_out *out = dev_payload(r);

	if (n < 0)
		return -errno;
	if (size)
		return (int)n;
	*out = (struct fuse_getxattr_out){ .size = (uint32_t)n };
	return sizeof(*out);
}

int dev_dir_getxattr(struct dev_request *r)
{
	const struct fuse_getxattr_in *in = r->arg;

	if (is_link(r))
		return -ENODATA;
	return answer(r,
		      getxattr(dev_dir_proc(r->head->nodeid), (const char *)(in + 1),
			       in->size ? dev_payload(r) : NULL, in->size),
		      in->size);
}

int dev_dir_listxattr(struct dev_request *r)
{
	const struct fuse_getxattr_in *in = r->arg;

	if (is_link(r))
		return answer(r, 0, in->size);
	return answer(r,
		      listxattr(dev_dir_proc(r->head->nodeid), in->size ? dev_payload(r) : NULL,
				in->size),
		      in->size);
}

int dev_dir_removexattr(struct dev_request *r)
{
	if (is_link(r))
		return -EPERM;
	return removexattr(dev_dir_proc(r->head->nodeid), r->arg) < 0 ? -errno : 0;
}
