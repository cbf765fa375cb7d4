/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names: making, removing, resolving, attributes. */
#include "calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void touch(struct calls *t, const char *path, const char *text)
{
	struct viofs_file *f = NULL;

	if (!WORKS(t,
		   viofs_file_open(t->s, path, 0, O_CREAT | O_WRONLY | O_TRUNC, 0644, &f, &t->err)))
		return;
	WORKS(t, viofs_file_write(f, text, strlen(text), &t->err));
	WORKS(t, viofs_file_close(f, &t->err));
}

/* Does the share agree with what the library says of it? */
static void same_as_host(struct calls *t, const char *path)
{
	struct stat ours, theirs;

	if (!WORKS(t, viofs_path_stat(t->s, path, VIOFS_PATH_NO_FOLLOW, &ours, &t->err)) ||
	    !t->host)
		return;
	CHECK(t, !lstat(on_host(t, path), &theirs));
	CHECK(t, ours.st_mode == theirs.st_mode && ours.st_size == theirs.st_size &&
			 ours.st_nlink == theirs.st_nlink && ours.st_uid == theirs.st_uid &&
			 ours.st_gid == theirs.st_gid && ours.st_rdev == theirs.st_rdev);
	CHECK(t, ours.st_mtim.tv_sec == theirs.st_mtim.tv_sec &&
			 ours.st_mtim.tv_nsec == theirs.st_mtim.tv_nsec);
}

static void folders(struct calls *t)
{
	struct stat st;

	WORKS(t, viofs_path_mkdir(t->s, "d", 0, 0750, &t->err));
	WORKS(t, viofs_path_mkdir(t->s, "/d/e/", 0, 0700, &t->err));
	same_as_host(t, "d");
	same_as_host(t, "d/e");
	FAILS(t, viofs_path_mkdir(t->s, "d", 0, 0755, &t->err), EEXIST);
	FAILS(t, viofs_path_mkdir(t->s, "d/.", 0, 0755, &t->err), EEXIST);
	FAILS(t, viofs_path_mkdir(t->s, "/", 0, 0755, &t->err), EEXIST);
	FAILS(t, viofs_path_mkdir(t->s, "nowhere/x", 0, 0755, &t->err), ENOENT);
	FAILS(t, viofs_path_rmdir(t->s, "d", 0, &t->err), ENOTEMPTY);
	FAILS(t, viofs_path_rmdir(t->s, "d/.", 0, &t->err), EINVAL);
	FAILS(t, viofs_path_rmdir(t->s, "/", 0, &t->err), EBUSY);
	FAILS(t, viofs_path_unlink(t->s, "d/..", 0, &t->err), EISDIR);
	WORKS(t, viofs_path_rmdir(t->s, "d/e", 0, &t->err));
	FAILS(t, viofs_path_stat(t->s, "d/e", 0, &st, &t->err), ENOENT);
	WORKS(t, viofs_path_rmdir(t->s, "d/", 0, &t->err));
	FAILS(t, viofs_path_stat(t->s, "", 0, &st, &t->err), ENOENT);
	WORKS(t, viofs_path_stat(t->s, "/", 0, &st, &t->err));
	CHECK(t, S_ISDIR(st.st_mode));
}

static void special_files(struct calls *t)
{
	struct viofs_file *f;

	WORKS(t, viofs_path_mknod(t->s, "fifo", 0, S_IFIFO | 0600, 0, &t->err));
	same_as_host(t, "fifo");
	FAILS(t, viofs_file_open(t->s, "fifo", 0, O_RDONLY, 0, &f, &t->err), ENXIO);
	WORKS(t, viofs_path_mknod(t->s, "plain", 0, 0640, 0, &t->err));
	same_as_host(t, "plain");
	WORKS(t, viofs_path_unlink(t->s, "fifo", 0, &t->err));
	WORKS(t, viofs_path_unlink(t->s, "plain", 0, &t->err));
	FAILS(t, viofs_path_unlink(t->s, "plain", 0, &t->err), ENOENT);
	FAILS(t, viofs_path_rmdir(t->s, "plain", 0, &t->err), ENOENT);
	FAILS(t, viofs_path_rename(t->s, "plain", "fifo", 0, 0, &t->err), ENOENT);
}

