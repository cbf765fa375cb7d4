/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes and directories: each goes down, and gets its times when all below has ended.
 *
 * The copy's one thread. A node is owned by its list (xfer.h) until it is begun, then by what works
 * on it, and freed when all below it has ended.
 */
#include "xfer.h"
#include "format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_name(const char *name)
{
	return name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

struct viofs_xfer_node *viofs_xfer_node_new(struct viofs_xfer *x, struct viofs_xfer_node *parent,
					    const char *name)
{
	struct viofs_xfer_node *node;

	if (!is_name(name)) {
		viofs_xfer_fail(x, parent->from.path, -EPROTO);
		return NULL;
	}
	node = calloc(1, sizeof(*node));
	if (node) {
		node->from.path = viofs_format_join(parent->from.path, name);
		node->to.path = viofs_format_join(parent->to.path, name);
	}
	if (!node || !node->from.path || !node->to.path) {
		viofs_xfer_fail(x, parent->from.path, -ENOMEM);
		if (node) {
			free(node->from.path);
			free(node->to.path);
		}
		free(node);
		return NULL;
	}
	node->x = x;
	node->parent = parent;
	node->from.dir = x->from->dir_fd(parent->dir);
	node->from.name = strrchr(node->from.path, '/') + 1;
	node->to.dir = parent->to_fd;
	node->to.name = strrchr(node->to.path, '/') + 1;
	node->to_fd = -1;
	parent->pending++;
	return node;
}

void viofs_xfer_node_know(struct viofs_xfer *x, struct viofs_xfer_node *node, const struct stat *st)
{
	node->st = *st;
	node->st.st_mode &= S_IFMT | x->mode_mask;
	node->has_stat = true;
}

mode_t viofs_xfer_node_mode_now(const struct viofs_xfer *x, const struct viofs_xfer_node *node)
{
	mode_t mode = node->st.st_mode & (x->owner ? 0700 : 0777);

	/* The copy is written to. */
	return mode | (S_ISDIR(node->st.st_mode) ? 0700 : 0200);
}

static void finish(struct viofs_xfer_node *node);

void viofs_xfer_node_done(struct viofs_xfer *x, struct viofs_xfer_node *node)
{
	struct viofs_xfer_node *parent = node->parent;

	free(node->from.path);
	free(node->to.path);
	free(node);
	if (parent && !--parent->pending)
		finish(parent);
}

/* The node's own operation has ended. */
static void told(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_xfer_node *node = viofs_container(op, struct viofs_xfer_node, op);

	node->then(node, result);
}

/* One thing at a time for a directory: what comes after it. */
static struct viofs_xfer_op *step(struct viofs_xfer_node *node,
				  void (*then)(struct viofs_xfer_node *, int64_t))
{
	node->op.done = told;
	node->then = then;
	return &node->op;
}

static void complain(struct viofs_xfer_node *node, int64_t rc)
{
	/* After an error in a directory its attributes are left as they are. */
	node->failed = true;
	viofs_xfer_fail(node->x, node->from.path, rc);
}

/* The last of the directory: its times. Nobody changes what is in it any more. */
static void on_times(struct viofs_xfer_node *node, int64_t result)
{
	if (result < 0)
		complain(node, result);
	if (node->to_fd >= 0)
		close(node->to_fd);
	node->x->unfinished--;
	viofs_xfer_node_done(node->x, node);
}

static void on_mode(struct viofs_xfer_node *node, int64_t result)
{
	if (result < 0)
		complain(node, result);
	node->x->to->attr(node->x, VIOFS_ATTR_TIMES, NULL, &node->to, &node->st,
			  step(node, on_times));
}

static void on_owner(struct viofs_xfer_node *node, int64_t result)
{
	struct viofs_xfer *x = node->x;
	bool is_made_so = (node->st.st_mode & 0700) == 0700;

	if (result < 0) {
		/* Its bits are meant for its owner. */
		complain(node, result);
		on_mode(node, 0);
	} else if (!x->owner && (node->existed || is_made_so)) {
		/* One that was there stays as it is; a new one may have its parent's set-group-ID.
		 */
		on_mode(node, 0);
	} else {
		x->to->attr(x, VIOFS_ATTR_MODE, NULL, &node->to, &node->st, step(node, on_mode));
	}
}

/* All below has ended, and nobody needs the descriptor of the directory that was read. */
static void on_closed(struct viofs_xfer_node *node, int64_t result)
{
	struct viofs_xfer *x = node->x;

	if (node->failed || x->stopping || !node->entered)
		on_times(node, 0);
	else if (x->owner)
		x->to->attr(x, VIOFS_ATTR_OWNER, NULL, &node->to, &node->st, step(node, on_owner));
	else
		on_owner(node, 0);
}

static void finish(struct viofs_xfer_node *node)
{
	if (node->dir)
		node->x->from->dir_close(node->x, node->dir, step(node, on_closed));
	else
		on_closed(node, 0);
}

static void end_reading(struct viofs_xfer_node *node)
{
	node->x->dirs_active--;
	if (!--node->pending)
		finish(node);
}

static void add_child(struct viofs_xfer_node *node, const char *name, bool has_stat,
		      const struct stat *st)
{
	struct viofs_xfer *x = node->x;
	struct viofs_xfer_node *child = viofs_xfer_node_new(x, node, name);

	if (!child) {
		node->failed = true;
		return;
	}
	if (has_stat)
		viofs_xfer_node_know(x, child, st);
	if (has_stat && S_ISDIR(st->st_mode)) {
		viofs_xfer_push(&x->dirs, child, true);
		return;
	}
	x->progress.all_files++;
	if (has_stat && S_ISREG(st->st_mode))
		x->progress.all_bytes += (uint64_t)st->st_size;
	viofs_xfer_push(&x->files, child, false);
}

static void on_filled(struct viofs_xfer_node *node, int64_t result)
{
	struct viofs_xfer *x = node->x;
	const char *name;
	bool has_stat;
	struct stat st;
	int rc = 0;

	if (result > 0)
		while ((rc = x->from->dir_next(x, node->dir, &name, &has_stat, &st)) > 0)
			if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
				add_child(node, name, has_stat, &st);
	if (result < 0 || rc < 0)
		complain(node, result < 0 ? result : rc);
	if (result <= 0 || rc < 0)
		end_reading(node);
	else
		viofs_xfer_push(&x->parked, node, false);
}

void viofs_dir_go_on(struct viofs_xfer *x, struct viofs_xfer_node *node)
{
	if (x->stopping)
		end_reading(node);
	else
		x->from->dir_fill(x, node->dir, step(node, on_filled));
}

static void on_entered(struct viofs_xfer_node *node, int64_t result)
{
	if (result < 0) {
		node->failed = true;
		viofs_xfer_fail(node->x, node->to.path, result);
		end_reading(node);
		return;
	}
	node->entered = true;
	viofs_dir_go_on(node->x, node);
}

static void on_made(struct viofs_xfer_node *node, int64_t result)
{
	node->existed = result == -EEXIST;
	if (result < 0 && !node->existed)
		on_entered(node, result);
	else
		node->x->to->enter(node->x, &node->to, node->existed, node->to_named, &node->to_fd,
				   step(node, on_entered));
}

/* It can be read: so it is worth making. Until its end its owner may write there. */
static void on_opened(struct viofs_xfer_node *node, int64_t result)
{
	if (result < 0) {
		node->dir = NULL;
		complain(node, result);
		end_reading(node);
		return;
	}
	node->x->to->mkdir(node->x, &node->to, viofs_xfer_node_mode_now(node->x, node),
			   step(node, on_made));
}

void viofs_dir_begin(struct viofs_xfer *x, struct viofs_xfer_node *node)
{
	node->x = x;
	node->pending = 1;
	x->unfinished++;
	viofs_progress_name(&x->progress, node->from.path);
	x->from->dir_open(x, &node->from, !node->parent, &node->dir, step(node, on_opened));
}
