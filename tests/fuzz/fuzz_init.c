/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FUSE_INIT: the kernel's request, the device's answer, what the kernel is told. Input: limits, the
 * kernel's length and INIT, the device's length and answer. */
#include "fuzz.h"

#include "base/util.h"
#include "fuse/init.h"

#include <errno.h>

static uint64_t flags_in(const struct fuse_init_in *i)
{
	return i->flags | (i->flags & FUSE_INIT_EXT ? (uint64_t)i->flags2 << 32 : 0);
}

static uint64_t flags_out(const struct fuse_init_out *o)
{
	return o->flags | (uint64_t)o->flags2 << 32;
}

static void check_told(const struct fuse_init_in *sent, const struct viofs_fuse_limits *limits,
		       const struct fuse_init_out *out, const struct viofs_fuse_agreed *a)
{
	/* Only what both took, and what the relay does itself. */
	fuzz_check(!(flags_out(out) & ~(flags_in(sent) | FUSE_ABORT_ERROR)));
	fuzz_check(flags_out(out) == a->flags);
	fuzz_check(!(flags_out(out) & VIOFS_FUSE_OVER_IO_URING));
	fuzz_check(limits->default_permissions || !(flags_out(out) & VIOFS_FUSE_ALLOW_IDMAP));
	fuzz_check(out->major == 7 && out->minor >= 27 && out->minor <= VIOFS_FUSE_MINOR_MAX);
	fuzz_check(out->max_write >= 4096 && out->max_write <= limits->max_data);
	fuzz_check(a->max_pages >= 1 &&
		   (uint64_t)a->max_pages * limits->page_size <= limits->max_data);
	fuzz_check(out->max_write <= (uint64_t)a->max_pages * limits->page_size);
	fuzz_check(out->max_readahead <= sent->max_readahead);
	fuzz_check(out->max_background <= limits->max_background);
	fuzz_check(out->congestion_threshold <= out->max_background);
	fuzz_check(!out->map_alignment && !out->unused[0] &&
		   !out->unused[6]); /* max_stack_depth, request_timeout: unused[] here */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t how = fuzz_u8(&in);
	const struct viofs_fuse_limits limits = {
		.max_data = (128U << 10) << how % 4,
		.page_size = 4096,
		.max_background = (uint16_t)(8U + (how >> 2) % 64),
		.default_permissions = how & 128,
	};
	struct fuse_init_in kernel, sent = { 0 };
	size_t kernel_len = fuzz_u8(&in), sent_len = 0, answer_len;
	struct viofs_fuse_agreed agreed = { 0 };
	struct viofs_err err = { .text = "" };
	struct fuse_init_out out;
	uint8_t *request, *answer;

	request = calloc(1, kernel_len + 1);
	if (!request)
		abort();
	fuzz_take(&in, request, kernel_len);
	memset(&kernel, 0, sizeof(kernel));
	memcpy(&kernel, request, VIOFS_MIN(kernel_len, sizeof(kernel)));
	if (kernel.minor < 27) /* Linux before 4.20: not supported, and the kernel is trusted */
		kernel.minor = 27;
	memcpy(request, &kernel, VIOFS_MIN(kernel_len, sizeof(kernel)));
	if (viofs_fuse_init_request(request, kernel_len, &sent, &sent_len, &err)) {
		fuzz_check(err.text[0]);
		free(request);
		return 0;
	}
	free(request);
	fuzz_check(sent_len == 16 || sent_len == sizeof(sent));
	fuzz_check(sent_len <= kernel_len);
	fuzz_check(!(flags_in(&sent) & ~flags_in(&kernel)));
	fuzz_check(!(flags_in(&sent) & VIOFS_FUSE_OVER_IO_URING));
	answer_len = fuzz_u8(&in);
	answer = malloc(answer_len + 1);
	if (!answer)
		abort();
	fuzz_take(&in, answer, answer_len);
	if (!viofs_fuse_init_reply(&kernel, &sent, &limits, answer, answer_len, &out, &agreed,
				   &err))
		check_told(&sent, &limits, &out, &agreed);
	else
		fuzz_check(err.text[0]);
	free(answer);
	return 0;
}