static void renames_and_links(struct calls *t)
{
	struct stat a, b;

	touch(t, "a", "one");
	touch(t, "b", "three");
	FAILS(t, viofs_path_rename(t->s, "a", "b", 0, RENAME_NOREPLACE, &t->err), EEXIST);
	if (t->host) { /* the device in memory can't */
		WORKS(t, viofs_path_rename(t->s, "a", "b", 0, RENAME_EXCHANGE, &t->err));
		WORKS(t, viofs_path_stat(t->s, "a", 0, &a, &t->err));
		CHECK(t, a.st_size == 5);
	}
	WORKS(t, viofs_path_rename(t->s, "a", "b", 0, 0, &t->err));
	FAILS(t, viofs_path_stat(t->s, "a", 0, &a, &t->err), ENOENT);
	WORKS(t, viofs_path_link(t->s, "b", "c", 0, &t->err));
	WORKS(t, viofs_path_stat(t->s, "b", 0, &a, &t->err));
	WORKS(t, viofs_path_stat(t->s, "c", 0, &b, &t->err));
	CHECK(t, a.st_ino == b.st_ino && a.st_nlink == 2 && b.st_nlink == 2);
	same_as_host(t, "c");
	WORKS(t, viofs_path_unlink(t->s, "b", 0, &t->err));
	WORKS(t, viofs_path_stat(t->s, "c", 0, &b, &t->err));
	CHECK(t, b.st_nlink == 1);
	FAILS(t, viofs_path_rename(t->s, "c", "/", 0, 0, &t->err), EBUSY);
	WORKS(t, viofs_path_unlink(t->s, "c", 0, &t->err));
}

/* Made by somebody else, and never asked for before. */
static void unknown_names(struct calls *t)
{
	struct stat st;

	if (!t->host)
		return;
	CHECK(t, !mknod(on_host(t, "u-file"), S_IFREG | 0600, 0));
	CHECK(t, !mknod(on_host(t, "u-move"), S_IFREG | 0600, 0));
	CHECK(t, !mkdir(on_host(t, "u-folder"), 0700));
	CHECK(t, !symlink("nowhere", on_host(t, "u-link")));
	WORKS(t, viofs_path_rename(t->s, "u-move", "u-folder/moved", 0, 0, &t->err));
	CHECK(t,
	      !lstat(on_host(t, "u-folder/moved"), &st) && !unlink(on_host(t, "u-folder/moved")));
	WORKS(t, viofs_path_unlink(t->s, "u-file", 0, &t->err));
	WORKS(t, viofs_path_unlink(t->s, "u-link", 0, &t->err));
	WORKS(t, viofs_path_rmdir(t->s, "u-folder", 0, &t->err));
	CHECK(t, lstat(on_host(t, "u-file"), &st) && lstat(on_host(t, "u-link"), &st) &&
			 lstat(on_host(t, "u-folder"), &st));
}

