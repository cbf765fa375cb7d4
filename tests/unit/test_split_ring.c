/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is the split ring's own: how it lies in memory, and the lies that only it can be told. */
#include "ring_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void sizes_are_the_standards(void **state)
{
	struct viofs_ring_layout l = viofs_ring_layout(256, 0);

	assert_int_equal(l.desc, 4096);
	assert_int_equal(l.driver, 6 + 2 * 256);
	assert_int_equal(l.device, 6 + 8 * 256);
	assert_false(l.desc_written);
	assert_int_equal(viofs_ring_layout(32768, 0).device, 6 + 8 * 32768);
}

static struct viofs_ring_desc *desc_of(struct ring_bench *b)
{
	return b->desc;
}

static void direct_chain_is_written_as_the_device_reads_it(void **state)
{
	struct viofs_ring_piece p[5] = { { 0xa000, 40 },
					 { 0xb000, 24 },
					 { 0xc000, 100 },
					 { 0xd000, 16 },
					 { 0x123456789000, 4096 } };
	struct viofs_ring_chain c = { .pieces = p, .readable = 3, .writable = 2, .token = 9 };
	struct ring_bench b;
	int at;

	ring_bench_init(&b, 8, 0);
	assert_int_equal(viofs_ring_add(&b.ring, &c), 0);
	assert_int_equal(b.ring.shadow->free_count, 3);
	at = ring_bench_pop(&b);
	for (int i = 0; i < 5; i++) {
		struct viofs_ring_desc d = desc_of(&b)[at];

		assert_int_equal(d.addr, p[i].iova);
		assert_int_equal(d.len, p[i].len);
		assert_int_equal(d.flags, (i >= 3 ? F_WRITE : 0) | (i < 4 ? F_NEXT : 0));
		at = d.next;
	}
	assert_int_equal(ring_bench_pop(&b), -1);
	ring_bench_push(&b, 0, 16 + 4096);
	ring_bench_expect(&b, 9, 16 + 4096);
	assert_int_equal(b.ring.shadow->free_count, 8);
	assert_int_equal(b.ring.shadow->in_flight, 0);
	ring_bench_fini(&b);
}

static void indirect_chain_takes_one_descriptor(void **state)
{
	struct viofs_ring_piece p[4] = {
		{ 0xa000, 40 }, { 0xb000, 24 }, { 0xd000, 16 }, { 0xe000, 8 }
	};
	struct viofs_ring_desc table[4] = { 0 };
	struct viofs_ring_chain c = { .pieces = p,
				      .readable = 2,
				      .writable = 2,
				      .token = 5,
				      .indirect = table,
				      .indirect_iova = 0xfeed0000 };
	struct ring_bench b;
	int head;

	ring_bench_init(&b, 4, VIOFS_RING_EVENT_IDX);
	assert_int_equal(viofs_ring_add(&b.ring, &c), 0);
	assert_int_equal(b.ring.shadow->free_count, 3);
	head = ring_bench_pop(&b);
	assert_int_equal(desc_of(&b)[head].flags, F_INDIRECT);
	assert_int_equal(desc_of(&b)[head].addr, 0xfeed0000);
	assert_int_equal(desc_of(&b)[head].len, 4 * 16);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(table[i].addr, p[i].iova);
		assert_int_equal(table[i].len, p[i].len);
		assert_int_equal(table[i].flags, (i >= 2 ? F_WRITE : 0) | (i < 3 ? F_NEXT : 0));
		if (i < 3)
			assert_int_equal(table[i].next, i + 1);
	}
	ring_bench_push(&b, (uint32_t)head, 24);
	ring_bench_expect(&b, 5, 24);
	assert_int_equal(b.ring.shadow->free_count, 4);
	ring_bench_fini(&b);
}

static void used_idx_beyond_what_is_in_flight(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, 0);
	ring_bench_add(&b, 0, 0, 8);
	ring_bench_push(&b, 0, 8);
	ring_bench_used(&b)[1] = 2;
	ring_bench_expect_broken(&b, "used.idx");
	ring_bench_fini(&b);
}

static void used_idx_going_backwards(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, 0);
	ring_bench_add(&b, 0, 0, 8);
	ring_bench_used(&b)[1] = 0xffff;
	ring_bench_expect_broken(&b, "used.idx");
	ring_bench_fini(&b);
}

static void used_idx_on_an_idle_ring(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, VIOFS_RING_EVENT_IDX);
	ring_bench_used(&b)[1] = 1;
	ring_bench_expect_broken(&b, "used.idx");
	ring_bench_fini(&b);
}

static void used_id_inside_a_chain(void **state)
{
	struct ring_bench b;
	int head;

	ring_bench_init(&b, 8, 0);
	ring_bench_add(&b, 0, 8, 8);
	head = ring_bench_pop(&b);
	ring_bench_push(&b, desc_of(&b)[head].next, 8);
	ring_bench_expect_broken(&b, "no chain in flight");
	ring_bench_fini(&b);
}

/* A device that scribbles over what it should only read changes nothing in the driver. */
static void rings_are_never_read_back(void **state)
{
	struct ring_bench b;
	int head;

	ring_bench_init(&b, 8, VIOFS_RING_EVENT_IDX);
	ring_bench_add(&b, 1, 8, 8);
	ring_bench_add(&b, 2, 8, 8);
	head = ring_bench_pop(&b);
	memset(b.desc, 0xff, viofs_ring_layout(8, 0).desc);
	memset(b.driver, 0xff, viofs_ring_layout(8, 0).driver);
	ring_bench_push(&b, (uint32_t)head, 8);
	ring_bench_expect(&b, 1, 8);
	assert_int_equal(b.ring.shadow->free_count, 6);
	assert_int_equal(ring_bench_add(&b, 3, 8, 8), 0);
	assert_int_equal(ring_bench_avail(&b)[1], 3);
	assert_int_equal(ring_bench_avail(&b)[2 + 2], head);
	assert_int_equal(desc_of(&b)[head].addr, 0x1000);
	ring_bench_fini(&b);
}

static void with_event_idx_the_flag_stays_0(void **state)
{
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		struct ring_bench b;

		ring_bench_init(&b, 8, event_idx ? VIOFS_RING_EVENT_IDX : 0);
		ring_bench_add(&b, 0, 0, 8);
		ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
		assert_false(ring_bench_interrupts(&b));
		/* EVENT_IDX: flags stay 0 (virtio 1.3 2.7.7.1) */
		assert_int_equal(ring_bench_avail(&b)[0], event_idx ? 0 : 1);
		ring_bench_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_the_standards),
		cmocka_unit_test(direct_chain_is_written_as_the_device_reads_it),
		cmocka_unit_test(indirect_chain_takes_one_descriptor),
		cmocka_unit_test(used_idx_beyond_what_is_in_flight),
		cmocka_unit_test(used_idx_going_backwards),
		cmocka_unit_test(used_idx_on_an_idle_ring),
		cmocka_unit_test(used_id_inside_a_chain),
		cmocka_unit_test(rings_are_never_read_back),
		cmocka_unit_test(with_event_idx_the_flag_stays_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
