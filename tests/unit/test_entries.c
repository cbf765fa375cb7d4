/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries of the io_uring channel as lanes share them; notifications that never wait. */
#include "base/util.h"
#include "loop/loop_uring.h"
#include "relay/session.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_mapper.h"

#define QUEUES_MAX 9U

static struct fake_mapper fake;
static struct viofs_arena *arena;

/* Exactly what was said to be needed: an entry more, and its allocation asserts. */
static void make_arena(uint32_t count, uint32_t lanes)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };
	struct viofs_err err;

	viofs_entries_arena_sizes(count, lanes, sizes);
	for (int s = 0; s < VIOFS_ARENA_SECTIONS; s++)
		assert_true(s == VIOFS_ARENA_PRIVATE || !sizes[s]);
	sizes[VIOFS_ARENA_DEVICE_READ] = 1;
	assert_int_equal(viofs_arena_new(sizes, false, &arena, &err), 0);
}

static void check_shares(uint32_t queues, uint32_t depth, unsigned int lanes)
{
	unsigned int entries_of[QUEUES_MAX] = { 0 };

	make_arena(queues * depth, lanes);
	for (unsigned int lane = 0; lane < lanes; lane++) {
		struct viofs_entries e;
		uint32_t own = 0;

		viofs_entries_init(&e, queues, depth, lane, lanes, arena);
		for (uint32_t q = lane; q < queues; q += lanes)
			own++;
		assert_int_equal(e.count, own * depth);
		assert_false(e.active || e.closed || e.failed || e.arrived_count);
		for (uint32_t i = 0; i < e.count; i++) {
			assert_int_equal(e.entry[i].slot, VIOFS_SLOT_NONE);
			assert_int_equal(e.entry[i].state, VIOFS_ENTRY_UNUSED);
			assert_true(e.entry[i].queue < queues);
			assert_int_equal(e.entry[i].queue % lanes, lane);
			/* Each has its first before any has its second. */
			assert_int_equal(entries_of[e.entry[i].queue]++, i / own);
			e.arrived[i] = (uint16_t)i;
		}
	}
	for (uint32_t q = 0; q < queues; q++)
		assert_int_equal(entries_of[q], depth);
	viofs_arena_free(arena);
}

static void each_queue_has_its_entries_in_one_lane(void **state)
{
	for (uint32_t queues = 1; queues <= QUEUES_MAX; queues++)
		for (uint32_t depth = 1; depth <= 3; depth++)
			for (unsigned int lanes = 1; lanes <= 4; lanes++)
				check_shares(queues, depth, lanes);
}

static void nothing_is_written_behind_the_last_one(void **state)
{
	static const struct viofs_entry none;
	size_t sizes[VIOFS_ARENA_SECTIONS] = {
		[VIOFS_ARENA_PRIVATE] = 1 << 20, [VIOFS_ARENA_DEVICE_READ] = 1
	};
	struct viofs_entries e;
	struct viofs_err err;

	assert_int_equal(viofs_arena_new(sizes, false, &arena, &err), 0);
	viofs_entries_init(&e, 3, 2, 0, 1, arena);
	assert_memory_equal(&e.entry[e.count], &none, sizeof(none));
	viofs_arena_free(arena);
}

static void the_memory_is_what_they_need(void **state)
{
	size_t one[VIOFS_ARENA_SECTIONS] = { 0 }, more[VIOFS_ARENA_SECTIONS] = { 0 };
	const size_t each = sizeof(struct viofs_entry) + sizeof(uint16_t);

	viofs_entries_arena_sizes(100, 1, one);
	viofs_entries_arena_sizes(101, 1, more);
	assert_int_equal(more[VIOFS_ARENA_PRIVATE] - one[VIOFS_ARENA_PRIVATE], each);
	/* What aligning two pieces for each lane may cost, and no more. */
	assert_in_range(one[VIOFS_ARENA_PRIVATE] - 100 * each, 2 * 63, 2 * 64);
	/* It is added to what is there. */
	viofs_entries_arena_sizes(101, 3, more);
	assert_in_range(more[VIOFS_ARENA_PRIVATE] - one[VIOFS_ARENA_PRIVATE] - 102 * each, 6 * 63,
			6 * 64);
}

/* What goes to the ring, and what the kernel would make of it: linked in place of loop_uring.c's.
 */
static struct {
	struct io_uring_sqe sqe[16][2]; /* 128 bytes each */
	unsigned int count, flushes;
	int flush_rc;    /* that submitting returns */
	int refuse_with; /* what completes the newest command at once, 0: nothing does */
	viofs_loop_completed *completed; /* who hears of that */
	void *arg;
} commands;

void __wrap_viofs_loop_uring_listen(struct viofs_loop *l, viofs_loop_completed *completed,
				    void *arg);
void __wrap_viofs_loop_uring_listen(struct viofs_loop *l, viofs_loop_completed *completed,
				    void *arg)
{
	commands.completed = completed;
	commands.arg = arg;
}

