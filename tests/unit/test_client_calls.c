/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libviofs' calls send, byte by byte, and what they make of the answers. */
#include "base/page.h"
#include "base/uapi.h"
#include "base/util.h"
#include "client_bench.h"
#include "says.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD sizeof(struct fuse_in_header)
#define FOLDER 10U
#define FILE_NODE 20U
#define LINK 30U
#define MADE 40U
#define FH 77U

static struct viofs_session *s;
static struct viofs_err err;
/* The device's: the answer to this opcode is this error; attributes of files. */
static uint32_t failing;
static int failure;
static uint64_t file_size, sought_offset;
static uint32_t file_type, made_type;
static const struct fuse_file_lock some_lock = { 100, 199, F_WRLCK, 4321 };
static struct fuse_file_lock lock_found;

static struct fuse_attr attr_of(uint64_t nodeid)
{
	struct fuse_attr a = {
		.ino = nodeid,
		.size = file_size,
		.blocks = 9,
		.atime = 101,
		.mtime = 102,
		.ctime = 103,
		.atimensec = 1001,
		.mtimensec = 1002,
		.ctimensec = 4000000000U, /* more than a second */
		.mode = file_type | 0640,
		.nlink = 3,
		.uid = 5,
		.gid = 6,
		.rdev = 0x12345678,
	};

	if (nodeid == FOLDER || nodeid == FUSE_ROOT_ID)
		a.mode = S_IFDIR | 0755;
	if (nodeid == LINK)
		a.mode = S_IFLNK | 0777;
	if (nodeid == MADE)
		a.mode = made_type | 0700;
	return a;
}

static void answer(struct model_request *r, int error, const void *payload, size_t size)
{
	struct fuse_out_header *out = (void *)r->reply;

	if (size)
		memcpy(out + 1, payload, size);
	out->error = error;
	out->len = (uint32_t)(sizeof(*out) + size);
	r->reply_len = r->used_len = out->len;
}

static void answer_entry(struct model_request *r, uint64_t nodeid)
{
	const struct fuse_entry_out e = { .nodeid = nodeid, .attr = attr_of(nodeid) };

	if (nodeid)
		answer(r, 0, &e, sizeof(e));
	else
		answer(r, -ENOENT, NULL, 0);
}

static uint64_t node_of(const char *name)
{
	static const struct {
		const char *name;
		uint64_t nodeid;
	} names[] = { { "folder", FOLDER }, { "file", FILE_NODE }, { "link", LINK } };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(names); i++)
		if (!strcmp(names[i].name, name))
			return names[i].nodeid;
	return 0;
}

static void answer_xattr(struct model_request *r)
{
	const struct fuse_getxattr_in *in = (const void *)(r->message + HEAD);
	const struct fuse_getxattr_out size = { .size = 5 };

	if (!in->size)
		answer(r, 0, &size, sizeof(size));
	else
		answer(r, 0, "value", 5);
}

static void answer_bytes(struct model_request *r, size_t size)
{
	uint8_t bytes[512];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	answer(r, 0, bytes, size);
}

static enum model_verdict tree(struct model_device *d, struct model_request *r)
{
	const struct fuse_in_header *in = (const void *)r->message;
	const struct fuse_attr_out attr = { .attr = attr_of(in->nodeid) };
	const struct fuse_open_out open = { .fh = FH };
	const struct fuse_statfs_out statfs = {
		.st = { 1, 2, 3, 4, 5, .bsize = 6, .namelen = 7, .frsize = 8 },
	};
	const struct fuse_lk_out lock = { .lk = lock_found };
	const struct fuse_lseek_out sought = { .offset = sought_offset };
	const struct fuse_write_out copied = { .size = 50 };

	if (r->opcode == failing) {
		answer(r, failure, NULL, 0);
		return MODEL_ANSWER;
	}
	switch (r->opcode) {
	case FUSE_LOOKUP:
		answer_entry(r, node_of((const char *)r->message + HEAD));
		break;
	case FUSE_MKDIR:
	case FUSE_MKNOD:
	case FUSE_SYMLINK:
		answer_entry(r, MADE);
		break;
	case FUSE_LINK:
		answer_entry(r, FILE_NODE);
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		answer(r, 0, &attr, sizeof(attr));
		break;
	case VIOFS_FUSE_STATX:
		answer_bytes(r, VIOFS_FUSE_STATX_OUT);
		break;
	case FUSE_STATFS:
		answer(r, 0, &statfs, sizeof(statfs));
		break;
	case FUSE_READLINK:
		answer(r, 0, "file", 4);
		break;
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		answer_xattr(r);
		break;
	case FUSE_OPEN:
		answer(r, 0, &open, sizeof(open));
		break;
	case FUSE_GETLK:
		answer(r, 0, &lock, sizeof(lock));
		break;
	case FUSE_LSEEK:
		answer(r, 0, &sought, sizeof(sought));
		break;
	case FUSE_COPY_FILE_RANGE:
		answer(r, 0, &copied, sizeof(copied));
		break;
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_INIT:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		break;
	default:
		answer(r, 0, NULL, 0);
	}
	return MODEL_ANSWER;
}

static void start_as(uint32_t uid, uint32_t minor, uint32_t flags)
{
	struct viofs_session_options o;

	viofs_session_options_init(&o, sizeof(o));
	o.uid = uid;
	failing = 0;
	file_size = 1000;
	sought_offset = 4096;
	file_type = S_IFREG;
	made_type = S_IFREG;
	lock_found = some_lock;
	bench_open();
	bench_set_hook(tree);
	pthread_mutex_lock(&bench.device.lock);
	bench.device.init.minor = minor;
	bench.device.init.flags |= flags;
	pthread_mutex_unlock(&bench.device.lock);
	assert_int_equal(viofs_session_open(bench.dev, &o, &s, &err), 0);
}

static void start(uint32_t minor, uint32_t flags)
{
	start_as(getuid(), minor, flags);
}

