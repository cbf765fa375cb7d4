/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Along a path, as openat2(2) with RESOLVE_IN_ROOT goes.
 *
 * The walk keeps the folders it came through on a stack, each with a reference: ".." is a step back
 * on it and is never sent to the device. So no path leads above the root, whatever others rename in
 * the meantime, and wherever a symbolic link points. A link's target is put in front of what is
 * left of the path.
 *
 * The stack and the path are the walk's, and go at the end of its op (op.c).
 */
#include "base/util.h"
#include "client/check.h"
#include "client/walk.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINKS_MAX 40U
#define ROOM_FIRST 16U

static void walk_on(struct viofs_op *op);

static struct viofs_node *top(const struct viofs_walk *w)
{
	return w->stack[w->depth - 1];
}

static int push(struct viofs_walk *w, struct viofs_node *node)
{
	if (w->depth == w->room) {
		unsigned int room = w->room ? w->room * 2 : ROOM_FIRST;
		void *more = realloc(w->stack, room * sizeof(struct viofs_node *));

		if (!more)
			return -ENOMEM;
		w->stack = more;
		w->room = room;
	}
	w->stack[w->depth++] = node;
	return 0;
}

static void pop_to(struct viofs_op *op, struct viofs_walk *w, unsigned int depth)
{
	w->searched = NULL;
	while (w->depth > depth)
		viofs_node_put(&op->a->s->cache, w->stack[--w->depth]);
}

static bool is_type(const struct viofs_op *op, struct viofs_node *node, mode_t type)
{
	struct fuse_attr attr;

	viofs_node_attr(&op->a->s->cache, node, &attr);
	return (attr.mode & S_IFMT) == type;
}

static bool wants_folder(const struct viofs_walk *w)
{
	return w->to == VIOFS_TO_PARENT || w->to == VIOFS_TO_NAME || w->to == VIOFS_TO_ANY_NAME;
}

/* Take the next component into w->name. Return: 1; 0: none is left; -ENAMETOOLONG. */
static int next_name(struct viofs_walk *w)
{
	size_t len;

	w->rest += strspn(w->rest, "/");
	len = strcspn(w->rest, "/");
	if (!len)
		return 0;
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(w->name, w->rest, len);
	w->name[len] = '\0';
	w->rest += len;
	w->must_be_folder = *w->rest == '/';
	w->last = !w->rest[strspn(w->rest, "/")];
	return 1;
}

static void arrive(struct viofs_op *op)
{
	struct viofs_walk *w = op->walk;

	w->node = top(w);
	if (w->must_be_folder && !w->absent && !wants_folder(w) && !is_type(op, w->node, S_IFDIR)) {
		viofs_op_finish(op, -ENOTDIR);
		return;
	}
	w->then(op);
}

/* Put @target in front of what is left. Return: 0 or -errno. */
static int follow(struct viofs_op *op, const char *target, size_t len)
{
	struct viofs_walk *w = op->walk;
	size_t rest = strlen(w->rest);
	char *path;

	if (!len)
		return -ENOENT;
	if (memchr(target, '\0', len))
		return -EIO;
	if (len + rest + 1 >= (size_t)2 * PATH_MAX)
		return -ENAMETOOLONG;
	if (target[0] == '/' && w->flags & VIOFS_PATH_BENEATH)
		return -EXDEV;
	path = malloc(len + rest + 1);
	if (!path)
		return -ENOMEM;
	memcpy(path, target, len);
	memcpy(path + len, w->rest, rest + 1);
	free(w->path);
	w->path = w->rest = path;
	if (target[0] == '/')
		pop_to(op, w, 1);
	return 0;
}

static void link_read(struct viofs_op *op)
{
	char target[PATH_MAX];
	int rc;

	/* A private copy: the device could go on writing. */
	memcpy(target, op->dma, VIOFS_MIN(op->size, sizeof(target)));
	viofs_op_dma_free(op);
	viofs_node_put(&op->a->s->cache, op->node);
	op->node = NULL;
	rc = follow(op, target, op->size);
	if (rc)
		viofs_op_finish(op, rc);
	else
		walk_on(op);
}

