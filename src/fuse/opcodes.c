/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The opcode table (uapi 7.45, and what fs/fuse of Linux 7.2 does beyond it).
 *
 * Devices that speak less than 7.27 are refused at INIT, so the shorter structures of minors below
 * 9, 12 and 16 don't appear here.
 */
#include "fuse/opcodes.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum row_flags {
	HIPRIO = 1 << 0,
	NO_REPLY = 1 << 1,
	DATA = 1 << 2, /* what follows the struct is data, with a descriptor of its own */
	MAY_BLOCK = 1 << 3,
	MAY_WAIT = 1 << 4,
	OURS = 1 << 5, /* never forwarded */
	UNLINKS = 1 << 6,
};

/* Sets the parts of the shape that depend on arguments or on what INIT agreed. */
typedef int adjust_fn(const struct viofs_fuse_conn *conn, const void *args,
		      struct viofs_fuse_shape *s);

struct row {
	uint16_t opcode;
	uint16_t args;  /* struct after the header */
	uint16_t fixed; /* structs of the reply */
	uint8_t flags;
	const char *name;
	adjust_fn *adjust;
};

static int readlink_room(const struct viofs_fuse_conn *conn, const void *args,
			 struct viofs_fuse_shape *s)
{
	s->reply_data = conn->page_size - 1;
	return 0;
}

static int read_room(const struct viofs_fuse_conn *conn, const void *args,
		     struct viofs_fuse_shape *s)
{
	s->reply_data = ((const struct fuse_read_in *)args)->size;
	return 0;
}

/* Two operations in one: with size 0 the question is how much room is needed. */
static int getxattr_room(const struct viofs_fuse_conn *conn, const void *args,
			 struct viofs_fuse_shape *s)
{
	s->reply_data = ((const struct fuse_getxattr_in *)args)->size;
	s->fixed = s->reply_data ? 0 : sizeof(struct fuse_getxattr_out);
	return 0;
}

/* A RETRY answer carries up to a page of iovecs, whatever out_size says. */
static int ioctl_room(const struct viofs_fuse_conn *conn, const void *args,
		      struct viofs_fuse_shape *s)
{
	s->reply_data = VIOFS_MAX(((const struct fuse_ioctl_in *)args)->out_size, conn->page_size);
	return 0;
}

/* The struct is 8 bytes unless FUSE_SETXATTR_EXT was agreed; name and value follow either way. */
static int setxattr_args(const struct viofs_fuse_conn *conn, const void *args,
			 struct viofs_fuse_shape *s)
{
	size_t size =
		conn->setxattr_ext ? sizeof(struct fuse_setxattr_in) : FUSE_COMPAT_SETXATTR_IN_SIZE;

	return s->args < size ? -EPROTO : 0;
}

/* An unlock waits for nobody, though flock(2) and lockf(3) send it by the opcode that may wait. */
static int lock_wait(const struct viofs_fuse_conn *conn, const void *args,
		     struct viofs_fuse_shape *s)
{
	struct fuse_lk_in in;

	memcpy(&in, args, sizeof(in));
	s->may_wait = in.lk.type != F_UNLCK;
	return 0;
}

#define IN(type) sizeof(struct type)
#define ENTRY sizeof(struct fuse_entry_out)
#define ATTR sizeof(struct fuse_attr_out)
#define OPEN sizeof(struct fuse_open_out)

