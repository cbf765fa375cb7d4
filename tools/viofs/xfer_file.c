/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file's data, block by block, several at once. The copy's one thread; a file owns its blocks and
 * both open files until it ends.
 *
 * Steps: what is there already (--resume), open both, move blocks, [verify], attributes, close
 * both, rename. Blocks are read in order of their offsets, each is written as soon as it is there;
 * c->in_flight counts those that are read or written. An error keeps new blocks from beginning;
 * when the last one has ended, both files are closed.
 *
 * Where the copy is longer than a block it is made under the name with .part, so that a cut-off
 * copy is told from a whole one by its name, and nobody takes the one for the other. A shorter one
 * has nothing to be resumed.
 *
 * What is longer than a block goes by one call of libviofs after the other in place of blocks
 * (viofs_side.pass), unless it has holes or is to be verified.
 *
 * A file that is as long as what stat(2) said ends with a read that is shorter than was asked for:
 * that tells of files that grow, and of those in /proc and the like that say 0, with no request
 * more.
 */
#include "xfer_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the device is asked to copy by itself at once. What libviofs is asked for is
 * VIOFS_XFER_WINDOW.
 */
#define CLONE_MAX (64U << 20)

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

static const struct viofs_xfer_place *target(const struct viofs_copy *c)
{
	return c->part.path ? &c->part : &c->node->to;
}

static void on_unlinked(struct viofs_xfer_op *op, int64_t result)
{
	viofs_copy_end(of(op));
}

/* Both files are closed, with or without an error. */
static void end(struct viofs_copy *c)
{
	if (c->mismatch)
		c->x->to->unlink(c->x, target(c), step(c, on_unlinked));
	else
		viofs_copy_end(c);
}

static void on_renamed(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (result < 0)
		c->error = result;
	end(c);
}

static void on_to_closed(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (result < 0 && !c->error)
		c->error = result;
	if (!c->error && c->part.path)
		c->x->to->rename(c->x, &c->part, &c->node->to, step(c, on_renamed));
	else
		end(c);
}

static void on_from_closed(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (c->to)
		c->x->to->close(c->x, c->to, step(c, on_to_closed));
	else
		end(c);
}

static void close_both(struct viofs_copy *c)
{
	if (c->from)
		c->x->from->close(c->x, c->from, step(c, on_from_closed));
	else
		on_from_closed(&c->op, 0);
}

static void on_attr_times(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (result < 0)
		c->error = result;
	close_both(c);
}

static void on_attr_mode(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (result < 0)
		on_attr_times(op, result);
	else
		c->x->to->attr(c->x, VIOFS_ATTR_TIMES, c->to, NULL, &c->node->st,
			       step(c, on_attr_times));
}

static void on_attr_owner(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);
	mode_t mode = c->node->st.st_mode;

	/* A new file was made with its mode, but that it can be written to. */
	if (result < 0 || (!c->existed && !c->x->owner && (mode & 0200)))
		on_attr_mode(op, result);
	else
		c->x->to->attr(c->x, VIOFS_ATTR_MODE, c->to, NULL, &c->node->st,
			       step(c, on_attr_mode));
}

void viofs_copy_finish(struct viofs_copy *c)
{
	if (c->error)
		close_both(c);
	else if (c->x->owner)
		c->x->to->attr(c->x, VIOFS_ATTR_OWNER, c->to, NULL, &c->node->st,
			       step(c, on_attr_owner));
	else
		on_attr_owner(&c->op, 0);
}

static void on_truncated(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (result < 0)
		c->error = result;
	if (!c->error && c->x->verify)
		viofs_verify_begin(c);
	else
		viofs_copy_finish(c);
}

/* All is written. A hole at the end, or what a longer partial file had there, is a matter of the
 * size. */
static void data_ends(struct viofs_copy *c)
{
	if (!c->error && (c->sparse || c->resumed))
		c->x->to->truncate(c->x, c->to, c->end, step(c, on_truncated));
	else
		on_truncated(&c->op, 0);
}

static void drop_block(struct viofs_copy *c, struct viofs_block *b)
{
	struct viofs_block **at = &c->blocks;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	c->in_flight--;
	viofs_xfer_give_block(c->x, b);
}

static void on_written(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_block *b = viofs_container(op, struct viofs_block, op);
	struct viofs_copy *c = b->copy;

	if (result < 0)
		c->error = result;
	else if ((size_t)result != b->size)
		c->error = -EIO;
	else
		c->x->progress.bytes += b->size;
	drop_block(c, b);
	viofs_copy_move(c);
}

