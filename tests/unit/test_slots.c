/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slots: how requests are framed for the device, where their bytes lie, and on scattered pages. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dma/physical.h"
#include "fake_mapper.h"
#include "fuse/forget.h"
#include "relay/contents.h"
#include "relay/slot_chain.h"

#define PAGE 4096U
#define COUNT 20U
#define BUFFERS 6U
#define BUFFER_SIZE (1U << 20)

static const struct viofs_fuse_conn conn = { .minor = 38, .page_size = PAGE, .setxattr_ext = true };

static struct fake_mapper fake;
static struct viofs_arena *arena;
static struct viofs_slots slots, hiprio_slots;
static struct viofs_ring_piece pieces[300];
static struct viofs_ring_chain chain;

/* No two pages next to each other (linked in place of the real one, which reads pagemap). */
int __wrap_viofs_physical_read(const void *p, size_t count, uint64_t *out);
int __wrap_viofs_physical_read(const void *p, size_t count, uint64_t *out)
{
	for (size_t i = 0; i < count; i++)
		out[i] = ((uintptr_t)p / PAGE + i) * 2 * PAGE;
	return 0;
}

static void make(bool scattered)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };
	struct viofs_slots_tables tables;

	viofs_slots_arena_sizes(COUNT, BUFFERS, BUFFER_SIZE, sizes);
	assert_int_equal(viofs_arena_new(sizes, false, &arena, NULL), 0);
	fake_mapper_init(&fake, true);
	assert_int_equal(
		viofs_arena_map(arena, &fake.mapper,
				scattered ? VIOFS_ADDRESS_PHYSICAL : VIOFS_ADDRESS_TRANSLATED,
				NULL),
		0);
	viofs_slots_alloc(COUNT, BUFFERS, BUFFER_SIZE, arena, &tables);
	assert_int_equal(viofs_slots_init(&slots, COUNT, BUFFERS, BUFFER_SIZE, arena, &tables), 0);
	viofs_slots_share_hiprio(&slots, &hiprio_slots);
}

static int contiguous(void **state)
{
	make(false);
	return 0;
}

static int scattered(void **state)
{
	make(true);
	return 0;
}

static int drop(void **state)
{
	viofs_slots_fini(&slots);
	viofs_arena_free(arena);
	return 0;
}

/* What the device finds at @iova; fails where it may not do @access there. */
static uint8_t *device_memory(uint64_t iova, size_t len, unsigned int access)
{
	for (unsigned int i = 0; i < fake.count; i++) {
		const struct fake_mapping *m = &fake.mappings[i];

		if (iova >= m->iova && viofs_range_ok(iova - m->iova, len, m->len)) {
			assert_int_equal(m->access & access, access);
			return m->vaddr + (iova - m->iova);
		}
	}
	fail_msg("an address that the device was not given");
	return NULL;
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 31 + i / 256 + 1);
}

/* A slot with a request of @len bytes as the pump leaves it: header, then @args, then a pattern. */
static struct viofs_slot *load(uint32_t opcode, const void *args, size_t args_len, size_t len,
			       bool hiprio)
{
	struct fuse_in_header head = { .len = (uint32_t)len, .opcode = opcode, .unique = 4 };
	struct viofs_slot *slot = viofs_slots_take(hiprio ? &hiprio_slots : &slots);
	uint8_t *m = malloc(len);

	assert_non_null(slot);
	assert_non_null(m);
	memcpy(m, &head, sizeof(head));
	if (args)
		memcpy(m + sizeof(head), args, args_len);
	for (size_t i = sizeof(head) + args_len; i < len; i++)
		m[i] = pattern(i);
	assert_int_equal(viofs_fuse_classify(&conn, (void *)m, len, &slot->shape), 0);
	slot->len = (uint32_t)len;
	memcpy(viofs_slot_message(&slots, slot), m, VIOFS_MIN(len, VIOFS_SLOT_SMALL));
	if (len > VIOFS_SLOT_SMALL) {
		slot->buffer = viofs_slots_take_buffer(&slots, 0);
		memcpy(viofs_slots_buffer(&slots, slot->buffer), m + VIOFS_SLOT_SMALL,
		       len - VIOFS_SLOT_SMALL);
		if (sizeof(head) + slot->shape.args > VIOFS_SLOT_SMALL)
			viofs_slot_gather(&slots, slot);
	}
	if (viofs_slot_needs_buffer(slot))
		slot->buffer = viofs_slots_take_buffer(&slots, 0);
	free(m);
	return slot;
}

