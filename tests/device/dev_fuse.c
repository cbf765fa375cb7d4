/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FUSE: INIT, the messages that every file system shares, dispatch. */
#include "dev.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define MAX_WRITE (1U << 20)
#define MAX_PAGES 256

int64_t dev_references;

static const char *const names[DEV_OPCODES] = {
	[FUSE_LOOKUP] = "LOOKUP",
	[FUSE_FORGET] = "FORGET",
	[FUSE_GETATTR] = "GETATTR",
	[FUSE_SETATTR] = "SETATTR",
	[FUSE_READLINK] = "READLINK",
	[FUSE_SYMLINK] = "SYMLINK",
	[FUSE_MKNOD] = "MKNOD",
	[FUSE_MKDIR] = "MKDIR",
	[FUSE_UNLINK] = "UNLINK",
	[FUSE_RMDIR] = "RMDIR",
	[FUSE_RENAME] = "RENAME",
	[FUSE_LINK] = "LINK",
	[FUSE_OPEN] = "OPEN",
	[FUSE_READ] = "READ",
	[FUSE_WRITE] = "WRITE",
	[FUSE_STATFS] = "STATFS",
	[FUSE_RELEASE] = "RELEASE",
	[FUSE_FSYNC] = "FSYNC",
	[FUSE_SETXATTR] = "SETXATTR",
	[FUSE_GETXATTR] = "GETXATTR",
	[FUSE_LISTXATTR] = "LISTXATTR",
	[FUSE_REMOVEXATTR] = "REMOVEXATTR",
	[FUSE_FLUSH] = "FLUSH",
	[FUSE_INIT] = "INIT",
	[FUSE_OPENDIR] = "OPENDIR",
	[FUSE_READDIR] = "READDIR",
	[FUSE_RELEASEDIR] = "RELEASEDIR",
	[FUSE_FSYNCDIR] = "FSYNCDIR",
	[FUSE_GETLK] = "GETLK",
	[FUSE_SETLK] = "SETLK",
	[FUSE_SETLKW] = "SETLKW",
	[FUSE_ACCESS] = "ACCESS",
	[FUSE_CREATE] = "CREATE",
	[FUSE_INTERRUPT] = "INTERRUPT",
	[FUSE_BMAP] = "BMAP",
	[FUSE_DESTROY] = "DESTROY",
	[FUSE_IOCTL] = "IOCTL",
	[FUSE_POLL] = "POLL",
	[FUSE_BATCH_FORGET] = "BATCH_FORGET",
	[FUSE_FALLOCATE] = "FALLOCATE",
	[FUSE_READDIRPLUS] = "READDIRPLUS",
	[FUSE_RENAME2] = "RENAME2",
	[FUSE_LSEEK] = "LSEEK",
	[FUSE_COPY_FILE_RANGE] = "COPY_FILE_RANGE",
	[FUSE_SYNCFS] = "SYNCFS",
	[FUSE_TMPFILE] = "TMPFILE",
	[52] = "STATX",
};

const char *dev_fuse_name(uint32_t opcode)
{
	return opcode < DEV_OPCODES && names[opcode] ? names[opcode] : "unknown";
}

int dev_fuse_opcode(const char *name)
{
	for (int i = 0; i < (int)DEV_OPCODES; i++)
		if (names[i] && !strcmp(names[i], name))
			return i;
	return -1;
}

/* Field @i of --init was given: 1 << i in init_set. The order is the option's table's (dev_main.c).
 */
static bool was_set(const struct dev *d, unsigned int i)
{
	return d->init_set & 1U << i;
}

static uint64_t init_flags(const struct dev *d, uint64_t asked)
{
	uint64_t ours = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
			FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_PARALLEL_DIROPS |
			FUSE_MAX_PAGES | FUSE_HANDLE_KILLPRIV_V2 | FUSE_INIT_EXT |
			FUSE_AUTO_INVAL_DATA;

	if (d->posix_locks)
		ours |= FUSE_POSIX_LOCKS;
	return (ours & asked) | d->init_flags;
}