static void end(void)
{
	struct viofs_session_info info = { .size = sizeof(info) };

	viofs_session_drop(s);
	assert_int_equal(viofs_session_info_get(s, &info), 0);
	assert_int_equal(info.lookups, 0);
	viofs_session_close(s);
}

static void fails_with(uint32_t opcode, int error)
{
	pthread_mutex_lock(&bench.device.lock);
	failing = opcode;
	failure = error;
	pthread_mutex_unlock(&bench.device.lock);
}

/* The body of the last request, which was of @opcode, for @nodeid, and has @size bytes. */
static const void *sent(uint32_t opcode, uint64_t nodeid, size_t size)
{
	const struct model_request *r;
	const struct fuse_in_header *in;
	unsigned int count = model_device_count(&bench.device, opcode);

	assert_true(count > 0);
	r = model_device_wait(&bench.device, opcode, count);
	in = (const void *)r->message;
	assert_int_equal(in->nodeid, nodeid);
	assert_int_equal(r->len, HEAD + size);
	assert_int_equal(in->len, r->len);
	return r->message + HEAD;
}

#define SENT(opcode, nodeid, what)                                                                 \
	assert_memory_equal(sent(opcode, nodeid, sizeof(what)), &what, sizeof(what))
#define SENT_TEXT(opcode, nodeid, text)                                                            \
	assert_memory_equal(sent(opcode, nodeid, sizeof(text)), text, sizeof(text))

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

	start(38, 0);
	made_type = S_IFDIR;
	assert_int_equal(viofs_path_mkdir(s, "/folder/new", 0, S_IFDIR | 01750, &err), 0);
	SENT(FUSE_MKDIR, FOLDER, mkdir);
	made_type = S_IFCHR;
	/* minor 0x312, major 0x43: the standard's two parts */
	mknod.in.rdev = 0x12 | 0x43 << 8 | 0x300 << 12;
	assert_int_equal(viofs_path_mknod(s, "new", 0, S_IFCHR | 0600, makedev(0x43, 0x312), &err),
			 0);
	SENT(FUSE_MKNOD, FUSE_ROOT_ID, mknod);
	made_type = S_IFREG;
	mknod.in = (struct fuse_mknod_in){ .mode = S_IFREG | 0644 };
	assert_int_equal(viofs_path_mknod(s, "new", 0, 0644, 0, &err), 0);
	SENT(FUSE_MKNOD, FUSE_ROOT_ID, mknod);
	made_type = S_IFLNK;
	assert_int_equal(viofs_path_symlink(s, "../target", "folder/new", 0, &err), 0);
	SENT_TEXT(FUSE_SYMLINK, FOLDER, "new\0../target");
	assert_int_equal(viofs_path_link(s, "file", "folder/hard", 0, &err), 0);
	SENT(FUSE_LINK, FOLDER, link);
	end();
}

static void names_that_cannot_be_made_are_not_asked_for(void **state)
{
	static const char *const odd[] = { "/", ".", "..", "folder/." };
	char target[PATH_MAX + 1];

	start(38, 0);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(odd); i++) {
		assert_int_equal(viofs_path_mkdir(s, odd[i], 0, 0755, &err), -EEXIST);
		assert_int_equal(viofs_path_mknod(s, odd[i], 0, 0644, 0, &err), -EEXIST);
		assert_int_equal(viofs_path_symlink(s, "x", odd[i], 0, &err), -EEXIST);
		assert_int_equal(viofs_path_link(s, "file", odd[i], 0, &err), -EEXIST);
		assert_int_equal(viofs_path_unlink(s, odd[i], 0, &err), -EISDIR);
		assert_int_equal(viofs_path_rename(s, "file", odd[i], 0, 0, &err), -EBUSY);
		assert_int_equal(viofs_path_rename(s, odd[i], "file", 0, 0, &err), -EBUSY);
	}
	assert_int_equal(viofs_path_rmdir(s, "/", 0, &err), -EBUSY);
	assert_int_equal(viofs_path_rmdir(s, "folder/.", 0, &err), -EINVAL);
	assert_int_equal(viofs_path_unlink(s, "file/", 0, &err), -ENOTDIR);
	assert_int_equal(viofs_path_symlink(s, "", "new", 0, &err), -ENOENT);
	memset(target, 'a', PATH_MAX);
	target[PATH_MAX] = '\0';
	assert_int_equal(viofs_path_symlink(s, target, "new", 0, &err), -ENAMETOOLONG);
	assert_int_equal(viofs_path_rename(s, "file", target, 0, 0, &err), -ENAMETOOLONG);
	target[PATH_MAX - 1] = '\0';
	made_type = S_IFLNK;
	assert_int_equal(viofs_path_symlink(s, target, "new", 0, &err), 0);
	memcpy(target + 256, "/x", 3);
	assert_int_equal(viofs_path_mkdir(s, target, 0, 0755, &err), -ENAMETOOLONG);
	for (uint32_t opcode = FUSE_SYMLINK + 1; opcode <= FUSE_LINK; opcode++)
		if (opcode != FUSE_SYMLINK)
			assert_int_equal(model_device_count(&bench.device, opcode), 0);
	end();
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

	start(38, 0);
	assert_int_equal(viofs_path_unlink(s, "folder/file", 0, &err), 0);
	SENT_TEXT(FUSE_UNLINK, FOLDER, "file");
	assert_int_equal(viofs_path_rmdir(s, "folder", 0, &err), 0);
	SENT_TEXT(FUSE_RMDIR, FUSE_ROOT_ID, "folder");
	assert_int_equal(viofs_path_rename(s, "file", "folder/new", 0, 0, &err), 0);
	assert_memory_equal(sent(FUSE_RENAME, FUSE_ROOT_ID, 8 + 9), &rename, 17);
	assert_int_equal(viofs_path_rename(s, "file", "folder/new", 0, 1, &err), 0);
	assert_memory_equal(sent(FUSE_RENAME2, FUSE_ROOT_ID, 16 + 9), &rename2, 25);
	/* What isn't there isn't removed. */
	assert_int_equal(viofs_path_unlink(s, "nothing", 0, &err), -ENOENT);
	assert_int_equal(model_device_count(&bench.device, FUSE_UNLINK), 1);
	fails_with(FUSE_RMDIR, -ENOTEMPTY);
	assert_int_equal(viofs_path_rmdir(s, "folder", 0, &err), -ENOTEMPTY);
	assert_string_equal(err.text, "rmdir folder: Directory not empty.");
	end();
}

