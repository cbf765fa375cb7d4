/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A copy's beginning and end, and whole copies of what is neither file nor directory.
 *
 * The copy's one thread. A struct viofs_copy owns its node and what it has opened, until
 * viofs_copy_end().
 */
#include "xfer_file.h"
#include "format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct viofs_copy *of(struct viofs_xfer_op *op)
{
	return viofs_container(op, struct viofs_copy, op);
}

static struct viofs_xfer_op *step(struct viofs_copy *c,
				  void (*done)(struct viofs_xfer_op *, int64_t))
{
	c->op.done = done;
	return &c->op;
}

static void say_error(const struct viofs_copy *c)
{
	const char *why = c->mismatch ? "What was read back differs from what was written; it is "
					"removed."
				      : c->refused;
	char name[4096];

	if (c->x->stopping && c->error == -EINTR)
		return;
	if (!why) {
		viofs_xfer_fail(c->x, c->node->from.path, c->error);
		return;
	}
	viofs_format_name(c->node->from.path, name, sizeof(name));
	viofs_progress_clear(&c->x->progress);
	c->x->cli->status = viofs_cli_say("%s: %s: %s", c->x->cli->command, name, why);
}

void viofs_copy_end(struct viofs_copy *c)
{
	struct viofs_xfer *x = c->x;

	if (c->error) {
		say_error(c);
	} else if (!c->error) {
		x->progress.files++;
		if (x->verbose) {
			char name[4096];

			viofs_progress_clear(&x->progress);
			puts(viofs_format_name(c->node->to.path, name, sizeof(name)));
		}
	}
	x->files_active--;
	viofs_xfer_node_done(x, c->node);
	free(c->part.path);
	free(c->digests);
	free(c->has_digest);
	free(c);
}

static void on_times(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	c->error = result < 0 ? result : 0;
	viofs_copy_end(c);
}

static void on_mode(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (result < 0)
		on_times(op, result);
	else
		c->x->to->attr(c->x, VIOFS_ATTR_TIMES, NULL, &c->node->to, &c->node->st,
			       step(c, on_times));
}

static void on_owner(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (result < 0 || S_ISLNK(c->node->st.st_mode))
		on_mode(op, result);
	else
		c->x->to->attr(c->x, VIOFS_ATTR_MODE, NULL, &c->node->to, &c->node->st,
			       step(c, on_mode));
}

void viofs_copy_attrs(struct viofs_copy *c)
{
	if (c->x->owner)
		c->x->to->attr(c->x, VIOFS_ATTR_OWNER, NULL, &c->node->to, &c->node->st,
			       step(c, on_owner));
	else
		on_owner(&c->op, 0);
}

static void make(struct viofs_copy *c);

static void on_removed(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (result < 0)
		on_times(op, result);
	else
		make(c);
}

static void on_looked(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (result < 0)
		on_times(op, result);
	else
		c->x->to->unlink(c->x, &c->node->to, step(c, on_removed));
}

static void on_made(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	/* An older one makes room, as it does for a file's data; a directory does not. */
	if (result == -EEXIST && !c->existed) {
		c->existed = true;
		/* Some devices (the C virtiofsd) only remove names that were looked up before. */
		c->x->to->stat(c->x, &c->node->to, false, &c->have, step(c, on_looked));
	} else if (result < 0) {
		on_times(op, result);
	} else {
		viofs_copy_attrs(c);
	}
}

static void make(struct viofs_copy *c)
{
	const struct stat *st = &c->node->st;

	if (S_ISLNK(st->st_mode))
		c->x->to->symlink(c->x, c->target, &c->node->to, step(c, on_made));
	else
		c->x->to->mknod(c->x, &c->node->to,
				(st->st_mode & S_IFMT) | viofs_xfer_node_mode_now(c->x, c->node),
				st->st_rdev, step(c, on_made));
}

static void on_target(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (result < 0)
		on_times(op, result);
	else
		make(c);
}

static void refuse(struct viofs_copy *c, int64_t rc, const char *why)
{
	c->error = rc;
	c->refused = why;
	viofs_copy_end(c);
}

/* What it is, is known. */
static void begin_known(struct viofs_copy *c)
{
	struct viofs_xfer *x = c->x;
	struct viofs_xfer_node *node = c->node;

	if (S_ISDIR(node->st.st_mode)) {
		if (!x->recursive) {
			refuse(c, -EISDIR, "Is a directory; -r copies those.");
			return;
		}
		x->files_active--;
		free(c);
		viofs_xfer_push(&x->dirs, node, true);
	} else if (S_ISREG(node->st.st_mode)) {
		viofs_progress_name(&x->progress, node->from.path);
		viofs_copy_regular(c);
	} else if (S_ISLNK(node->st.st_mode)) {
		x->from->readlink(x, &node->from, c->target, step(c, on_target));
	} else if ((S_ISCHR(node->st.st_mode) || S_ISBLK(node->st.st_mode)) && !x->owner) {
		refuse(c, -EPERM, "Is a device node; --owner copies those.");
	} else {
		make(c);
	}
}

static void on_stat(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);
	struct viofs_xfer_node *node = c->node;

	if (result < 0) {
		on_times(op, result);
		return;
	}
	viofs_xfer_node_know(c->x, node, &c->have);
	if (!node->parent && !S_ISDIR(node->st.st_mode)) {
		c->x->progress.all_files++;
		c->x->progress.all_bytes += (uint64_t)node->st.st_size;
	}
	begin_known(c);
}

void viofs_copy_begin(struct viofs_xfer *x, struct viofs_xfer_node *node)
{
	struct viofs_copy *c = calloc(1, sizeof(*c));

	if (!c) {
		viofs_xfer_fail(x, node->from.path, -ENOMEM);
		x->files_active--;
		viofs_xfer_node_done(x, node);
		return;
	}
	c->x = x;
	c->node = node;
	if (node->has_stat)
		begin_known(c);
	else
		/* What the command line names is followed, where it is a link. */
		x->from->stat(x, &node->from, !node->parent, &c->have, step(c, on_stat));
}
