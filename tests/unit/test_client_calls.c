/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libviofs' calls by path send, byte by byte, and what they make of the answers. */
#include "base/uapi.h"
#include "base/util.h"
#include "client_share.h"
#include "says.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

static void names_are_made(void **state)
{
	struct {
		struct fuse_mkdir_in in;
		char name[4];
	} mkdir = { { .mode = 01750 }, "new" };
	struct __attribute__((packed)) {
		struct fuse_mknod_in in;
		char name[4];
	} mknod = { { .mode = S_IFCHR | 0600, .rdev = 0x00334312 }, "new" };
	struct __attribute__((packed)) {
		struct fuse_link_in in;
		char name[5];
	} link = { { .oldnodeid = FILE_NODE }, "hard" };

	share_start(38, 0);
	share.made_type = S_IFDIR;
	assert_int_equal(
		viofs_path_mkdir(share.session, "/folder/new", 0, S_IFDIR | 01750, &share.err), 0);
	SENT(FUSE_MKDIR, FOLDER, mkdir);
	share.made_type = S_IFCHR;
	/* minor 0x312, major 0x43: the standard's two parts */
	mknod.in.rdev = 0x12 | 0x43 << 8 | 0x300 << 12;
	assert_int_equal(viofs_path_mknod(share.session, "new", 0, S_IFCHR | 0600,
					  makedev(0x43, 0x312), &share.err),
			 0);
	SENT(FUSE_MKNOD, FUSE_ROOT_ID, mknod);
	share.made_type = S_IFREG;
	mknod.in = (struct fuse_mknod_in){ .mode = S_IFREG | 0644 };
	assert_int_equal(viofs_path_mknod(share.session, "new", 0, 0644, 0, &share.err), 0);
	SENT(FUSE_MKNOD, FUSE_ROOT_ID, mknod);
	share.made_type = S_IFLNK;
	assert_int_equal(
		viofs_path_symlink(share.session, "../target", "folder/new", 0, &share.err), 0);
	SENT_TEXT(FUSE_SYMLINK, FOLDER, "new\0../target");
	assert_int_equal(viofs_path_link(share.session, "file", "folder/hard", 0, &share.err), 0);
	SENT(FUSE_LINK, FOLDER, link);
	share_end();
}

static void names_that_cannot_be_made_are_not_asked_for(void **state)
{
	static const char *const odd[] = { "/", ".", "..", "folder/." };
	char target[PATH_MAX + 1];

	share_start(38, 0);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(odd); i++) {
		assert_int_equal(viofs_path_mkdir(share.session, odd[i], 0, 0755, &share.err),
				 -EEXIST);
		assert_int_equal(viofs_path_mknod(share.session, odd[i], 0, 0644, 0, &share.err),
				 -EEXIST);
		assert_int_equal(viofs_path_symlink(share.session, "x", odd[i], 0, &share.err),
				 -EEXIST);
		assert_int_equal(viofs_path_link(share.session, "file", odd[i], 0, &share.err),
				 -EEXIST);
		assert_int_equal(viofs_path_unlink(share.session, odd[i], 0, &share.err), -EISDIR);
		assert_int_equal(viofs_path_rename(share.session, "file", odd[i], 0, 0, &share.err),
				 -EBUSY);
		assert_int_equal(viofs_path_rename(share.session, odd[i], "file", 0, 0, &share.err),
				 -EBUSY);
	}
	assert_int_equal(viofs_path_rmdir(share.session, "/", 0, &share.err), -EBUSY);
	assert_int_equal(viofs_path_rmdir(share.session, "folder/.", 0, &share.err), -EINVAL);
	assert_int_equal(viofs_path_unlink(share.session, "file/", 0, &share.err), -ENOTDIR);
	assert_int_equal(viofs_path_symlink(share.session, "", "new", 0, &share.err), -ENOENT);
	memset(target, 'a', PATH_MAX);
	target[PATH_MAX] = '\0';
	assert_int_equal(viofs_path_symlink(share.session, target, "new", 0, &share.err),
			 -ENAMETOOLONG);
	assert_int_equal(viofs_path_rename(share.session, "file", target, 0, 0, &share.err),
			 -ENAMETOOLONG);
	target[PATH_MAX - 1] = '\0';
	share.made_type = S_IFLNK;
	assert_int_equal(viofs_path_symlink(share.session, target, "new", 0, &share.err), 0);
	memcpy(target + 256, "/x", 3);
	assert_int_equal(viofs_path_mkdir(share.session, target, 0, 0755, &share.err),
			 -ENAMETOOLONG);
	for (uint32_t opcode = FUSE_SYMLINK + 1; opcode <= FUSE_LINK; opcode++)
		if (opcode != FUSE_SYMLINK)
			assert_int_equal(model_device_count(&bench.device, opcode), 0);
	share_end();
}

