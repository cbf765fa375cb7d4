/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening the mount point.
 *
 * Whoever may write to a directory on a path can change where the path leads, at any time. So the
 * path is walked once, and the directory at its end is kept by descriptor. The kernel walks through
 * directories only (RESOLVE_NO_SYMLINKS). A symbolic link is read here, and followed if root owns
 * it, since nobody else can make such a link or change it.
 */
#include "kernel/mount_point.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as in the kernel */

int viofs_mount_id_of(int fd, struct viofs_mount_id *id)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) < 0)
		return -errno;
	if (!(st.stx_mask & STATX_MNT_ID))
		return -ENOSYS;
	*id = (struct viofs_mount_id){ .mount = st.stx_mnt_id,
				       .minor = st.stx_dev_minor,
				       .is_root = st.stx_attributes & STATX_ATTR_MOUNT_ROOT };
	return 0;
}

/* The kernel's walk, with no symbolic link on it. @flags: O_PATH and more. */
static int open_straight(const char *path, int flags)
{
	const struct open_how how = { .flags = (uint64_t)(O_PATH | O_CLOEXEC | flags),
				      .resolve = RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/*
 * Is @path, up to @end, a symbolic link? Return: its length with the target in @target, 0, -errno.
 */
static ssize_t read_link(const char *path, size_t end, char target[static PATH_MAX])
{
	char start[PATH_MAX];
	struct stat st;
	ssize_t n = 0;
	int fd;

	snprintf(start, sizeof(start), "%.*s", (int)end, path);
	fd = open_straight(start, O_NOFOLLOW);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		n = -errno;
	else if (S_ISLNK(st.st_mode) && st.st_uid != 0)
		n = -EPERM;
	else if (S_ISLNK(st.st_mode) && (n = readlinkat(fd, "", target, PATH_MAX - 1)) < 0)
		n = -errno;
	close(fd);
	if (n >= 0)
		target[n] = '\0';
	return n;
}

/* Replaces the first symbolic link in @path by its target. Return: 0 or -errno. */
static int follow_one(char path[static PATH_MAX])
{
	char target[PATH_MAX], next[2 * PATH_MAX];
	size_t from = 0, end = 0;
	ssize_t n = 0;

	while (!n && path[end]) {
		from = end + strspn(path + end, "/");
		end = from + strcspn(path + from, "/");
		if (end > from)
			n = read_link(path, end, target);
	}
	if (n <= 0)
		return n < 0 ? (int)n : -ELOOP;
	snprintf(next, sizeof(next), "%.*s%s%s", target[0] == '/' ? 0 : (int)from, path, target,
		 path + end);
	if (strlen(next) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(path, next);
	return 0;
}

int viofs_mount_point_walk(const char *given)
{
	char path[PATH_MAX];
	int fd = -ELOOP, rc = 0;

	if (strlen(given) >= sizeof(path))
		return -ENAMETOOLONG;
	strcpy(path, given);
	for (int i = 0; i < LINKS_MAX && fd == -ELOOP && !rc; i++) {
		fd = open_straight(path, O_DIRECTORY);
		if (fd == -ELOOP)
			rc = follow_one(path);
	}
	return rc ? rc : fd;
}

static const char *advice(int rc)
{
	switch (rc) {
	case -ENOENT:
		return "; make the directory first";
	case -ENOTCONN:
		return "; a dead mount is in the way, umount it first";
	default:
		return "";
	}
}

/* The root of an automount waits to be mounted over. */
static bool is_automount(int fd)
{
	struct statfs st;

	return !fstatfs(fd, &st) && st.f_type == AUTOFS_SUPER_MAGIC;
}

/* From here on only the descriptor is used, so what is checked now stays true. */
static int look_at(int fd, const char *path, char *real, size_t size, struct viofs_err *err)
{
	struct viofs_mount_id id;
	char link[32];
	ssize_t n;
	int rc;

	rc = viofs_mount_id_of(fd, &id);
	if (rc)
		return viofs_err_set(err, rc, "mount point %s: %s", path, strerror(-rc));
	if (id.is_root && !is_automount(fd))
		return viofs_err_set(err, -EBUSY,
				     "%s is a mount point already; umount it first, or "
				     "choose another directory",
				     path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, real, size - 1);
	if (n < 0) {
		rc = -errno;
		return viofs_err_set(err, rc, "%s: %s; is /proc mounted?", link, strerror(-rc));
	}
	real[n] = '\0';
	return 0;
}

int viofs_mount_point_open(const char *path, char *real, size_t size, struct viofs_err *err)
{
	int fd = viofs_mount_point_walk(path), rc;

	if (fd == -EPERM)
		return viofs_err_set(
			err, fd,
			"mount point %s: a symbolic link on the way is not root's, and "
			"whoever owns it may change where it leads; give the path of the "
			"directory itself",
			path);
	if (fd == -ENOTDIR)
		return viofs_err_set(err, fd, "mount point %s is not a directory", path);
	if (fd < 0)
		return viofs_err_set(err, fd, "mount point %s: %s%s", path, strerror(-fd),
				     advice(fd));
	rc = look_at(fd, path, real, size, err);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}
