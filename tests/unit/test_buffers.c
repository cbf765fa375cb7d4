/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Buffers: whose data may lie in them, and who is shown none of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "fake_mapper.h"
#include "relay/contents.h"

#define COUNT 20U
#define BUFFERS 6U
#define BUFFER_SIZE (1U << 20)

static struct fake_mapper fake;
static struct viofs_arena *arena;
static struct viofs_slots slots;

static int make(void **state)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };
	struct viofs_slots_tables tables;

	viofs_slots_arena_sizes(COUNT, BUFFERS, BUFFER_SIZE, sizes);
	assert_int_equal(viofs_arena_new(sizes, false, &arena, NULL), 0);
	fake_mapper_init(&fake, true);
	assert_int_equal(viofs_arena_map(arena, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, NULL), 0);
	viofs_slots_alloc(COUNT, BUFFERS, BUFFER_SIZE, arena, &tables);
	assert_int_equal(viofs_slots_init(&slots, COUNT, BUFFERS, BUFFER_SIZE, arena, &tables), 0);
	return 0;
}

static int drop(void **state)
{
	viofs_slots_fini(&slots);
	viofs_arena_free(arena);
	return 0;
}

/* A READ of @size bytes from @nodeid, about to be sent. */
static struct viofs_slot *load_read(uint64_t nodeid, uint32_t size)
{
	struct viofs_slot *slot = viofs_slots_take(&slots);

	assert_non_null(slot);
	slot->shape = (struct viofs_fuse_shape){
		.opcode = FUSE_READ, .args = 40, .replies = true, .reply_data = size
	};
	slot->len = sizeof(struct fuse_in_header) + slot->shape.args;
	slot->nodeid = nodeid;
	assert_int_equal(viofs_slot_needs_buffer(slot), size > VIOFS_SLOT_DATA);
	if (size > VIOFS_SLOT_DATA) {
		slot->buffer = viofs_contents_take_buffer(&slots, slot, 0);
		assert_int_not_equal(slot->buffer, VIOFS_BUFFER_NONE);
	}
	viofs_contents_clear_reply(&slots, slot);
	return slot;
}

/* Its reply is written, in full. */
static void write_reply(struct viofs_slot *slot)
{
	memset(viofs_slot_reply_data(&slots, slot), 'x', slot->shape.reply_data);
	viofs_slots_give(&slots, slot);
}

/* What was left in the first @size bytes for a READ from @nodeid, and at @size. */
static void finds(uint64_t nodeid, uint32_t size, char first, char behind)
{
	struct viofs_slot *slot = load_read(nodeid, size);
	const uint8_t *data = viofs_slot_reply_data(&slots, slot);

	for (uint32_t i = 0; i < size; i++)
		assert_int_equal(data[i], first);
	if (size < BUFFER_SIZE)
		assert_int_equal(data[size], behind);
	viofs_slots_give(&slots, slot);
}

static void a_buffer_is_cleared_of_other_files_only(void **state)
{
	write_reply(load_read(5, BUFFER_SIZE));
	finds(5, 65536, 'x', 'x');
	finds(6, 65536, 0, 'x');
	/* Of both now, so nobody's. */
	finds(5, 8192, 0, 0);
	finds(6, BUFFER_SIZE, 0, 0);
	for (unsigned int i = 0; i < BUFFERS; i++)
		write_reply(load_read(7, BUFFER_SIZE));
	finds(8, BUFFER_SIZE, 0, 0);
}

static void a_buffer_with_the_same_files_data_is_taken_first(void **state)
{
	struct viofs_slot *five = load_read(5, BUFFER_SIZE), *six = load_read(6, BUFFER_SIZE);

	write_reply(five);
	write_reply(six);
	finds(5, BUFFER_SIZE, 'x', 0);
	finds(6, BUFFER_SIZE, 'x', 0);
	finds(5, BUFFER_SIZE, 'x', 0);
}

/* Also the one that was given back first, and would be taken last. */
static void each_free_buffer_is_looked_at(void **state)
{
	struct viofs_slot *all[BUFFERS];

	for (unsigned int i = 0; i < BUFFERS; i++)
		all[i] = load_read(10 + i, BUFFER_SIZE);
	for (unsigned int i = 0; i < BUFFERS; i++)
		write_reply(all[i]);
	for (unsigned int i = 0; i < BUFFERS; i++)
		finds(10 + i, BUFFER_SIZE, 'x', 0);
}

/* WRITE data and other messages too; none of them shows in a READ of another file. */
static void what_the_kernel_put_there_is_cleared_too(void **state)
{
	struct fuse_in_header head = { .opcode = FUSE_WRITE, .nodeid = 5 };

	for (int i = 0; i < 2; i++, head.opcode = FUSE_BATCH_FORGET) {
		uint16_t buffer = viofs_slots_take_buffer(&slots, 0);

		memset(viofs_slots_buffer(&slots, buffer), 'x', 10000);
		viofs_contents_note(&slots, buffer, &head, 10000);
		viofs_slots_give_buffer(&slots, buffer);
		finds(i ? 5 : 6, 8192, 0, 'x');
		finds(6, 10000, 0, 0);
	}
}

static void a_forgotten_nodeid_may_be_another_file(void **state)
{
	struct {
		struct fuse_in_header head;
		struct fuse_batch_forget_in batch;
		struct fuse_forget_one one[2];
	} m = { .head = { .opcode = FUSE_FORGET, .nodeid = 5 },
		.batch = { .count = 2 },
		.one = { { .nodeid = 7 }, { .nodeid = 6 } } };

	write_reply(load_read(5, BUFFER_SIZE));
	viofs_contents_forget(&slots, &m, sizeof(m.head) + sizeof(struct fuse_forget_in));
	finds(5, BUFFER_SIZE, 0, 0);
	write_reply(load_read(6, BUFFER_SIZE));
	m.head.opcode = FUSE_BATCH_FORGET;
	viofs_contents_forget(&slots, &m, sizeof(m));
	finds(6, BUFFER_SIZE, 0, 0);
}

/* Replies that are short enough lie in the slot itself; the same slot comes again here. */
static void a_slots_own_data_is_cleared_of_other_files_only(void **state)
{
	write_reply(load_read(5, VIOFS_SLOT_DATA));
	finds(5, 2000, 'x', 'x');
	finds(6, 3000, 0, 'x');
	/* Of both now, so nobody's. */
	finds(5, 1000, 0, 0);
	finds(6, VIOFS_SLOT_DATA - 1, 0, 'x');
}

static void a_forgotten_nodeids_data_in_a_slot_is_cleared(void **state)
{
	struct {
		struct fuse_in_header head;
		struct fuse_forget_in in;
	} m = { .head = { .opcode = FUSE_FORGET, .nodeid = 5 } };

	write_reply(load_read(5, VIOFS_SLOT_DATA));
	viofs_contents_forget(&slots, &m, sizeof(m));
	finds(5, 2000, 0, 'x');
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_buffer_is_cleared_of_other_files_only),
		TEST(a_buffer_with_the_same_files_data_is_taken_first),
		TEST(each_free_buffer_is_looked_at),
		TEST(what_the_kernel_put_there_is_cleared_too),
		TEST(a_forgotten_nodeid_may_be_another_file),
		TEST(a_slots_own_data_is_cleared_of_other_files_only),
		TEST(a_forgotten_nodeids_data_in_a_slot_is_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
