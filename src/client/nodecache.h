/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes that the device counts references to, and the names they were found by. Private to
 * src/client
 *
 * A node lives as long as somebody here has a reference: a walk, an open file, a name in the cache.
 * Its `lookups` is what the device has counted up: one for each LOOKUP and the like that was
 * answered with it. When the last reference goes, so many are given back with a FORGET, which waits
 * in `forgets` for a batch. A name holds a reference of its folder and one of its node, and is
 * dropped when the device's time for it is over, or when it is the least recently used of too many.
 */
#ifndef VIOFS_CLIENT_NODECACHE_H
#define VIOFS_CLIENT_NODECACHE_H

#include "fuse/opcodes.h"

#include <pthread.h>
#include <stdbool.h>

/** struct viofs_node - one inode of the device's */
struct viofs_node {
	uint64_t nodeid;
	uint64_t lookups;
	unsigned int refs;
	struct viofs_node *hash_next;
	struct fuse_attr attr;
	int64_t attr_end; /* ns, until when attr holds; 0: not any more */
};

/** struct viofs_name - a name in the cache */
struct viofs_name {
	struct viofs_node *folder, *node;
	struct viofs_name *hash_next, *newer, *older;
	int64_t end; /* ns */
	uint16_t len;
	char name[];
};

/** struct viofs_cache - all of it is used under its lock */
struct viofs_cache {
	pthread_mutex_t lock;
	const int
		*here; /* 0 in a child of fork(2), where nothing is counted; NULL: no such thing */
	struct viofs_node **nodes;
	struct viofs_name **names;
	unsigned int node_count, name_count, names_max;
	unsigned int buckets; /* of both, a power of two */
	uint64_t seed;
	struct viofs_name *newest, *oldest;
	struct fuse_forget_one *forgets;
	unsigned int forget_count, forget_room;
	uint64_t lookups; /* the sum over all nodes and forgets that wait */
	struct viofs_node root;
};

int viofs_cache_init(struct viofs_cache *c, unsigned int names_max);
void viofs_cache_fini(struct viofs_cache *c);

/**
 * viofs_node_take() - the node of an entry that the device counted one reference for
 * @e: checked. Return: it, with a reference; NULL: no memory, and a FORGET waits.
 */
struct viofs_node *viofs_node_take(struct viofs_cache *c, const struct fuse_entry_out *e);
/** viofs_node_get(), viofs_node_put() - references; NULL is fine for put. */
void viofs_node_get(struct viofs_cache *c, struct viofs_node *node);
void viofs_node_put(struct viofs_cache *c, struct viofs_node *node);
/** viofs_node_set_attr() - what the device says it is now, and for how long. */
void viofs_node_set_attr(struct viofs_cache *c, struct viofs_node *node,
			 const struct fuse_attr *attr, uint64_t valid, uint32_t valid_nsec);
/** viofs_node_stale() - attributes have to be asked for again. */
void viofs_node_stale(struct viofs_cache *c, struct viofs_node *node);
/** viofs_node_attr() - a copy. Return: do they hold still? */
bool viofs_node_attr(struct viofs_cache *c, struct viofs_node *node, struct fuse_attr *out);

/** viofs_name_find() - Return: the node with a reference, or NULL. */
struct viofs_node *viofs_name_find(struct viofs_cache *c, const struct viofs_node *folder,
				   const char *name);
/** viofs_name_set() - @node is @folder's @name, for so long. */
void viofs_name_set(struct viofs_cache *c, struct viofs_node *folder, const char *name,
		    struct viofs_node *node, uint64_t valid, uint32_t valid_nsec);
/** viofs_name_drop() - it isn't any more, or may be another's. */
void viofs_name_drop(struct viofs_cache *c, const struct viofs_node *folder, const char *name);
/** viofs_cache_drop() - all names, and attributes. */
void viofs_cache_drop(struct viofs_cache *c);

/** viofs_forget_add() - @lookups of @nodeid are to be given back. */
void viofs_forget_add(struct viofs_cache *c, uint64_t nodeid, uint64_t lookups);
/** viofs_forget_take() - up to @max of them. Return: how many. */
unsigned int viofs_forget_take(struct viofs_cache *c, struct fuse_forget_one *out,
			       unsigned int max);

#endif
