/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening, creating and closing files.
 *
 * A file belongs to its op until it is handed to the program, and again from the call that closes
 * it on: however that call ends, the file is freed. All of this runs in the op's thread.
 */
#include "client/blocking.h"
#include "client/caller.h"
#include "client/check.h"
#include "client/walk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFLAGS_TAKEN                                                                               \
	(O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECT | O_SYNC | O_DSYNC |         \
	 O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_LARGEFILE)
/* A flag of our own. */
#define OFLAGS_NOT_SENT (O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static void free_file(void *own)
{
	struct viofs_file *file = own;

	viofs_node_put(&file->s->cache, file->node);
	viofs_caller_put(file->caller);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

/* The call's result is op->open.result. */
static void released(struct viofs_op *op)
{
	op->goes_on = false;
	viofs_op_finish(op, op->open.result);
}

static void ask_release(struct viofs_op *op)
{
	const struct fuse_release_in in = {
		.fh = op->file->fh,
		.flags = (uint32_t)(op->file->oflags & ~OFLAGS_NOT_SENT),
		.lock_owner = op->file->owner,
	};
	struct viofs_request r = viofs_request_to(FUSE_RELEASE, op->file->node, &in, sizeof(in));

	viofs_op_call_sees(op, &r, ask_release, released);
}

/* The call was given up: close it again. */
static bool let_go(struct viofs_op *op)
{
	if (!op->file->opened)
		return false;
	op->ending = 0;
	ask_release(op);
	return true;
}

static bool undo_open(struct viofs_op *op)
{
	const struct fuse_open_out *out = (const void *)op->reply;

	if (op->error)
		return false;
	op->file->fh = out->fh;
	op->file->opened = true;
	return let_go(op);
}

static bool undo_create(struct viofs_op *op)
{
	const struct fuse_entry_out *e = (const void *)op->reply;
	struct fuse_open_out out;

	if (op->error || viofs_entry_take(op->a->s, e, &op->file->node))
		return false;
	memcpy(&out, e + 1, sizeof(out));
	op->file->fh = out.fh;
	op->file->opened = true;
	return let_go(op);
}

static void hand_out(struct viofs_op *op)
{
	*op->open.out = op->file;
	op->own = NULL;
	viofs_op_finish(op, 0);
}

static void truncated(struct viofs_op *op)
{
	viofs_node_stale(&op->a->s->cache, op->file->node);
	if (!op->error) {
		hand_out(op);
	} else if (op->file->opened) {
		/* It is open, but can't be had as it was asked for. */
		op->open.result = op->error;
		ask_release(op);
	} else {
		viofs_op_finish(op, op->error);
	}
}

/* Where OPEN itself doesn't truncate. */
static void truncate_it(struct viofs_op *op)
{
	const struct fuse_setattr_in in = {
		.valid = FATTR_SIZE | (op->file->opened ? FATTR_FH : 0),
		.fh = op->file->fh,
	};
	struct viofs_request r = viofs_request_to(FUSE_SETATTR, op->file->node, &in, sizeof(in));

	r.reply_size = sizeof(struct fuse_attr_out);
	op->undo = let_go;
	viofs_op_call_sees(op, &r, truncate_it, truncated);
}

static bool must_truncate(const struct viofs_op *op)
{
	return op->open.oflags & O_TRUNC && !(op->a->s->agreed.flags & FUSE_ATOMIC_O_TRUNC);
}

static void opened(struct viofs_op *op)
{
	const struct fuse_open_out *out = (const void *)op->reply;
	struct viofs_file *file = op->file;

	if (op->error == -ENOSYS && op->a->s->agreed.flags & FUSE_NO_OPEN_SUPPORT) {
		__atomic_store_n(&op->a->s->no_open, 1, __ATOMIC_RELAXED);
	} else if (op->error) {
		viofs_op_finish(op, op->error);
		return;
	} else {
		file->fh = out->fh;
		file->opened = true;
	}
	if (op->open.oflags & O_TRUNC)
		viofs_node_stale(&op->a->s->cache, file->node);
	if (must_truncate(op) || (op->open.oflags & O_TRUNC && !file->opened))
		truncate_it(op);
	else
		hand_out(op);
}

static uint32_t sent_flags(const struct viofs_op *op)
{
	uint32_t flags = (uint32_t)(op->open.oflags & ~OFLAGS_NOT_SENT);

	return must_truncate(op) ? flags & ~(uint32_t)O_TRUNC : flags;
}

static uint32_t kill_flag(const struct viofs_op *op)
{
	const struct viofs_share *s = op->a->s;

	return op->open.oflags & O_TRUNC && op->caller->uid &&
			       s->agreed.flags & FUSE_HANDLE_KILLPRIV_V2
		       ? FUSE_OPEN_KILL_SUIDGID
		       : 0;
}

static void ask_open(struct viofs_op *op)
{
	const struct fuse_open_in in = { .flags = sent_flags(op), .open_flags = kill_flag(op) };
	struct viofs_request r = viofs_request_to(FUSE_OPEN, op->file->node, &in, sizeof(in));

	if (__atomic_load_n(&op->a->s->no_open, __ATOMIC_RELAXED)) {
		op->error = 0;
		if (op->open.oflags & O_TRUNC)
			truncate_it(op);
		else
			hand_out(op);
		return;
	}
	r.reply_size = sizeof(struct fuse_open_out);
	op->undo = undo_open;
	viofs_op_call_sees(op, &r, ask_open, opened);
}

/* A file that was made, and is open, is in the reply. Return: false: the op has ended. */
static bool take_made(struct viofs_op *op)
{
	const struct fuse_entry_out *e = (const void *)op->reply;
	struct fuse_open_out out;
	int rc = op->error;

	if (!rc)
		rc = viofs_entry_take(op->a->s, e, &op->file->node);
	if (!op->error && rc == -EIO)
		op->fault = "it answered with an inode that can't be";
	if (rc) {
		viofs_op_finish(op, rc);
		return false;
	}
	memcpy(&out, e + 1, sizeof(out));
	op->file->fh = out.fh;
	op->file->opened = true;
	return true;
}

static void created(struct viofs_op *op)
{
	const struct fuse_entry_out *e = (const void *)op->reply;
	struct viofs_share *s = op->a->s;

	viofs_node_stale(&s->cache, op->walk->node);
	if (!take_made(op))
		return;
	viofs_name_set(&s->cache, op->walk->node, op->walk->name, op->file->node, e->entry_valid,
		       e->entry_valid_nsec);
	hand_out(op);
}

/* CREATE, or TMPFILE, below op->walk->node. */
static void ask_made(struct viofs_op *op, uint32_t opcode, const char *name, uint32_t flags,
		     viofs_step *retry, viofs_step *next)
{
	const struct fuse_create_in in = {
		.flags = flags,
		.mode = S_IFREG | op->open.mode,
		.open_flags = kill_flag(op),
	};
	size_t len = strlen(name) + 1;
	uint8_t args[sizeof(in) + NAME_MAX + 1];
	struct viofs_request r;

	memcpy(args, &in, sizeof(in));
	memcpy(args + sizeof(in), name, len);
	r = viofs_request_to(opcode, op->walk->node, args, sizeof(in) + len);
	r.reply_size = sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out);
	op->undo = undo_create;
	viofs_op_call_sees(op, &r, retry, next);
}

