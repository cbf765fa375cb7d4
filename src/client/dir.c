/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Open directories: each is one thread's, or its op's while a call on it is under way.
 *
 * A portion of entries is copied to private memory once, checked there, and handed out from there.
 * With READDIRPLUS every entry counts as a LOOKUP, so all entries are looked at as soon as the
 * portion comes.
 */
#include "base/util.h"
#include "client/check.h"
#include "client/blocking.h"
#include "client/dir.h"
#include "client/path_attr.h"
#include "client/caller.h"
#include "client/walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTION VIOFS_RESERVE

struct viofs_dir {
	struct viofs_share *s;
	struct viofs_caller *caller; /* with a reference */
	char *path;                  /* as it was opened, for messages */
	struct viofs_way way;        /* to it */
	struct viofs_node *node;
	uint64_t fh, where; /* of the next portion */
	bool opened, plus, end;
	uint8_t *data; /* the portion, `plus` or not */
	uint32_t room, size, at;
	bool bad; /* what comes at `size` makes no sense */
	char name[NAME_MAX + 1];
	/* Of the entries that were given out last. */
	char *names; /* `room` bytes: an entry of the portion is longer than its name */
	struct stat *stats;
	unsigned int stat_room;
};

const struct viofs_way *viofs_dir_way(const struct viofs_dir *dir)
{
	return &dir->way;
}

static void free_dir(void *own)
{
	struct viofs_dir *dir = own;

	viofs_way_fini(&dir->s->cache, &dir->way);
	viofs_caller_put(dir->caller);
	free(dir->path);
	free(dir->names);
	free(dir->stats);
	free(dir->data);
	free(dir);
}

static void closed(struct viofs_op *op)
{
	op->goes_on = false;
	viofs_op_finish(op, 0);
}

static void ask_close(struct viofs_op *op)
{
	const struct fuse_release_in in = { .fh = op->dir.dir->fh, .flags = O_DIRECTORY };
	struct viofs_request r =
		viofs_request_to(FUSE_RELEASEDIR, op->dir.dir->node, &in, sizeof(in));

	viofs_op_call_sees(op, &r, ask_close, closed);
}

/* The call was given up: close it again. */
static bool undo_open(struct viofs_op *op)
{
	const struct fuse_open_out *out = (const void *)op->reply;

	if (op->error)
		return false;
	op->dir.dir->fh = out->fh;
	op->dir.dir->opened = true;
	op->ending = 0;
	ask_close(op);
	return true;
}

static void opened(struct viofs_op *op)
{
	const struct fuse_open_out *out = (const void *)op->reply;
	struct viofs_dir *dir = op->dir.dir;

	if (op->error == -ENOSYS && op->a->s->agreed.flags & FUSE_NO_OPENDIR_SUPPORT) {
		__atomic_store_n(&op->a->s->no_opendir, 1, __ATOMIC_RELAXED);
	} else if (op->error) {
		viofs_op_finish(op, op->error);
		return;
	} else {
		dir->fh = out->fh;
		dir->opened = true;
	}
	op->own = NULL;
	*op->dir.out = dir;
	viofs_op_finish(op, 0);
}

static void ask_open(struct viofs_op *op)
{
	const struct fuse_open_in in = { .flags = O_DIRECTORY };
	struct viofs_request r = viofs_request_to(FUSE_OPENDIR, op->dir.dir->node, &in, sizeof(in));

	if (__atomic_load_n(&op->a->s->no_opendir, __ATOMIC_RELAXED)) {
		op->error = -ENOSYS;
		opened(op);
		return;
	}
	r.reply_size = sizeof(struct fuse_open_out);
	op->undo = undo_open;
	viofs_op_call_sees(op, &r, ask_open, opened);
}

static void open_it(struct viofs_op *op)
{
	struct viofs_share *s = op->a->s;
	struct viofs_dir *dir;

	dir = calloc(1, sizeof(*dir));
	if (!dir) {
		viofs_op_finish(op, -ENOMEM);
		return;
	}
	dir->s = s;
	dir->room = VIOFS_MIN(PORTION, s->agreed.max_write);
	dir->caller = viofs_caller_get(op->caller);
	op->dir.dir = op->own = dir;
	op->own_free = free_dir;
	dir->way = (struct viofs_way){ op->walk->stack, op->walk->depth };
	dir->node = op->walk->node;
	op->walk->stack = NULL; /* references are the directory's from here on */
	op->walk->depth = 0;
	dir->path = strdup(op->walk->path);
	dir->data = malloc(dir->room);
	dir->names = malloc(dir->room);
	if (dir->data && dir->names && dir->path)
		ask_open(op);
	else
		viofs_op_finish(op, -ENOMEM);
}