static void build(const struct viofs_slot *slot)
{
	assert_int_equal(
		viofs_slot_chain(&slots, slot, false, pieces, VIOFS_ARRAY_SIZE(pieces), &chain), 0);
	assert_ptr_equal(chain.pieces, pieces);
	assert_int_equal(chain.token, slot->index);
	assert_null(chain.indirect);
}

/* The readable bytes are the message, all of it and nothing else. */
static void reads_the_message(const struct viofs_slot *slot, size_t args_len)
{
	size_t at = 0;

	for (unsigned int i = 0; i < chain.readable; i++) {
		const uint8_t *p = device_memory(pieces[i].iova, pieces[i].len, VIOFS_DMA_READ);

		assert_true(pieces[i].len > 0);
		for (size_t j = 0; j < pieces[i].len; j++, at++)
			if (at >= 40 + args_len)
				assert_int_equal(p[j], pattern(at));
	}
	assert_int_equal(at, slot->len);
	for (unsigned int i = chain.readable; i < (unsigned int)chain.readable + chain.writable;
	     i++)
		device_memory(pieces[i].iova, pieces[i].len, VIOFS_DMA_WRITE);
}

/* Pieces of exactly these lengths; 0 ends a list. */
static void has_pieces(const uint32_t *readable, const uint32_t *writable)
{
	unsigned int n = 0;

	for (; readable[n]; n++)
		assert_int_equal(pieces[n].len, readable[n]);
	assert_int_equal(chain.readable, n);
	for (n = 0; writable[n]; n++)
		assert_int_equal(pieces[chain.readable + n].len, writable[n]);
	assert_int_equal(chain.writable, n);
}

#define LENGTHS(...) ((const uint32_t[]){ __VA_ARGS__, 0 })
#define NONE ((const uint32_t[]){ 0 })

static void header_arguments_and_structs_have_descriptors_of_their_own(void **state)
{
	struct viofs_slot *slot = load(FUSE_GETATTR, NULL, 0, 40 + 16, false);

	build(slot);
	has_pieces(LENGTHS(40, 16), LENGTHS(16, 104));
	reads_the_message(slot, 0);
	/* the name is with its struct, in one piece */
	slot = load(FUSE_MKNOD, NULL, 0, 40 + 16 + 200, false);
	build(slot);
	has_pieces(LENGTHS(40, 216), LENGTHS(16, 128));
	reads_the_message(slot, 0);
	/* nothing behind the header */
	slot = load(FUSE_STATFS, NULL, 0, 40, false);
	build(slot);
	has_pieces(LENGTHS(40), LENGTHS(16, 80));
	/* nothing but a header to answer */
	slot = load(FUSE_UNLINK, NULL, 0, 40 + 5, false);
	build(slot);
	has_pieces(LENGTHS(40, 5), LENGTHS(16));
	slot = load(FUSE_READLINK, NULL, 0, 40, false);
	build(slot);
	has_pieces(LENGTHS(40), LENGTHS(16, 4095));
}

static void three_parts_each_way(void **state)
{
	struct fuse_ioctl_in in = { .in_size = 100, .out_size = 200 };
	struct viofs_slot *slot = load(FUSE_IOCTL, &in, sizeof(in), 40 + 32 + 100, false);

	build(slot);
	has_pieces(LENGTHS(40, 32, 100), LENGTHS(16, 16, 4096));
	reads_the_message(slot, 32);
}