struct io_uring_sqe *__wrap_viofs_loop_uring_command(struct viofs_loop *l);
struct io_uring_sqe *__wrap_viofs_loop_uring_command(struct viofs_loop *l)
{
	assert_true(commands.count < VIOFS_ARRAY_SIZE(commands.sqe));
	memset(commands.sqe[commands.count], 0xff, sizeof(commands.sqe[0]));
	return commands.sqe[commands.count++];
}

int __wrap_viofs_loop_flush(struct viofs_loop *l);
int __wrap_viofs_loop_flush(struct viofs_loop *l)
{
	commands.flushes++;
	if (commands.refuse_with)
		commands.completed(commands.arg, commands.sqe[commands.count - 1]->user_data,
				   commands.refuse_with);
	return commands.flush_rc;
}

#define QUEUES 2U
#define DEPTH 2U
#define BUFFER_SIZE (128U << 10)

static struct viofs_relay_stats stats;
static struct viofs_relay relay;
static struct viofs_lane *lane;

/* One lane with all entries; as many slots and buffers as it is told. */
static void make_lane(uint16_t slots, uint16_t buffers)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };
	struct viofs_slots_tables tables;

	memset(&commands, 0, sizeof(commands));
	memset(&stats, 0, sizeof(stats));
	memset(&relay, 0, sizeof(relay));
	viofs_entries_arena_sizes(QUEUES * DEPTH, 1, sizes);
	viofs_slots_arena_sizes(slots, buffers, BUFFER_SIZE, sizes);
	assert_int_equal(viofs_arena_new(sizes, false, &arena, NULL), 0);
	fake_mapper_init(&fake, true);
	assert_int_equal(viofs_arena_map(arena, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, NULL), 0);
	viofs_slots_alloc(slots, buffers, BUFFER_SIZE, arena, &tables);
	assert_int_equal(
		viofs_slots_init(&relay.slots, slots, buffers, BUFFER_SIZE, arena, &tables), 0);
	lane = aligned_alloc(64, sizeof(*lane));
	assert_non_null(lane);
	memset(lane, 0, sizeof(*lane));
	viofs_slots_share(&relay.slots, 0, slots, 0, buffers, VIOFS_BUFFER_NONE, &lane->slots);
	viofs_entries_init(&lane->entries, QUEUES, DEPTH, 0, 1, arena);
	lane->relay = &relay;
	lane->fuse_fd = 77;
	relay.lanes = lane;
	relay.lane_count = 1;
	relay.stats = &stats;
	stats.channel = VIOFS_CHANNEL_URING;
}

static void free_lane(void)
{
	free(lane);
	viofs_slots_fini(&relay.slots);
	viofs_arena_free(arena);
}

static void complete(unsigned int entry, int res)
{
	commands.completed(commands.arg, (uint64_t)entry << 1 | 1, res);
}

static void each_entry_is_registered_with_memory_of_its_own(void **state)
{
	struct viofs_entries *e;

	make_lane(8, 8);
	e = &lane->entries;
	assert_int_equal(viofs_entries_start(lane), 0);
	assert_true(e->active);
	assert_int_equal(commands.count, QUEUES * DEPTH);
	assert_int_equal(commands.flushes, QUEUES * DEPTH);
	for (unsigned int i = 0; i < commands.count; i++) {
		const struct viofs_slot *slot = &lane->slots.slots[e->entry[i].slot];

		assert_int_equal(commands.sqe[i]->fd, 77);
		assert_int_equal(commands.sqe[i]->cmd_op, 1);
		assert_int_equal(commands.sqe[i]->user_data, 2 * i + 1);
		assert_int_equal(e->entry[i].state, VIOFS_ENTRY_KERNEL);
		assert_int_equal(slot->entry, i);
		assert_int_not_equal(slot->buffer, VIOFS_BUFFER_NONE);
		for (unsigned int k = 0; k < i; k++)
			assert_int_not_equal(slot->buffer,
					     lane->slots.slots[e->entry[k].slot].buffer);
	}
	assert_int_equal(lane->slots.free_count, 8 - QUEUES * DEPTH);
	assert_false(e->closed || e->failed || e->arrived_count || viofs_entries_are_lost(lane));
	free_lane();
}

static void what_completes_is_a_request_or_the_end_of_an_entry(void **state)
{
	static const int ends[] = { -ENOTCONN, -ECONNABORTED, -ECANCELED };
	struct viofs_entries *e;

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(ends); i++) {
		make_lane(8, 8);
		e = &lane->entries;
		assert_int_equal(viofs_entries_start(lane), 0);
		complete(3, 0);
		complete(1, 0);
		assert_int_equal(e->arrived_count, 2);
		assert_int_equal(e->arrived[0], 3);
		assert_int_equal(e->arrived[1], 1);
		assert_int_equal(e->entry[3].state, VIOFS_ENTRY_ARRIVED);
		assert_int_equal(e->entry[0].state, VIOFS_ENTRY_KERNEL);
		/* The command that gives up is no entry's. */
		complete(QUEUES * DEPTH, -EINVAL);
		assert_false(e->closed || e->failed);
		complete(0, ends[i]);
		assert_int_equal(e->entry[0].state, VIOFS_ENTRY_UNUSED);
		assert_int_equal(e->arrived_count, 2);
		assert_true(e->closed);
		assert_false(e->failed || viofs_entries_are_lost(lane));
		complete(2, -EINVAL);
		assert_int_equal(e->failed, -EINVAL);
		assert_int_equal(e->entry[2].state, VIOFS_ENTRY_UNUSED);
		assert_true(viofs_entries_are_lost(lane));
		/* Given up: that is known. */
		stats.channel = VIOFS_CHANNEL_DEV;
		assert_false(viofs_entries_are_lost(lane));
		free_lane();
	}
}