static void found(struct viofs_op *op)
{
	struct fuse_attr attr;

	viofs_node_attr(&op->a->s->cache, op->walk->node, &attr);
	if ((attr.mode & S_IFMT) != S_IFDIR)
		viofs_op_finish(op, -ENOTDIR);
	else if (viofs_check(op, op->walk->node, viofs_judge_read, open_it))
		open_it(op);
}

static void start_open(struct viofs_op *op, const char *path, unsigned int flags,
		       struct viofs_dir **out)
{
	op->dir.out = out;
	viofs_walk(op, op->walk, path, flags, VIOFS_TO_NODE, found);
}

int viofs_dir_open(struct viofs_session *s, const char *path, unsigned int flags,
		   struct viofs_dir **out, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "opendir", path, err, &op);

	if (rc)
		return rc;
	start_open(op, path, flags, out);
	return (int)viofs_op_end(op);
}

int viofs_dir_open_async(struct viofs_async *a, const char *path, unsigned int flags,
			 struct viofs_dir **out, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_open(op, path, flags, out);
	return rc;
}

static void close_it(struct viofs_op *op)
{
	struct viofs_dir *dir = op->dir.dir;

	if (viofs_op_waits(op, close_it))
		return;
	if (dir->opened && !viofs_dev_failed(dir->s->dev))
		ask_close(op);
	else
		closed(op);
}

static void start_close(struct viofs_op *op, struct viofs_dir *dir)
{
	op->dir.dir = dir;
	viofs_op_for(op, dir->caller);
	op->own = dir;
	op->own_free = free_dir;
	op->goes_on = true;
	op->ending = 0;
	close_it(op);
}

int viofs_dir_close(struct viofs_dir *dir, struct viofs_err *err)
{
	char path[VIOFS_WHICH_MAX]; /* for the message: the directory is gone by then */
	struct viofs_op *op;
	int rc;

	if (!dir)
		return 0;
	snprintf(path, sizeof(path), "%s", dir->path);
	rc = viofs_op_begin_on(dir->s, dir->caller, "close", path, err, &op);
	if (rc) {
		free_dir(dir); /* there is nobody to give it back to */
		return rc;
	}
	start_close(op, dir);
	return (int)viofs_op_end(op);
}

int viofs_dir_close_async(struct viofs_async *a, struct viofs_dir *dir, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_close(op, dir);
	return rc;
}

/* Is there a whole, sane entry at dir->at? Return: its bytes; 0: no. */
static uint32_t check_entry(const struct viofs_dir *dir, struct fuse_dirent *d,
			    struct fuse_entry_out *e)
{
	uint32_t head =
		dir->plus ? (uint32_t)FUSE_NAME_OFFSET_DIRENTPLUS : (uint32_t)FUSE_NAME_OFFSET;
	const uint8_t *p = dir->data + dir->at;
	uint32_t left = dir->size - dir->at, size;

	if (left < head)
		return 0;
	if (dir->plus)
		memcpy(e, p, sizeof(*e));
	memcpy(d, p + (dir->plus ? sizeof(*e) : 0), FUSE_NAME_OFFSET);
	if (!d->namelen || d->namelen > NAME_MAX || d->namelen > left - head)
		return 0;
	size = (uint32_t)FUSE_DIRENT_ALIGN(head + d->namelen);
	if (size > left || memchr(p + head, '/', d->namelen) || memchr(p + head, '\0', d->namelen))
		return 0;
	return size;
}