static void ask_create(struct viofs_op *op)
{
	/* O_EXCL goes along: somebody else may have made it meanwhile. */
	ask_made(op, FUSE_CREATE, op->walk->name,
		 sent_flags(op) | O_CREAT | (uint32_t)(op->open.oflags & O_EXCL), ask_create,
		 created);
}

static void made_nameless(struct viofs_op *op)
{
	if (op->error == -ENOSYS)
		op->error = -EOPNOTSUPP; /* as open(2) says it */
	if (take_made(op))
		hand_out(op);
}

/* The kernel sends a slash for a name. */
static void ask_tmpfile(struct viofs_op *op)
{
	ask_made(op, FUSE_TMPFILE, "/",
		 sent_flags(op) | O_TMPFILE | (uint32_t)(op->open.oflags & O_EXCL), ask_tmpfile,
		 made_nameless);
}

static bool is_nameless(const struct viofs_op *op)
{
	return (op->open.oflags & O_TMPFILE) == O_TMPFILE;
}

/* What open(2) says of things that aren't files. Return: 0 or why not. */
static int check_type(const struct viofs_op *op)
{
	struct fuse_attr attr;

	if (op->open.oflags & O_CREAT && op->open.oflags & O_EXCL)
		return -EEXIST;
	viofs_node_attr(&op->a->s->cache, op->walk->node, &attr);
	if (is_nameless(op))
		return S_ISDIR(attr.mode) ? 0 : -ENOTDIR;
	switch (attr.mode & S_IFMT) {
	case S_IFREG:
		return 0;
	case S_IFDIR:
		return -EISDIR;
	case S_IFLNK:
		return -ELOOP;
	default:
		return -ENXIO; /* pipes and devices are the machine's whose files they are */
	}
}