/* op->node is the link, while it is read. */
static void read_link(struct viofs_op *op)
{
	struct viofs_request r = viofs_request_to(FUSE_READLINK, op->node, NULL, 0);
	struct iovec iov;

	if (!viofs_op_dma(op, PATH_MAX, read_link))
		return;
	iov = (struct iovec){ op->dma, PATH_MAX - 1 };
	r.reply_data = &iov;
	r.reply_data_count = 1;
	viofs_op_call(op, &r, read_link, link_read);
}

/* @node is what w->name leads to, with a reference that is ours. Return: 1 to go on; 0, as
 * one_step(). */
static int enter(struct viofs_op *op, struct viofs_node *node)
{
	struct viofs_walk *w = op->walk;
	bool link = is_type(op, node, S_IFLNK);
	int rc;

	if (w->last && (w->to == VIOFS_TO_NAME || w->to == VIOFS_TO_ANY_NAME)) {
		w->named = node;
		arrive(op);
		return 0;
	}
	if (link && (!w->last || w->must_be_folder || !(w->flags & VIOFS_PATH_NO_FOLLOW))) {
		op->node = node;
		if (w->flags & VIOFS_PATH_NO_SYMLINKS || w->links++ == LINKS_MAX)
			viofs_op_finish(op, -ELOOP);
		else
			read_link(op);
		return 0;
	}
	rc = push(w, node);
	if (!rc)
		return 1;
	viofs_node_put(&op->a->s->cache, node);
	viofs_op_finish(op, rc);
	return 0;
}

bool viofs_attr_can_be(const struct fuse_attr *a)
{
	mode_t type = a->mode & S_IFMT;

	return a->size <= INT64_MAX &&
	       (type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == S_IFCHR ||
		type == S_IFBLK || type == S_IFIFO || type == S_IFSOCK);
}

int viofs_entry_take(struct viofs_share *s, const struct fuse_entry_out *e, struct viofs_node **out)
{
	struct viofs_node *node;

	if (!e->nodeid) /* a name that isn't there, and may be remembered so */
		return -ENOENT;
	if (e->nodeid == FUSE_ROOT_ID)
		return -EIO;
	if (!viofs_attr_can_be(&e->attr)) {
		viofs_forget_add(&s->cache, e->nodeid, 1);
		return -EIO;
	}
	node = viofs_node_take(&s->cache, e);
	if (!node)
		return -ENOMEM;
	*out = node;
	return 0;
}

static void looked_up(struct viofs_op *op)
{
	const struct fuse_entry_out *e = (const void *)op->reply;
	struct viofs_walk *w = op->walk;
	struct viofs_node *node = NULL;
	int rc = op->error;

	if (!rc)
		rc = viofs_entry_take(op->a->s, e, &node);
	if (rc == -ENOENT && w->last && (w->to == VIOFS_TO_MAYBE || w->to == VIOFS_TO_ANY_NAME)) {
		w->absent = true;
		arrive(op);
		return;
	}
	if (rc == -EIO && !op->error && !op->fault)
		op->fault = "it answered LOOKUP with an inode that can't be";
	if (rc) {
		viofs_op_finish(op, rc);
		return;
	}
	viofs_name_set(&op->a->s->cache, top(w), w->name, node, e->entry_valid,
		       e->entry_valid_nsec);
	if (enter(op, node))
		walk_on(op);
}

bool viofs_entry_undo(struct viofs_op *op)
{
	const struct fuse_entry_out *e = (const void *)op->reply;

	if (!op->error && e->nodeid && e->nodeid != FUSE_ROOT_ID)
		viofs_forget_add(&op->a->s->cache, e->nodeid, 1);
	return false;
}

static void look_up(struct viofs_op *op)
{
	struct viofs_walk *w = op->walk;
	struct viofs_request r;

	r = viofs_request_to(FUSE_LOOKUP, top(w), w->name, strlen(w->name) + 1);
	r.reply_size = sizeof(struct fuse_entry_out);
	op->undo = viofs_entry_undo;
	viofs_op_call_sees(op, &r, look_up, looked_up);
}