static const struct row table[] = {
	{ FUSE_LOOKUP, 0, ENTRY, 0, "LOOKUP", NULL },
	{ FUSE_FORGET, IN(fuse_forget_in), 0, HIPRIO | NO_REPLY, "FORGET", NULL },
	{ FUSE_GETATTR, IN(fuse_getattr_in), ATTR, 0, "GETATTR", NULL },
	{ FUSE_SETATTR, IN(fuse_setattr_in), ATTR, 0, "SETATTR", NULL },
	{ FUSE_READLINK, 0, 0, 0, "READLINK", readlink_room },
	{ FUSE_SYMLINK, 0, ENTRY, 0, "SYMLINK", NULL },
	{ FUSE_MKNOD, IN(fuse_mknod_in), ENTRY, 0, "MKNOD", NULL },
	{ FUSE_MKDIR, IN(fuse_mkdir_in), ENTRY, 0, "MKDIR", NULL },
	{ FUSE_UNLINK, 0, 0, UNLINKS, "UNLINK", NULL },
	{ FUSE_RMDIR, 0, 0, UNLINKS, "RMDIR", NULL },
	{ FUSE_RENAME, IN(fuse_rename_in), 0, UNLINKS, "RENAME", NULL },
	{ FUSE_LINK, IN(fuse_link_in), ENTRY, 0, "LINK", NULL },
	{ FUSE_OPEN, IN(fuse_open_in), OPEN, 0, "OPEN", NULL },
	{ FUSE_READ, IN(fuse_read_in), 0, MAY_BLOCK, "READ", read_room },
	{ FUSE_WRITE, IN(fuse_write_in), IN(fuse_write_out), DATA, "WRITE", NULL },
	{ FUSE_STATFS, 0, IN(fuse_statfs_out), 0, "STATFS", NULL },
	{ FUSE_RELEASE, IN(fuse_release_in), 0, 0, "RELEASE", NULL },
	{ FUSE_FSYNC, IN(fuse_fsync_in), 0, 0, "FSYNC", NULL },
	{ FUSE_SETXATTR, 0, 0, 0, "SETXATTR", setxattr_args },
	{ FUSE_GETXATTR, IN(fuse_getxattr_in), 0, 0, "GETXATTR", getxattr_room },
	{ FUSE_LISTXATTR, IN(fuse_getxattr_in), 0, 0, "LISTXATTR", getxattr_room },
	{ FUSE_REMOVEXATTR, 0, 0, 0, "REMOVEXATTR", NULL },
	{ FUSE_FLUSH, IN(fuse_flush_in), 0, 0, "FLUSH", NULL },
	{ FUSE_INIT, 0, 0, OURS, "INIT", NULL },
	{ FUSE_OPENDIR, IN(fuse_open_in), OPEN, 0, "OPENDIR", NULL },
	{ FUSE_READDIR, IN(fuse_read_in), 0, 0, "READDIR", read_room },
	{ FUSE_RELEASEDIR, IN(fuse_release_in), 0, 0, "RELEASEDIR", NULL },
	{ FUSE_FSYNCDIR, IN(fuse_fsync_in), 0, 0, "FSYNCDIR", NULL },
	{ FUSE_GETLK, IN(fuse_lk_in), IN(fuse_lk_out), 0, "GETLK", NULL },
	{ FUSE_SETLK, IN(fuse_lk_in), 0, 0, "SETLK", NULL },
	{ FUSE_SETLKW, IN(fuse_lk_in), 0, MAY_WAIT, "SETLKW", lock_wait },
	{ FUSE_ACCESS, IN(fuse_access_in), 0, 0, "ACCESS", NULL },
	{ FUSE_CREATE, IN(fuse_create_in), ENTRY + OPEN, 0, "CREATE", NULL },
	{ FUSE_INTERRUPT, IN(fuse_interrupt_in), 0, HIPRIO, "INTERRUPT", NULL },
	{ FUSE_BMAP, IN(fuse_bmap_in), IN(fuse_bmap_out), 0, "BMAP", NULL },
	{ FUSE_DESTROY, 0, 0, OURS, "DESTROY", NULL },
	{ FUSE_IOCTL, IN(fuse_ioctl_in), IN(fuse_ioctl_out), DATA, "IOCTL", ioctl_room },
	{ FUSE_POLL, IN(fuse_poll_in), IN(fuse_poll_out), 0, "POLL", NULL },
	{ FUSE_NOTIFY_REPLY, IN(fuse_notify_retrieve_in), 0, DATA | NO_REPLY, "NOTIFY_REPLY",
	  NULL },
	{ FUSE_BATCH_FORGET, IN(fuse_batch_forget_in), 0, HIPRIO | NO_REPLY, "BATCH_FORGET", NULL },
	{ FUSE_FALLOCATE, IN(fuse_fallocate_in), 0, 0, "FALLOCATE", NULL },
	{ FUSE_READDIRPLUS, IN(fuse_read_in), 0, 0, "READDIRPLUS", read_room },
	{ FUSE_RENAME2, IN(fuse_rename2_in), 0, UNLINKS, "RENAME2", NULL },
	{ FUSE_LSEEK, IN(fuse_lseek_in), IN(fuse_lseek_out), 0, "LSEEK", NULL },
	{ FUSE_COPY_FILE_RANGE, IN(fuse_copy_file_range_in), IN(fuse_write_out), 0,
	  "COPY_FILE_RANGE", NULL },
	{ FUSE_SETUPMAPPING, 0, 0, OURS, "SETUPMAPPING", NULL },
	{ FUSE_REMOVEMAPPING, 0, 0, OURS, "REMOVEMAPPING", NULL },
	{ FUSE_SYNCFS, IN(fuse_syncfs_in), 0, 0, "SYNCFS", NULL },
	{ FUSE_TMPFILE, IN(fuse_create_in), ENTRY + OPEN, 0, "TMPFILE", NULL },
	{ VIOFS_FUSE_STATX, VIOFS_FUSE_STATX_IN, VIOFS_FUSE_STATX_OUT, 0, "STATX", NULL },
	{ VIOFS_FUSE_COPY_FILE_RANGE_64, IN(fuse_copy_file_range_in), 8, 0, "COPY_FILE_RANGE_64",
	  NULL },
	{ CUSE_INIT, 0, 0, OURS, "CUSE_INIT", NULL },
};