static void names_are_removed_and_moved(void **state)
{
	struct {
		struct fuse_rename_in in;
		char names[9];
	} rename = { { .newdir = FOLDER }, "file\0new" };
	struct {
		struct fuse_rename2_in in;
		char names[9];
	} rename2 = { { .newdir = FOLDER, .flags = 1 }, "file\0new" };

	share_start(38, 0);
	assert_int_equal(viofs_path_unlink(share.session, "folder/file", 0, &share.err), 0);
	SENT_TEXT(FUSE_UNLINK, FOLDER, "file");
	assert_int_equal(viofs_path_rmdir(share.session, "folder", 0, &share.err), 0);
	SENT_TEXT(FUSE_RMDIR, FUSE_ROOT_ID, "folder");
	assert_int_equal(viofs_path_rename(share.session, "file", "folder/new", 0, 0, &share.err),
			 0);
	assert_memory_equal(share_sent(FUSE_RENAME, FUSE_ROOT_ID, 8 + 9), &rename, 17);
	assert_int_equal(viofs_path_rename(share.session, "file", "folder/new", 0, 1, &share.err),
			 0);
	assert_memory_equal(share_sent(FUSE_RENAME2, FUSE_ROOT_ID, 16 + 9), &rename2, 25);
	/* What isn't there isn't removed. */
	assert_int_equal(viofs_path_unlink(share.session, "nothing", 0, &share.err), -ENOENT);
	assert_int_equal(model_device_count(&bench.device, FUSE_UNLINK), 1);
	share_fails(FUSE_RMDIR, -ENOTEMPTY);
	assert_int_equal(viofs_path_rmdir(share.session, "folder", 0, &share.err), -ENOTEMPTY);
	assert_string_equal(share.err.text, "rmdir folder: Directory not empty.");
	share_end();
}

static void links_are_read_and_followed(void **state)
{
	char target[16];
	struct stat st;

	share_start(38, 0);
	memset(target, 'x', sizeof(target));
	assert_int_equal(
		viofs_path_readlink(share.session, "link", 0, target, sizeof(target), &share.err),
		4);
	assert_string_equal(target, "file");
	assert_int_equal(viofs_path_readlink(share.session, "link", 0, target, 5, &share.err), 4);
	assert_int_equal(viofs_path_readlink(share.session, "link", 0, target, 4, &share.err),
			 -ERANGE);
	assert_int_equal(viofs_path_readlink(share.session, "file", 0, target, 5, &share.err),
			 -EINVAL);
	assert_int_equal(viofs_path_stat(share.session, "folder/link", 0, &st, &share.err), 0);
	SENT_TEXT(FUSE_LOOKUP, FOLDER, "file");
	assert_int_equal(st.st_ino, FILE_NODE);
	assert_int_equal(
		viofs_path_stat(share.session, "link", VIOFS_PATH_NO_FOLLOW, &st, &share.err), 0);
	assert_int_equal(st.st_ino, LINK);
	assert_int_equal(viofs_path_stat(share.session, "file/x", 0, &st, &share.err), -ENOTDIR);
	share_end();
}

