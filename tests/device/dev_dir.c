/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory of this machine: nodes, names and attributes. */
/*
 * A node is an O_PATH descriptor, found again by device and inode number; whatever is done to one
 * goes through /proc/self/fd. It is done as root, with owners set afterwards where something is
 * made: this is a test's device, no way to share a directory safely.
 */
#include "dev_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODES_MAX 65536U
#define BUCKETS 4096U

struct dir_node {
	int fd;
	uint64_t nlookup;
	dev_t dev;
	ino_t ino;
	uint64_t next; /* of its bucket, or of the free list; 0 = none */
};

static struct dir_node nodes[NODES_MAX];
static uint64_t buckets[BUCKETS], used = FUSE_ROOT_ID, free_list;

static uint64_t *bucket_of(ino_t ino)
{
	return &buckets[ino % BUCKETS];
}

static struct dir_node *node_of(uint64_t nodeid)
{
	if (!nodeid || nodeid > used || !nodes[nodeid].nlookup)
		dev_driver_fault("node %llu is not there (any more)", (unsigned long long)nodeid);
	return &nodes[nodeid];
}

int dev_dir_fd(uint64_t nodeid)
{
	return node_of(nodeid)->fd;
}

const char *dev_dir_proc(uint64_t nodeid)
{
	static char text[32];

	snprintf(text, sizeof(text), "/proc/self/fd/%d", dev_dir_fd(nodeid));
	return text;
}

void dev_dir_attr(const struct stat *st, struct fuse_attr *a)
{
	*a = (struct fuse_attr){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = (uint32_t)st->st_rdev,
		.blksize = (uint32_t)st->st_blksize,
	};
}

static uint64_t find(const struct stat *st)
{
	uint64_t id = *bucket_of(st->st_ino);

	while (id && (nodes[id].ino != st->st_ino || nodes[id].dev != st->st_dev))
		id = nodes[id].next;
	return id;
}

/* Return: its number, 0 = there are too many. */
static uint64_t add(int fd, const struct stat *st)
{
	uint64_t id = free_list, *bucket = bucket_of(st->st_ino);

	if (id)
		free_list = nodes[id].next;
	else if (used + 1 < NODES_MAX)
		id = ++used;
	else
		return 0;
	nodes[id] = (struct dir_node){
		.fd = fd, .dev = st->st_dev, .ino = st->st_ino, .next = *bucket
	};
	*bucket = id;
	return id;
}

/* @fd: O_PATH, taken. */
static int entry_of(int fd, struct fuse_entry_out *out)
{
	struct stat st;
	uint64_t id;

	if (fd < 0)
		return -errno;
	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		abort();
	id = find(&st);
	if (id)
		close(fd);
	else
		id = add(fd, &st);
	if (!id) {
		close(fd);
		return -ENFILE;
	}
	nodes[id].nlookup++;
	dev_references++;
	memset(out, 0, sizeof(*out));
	out->nodeid = id;
	out->entry_valid = out->attr_valid = 1;
	dev_dir_attr(&st, &out->attr);
	return sizeof(*out);
}

int dev_dir_entry(int parent, const char *name, struct fuse_entry_out *out)
{
	return entry_of(openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), out);
}

static void forget(struct dev *d, uint64_t nodeid, uint64_t count)
{
	struct dir_node *n = node_of(nodeid);
	uint64_t *at = bucket_of(n->ino);

	if (nodeid == FUSE_ROOT_ID)
		return;
	if (n->nlookup < count)
		dev_driver_fault("FORGET of %llu references to node %llu, which has %llu",
				 (unsigned long long)count, (unsigned long long)nodeid,
				 (unsigned long long)n->nlookup);
	n->nlookup -= count;
	dev_references -= (int64_t)count;
	if (n->nlookup)
		return;
	while (*at != nodeid)
		at = &nodes[*at].next;
	*at = n->next;
	close(n->fd);
	n->next = free_list;
	free_list = nodeid;
}

static const char *name_after(const struct dev_request *r, size_t fixed)
{
	return (const char *)r->arg + fixed;
}

static int entry(struct dev_request *r, const char *name)
{
	return dev_dir_entry(dev_dir_fd(r->head->nodeid), name, dev_payload(r));
}

