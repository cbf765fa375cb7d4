// SPDX-License-Identifier: GPL-2.0-or-later
/* The io_uring channel's arithmetic: memory for any number of CPUs, sizes in entries. */
#include "base/util.h"
#include "kernel/fuse_uring.h"
#include "relay/channel.h"
#include "relay/entry.h"
#include "relay/relay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1U << 20)

static struct viofs_channel_plan plan;

static int make(uint32_t queues, uint32_t buffers)
{
	return viofs_channel_plan(queues, (uint64_t)buffers * MIB, MIB, 128, &plan);
}

static void few_cpus_have_full_requests(void **state)
{
	for (uint32_t queues = 1; queues <= 4; queues++) {
		assert_int_equal(make(queues, 24), 0);
		assert_int_equal(plan.max_data, MIB);
		assert_int_equal(plan.buffers, 24);
		assert_true(plan.depth >= 4);
	}
	assert_int_equal(make(2, 24), 0);
	assert_int_equal(plan.depth, 8);
}

static void many_cpus_have_smaller_requests(void **state)
{
	assert_int_equal(make(8, 24), 0);
	assert_int_equal(plan.max_data, MIB / 2);
	assert_int_equal(make(16, 24), 0);
	assert_int_equal(plan.max_data, MIB / 4);
}

static void memory_is_never_exceeded(void **state)
{
	static const uint32_t data[] = { MIB, 512 << 10, 384 << 10, 132 << 10, 128 << 10 };

	for (uint32_t queues = 1; queues <= 512; queues++)
		for (uint32_t buffers = 4; buffers <= 1024; buffers *= 2)
			for (size_t i = 0; i < VIOFS_ARRAY_SIZE(data); i++) {
				uint64_t memory = (uint64_t)buffers * data[i], entries;

				if (viofs_channel_plan(queues, memory, data[i], 128, &plan))
					continue;
				entries = (uint64_t)queues * plan.depth;
				assert_true(plan.depth >= 1 && plan.depth <= 8);
				assert_true((uint64_t)plan.buffers * plan.max_data <= memory);
				assert_true(entries + VIOFS_CHANNEL_SPARE_BUFFERS <= plan.buffers);
				assert_true(entries + VIOFS_CHANNEL_SPARE_SLOTS <= plan.slots);
				assert_true(plan.slots >= 128);
				assert_true(plan.max_data >= 128 << 10 && plan.max_data <= data[i]);
				assert_int_equal(plan.max_data % 4096, 0);
			}
}

/* What is reserved in all, in pages of 2 MiB, by what a user gets who says nothing, or has 64
 * workers. */
static void sixty_four_cpus_stay_in_the_memory_of_two(void **state)
{
	static const uint32_t cpus[] = { 2, 64, 64 }, lanes[] = { 1, 1, VIOFS_LANES_MAX };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cpus); i++) {
		size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 }, sum = 0;
		struct viofs_relay_config c;

		viofs_relay_config_default(&c);
		c.lanes = lanes[i];
		assert_int_equal(viofs_channel_plan(cpus[i], (uint64_t)c.buffers * c.max_data,
						    c.max_data, c.slots, &plan),
				 0);
		c.queues = cpus[i];
		c.depth = plan.depth;
		c.buffers = plan.buffers;
		c.max_data = plan.max_data;
		viofs_relay_config_arena_sizes(&c, sizes);
		for (int s = 0; s < VIOFS_ARENA_SPARSE; s++) /* what is sparse takes nothing */
			sum += viofs_align_up(sizes[s], 2 * MIB);
		assert_true(sum <= 40 * (size_t)MIB);
	}
}

/* Whoever of the kernel's queues has no entry stops all, and two lanes with one would each wait for
 * it. */