static void symbolic_links(struct calls *t)
{
	char target[4096], longest[4096];
	struct viofs_file *f = NULL;
	struct stat st;

	WORKS(t, viofs_path_mkdir(t->s, "d", 0, 0755, &t->err));
	touch(t, "d/file", "words");
	WORKS(t, viofs_path_symlink(t->s, "/d/file", "absolute", 0, &t->err));
	WORKS(t, viofs_path_symlink(t->s, "../../../../etc/passwd", "d/out", 0, &t->err));
	WORKS(t, viofs_path_symlink(t->s, "loop", "loop", 0, &t->err));
	WORKS(t, viofs_path_symlink(t->s, "d/new", "dangling", 0, &t->err));
	WORKS(t, viofs_path_symlink(t->s, "d", "folder", 0, &t->err));
	same_as_host(t, "absolute");
	WORKS(t, viofs_path_readlink(t->s, "absolute", 0, target, sizeof(target), &t->err));
	CHECK(t, !strcmp(target, "/d/file"));
	FAILS(t, viofs_path_readlink(t->s, "absolute", 0, target, 7, &t->err), ERANGE);
	FAILS(t, viofs_path_readlink(t->s, "d", 0, target, sizeof(target), &t->err), EINVAL);
	WORKS(t, viofs_path_stat(t->s, "absolute", 0, &st, &t->err));
	CHECK(t, S_ISREG(st.st_mode) && st.st_size == 5);
	FAILS(t, viofs_path_stat(t->s, "absolute", VIOFS_PATH_BENEATH, &st, &t->err), EXDEV);
	FAILS(t, viofs_path_stat(t->s, "absolute", VIOFS_PATH_NO_SYMLINKS, &st, &t->err), ELOOP);
	FAILS(t, viofs_path_stat(t->s, "folder/file", VIOFS_PATH_NO_SYMLINKS, &st, &t->err), ELOOP);
	WORKS(t, viofs_path_stat(t->s, "folder/file", 0, &st, &t->err));
	WORKS(t, viofs_path_stat(t->s, "folder/file", VIOFS_PATH_BENEATH, &st, &t->err));
	WORKS(t, viofs_path_stat(t->s, "folder", VIOFS_PATH_NO_FOLLOW, &st, &t->err));
	CHECK(t, S_ISLNK(st.st_mode));
	/* With a slash at its end it is the folder that is meant. */
	WORKS(t, viofs_path_stat(t->s, "folder/", VIOFS_PATH_NO_FOLLOW, &st, &t->err));
	CHECK(t, S_ISDIR(st.st_mode));
	/* Above the root is the root: this machine's files can't be reached. */
	FAILS(t, viofs_path_stat(t->s, "d/out", 0, &st, &t->err), ENOENT);
	FAILS(t, viofs_path_stat(t->s, "d/out", VIOFS_PATH_BENEATH, &st, &t->err), EXDEV);
	FAILS(t, viofs_path_stat(t->s, "../d", VIOFS_PATH_BENEATH, &st, &t->err), EXDEV);
	WORKS(t, viofs_path_stat(t->s, "../../d/../d/./file", 0, &st, &t->err));
	FAILS(t, viofs_path_stat(t->s, "loop", 0, &st, &t->err), ELOOP);
	FAILS(t, viofs_path_stat(t->s, "d/file/", 0, &st, &t->err), ENOTDIR);
	FAILS(t, viofs_path_stat(t->s, "d/file/x", 0, &st, &t->err), ENOTDIR);
	FAILS(t, viofs_file_open(t->s, "absolute", 0, O_RDONLY | O_NOFOLLOW, 0, &f, &t->err),
	      ELOOP);
	FAILS(t, viofs_file_open(t->s, "dangling", 0, O_CREAT | O_EXCL | O_RDWR, 0600, &f, &t->err),
	      EEXIST);
	WORKS(t, viofs_file_open(t->s, "dangling", 0, O_CREAT | O_RDWR, 0600, &f, &t->err));
	WORKS(t, viofs_file_close(f, &t->err));
	same_as_host(t, "d/new");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[4095] = '\0';
	WORKS(t, viofs_path_symlink(t->s, longest, "longest", 0, &t->err));
	CHECK(t, viofs_path_readlink(t->s, "longest", 0, target, sizeof(target), &t->err) == 4095 &&
			 !strcmp(target, longest));
	for (const char *const *name =
		     (const char *const[]){ "absolute", "d/out", "loop", "dangling", "folder",
					    "longest", "d/new", "d/file", NULL };
	     *name; name++)
		WORKS(t, viofs_path_unlink(t->s, *name, 0, &t->err));
	WORKS(t, viofs_path_rmdir(t->s, "d", 0, &t->err));
}

static void long_names(struct calls *t)
{
	char name[300], path[5000];
	struct stat st;

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	touch(t, name, "x");
	same_as_host(t, name);
	WORKS(t, viofs_path_unlink(t->s, name, 0, &t->err));
	name[255] = 'n';
	name[256] = '\0';
	FAILS(t, viofs_path_stat(t->s, name, 0, &st, &t->err), ENAMETOOLONG);
	memset(path, '/', sizeof(path) - 1);
	path[4095] = '\0';
	WORKS(t, viofs_path_stat(t->s, path, 0, &st, &t->err));
	path[4095] = '/';
	path[4096] = '\0';
	FAILS(t, viofs_path_stat(t->s, path, 0, &st, &t->err), ENAMETOOLONG);
	FAILS(t, viofs_path_stat(t->s, "/", 1U << 30, &st, &t->err), EINVAL);
}

