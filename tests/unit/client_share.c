/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client_share.h"
#include "base/uapi.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct client_share share;

static const struct fuse_file_lock some_lock = { 100, 199, F_WRLCK, 4321 };

static struct fuse_attr attr_of(uint64_t nodeid)
{
	struct fuse_attr a = {
		.ino = nodeid,
		.size = share.file_size,
		.blocks = 9,
		.atime = 101,
		.mtime = 102,
		.ctime = 103,
		.atimensec = 1001,
		.mtimensec = 1002,
		.ctimensec = 4000000000U, /* more than a second */
		.mode = share.file_type | 0640,
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
		a.mode = share.made_type | 0700;
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
	const struct fuse_lk_out lock = { .lk = share.lock_found };
	const struct fuse_lseek_out sought = { .offset = share.sought_offset };
	const struct fuse_write_out copied = { .size = 50 };

	if (r->opcode == share.failing) {
		answer(r, share.failure, NULL, 0);
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
		answer(r, 0, share.link, share.link_size);
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

void share_start_as(uint32_t uid, uint32_t minor, uint32_t flags)
{
	struct viofs_session_options o;

	viofs_session_options_init(&o, sizeof(o));
	o.uid = uid;
	share.failing = 0;
	share.file_size = 1000;
	share.sought_offset = 4096;
	share.file_type = S_IFREG;
	share.made_type = S_IFREG;
	share.lock_found = some_lock;
	share.link = "file";
	share.link_size = 4;
	bench_open();
	bench_set_hook(tree);
	pthread_mutex_lock(&bench.device.lock);
	bench.device.init.minor = minor;
	bench.device.init.flags |= flags;
	pthread_mutex_unlock(&bench.device.lock);
	assert_int_equal(viofs_session_open(bench.dev, &o, &share.session, &share.err), 0);
}

void share_start(uint32_t minor, uint32_t flags)
{
	share_start_as(getuid(), minor, flags);
}

void share_end(void)
{
	struct viofs_session_info info = { .size = sizeof(info) };

	viofs_session_drop(share.session);
	assert_int_equal(viofs_session_info_get(share.session, &info), 0);
	assert_int_equal(info.lookups, 0);
	viofs_session_close(share.session);
}

void share_fails(uint32_t opcode, int error)
{
	pthread_mutex_lock(&bench.device.lock);
	share.failing = opcode;
	share.failure = error;
	pthread_mutex_unlock(&bench.device.lock);
}

const void *share_sent(uint32_t opcode, uint64_t nodeid, size_t size)
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

struct viofs_file *share_open(int oflags)
{
	struct fuse_open_in in = { .flags = (uint32_t)oflags | O_LARGEFILE };
	struct viofs_file *f;

	assert_int_equal(viofs_file_open(share.session, "file", 0, oflags, 0, &f, &share.err), 0);
	in.flags =
		((const struct fuse_open_in *)share_sent(FUSE_OPEN, FILE_NODE, sizeof(in)))->flags;
	assert_int_equal(in.flags & O_ACCMODE, oflags & O_ACCMODE);
	return f;
}
