/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slots are used again and again, for everybody: nothing of one request gets into the reply to
 * another. */
#include "relay_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define READ_BYTES 4000U

static bool lie;        /* the device writes headers only, and says that it wrote it all */
static bool never_says; /* used.len is 0 */

static enum model_verdict write_less(struct model_device *d, struct model_request *r)
{
	if (lie && r->opcode != FUSE_INIT)
		r->reply_len = sizeof(struct fuse_out_header);
	if (never_says)
		r->used_len = 0;
	return MODEL_ANSWER;
}

static int set_up(void **state)
{
	lie = never_says = false;
	return bench_set_up(state);
}

static void set_lie(bool on)
{
	pthread_mutex_lock(&bench.device.lock);
	lie = on;
	pthread_mutex_unlock(&bench.device.lock);
}

static void is_empty(const struct answer *a)
{
	for (size_t i = 0; i < a->len; i++)
		if (a->payload[i])
			fail_msg("byte %zu is somebody else's: 0x%x", i, a->payload[i]);
}

/* Fill every place that a reply can be in, by as many requests at a time as there are slots. */
static void fill_slots(void)
{
	for (unsigned int i = 0; i < bench.config.slots * 2; i++) {
		kernel_sends_read(1000 + 4 * i, 5, 64, READ_BYTES);
		kernel_sends_getattr(1002 + 4 * i, 5);
		kernel_gets();
		kernel_gets();
	}
}

static void a_device_that_writes_less_than_it_says_shows_nothing_of_others(void **state)
{
	bench_serve();
	bench_set_hook(write_less);
	fill_slots();
	set_lie(true);
	for (unsigned int i = 0; i < bench.config.slots * 2; i++) {
		kernel_sends_read(10000 + 4 * i, 6, 0, READ_BYTES);
		is_empty(kernel_is_answered(10000 + 4 * i, 0, READ_BYTES));
		kernel_sends_getattr(10002 + 4 * i, 6);
		is_empty(kernel_is_answered(10002 + 4 * i, 0, 104));
	}
	set_lie(false);
	bench_end();
}

static void nor_does_one_that_never_says_how_much_it_wrote(void **state)
{
	const uint32_t large = 65536;

	bench_start();
	never_says = true;
	bench_set_hook(write_less);
	kernel_sends_init(2);
	kernel_is_answered(2, 0, sizeof(struct fuse_init_out));
	for (unsigned int i = 0; i < bench.config.buffers * 2; i++) {
		kernel_sends_read(100 + 2 * i, 5, 0, large);
		kernel_is_answered(100 + 2 * i, 0, large);
	}
	set_lie(true);
	for (unsigned int i = 0; i < bench.config.buffers * 2; i++) {
		kernel_sends_read(1000 + 2 * i, 6, 0, large);
		is_empty(kernel_is_answered(1000 + 2 * i, 0, large));
	}
	set_lie(false);
	bench_end();
}

/* Buffers serve READ, READDIR and WRITE alike. */
static void nor_of_what_was_in_a_buffer(void **state)
{
	const uint32_t large = 65536;
	struct fuse_read_in in = { .size = large };

	bench_serve();
	bench_set_hook(write_less);
	for (unsigned int i = 0; i < bench.config.buffers * 2; i++) {
		kernel_sends_read(100 + 4 * i, 5, 0, large);
		kernel_is_answered(100 + 4 * i, 0, large);
		kernel_sends_write(102 + 4 * i, 5, 0, large);
		kernel_is_answered(102 + 4 * i, 0, sizeof(struct fuse_write_out));
	}
	set_lie(true);
	for (unsigned int i = 0; i < bench.config.buffers * 2; i++) {
		kernel_sends_read(1000 + 4 * i, 6 + i, 0, large);
		is_empty(kernel_is_answered(1000 + 4 * i, 0, large));
		kernel_sends(FUSE_READDIR, 1002 + 4 * i, 5, &in, sizeof(in), NULL, 0);
		is_empty(kernel_is_answered(1002 + 4 * i, 0, large));
	}
	set_lie(false);
	bench_end();
}

/* WRITE data and names lie where the device may only read; the next reply is elsewhere. */
static void a_request_is_not_in_the_reply_to_the_next(void **state)
{
	bench_serve();
	bench_set_hook(write_less);
	for (unsigned int i = 0; i < bench.config.slots * 2; i++) {
		kernel_sends_write(100 + 2 * i, 5, 0, READ_BYTES);
		kernel_is_answered(100 + 2 * i, 0, sizeof(struct fuse_write_out));
	}
	set_lie(true);
	kernel_sends_read(10000, 6, 0, READ_BYTES);
	is_empty(kernel_is_answered(10000, 0, READ_BYTES));
	set_lie(false);
	bench_end();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, bench_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_device_that_writes_less_than_it_says_shows_nothing_of_others),
		TEST(nor_of_what_was_in_a_buffer),
		TEST(nor_does_one_that_never_says_how_much_it_wrote),
		TEST(a_request_is_not_in_the_reply_to_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