static void on_read(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_block *b = viofs_container(op, struct viofs_block, op);
	struct viofs_copy *c = b->copy;
	size_t asked = b->size;

	if (result > 0) {
		b->size = (size_t)result;
		viofs_verify_note(c, b->offset, b->data, b->size);
	}
	if (result >= 0 && (size_t)result < asked && !c->sparse) {
		c->ended = true;
		c->end = b->offset + (uint64_t)result;
	}
	if (result > 0 && !c->error) {
		if (!c->ended && b->offset + b->size > c->end)
			c->end = b->offset + b->size;
		b->op.done = on_written;
		c->x->to->write(c->x, c->to, b->data, b->size, b->offset, &b->op);
		return;
	}
	if (result < 0)
		c->error = result;
	drop_block(c, b);
	viofs_copy_move(c);
}

static uint64_t lowest(const struct viofs_copy *c)
{
	uint64_t low = c->next;

	for (const struct viofs_block *b = c->blocks; b; b = b->next)
		if (b->offset < low)
			low = b->offset;
	return low;
}

/* One more block to be read now? */
static bool may_read(const struct viofs_copy *c)
{
	if (c->ended || c->in_flight >= VIOFS_XFER_AHEAD ||
	    c->next - lowest(c) >= VIOFS_XFER_WINDOW - c->unit)
		return false;
	if (c->sparse)
		return c->next < c->segment_end;
	/* Beyond what is known: one at a time, to find the end. */
	return c->next < c->end || !c->in_flight;
}

static bool read_block(struct viofs_copy *c)
{
	struct viofs_block *b = viofs_xfer_take_block(c->x, c->unit == VIOFS_XFER_BLOCK);

	if (!b) {
		/* With blocks under way it goes on by itself; else it waits its turn. */
		if (!c->in_flight)
			viofs_xfer_wait_block(c, viofs_copy_move);
		return false;
	}
	b->copy = c;
	b->offset = c->next;
	b->size = c->unit;
	if (c->sparse && b->size > c->segment_end - c->next)
		b->size = (size_t)(c->segment_end - c->next);
	b->next = c->blocks;
	c->blocks = b;
	c->in_flight++;
	c->next += b->size;
	b->op.done = on_read;
	c->x->from->read(c->x, c->from, b->data, b->size, b->offset, &b->op);
	return true;
}

static void on_hole(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	c->seeking = false;
	c->segment_end = result < 0 || (uint64_t)result > c->end ? c->end : (uint64_t)result;
	viofs_copy_move(c);
}

static void on_data(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	c->seeking = false;
	if (result >= 0 && (uint64_t)result < c->end) {
		c->seeking = true;
		c->next = (uint64_t)result > c->next ? (uint64_t)result : c->next;
		c->x->from->seek(c->x, c->from, c->next, SEEK_HOLE, step(c, on_hole));
		return;
	}
	if (result >= 0 || result == -ENXIO)
		c->next = c->segment_end = c->end;
	else
		c->sparse = false; /* it can't tell */
	viofs_copy_move(c);
}

void viofs_copy_move(struct viofs_copy *c)
{
	if (c->x->stopping && !c->error)
		c->error = -EINTR;
	if (c->is_hungry || c->seeking)
		return;
	while (!c->error && may_read(c) && read_block(c))
		;
	if (c->in_flight || c->is_hungry)
		return;
	if (!c->error && c->sparse && c->next < c->end) {
		c->seeking = true;
		c->x->from->seek(c->x, c->from, c->next, SEEK_DATA, step(c, on_data));
		return;
	}
	data_ends(c);
}

static void pass(struct viofs_copy *c);

/* If it can't be copied like this, read and write it: that tells what is wrong. */
static void on_passed(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (result > 0) {
		c->next += (uint64_t)result;
		c->x->progress.bytes += (uint64_t)result;
	}
	if (result > 0 && c->next < c->end && !c->x->stopping)
		pass(c);
	else
		viofs_copy_move(c);
}

static void pass(struct viofs_copy *c)
{
	uint64_t size = c->end - c->next;
	uint64_t most = c->x->from == c->x->to ? CLONE_MAX : VIOFS_XFER_WINDOW;

	c->x->from->pass(c->x, c->from, c->to, (size_t)(size < most ? size : most), c->next,
			 step(c, on_passed));
}

/* By blocks where their sums are wanted, where there are holes, or where one block is all. */
static bool can_pass(const struct viofs_copy *c)
{
	if (c->sparse || c->end <= c->next)
		return false;
	return c->x->from == c->x->to || (!c->x->verify && c->end - c->next > VIOFS_XFER_BLOCK);
}

static void on_to_opened(struct viofs_xfer_op *op, int64_t result);

static void reopen(struct viofs_copy *c)
{
	c->existed = true;
	c->x->to->open(c->x, target(c), (c->x->verify ? O_RDWR : O_WRONLY) | O_TRUNC | O_NOFOLLOW,
		       0, &c->to, step(c, on_to_opened));
}

static void on_same_looked(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);

	if (!result && c->have.st_ino == c->node->st.st_ino &&
	    c->have.st_dev == c->node->st.st_dev) {
		c->error = -EEXIST; /* a file is not copied onto itself */
		close_both(c);
	} else {
		reopen(c);
	}
}

