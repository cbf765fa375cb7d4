/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes, names, and what is to be forgotten.
 *
 * The cache is the session's, and used by all threads: each function takes its lock, for as long as
 * it takes to change a few pointers, and calls nothing of others meanwhile. A node is its holders'
 * together; who drops the last reference frees it.
 */
#include "client/nodecache.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* FORGETs that wait, and one for each name beside: a device that takes none would fill the memory.
 */
#define FORGETS_MAX (1U << 20)
/* A device can give any number; more than this counts as for ever. */
#define VALID_MAX_S 315360000ULL

static uint64_t mix(uint64_t h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	return h ^ h >> 33;
}

static unsigned int node_bucket(const struct viofs_cache *c, uint64_t nodeid)
{
	return (unsigned int)mix(nodeid ^ c->seed) & (c->buckets - 1);
}

/* The device chooses names. With a secret seed it can't choose their buckets. */
static unsigned int name_bucket(const struct viofs_cache *c, const struct viofs_node *folder,
				const char *name, size_t len)
{
	uint64_t h = mix(folder->nodeid ^ c->seed);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 0x100000001b3ULL;
	return (unsigned int)mix(h) & (c->buckets - 1);
}

static int64_t end_of(uint64_t valid, uint32_t nsec)
{
	if (!valid && !nsec)
		return 0;
	return viofs_now_ns() + (int64_t)VIOFS_MIN(valid, VALID_MAX_S) * VIOFS_NSEC_PER_SEC +
	       VIOFS_MIN(nsec, 999999999U);
}

int viofs_cache_init(struct viofs_cache *c, unsigned int names_max)
{
	c->names_max = names_max;
	c->buckets = 64;
	while (c->buckets < names_max && c->buckets < 1U << 20)
		c->buckets *= 2;
	c->nodes = calloc(c->buckets, sizeof(struct viofs_node *));
	c->names = calloc(c->buckets, sizeof(struct viofs_name *));
	c->seed = mix((uint64_t)viofs_now_ns() ^ (uintptr_t)c);
	c->root.nodeid = FUSE_ROOT_ID;
	c->root.refs = 1;
	c->root.attr.mode = 0040000;
	pthread_mutex_init(&c->lock, NULL);
	return c->nodes && c->names ? 0 : -ENOMEM;
}

static struct viofs_node **node_link(struct viofs_cache *c, uint64_t nodeid)
{
	struct viofs_node **at = &c->nodes[node_bucket(c, nodeid)];

	while (*at && (*at)->nodeid != nodeid)
		at = &(*at)->hash_next;
	return at;
}

/* viofs_async_forget() looks at it without the lock. */
static void set_forget_count(struct viofs_cache *c, unsigned int n)
{
	__atomic_store_n(&c->forget_count, n, __ATOMIC_RELAXED);
}

static bool make_room(struct viofs_cache *c)
{
	unsigned int room = c->forget_room ? c->forget_room * 2 : 256;
	void *more;

	if (c->forget_count < c->forget_room)
		return true;
	if (c->forget_count >= (uint64_t)FORGETS_MAX + c->names_max)
		return false;
	more = realloc(c->forgets, room * sizeof(*c->forgets));
	if (!more)
		return false;
	c->forgets = more;
	c->forget_room = room;
	return true;
}

static void forget_locked(struct viofs_cache *c, uint64_t nodeid, uint64_t lookups)
{
	if (!make_room(c)) { /* the device keeps it until the session's end */
		c->lookups -= lookups;
		return;
	}
	c->forgets[c->forget_count] =
		(struct fuse_forget_one){ .nodeid = nodeid, .nlookup = lookups };
	set_forget_count(c, c->forget_count + 1);
}

static void put_locked(struct viofs_cache *c, struct viofs_node *node)
{
	struct viofs_node **at;

	if (--node->refs || node == &c->root)
		return;
	at = node_link(c, node->nodeid);
	*at = node->hash_next;
	c->node_count--;
	forget_locked(c, node->nodeid, node->lookups);
	free(node);
}

static void set_attr_locked(struct viofs_node *node, const struct fuse_attr *attr, uint64_t valid,
			    uint32_t nsec)
{
	node->attr = *attr;
	node->attr_end = end_of(valid, nsec);
}

struct viofs_node *viofs_node_take(struct viofs_cache *c, const struct fuse_entry_out *e)
{
	struct viofs_node **at, *node;

	pthread_mutex_lock(&c->lock);
	c->lookups++;
	at = node_link(c, e->nodeid);
	node = *at;
	if (!node) {
		node = calloc(1, sizeof(*node));
		if (!node) {
			forget_locked(c, e->nodeid, 1);
			goto out;
		}
		node->nodeid = e->nodeid;
		*at = node;
		c->node_count++;
	}
	node->refs++;
	node->lookups++;
	set_attr_locked(node, &e->attr, e->attr_valid, e->attr_valid_nsec);
out:
	pthread_mutex_unlock(&c->lock);
	return node;
}

void viofs_node_get(struct viofs_cache *c, struct viofs_node *node)
{
	pthread_mutex_lock(&c->lock);
	node->refs++;
	pthread_mutex_unlock(&c->lock);
}

void viofs_node_put(struct viofs_cache *c, struct viofs_node *node)
{
	/* In a child of fork(2) another thread may have held the lock. */
	if (!node || (c->here && !*c->here))
		return;
	pthread_mutex_lock(&c->lock);
	put_locked(c, node);
	pthread_mutex_unlock(&c->lock);
}

void viofs_node_set_attr(struct viofs_cache *c, struct viofs_node *node,
			 const struct fuse_attr *attr, uint64_t valid, uint32_t valid_nsec)
{
	pthread_mutex_lock(&c->lock);
	set_attr_locked(node, attr, valid, valid_nsec);
	pthread_mutex_unlock(&c->lock);
}