static void the_longest_request_without_a_buffer_is_in_one_piece(void **state)
{
	struct viofs_slot *slot = load(FUSE_LOOKUP, NULL, 0, VIOFS_SLOT_SMALL, false);

	assert_int_equal(slot->buffer, VIOFS_BUFFER_NONE);
	build(slot);
	has_pieces(LENGTHS(40, VIOFS_SLOT_SMALL - 40), LENGTHS(16, 128));
	reads_the_message(slot, 0);
}

static void write_data_is_page_aligned_and_apart(void **state)
{
	static const uint32_t sizes[] = { 1, 4095, 4096, 4097, 5000, 131072, 1 << 20 };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(sizes); i++) {
		struct fuse_write_in in = { .size = sizes[i] };
		struct viofs_slot *slot = load(FUSE_WRITE, &in, sizeof(in), 80 + sizes[i], false);

		build(slot);
		if (sizes[i] <= PAGE)
			has_pieces(LENGTHS(40, 40, sizes[i]), LENGTHS(16, 8));
		else
			has_pieces(LENGTHS(40, 40, PAGE, sizes[i] - PAGE), LENGTHS(16, 8));
		assert_int_equal(pieces[2].iova % PAGE, 0);
		if (sizes[i] > PAGE)
			assert_int_equal(pieces[3].iova % PAGE, 0);
		reads_the_message(slot, 40);
		viofs_slots_give(&slots, slot);
	}
}

static void read_data_is_page_aligned_and_apart(void **state)
{
	static const uint32_t sizes[] = { 1, 4096, 4097, 131072, 1 << 20 };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(sizes); i++) {
		struct fuse_read_in in = { .size = sizes[i] };
		struct viofs_slot *slot = load(FUSE_READ, &in, sizeof(in), 80, false);

		assert_int_equal(slot->buffer == VIOFS_BUFFER_NONE, sizes[i] <= VIOFS_SLOT_DATA);
		build(slot);
		has_pieces(LENGTHS(40, 40), LENGTHS(16, sizes[i]));
		assert_int_equal(pieces[3].iova % PAGE, 0);
		assert_ptr_equal(device_memory(pieces[3].iova, sizes[i], VIOFS_DMA_WRITE),
				 viofs_slot_reply_data(&slots, slot));
		assert_ptr_equal(device_memory(pieces[2].iova, 16, VIOFS_DMA_WRITE),
				 viofs_slot_reply(&slots, slot));
		reads_the_message(slot, 40);
		viofs_slots_give(&slots, slot);
	}
}

static void without_a_size_there_is_no_data_descriptor(void **state)
{
	struct fuse_read_in in = { .size = 0 };
	struct viofs_slot *slot = load(FUSE_READ, &in, sizeof(in), 80, false);

	build(slot);
	has_pieces(LENGTHS(40, 40), LENGTHS(16));
}

/* SETXATTR's name and value are one string of arguments for the device. */
static void arguments_that_spill_are_gathered(void **state)
{
	static const size_t lens[] = { VIOFS_SLOT_SMALL + 1, 8192, 40 + 16 + 256 + 65536,
				       BUFFER_SIZE };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(lens); i++) {
		struct viofs_slot *slot = load(FUSE_SETXATTR, NULL, 0, lens[i], false);

		assert_true(slot->spilled);
		assert_ptr_equal(viofs_slot_header(&slots, slot),
				 viofs_slots_buffer(&slots, slot->buffer));
		assert_int_equal(viofs_slot_header(&slots, slot)->opcode, FUSE_SETXATTR);
		build(slot);
		has_pieces(LENGTHS(40, (uint32_t)lens[i] - 40), LENGTHS(16));
		reads_the_message(slot, 0);
		viofs_slots_give(&slots, slot);
	}
}