static void may_search(struct viofs_op *op)
{
	op->walk->searched = top(op->walk);
	walk_on(op);
}

/* Search a folder for the rest of the path. Return: as one_step(). */
static int search(struct viofs_op *op)
{
	struct viofs_walk *w = op->walk;

	if (!w->rest[strspn(w->rest, "/")] || w->searched == top(w) ||
	    !is_type(op, top(w), S_IFDIR))
		return 1;
	return viofs_check(op, top(w), viofs_judge_search, may_search);
}

/* Return: 1: the step is done, go on; 0: the device has to be asked, or the op has ended. */
static int one_step(struct viofs_op *op)
{
	struct viofs_walk *w = op->walk;
	struct viofs_node *node;
	bool parent;
	int rc;

	if (!search(op))
		return 0;
	rc = next_name(w);
	if (rc < 0) {
		viofs_op_finish(op, rc);
		return 0;
	}
	if (!rc) {
		w->odd |= wants_folder(w); /* "/", "a/.." */
		arrive(op);
		return 0;
	}
	if (!is_type(op, top(w), S_IFDIR)) {
		viofs_op_finish(op, -ENOTDIR);
		return 0;
	}
	parent = wants_folder(w) && w->last;
	if (!strcmp(w->name, ".") || !strcmp(w->name, "..")) {
		if (w->name[1] && w->flags & VIOFS_PATH_BENEATH && w->depth <= w->floor) {
			viofs_op_finish(op, -EXDEV);
			return 0;
		}
		if (w->name[1] && w->depth > 1)
			pop_to(op, w, w->depth - 1);
		return 1;
	}
	if (parent && w->to == VIOFS_TO_PARENT) {
		arrive(op);
		return 0;
	}
	node = w->flags & VIOFS_PATH_FORCE_SYNC
		       ? NULL
		       : viofs_name_find(&op->a->s->cache, top(w), w->name);
	if (node)
		return enter(op, node);
	look_up(op);
	return 0;
}

static void walk_on(struct viofs_op *op)
{
	while (one_step(op))
		;
}

static int push_counted(struct viofs_op *op, struct viofs_node *node)
{
	int rc;

	viofs_node_get(&op->a->s->cache, node);
	rc = push(op->walk, node);
	if (rc)
		viofs_node_put(&op->a->s->cache, node);
	return rc;
}

/* At the root, or where the view's paths begin. */
static int begin(struct viofs_op *op, bool at_root)
{
	const struct viofs_way *from = op->from;
	int rc = 0;

	if (at_root || !from || !from->depth)
		return push_counted(op, &op->a->s->cache.root);
	for (unsigned int i = 0; !rc && i < from->depth; i++)
		rc = push_counted(op, from->nodes[i]);
	return rc;
}

static void start_walk(struct viofs_op *op)
{
	if (!viofs_op_waits(op, start_walk))
		walk_on(op);
}

void viofs_walk(struct viofs_op *op, struct viofs_walk *w, const char *path, unsigned int flags,
		enum viofs_walk_to to, viofs_step *then)
{
	size_t len = strlen(path);

	if (op->caller->fresh)
		flags |= VIOFS_PATH_FORCE_SYNC;
	op->walk = w;
	w->flags = flags;
	w->to = to;
	w->then = then;
	if (!len || len >= PATH_MAX) {
		viofs_op_finish(op, len ? -ENAMETOOLONG : -ENOENT);
		return;
	}
	if (flags & ~(unsigned int)(VIOFS_PATH_NO_FOLLOW | VIOFS_PATH_NO_SYMLINKS |
				    VIOFS_PATH_BENEATH | VIOFS_PATH_FORCE_SYNC)) {
		viofs_op_finish(op, -EINVAL);
		return;
	}
	if (path[0] == '/' && flags & VIOFS_PATH_BENEATH) {
		viofs_op_finish(op, -EXDEV);
		return;
	}
	w->path = w->rest = strdup(path);
	if (!w->path || begin(op, path[0] == '/')) {
		viofs_op_finish(op, -ENOMEM);
		return;
	}
	w->floor = w->depth;
	start_walk(op);
}