static void each_queue_of_the_kernels_is_one_lanes(uint32_t queues, unsigned int lanes)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };
	unsigned int seen[1024] = { 0 };
	struct viofs_arena *arena;

	viofs_entries_arena_sizes(queues * 3, lanes, sizes);
	assert_int_equal(viofs_arena_new(sizes, false, &arena, NULL), 0);
	for (unsigned int lane = 0; lane < lanes; lane++) {
		struct viofs_entries e;

		viofs_entries_init(&e, queues, 3, lane, lanes, arena);
		for (unsigned int i = 0; i < e.count; i++) {
			assert_int_equal(e.entry[i].queue % lanes, lane);
			assert_true(e.entry[i].queue < queues);
			/* Each has one before any has its second. */
			assert_int_equal(seen[e.entry[i].queue]++, i / (e.count / 3));
		}
	}
	for (uint32_t q = 0; q < queues; q++)
		assert_int_equal(seen[q], 3);
	viofs_arena_free(arena);
}

static void lanes_share_the_kernels_queues(void **state)
{
	static const uint32_t queues[] = { 1, 2, 7, 8, 64, 127, 512, 1024 };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(queues); i++)
		for (unsigned int lanes = 1; lanes <= 8; lanes++)
			each_queue_of_the_kernels_is_one_lanes(queues[i], lanes);
}

static void data_and_slots_stay_within(const struct viofs_relay_config *c, uint64_t memory)
{
	assert_true(c->depth >= 1);
	assert_true(c->queues * c->depth + VIOFS_CHANNEL_SPARE_SLOTS <= c->slots);
	assert_true(c->queues * c->depth + VIOFS_CHANNEL_SPARE_BUFFERS <= c->buffers);
	if (viofs_relay_config_memory(c) > memory)
		fail_msg("%u CPUs: %llu MiB of %llu", c->queues,
			 (unsigned long long)viofs_relay_config_memory(c) / MIB,
			 (unsigned long long)memory / MIB);
}

/* As much as the message says. */
static void take_advice(struct viofs_relay_config *c, const char *text, uint32_t queues)
{
	const char *at = strstr(text, "at least ");
	struct viofs_relay_config none = *c;
	uint64_t memory;

	assert_non_null(at);
	memory = strtoull(at + strlen("at least "), NULL, 10) * MIB;
	none.buffers = 0;
	c->buffers = (uint32_t)((memory - viofs_relay_config_memory(&none)) / c->max_data);
	assert_in_range(c->buffers, 4, VIOFS_RELAY_BUFFERS_MAX);
	assert_int_equal(viofs_channel_plan_config(c, queues, NULL), 0);
	data_and_slots_stay_within(c, memory);
}

static void a_thousand_cpus_have_entries_or_good_advice(void **state)
{
	static const uint32_t data[] = { MIB, 512 << 10, 128 << 10 };

	for (uint32_t queues = 1; queues <= 1024; queues++)
		for (size_t i = 0; i < VIOFS_ARRAY_SIZE(data); i++) {
			struct viofs_relay_config c;
			struct viofs_err err = { .text = "" };
			uint64_t memory;
			int rc;

			viofs_relay_config_default(&c);
			c.buffers = (uint32_t)((uint64_t)c.buffers * c.max_data / data[i]);
			c.max_data = data[i];
			memory = viofs_relay_config_memory(&c);
			rc = viofs_channel_plan_config(&c, queues, &err);
			assert_true(!rc || rc == -ENOSPC);
			/* By default 108 have one, and without a word about it. */
			assert_int_equal(!rc, queues <= 108);
			if (rc)
				assert_int_equal(err.remedy, VIOFS_REMEDY_MORE_MEMORY);
			if (rc)
				take_advice(&c, err.text, queues);
			else
				data_and_slots_stay_within(&c, memory);
		}
}

static void more_cpus_than_there_can_be_entries_are_told_so(void **state)
{
	struct viofs_relay_config c;
	struct viofs_err err = { .text = "" };

	viofs_relay_config_default(&c);
	assert_int_equal(viofs_channel_plan_config(&c, 8192, &err), -ENOSPC);
	assert_null(strstr(err.text, "at least"));
	assert_int_equal(err.remedy, VIOFS_REMEDY_OTHER_CHANNEL);
}

