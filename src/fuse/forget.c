/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BATCH_FORGET in pieces. */
#include "fuse/forget.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>

int viofs_fuse_forgets_start(struct viofs_fuse_forgets *f, const void *message, size_t len)
{
	const size_t before = sizeof(struct fuse_in_header) + sizeof(struct fuse_batch_forget_in);
	struct fuse_batch_forget_in in;

	if (len < before)
		return -EPROTO;
	memcpy(&in, (const uint8_t *)message + sizeof(struct fuse_in_header), sizeof(in));
	if (in.count != (len - before) / sizeof(struct fuse_forget_one) ||
	    (len - before) % sizeof(struct fuse_forget_one))
		return -EPROTO;
	f->head = message;
	f->entries = (const uint8_t *)message + before;
	f->left = in.count;
	return 0;
}

static size_t put_single(struct viofs_fuse_forgets *f, uint8_t *out)
{
	struct fuse_in_header head = *f->head;
	struct fuse_forget_one one;
	struct fuse_forget_in in;

	memcpy(&one, f->entries, sizeof(one));
	in.nlookup = one.nlookup;
	head.opcode = FUSE_FORGET;
	head.nodeid = one.nodeid;
	head.len = sizeof(head) + sizeof(in);
	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), &in, sizeof(in));
	return head.len;
}

static size_t put_batch(const struct viofs_fuse_forgets *f, uint32_t count, uint8_t *out)
{
	struct fuse_batch_forget_in in = { .count = count };
	size_t bytes = count * sizeof(struct fuse_forget_one);
	struct fuse_in_header head = *f->head;

	head.len = (uint32_t)(sizeof(head) + sizeof(in) + bytes);
	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), &in, sizeof(in));
	memcpy(out + sizeof(head) + sizeof(in), f->entries, bytes);
	return head.len;
}

size_t viofs_fuse_forgets_next(struct viofs_fuse_forgets *f, void *out)
{
	uint32_t count = VIOFS_MIN(f->left, VIOFS_FUSE_FORGET_COUNT);
	size_t len;

	if (!count)
		return 0;
	len = count == 1 ? put_single(f, out) : put_batch(f, count, out);
	f->entries += count * sizeof(struct fuse_forget_one);
	f->left -= count;
	return len;
}
