/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay on kernels with larger pages: what FUSE counts in pages, and memory that is laid out in
 * them. */
#include "relay_bench.h"
#include "base/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NODE 5U

/* What the CPU is made to have; memory in larger pages is memory in smaller ones, too. */
static uint32_t page;
/* Bytes that the device answers with, of READLINK, IOCTL and READDIR. */
static uint32_t room;

long __real_sysconf(int name);
long __wrap_sysconf(int name);

long __wrap_sysconf(int name)
{
	return name == _SC_PAGESIZE && page ? (long)page : __real_sysconf(name);
}

static int set_up(uint32_t size, void **state)
{
	page = size;
	return bench_set_up(state);
}

static int with_16k(void **state)
{
	return set_up(16 << 10, state);
}

static int with_64k(void **state)
{
	return set_up(64 << 10, state);
}

static int tear_down(void **state)
{
	int rc = bench_tear_down(state);

	page = 0;
	return rc;
}

static uint8_t byte_at(uint32_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) + 1);
}

static enum model_verdict fill(struct model_device *d, struct model_request *r)
{
	struct fuse_out_header *out = (void *)r->reply;
	size_t fixed = sizeof(*out) + (r->opcode == FUSE_IOCTL ? sizeof(struct fuse_ioctl_out) : 0);

	if (r->opcode != FUSE_READLINK && r->opcode != FUSE_READDIR && r->opcode != FUSE_IOCTL)
		return MODEL_ANSWER;
	memset(r->reply + sizeof(*out), 0, fixed - sizeof(*out));
	out->error = 0;
	out->len = (uint32_t)(fixed + room);
	for (uint32_t i = 0; i < room; i++)
		r->reply[fixed + i] = byte_at(i);
	r->reply_len = r->used_len = out->len;
	return MODEL_ANSWER;
}

/* The answer to @unique: @fixed bytes of structs, and all that the device has written. */
static void is_filled(uint64_t unique, size_t fixed)
{
	const struct answer *a = kernel_is_answered(unique, 0, fixed + room);

	for (uint32_t i = 0; i < room; i++)
		if (a->payload[fixed + i] != byte_at(i))
			fail_msg("byte %u is 0x%x", i, a->payload[fixed + i]);
}

static void init_counts_in_them(void **state)
{
	const struct answer *a;
	struct fuse_init_out out;

	bench_start();
	kernel_sends_init(2);
	a = kernel_is_answered(2, 0, sizeof(out));
	memcpy(&out, a->payload, sizeof(out));
	assert_int_equal(out.max_write, bench.config.max_data);
	assert_int_equal(out.max_pages, bench.config.max_data / page);
	bench_end();
}

/* A target is a page less a byte at most; a directory and a RETRY of an ioctl are a page. */
static void answers_of_a_page_pass(void **state)
{
	const struct fuse_read_in dir = { .size = page };
	const struct fuse_ioctl_in ioctl = { .flags = FUSE_IOCTL_UNRESTRICTED, .out_size = 8 };

	bench_serve();
	bench_set_hook(fill);
	room = page - 1;
	kernel_sends(FUSE_READLINK, 100, NODE, NULL, 0, NULL, 0);
	is_filled(100, 0);
	room = page;
	kernel_sends(FUSE_READDIR, 102, NODE, &dir, sizeof(dir), NULL, 0);
	is_filled(102, 0);
	kernel_sends(FUSE_IOCTL, 104, NODE, &ioctl, sizeof(ioctl), NULL, 0);
	is_filled(104, sizeof(struct fuse_ioctl_out));
	bench_end();
}

/* A longer target is the device's fault, and the session is none the worse. */
static void a_target_of_a_whole_page_is_refused(void **state)
{
	bench_serve();
	bench_set_hook(fill);
	room = page;
	kernel_sends(FUSE_READLINK, 100, NODE, NULL, 0, NULL, 0);
	assert_int_not_equal(kernel_gets()->head.error, 0);
}

static void data_of_all_sizes_pass(void **state)
{
	const uint32_t sizes[] = { 1, 4096, page - 1, page, page + 1, bench.config.max_data };
	const struct answer *a;
	uint64_t unique = 100;

	bench_serve();
	for (unsigned int i = 0; i < VIOFS_ARRAY_SIZE(sizes); i++, unique += 4) {
		kernel_sends_write(unique, NODE, 3, sizes[i]);
		kernel_is_answered(unique, 0, sizeof(struct fuse_write_out));
		kernel_sends_read(unique + 2, NODE, 3, sizes[i]);
		a = kernel_is_answered(unique + 2, 0, sizes[i]);
		for (uint32_t at = 0; at < sizes[i]; at++)
			assert_int_equal(a->payload[at], model_device_byte(NODE, 3 + at));
	}
	bench_end();
}

/* More requests at a time than there are slots, of which some are parked. */
static void what_is_parked_comes_back(void **state)
{
	const unsigned int count = 3 * bench.config.slots;

	bench_serve();
	bench_hold(FUSE_WRITE);
	for (unsigned int i = 0; i < count; i++)
		kernel_sends_write(100 + 2 * i, NODE, 0, 9000);
	kernel_gets_nothing(100);
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, count, 0, sizeof(struct fuse_write_out));
	bench_end();
}

#define WITH(size, f)                                                                              \
	{                                                                                          \
#f " (" #size ")", f, with_##size, tear_down, NULL                                 \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(16k, init_counts_in_them),
		WITH(64k, init_counts_in_them),
		WITH(16k, answers_of_a_page_pass),
		WITH(64k, answers_of_a_page_pass),
		WITH(16k, a_target_of_a_whole_page_is_refused),
		WITH(64k, a_target_of_a_whole_page_is_refused),
		WITH(16k, data_of_all_sizes_pass),
		WITH(64k, data_of_all_sizes_pass),
		WITH(16k, what_is_parked_comes_back),
		WITH(64k, what_is_parked_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
