/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tree in memory: extended attributes. */
#include "dev_nodes.h"
#include "dev_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

/* Without FUSE_SETXATTR_EXT, which is not offered. */
#define SETXATTR_IN FUSE_COMPAT_SETXATTR_IN_SIZE

static struct dev_xattr **find(struct dev_request *r, const char *name)
{
	struct dev_xattr **at = &dev_node_find(r->head->nodeid)->xattrs;

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void remove_at(struct dev_xattr **at)
{
	struct dev_xattr *x = *at;

	*at = x->next;
	free(x);
}

int dev_tree_setxattr(struct dev_request *r)
{
	const struct fuse_setxattr_in *in = r->arg;
	const char *name = (const char *)r->arg + SETXATTR_IN, *value = name + strlen(name) + 1;
	struct dev_xattr **at = find(r, name), *x;

	if (SETXATTR_IN + strlen(name) + 1 + in->size != r->arg_len)
		dev_driver_fault("SETXATTR of %u bytes in %u", in->size, r->arg_len);
	if (strlen(name) > 255)
		return -ERANGE;
	if (*at && in->flags & XATTR_CREATE)
		return -EEXIST;
	if (!*at && in->flags & XATTR_REPLACE)
		return -ENODATA;
	x = calloc(1, sizeof(*x) + in->size);
	if (!x)
		return -ENOMEM;
	strcpy(x->name, name);
	x->size = in->size;
	memcpy(x->value, value, in->size);
	if (*at)
		remove_at(at);
	x->next = *at;
	*at = x;
	dev_node_touch(dev_node_find(r->head->nodeid), false);
	return 0;
}

/* @bytes of an answer to someone who has room for @size, or asks how much it takes (0). */
static int answer(struct dev_request *r, const void *from, uint32_t bytes, uint32_t size)
{
	struct fuse_getxattr_out *out = dev_payload(r);

	if (!size) {
		out->size = bytes;
		return sizeof(*out);
	}
	if (bytes > size)
		return -ERANGE;
	memcpy(dev_payload(r), from, bytes);
	return (int)bytes;
}

int dev_tree_getxattr(struct dev_request *r)
{
	const struct fuse_getxattr_in *in = r->arg;
	const struct dev_xattr *x = *find(r, (const char *)(in + 1));

	return x ? answer(r, x->value, x->size, in->size) : -ENODATA;
}

int dev_tree_listxattr(struct dev_request *r)
{
	const struct fuse_getxattr_in *in = r->arg;
	char list[65536];
	size_t len = 0;

	for (struct dev_xattr *x = dev_node_find(r->head->nodeid)->xattrs; x; x = x->next) {
		if (len + strlen(x->name) + 1 > sizeof(list))
			return -E2BIG;
		strcpy(list + len, x->name);
		len += strlen(x->name) + 1;
	}
	return answer(r, list, (uint32_t)len, in->size);
}

int dev_tree_removexattr(struct dev_request *r)
{
	struct dev_xattr **at = find(r, r->arg);

	if (!*at)
		return -ENODATA;
	remove_at(at);
	dev_node_touch(dev_node_find(r->head->nodeid), false);
	return 0;
}