static void copy_name(struct viofs_dir *dir, const struct fuse_dirent *d)
{
	const uint8_t *p =
		dir->data + dir->at + (dir->plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET);

	memcpy(dir->name, p, d->namelen);
	dir->name[d->namelen] = '\0';
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Count what the device counted, and remember names. */
static void learn(struct viofs_dir *dir, const struct fuse_entry_out *e)
{
	struct viofs_cache *c = &dir->s->cache;
	struct viofs_node *node;

	if (!e->nodeid || is_dots(dir->name) || viofs_entry_take(dir->s, e, &node))
		return;
	viofs_name_set(c, dir->node, dir->name, node, e->entry_valid, e->entry_valid_nsec);
	viofs_node_put(c, node);
}

/* Go through the portion once. dir->size becomes the size of its good part. */
static void scan(struct viofs_dir *dir)
{
	struct fuse_entry_out e;
	struct fuse_dirent d;
	uint32_t size;

	dir->at = 0;
	dir->bad = false;
	while (dir->at < dir->size) {
		size = check_entry(dir, &d, &e);
		if (!size) {
			dir->bad = true;
			dir->size = dir->at;
			break;
		}
		copy_name(dir, &d);
		if (dir->plus)
			learn(dir, &e);
		dir->where = d.off;
		dir->at += size;
	}
	dir->at = 0;
}

/* Each entry counts, though nobody has seen it; the directory may be closed by now. */
static bool undo_fill(struct viofs_op *op)
{
	struct viofs_dir portion = { .s = op->a->s, .plus = true, .size = op->size };
	struct fuse_entry_out e;
	struct fuse_dirent d;
	uint32_t size;

	if (op->error)
		return false;
	portion.data = malloc(op->size + 1);
	if (!portion.data)
		return false; /* the device counts them until the session ends */
	memcpy(portion.data, op->dma, op->size);
	while ((size = check_entry(&portion, &d, &e))) {
		copy_name(&portion, &d);
		if (e.nodeid && e.nodeid != FUSE_ROOT_ID && !is_dots(portion.name))
			viofs_forget_add(&portion.s->cache, e.nodeid, 1);
		portion.at += size;
	}
	free(portion.data);
	return false;
}

static void ask_fill(struct viofs_op *op);

static void filled(struct viofs_op *op)
{
	struct viofs_dir *dir = op->dir.dir;

	if (op->error == -ENOSYS && dir->plus) {
		__atomic_store_n(&dir->s->no_readdirplus, 1, __ATOMIC_RELAXED);
		ask_fill(op);
		return;
	}
	if (op->error) {
		viofs_op_finish(op, op->error);
		return;
	}
	memcpy(dir->data, op->dma, op->size);
	dir->size = op->size;
	dir->end = !op->size;
	scan(dir);
	if (dir->bad && !dir->size) {
		op->fault = "it answered with a directory entry that can't be";
		viofs_op_finish(op, -EIO);
		return;
	}
	viofs_op_finish(op, dir->size);
}

static void ask_fill(struct viofs_op *op)
{
	struct viofs_dir *dir = op->dir.dir;
	const struct fuse_read_in in = { .fh = dir->fh, .offset = dir->where, .size = dir->room };
	struct viofs_request r;
	struct iovec iov;

	if (!viofs_op_dma(op, dir->room, ask_fill))
		return;
	dir->plus = !__atomic_load_n(&dir->s->no_readdirplus, __ATOMIC_RELAXED);
	op->undo = dir->plus ? undo_fill : NULL;
	iov = (struct iovec){ op->dma, dir->room };
	r = viofs_request_to(dir->plus ? FUSE_READDIRPLUS : FUSE_READDIR, dir->node, &in,
			     sizeof(in));
	r.reply_data = &iov;
	r.reply_data_count = 1;
	viofs_op_call_sees(op, &r, ask_fill, filled);
}

static void start_fill(struct viofs_op *op, struct viofs_dir *dir)
{
	op->dir.dir = dir;
	viofs_op_for(op, dir->caller);
	dir->size = dir->at = 0;
	if (dir->bad) {
		op->fault = "it answered with a directory entry that can't be";
		viofs_op_finish(op, -EIO);
		return;
	}
	ask_fill(op);
}

int viofs_dir_fill(struct viofs_dir *dir, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(dir->s, dir->caller, "readdir", dir->path, err, &op);

	if (rc)
		return rc;
	start_fill(op, dir);
	return (int)viofs_op_end(op);
}

int viofs_dir_fill_async(struct viofs_async *a, struct viofs_dir *dir, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_fill(op, dir);
	return rc;
}

static uint32_t type_of(const struct fuse_dirent *d)
{
	switch (d->type) {
	case DT_FIFO:
	case DT_CHR:
	case DT_DIR:
	case DT_BLK:
	case DT_REG:
	case DT_LNK:
	case DT_SOCK:
		return d->type;
	default:
		return DT_UNKNOWN;
	}
}

/* As in learn(): no attributes of an entry that makes no sense as an inode; a stat tells why. */
static bool has_stat(const struct viofs_dir *dir, const struct fuse_entry_out *e)
{
	return dir->plus && e->nodeid && e->nodeid != FUSE_ROOT_ID && !is_dots(dir->name) &&
	       viofs_attr_can_be(&e->attr);
}

/* Room for @max of them, or for as many as there is memory for. */
static unsigned int make_room(struct viofs_dir *dir, unsigned int max)
{
	/* An entry is no shorter than its head. */
	unsigned int most = VIOFS_MIN(max, dir->room / (unsigned int)FUSE_NAME_OFFSET);
	struct stat *more;

	if (most <= dir->stat_room)
		return most;
	more = realloc(dir->stats, most * sizeof(*more));
	if (!more)
		return dir->stat_room;
	dir->stats = more;
	dir->stat_room = most;
	return most;
}

/* The entry at dir->at, of @size bytes; its name goes to @name. */
static void give_out(struct viofs_dir *dir, const struct fuse_dirent *d,
		     const struct fuse_entry_out *e, struct viofs_dirent *entry, char *name,
		     struct stat *st)
{
	copy_name(dir, d);
	memcpy(name, dir->name, d->namelen + 1U);
	*entry = (struct viofs_dirent){
		.name = name,
		.name_len = d->namelen,
		.ino = d->ino,
		.next = d->off,
		.type = type_of(d),
	};
	if (has_stat(dir, e)) {
		viofs_attr_to_stat(&e->attr, st);
		entry->st = st;
	}
}

int viofs_dir_next_many(struct viofs_dir *dir, struct viofs_dirent *entries, unsigned int max)
{
	struct fuse_entry_out e = { 0 };
	char *name = dir->names;
	struct fuse_dirent d;
	unsigned int n = 0;

	if (dir->at >= dir->size || !max)
		return 0;
	max = make_room(dir, max);
	if (!max)
		return -ENOMEM;
	while (n < max && dir->at < dir->size) {
		uint32_t size = check_entry(dir, &d, &e);

		if (!size)
			return n ? (int)n : -EIO;
		give_out(dir, &d, &e, &entries[n], name, &dir->stats[n]);
		name += d.namelen + 1U;
		dir->at += size;
		n++;
	}
	return (int)n;
}

int viofs_dir_next(struct viofs_dir *dir, struct viofs_dirent *entry)
{
	return viofs_dir_next_many(dir, entry, 1);
}

int viofs_dir_read_many(struct viofs_dir *dir, struct viofs_dirent *entries, unsigned int max,
			struct viofs_err *err)
{
	int rc = viofs_dir_next_many(dir, entries, max);

	if (rc || dir->end || !max)
		return rc;
	rc = viofs_dir_fill(dir, err);
	return rc > 0 ? viofs_dir_next_many(dir, entries, max) : rc;
}

int viofs_dir_read(struct viofs_dir *dir, struct viofs_dirent *entry, struct viofs_err *err)
{
	return viofs_dir_read_many(dir, entry, 1, err);
}

void viofs_dir_seek(struct viofs_dir *dir, uint64_t where)
{
	dir->where = where;
	dir->size = dir->at = 0;
	dir->end = dir->bad = false;
}

static void ask_sync(struct viofs_op *op)
{
	const struct fuse_fsync_in in = {
		.fh = op->dir.dir->fh,
		.fsync_flags = op->dir.data_only ? FUSE_FSYNC_FDATASYNC : 0,
	};
	struct viofs_request r =
		viofs_request_to(FUSE_FSYNCDIR, op->dir.dir->node, &in, sizeof(in));

	viofs_op_call(op, &r, ask_sync, viofs_op_finish_zero);
}

static void start_sync(struct viofs_op *op, struct viofs_dir *dir, int data_only)
{
	op->dir.dir = dir;
	viofs_op_for(op, dir->caller);
	op->dir.data_only = data_only;
	ask_sync(op);
}

int viofs_dir_sync(struct viofs_dir *dir, int data_only, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(dir->s, dir->caller, "fsync", dir->path, err, &op);

	if (rc)
		return rc;
	start_sync(op, dir, data_only);
	return (int)viofs_op_end(op);
}

int viofs_dir_sync_async(struct viofs_async *a, struct viofs_dir *dir, int data_only, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_sync(op, dir, data_only);
	return rc;
}
