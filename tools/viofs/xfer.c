/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of a copy: what may begin, what has ended.
 *
 * One thread (xfer.h). The copy owns its nodes, blocks and user of calls; a block that was taken is
 * its taker's until it is given back, and what has ended is told by the loop only.
 */
#include "xfer.h"
#include "xfer_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Directories are read on while fewer files than this wait. */
#define FILES_WAITING 512U
#define DIRS_ACTIVE 8U
#define EVENTS 64U
/* How often signals are seen and progress is shown, at least. */
#define LOOK_NS 100000000

void viofs_xfer_push(struct viofs_xfer_nodes *list, struct viofs_xfer_node *node, bool at_front)
{
	node->next = at_front ? list->first : NULL;
	if (!list->first)
		list->first = list->last = node;
	else if (at_front)
		list->first = node;
	else
		list->last = list->last->next = node;
	list->count++;
}

struct viofs_xfer_node *viofs_xfer_pop(struct viofs_xfer_nodes *list)
{
	struct viofs_xfer_node *node = list->first;

	if (node) {
		list->first = node->next;
		node->next = NULL;
		list->count--;
	}
	return node;
}

void viofs_xfer_ready(struct viofs_xfer *x, struct viofs_xfer_op *op, int64_t result)
{
	op->result = result;
	op->next = NULL;
	if (x->ready)
		x->ready_last->next = op;
	else
		x->ready = op;
	x->ready_last = op;
}

void viofs_xfer_fail(struct viofs_xfer *x, const char *path, int64_t rc)
{
	struct viofs_err err = { .text = "" };

	if (x->fault)
		snprintf(err.text, sizeof(err.text),
			 "Input/output error; the device broke the rules: %s", x->fault);
	viofs_progress_clear(&x->progress);
	viofs_cli_fail(x->cli, path, rc, &err);
}

struct viofs_block *viofs_xfer_take_block(struct viofs_xfer *x, bool large)
{
	struct viofs_block **list = large ? &x->large : &x->small, *b = *list;

	if (b)
		*list = b->next;
	return b;
}

/* The first that waits for a buffer has one, or a reason not to. */
static void feed(struct viofs_xfer *x)
{
	struct viofs_copy *c = x->hungry;

	x->hungry = c->next_hungry;
	c->is_hungry = false;
	c->fed(c);
}

void viofs_xfer_give_block(struct viofs_xfer *x, struct viofs_block *b)
{
	struct viofs_block **list = b->room == VIOFS_XFER_BLOCK ? &x->large : &x->small;

	b->next = *list;
	*list = b;
	if (x->hungry)
		feed(x);
}

void viofs_xfer_wait_block(struct viofs_copy *c, void (*then)(struct viofs_copy *c))
{
	struct viofs_xfer *x = c->x;

	c->is_hungry = true;
	c->fed = then;
	c->next_hungry = NULL;
	if (x->hungry)
		x->hungry_last->next_hungry = c;
	else
		x->hungry = c;
	x->hungry_last = c;
}

static int get_memory(struct viofs_xfer *x, struct viofs_block *b, bool large)
{
	b->room = large ? VIOFS_XFER_BLOCK : VIOFS_XFER_SMALL;
	b->data = viofs_dma_alloc(x->cli->dev, b->room);
	if (!b->data) {
		/* The library copies then. */
		b->data = malloc(b->room);
		b->plain = true;
	}
	if (!b->data)
		return -ENOMEM;
	b->next = large ? x->large : x->small;
	*(large ? &x->large : &x->small) = b;
	return 0;
}

int viofs_xfer_open(struct viofs_xfer *x, struct viofs_cli *cli, const struct viofs_side *from,
		    const struct viofs_side *to, unsigned int jobs)
{
	unsigned int count = VIOFS_XFER_LARGE_COUNT + VIOFS_XFER_SMALL_COUNT;
	struct viofs_err err;

	memset(x, 0, sizeof(*x));
	x->cli = cli;
	x->from = from;
	x->to = to;
	x->jobs = jobs;
	if (viofs_async_open(cli->session, 0, &x->async, &err))
		return viofs_cli_say("%s", err.text);
	x->blocks = calloc(count, sizeof(*x->blocks));
	for (unsigned int i = 0; x->blocks && i < count; i++) {
		if (get_memory(x, &x->blocks[i], i < VIOFS_XFER_LARGE_COUNT)) {
			viofs_xfer_close(x);
			return viofs_cli_say("Out of memory.");
		}
	}
	return x->blocks ? 0 : viofs_cli_say("Out of memory.");
}