static void the_first_that_is_refused_is_the_last_that_is_tried(void **state)
{
	make_lane(8, 8);
	commands.refuse_with = -EOPNOTSUPP;
	assert_int_equal(viofs_entries_start(lane), -EOPNOTSUPP);
	assert_int_equal(commands.count, 1);
	assert_int_equal(lane->entries.entry[0].state, VIOFS_ENTRY_UNUSED);
	commands.refuse_with = 0;
	viofs_entries_give_up(&relay);
	assert_int_equal(commands.count, 2);
	assert_int_equal(commands.flushes, 2);
	assert_int_equal(commands.sqe[1]->fd, 77);
	assert_int_equal(commands.sqe[1]->len, 0);
	assert_int_equal(commands.sqe[1]->user_data, 2 * QUEUES * DEPTH + 1);
	assert_int_equal(lane->entries.failed, 0);
	free_lane();
	make_lane(8, 8);
	commands.flush_rc = -EBADF;
	assert_int_equal(viofs_entries_start(lane), -EBADF);
	assert_int_equal(commands.count, 1);
	free_lane();
}

static void without_room_for_all_it_is_an_error(void **state)
{
	make_lane(8, 3);
	assert_int_equal(viofs_entries_start(lane), -ENOBUFS);
	assert_int_equal(commands.count, 3);
	free_lane();
	make_lane(3, 8);
	assert_int_equal(viofs_entries_start(lane), -ENOBUFS);
	assert_int_equal(commands.count, 3);
	free_lane();
}

/* Only what the end of a READ may wait for is left to a thread of the kernel's. */
static void direct_reads_and_nothing_else_are_ended_by_another_thread(void **state)
{
	static const struct {
		bool may_block;
		uint64_t flags;
		uint32_t open_flags;
		int error;
		bool async;
	} cases[] = {
		{ true, FUSE_ASYNC_DIO, O_DIRECT, 0, true },
		{ true, FUSE_ASYNC_DIO, O_DIRECT, -EIO, true },
		{ true, FUSE_ASYNC_DIO, 0, 0, false },
		{ true, 0, O_DIRECT, 0, false },
		{ false, FUSE_ASYNC_DIO, O_DIRECT, 0, false },
	};
	const uint32_t fixed = 0x01020304;

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++) {
		const struct fuse_read_in in = { .flags = cases[i].open_flags };
		const struct io_uring_sqe *sqe = commands.sqe[QUEUES * DEPTH];
		struct viofs_slot *slot;
		struct viofs_entry *entry;

		make_lane(8, 8);
		assert_int_equal(viofs_entries_start(lane), 0);
		entry = &lane->entries.entry[2];
		slot = &lane->slots.slots[entry->slot];
		complete(2, 0);
		memcpy(entry->header.op_in, &in, sizeof(in));
		entry->header.in.unique = 42;
		slot->shape.may_block = cases[i].may_block;
		stats.agreed.flags = cases[i].flags;
		viofs_entry_reply(lane, slot, cases[i].error, &fixed, sizeof(fixed), 0);
		assert_int_equal(commands.count, QUEUES * DEPTH + 1);
		assert_int_equal(sqe->cmd_op, 2);
		assert_int_equal(sqe->fd, 77);
		assert_int_equal(sqe->user_data, 2 * 2 + 1);
		assert_int_equal(sqe->flags, cases[i].async ? IOSQE_ASYNC : 0);
		assert_int_equal(entry->state, VIOFS_ENTRY_KERNEL);
		assert_int_equal(entry->header.payload_size, sizeof(fixed));
		assert_int_equal(entry->header.out.error, cases[i].error);
		assert_int_equal(entry->header.out.unique, 42);
		assert_memory_equal(viofs_slots_buffer(&lane->slots, slot->buffer), &fixed,
				    sizeof(fixed));
		free_lane();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_queue_has_its_entries_in_one_lane),
		cmocka_unit_test(nothing_is_written_behind_the_last_one),
		cmocka_unit_test(the_memory_is_what_they_need),
		cmocka_unit_test(each_entry_is_registered_with_memory_of_its_own),
		cmocka_unit_test(what_completes_is_a_request_or_the_end_of_an_entry),
		cmocka_unit_test(the_first_that_is_refused_is_the_last_that_is_tried),
		cmocka_unit_test(without_room_for_all_it_is_an_error),
		cmocka_unit_test(direct_reads_and_nothing_else_are_ended_by_another_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
