/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is the packed ring's own: how it lies in memory, and the lies that only it can be told. */
#include "ring_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PACKED VIOFS_RING_PACKED
#define AVAIL 0x80
#define USED 0x8000
#define WRAP 0x8000

static void sizes_are_the_standards(void **state)
{
	struct viofs_ring_layout l = viofs_ring_layout(100, PACKED);

	assert_int_equal(l.desc, 1600);
	assert_int_equal(l.driver, 4);
	assert_int_equal(l.device, 4);
	assert_true(l.desc_written);
}

/* A chain over the ring's end: marks change with the round, the id is in its last descriptor. */
static void direct_chain_is_written_as_the_device_reads_it(void **state)
{
	struct viofs_ring_piece p[4] = {
		{ 0xa000, 40 }, { 0xb000, 24 }, { 0xd000, 16 }, { 0x123456789000, 4096 }
	};
	struct viofs_ring_chain c = { .pieces = p, .readable = 2, .writable = 2, .token = 9 };
	const struct viofs_ring_packed_desc *ring;
	struct ring_bench b;
	int id;

	ring_bench_init(&b, 5, PACKED);
	ring = ring_bench_packed(&b);
	for (unsigned int i = 0; i < 3; i++) {
		ring_bench_add(&b, i, 0, 8);
		ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
		ring_bench_expect(&b, i, 8);
	}
	assert_int_equal(viofs_ring_add(&b.ring, &c), 0);
	assert_int_equal(b.ring.shadow->free_count, 1);
	for (unsigned int i = 0; i < 4; i++) {
		const struct viofs_ring_packed_desc *d = &ring[(3 + i) % 5];

		assert_int_equal(d->addr, p[i].iova);
		assert_int_equal(d->len, p[i].len);
		assert_int_equal(d->flags, (i < 2 ? AVAIL : USED) | (i >= 2 ? F_WRITE : 0) |
						   (i < 3 ? F_NEXT : 0));
	}
	id = ring_bench_pop(&b);
	assert_int_equal(id, ring[(3 + 3) % 5].id);
	assert_int_equal(ring_bench_pop(&b), -1);
	/* One used descriptor for all four. */
	ring_bench_push(&b, (uint32_t)id, 16 + 4096);
	ring_bench_expect(&b, 9, 16 + 4096);
	assert_int_equal(b.ring.shadow->free_count, 5);
	assert_int_equal(b.ring.shadow->in_flight, 0);
	assert_int_equal(b.ring.shadow->used, b.ring.shadow->avail);
	ring_bench_fini(&b);
}

static void indirect_chain_takes_one_descriptor(void **state)
{
	struct viofs_ring_piece p[4] = {
		{ 0xa000, 40 }, { 0xb000, 24 }, { 0xd000, 16 }, { 0xe000, 8 }
	};
	struct viofs_ring_packed_desc table[4], *d;
	struct viofs_ring_chain c = { .pieces = p,
				      .readable = 2,
				      .writable = 2,
				      .token = 5,
				      .indirect = (void *)table,
				      .indirect_iova = 0xfeed0000 };
	struct ring_bench b;
	int id;

	ring_bench_init(&b, 4, PACKED | VIOFS_RING_EVENT_IDX);
	memset(table, 0xff, sizeof(table));
	assert_int_equal(viofs_ring_add(&b.ring, &c), 0);
	assert_int_equal(b.ring.shadow->free_count, 3);
	d = ring_bench_packed(&b);
	assert_int_equal(d->flags, F_INDIRECT | AVAIL);
	assert_int_equal(d->addr, 0xfeed0000);
	assert_int_equal(d->len, 4 * 16);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(table[i].addr, p[i].iova);
		assert_int_equal(table[i].len, p[i].len);
		/* No other flag is valid there (2.8.7). */
		assert_int_equal(table[i].flags, i >= 2 ? F_WRITE : 0);
		assert_int_equal(table[i].id, 0);
	}
	id = ring_bench_pop(&b);
	ring_bench_push(&b, (uint32_t)id, 24);
	ring_bench_expect(&b, 5, 24);
	assert_int_equal(b.ring.shadow->free_count, 4);
	ring_bench_fini(&b);
}

/* What the driver asks for, as the device reads it: place, wrap counter, flags. */
static void event_suppression_names_place_and_round(void **state)
{
	struct ring_bench b;
	uint16_t *driver;

	ring_bench_init(&b, 3, PACKED | VIOFS_RING_EVENT_IDX);
	driver = b.driver;
	assert_int_equal(driver[1], 1); /* disabled */
	for (unsigned int i = 0; i < 7; i++) {
		viofs_ring_arm(&b.ring);
		assert_int_equal(driver[1], 2);
		assert_int_equal(driver[0], i % 3 | (i / 3 % 2 ? 0 : WRAP));
		ring_bench_add(&b, 0, 0, 8);
		ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
		ring_bench_expect(&b, 0, 8);
	}
	ring_bench_fini(&b);

	ring_bench_init(&b, 3, PACKED);
	driver = b.driver;
	viofs_ring_arm(&b.ring);
	assert_int_equal(driver[1], 0); /* enabled, no place */
	viofs_ring_disarm(&b.ring);
	assert_int_equal(driver[1], 1);
	ring_bench_fini(&b);
}