/*
 * Opcodes are small numbers, but for CUSE_INIT, so an index by opcode is enough. A scan of the
 * table would cost more than all the rest of classifying.
 */
static const struct row *find(uint32_t opcode)
{
	static uint8_t
		index[VIOFS_FUSE_COPY_FILE_RANGE_64 + 1]; /* row + 1; filled once, idempotent */

	if (opcode >= VIOFS_ARRAY_SIZE(index))
		return opcode == CUSE_INIT ? &table[VIOFS_ARRAY_SIZE(table) - 1] : NULL;
	if (!__atomic_load_n(&index[FUSE_LOOKUP], __ATOMIC_ACQUIRE))
		for (size_t i = VIOFS_ARRAY_SIZE(table) - 1; i-- > 0;)
			__atomic_store_n(&index[table[i].opcode], (uint8_t)(i + 1),
					 __ATOMIC_RELEASE);
	return index[opcode] ? &table[index[opcode] - 1] : NULL;
}

const char *viofs_fuse_opcode_name(uint32_t opcode)
{
	const struct row *row = find(opcode);

	return row ? row->name : NULL;
}

int viofs_fuse_classify(const struct viofs_fuse_conn *conn, const struct fuse_in_header *head,
			size_t len, struct viofs_fuse_shape *out)
{
	const struct row *row = find(head->opcode);
	struct viofs_fuse_shape s;
	size_t rest;
	int rc = 0;

	if (len < sizeof(*head) || head->len != len)
		return -EPROTO;
	if (!row || row->flags & OURS)
		return -ENOSYS;
	rest = len - sizeof(*head);
	if (rest < row->args || rest > UINT32_MAX)
		return -EPROTO;
	s = (struct viofs_fuse_shape){
		.opcode = row->opcode,
		.args = row->flags & DATA ? row->args : (uint32_t)rest,
		.data = row->flags & DATA ? (uint32_t)rest - row->args : 0,
		.fixed = row->fixed,
		.hiprio = row->flags & HIPRIO,
		.replies = !(row->flags & NO_REPLY),
		.may_block = row->flags & MAY_BLOCK,
		.may_wait = row->flags & MAY_WAIT,
		.unlinks = row->flags & UNLINKS,
	};
	if (row->adjust)
		rc = row->adjust(conn, head + 1, &s);
	if (!rc)
		*out = s;
	return rc;
}