static void attributes(struct calls *t)
{
	const struct timespec times[2] = { { 1000000000, 123456789 }, { 0, UTIME_OMIT } };
	struct statvfs ours;
	struct statx stx;
	struct stat st;

	touch(t, "f", "0123456789");
	WORKS(t, viofs_path_chmod(t->s, "f", 0, 0604, &t->err));
	same_as_host(t, "f");
	WORKS(t, viofs_path_chown(t->s, "f", 0, 12, (gid_t)-1, &t->err));
	same_as_host(t, "f");
	WORKS(t, viofs_path_utimens(t->s, "f", 0, times, &t->err));
	WORKS(t, viofs_path_stat(t->s, "f", 0, &st, &t->err));
	CHECK(t, st.st_atim.tv_sec == 1000000000 && st.st_atim.tv_nsec == 123456789);
	same_as_host(t, "f");
	WORKS(t, viofs_path_utimens(t->s, "f", 0, NULL, &t->err));
	WORKS(t, viofs_path_truncate(t->s, "f", 0, 4, &t->err));
	same_as_host(t, "f");
	WORKS(t, viofs_path_statx(t->s, "f", 0, STATX_BASIC_STATS, &stx, &t->err));
	CHECK(t, stx.stx_size == 4 && stx.stx_mask & STATX_SIZE && stx.stx_uid == 12 &&
			 (stx.stx_mode & 07777) == 0604);
	WORKS(t, viofs_path_access(t->s, "f", 0, R_OK, &t->err));
	WORKS(t, viofs_path_statfs(t->s, "/", 0, &ours, &t->err));
	CHECK(t, ours.f_bsize > 0 && ours.f_namemax == 255);
	if (t->host) {
		struct statvfs theirs;

		CHECK(t, !statvfs(t->host, &theirs) && theirs.f_blocks == ours.f_blocks &&
				 theirs.f_frsize == ours.f_frsize);
	}
	WORKS(t, viofs_path_unlink(t->s, "f", 0, &t->err));
}

static void extended_attributes(struct calls *t)
{
	char value[65536], back[65536], list[256];
	struct viofs_file *f;
	ssize_t n;

	touch(t, "f", "");
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (char)(i * 7);
	WORKS(t,
	      viofs_path_setxattr(t->s, "f", 0, "user.small", "hello", 5, XATTR_CREATE, &t->err));
	FAILS(t, viofs_path_setxattr(t->s, "f", 0, "user.small", "hello", 5, XATTR_CREATE, &t->err),
	      EEXIST);
	FAILS(t, viofs_path_setxattr(t->s, "f", 0, "user.none", "x", 1, XATTR_REPLACE, &t->err),
	      ENODATA);
	CHECK(t, viofs_path_getxattr(t->s, "f", 0, "user.small", NULL, 0, &t->err) == 5);
	CHECK(t,
	      viofs_path_getxattr(t->s, "f", 0, "user.small", back, sizeof(back), &t->err) == 5 &&
		      !memcmp(back, "hello", 5));
	FAILS(t, viofs_path_getxattr(t->s, "f", 0, "user.small", back, 4, &t->err), ERANGE);
	FAILS(t, viofs_path_getxattr(t->s, "f", 0, "user.none", back, 4, &t->err), ENODATA);
	n = viofs_path_listxattr(t->s, "f", 0, list, sizeof(list), &t->err);
	CHECK(t, n >= 11 && memmem(list, (size_t)n, "user.small", 11));
	CHECK(t, viofs_path_listxattr(t->s, "f", 0, NULL, 0, &t->err) == n);
	/* Most file systems hold less; the request must be right all the same. */
	n = viofs_path_setxattr(t->s, "f", 0, "user.large", value, t->host ? 2000 : sizeof(value),
				0, &t->err);
	if (WORKS(t, n))
		CHECK(t, viofs_path_getxattr(t->s, "f", 0, "user.large", back, sizeof(back),
					     &t->err) == (t->host ? 2000 : 65536) &&
				 !memcmp(back, value, t->host ? 2000 : 65536));
	if (t->host)
		CHECK(t, getxattr(on_host(t, "f"), "user.small", back, sizeof(back)) == 5);
	if (WORKS(t, viofs_file_open(t->s, "f", 0, O_RDONLY, 0, &f, &t->err))) {
		CHECK(t, viofs_file_getxattr(f, "user.small", back, sizeof(back), &t->err) == 5);
		CHECK(t, viofs_file_listxattr(f, NULL, 0, &t->err) > 11);
		WORKS(t, viofs_file_setxattr(f, "user.open", "x", 1, XATTR_CREATE, &t->err));
		CHECK(t, viofs_path_getxattr(t->s, "f", 0, "user.open", NULL, 0, &t->err) == 1);
		WORKS(t, viofs_file_removexattr(f, "user.open", &t->err));
		FAILS(t, viofs_file_getxattr(f, "user.open", back, 4, &t->err), ENODATA);
		WORKS(t, viofs_file_close(f, &t->err));
	}
	WORKS(t, viofs_path_removexattr(t->s, "f", 0, "user.small", &t->err));
	FAILS(t, viofs_path_getxattr(t->s, "f", 0, "user.small", back, 4, &t->err), ENODATA);
	WORKS(t, viofs_path_unlink(t->s, "f", 0, &t->err));
}

