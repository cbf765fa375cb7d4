/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The in-memory tree's nodes. */
#ifndef DEV_NODES_H
#define DEV_NODES_H

#include "dev.h"

/** struct dev_entry - a name in a directory; @cookie counts up, so that READDIR survives changes */
struct dev_entry {
	struct dev_entry *next;
	uint64_t cookie;
	struct dev_node *node;
	char name[256];
};

struct dev_xattr {
	struct dev_xattr *next;
	char name[256];
	uint32_t size;
	uint8_t value[];
};

/** struct dev_node - a file of any type */
struct dev_node {
	uint64_t nlookup; /* the kernel's references: LOOKUP and the like less FORGET */
	uint64_t opens;
	struct fuse_attr attr;
	uint8_t *data; /* a file's bytes, a symlink's target */
	uint64_t capacity;
	struct dev_entry *entries, **last;
	uint64_t cookies;
	struct dev_node *parent;
	struct dev_xattr *xattrs;
};

/** dev_node_find() - by nodeid; a driver that names one that isn't there doesn't survive it. */
struct dev_node *dev_node_find(uint64_t nodeid);
struct dev_node *dev_node_new(uint32_t mode, uint32_t uid, uint32_t gid);
/** dev_node_drop() - free it where nothing refers to it any more. */
void dev_node_drop(struct dev_node *n);
void dev_node_touch(struct dev_node *n, bool modified);
/** dev_node_resize() - Return: 0 or -errno. */
int dev_node_resize(struct dev_node *n, uint64_t size);
struct dev_entry *dev_entry_find(struct dev_node *dir, const char *name);
void dev_entry_add(struct dev_node *dir, const char *name, struct dev_node *n);
void dev_entry_remove(struct dev_node *dir, struct dev_entry *e);
/** dev_node_reference() - fill an entry's reply: one more reference of the kernel's. */
void dev_node_reference(struct dev_node *n, struct fuse_entry_out *out);
uint64_t dev_node_count(void);
/** Seconds that the kernel may believe names and attributes. */
extern uint64_t dev_nodes_valid_s;

#endif
