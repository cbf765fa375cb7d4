/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copying trees between this machine and a share, or within a share, with many files under way at
 * once.
 *
 * One thread. Whatever is asked of the share is asynchronous; what is asked of this machine is done
 * at once, and its end is told by the same loop (viofs_xfer.ready), so that the steps of a copy
 * read the same for both sides. While a local write runs the device goes on with what it has.
 *
 * A node is a file or directory that is to be copied. Directories wait on a stack, so that the copy
 * goes down first and few of them are open; all else waits in a queue, and directories are read on
 * only while it is short. Below the names of the command line local files are reached by their
 * directory's descriptor and without following links, so whatever names and types a share shows,
 * nothing is written outside of the target.
 *
 * A copy is a node that is being worked on: see xfer_file.c.
 */
#ifndef VIOFS_TOOLS_XFER_H
#define VIOFS_TOOLS_XFER_H

#include "cli.h"
#include "progress.h"

#include <stddef.h>

/* Bytes of one read or write of a large file, and how many of one file are under way. */
#define VIOFS_XFER_BLOCK (1U << 20)
#define VIOFS_XFER_AHEAD 8U
#define VIOFS_XFER_LARGE_COUNT 16U
/* Buffers of small files. */
#define VIOFS_XFER_SMALL (1U << 16)
#define VIOFS_XFER_SMALL_COUNT 64U
/*
 * Everything of a partial file that lies so far below its end is there: blocks end in any order,
 * but none is begun that is further above the first that has not ended. Never to become less, since
 * it is about files of older runs.
 */
#define VIOFS_XFER_WINDOW (16U << 20)
#define VIOFS_XFER_PART ".part"

#define viofs_container(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

struct viofs_xfer;

/** struct viofs_xfer_op - something under way; @done is called from the loop, never from where it
 * was started */
struct viofs_xfer_op {
	void (*done)(struct viofs_xfer_op *op, int64_t result);
	struct viofs_xfer_op *next;
	int64_t result;
};

/** struct viofs_xfer_place - a name: local ones by @dir and @name, those of the share by @path */
struct viofs_xfer_place {
	int dir;
	const char *name;
	char *path; /* for messages too; owned */
};

/** enum viofs_attr - what viofs_side.attr sets */
enum viofs_attr { VIOFS_ATTR_OWNER, VIOFS_ATTR_MODE, VIOFS_ATTR_TIMES };

/** struct viofs_side - this machine, or the share. All but dir_next() and dir_fd() end by @op. */
struct viofs_side {
	void (*stat)(struct viofs_xfer *x, const struct viofs_xfer_place *p, bool follow,
		     struct stat *st, struct viofs_xfer_op *op);
	void (*open)(struct viofs_xfer *x, const struct viofs_xfer_place *p, int flags, mode_t mode,
		     void **file, struct viofs_xfer_op *op);
	void (*close)(struct viofs_xfer *x, void *file, struct viofs_xfer_op *op);
	void (*read)(struct viofs_xfer *x, void *file, void *data, size_t size, uint64_t offset,
		     struct viofs_xfer_op *op);
	void (*write)(struct viofs_xfer *x, void *file, const void *data, size_t size,
		      uint64_t offset, struct viofs_xfer_op *op);
	void (*seek)(struct viofs_xfer *x, void *file, uint64_t offset, int whence,
		     struct viofs_xfer_op *op);
	void (*truncate)(struct viofs_xfer *x, void *file, uint64_t size, struct viofs_xfer_op *op);
	/* From this side to the other one by one call: libviofs', or within the share the
	 * device's. The result is the number of bytes. */
	void (*pass)(struct viofs_xfer *x, void *from, void *to, size_t size, uint64_t offset,
		     struct viofs_xfer_op *op);
	/* To the disk, and out of the page cache where that is ours, so that reading back says
	 * something. */
	void (*settle)(struct viofs_xfer *x, void *file, struct viofs_xfer_op *op);
	/* @file: NULL: of the name itself, not of what a link leads to. */
	void (*attr)(struct viofs_xfer *x, enum viofs_attr what, void *file,
		     const struct viofs_xfer_place *p, const struct stat *st,
		     struct viofs_xfer_op *op);
	void (*rename)(struct viofs_xfer *x, const struct viofs_xfer_place *from,
		       const struct viofs_xfer_place *to, struct viofs_xfer_op *op);
	void (*unlink)(struct viofs_xfer *x, const struct viofs_xfer_place *p,
		       struct viofs_xfer_op *op);
	void (*mkdir)(struct viofs_xfer *x, const struct viofs_xfer_place *p, mode_t mode,
		      struct viofs_xfer_op *op);
	/* Into a directory that is there: @fd is for the places below. -ENOTDIR. */
	void (*enter)(struct viofs_xfer *x, const struct viofs_xfer_place *p, bool existed,
		      bool follow, int *fd, struct viofs_xfer_op *op);
	void (*symlink)(struct viofs_xfer *x, const char *target, const struct viofs_xfer_place *p,
			struct viofs_xfer_op *op);
	void (*readlink)(struct viofs_xfer *x, const struct viofs_xfer_place *p, char target[4096],
			 struct viofs_xfer_op *op);
	void (*mknod)(struct viofs_xfer *x, const struct viofs_xfer_place *p, mode_t mode,
		      dev_t dev, struct viofs_xfer_op *op);
	void (*dir_open)(struct viofs_xfer *x, const struct viofs_xfer_place *p, bool follow,
			 void **dir, struct viofs_xfer_op *op);
	/* The result is 0 at the end. */
	void (*dir_fill)(struct viofs_xfer *x, void *dir, struct viofs_xfer_op *op);
	/* An entry of the portion: 1; 0: no more in it; a negative errno. */
	int (*dir_next)(struct viofs_xfer *x, void *dir, const char **name, bool *has_stat,
			struct stat *st);
	int (*dir_fd)(void *dir);
	void (*dir_close)(struct viofs_xfer *x, void *dir, struct viofs_xfer_op *op);
};