#define ENTRIES 3000

static void directories(struct calls *t)
{
	static bool seen[ENTRIES];
	struct viofs_dirent e;
	struct viofs_dir *d = NULL;
	uint64_t middle = 0;
	int n = 0, after = 0;
	char path[64];
	int rc;

	memset(seen, 0, sizeof(seen));
	WORKS(t, viofs_path_mkdir(t->s, "many", 0, 0755, &t->err));
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(path, sizeof(path), "many/%d", i);
		if (!WORKS(t, viofs_path_mknod(t->s, path, 0, S_IFREG | 0600, 0, &t->err)))
			return;
	}
	FAILS(t, viofs_dir_open(t->s, "many/1", 0, &d, &t->err), ENOTDIR);
	if (!WORKS(t, viofs_dir_open(t->s, "many", 0, &d, &t->err)))
		return;
	while ((rc = viofs_dir_read(d, &e, &t->err)) > 0) {
		int i = atoi(e.name);

		if (e.name[0] == '.')
			continue;
		CHECK(t, i >= 0 && i < ENTRIES && !seen[i] &&
				 (e.type == DT_REG || e.type == DT_UNKNOWN));
		if (i >= 0 && i < ENTRIES)
			seen[i] = true;
		CHECK(t, !e.st || (S_ISREG(e.st->st_mode) && e.st->st_ino == e.ino));
		if (++n == ENTRIES / 2)
			middle = e.next;
	}
	WORKS(t, rc);
	CHECK(t, n == ENTRIES);
	viofs_dir_seek(d, middle);
	while ((rc = viofs_dir_read(d, &e, &t->err)) > 0)
		after += e.name[0] != '.';
	CHECK(t, after == ENTRIES - ENTRIES / 2);
	WORKS(t, viofs_dir_sync(d, 0, &t->err));
	WORKS(t, viofs_dir_close(d, &t->err));
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(path, sizeof(path), "many/%d", i);
		if (!WORKS(t, viofs_path_unlink(t->s, path, 0, &t->err)))
			return;
	}
	WORKS(t, viofs_path_rmdir(t->s, "many", 0, &t->err));
}

static void views(struct calls *t)
{
	struct viofs_view_options o;
	struct viofs_session *view;
	struct viofs_dir *dir;
	struct stat st;

	WORKS(t, viofs_path_mkdir(t->s, "w", 0, 0777, &t->err));
	if (!WORKS(t, viofs_dir_open(t->s, "w", 0, &dir, &t->err)))
		return;
	viofs_view_options_init(t->s, &o, sizeof(o));
	o.cred.uid = 12345;
	o.cred.gid = 54321;
	o.timeout_ms = 30000;
	o.at = dir;
	WORKS(t, viofs_session_view(t->s, &o, &view, &t->err));
	WORKS(t, viofs_path_mkdir(view, "sub", 0, 0700, &t->err));
	WORKS(t, viofs_path_stat(t->s, "w/sub", 0, &st, &t->err));
	CHECK(t, st.st_uid == 12345 && st.st_gid == 54321);
	FAILS(t, viofs_path_stat(view, "/sub", 0, &st, &t->err), ENOENT);
	WORKS(t, viofs_path_stat(view, "../w/sub", 0, &st, &t->err));
	FAILS(t, viofs_path_stat(view, "../w/sub", VIOFS_PATH_BENEATH, &st, &t->err), EXDEV);
	viofs_session_close(view);
	WORKS(t, viofs_dir_close(dir, &t->err));
	WORKS(t, viofs_path_rmdir(t->s, "w/sub", 0, &t->err));
	WORKS(t, viofs_path_rmdir(t->s, "w", 0, &t->err));
}