void viofs_xfer_close(struct viofs_xfer *x)
{
	viofs_async_close(x->async);
	for (unsigned int i = 0; x->blocks && i < VIOFS_XFER_LARGE_COUNT + VIOFS_XFER_SMALL_COUNT;
	     i++) {
		if (x->blocks[i].plain)
			free(x->blocks[i].data);
		else
			viofs_dma_free(x->cli->dev, x->blocks[i].data);
	}
	free(x->blocks);
}

void viofs_xfer_add(struct viofs_xfer *x, char *from, char *to, bool to_named)
{
	struct viofs_xfer_node *node = calloc(1, sizeof(*node));

	if (!node || !from || !to) {
		viofs_xfer_fail(x, from ? from : "", -ENOMEM);
		free(node);
		free(from);
		free(to);
		return;
	}
	node->from = (struct viofs_xfer_place){ AT_FDCWD, from, from };
	node->to = (struct viofs_xfer_place){ AT_FDCWD, to, to };
	node->to_fd = -1;
	node->to_named = to_named;
	viofs_xfer_push(&x->files, node, false);
}

static void begin_what_may(struct viofs_xfer *x)
{
	struct viofs_xfer_node *node;

	while (x->files_active < x->jobs && (node = viofs_xfer_pop(&x->files))) {
		x->files_active++;
		viofs_copy_begin(x, node);
	}
	if (x->files.count >= FILES_WAITING)
		return;
	while ((node = viofs_xfer_pop(&x->parked)))
		viofs_dir_go_on(x, node);
	while (x->dirs_active < DIRS_ACTIVE && (node = viofs_xfer_pop(&x->dirs))) {
		x->dirs_active++;
		viofs_dir_begin(x, node);
	}
}

/* A signal came: begin nothing more. */
static void drop_waiting(struct viofs_xfer *x)
{
	struct viofs_xfer_node *node;

	x->stopping = true;
	while ((node = viofs_xfer_pop(&x->files)) || (node = viofs_xfer_pop(&x->dirs)))
		viofs_xfer_node_done(x, node);
	/* These end as soon as they go on. */
	while ((node = viofs_xfer_pop(&x->parked)))
		viofs_dir_go_on(x, node);
	while (x->hungry)
		feed(x);
}

static bool is_done(const struct viofs_xfer *x)
{
	return !x->files_active && !x->dirs_active && !x->unfinished && !x->files.count &&
	       !x->dirs.count && !x->parked.count && !x->ready;
}

static void tell_ready(struct viofs_xfer *x)
{
	struct viofs_xfer_op *op = x->ready;

	x->ready = NULL;
	while (op) {
		struct viofs_xfer_op *next = op->next;

		op->done(op, op->result);
		op = next;
	}
}

void viofs_xfer_run(struct viofs_xfer *x)
{
	struct viofs_event events[EVENTS];

	while (!is_done(x)) {
		int count;

		if (viofs_cli_stopped() && !x->stopping)
			drop_waiting(x);
		begin_what_may(x);
		tell_ready(x);
		if (is_done(x))
			break;
		count = viofs_async_wait(x->async, events, x->ready ? 0 : 1, EVENTS,
					 x->ready ? 0 : LOOK_NS);
		for (int i = 0; i < count; i++) {
			struct viofs_xfer_op *op = events[i].user;

			/* Of what follows from this event. */
			x->fault = events[i].fault;
			op->done(op, events[i].result);
			x->fault = NULL;
		}
		x->progress.open_end = x->dirs_active || x->dirs.count;
		viofs_progress_show(&x->progress);
	}
	viofs_progress_clear(&x->progress);
}