static void a_spilled_request_and_its_reply_lie_apart(void **state)
{
	struct fuse_ioctl_in in = { .in_size = 16383, .out_size = 16383 };
	struct viofs_slot *slot = load(FUSE_IOCTL, &in, sizeof(in), 40 + 32 + 16383, false);
	uint8_t *buffer = viofs_slots_buffer(&slots, slot->buffer);

	assert_ptr_equal(viofs_slot_reply_data(&slots, slot), buffer + BUFFER_SIZE / 2);
	build(slot);
	assert_int_equal(chain.writable, 3);
	assert_int_equal(pieces[chain.readable + 2].len, 16383);
	reads_the_message(slot, 32);
}

static void the_header_is_where_the_device_reads_it(void **state)
{
	struct viofs_slot *slot = load(FUSE_GETATTR, NULL, 0, 56, false);

	viofs_slot_header(&slots, slot)->unique = 0x1234;
	build(slot);
	assert_int_equal(
		((struct fuse_in_header *)(void *)device_memory(pieces[0].iova, 40, VIOFS_DMA_READ))
			->unique,
		0x1234);
}

static void forget_is_one_readable_piece(void **state)
{
	struct viofs_slot *slot = load(FUSE_FORGET, NULL, 0, 48, true);

	build(slot);
	has_pieces(LENGTHS(48), NONE);
	reads_the_message(slot, 0);
}

static void a_batch_of_forgets_is_one_piece_on_any_pages(void **state)
{
	static const size_t lens[] = { 40 + 8 + 2 * 16, 40 + 8 + 3 * 16, VIOFS_FUSE_FORGET_BYTES };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(lens); i++) {
		struct viofs_slot *slot = load(FUSE_BATCH_FORGET, NULL, 0, lens[i], true);

		build(slot);
		has_pieces(LENGTHS((uint32_t)lens[i]), NONE);
		reads_the_message(slot, 0);
	}
}

static void interrupt_has_room_for_an_answer(void **state)
{
	build(load(FUSE_INTERRUPT, NULL, 0, 48, true));
	has_pieces(LENGTHS(40, 8), LENGTHS(16));
}

static void an_indirect_table_is_the_slots_own(void **state)
{
	struct viofs_slot *slot = load(FUSE_LOOKUP, NULL, 0, VIOFS_SLOT_SMALL, false);
	struct viofs_slot *high = load(FUSE_BATCH_FORGET, NULL, 0, VIOFS_FUSE_FORGET_BYTES, true);

	for (int i = 0; i < 2; i++, slot = high) {
		const uint8_t *message = viofs_slot_message(&slots, slot);

		assert_int_equal(viofs_slot_chain(&slots, slot, true, pieces, 8, &chain), 0);
		assert_ptr_equal(chain.indirect,
				 device_memory(chain.indirect_iova,
					       VIOFS_SLOT_INDIRECT * sizeof(*chain.indirect),
					       VIOFS_DMA_READ));
		assert_int_equal(chain.indirect_iova % 16, 0);
		/* before the message, and not of the slot before */
		assert_true((const uint8_t *)(chain.indirect + VIOFS_SLOT_INDIRECT) <= message);
		memset(chain.indirect, 0xff, VIOFS_SLOT_INDIRECT * sizeof(*chain.indirect));
		build(slot);
		reads_the_message(slot, 0);
	}
}

static void too_many_pieces_are_refused(void **state)
{
	struct viofs_slot *slot = load(FUSE_GETATTR, NULL, 0, 56, false);

	for (unsigned int max = 0; max < 4; max++)
		assert_int_equal(viofs_slot_chain(&slots, slot, false, pieces, max, &chain),
				 -EMSGSIZE);
	assert_int_equal(viofs_slot_chain(&slots, slot, false, pieces, 4, &chain), 0);
}

static void each_piece_lies_in_one_page(void)
{
	for (unsigned int i = 0; i < (unsigned int)chain.readable + chain.writable; i++)
		assert_int_equal(pieces[i].iova / PAGE,
				 (pieces[i].iova + pieces[i].len - 1) / PAGE);
}

