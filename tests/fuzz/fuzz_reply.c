/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request of the kernel's and the device's reply to it. Input: what INIT agreed, the request's
 * length, its opcode and 88 bytes of arguments, then the reply: quirk, used.len, header, structs.
 */
#include "fuzz.h"

#include "base/util.h"
#include "fuse/forget.h"
#include "fuse/reply.h"

#include <errno.h>

#define UNIQUE 0x1234568ULL

struct request {
	struct fuse_in_header head;
	uint8_t args[VIOFS_FUSE_ARGS_MAX];
};

static bool classify(struct fuzz_input *in, struct viofs_fuse_shape *shape)
{
	uint8_t flags = fuzz_u8(in);
	struct viofs_fuse_conn conn = {
		.minor = 27U + (flags >> 2) % 20,
		.page_size = 4096,
		.setxattr_ext = flags & 1,
		.remote_locks = flags & 2,
	};
	uint32_t len = fuzz_u32(in);
	struct request *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		abort();
	r->head.opcode = fuzz_u16(in);
	r->head.len = flags & 128 ? fuzz_u32(in) : len;
	fuzz_take(in, r->args, sizeof(r->args));
	rc = viofs_fuse_classify(&conn, &r->head, len, shape);
	free(r);
	fuzz_check(rc == 0 || rc == -ENOSYS || rc == -EPROTO);
	if (rc)
		return false;
	fuzz_check(sizeof(struct fuse_in_header) + (uint64_t)shape->args + shape->data == len);
	fuzz_check(shape->fixed <= VIOFS_FUSE_FIXED_MAX);
	fuzz_check(viofs_fuse_opcode_name(shape->opcode) != NULL);
	return true;
}

static void reply(struct fuzz_input *in, const struct viofs_fuse_shape *shape)
{
	bool quirk = fuzz_u8(in) & 1, stripped;
	uint64_t room = sizeof(struct fuse_out_header) + (uint64_t)shape->fixed + shape->reply_data;
	uint32_t used_len = (uint32_t)VIOFS_MIN(fuzz_u32(in), room); /* the ring has seen to that */
	struct viofs_fuse_reply out = { 0 };
	struct fuse_out_header head;
	uint8_t *fixed;
	int rc;

	fuzz_take(in, &head, sizeof(head));
	rc = viofs_fuse_reply_check(shape, UNIQUE, &head, used_len, quirk, &out);
	fuzz_check(rc == 0 || rc == -EPROTO);
	fuzz_check((rc == 0) || out.fault);
	fuzz_check(out.error <= 0 && out.error > -512);
	fuzz_check(!out.error || !out.payload);
	fuzz_check(!out.fault || out.error);
	if (rc || out.error)
		return;
	fuzz_check(head.unique == UNIQUE);
	fuzz_check(out.payload >= shape->fixed);
	fuzz_check(out.payload <= (uint64_t)shape->fixed + shape->reply_data);
	/* Without the quirk never more than was written. */
	fuzz_check((quirk && !used_len) || out.payload + sizeof(head) == used_len);
	fixed = malloc(shape->fixed + 1U);
	if (!fixed)
		abort();
	fuzz_take(in, fixed, shape->fixed);
	stripped = viofs_fuse_reply_strip(shape, fixed, shape->fixed);
	fuzz_check(!stripped || !viofs_fuse_reply_strip(shape, fixed, shape->fixed));
	free(fixed);
}

static void forgets(struct fuzz_input *in)
{
	size_t len = in->left, total = 0, n;
	uint8_t *message = malloc(len + 1), *piece = malloc(VIOFS_FUSE_FORGET_BYTES);
	struct viofs_fuse_forgets f;

	if (!message || !piece)
		abort();
	fuzz_take(in, message, len);
	if (len >= sizeof(struct fuse_in_header))
		((struct fuse_in_header *)(void *)message)->opcode = FUSE_BATCH_FORGET;
	if (!viofs_fuse_forgets_start(&f, message, len))
		while ((n = viofs_fuse_forgets_next(&f, piece)) > 0) {
			const struct fuse_in_header *head = (const void *)piece;

			fuzz_check(n <= VIOFS_FUSE_FORGET_BYTES && head->len == n);
			fuzz_check(head->opcode == FUSE_FORGET ||
				   head->opcode == FUSE_BATCH_FORGET);
			total += n;
			fuzz_check(total <= 4 * len + 64);
		}
	free(message);
	free(piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct viofs_fuse_shape shape;

	if (classify(&in, &shape))
		reply(&in, &shape);
	in = (struct fuzz_input){ data, size };
	forgets(&in);
	return 0;
}