/* The device's text of a link may be anything. */
static void a_link_that_leads_nowhere_is_not_followed(void **state)
{
	char target[16];
	struct stat st;

	share_start(38, 0);
	share.link_size = 0;
	assert_int_equal(viofs_path_stat(share.session, "link", 0, &st, &share.err), -ENOENT);
	share.link = "fi\0le";
	share.link_size = 5;
	assert_int_equal(viofs_path_stat(share.session, "link", 0, &st, &share.err), -EIO);
	assert_int_equal(viofs_path_stat(share.session, "folder/link/x", 0, &st, &share.err), -EIO);
	share.link = "/folder/file";
	share.link_size = 12;
	assert_int_equal(viofs_path_stat(share.session, "folder/link", 0, &st, &share.err), 0);
	assert_int_equal(st.st_ino, FILE_NODE);
	assert_int_equal(
		viofs_path_stat(share.session, "link", VIOFS_PATH_BENEATH, &st, &share.err),
		-EXDEV);
	assert_int_equal(
		viofs_path_readlink(share.session, "link", 0, target, sizeof(target), &share.err),
		12);
	share_end();
}

static void attributes_are_what_the_device_says(void **state)
{
	struct stat st;
	struct statx stx;
	struct fuse_getattr_in in = { 0 };

	share_start(38, 0);
	share.file_type = S_IFCHR;
	assert_int_equal(viofs_path_stat(share.session, "file", 0, &st, &share.err), 0);
	SENT(FUSE_GETATTR, FILE_NODE, in);
	assert_int_equal(st.st_ino, FILE_NODE);
	assert_int_equal(st.st_mode, S_IFCHR | 0640);
	assert_int_equal(st.st_nlink, 3);
	assert_int_equal(st.st_uid, 5);
	assert_int_equal(st.st_gid, 6);
	assert_int_equal(major(st.st_rdev), 0x456);
	assert_int_equal(minor(st.st_rdev), 0x12378);
	assert_int_equal(st.st_size, 1000);
	assert_int_equal(st.st_blocks, 9);
	assert_int_equal(st.st_blksize, 4096);
	assert_int_equal(st.st_atim.tv_sec, 101);
	assert_int_equal(st.st_atim.tv_nsec, 1001);
	assert_int_equal(st.st_mtim.tv_sec, 102);
	assert_int_equal(st.st_mtim.tv_nsec, 1002);
	assert_int_equal(st.st_ctim.tv_sec, 103);
	assert_int_equal(st.st_ctim.tv_nsec, 999999999);
	/* The same in the other form, since the device's protocol is older than STATX. */
	assert_int_equal(viofs_path_statx(share.session, "file", 0, STATX_ALL, &stx, &share.err),
			 0);
	assert_int_equal(model_device_count(&bench.device, VIOFS_FUSE_STATX), 0);
	assert_int_equal(stx.stx_mask, STATX_BASIC_STATS);
	assert_int_equal(stx.stx_ino, FILE_NODE);
	assert_int_equal(stx.stx_mode, S_IFCHR | 0640);
	assert_int_equal(stx.stx_nlink, 3);
	assert_int_equal(stx.stx_uid, 5);
	assert_int_equal(stx.stx_gid, 6);
	assert_int_equal(stx.stx_rdev_major, 0x456);
	assert_int_equal(stx.stx_rdev_minor, 0x12378);
	assert_int_equal(stx.stx_size, 1000);
	assert_int_equal(stx.stx_blocks, 9);
	assert_int_equal(stx.stx_blksize, 4096);
	assert_int_equal(stx.stx_atime.tv_sec, 101);
	assert_int_equal(stx.stx_mtime.tv_nsec, 1002);
	assert_int_equal(stx.stx_ctime.tv_nsec, 999999999);
	/* A file doesn't change its kind. */
	share.file_type = S_IFREG;
	assert_int_equal(viofs_path_stat(share.session, "file", 0, &st, &share.err), 0);
	share_end();
}