static void too_many_cpus_for_the_memory_are_refused(void **state)
{
	assert_int_equal(make(97, 24), 0);
	assert_int_equal(plan.slots, 97 + VIOFS_CHANNEL_SPARE_SLOTS);
	assert_int_equal(make(96, 24), 0);
	assert_int_equal(plan.slots, 128);
	assert_int_equal(make(4, 1), 0);
	assert_int_equal(plan.max_data, 128 << 10);
	assert_int_equal(plan.depth, 1);
	assert_int_equal(make(5, 1), -ENOSPC);
}

static void cpus_are_counted_by_the_last(void **state)
{
	assert_int_equal(viofs_fuse_uring_count_cpus("0\n"), 1);
	assert_int_equal(viofs_fuse_uring_count_cpus("0-3\n"), 4);
	assert_int_equal(viofs_fuse_uring_count_cpus("0-1,4,6-7"), 8);
	assert_int_equal(viofs_fuse_uring_count_cpus(""), -EINVAL);
	assert_int_equal(viofs_fuse_uring_count_cpus("0-"), 1);
	assert_int_equal(viofs_fuse_uring_count_cpus("a"), -EINVAL);
	assert_int_equal(viofs_fuse_uring_count_cpus("1x"), -EINVAL);
	assert_int_equal(viofs_fuse_uring_count_cpus("99999999999999999999"), -EINVAL);
	assert_int_equal(viofs_fuse_uring_count_cpus("0-70000"), -EINVAL);
}

int __real_viofs_fuse_uring_queues(void);

/* One for each CPU that there may be. */
static void this_machines_cpus_are_counted(void **state)
{
	assert_true(__real_viofs_fuse_uring_queues() >= sysconf(_SC_NPROCESSORS_ONLN));
}

static void sizes_in_an_entry_must_add_up(void **state)
{
	struct viofs_fuse_uring_header header = { .in.len = 40 + 40 + 4096, .payload_size = 4096 };
	struct viofs_fuse_uring_request in;

	assert_int_equal(viofs_fuse_uring_parse(&header, 8192, &in), 0);
	assert_int_equal(in.op_size, 40);
	assert_int_equal(in.payload_size, 4096);
	assert_int_equal(viofs_fuse_uring_parse(&header, 4095, &in), -EPROTO);
	header.payload_size = 4096 + 41;
	assert_int_equal(viofs_fuse_uring_parse(&header, 8192, &in), -EPROTO);
	header.payload_size = 4096 - 89;
	assert_int_equal(viofs_fuse_uring_parse(&header, 8192, &in), -EPROTO); /* op_in has 128 */
	header.in.len = 39;
	header.payload_size = 0;
	assert_int_equal(viofs_fuse_uring_parse(&header, 8192, &in), -EPROTO);
}

static void a_commit_names_the_request_and_its_size(void **state)
{
	struct viofs_fuse_uring_header header = { .in = { .len = 56, .unique = 77 },
						  .commit_id = 78 };
	struct io_uring_sqe sqe[2];

	memset(sqe, 0xff, sizeof(sqe));
	viofs_fuse_uring_commit(sqe, 5, 3, &header, -2, 0);
	assert_int_equal(header.out.unique, 77);
	assert_int_equal(header.out.error, -2);
	assert_int_equal(header.out.len, 16);
	assert_int_equal(header.payload_size, 0);
	assert_int_equal(sqe[0].fd, 5);
	assert_int_equal(sqe[0].cmd_op, 2);
	assert_int_equal(((uint64_t *)(void *)sqe[0].cmd)[1], 78);
	assert_int_equal(((uint16_t *)(void *)sqe[0].cmd)[8], 3);
	viofs_fuse_uring_commit(sqe, 5, 3, &header, 0, 104);
	assert_int_equal(header.out.len, 120);
	assert_int_equal(header.payload_size, 104);
}

static int enabled, queues; /* what the kernel says */

int __wrap_viofs_fuse_uring_is_enabled(void);
int __wrap_viofs_fuse_uring_is_enabled(void)
{
	return enabled;
}

int __wrap_viofs_fuse_uring_queues(void);
int __wrap_viofs_fuse_uring_queues(void)
{
	return queues;
}

static int choose(enum viofs_channel channel, struct viofs_relay_config *c, struct viofs_err *err)
{
	viofs_relay_config_default(c);
	c->channel = channel;
	c->queues = c->depth = 7; /* of an attempt before */
	return viofs_channel_choose(c, err);
}