static void on_to_opened(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);
	const struct stat *st = &c->node->st;

	/* Some devices can't make files; this one may be there all the same. */
	if ((result == -EEXIST || result == -ENOSYS) && !c->existed) {
		if (c->x->from == c->x->to)
			c->x->to->stat(c->x, target(c), true, &c->have, step(c, on_same_looked));
		else
			reopen(c);
		return;
	}
	if (result < 0) {
		c->to = NULL;
		c->error = result;
		close_both(c);
		return;
	}
	c->sparse = (uint64_t)st->st_blocks * 512 < (uint64_t)st->st_size &&
		    st->st_size > (off_t)c->unit;
	c->end = (uint64_t)st->st_size;
	c->segment_end = c->next;
	if (can_pass(c))
		pass(c);
	else
		viofs_copy_move(c);
}

static void on_from_opened(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);
	int flags = (c->x->verify ? O_RDWR : O_WRONLY) | O_CREAT | O_NOFOLLOW;

	if (result < 0) {
		c->error = result;
		viofs_copy_end(c);
		return;
	}
	c->existed = c->resumed;
	c->x->to->open(c->x, target(c), flags | (c->resumed ? 0 : O_EXCL),
		       viofs_xfer_node_mode_now(c->x, c->node), &c->to, step(c, on_to_opened));
}

static void open_both(struct viofs_copy *c)
{
	c->x->from->open(c->x, &c->node->from, O_RDONLY, 0, &c->from, step(c, on_from_opened));
}

/* A partial file is one of this file as it is now: not longer, and last written after the file was.
 */
static void on_part_looked(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);
	const struct stat *st = &c->node->st;
	uint64_t size = (uint64_t)c->have.st_size;

	if (!result && S_ISREG(c->have.st_mode) && c->have.st_size <= st->st_size &&
	    (c->have.st_mtim.tv_sec > st->st_mtim.tv_sec ||
	     (c->have.st_mtim.tv_sec == st->st_mtim.tv_sec &&
	      c->have.st_mtim.tv_nsec >= st->st_mtim.tv_nsec))) {
		c->resumed = true;
		c->next = size > VIOFS_XFER_WINDOW ? (size - VIOFS_XFER_WINDOW) / c->unit * c->unit
						   : 0;
		c->x->progress.bytes += c->next;
	}
	open_both(c);
}

static void on_whole_looked(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = of(op);
	const struct stat *st = &c->node->st, *have = &c->have;

	if (!result && S_ISREG(have->st_mode) && have->st_size == st->st_size &&
	    have->st_mtim.tv_sec == st->st_mtim.tv_sec &&
	    have->st_mtim.tv_nsec == st->st_mtim.tv_nsec) {
		c->x->progress.bytes += (uint64_t)st->st_size;
		viofs_copy_end(c);
	} else if (c->part.path) {
		c->x->to->stat(c->x, &c->part, false, &c->have, step(c, on_part_looked));
	} else {
		open_both(c);
	}
}

/* NAME.part; of a name that is too long for that its beginning, and a number made of all of it. */
static int make_part(struct viofs_copy *c)
{
	const struct viofs_xfer_place *to = &c->node->to;
	const char *slash = strrchr(to->path, '/'), *base = slash ? slash + 1 : to->path;
	size_t len = strlen(to->path) + 32;
	uint32_t hash = 2166136261U;

	c->part = (struct viofs_xfer_place){ to->dir, NULL, malloc(len) };
	if (!c->part.path)
		return -ENOMEM;
	if (strlen(base) + strlen(VIOFS_XFER_PART) <= 255) {
		snprintf(c->part.path, len, "%s" VIOFS_XFER_PART, to->path);
	} else {
		for (const char *s = base; *s; s++)
			hash = (hash ^ (unsigned char)*s) * 16777619U;
		snprintf(c->part.path, len, "%.*s~%08x" VIOFS_XFER_PART,
			 (int)(base - to->path) + 200, to->path, hash);
	}
	c->part.name = c->node->parent ? c->part.path + (base - to->path) : c->part.path;
	return 0;
}

void viofs_copy_regular(struct viofs_copy *c)
{
	bool large = c->node->st.st_size > (off_t)VIOFS_XFER_BLOCK;

	c->unit = c->node->st.st_size >= (off_t)VIOFS_XFER_SMALL ? VIOFS_XFER_BLOCK
								 : VIOFS_XFER_SMALL;
	if ((large || c->x->verify) && make_part(c)) {
		c->error = -ENOMEM;
		viofs_copy_end(c);
		return;
	}
	if (c->x->resume)
		c->x->to->stat(c->x, &c->node->to, false, &c->have, step(c, on_whole_looked));
	else
		open_both(c);
}