void viofs_node_stale(struct viofs_cache *c, struct viofs_node *node)
{
	pthread_mutex_lock(&c->lock);
	node->attr_end = 0;
	pthread_mutex_unlock(&c->lock);
}

bool viofs_node_attr(struct viofs_cache *c, struct viofs_node *node, struct fuse_attr *out)
{
	bool holds;

	pthread_mutex_lock(&c->lock);
	*out = node->attr;
	holds = node->attr_end && viofs_now_ns() < node->attr_end;
	pthread_mutex_unlock(&c->lock);
	return holds;
}

static struct viofs_name **name_link(struct viofs_cache *c, const struct viofs_node *folder,
				     const char *name, size_t len)
{
	struct viofs_name **at = &c->names[name_bucket(c, folder, name, len)];

	while (*at &&
	       !((*at)->folder == folder && (*at)->len == len && !memcmp((*at)->name, name, len)))
		at = &(*at)->hash_next;
	return at;
}

static void unlink_lru(struct viofs_cache *c, struct viofs_name *n)
{
	*(n->newer ? &n->newer->older : &c->newest) = n->older;
	*(n->older ? &n->older->newer : &c->oldest) = n->newer;
}

static void link_newest(struct viofs_cache *c, struct viofs_name *n)
{
	n->newer = NULL;
	n->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = n;
	c->newest = n;
}

static void drop_locked(struct viofs_cache *c, struct viofs_name **at)
{
	struct viofs_name *n = *at;

	assert(n);
	*at = n->hash_next;
	unlink_lru(c, n);
	c->name_count--;
	put_locked(c, n->node);
	put_locked(c, n->folder);
	free(n);
}

struct viofs_node *viofs_name_find(struct viofs_cache *c, const struct viofs_node *folder,
				   const char *name)
{
	struct viofs_node *node = NULL;
	struct viofs_name **at;

	pthread_mutex_lock(&c->lock);
	at = name_link(c, folder, name, strlen(name));
	if (*at && viofs_now_ns() < (*at)->end) {
		node = (*at)->node;
		node->refs++;
		unlink_lru(c, *at);
		link_newest(c, *at);
	} else if (*at) {
		drop_locked(c, at);
	}
	pthread_mutex_unlock(&c->lock);
	return node;
}

void viofs_name_set(struct viofs_cache *c, struct viofs_node *folder, const char *name,
		    struct viofs_node *node, uint64_t valid, uint32_t valid_nsec)
{
	size_t len = strlen(name);
	int64_t end = end_of(valid, valid_nsec);
	struct viofs_name **at, *n = NULL;

	if (end)
		n = malloc(sizeof(*n) + len);
	pthread_mutex_lock(&c->lock);
	at = name_link(c, folder, name, len);
	if (*at)
		drop_locked(c, at);
	if (n) {
		n->folder = folder;
		n->node = node;
		folder->refs++;
		node->refs++;
		n->end = end;
		n->len = (uint16_t)len;
		memcpy(n->name, name, len);
		at = &c->names[name_bucket(c, folder, name, len)];
		n->hash_next = *at;
		*at = n;
		link_newest(c, n);
		c->name_count++;
	}
	while (c->name_count > c->names_max) {
		n = c->oldest;
		drop_locked(c, name_link(c, n->folder, n->name, n->len));
	}
	pthread_mutex_unlock(&c->lock);
}

void viofs_name_drop(struct viofs_cache *c, const struct viofs_node *folder, const char *name)
{
	struct viofs_name **at;

	pthread_mutex_lock(&c->lock);
	at = name_link(c, folder, name, strlen(name));
	if (*at)
		drop_locked(c, at);
	pthread_mutex_unlock(&c->lock);
}

static void drop_all_locked(struct viofs_cache *c)
{
	while (c->oldest)
		drop_locked(c, name_link(c, c->oldest->folder, c->oldest->name, c->oldest->len));
}

void viofs_cache_drop(struct viofs_cache *c)
{
	pthread_mutex_lock(&c->lock);
	drop_all_locked(c);
	for (unsigned int i = 0; i < c->buckets; i++)
		for (struct viofs_node *n = c->nodes[i]; n; n = n->hash_next)
			n->attr_end = 0;
	c->root.attr_end = 0;
	pthread_mutex_unlock(&c->lock);
}

void viofs_cache_fini(struct viofs_cache *c)
{
	if (!c->buckets)
		return;
	if (c->nodes && c->names)
		drop_all_locked(c);
	/* Of files that were not closed. */
	for (unsigned int i = 0; c->nodes && i < c->buckets; i++) {
		while (c->nodes[i]) {
			struct viofs_node *n = c->nodes[i];

			c->nodes[i] = n->hash_next;
			free(n);
		}
	}
	free(c->nodes);
	free(c->names);
	free(c->forgets);
	pthread_mutex_destroy(&c->lock);
}

void viofs_forget_add(struct viofs_cache *c, uint64_t nodeid, uint64_t lookups)
{
	pthread_mutex_lock(&c->lock);
	c->lookups += lookups;
	forget_locked(c, nodeid, lookups);
	pthread_mutex_unlock(&c->lock);
}

unsigned int viofs_forget_take(struct viofs_cache *c, struct fuse_forget_one *out, unsigned int max)
{
	unsigned int n;

	pthread_mutex_lock(&c->lock);
	n = VIOFS_MIN(max, c->forget_count);
	set_forget_count(c, c->forget_count - n);
	if (n)
		memcpy(out, c->forgets + c->forget_count, n * sizeof(*out));
	for (unsigned int i = 0; i < n; i++)
		c->lookups -= out[i].nlookup;
	pthread_mutex_unlock(&c->lock);
	return n;
}
