/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FORGETs, one by one and in pieces. */
#include "fuse/forget.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>

static int start_single(struct viofs_fuse_forgets *f, const void *message, size_t len)
{
	struct fuse_in_header head;
	struct fuse_forget_in in;

	if (len < sizeof(head) + sizeof(in))
		return -EPROTO;
	memcpy(&head, message, sizeof(head));
	memcpy(&in, (const uint8_t *)message + sizeof(head), sizeof(in));
	f->single = (struct fuse_forget_one){ .nodeid = head.nodeid, .nlookup = in.nlookup };
	viofs_fuse_forgets_list(f, &f->single, 1);
	return 0;
}

int viofs_fuse_forgets_start(struct viofs_fuse_forgets *f, const void *message, size_t len)
{
	const size_t before = sizeof(struct fuse_in_header) + sizeof(struct fuse_batch_forget_in);
	struct fuse_batch_forget_in in;
	struct fuse_in_header head;

	if (len < sizeof(head))
		return -EPROTO;
	memcpy(&head, message, sizeof(head));
	if (head.opcode == FUSE_FORGET)
		return start_single(f, message, len);
	if (len < before)
		return -EPROTO;
	memcpy(&in, (const uint8_t *)message + sizeof(head), sizeof(in));
	if (in.count != (len - before) / sizeof(struct fuse_forget_one) ||
	    (len - before) % sizeof(struct fuse_forget_one))
		return -EPROTO;
	f->entries = (const uint8_t *)message + before;
	f->left = in.count;
	return 0;
}

void viofs_fuse_forgets_list(struct viofs_fuse_forgets *f, const struct fuse_forget_one *entries,
			     uint32_t count)
{
	f->entries = (const void *)entries;
	f->left = count;
}

bool viofs_fuse_forgets_one(struct viofs_fuse_forgets *f, struct fuse_forget_one *out)
{
	if (!f->left)
		return false;
	memcpy(out, f->entries, sizeof(*out));
	f->entries += sizeof(*out);
	f->left--;
	return true;
}

void viofs_fuse_forgets_skip(struct viofs_fuse_forgets *f, uint32_t count)
{
	struct fuse_forget_one one;

	while (count-- && viofs_fuse_forgets_one(f, &one))
		;
}

static size_t put_single(struct viofs_fuse_forgets *f, uint8_t *out)
{
	struct fuse_in_header head = { .opcode = FUSE_FORGET };
	struct fuse_forget_one one;
	struct fuse_forget_in in;

	viofs_fuse_forgets_one(f, &one);
	in.nlookup = one.nlookup;
	head.nodeid = one.nodeid;
	head.len = sizeof(head) + sizeof(in);
	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), &in, sizeof(in));
	return head.len;
}

static size_t put_batch(struct viofs_fuse_forgets *f, uint32_t count, uint8_t *out)
{
	struct fuse_batch_forget_in in = { .count = count };
	size_t bytes = count * sizeof(struct fuse_forget_one);
	struct fuse_in_header head = { .opcode = FUSE_BATCH_FORGET };

	head.len = (uint32_t)(sizeof(head) + sizeof(in) + bytes);
	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), &in, sizeof(in));
	memcpy(out + sizeof(head) + sizeof(in), f->entries, bytes);
	f->entries += bytes;
	f->left -= count;
	return head.len;
}

size_t viofs_fuse_forgets_next(struct viofs_fuse_forgets *f, void *out)
{
	uint32_t count = VIOFS_MIN(f->left, VIOFS_FUSE_FORGET_COUNT);

	if (!count)
		return 0;
	return count == 1 ? put_single(f, out) : put_batch(f, count, out);
}