static struct viofs_session *checked_view(struct calls *t, uint32_t uid, uint32_t gid)
{
	struct viofs_view_options o;
	struct viofs_session *view = NULL;

	viofs_view_options_init(t->s, &o, sizeof(o));
	o.cred.uid = uid;
	o.cred.gid = gid;
	o.flags = VIOFS_SESSION_CHECK;
	WORKS(t, viofs_session_view(t->s, &o, &view, &t->err));
	return view;
}

/* No back end here refuses any of it: it is asked by root's descriptors. */
static void check_folders(struct calls *t, struct viofs_session *other)
{
	struct viofs_dir *dir;
	struct stat st;

	FAILS(t, viofs_path_stat(other, "c/closed/file", 0, &st, &t->err), EACCES);
	FAILS(t, viofs_path_stat(other, "c/closed/../open", 0, &st, &t->err), EACCES);
	FAILS(t, viofs_dir_open(other, "c/closed", 0, &dir, &t->err), EACCES);
	WORKS(t, viofs_path_stat(other, "c/closed", 0, &st, &t->err));
	FAILS(t, viofs_path_mkdir(other, "c/new", 0, 0700, &t->err), EACCES);
	FAILS(t, viofs_path_mknod(other, "c/new", 0, S_IFREG | 0600, 0, &t->err), EACCES);
	FAILS(t, viofs_path_symlink(other, "x", "c/new", 0, &t->err), EACCES);
	FAILS(t, viofs_path_link(other, "c/file", "c/new", 0, &t->err), EACCES);
	FAILS(t, viofs_path_unlink(other, "c/file", 0, &t->err), EACCES);
	FAILS(t, viofs_path_rename(other, "c/file", "c/new", 0, 0, &t->err), EACCES);
	FAILS(t, viofs_path_rename(other, "c/file", "c/sticky/new", 0, 0, &t->err), EACCES);
	/* It is somebody else's in a folder with the sticky bit. */
	FAILS(t, viofs_path_unlink(other, "c/sticky/file", 0, &t->err), EPERM);
	FAILS(t, viofs_path_rename(other, "c/sticky/file", "c/sticky/new", 0, 0, &t->err), EPERM);
	WORKS(t, viofs_path_mknod(other, "c/sticky/own", 0, S_IFREG | 0600, 0, &t->err));
	FAILS(t, viofs_path_rename(other, "c/sticky/own", "c/sticky/file", 0, 0, &t->err), EPERM);
	WORKS(t, viofs_path_rename(other, "c/sticky/own", "c/sticky/own2", 0, 0, &t->err));
	WORKS(t, viofs_path_unlink(other, "c/sticky/own2", 0, &t->err));
}