static void statx_is_the_devices_where_it_has_it(void **state)
{
	struct {
		uint32_t getattr_flags, reserved;
		uint64_t fh;
		uint32_t flags, mask;
	} in = { .mask = STATX_BTIME };
	struct statx stx;
	uint8_t all[sizeof(stx)] = { 0 };

	share_start(39, 0);
	for (int i = 0; i < 144; i++)
		all[i] = (uint8_t)(32 + i);
	assert_int_equal(viofs_path_statx(share.session, "file", 0, STATX_BTIME, &stx, &share.err),
			 0);
	SENT(VIOFS_FUSE_STATX, FILE_NODE, in);
	assert_memory_equal(&stx, all, sizeof(stx));
	share_fails(VIOFS_FUSE_STATX, -EACCES);
	assert_int_equal(viofs_path_statx(share.session, "file", 0, STATX_BTIME, &stx, &share.err),
			 -EACCES);
	/* One that doesn't know it is asked once. */
	share_fails(VIOFS_FUSE_STATX, -ENOSYS);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			viofs_path_statx(share.session, "file", 0, STATX_BTIME, &stx, &share.err),
			0);
		assert_int_equal(stx.stx_mask, STATX_BASIC_STATS);
	}
	assert_int_equal(model_device_count(&bench.device, VIOFS_FUSE_STATX), 3);
	share_end();
}

static void the_file_systems_numbers_and_access(void **state)
{
	const struct fuse_access_in in = { .mask = W_OK };
	struct statvfs st;

	share_start(38, 0);
	assert_int_equal(viofs_path_statfs(share.session, "folder", 0, &st, &share.err), 0);
	share_sent(FUSE_STATFS, FOLDER, 0);
	assert_int_equal(st.f_blocks, 1);
	assert_int_equal(st.f_bfree, 2);
	assert_int_equal(st.f_bavail, 3);
	assert_int_equal(st.f_files, 4);
	assert_int_equal(st.f_ffree, 5);
	assert_int_equal(st.f_favail, 5);
	assert_int_equal(st.f_bsize, 6);
	assert_int_equal(st.f_namemax, 7);
	assert_int_equal(st.f_frsize, 8);
	assert_int_equal(viofs_path_access(share.session, "file", 0, W_OK, &share.err), 0);
	SENT(FUSE_ACCESS, FILE_NODE, in);
	share_fails(FUSE_ACCESS, -EACCES);
	assert_int_equal(viofs_path_access(share.session, "file", 0, W_OK, &share.err), -EACCES);
	share_fails(FUSE_ACCESS, -ENOSYS);
	assert_int_equal(viofs_path_access(share.session, "file", 0, W_OK, &share.err), 0);
	share_end();
}