/* A device that asks by place without EVENT_IDX, or by a value that is reserved, is kicked. */
static void strange_event_flags_are_kicked(void **state)
{
	struct ring_bench b;

	for (uint16_t flags = 2; flags < 4; flags++) {
		ring_bench_init(&b, 8, PACKED);
		((uint16_t *)b.device)[1] = flags;
		ring_bench_add(&b, 0, 0, 8);
		assert_true(viofs_ring_should_kick(&b.ring));
		ring_bench_fini(&b);
	}
}

/* 2.8.4: a length without WRITE is reserved; but some devices never set it, and mean what they say.
 */
static void without_the_write_flag_a_length_counts_if_it_is_possible(void **state)
{
	static const uint32_t lens[] = { 0, 1, 8, 9, UINT32_MAX };
	struct ring_bench b;

	for (unsigned int i = 0; i < 5; i++) {
		ring_bench_init(&b, 8, PACKED);
		ring_bench_add(&b, 7, 16, 8);
		ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), lens[i]);
		ring_bench_packed(&b)[0].flags &= (uint16_t)~F_WRITE;
		ring_bench_expect(&b, 7, lens[i] <= 8 ? lens[i] : 0);
		ring_bench_fini(&b);
	}
}

static void used_on_an_idle_ring(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, PACKED);
	ring_bench_push(&b, 0, 0);
	ring_bench_expect_broken(&b, "no chain in flight");
	ring_bench_fini(&b);
}

/* An id that is in flight, but completed twice in places one after the other. */
static void more_used_than_in_flight(void **state)
{
	struct ring_bench b;
	uint32_t id;

	ring_bench_init(&b, 8, PACKED);
	ring_bench_add(&b, 1, 0, 8);
	id = (uint32_t)ring_bench_pop(&b);
	ring_bench_push(&b, id, 8);
	ring_bench_push(&b, id, 8);
	ring_bench_expect(&b, 1, 8);
	ring_bench_expect_broken(&b, "no chain in flight");
	ring_bench_fini(&b);
}

/* Used marks of another round say nothing: neither a completion nor a lie. */
static void marks_of_the_other_round_are_not_used(void **state)
{
	uint32_t token, len;
	struct ring_bench b;

	ring_bench_init(&b, 2, PACKED);
	for (unsigned int round = 0; round < 5; round++) {
		ring_bench_add(&b, 4, 0, 8);
		assert_int_equal(viofs_ring_get(&b.ring, &token, &len), 0);
		ring_bench_packed(&b)[b.used_at].flags = b.used_wrap ? 0 : AVAIL | USED;
		assert_int_equal(viofs_ring_get(&b.ring, &token, &len), 0);
		assert_null(viofs_ring_broken(&b.ring));
		/* As the driver wrote it, and then as a good device does. */
		ring_bench_packed(&b)[b.used_at].flags = (b.used_wrap ? AVAIL : USED) | F_WRITE;
		ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
		ring_bench_expect(&b, 4, 8);
	}
	ring_bench_fini(&b);
}

/* A device that scribbles over all that the driver wrote changes nothing in the driver. */
static void descriptors_are_never_read_back(void **state)
{
	struct ring_bench b;
	uint32_t first, second;

	ring_bench_init(&b, 8, PACKED | VIOFS_RING_EVENT_IDX);
	ring_bench_add(&b, 1, 8, 8);
	ring_bench_add(&b, 2, 8, 8);
	first = (uint32_t)ring_bench_pop(&b);
	second = (uint32_t)ring_bench_pop(&b);
	memset(b.desc, 0x55, 8 * 16); /* marks: neither used in this round */
	memset(b.driver, 0xff, 4);
	ring_bench_push(&b, second, 8);
	ring_bench_expect(&b, 2, 8);
	assert_int_equal(b.ring.shadow->free_count, 6);
	assert_int_equal(ring_bench_add(&b, 3, 0, 8), 0);
	assert_int_equal(ring_bench_packed(&b)[4].addr, 0x2000);
	assert_int_equal(ring_bench_packed(&b)[4].id, second);
	ring_bench_push(&b, first, 8);
	ring_bench_expect(&b, 1, 8);
	ring_bench_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_the_standards),
		cmocka_unit_test(direct_chain_is_written_as_the_device_reads_it),
		cmocka_unit_test(indirect_chain_takes_one_descriptor),
		cmocka_unit_test(event_suppression_names_place_and_round),
		cmocka_unit_test(strange_event_flags_are_kicked),
		cmocka_unit_test(without_the_write_flag_a_length_counts_if_it_is_possible),
		cmocka_unit_test(used_on_an_idle_ring),
		cmocka_unit_test(more_used_than_in_flight),
		cmocka_unit_test(marks_of_the_other_round_are_not_used),
		cmocka_unit_test(descriptors_are_never_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