static void check_files(struct calls *t, struct viofs_session *other, struct viofs_session *group)
{
	struct viofs_file *f = NULL;
	char value[8];

	FAILS(t, viofs_file_open(other, "c/file", 0, O_RDONLY, 0, &f, &t->err), EACCES);
	FAILS(t, viofs_file_open(other, "c/made", 0, O_RDWR | O_CREAT, 0600, &f, &t->err), EACCES);
	FAILS(t, viofs_path_access(other, "c/file", 0, R_OK, &t->err), EACCES);
	FAILS(t, viofs_path_truncate(other, "c/file", 0, 0, &t->err), EACCES);
	FAILS(t, viofs_path_chmod(other, "c/file", 0, 0777, &t->err), EPERM);
	FAILS(t, viofs_path_chown(other, "c/file", 0, 12345, (gid_t)-1, &t->err), EPERM);
	FAILS(t, viofs_path_utimens(other, "c/file", 0, NULL, &t->err), EACCES);
	FAILS(t, viofs_path_getxattr(other, "c/file", 0, "user.x", value, 8, &t->err), EACCES);
	FAILS(t, viofs_path_setxattr(other, "c/file", 0, "user.x", "1", 1, 0, &t->err), EACCES);
	FAILS(t, viofs_path_removexattr(other, "c/file", 0, "user.x", &t->err), EACCES);
	/* Its group may read it, and nothing more. */
	FAILS(t, viofs_file_open(group, "c/file", 0, O_RDWR, 0, &f, &t->err), EACCES);
	FAILS(t, viofs_file_open(group, "c/file", 0, O_RDONLY | O_TRUNC, 0, &f, &t->err), EACCES);
	FAILS(t, viofs_file_open(group, "c/file", 0, O_RDONLY | O_NOATIME, 0, &f, &t->err), EPERM);
	WORKS(t, viofs_file_open(group, "c/file", 0, O_RDONLY, 0, &f, &t->err));
	FAILS(t, viofs_file_chmod(f, 0777, &t->err), EPERM);
	WORKS(t, viofs_file_close(f, &t->err));
}

static void permissions(struct calls *t)
{
	struct viofs_session *other = checked_view(t, 12345, 54321);
	struct viofs_session *group = checked_view(t, 12346, 777);
	struct viofs_session *root = checked_view(t, 0, 0);
	struct stat st;

	WORKS(t, viofs_path_mkdir(t->s, "c", 0, 0755, &t->err));
	WORKS(t, viofs_path_mkdir(t->s, "c/closed", 0, 0700, &t->err));
	WORKS(t, viofs_path_mkdir(t->s, "c/open", 0, 0755, &t->err));
	WORKS(t, viofs_path_mkdir(t->s, "c/sticky", 0, 01777, &t->err));
	WORKS(t, viofs_path_mknod(t->s, "c/file", 0, S_IFREG | 0640, 0, &t->err));
	WORKS(t, viofs_path_mknod(t->s, "c/closed/file", 0, S_IFREG | 0640, 0, &t->err));
	WORKS(t, viofs_path_mknod(t->s, "c/sticky/file", 0, S_IFREG | 0666, 0, &t->err));
	WORKS(t, viofs_path_chown(t->s, "c/file", 0, 0, 777, &t->err));
	check_folders(t, other);
	check_files(t, other, group);
	/* What is his own is his. */
	WORKS(t, viofs_path_chown(t->s, "c/file", 0, 12345, 777, &t->err));
	WORKS(t, viofs_path_chmod(other, "c/file", 0, 02660, &t->err));
	WORKS(t, viofs_path_stat(t->s, "c/file", 0, &st, &t->err));
	CHECK(t, (st.st_mode & 07777) == 0660); /* he isn't of its group */
	WORKS(t, viofs_path_truncate(group, "c/file", 0, 5, &t->err));
	FAILS(t, viofs_path_chown(other, "c/file", 0, (uid_t)-1, 1, &t->err), EPERM);
	WORKS(t, viofs_path_chown(other, "c/file", 0, (uid_t)-1, 54321, &t->err));
	WORKS(t, viofs_path_unlink(root, "c/sticky/file", 0, &t->err));
	WORKS(t, viofs_path_unlink(root, "c/closed/file", 0, &t->err));
	WORKS(t, viofs_path_unlink(root, "c/file", 0, &t->err));
	WORKS(t, viofs_path_rmdir(root, "c/sticky", 0, &t->err));
	WORKS(t, viofs_path_rmdir(root, "c/open", 0, &t->err));
	WORKS(t, viofs_path_rmdir(root, "c/closed", 0, &t->err));
	WORKS(t, viofs_path_rmdir(root, "c", 0, &t->err));
	viofs_session_close(other);
	viofs_session_close(group);
	viofs_session_close(root);
}

/* What a walk tells, as words: a directory ends in a slash, and comes again with a bang. Names of a
 * directory come in any order, so each has one only. */
