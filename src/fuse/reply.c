/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Judging replies. */
#include "fuse/reply.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>

/* The kernel takes 0 and -1..-511 (fuse_dev_do_write()). */
#define ERROR_MIN (-511)

static int refuse(struct viofs_fuse_reply *out, const char *fault)
{
	*out = (struct viofs_fuse_reply){ .error = -EIO, .fault = fault };
	return 0;
}

int viofs_fuse_reply_check(const struct viofs_fuse_shape *shape, uint64_t unique,
			   const struct fuse_out_header *head, uint32_t used_len,
			   bool used_len_zero, struct viofs_fuse_reply *out)
{
	uint32_t room = (uint32_t)sizeof(*head) + shape->fixed + shape->reply_data;
	uint32_t len = head->len, payload;

	if (used_len_zero && !used_len)
		used_len = len;
	if (used_len < sizeof(*head))
		return refuse(out, "no reply header was written");
	if (head->unique != unique) {
		refuse(out, "the reply names another request (unique)");
		return -EPROTO;
	}
	if (len < sizeof(*head) || len > room)
		return refuse(out, "the header's len is out of range");
	if (len != used_len)
		return refuse(out, "the header's len is not what the used ring says was written");
	if (head->error < ERROR_MIN || head->error > 0)
		return refuse(out, "the header's error is out of range");
	*out = (struct viofs_fuse_reply){ .error = head->error };
	if (head->error)
		return 0;
	payload = len - (uint32_t)sizeof(*head);
	if (payload < shape->fixed || (payload != shape->fixed && !shape->reply_data))
		return refuse(out, "the reply has a wrong length for its opcode");
	out->payload = payload;
	return 0;
}

bool viofs_fuse_reply_strip(const struct viofs_fuse_shape *shape, void *fixed, size_t len)
{
	const uint32_t strip = VIOFS_FOPEN_PASSTHROUGH | VIOFS_FOPEN_IO_URING_ZERO_COPY;
	struct fuse_open_out open;
	uint8_t *at = fixed;

	if (shape->opcode == FUSE_CREATE || shape->opcode == FUSE_TMPFILE)
		at += sizeof(struct fuse_entry_out);
	else if (shape->opcode != FUSE_OPEN && shape->opcode != FUSE_OPENDIR)
		return false;
	if ((size_t)(at - (uint8_t *)fixed) + sizeof(open) > len)
		return false;
	memcpy(&open, at, sizeof(open));
	if (!(open.open_flags & strip))
		return false;
	open.open_flags &= ~strip;
	memcpy(at, &open, sizeof(open));
	return true;
}
