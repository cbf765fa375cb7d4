/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For whom a call is made, and from which folder its path begins.
 *
 * Session, view, open file and open directory each own a reference to their caller; a call borrows
 * it from one of them. The last reference frees it, from whatever thread. A way belongs to one
 * session, view, walk or open directory, with a reference to each of its nodes.
 */
#include "client/caller.h"

#include <errno.h>
#include <stdlib.h>

struct viofs_caller *viofs_caller_new(const struct viofs_cred *cred, uint32_t timeout_ms,
				      uint32_t flags)
{
	struct viofs_caller *caller = malloc(sizeof(*caller));

	if (caller)
		*caller = (struct viofs_caller){
			.refs = 1,
			.uid = cred->uid,
			.gid = cred->gid,
			.pid = cred->pid,
			.timeout_ms = timeout_ms,
			.check = flags & VIOFS_SESSION_CHECK,
			.fresh = flags & VIOFS_SESSION_FORCE_SYNC,
		};
	return caller;
}

struct viofs_caller *viofs_caller_get(struct viofs_caller *caller)
{
	__atomic_add_fetch(&caller->refs, 1, __ATOMIC_RELAXED);
	return caller;
}

void viofs_caller_put(struct viofs_caller *caller)
{
	if (caller && !__atomic_sub_fetch(&caller->refs, 1, __ATOMIC_ACQ_REL))
		free(caller);
}

int viofs_way_copy(struct viofs_cache *c, const struct viofs_way *from, struct viofs_way *out)
{
	struct viofs_node **nodes = calloc(from->depth + 1, sizeof(struct viofs_node *));

	if (!nodes)
		return -ENOMEM;
	for (unsigned int i = 0; i < from->depth; i++) {
		nodes[i] = from->nodes[i];
		viofs_node_get(c, nodes[i]);
	}
	*out = (struct viofs_way){ nodes, from->depth };
	return 0;
}

void viofs_way_fini(struct viofs_cache *c, struct viofs_way *way)
{
	while (way->depth)
		viofs_node_put(c, way->nodes[--way->depth]);
	free(way->nodes);
	way->nodes = NULL;
}