static void scattered_pages_are_pieces_each(void **state)
{
	struct fuse_write_in write = { .size = 131072 };
	struct fuse_read_in read = { .size = 131072 };
	struct viofs_slot *slot = load(FUSE_WRITE, &write, sizeof(write), 80 + 131072, false);

	build(slot);
	assert_int_equal(chain.readable, 2 + 32);
	assert_int_equal(chain.writable, 2);
	each_piece_lies_in_one_page();
	reads_the_message(slot, 40);

	slot = load(FUSE_READ, &read, sizeof(read), 80, false);
	build(slot);
	assert_int_equal(chain.readable, 2);
	assert_int_equal(chain.writable, 1 + 32);
	each_piece_lies_in_one_page();

	slot = load(FUSE_SETXATTR, NULL, 0, 40 + 16 + 10 + 65536, false);
	build(slot);
	each_piece_lies_in_one_page();
	reads_the_message(slot, 0);
}

static void small_requests_are_framed_the_same_on_scattered_pages(void **state)
{
	struct viofs_slot *slot = load(FUSE_GETATTR, NULL, 0, 56, false);

	build(slot);
	has_pieces(LENGTHS(40, 16), LENGTHS(16, 104));
	slot = load(FUSE_LOOKUP, NULL, 0, 80, false);
	build(slot);
	has_pieces(LENGTHS(40, 40), LENGTHS(16, 128));
	slot = load(FUSE_CREATE, NULL, 0, 80, false);
	build(slot);
	has_pieces(LENGTHS(40, 40), LENGTHS(16, 144));
	slot = load(VIOFS_FUSE_STATX, NULL, 0, 64, false);
	build(slot);
	has_pieces(LENGTHS(40, 24), LENGTHS(16, 288));
	/* a longer name crosses into the next page */
	slot = load(FUSE_LOOKUP, NULL, 0, 40 + 255, false);
	build(slot);
	has_pieces(LENGTHS(40, 40, 215), LENGTHS(16, 128));
	reads_the_message(slot, 0);
}

static void a_transfer_with_more_pages_than_descriptors_is_refused(void **state)
{
	struct fuse_read_in in = { .size = 1 << 20 };
	struct viofs_slot *slot = load(FUSE_READ, &in, sizeof(in), 80, false);

	assert_int_equal(viofs_slot_chain(&slots, slot, true, pieces, VIOFS_SLOT_INDIRECT, &chain),
			 -EMSGSIZE);
	assert_int_equal(viofs_slot_chain(&slots, slot, true, pieces, 3 + 256, &chain), 0);
}

/* A late reply of an earlier use can't be taken for this one's. */
static void uniques_are_never_the_same(void **state)
{
	uint64_t seen[3 * COUNT];
	unsigned int n = 0;

	for (int round = 0; round < 3; round++) {
		struct viofs_slot *taken[COUNT];

		for (unsigned int i = 0; i < COUNT; i++) {
			taken[i] = viofs_slots_take(&slots);
			assert_non_null(taken[i]);
			assert_int_equal(taken[i]->state, VIOFS_SLOT_LANDING);
			assert_int_equal(taken[i]->device_unique & 1, 0);
			assert_int_not_equal(taken[i]->device_unique, 0);
			assert_int_equal(taken[i]->device_unique >> 1 & 0xffff, taken[i]->index);
			for (unsigned int j = 0; j < n; j++)
				assert_int_not_equal(seen[j], taken[i]->device_unique);
			seen[n++] = taken[i]->device_unique;
		}
		assert_null(viofs_slots_take(&slots));
		assert_int_equal(slots.free_count, 0);
		for (unsigned int i = 0; i < COUNT; i++)
			viofs_slots_give(&slots, taken[i]);
		assert_int_equal(slots.free_count, COUNT);
	}
}