static void links_are_read_and_followed(void **state)
{
	char target[16];
	struct stat st;

	start(38, 0);
	memset(target, 'x', sizeof(target));
	assert_int_equal(viofs_path_readlink(s, "link", 0, target, sizeof(target), &err), 4);
	assert_string_equal(target, "file");
	assert_int_equal(viofs_path_readlink(s, "link", 0, target, 5, &err), 4);
	assert_int_equal(viofs_path_readlink(s, "link", 0, target, 4, &err), -ERANGE);
	assert_int_equal(viofs_path_readlink(s, "file", 0, target, 5, &err), -EINVAL);
	assert_int_equal(viofs_path_stat(s, "folder/link", 0, &st, &err), 0);
	SENT_TEXT(FUSE_LOOKUP, FOLDER, "file");
	assert_int_equal(st.st_ino, FILE_NODE);
	assert_int_equal(viofs_path_stat(s, "link", VIOFS_PATH_NO_FOLLOW, &st, &err), 0);
	assert_int_equal(st.st_ino, LINK);
	assert_int_equal(viofs_path_stat(s, "file/x", 0, &st, &err), -ENOTDIR);
	end();
}

static void attributes_are_what_the_device_says(void **state)
{
	struct stat st;
	struct statx stx;
	struct fuse_getattr_in in = { 0 };

	start(38, 0);
	file_type = S_IFCHR;
	assert_int_equal(viofs_path_stat(s, "file", 0, &st, &err), 0);
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
	assert_int_equal(viofs_path_statx(s, "file", 0, STATX_ALL, &stx, &err), 0);
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
	file_type = S_IFREG;
	assert_int_equal(viofs_path_stat(s, "file", 0, &st, &err), 0);
	end();
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

	start(39, 0);
	for (int i = 0; i < 144; i++)
		all[i] = (uint8_t)(32 + i);
	assert_int_equal(viofs_path_statx(s, "file", 0, STATX_BTIME, &stx, &err), 0);
	SENT(VIOFS_FUSE_STATX, FILE_NODE, in);
	assert_memory_equal(&stx, all, sizeof(stx));
	fails_with(VIOFS_FUSE_STATX, -EACCES);
	assert_int_equal(viofs_path_statx(s, "file", 0, STATX_BTIME, &stx, &err), -EACCES);
	/* One that doesn't know it is asked once. */
	fails_with(VIOFS_FUSE_STATX, -ENOSYS);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(viofs_path_statx(s, "file", 0, STATX_BTIME, &stx, &err), 0);
		assert_int_equal(stx.stx_mask, STATX_BASIC_STATS);
	}
	assert_int_equal(model_device_count(&bench.device, VIOFS_FUSE_STATX), 3);
	end();
}

static void the_file_systems_numbers_and_access(void **state)
{
	const struct fuse_access_in in = { .mask = W_OK };
	struct statvfs st;

	start(38, 0);
	assert_int_equal(viofs_path_statfs(s, "folder", 0, &st, &err), 0);
	sent(FUSE_STATFS, FOLDER, 0);
	assert_int_equal(st.f_blocks, 1);
	assert_int_equal(st.f_bfree, 2);
	assert_int_equal(st.f_bavail, 3);
	assert_int_equal(st.f_files, 4);
	assert_int_equal(st.f_ffree, 5);
	assert_int_equal(st.f_favail, 5);
	assert_int_equal(st.f_bsize, 6);
	assert_int_equal(st.f_namemax, 7);
	assert_int_equal(st.f_frsize, 8);
	assert_int_equal(viofs_path_access(s, "file", 0, W_OK, &err), 0);
	SENT(FUSE_ACCESS, FILE_NODE, in);
	fails_with(FUSE_ACCESS, -EACCES);
	assert_int_equal(viofs_path_access(s, "file", 0, W_OK, &err), -EACCES);
	fails_with(FUSE_ACCESS, -ENOSYS);
	assert_int_equal(viofs_path_access(s, "file", 0, W_OK, &err), 0);
	end();
}