/* Something was made: it is the caller's. Return: as an operation. */
static int made(struct dev_request *r, const char *name, int rc)
{
	int dir = dev_dir_fd(r->head->nodeid);
	struct stat st;

	if (rc < 0)
		return -errno;
	if (fstatat(dir, "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	if (fchownat(dir, name, r->head->uid, st.st_mode & S_ISGID ? st.st_gid : r->head->gid,
		     AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return entry(r, name);
}

static int lookup(struct dev_request *r)
{
	return entry(r, name_after(r, 0));
}

static int getattr(struct dev_request *r)
{
	struct fuse_attr_out *out = dev_payload(r);
	struct stat st;

	if (fstatat(dev_dir_fd(r->head->nodeid), "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	out->attr_valid = 1;
	dev_dir_attr(&st, &out->attr);
	return sizeof(*out);
}

static struct timespec time_of(const struct fuse_setattr_in *in, uint32_t set, uint32_t now,
			       uint64_t s, uint32_t ns)
{
	if (!(in->valid & set))
		return (struct timespec){ 0, UTIME_OMIT };
	return in->valid & now ? (struct timespec){ 0, UTIME_NOW }
			       : (struct timespec){ (time_t)s, ns };
}

static int set_owner(const struct fuse_setattr_in *in, int fd)
{
	uid_t uid = in->valid & FATTR_UID ? in->uid : (uid_t)-1;
	gid_t gid = in->valid & FATTR_GID ? in->gid : (gid_t)-1;

	if (!(in->valid & (FATTR_UID | FATTR_GID)))
		return 0;
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int set_times(const struct fuse_setattr_in *in, uint64_t nodeid)
{
	const struct timespec times[2] = {
		time_of(in, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
		time_of(in, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
	};

	if (!(in->valid & (FATTR_ATIME | FATTR_MTIME)))
		return 0;
	return utimensat(dev_dir_fd(nodeid), "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int setattr(struct dev_request *r)
{
	const struct fuse_setattr_in *in = r->arg;
	uint64_t id = r->head->nodeid;
	int rc;

	rc = set_owner(in, dev_dir_fd(id));
	if (!rc && in->valid & FATTR_MODE && chmod(dev_dir_proc(id), in->mode & 07777) < 0)
		rc = -errno;
	if (!rc && in->valid & FATTR_SIZE && truncate(dev_dir_proc(id), (off_t)in->size) < 0)
		rc = -errno;
	if (!rc)
		rc = set_times(in, id);
	return rc ? rc : getattr(r);
}

static int readlink_op(struct dev_request *r)
{
	ssize_t n =
		readlinkat(dev_dir_fd(r->head->nodeid), "", dev_payload(r), dev_payload_room(r));

	return n < 0 ? -errno : (int)n;
}

static int symlink_op(struct dev_request *r)
{
	const char *name = name_after(r, 0), *target = name + strlen(name) + 1;

	return made(r, name, symlinkat(target, dev_dir_fd(r->head->nodeid), name));
}

static int mknod_op(struct dev_request *r)
{
	const struct fuse_mknod_in *in = r->arg;
	const char *name = name_after(r, sizeof(*in));

	return made(r, name, mknodat(dev_dir_fd(r->head->nodeid), name, in->mode, in->rdev));
}

static int mkdir_op(struct dev_request *r)
{
	const struct fuse_mkdir_in *in = r->arg;
	const char *name = name_after(r, sizeof(*in));

	return made(r, name, mkdirat(dev_dir_fd(r->head->nodeid), name, in->mode));
}

static int unlink_op(struct dev_request *r)
{
	int flags = r->head->opcode == FUSE_RMDIR ? AT_REMOVEDIR : 0;

	return unlinkat(dev_dir_fd(r->head->nodeid), name_after(r, 0), flags) < 0 ? -errno : 0;
}

static int rename_to(struct dev_request *r, uint64_t newdir, unsigned int flags, const char *from)
{
	const char *to = from + strlen(from) + 1;

	return renameat2(dev_dir_fd(r->head->nodeid), from, dev_dir_fd(newdir), to, flags) < 0
		       ? -errno
		       : 0;
}

static int rename_op(struct dev_request *r)
{
	const struct fuse_rename_in *in = r->arg;

	return rename_to(r, in->newdir, 0, name_after(r, sizeof(*in)));
}

static int rename2_op(struct dev_request *r)
{
	const struct fuse_rename2_in *in = r->arg;

	return rename_to(r, in->newdir, in->flags, name_after(r, sizeof(*in)));
}

static int link_op(struct dev_request *r)
{
	const struct fuse_link_in *in = r->arg;
	const char *name = name_after(r, sizeof(*in));

	if (linkat(AT_FDCWD, dev_dir_proc(in->oldnodeid), dev_dir_fd(r->head->nodeid), name,
		   AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	return entry(r, name);
}

static int create_op(struct dev_request *r)
{
	const struct fuse_create_in *in = r->arg;
	const char *name = name_after(r, sizeof(*in));
	struct fuse_entry_out *out = dev_payload(r);
	struct fuse_open_out *open_out = (struct fuse_open_out *)(void *)(out + 1);
	int fd, rc, flags = (int)in->flags & ~(O_APPEND | O_DIRECT);

	fd = openat(dev_dir_fd(r->head->nodeid), name,
		    (flags & ~O_ACCMODE) | O_RDWR | O_CREAT | O_CLOEXEC, in->mode & 07777);
	rc = made(r, name, fd);
	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		return rc;
	}
	*open_out = (struct fuse_open_out){ .fh = (uint64_t)fd };
	return (int)(sizeof(*out) + sizeof(*open_out));
}

static int tmpfile_op(struct dev_request *r)
{
	const struct fuse_create_in *in = r->arg;
	struct fuse_entry_out *out = dev_payload(r);
	struct fuse_open_out *open_out = (struct fuse_open_out *)(void *)(out + 1);
	char path[32];
	int fd, rc;

	fd = openat(dev_dir_fd(r->head->nodeid), ".",
		    O_TMPFILE | O_RDWR | O_CLOEXEC | ((int)in->flags & O_EXCL), in->mode & 07777);
	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = fchown(fd, r->head->uid, r->head->gid) < 0 ? -errno : 0;
	if (!rc)
		rc = entry_of(open(path, O_PATH | O_CLOEXEC), out);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*open_out = (struct fuse_open_out){ .fh = (uint64_t)fd };
	return (int)(sizeof(*out) + sizeof(*open_out));
}

const struct dev_fs dev_dir_fs = {
	.name = "directory",
	.forget = forget,
	.op = {
		[FUSE_LOOKUP] = lookup,
		[FUSE_GETATTR] = getattr,
		[FUSE_SETATTR] = setattr,
		[FUSE_READLINK] = readlink_op,
		[FUSE_SYMLINK] = symlink_op,
		[FUSE_MKNOD] = mknod_op,
		[FUSE_MKDIR] = mkdir_op,
		[FUSE_UNLINK] = unlink_op,
		[FUSE_RMDIR] = unlink_op,
		[FUSE_RENAME] = rename_op,
		[FUSE_RENAME2] = rename2_op,
		[FUSE_LINK] = link_op,
		[FUSE_CREATE] = create_op,
		[FUSE_TMPFILE] = tmpfile_op,
		[FUSE_OPEN] = dev_dir_open,
		[FUSE_OPENDIR] = dev_dir_opendir,
		[FUSE_RELEASE] = dev_dir_release,
		[FUSE_RELEASEDIR] = dev_dir_releasedir,
		[FUSE_READ] = dev_dir_read,
		[FUSE_WRITE] = dev_dir_write,
		[FUSE_READDIR] = dev_dir_readdir,
		[FUSE_READDIRPLUS] = dev_dir_readdir,
		[FUSE_FLUSH] = dev_dir_ok,
		[FUSE_FSYNC] = dev_dir_fsync,
		[FUSE_FSYNCDIR] = dev_dir_ok,
		[FUSE_STATFS] = dev_dir_statfs,
		[FUSE_FALLOCATE] = dev_dir_fallocate,
		[FUSE_LSEEK] = dev_dir_lseek,
		[FUSE_SETXATTR] = dev_dir_setxattr,
		[FUSE_GETXATTR] = dev_dir_getxattr,
		[FUSE_LISTXATTR] = dev_dir_listxattr,
		[FUSE_REMOVEXATTR] = dev_dir_removexattr,
	},
};

int dev_dir_init(struct dev *d, const char *path)
{
	struct stat st;
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fstatat(fd, "", &st, AT_EMPTY_PATH) < 0) {
		dev_say("%s: %s", path, strerror(errno));
		return -errno;
	}
	umask(0);
	nodes[FUSE_ROOT_ID] =
		(struct dir_node){ .fd = fd, .nlookup = 1, .dev = st.st_dev, .ino = st.st_ino };
	*bucket_of(st.st_ino) = FUSE_ROOT_ID;
	d->fs = &dev_dir_fs;
	return 0;
}