static void dev_fuse_is_chosen_unless_it_is_asked_for_otherwise(void **state)
{
	static const enum viofs_channel channels[] = { VIOFS_CHANNEL_AUTO, VIOFS_CHANNEL_DEV };
	struct viofs_relay_config c;
	struct viofs_err err;

	enabled = 1;
	queues = 4;
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(channels); i++) {
		assert_int_equal(choose(channels[i], &c, &err), 0);
		assert_int_equal(c.channel, VIOFS_CHANNEL_DEV);
		assert_int_equal(c.queues + c.depth, 0);
	}
	assert_int_equal(choose(VIOFS_CHANNEL_URING, &c, &err), 0);
	assert_int_equal(c.channel, VIOFS_CHANNEL_URING);
	assert_int_equal(c.queues, 4);
	assert_true(c.depth > 0);
}

static void where_there_is_no_io_uring_that_is_said(void **state)
{
	static const struct {
		int enabled, queues, rc;
		const char *says;
	} cases[] = {
		{ 0, 4, -ENOTSUP, "switched off. echo Y" },
		{ -ENOENT, 4, -ENOTSUP, "This kernel has no FUSE over io_uring" },
		{ -EACCES, 4, -EACCES, "enable_uring: Permission denied" },
		{ 1, -EIO, -EIO, "The number of CPUs can't be read" },
		{ 1, 60000, -ENOSPC, "60000 possible CPUs" },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++) {
		struct viofs_relay_config c;
		struct viofs_err err;

		enabled = cases[i].enabled;
		queues = cases[i].queues;
		assert_int_equal(choose(VIOFS_CHANNEL_URING, &c, &err), cases[i].rc);
		assert_non_null(strstr(err.text, cases[i].says));
		assert_int_equal(c.queues + c.depth, 0);
	}
}

static void at_a_systems_root_there_is_no_io_uring(void **state)
{
	struct viofs_relay_config c;
	struct viofs_err err;

	enabled = 1;
	queues = 4;
	viofs_relay_config_default(&c);
	c.serves_root = true;
	assert_int_equal(viofs_channel_choose(&c, &err), 0);
	assert_int_equal(c.channel, VIOFS_CHANNEL_DEV);
	c.channel = VIOFS_CHANNEL_URING;
	assert_int_equal(viofs_channel_choose(&c, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not for a mount that is made in an initramfs"));
	assert_int_equal(c.queues + c.depth, 0);
}

static void channels_have_names(void **state)
{
	assert_string_equal(viofs_channel_name(VIOFS_CHANNEL_AUTO), "auto");
	assert_string_equal(viofs_channel_name(VIOFS_CHANNEL_URING), "uring");
	assert_string_equal(viofs_channel_name(VIOFS_CHANNEL_DEV), "dev");
	assert_string_equal(viofs_channel_name((enum viofs_channel)3), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_cpus_have_full_requests),
		cmocka_unit_test(many_cpus_have_smaller_requests),
		cmocka_unit_test(memory_is_never_exceeded),
		cmocka_unit_test(sixty_four_cpus_stay_in_the_memory_of_two),
		cmocka_unit_test(lanes_share_the_kernels_queues),
		cmocka_unit_test(a_thousand_cpus_have_entries_or_good_advice),
		cmocka_unit_test(more_cpus_than_there_can_be_entries_are_told_so),
		cmocka_unit_test(too_many_cpus_for_the_memory_are_refused),
		cmocka_unit_test(cpus_are_counted_by_the_last),
		cmocka_unit_test(dev_fuse_is_chosen_unless_it_is_asked_for_otherwise),
		cmocka_unit_test(where_there_is_no_io_uring_that_is_said),
		cmocka_unit_test(at_a_systems_root_there_is_no_io_uring),
		cmocka_unit_test(channels_have_names),
		cmocka_unit_test(this_machines_cpus_are_counted),
		cmocka_unit_test(sizes_in_an_entry_must_add_up),
		cmocka_unit_test(a_commit_names_the_request_and_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