static void hiprio_slots_are_kept_apart(void **state)
{
	struct viofs_slot *slot;

	while (viofs_slots_take(&slots))
		;
	for (unsigned int i = 0; i < VIOFS_SLOTS_HIPRIO; i++) {
		assert_int_equal(hiprio_slots.free_count, VIOFS_SLOTS_HIPRIO - i);
		slot = viofs_slots_take(&hiprio_slots);
		assert_non_null(slot);
		assert_true(slot->index >= COUNT);
	}
	assert_null(viofs_slots_take(&hiprio_slots));
	viofs_slots_give(&hiprio_slots, &slots.slots[COUNT]);
	assert_null(viofs_slots_take(&slots));
	assert_ptr_equal(viofs_slots_take(&hiprio_slots), &slots.slots[COUNT]);
	viofs_slots_give(&slots, &slots.slots[3]);
	assert_null(viofs_slots_take(&hiprio_slots));
	assert_ptr_equal(viofs_slots_take(&slots), &slots.slots[3]);
}

/* No slot and no buffer is in two pools, no two have one unique, and all are laid out in one place.
 */
static void pools_share_nothing(void **state)
{
	struct viofs_slots pools[3];
	bool seen[COUNT] = { false }, seen_buffer[BUFFERS] = { false };
	struct viofs_slot *slot;
	uint16_t buffer;

	for (unsigned int i = 0; i < 3; i++)
		viofs_slots_share(&slots, (uint16_t)(i * (COUNT / 3)), COUNT / 3,
				  (uint16_t)(i * (BUFFERS / 3)), BUFFERS / 3, VIOFS_BUFFER_NONE,
				  &pools[i]);
	for (unsigned int i = 0; i < 3; i++) {
		assert_ptr_equal(viofs_slots_at(&pools[i], 0), &slots.slots[i * (COUNT / 3)]);
		while ((slot = viofs_slots_take(&pools[i]))) {
			assert_false(seen[slot->index]);
			seen[slot->index] = true;
			assert_int_equal(slot->device_unique >> 1 & 0xffff, slot->index);
			assert_ptr_equal(viofs_slot_reply(&pools[i], slot),
					 viofs_slot_reply(&slots, slot));
		}
		while ((buffer = viofs_slots_take_buffer(&pools[i], 0)) != VIOFS_BUFFER_NONE) {
			assert_false(seen_buffer[buffer]);
			seen_buffer[buffer] = true;
		}
	}
	for (unsigned int i = 0; i < COUNT / 3 * 3; i++)
		assert_true(seen[i]);
	for (unsigned int i = 0; i < BUFFERS / 3 * 3; i++)
		assert_true(seen_buffer[i]);
	viofs_slots_give_buffer(&pools[2], 2 * (BUFFERS / 3));
	assert_int_equal(viofs_slots_take_buffer(&pools[0], 0), VIOFS_BUFFER_NONE);
	assert_int_equal(viofs_slots_take_buffer(&pools[2], 0), 2 * (BUFFERS / 3));
}

static void a_buffer_goes_with_its_slot(void **state)
{
	struct fuse_read_in in = { .size = 8192 };
	struct viofs_slot *slot = load(FUSE_READ, &in, sizeof(in), 80, false);

	assert_int_equal(slots.free_buffer_count, BUFFERS - 1);
	viofs_slots_give(&slots, slot);
	assert_int_equal(slots.free_buffer_count, BUFFERS);
	assert_int_equal(slot->buffer, VIOFS_BUFFER_NONE);
	assert_int_equal(slot->state, VIOFS_SLOT_FREE);
}

static void the_last_buffers_can_be_kept(void **state)
{
	uint16_t taken[BUFFERS];

	for (unsigned int i = 0; i < BUFFERS - 1; i++) {
		taken[i] = viofs_slots_take_buffer(&slots, 1);
		assert_int_not_equal(taken[i], VIOFS_BUFFER_NONE);
		for (unsigned int j = 0; j < i; j++)
			assert_int_not_equal(taken[j], taken[i]);
	}
	assert_int_equal(viofs_slots_take_buffer(&slots, 1), VIOFS_BUFFER_NONE);
	assert_int_not_equal(viofs_slots_take_buffer(&slots, 0), VIOFS_BUFFER_NONE);
	assert_int_equal(viofs_slots_take_buffer(&slots, 0), VIOFS_BUFFER_NONE);
	viofs_slots_give_buffer(&slots, taken[0]);
	assert_int_equal(viofs_slots_take_buffer(&slots, 0), taken[0]);
}