static void attributes_are_set(void **state)
{
	const struct timespec given[2] = { { 11, 12 }, { 13, 999999999 } };
	const struct timespec some[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	struct timespec wrong[2] = { { 0, 0 }, { 0, 1000000000 } };
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = 0640 };

	start(38, 0);
	assert_int_equal(viofs_path_chmod(s, "file", 0, S_IFREG | 0640, &err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, in);
	in = (struct fuse_setattr_in){ .valid = FATTR_UID | FATTR_GID, .uid = 1, .gid = 2 };
	assert_int_equal(viofs_path_chown(s, "file", 0, 1, 2, &err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, in);
	in = (struct fuse_setattr_in){ .valid = FATTR_GID, .uid = (uint32_t)-1, .gid = 2 };
	assert_int_equal(viofs_path_chown(s, "file", 0, (uid_t)-1, 2, &err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, in);
	in = (struct fuse_setattr_in){ .valid = FATTR_UID, .uid = 1, .gid = (uint32_t)-1 };
	assert_int_equal(viofs_path_chown(s, "file", 0, 1, (gid_t)-1, &err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, in);
	in = (struct fuse_setattr_in){ .valid = FATTR_ATIME | FATTR_MTIME,
				       .atime = 11,
				       .atimensec = 12,
				       .mtime = 13,
				       .mtimensec = 999999999 };
	assert_int_equal(viofs_path_utimens(s, "file", 0, given, &err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, in);
	assert_int_equal(viofs_path_utimens(s, "file", 0, some, &err), 0);
	assert_int_equal(
		((const struct fuse_setattr_in *)sent(FUSE_SETATTR, FILE_NODE, sizeof(in)))->valid,
		FATTR_MTIME | FATTR_MTIME_NOW);
	assert_int_equal(viofs_path_utimens(s, "file", 0, NULL, &err), 0);
	in = (struct fuse_setattr_in){ .valid = FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW |
						FATTR_MTIME_NOW };
	SENT(FUSE_SETATTR, FILE_NODE, in);
	assert_int_equal(viofs_path_utimens(s, "file", 0, wrong, &err), -EINVAL);
	wrong[1].tv_nsec = -1;
	assert_int_equal(viofs_path_utimens(s, "file", 0, wrong, &err), -EINVAL);
	in = (struct fuse_setattr_in){ .valid = FATTR_SIZE, .size = 55 };
	assert_int_equal(viofs_path_truncate(s, "file", 0, 55, &err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, in);
	/* An answer about something else. */
	file_type = S_IFDIR;
	assert_int_equal(viofs_path_chmod(s, "folder", 0, 0700, &err), 0);
	end();
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

	start(38, 0);
	assert_int_equal(viofs_path_getxattr(s, "file", 0, "user.ab", value, 16, &err), 5);
	assert_memory_equal(sent(FUSE_GETXATTR, FILE_NODE, 16), &get, 16);
	assert_memory_equal(value, "value", 5);
	assert_int_equal(viofs_path_getxattr(s, "file", 0, "user.ab", NULL, 0, &err), 5);
	assert_int_equal(viofs_path_listxattr(s, "file", 0, value, 16, &err), 5);
	SENT(FUSE_LISTXATTR, FILE_NODE, get.in);
	assert_int_equal(
		viofs_path_setxattr(s, "file", 0, "user.ab", "xyz", 3, XATTR_REPLACE, &err), 0);
	SENT(FUSE_SETXATTR, FILE_NODE, set);
	assert_int_equal(viofs_path_setxattr(s, "file", 0, "user.ab", large, 65537, 0, &err),
			 -E2BIG);
	assert_int_equal(viofs_path_setxattr(s, "file", 0, "user.ab", large, 65536, 0, &err), 0);
	assert_int_equal(viofs_path_removexattr(s, "file", 0, "user.ab", &err), 0);
	SENT_TEXT(FUSE_REMOVEXATTR, FILE_NODE, "user.ab");
	memset(name, 'n', 256);
	name[256] = '\0';
	assert_int_equal(viofs_path_removexattr(s, "file", 0, name, &err), -ERANGE);
	assert_int_equal(viofs_path_removexattr(s, "file", 0, "", &err), -ERANGE);
	name[255] = '\0';
	assert_int_equal(viofs_path_removexattr(s, "file", 0, name, &err), 0);
	assert_int_equal(viofs_path_setxattr(s, "file", 0, "user.ab", NULL, 0, 0, &err), 0);
	sent(FUSE_SETXATTR, FILE_NODE, sizeof(set) - 3);
	fails_with(FUSE_GETXATTR, -ENODATA);
	assert_int_equal(viofs_path_getxattr(s, "file", 0, "user.ab", value, 16, &err), -ENODATA);
	end();
}

static struct viofs_file *open_file(int oflags)
{
	struct fuse_open_in in = { .flags = (uint32_t)oflags | O_LARGEFILE };
	struct viofs_file *f;

	assert_int_equal(viofs_file_open(s, "file", 0, oflags, 0, &f, &err), 0);
	in.flags = ((const struct fuse_open_in *)sent(FUSE_OPEN, FILE_NODE, sizeof(in)))->flags;
	assert_int_equal(in.flags & O_ACCMODE, oflags & O_ACCMODE);
	return f;
}

static void what_is_done_with_an_open_file(void **state)
{
	const struct fuse_getattr_in getattr = { .getattr_flags = FUSE_GETATTR_FH, .fh = FH };
	struct fuse_setattr_in set = { .valid = FATTR_SIZE | FATTR_FH, .fh = FH, .size = 5 };
	struct fuse_fsync_in sync = { .fh = FH, .fsync_flags = FUSE_FSYNC_FDATASYNC };
	const struct fuse_fallocate_in allocate = {
		.fh = FH, .offset = 10, .length = 20, .mode = 1
	};
	struct viofs_file *f;
	struct stat st;

	start(38, 0);
	f = open_file(O_RDWR);
	assert_int_equal(viofs_file_stat(f, &st, &err), 0);
	SENT(FUSE_GETATTR, FILE_NODE, getattr);
	assert_int_equal(st.st_size, 1000);
	assert_int_equal(viofs_file_truncate(f, 5, &err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, set);
	set = (struct fuse_setattr_in){ .valid = FATTR_MODE | FATTR_FH, .fh = FH, .mode = 0600 };
	assert_int_equal(viofs_file_chmod(f, 0600, &err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, set);
	set = (struct fuse_setattr_in){
		.valid = FATTR_UID | FATTR_FH, .fh = FH, .uid = 9, .gid = (uint32_t)-1
	};
	assert_int_equal(viofs_file_chown(f, 9, (gid_t)-1, &err), 0);
	SENT(FUSE_SETATTR, FILE_NODE, set);
	assert_int_equal(viofs_file_sync(f, 1, &err), 0);
	SENT(FUSE_FSYNC, FILE_NODE, sync);
	sync.fsync_flags = 0;
	assert_int_equal(viofs_file_sync(f, 0, &err), 0);
	SENT(FUSE_FSYNC, FILE_NODE, sync);
	assert_int_equal(viofs_file_allocate(f, 1, 10, 20, &err), 0);
	SENT(FUSE_FALLOCATE, FILE_NODE, allocate);
	assert_int_equal(viofs_file_close(f, &err), 0);
	assert_int_equal(((const struct fuse_release_in *)sent(FUSE_RELEASE, FILE_NODE,
							       sizeof(struct fuse_release_in)))
				 ->fh,
			 FH);
	end();
}

/* A user's O_TRUNC takes the set-user-ID bits away, as it does on this machine; nothing else does.
 */
static void set_user_id_bits_go_with_a_users_o_trunc(void **state)
{
	static const struct {
		uint32_t uid;
		uint32_t agreed;
		int oflags;
		uint32_t sent;
	} each[] = {
		{ 1000, FUSE_HANDLE_KILLPRIV_V2, O_WRONLY | O_TRUNC, FUSE_OPEN_KILL_SUIDGID },
		{ 1000, FUSE_HANDLE_KILLPRIV_V2, O_WRONLY, 0 },
		{ 1000, 0, O_WRONLY | O_TRUNC, 0 },
		{ 0, FUSE_HANDLE_KILLPRIV_V2, O_WRONLY | O_TRUNC, 0 },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(each); i++) {
		const struct fuse_open_in *in;
		struct viofs_file *f;

		start_as(each[i].uid, 38, each[i].agreed | FUSE_ATOMIC_O_TRUNC);
		f = open_file(each[i].oflags);
		in = sent(FUSE_OPEN, FILE_NODE, sizeof(*in));
		assert_int_equal(in->open_flags, each[i].sent);
		assert_int_equal(viofs_file_close(f, &err), 0);
		end();
		bench_tear_down(state);
		bench_set_up_split(state);
	}
}

static void what_init_offers_is_told(void **state)
{
	struct viofs_session_info info = { .size = sizeof(info) };
	const struct fuse_init_in *in;

	start(38, 0);
	in = sent(FUSE_INIT, 0, sizeof(*in));
	assert_int_equal(viofs_session_info_get(s, &info), 0);
	assert_int_equal(info.offered, in->flags | (uint64_t)in->flags2 << 32);
	end();
}

static void seeking(void **state)
{
	const struct fuse_lseek_in in = { .fh = FH, .offset = 7, .whence = SEEK_DATA };
	struct viofs_file *f;

	start(38, 0);
	f = open_file(O_RDWR);
	assert_int_equal(viofs_file_lseek(f, 10, SEEK_SET, &err), 10);
	assert_int_equal(viofs_file_lseek(f, 5, SEEK_CUR, &err), 15);
	assert_int_equal(viofs_file_lseek(f, -15, SEEK_CUR, &err), 0);
	assert_int_equal(viofs_file_lseek(f, -1, SEEK_CUR, &err), -EINVAL);
	assert_int_equal(viofs_file_lseek(f, -1, SEEK_SET, &err), -EINVAL);
	assert_int_equal(viofs_file_lseek(f, -1, SEEK_END, &err), 999);
	assert_int_equal(viofs_file_lseek(f, 0, SEEK_CUR, &err), 999);
	assert_int_equal(viofs_file_lseek(f, INT64_MAX, SEEK_CUR, &err), -EINVAL);
	assert_int_equal(viofs_file_lseek(f, 7, SEEK_DATA, &err), 4096);
	SENT(FUSE_LSEEK, FILE_NODE, in);
	assert_int_equal(viofs_file_lseek(f, 0, SEEK_CUR, &err), 4096);
	assert_int_equal(viofs_file_lseek(f, 0, 99, &err), -EINVAL);
	sought_offset = INT64_MAX;
	assert_int_equal(viofs_file_lseek(f, 7, SEEK_HOLE, &err), INT64_MAX);
	sought_offset++;
	assert_int_equal(viofs_file_lseek(f, 7, SEEK_HOLE, &err), -EIO);
	says(&err, "an offset that can't be");
	/* Of a device that knows no holes a file is data up to its end. */
	fails_with(FUSE_LSEEK, -ENOSYS);
	assert_int_equal(viofs_file_lseek(f, 999, SEEK_DATA, &err), 999);
	assert_int_equal(viofs_file_lseek(f, 999, SEEK_HOLE, &err), 1000);
	assert_int_equal(viofs_file_lseek(f, 1000, SEEK_HOLE, &err), -ENXIO);
	file_size = 1ULL << 63;
	assert_int_equal(viofs_file_lseek(f, 7, SEEK_DATA, &err), -EIO);
	says(&err, "attributes that can't be");
	assert_int_equal(viofs_file_close(f, &err), 0);
	end();
}

static void copies_and_locks(void **state)
{
	struct fuse_copy_file_range_in copy = {
		.fh_in = FH,
		.off_in = 1,
		.nodeid_out = FILE_NODE,
		.fh_out = FH,
		.off_out = 2,
		.len = 100,
	};
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20 };
	const struct fuse_lk_in *in;
	struct viofs_file *f, *g;

	start(38, FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS);
	f = open_file(O_RDWR);
	g = open_file(O_RDWR);
	assert_int_equal(viofs_file_copy(f, 1, g, 2, 100, &err), 50);
	SENT(FUSE_COPY_FILE_RANGE, FILE_NODE, copy);
	assert_int_equal(viofs_file_copy(f, 1, g, 2, 50, &err), 50);
	assert_int_equal(viofs_file_copy(f, 1, g, 2, 49, &err), -EIO);
	says(&err, "copied more than it was asked to");
	assert_int_equal(viofs_file_lock(f, F_SETLK, &lock, &err), 0);
	in = sent(FUSE_SETLK, FILE_NODE, sizeof(*in));
	assert_int_equal(in->fh, FH);
	assert_int_equal(in->lk.start, 10);
	assert_int_equal(in->lk.end, 29);
	assert_int_equal(in->lk.type, F_WRLCK);
	assert_int_equal(in->lk_flags, 0);
	lock.l_len = 0;
	assert_int_equal(viofs_file_lock(f, F_SETLKW, &lock, &err), 0);
	in = sent(FUSE_SETLKW, FILE_NODE, sizeof(*in));
	assert_int_equal(in->lk.end, INT64_MAX);
	assert_int_equal(viofs_file_lock(f, F_GETLK, &lock, &err), 0);
	assert_int_equal(lock.l_type, F_WRLCK);
	assert_int_equal(lock.l_start, 100);
	assert_int_equal(lock.l_len, 100);
	assert_int_equal(lock.l_pid, 4321);
	assert_int_equal(viofs_file_lock(f, 12345, &lock, &err), -EINVAL);
	assert_int_equal(viofs_file_flock(f, LOCK_SH | LOCK_NB, &err), 0);
	in = sent(FUSE_SETLK, FILE_NODE, sizeof(*in));
	assert_int_equal(in->lk.type, F_RDLCK);
	assert_int_equal(in->lk_flags, FUSE_LK_FLOCK);
	assert_int_equal(viofs_file_flock(f, LOCK_EX, &err), 0);
	in = sent(FUSE_SETLKW, FILE_NODE, sizeof(*in));
	assert_int_equal(in->lk.type, F_WRLCK);
	assert_int_equal(viofs_file_flock(f, LOCK_UN, &err), 0);
	assert_int_equal(viofs_file_flock(f, LOCK_NB, &err), -EINVAL);
	assert_int_equal(viofs_file_close(f, &err), 0);
	assert_int_equal(viofs_file_close(g, &err), 0);
	end();
}

static void a_lock_that_cannot_be_is_refused(void **state)
{
	static const struct fuse_file_lock wrong[] = {
		{ 200, 199, F_WRLCK, 1 },
		{ 0, 1ULL << 63, F_RDLCK, 1 },
		{ 1ULL << 63, UINT64_MAX, F_WRLCK, 1 },
		{ 0, 199, 77, 1 },
		{ 0, 199, (uint32_t)-1, 1 },
	};
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10 };
	struct viofs_file *f;

	start(38, FUSE_POSIX_LOCKS);
	f = open_file(O_RDWR);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(wrong); i++) {
		lock_found = wrong[i];
		assert_int_equal(viofs_file_lock(f, F_GETLK, &lock, &err), -EIO);
		assert_non_null(strstr(err.text, "a lock that can't be"));
		assert_int_equal(lock.l_type, F_WRLCK);
		assert_int_equal(lock.l_start, 10);
	}
	lock_found = (struct fuse_file_lock){ 5, INT64_MAX, F_RDLCK, 1 };
	assert_int_equal(viofs_file_lock(f, F_GETLK, &lock, &err), 0);
	assert_int_equal(lock.l_start, 5);
	assert_int_equal(lock.l_len, 0);
	lock_found = (struct fuse_file_lock){ 9, 0, F_UNLCK, 0 };
	assert_int_equal(viofs_file_lock(f, F_GETLK, &lock, &err), 0);
	assert_int_equal(lock.l_type, F_UNLCK);
	assert_int_equal(lock.l_start, 5);
	assert_int_equal(viofs_file_close(f, &err), 0);
	end();
}

/* A file that is open on the device, but isn't cut as it was asked for. */
static void an_open_that_cannot_truncate_is_taken_back(void **state)
{
	struct viofs_file *f = NULL;

	start(38, 0);
	fails_with(FUSE_SETATTR, -ENOSPC);
	assert_int_equal(viofs_file_open(s, "file", 0, O_WRONLY | O_TRUNC, 0, &f, &err), -ENOSPC);
	assert_null(f);
	assert_int_equal(((const struct fuse_release_in *)sent(FUSE_RELEASE, FILE_NODE,
							       sizeof(struct fuse_release_in)))
				 ->fh,
			 FH);
	end();
}

/* More than a chain of the queue has descriptors for: in memory that the device reaches, and that
 * needn't be copied otherwise. */
static void dma_memory_may_be_in_any_number_of_pieces(void **state)
{
	struct iovec in[100], out[100];
	struct viofs_file *f;
	uint8_t *memory;

	bench.queue_size = 16;
	start(38, 0);
	file_size = 100000;
	memory = viofs_dma_alloc(bench.dev, 100 * 64);
	assert_non_null(memory);
	/* With a gap between any two. */
	for (unsigned int i = 0; i < 100; i++) {
		in[i] = (struct iovec){ memory + 64 * (size_t)i, 10 };
		out[i] = (struct iovec){ memory + 64 * (size_t)i + 32, 10 };
		for (unsigned int k = 0; k < 10; k++)
			memory[64 * i + 32 + k] = model_device_byte(FILE_NODE, 10 * i + k);
	}
	f = open_file(O_RDWR);
	for (unsigned int count = 1; count <= 100; count++) {
		memset(memory, 0, 32);
		assert_int_equal(viofs_file_preadv(f, in, (int)count, 0, &err), 10 * count);
		for (unsigned int i = 0; i < 10 * count; i++)
			assert_int_equal(memory[64 * (i / 10) + i % 10],
					 model_device_byte(FILE_NODE, i));
		assert_int_equal(viofs_file_pwritev(f, out, (int)count, 0, &err), 10 * count);
	}
	assert_int_equal(viofs_file_close(f, &err), 0);
	viofs_dma_free(bench.dev, memory);
	end();
}

static void data_in_several_pieces_is_in_order(void **state)
{
	static char from[3][5000], to[3][5000];
	struct iovec out[4] = { { from[0], 3 }, { NULL, 0 }, { from[1], 5000 }, { from[2], 7 } };
	struct iovec in[3] = { { to[0], 5 }, { to[1], 1 }, { to[2], 4000 } };
	const struct fuse_write_in *w;
	struct viofs_file *f;
	const char *sent_data;

	start(38, 0);
	file_size = 100000;
	/* What the model's file has there, or it refuses. */
	for (unsigned int i = 0, at = 11; i < 4; i++)
		for (size_t k = 0; k < out[i].iov_len; k++)
			((char *)out[i].iov_base)[k] = (char)model_device_byte(FILE_NODE, at++);
	f = open_file(O_RDWR);
	assert_int_equal(viofs_file_pwritev(f, out, 4, 11, &err), 5010);
	w = sent(FUSE_WRITE, FILE_NODE, sizeof(*w) + 5010);
	assert_int_equal(w->offset, 11);
	assert_int_equal(w->size, 5010);
	assert_int_equal(w->fh, FH);
	sent_data = (const char *)(w + 1);
	assert_memory_equal(sent_data, from[0], 3);
	assert_memory_equal(sent_data + 3, from[1], 5000);
	assert_memory_equal(sent_data + 5003, from[2], 7);
	assert_int_equal(viofs_file_preadv(f, in, 3, 9, &err), 4006);
	for (unsigned int i = 0, at = 9; i < 3; i++)
		for (size_t k = 0; k < in[i].iov_len; k++, at++)
			assert_int_equal((uint8_t)to[i][k], model_device_byte(FILE_NODE, at));
	assert_int_equal(viofs_file_preadv(f, in, 0, 9, &err), 0);
	/* From the file's own position on, which moves. */
	assert_int_equal(viofs_file_lseek(f, 9, SEEK_SET, &err), 9);
	for (unsigned int at = 9; at < 29; at += 10) {
		assert_int_equal(viofs_file_read(f, to[0], 10, &err), 10);
		for (unsigned int k = 0; k < 10; k++)
			assert_int_equal((uint8_t)to[0][k], model_device_byte(FILE_NODE, at + k));
	}
	for (unsigned int k = 0; k < 4; k++)
		from[0][k] = (char)model_device_byte(FILE_NODE, 29 + k);
	assert_int_equal(viofs_file_write(f, from[0], 4, &err), 4);
	w = sent(FUSE_WRITE, FILE_NODE, sizeof(*w) + 4);
	assert_int_equal(w->offset, 29);
	assert_int_equal(viofs_file_lseek(f, 0, SEEK_CUR, &err), 33);
	assert_int_equal(viofs_file_close(f, &err), 0);
	end();
}

static void more_data_than_a_request_carries_is_refused(void **state)
{
	struct viofs_dev_info info = { .size = sizeof(info) };
	struct viofs_request r = { .opcode = FUSE_WRITE, .data_count = 2 };
	struct viofs_queue *q;
	struct iovec iov[2];
	char *data;

	start(38, 0);
	q = bench_queue();
	assert_int_equal(viofs_dev_info_get(bench.dev, &info), 0);
	assert_true(info.max_data > 4096);
	data = viofs_dma_alloc(bench.dev, 4096);
	assert_non_null(data);
	r.data = iov;
	iov[0] = (struct iovec){ data, 4096 };
	/* One that is too long by itself, and a sum that is. */
	iov[1] = (struct iovec){ data, (size_t)info.max_data + 1 };
	assert_int_equal(viofs_queue_submit(q, &r, 1), -EINVAL);
	iov[1] = (struct iovec){ data, info.max_data };
	assert_int_equal(viofs_queue_submit(q, &r, 1), -EINVAL);
	assert_int_equal(model_device_count(&bench.device, FUSE_WRITE), 0);
	viofs_dma_free(bench.dev, data);
	end();
}

static int count_others(const int64_t *results, size_t count)
{
	int others = 0;

	for (size_t i = 0; i < count; i++) {
		if (results[i] == -ENODEV)
			continue;
		others++;
		print_error("call %zu: %lld\n", i, (long long)results[i]);
	}
	return others;
}

/* Each call, once. Return: how many don't say that the device is another process'. */
static int calls_elsewhere(struct viofs_file *f)
{
	const struct timespec times[2] = { { 0, 0 }, { 0, 0 } };
	struct flock lock = { .l_type = F_WRLCK };
	struct iovec iov = { NULL, 0 };
	struct viofs_file *file;
	struct viofs_dir *dir;
	struct statvfs fs;
	struct statx stx;
	struct stat st;
	char b[8] = "";
	const int64_t results[] = {
		viofs_file_open(s, "file", 0, O_RDONLY, 0, &file, &err),
		viofs_file_pread(f, b, 8, 0, &err),
		viofs_file_pwrite(f, b, 8, 0, &err),
		viofs_file_preadv(f, &iov, 1, 0, &err),
		viofs_file_pwritev(f, &iov, 1, 0, &err),
		viofs_file_read(f, b, 8, &err),
		viofs_file_write(f, b, 8, &err),
		viofs_file_lseek(f, 0, SEEK_DATA, &err),
		viofs_file_stat(f, &st, &err),
		viofs_file_truncate(f, 0, &err),
		viofs_file_chmod(f, 0600, &err),
		viofs_file_chown(f, 0, 0, &err),
		viofs_file_utimens(f, times, &err),
		viofs_file_sync(f, 0, &err),
		viofs_file_allocate(f, 0, 0, 1, &err),
		viofs_file_copy(f, 0, f, 0, 1, &err),
		viofs_file_lock(f, F_SETLK, &lock, &err),
		viofs_file_flock(f, LOCK_EX, &err),
		viofs_file_getxattr(f, "user.a", b, 8, &err),
		viofs_file_listxattr(f, b, 8, &err),
		viofs_file_setxattr(f, "user.a", b, 8, 0, &err),
		viofs_file_removexattr(f, "user.a", &err),
		viofs_path_stat(s, "file", 0, &st, &err),
		viofs_path_statx(s, "file", 0, STATX_ALL, &stx, &err),
		viofs_path_statfs(s, "file", 0, &fs, &err),
		viofs_path_access(s, "file", 0, R_OK, &err),
		viofs_path_mkdir(s, "new", 0, 0755, &err),
		viofs_path_mknod(s, "new", 0, 0644, 0, &err),
		viofs_path_unlink(s, "file", 0, &err),
		viofs_path_rmdir(s, "folder", 0, &err),
		viofs_path_rename(s, "file", "new", 0, 0, &err),
		viofs_path_link(s, "file", "new", 0, &err),
		viofs_path_symlink(s, "file", "new", 0, &err),
		viofs_path_readlink(s, "link", 0, b, 8, &err),
		viofs_path_chmod(s, "file", 0, 0600, &err),
		viofs_path_chown(s, "file", 0, 0, 0, &err),
		viofs_path_utimens(s, "file", 0, times, &err),
		viofs_path_truncate(s, "file", 0, 0, &err),
		viofs_path_getxattr(s, "file", 0, "user.a", b, 8, &err),
		viofs_path_listxattr(s, "file", 0, b, 8, &err),
		viofs_path_setxattr(s, "file", 0, "user.a", b, 8, 0, &err),
		viofs_path_removexattr(s, "file", 0, "user.a", &err),
		viofs_dir_open(s, "folder", 0, &dir, &err),
	};

	return count_others(results, VIOFS_ARRAY_SIZE(results));
}

/* The same of those that return at once. */
static int async_calls_elsewhere(struct viofs_async *a, struct viofs_file *f)
{
	const struct timespec times[2] = { { 0, 0 }, { 0, 0 } };
	struct flock lock = { .l_type = F_WRLCK };
	struct iovec iov = { NULL, 0 };
	struct viofs_file *file;
	struct viofs_dir *dir;
	struct statvfs fs;
	struct statx stx;
	struct stat st;
	char b[8] = "";
	const int64_t results[] = {
		viofs_file_open_async(a, "file", 0, O_RDONLY, 0, &file, NULL),
		viofs_file_pread_async(a, f, b, 8, 0, NULL),
		viofs_file_pwrite_async(a, f, b, 8, 0, NULL),
		viofs_file_preadv_async(a, f, &iov, 1, 0, NULL),
		viofs_file_pwritev_async(a, f, &iov, 1, 0, NULL),
		viofs_file_lseek_async(a, f, 0, SEEK_DATA, NULL),
		viofs_file_stat_async(a, f, &st, NULL),
		viofs_file_truncate_async(a, f, 0, NULL),
		viofs_file_chmod_async(a, f, 0600, NULL),
		viofs_file_chown_async(a, f, 0, 0, NULL),
		viofs_file_utimens_async(a, f, times, NULL),
		viofs_file_sync_async(a, f, 0, NULL),
		viofs_file_allocate_async(a, f, 0, 0, 1, NULL),
		viofs_file_copy_async(a, f, 0, f, 0, 1, NULL),
		viofs_file_lock_async(a, f, F_SETLK, &lock, NULL),
		viofs_file_flock_async(a, f, LOCK_EX, NULL),
		viofs_file_getxattr_async(a, f, "user.a", b, 8, NULL),
		viofs_file_listxattr_async(a, f, b, 8, NULL),
		viofs_file_setxattr_async(a, f, "user.a", b, 8, 0, NULL),
		viofs_file_removexattr_async(a, f, "user.a", NULL),
		viofs_path_stat_async(a, "file", 0, &st, NULL),
		viofs_path_statx_async(a, "file", 0, STATX_ALL, &stx, NULL),
		viofs_path_statfs_async(a, "file", 0, &fs, NULL),
		viofs_path_access_async(a, "file", 0, R_OK, NULL),
		viofs_path_mkdir_async(a, "new", 0, 0755, NULL),
		viofs_path_mknod_async(a, "new", 0, 0644, 0, NULL),
		viofs_path_unlink_async(a, "file", 0, NULL),
		viofs_path_rmdir_async(a, "folder", 0, NULL),
		viofs_path_rename_async(a, "file", "new", 0, 0, NULL),
		viofs_path_link_async(a, "file", "new", 0, NULL),
		viofs_path_symlink_async(a, "file", "new", 0, NULL),
		viofs_path_readlink_async(a, "link", 0, b, 8, NULL),
		viofs_path_chmod_async(a, "file", 0, 0600, NULL),
		viofs_path_chown_async(a, "file", 0, 0, 0, NULL),
		viofs_path_utimens_async(a, "file", 0, times, NULL),
		viofs_path_truncate_async(a, "file", 0, 0, NULL),
		viofs_path_getxattr_async(a, "file", 0, "user.a", b, 8, NULL),
		viofs_path_listxattr_async(a, "file", 0, b, 8, NULL),
		viofs_path_setxattr_async(a, "file", 0, "user.a", b, 8, 0, NULL),
		viofs_path_removexattr_async(a, "file", 0, "user.a", NULL),
		viofs_dir_open_async(a, "folder", 0, &dir, NULL),
	};

	return count_others(results, VIOFS_ARRAY_SIZE(results));
}

/* Emulators of a user's process take the advice and don't follow it. */
static bool memory_is_wiped_at_fork(void)
{
	int *here = mmap(NULL, viofs_page_size(), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	assert_ptr_not_equal(here, MAP_FAILED);
	*here = 1;
	if (madvise(here, viofs_page_size(), MADV_WIPEONFORK))
		return false;
	pid = fork();
	if (!pid)
		_exit(*here);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	munmap(here, viofs_page_size());
	return !status;
}

static void a_child_can_do_nothing_with_its_parents_device(void **state)
{
	struct viofs_async *a;
	struct viofs_file *f;
	int status;
	pid_t pid;

	if (!memory_is_wiped_at_fork())
		skip();
	start(38, 0);
	f = open_file(O_RDWR);
	assert_int_equal(viofs_async_open(s, 0, &a, &err), 0);
	pid = fork();
	if (!pid)
		_exit(calls_elsewhere(f) + async_calls_elsewhere(a, f));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	viofs_async_close(a);
	assert_int_equal(viofs_file_close(f, &err), 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(names_are_made),
		BOTH(names_that_cannot_be_made_are_not_asked_for),
		BOTH(names_are_removed_and_moved),
		BOTH(links_are_read_and_followed),
		BOTH(attributes_are_what_the_device_says),
		BOTH(statx_is_the_devices_where_it_has_it),
		BOTH(the_file_systems_numbers_and_access),
		BOTH(attributes_are_set),
		BOTH(extended_attributes),
		BOTH(what_is_done_with_an_open_file),
		BOTH(set_user_id_bits_go_with_a_users_o_trunc),
		BOTH(what_init_offers_is_told),
		BOTH(seeking),
		BOTH(copies_and_locks),
		BOTH(a_lock_that_cannot_be_is_refused),
		BOTH(an_open_that_cannot_truncate_is_taken_back),
		BOTH(data_in_several_pieces_is_in_order),
		BOTH(dma_memory_may_be_in_any_number_of_pieces),
		BOTH(a_child_can_do_nothing_with_its_parents_device),
		BOTH(more_data_than_a_request_carries_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