static void open_it(struct viofs_op *op)
{
	struct viofs_walk *w = op->walk;
	struct viofs_file *file;
	size_t path;

	path = strlen(w->path) + 1;
	file = calloc(1, sizeof(*file) + path);
	if (!file) {
		viofs_op_finish(op, -ENOMEM);
		return;
	}
	file->s = op->a->s;
	file->oflags = op->open.oflags;
	file->owner = __atomic_add_fetch(&file->s->owners, 1, __ATOMIC_RELAXED);
	file->caller = viofs_caller_get(op->caller);
	memcpy(file->path, w->path, path);
	pthread_mutex_init(&file->lock, NULL);
	op->file = op->own = file;
	op->own_free = free_file;
	if (is_nameless(op)) {
		ask_tmpfile(op);
		return;
	}
	if (w->absent) {
		ask_create(op);
		return;
	}
	file->node = w->node;
	viofs_node_get(&file->s->cache, file->node);
	ask_open(op);
}

static void found(struct viofs_op *op)
{
	struct viofs_walk *w = op->walk;
	int rc = w->absent ? 0 : check_type(op);

	if (!rc && w->absent && w->must_be_folder)
		rc = -EISDIR;
	op->permitted = open_it;
	if (rc)
		viofs_op_finish(op, rc);
	else if (w->absent || is_nameless(op))
		viofs_check_folder(op);
	else if (viofs_check(op, w->node, viofs_judge_open, open_it))
		open_it(op);
}

static void start_open(struct viofs_op *op, const char *path, unsigned int flags, int oflags,
		       mode_t mode, struct viofs_file **out)
{
	bool nameless = (oflags & O_TMPFILE) == O_TMPFILE;

	if (oflags & ~(OFLAGS_TAKEN | (nameless ? O_TMPFILE : 0)) ||
	    (oflags & O_ACCMODE) == O_ACCMODE ||
	    (nameless && (!(oflags & O_ACCMODE) || oflags & O_CREAT))) {
		viofs_op_finish(op, -EINVAL);
		return;
	}
	op->open.oflags = oflags;
	op->open.mode = mode & 07777;
	op->open.out = out;
	if (oflags & O_NOFOLLOW || (oflags & O_CREAT && oflags & O_EXCL))
		flags |= VIOFS_PATH_NO_FOLLOW;
	viofs_walk(op, op->walk, path, flags, oflags & O_CREAT ? VIOFS_TO_MAYBE : VIOFS_TO_NODE,
		   found);
}

int viofs_file_open(struct viofs_session *s, const char *path, unsigned int flags, int oflags,
		    mode_t mode, struct viofs_file **out, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin(s, "open", path, err, &op);

	if (rc)
		return rc;
	start_open(op, path, flags, oflags, mode, out);
	return (int)viofs_op_end(op);
}

int viofs_file_open_async(struct viofs_async *a, const char *path, unsigned int flags, int oflags,
			  mode_t mode, struct viofs_file **out, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_open(op, path, flags, oflags, mode, out);
	return rc;
}

static void flushed(struct viofs_op *op)
{
	if (op->error == -ENOSYS)
		__atomic_store_n(&op->a->s->no_flush, 1, __ATOMIC_RELAXED);
	else
		op->open.result = op->error;
	ask_release(op);
}

static void ask_flush(struct viofs_op *op)
{
	const struct fuse_flush_in in = { .fh = op->file->fh, .lock_owner = op->file->owner };
	struct viofs_request r = viofs_request_to(FUSE_FLUSH, op->file->node, &in, sizeof(in));

	if (__atomic_load_n(&op->a->s->no_flush, __ATOMIC_RELAXED))
		ask_release(op);
	else
		viofs_op_call_sees(op, &r, ask_flush, flushed);
}

/* Even if the call that it is linked to has failed. */
static void close_it(struct viofs_op *op)
{
	struct viofs_file *file = op->file;

	if (viofs_op_waits(op, close_it))
		return;
	if (!file->opened || viofs_dev_failed(file->s->dev)) {
		op->open.result = viofs_dev_failed(file->s->dev) ? -ENODEV : 0;
		released(op);
	} else {
		ask_flush(op);
	}
}

static void start_close(struct viofs_op *op, struct viofs_file *file)
{
	viofs_op_on(op, file);
	op->own = file;
	op->own_free = free_file;
	op->goes_on = true;
	op->ending = 0;
	close_it(op);
}

int viofs_file_close(struct viofs_file *file, struct viofs_err *err)
{
	char path[VIOFS_WHICH_MAX]; /* for the message: the file is gone by then */
	struct viofs_op *op;
	int rc;

	if (!file)
		return 0;
	snprintf(path, sizeof(path), "%s", file->path);
	rc = viofs_op_begin_on(file->s, file->caller, "close", path, err, &op);
	if (rc) {
		free_file(file); /* there is nobody to give it back to */
		return rc;
	}
	start_close(op, file);
	return (int)viofs_op_end(op);
}

int viofs_file_close_async(struct viofs_async *a, struct viofs_file *file, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_close(op, file);
	return rc;
}