/* Every slot filled with its own byte, in all its areas: none shows up in another's. */
static void no_two_slots_share_memory(void **state)
{
	const unsigned int all = COUNT + VIOFS_SLOTS_HIPRIO;
	const size_t fixed = sizeof(struct fuse_out_header) + VIOFS_FUSE_FIXED_MAX;

	for (unsigned int i = 0; i < all; i++) {
		struct viofs_slot *slot = &slots.slots[i];
		size_t room = i < COUNT ? VIOFS_SLOT_SMALL : VIOFS_SLOT_HIPRIO;

		memset(viofs_slot_message(&slots, slot), (int)i + 1, room);
		memset(viofs_slot_reply(&slots, slot), (int)i + 1, fixed);
		slot->shape.reply_data = VIOFS_SLOT_DATA;
		memset(viofs_slot_reply_data(&slots, slot), (int)i + 1, VIOFS_SLOT_DATA);
	}
	for (unsigned int i = 0; i < all; i++) {
		struct viofs_slot *slot = &slots.slots[i];
		size_t room = i < COUNT ? VIOFS_SLOT_SMALL : VIOFS_SLOT_HIPRIO;

		for (size_t j = 0; j < room; j++)
			assert_int_equal(viofs_slot_message(&slots, slot)[j], i + 1);
		for (size_t j = 0; j < fixed; j++)
			assert_int_equal(viofs_slot_reply(&slots, slot)[j], i + 1);
		for (size_t j = 0; j < VIOFS_SLOT_DATA; j++)
			assert_int_equal(viofs_slot_reply_data(&slots, slot)[j], i + 1);
	}
	assert_true(fixed <= VIOFS_SLOT_REPLY);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, contiguous, drop)
#define SCATTERED(f)                                                                               \
	{                                                                                          \
		"scattered: " #f, f, scattered, drop, NULL                                         \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(header_arguments_and_structs_have_descriptors_of_their_own),
		TEST(three_parts_each_way),
		TEST(the_longest_request_without_a_buffer_is_in_one_piece),
		TEST(write_data_is_page_aligned_and_apart),
		TEST(read_data_is_page_aligned_and_apart),
		TEST(without_a_size_there_is_no_data_descriptor),
		TEST(arguments_that_spill_are_gathered),
		TEST(a_spilled_request_and_its_reply_lie_apart),
		TEST(the_header_is_where_the_device_reads_it),
		TEST(forget_is_one_readable_piece),
		TEST(a_batch_of_forgets_is_one_piece_on_any_pages),
		TEST(interrupt_has_room_for_an_answer),
		TEST(an_indirect_table_is_the_slots_own),
		TEST(too_many_pieces_are_refused),
		TEST(uniques_are_never_the_same),
		TEST(hiprio_slots_are_kept_apart),
		TEST(pools_share_nothing),
		TEST(a_buffer_goes_with_its_slot),
		TEST(the_last_buffers_can_be_kept),
		TEST(no_two_slots_share_memory),
		SCATTERED(scattered_pages_are_pieces_each),
		SCATTERED(small_requests_are_framed_the_same_on_scattered_pages),
		SCATTERED(a_transfer_with_more_pages_than_descriptors_is_refused),
		SCATTERED(forget_is_one_readable_piece),
		SCATTERED(a_batch_of_forgets_is_one_piece_on_any_pages),
		SCATTERED(interrupt_has_room_for_an_answer),
		SCATTERED(an_indirect_table_is_the_slots_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