static int init(struct dev_request *r)
{
	struct dev *d = r->queue->dev;
	struct fuse_init_in in = { 0 };
	struct fuse_init_out out = { 0 };
	uint64_t flags;

	memcpy(&in, r->arg, r->arg_len < sizeof(in) ? r->arg_len : sizeof(in));
	if (in.major != FUSE_KERNEL_VERSION)
		dev_driver_fault("INIT with version %u.%u", in.major, in.minor);
	if (d->inited)
		dev_driver_fault("a second INIT in one session");
	if (d->init_error)
		return d->init_error;
	d->inited = true;
	d->init_seen_flags = in.flags | (uint64_t)in.flags2 << 32;
	flags = init_flags(d, d->init_seen_flags);
	out.major = was_set(d, 0) ? d->init.major : FUSE_KERNEL_VERSION;
	out.minor = was_set(d, 1) ? d->init.minor : FUSE_KERNEL_MINOR_VERSION;
	out.max_readahead = was_set(d, 2) ? d->init.max_readahead : in.max_readahead;
	out.max_write = was_set(d, 3) ? d->init.max_write : MAX_WRITE;
	out.max_pages = was_set(d, 4) ? d->init.max_pages : MAX_PAGES;
	out.max_background = d->init.max_background;
	out.congestion_threshold = d->init.congestion_threshold;
	out.time_gran = was_set(d, 7) ? d->init.time_gran : 1;
	out.flags = (uint32_t)flags;
	out.flags2 = (uint32_t)(flags >> 32);
	memcpy(dev_payload(r), &out, sizeof(out));
	return d->init_bytes ? (int)d->init_bytes : (int)sizeof(out);
}

static int forget(struct dev_request *r)
{
	struct dev *d = r->queue->dev;
	const struct fuse_batch_forget_in *batch = r->arg;
	const struct fuse_forget_one *one = (const void *)(batch + 1);

	if (r->head->opcode == FUSE_FORGET) {
		d->forgotten++;
		if (d->fs->forget)
			d->fs->forget(d, r->head->nodeid,
				      ((const struct fuse_forget_in *)r->arg)->nlookup);
		return DEV_NO_REPLY;
	}
	if (r->arg_len != sizeof(*batch) + batch->count * sizeof(*one))
		dev_driver_fault("BATCH_FORGET of %u in %u bytes", batch->count, r->arg_len);
	d->forgotten += batch->count;
	for (uint32_t i = 0; d->fs->forget && i < batch->count; i++)
		d->fs->forget(d, one[i].nodeid, one[i].nlookup);
	return DEV_NO_REPLY;
}

static int interrupt(struct dev_request *r)
{
	const struct fuse_interrupt_in *in = r->arg;

	if (r->queue->dev->interrupt_enosys)
		return -ENOSYS;
	dev_locks_interrupt(r->queue->dev, in->unique);
	return DEV_NO_REPLY;
}

static int destroy(struct dev_request *r)
{
	r->queue->dev->destroyed++;
	r->queue->dev->inited = false;
	return 0;
}

static dev_op *common(const struct dev *d, uint32_t opcode)
{
	switch (opcode) {
	case FUSE_INIT:
		return init;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		return forget;
	case FUSE_INTERRUPT:
		return interrupt;
	case FUSE_DESTROY:
		return destroy;
	case FUSE_GETLK:
		return d->posix_locks ? dev_locks_get : NULL;
	case FUSE_FLUSH:
		return d->posix_locks ? dev_locks_flush : NULL;
	case FUSE_SETLK:
		return d->posix_locks ? dev_locks_set : NULL;
	case FUSE_SETLKW:
		return d->posix_locks ? dev_locks_set_wait : NULL;
	default:
		return NULL;
	}
}

int dev_fuse_handle(struct dev_request *r)
{
	struct dev *d = r->queue->dev;
	uint32_t opcode = r->head->opcode;
	dev_op *op;

	if (opcode >= DEV_OPCODES)
		return -ENOSYS;
	d->counts[opcode]++;
	op = common(d, opcode);
	if (!op)
		op = d->fs->any ? d->fs->op[0] : d->fs->op[opcode];
	if (!d->inited && opcode != FUSE_INIT)
		dev_driver_fault("%s before INIT", dev_fuse_name(opcode));
	return op ? op(r) : -ENOSYS;
}