static void walk(struct calls *t, struct viofs_session *s, const char *path, unsigned int flags,
		 const char *skip, const char *told)
{
	struct viofs_tree_entry e;
	struct viofs_tree *tree = NULL;
	char all[512] = "";
	int rc;

	if (!WORKS(t, viofs_tree_open(s, path, flags, &tree, &t->err)))
		return;
	while ((rc = viofs_tree_next(tree, &e, &t->err)) == 1) {
		size_t len = strlen(all);

		snprintf(all + len, sizeof(all) - len, "%u%s%s%s ", e.depth, e.path,
			 S_ISDIR(e.st->st_mode) ? "/" : "", e.after ? "!" : "");
		CHECK(t, strstr(e.path, e.name) && strlen(e.name) <= strlen(e.path));
		if (e.error)
			snprintf(all + len, sizeof(all) - len, "%u%s:%d ", e.depth, e.path,
				 -e.error);
		if (skip && !strcmp(e.name, skip))
			viofs_tree_skip(tree);
	}
	CHECK(t, !rc);
	if (!CHECK(t, !strcmp(all, told)))
		printf("# %s\n", all);
	viofs_tree_close(tree);
}

static void trees(struct calls *t)
{
	struct viofs_session *other = checked_view(t, 12345, 54321);
	struct viofs_tree *tree = NULL;

	WORKS(t, viofs_path_mkdir(t->s, "T", 0, 0755, &t->err));
	WORKS(t, viofs_path_mkdir(t->s, "T/a", 0, 0755, &t->err));
	WORKS(t, viofs_path_mkdir(t->s, "T/a/b", 0, 0700, &t->err));
	WORKS(t, viofs_path_symlink(t->s, "/T", "T/a/b/up", 0, &t->err));
	walk(t, t->s, "T", 0, NULL, "0T/ 1T/a/ 2T/a/b/ 3T/a/b/up ");
	walk(t, t->s, "T", VIOFS_TREE_AFTER, NULL,
	     "0T/ 1T/a/ 2T/a/b/ 3T/a/b/up 2T/a/b/! 1T/a/! 0T/! ");
	walk(t, t->s, "/T/a/", VIOFS_TREE_AFTER, "b", "0/T/a// 1/T/a/b/ 0/T/a//! ");
	walk(t, t->s, "T/a/b/up", 0, "a", "0T/a/b/up/ 1T/a/b/up/a/ ");
	/* What can't be read is told, and doesn't end it. */
	walk(t, other, "T", VIOFS_TREE_AFTER, NULL, "0T/ 1T/a/ 2T/a/b/ 2T/a/b:13 1T/a/! 0T/! ");
	FAILS(t, viofs_tree_open(t->s, "T/nix", 0, &tree, &t->err), ENOENT);
	FAILS(t, viofs_tree_open(t->s, "T", 1 << 5, &tree, &t->err), EINVAL);
	/* It can end anywhere. */
	WORKS(t, viofs_tree_open(t->s, "T", 0, &tree, &t->err));
	for (int i = 0; i < 3; i++) {
		struct viofs_tree_entry e;

		CHECK(t, viofs_tree_next(tree, &e, &t->err) == 1);
	}
	viofs_tree_close(tree);
	viofs_session_close(other);
	WORKS(t, viofs_path_unlink(t->s, "T/a/b/up", 0, &t->err));
	WORKS(t, viofs_path_rmdir(t->s, "T/a/b", 0, &t->err));
	WORKS(t, viofs_path_rmdir(t->s, "T/a", 0, &t->err));
	WORKS(t, viofs_path_rmdir(t->s, "T", 0, &t->err));
}

const struct calls_case cases_names[] = {
	{ "folders are made and removed", folders },
	{ "special files are made, not opened", special_files },
	{ "names are moved, exchanged and linked", renames_and_links },
	{ "names that were never asked for are moved and removed", unknown_names },
	{ "symbolic links lead nowhere but into the share", symbolic_links },
	{ "names and paths have their length", long_names },
	{ "attributes are set, and the share agrees", attributes },
	{ "extended attributes, up to 64 KiB", extended_attributes },
	{ "a directory with many entries is read, and from the middle", directories },
	{ "a view is somebody else's, and begins in a folder", views },
	{ "trees are walked through", trees },
	{ "permissions are checked where that is asked for", permissions },
	{ NULL, NULL },
};