static void attributes_are_set(void **state)
{
	const struct timespec given[2] = { { 11, 12 }, { 13, 999999999 } };
	const struct timespec some[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	struct timespec wrong[2] = { { 0, 0 }, { 0, 1000000000 } };
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = 0640 };

	share_start(38, 0);
	assert_int_equal(viofs_path_chmod(share.session, "file", 0, S_IFREG | 0640, &share.err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, in);
	in = (struct fuse_setattr_in){ .valid = FATTR_UID | FATTR_GID, .uid = 1, .gid = 2 };
	assert_int_equal(viofs_path_chown(share.session, "file", 0, 1, 2, &share.err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, in);
	in = (struct fuse_setattr_in){ .valid = FATTR_GID, .uid = (uint32_t)-1, .gid = 2 };
	assert_int_equal(viofs_path_chown(share.session, "file", 0, (uid_t)-1, 2, &share.err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, in);
	in = (struct fuse_setattr_in){ .valid = FATTR_UID, .uid = 1, .gid = (uint32_t)-1 };
	assert_int_equal(viofs_path_chown(share.session, "file", 0, 1, (gid_t)-1, &share.err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, in);
	in = (struct fuse_setattr_in){ .valid = FATTR_ATIME | FATTR_MTIME,
				       .atime = 11,
				       .atimensec = 12,
				       .mtime = 13,
				       .mtimensec = 999999999 };
	assert_int_equal(viofs_path_utimens(share.session, "file", 0, given, &share.err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, in);
	assert_int_equal(viofs_path_utimens(share.session, "file", 0, some, &share.err), 0);
	assert_int_equal(
		((const struct fuse_setattr_in *)share_sent(FUSE_SETATTR, FILE_NODE, sizeof(in)))
			->valid,
		FATTR_MTIME | FATTR_MTIME_NOW);
	assert_int_equal(viofs_path_utimens(share.session, "file", 0, NULL, &share.err), 0);
	in = (struct fuse_setattr_in){ .valid = FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW |
						FATTR_MTIME_NOW };
	SENT(FUSE_SETATTR, FILE_NODE, in);
	assert_int_equal(viofs_path_utimens(share.session, "file", 0, wrong, &share.err), -EINVAL);
	wrong[1].tv_nsec = -1;
	assert_int_equal(viofs_path_utimens(share.session, "file", 0, wrong, &share.err), -EINVAL);
	in = (struct fuse_setattr_in){ .valid = FATTR_SIZE, .size = 55 };
	assert_int_equal(viofs_path_truncate(share.session, "file", 0, 55, &share.err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, in);
	/* An answer about something else. */
	share.file_type = S_IFDIR;
	assert_int_equal(viofs_path_chmod(share.session, "folder", 0, 0700, &share.err), 0);
	share_end();
}

static void extended_attributes(void **state)
{
	struct {
		struct fuse_getxattr_in in;
		char name[8];
	} get = { { .size = 16 }, "user.ab" };
	struct __attribute__((packed)) {
		uint32_t size, flags, more_flags, padding;
		char name[8], value[3];
	} set = { 3, XATTR_REPLACE, 0, 0, "user.ab", { 'x', 'y', 'z' } };
	static char large[65537];
	char value[16], name[257];

	share_start(38, 0);
	assert_int_equal(
		viofs_path_getxattr(share.session, "file", 0, "user.ab", value, 16, &share.err), 5);
	assert_memory_equal(share_sent(FUSE_GETXATTR, FILE_NODE, 16), &get, 16);
	assert_memory_equal(value, "value", 5);
	assert_int_equal(
		viofs_path_getxattr(share.session, "file", 0, "user.ab", NULL, 0, &share.err), 5);
	assert_int_equal(viofs_path_listxattr(share.session, "file", 0, value, 16, &share.err), 5);
	SENT(FUSE_LISTXATTR, FILE_NODE, get.in);
	assert_int_equal(viofs_path_setxattr(share.session, "file", 0, "user.ab", "xyz", 3,
					     XATTR_REPLACE, &share.err),
			 0);
	SENT(FUSE_SETXATTR, FILE_NODE, set);
	assert_int_equal(viofs_path_setxattr(share.session, "file", 0, "user.ab", large, 65537, 0,
					     &share.err),
			 -E2BIG);
	assert_int_equal(viofs_path_setxattr(share.session, "file", 0, "user.ab", large, 65536, 0,
					     &share.err),
			 0);
	assert_int_equal(viofs_path_removexattr(share.session, "file", 0, "user.ab", &share.err),
			 0);
	SENT_TEXT(FUSE_REMOVEXATTR, FILE_NODE, "user.ab");
	memset(name, 'n', 256);
	name[256] = '\0';
	assert_int_equal(viofs_path_removexattr(share.session, "file", 0, name, &share.err),
			 -ERANGE);
	assert_int_equal(viofs_path_removexattr(share.session, "file", 0, "", &share.err), -ERANGE);
	name[255] = '\0';
	assert_int_equal(viofs_path_removexattr(share.session, "file", 0, name, &share.err), 0);
	assert_int_equal(
		viofs_path_setxattr(share.session, "file", 0, "user.ab", NULL, 0, 0, &share.err),
		0);
	share_sent(FUSE_SETXATTR, FILE_NODE, sizeof(set) - 3);
	share_fails(FUSE_GETXATTR, -ENODATA);
	assert_int_equal(
		viofs_path_getxattr(share.session, "file", 0, "user.ab", value, 16, &share.err),
		-ENODATA);
	share_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(names_are_made),
		BOTH(names_that_cannot_be_made_are_not_asked_for),
		BOTH(names_are_removed_and_moved),
		BOTH(links_are_read_and_followed),
		BOTH(a_link_that_leads_nowhere_is_not_followed),
		BOTH(attributes_are_what_the_device_says),
		BOTH(statx_is_the_devices_where_it_has_it),
		BOTH(the_file_systems_numbers_and_access),
		BOTH(attributes_are_set),
		BOTH(extended_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