extern const struct viofs_side viofs_side_local, viofs_side_share;
/** viofs_side_local_fd() - the descriptor of a file of viofs_side_local. */
int viofs_side_local_fd(void *file);

/** struct viofs_xfer_node - something to be copied */
struct viofs_xfer_node {
	struct viofs_xfer_node *parent, *next;
	struct viofs_xfer_place from, to;
	struct stat st;
	bool has_stat, to_named;
	/* A directory's. */
	struct viofs_xfer *x;
	struct viofs_xfer_op op;
	void (*then)(struct viofs_xfer_node *node, int64_t result); /* after @op */
	void *dir;
	int to_fd;
	unsigned int pending; /* nodes below, and 1 while it is read */
	bool entered, existed, failed;
};

/** struct viofs_block - a buffer, and what is done with it */
struct viofs_block {
	struct viofs_xfer_op op;
	struct viofs_block *next; /* free, or of one copy */
	struct viofs_copy *copy;
	uint8_t *data;
	size_t room, size;
	uint64_t offset;
	bool plain; /* malloc()ed */
};

struct viofs_xfer_nodes {
	struct viofs_xfer_node *first, *last;
	unsigned int count;
};

/** struct viofs_xfer - one command's copies */
struct viofs_xfer {
	struct viofs_cli *cli;
	struct viofs_async *async;
	const struct viofs_side *from, *to;
	bool recursive, resume, verify, owner, verbose;
	mode_t mode_mask; /* what a copy gets of the source's mode */
	unsigned int jobs;
	bool stopping;
	const char *fault; /* what the device did wrong in what is being looked at, or NULL */
	struct viofs_xfer_op *ready, *ready_last;
	struct viofs_xfer_nodes files, dirs,
		parked; /* to be begun; directories that are not read on for now */
	unsigned int files_active, dirs_active; /* worked on; read */
	unsigned int unfinished;                /* directories that were begun */
	struct viofs_block *blocks;
	struct viofs_block *small, *large;       /* free */
	struct viofs_copy *hungry, *hungry_last; /* wait for a buffer */
	struct viofs_progress progress;
};

/* xfer.c */
/** viofs_xfer_open() - buffers and all. Return: 0; 1: said. */
int viofs_xfer_open(struct viofs_xfer *x, struct viofs_cli *cli, const struct viofs_side *from,
		    const struct viofs_side *to, unsigned int jobs);
void viofs_xfer_close(struct viofs_xfer *x);
/**
 * viofs_xfer_add() - a name of the command line; both paths are taken over
 * @to_named: the target itself was named, so where it is a link to a directory, that one is meant.
 */
void viofs_xfer_add(struct viofs_xfer *x, char *from, char *to, bool to_named);
/** viofs_xfer_run() - until all is copied, or a signal came. */
void viofs_xfer_run(struct viofs_xfer *x);
/** viofs_xfer_ready() - @op has ended; the loop tells it. */
void viofs_xfer_ready(struct viofs_xfer *x, struct viofs_xfer_op *op, int64_t result);
void viofs_xfer_push(struct viofs_xfer_nodes *list, struct viofs_xfer_node *node, bool at_front);
struct viofs_xfer_node *viofs_xfer_pop(struct viofs_xfer_nodes *list);
/** viofs_xfer_fail() - say it, and go on with others. */
void viofs_xfer_fail(struct viofs_xfer *x, const char *path, int64_t rc);
struct viofs_block *viofs_xfer_take_block(struct viofs_xfer *x, bool large);
void viofs_xfer_give_block(struct viofs_xfer *x, struct viofs_block *b);

/* xfer_dir.c */
/** viofs_xfer_node_new() - below @parent; NULL: out of memory, or a name that no directory can
 * have, which was said. */
struct viofs_xfer_node *viofs_xfer_node_new(struct viofs_xfer *x, struct viofs_xfer_node *parent,
					    const char *name);
/** viofs_xfer_node_know() - what it is; from here on the mode in node->st is the one that its copy
 * gets.
 */
void viofs_xfer_node_know(struct viofs_xfer *x, struct viofs_xfer_node *node,
			  const struct stat *st);
/**
 * viofs_xfer_node_mode_now() - the mode to make its copy with
 * What belongs to others in the end is nobody else's until then.
 */
mode_t viofs_xfer_node_mode_now(const struct viofs_xfer *x, const struct viofs_xfer_node *node);
/** viofs_xfer_node_done() - it is copied, or not; frees it, and ends its directory with the last
 * one. */
void viofs_xfer_node_done(struct viofs_xfer *x, struct viofs_xfer_node *node);
void viofs_dir_begin(struct viofs_xfer *x, struct viofs_xfer_node *node);
/** viofs_dir_go_on() - read the next portion. */
void viofs_dir_go_on(struct viofs_xfer *x, struct viofs_xfer_node *node);

/* xfer_node.c */
/** viofs_copy_begin() - whatever it is but a directory that is known for one. */
void viofs_copy_begin(struct viofs_xfer *x, struct viofs_xfer_node *node);

#endif
