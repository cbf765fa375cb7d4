/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The in-memory tree's nodes: numbers, names, bytes. */
/*
 * References are counted as the kernel has to count them: a FORGET of more than it was given ends
 * the driver. A number is never used again, so a stale one is found out too.
 */
#include "dev_nodes.h"
#include "dev_keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define NODES_MAX (1U << 20)
#define FILE_MAX (1ULL << 30)

static struct dev_node *nodes[NODES_MAX];
static uint64_t next_id = FUSE_ROOT_ID, alive;

uint64_t dev_nodes_valid_s = 1;

struct dev_node *dev_node_find(uint64_t nodeid)
{
	if (nodeid >= next_id || !nodes[nodeid])
		dev_driver_fault("node %llu is not there (any more)", (unsigned long long)nodeid);
	return nodes[nodeid];
}

uint64_t dev_node_count(void)
{
	return alive;
}

void dev_node_touch(struct dev_node *n, bool modified)
{
	struct timespec now;

	dev_keep_now(&now);
	n->attr.ctime = (uint64_t)now.tv_sec;
	n->attr.ctimensec = (uint32_t)now.tv_nsec;
	if (modified) {
		n->attr.mtime = n->attr.ctime;
		n->attr.mtimensec = n->attr.ctimensec;
	}
}

struct dev_node *dev_node_new(uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct dev_node *n = calloc(1, sizeof(*n));

	if (!n || next_id == NODES_MAX)
		abort();
	n->attr = (struct fuse_attr){
		.ino = next_id,
		.mode = mode,
		.uid = uid,
		.gid = gid,
		.blksize = 4096,
		.nlink = S_ISDIR(mode) ? 1 : 0,
	};
	n->last = &n->entries;
	n->cookies = 2; /* 1 and 2 are "." and ".." */
	dev_node_touch(n, true);
	n->attr.atime = n->attr.mtime;
	n->attr.atimensec = n->attr.mtimensec;
	nodes[next_id++] = n;
	alive++;
	return n;
}

void dev_node_drop(struct dev_node *n)
{
	bool dead = S_ISDIR(n->attr.mode) ? n->attr.nlink < 2 : !n->attr.nlink;

	if (!dead || n->nlookup || n->opens)
		return;
	nodes[n->attr.ino] = NULL;
	alive--;
	while (n->xattrs) {
		struct dev_xattr *x = n->xattrs;

		n->xattrs = x->next;
		free(x);
	}
	free(n->data);
	free(n);
}

int dev_node_resize(struct dev_node *n, uint64_t size)
{
	if (size > FILE_MAX)
		return -EFBIG;
	if (size > n->capacity) {
		uint64_t capacity = size + size / 2;
		uint8_t *data = realloc(n->data, capacity);

		if (!data)
			return -ENOSPC;
		n->data = data;
		n->capacity = capacity;
	}
	/* What comes back after a truncation is zeros. */
	if (size > n->attr.size)
		memset(n->data + n->attr.size, 0, size - n->attr.size);
	n->attr.size = size;
	n->attr.blocks = (size + 511) / 512;
	return 0;
}

struct dev_entry *dev_entry_find(struct dev_node *dir, const char *name)
{
	for (struct dev_entry *e = dir->entries; e; e = e->next)
		if (!strcmp(e->name, name))
			return e;
	return NULL;
}

void dev_entry_add(struct dev_node *dir, const char *name, struct dev_node *n)
{
	struct dev_entry *e = calloc(1, sizeof(*e));

	if (!e)
		abort();
	strncpy(e->name, name, sizeof(e->name) - 1);
	e->node = n;
	e->cookie = ++dir->cookies;
	*dir->last = e;
	dir->last = &e->next;
	n->attr.nlink++;
	if (S_ISDIR(n->attr.mode)) {
		n->parent = dir;
		dir->attr.nlink++;
	}
	dev_node_touch(n, false);
	dev_node_touch(dir, true);
}

void dev_entry_remove(struct dev_node *dir, struct dev_entry *e)
{
	struct dev_entry **at = &dir->entries;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	if (!e->next)
		dir->last = at;
	e->node->attr.nlink--;
	if (S_ISDIR(e->node->attr.mode))
		dir->attr.nlink--;
	dev_node_touch(e->node, false);
	dev_node_touch(dir, true);
	free(e);
}

void dev_node_reference(struct dev_node *n, struct fuse_entry_out *out)
{
	memset(out, 0, sizeof(*out));
	n->nlookup++;
	dev_references++;
	out->nodeid = n->attr.ino;
	out->generation = 1;
	out->entry_valid = out->attr_valid = dev_nodes_valid_s;
	out->attr = n->attr;
}
