/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What split and packed rings have in common, each with and without EVENT_IDX: one list of tests
 * for all four. */
#include "ring_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The form under test, from the list in main(). */
static unsigned int form(void **state)
{
	return *(const unsigned int *)*state;
}

static void chain_longer_than_the_queue_never_fits(void **state)
{
	struct viofs_ring_piece p[5] = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 1 }, { 5, 1 } };
	struct viofs_ring_desc table[5];
	struct viofs_ring_chain c = { .pieces = p, .readable = 4, .writable = 1 };
	struct ring_bench b;

	ring_bench_init(&b, 4, form(state));
	assert_int_equal(viofs_ring_add(&b.ring, &c), -EMSGSIZE);
	c.indirect = table;
	assert_int_equal(viofs_ring_add(&b.ring, &c), -EMSGSIZE);
	assert_int_equal(b.ring.shadow->free_count, 4);
	assert_int_equal(ring_bench_pop(&b), -1);
	ring_bench_fini(&b);
}

static void full_ring_says_so_and_recovers(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, form(state));
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(ring_bench_add(&b, i, 8, 8), 0);
	assert_int_equal(ring_bench_add(&b, 4, 8, 0), -ENOSPC);
	ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
	ring_bench_expect(&b, 0, 8);
	assert_int_equal(ring_bench_add(&b, 5, 8, 0), 0);
	assert_int_equal(ring_bench_add(&b, 6, 8, 8), -ENOSPC); /* one left, two needed */
	assert_int_equal(ring_bench_add(&b, 7, 0, 8), 0);
	ring_bench_fini(&b);
}

static void completions_in_any_order(void **state)
{
	static const int order[] = { 3, 0, 2, 1 };
	struct ring_bench b;
	int heads[4];

	ring_bench_init(&b, 8, form(state));
	for (int round = 0; round < 1000; round++) {
		for (uint32_t i = 0; i < 4; i++)
			assert_int_equal(ring_bench_add(&b, 100 + i, 8, 8), 0);
		for (int i = 0; i < 4; i++)
			heads[i] = ring_bench_pop(&b);
		for (int i = 0; i < 4; i++)
			ring_bench_push(&b, (uint32_t)heads[order[i]], (uint32_t)i);
		for (int i = 0; i < 4; i++)
			ring_bench_expect(&b, 100 + (uint32_t)order[i], (uint32_t)i);
		assert_int_equal(b.ring.shadow->free_count, 8);
	}
	ring_bench_fini(&b);
}

/*
 * Random chains, out of order, round the ring often enough for every index to wrap; no id is ever
 * given out twice. A packed ring may have any size.
 */
static void indices_wrap(void **state)
{
	uint16_t size = form(state) & VIOFS_RING_PACKED ? 61 : 64;
	uint32_t next = 0, done = 0, tokens[64];
	int held[64], held_count = 0;
	struct ring_bench b;

	ring_bench_init(&b, size, form(state));
	srand(1);
	while (done < 3 * 65536) {
		uint32_t token, len;
		int id, pick;

		/* Tokens as they come off the ring: in the order in which they were added. */
		while (ring_bench_add(&b, next, (uint32_t)rand() % 2 * 8, 8) == 0) {
			id = ring_bench_pop(&b);
			assert_in_range(id, 0, size - 1);
			for (int i = 0; i < held_count; i++)
				assert_int_not_equal(held[i], id);
			held[held_count++] = id;
			tokens[id] = next++;
		}
		assert_int_equal(ring_bench_pop(&b), -1);
		pick = rand() % held_count;
		assert_false(viofs_ring_has_used(&b.ring));
		ring_bench_push(&b, (uint32_t)held[pick], 8);
		assert_true(viofs_ring_has_used(&b.ring));
		assert_int_equal(viofs_ring_get(&b.ring, &token, &len), 1);
		assert_int_equal(token, tokens[held[pick]]);
		held[pick] = held[--held_count];
		done++;
		assert_int_equal(viofs_ring_get(&b.ring, &token, &len), 0);
		assert_int_equal(b.ring.shadow->in_flight, held_count);
	}
	ring_bench_fini(&b);
}

/* Another process: its own address of the same shadow. Return: as viofs_ring_adopt(). */
static int adopt(struct ring_bench *b, unsigned int flags)
{
	struct viofs_ring_shadow *shadow = malloc(viofs_ring_shadow_bytes(b->size));

	memcpy(shadow, b->shadow, viofs_ring_shadow_bytes(b->size));
	free(b->shadow);
	b->shadow = shadow;
	memset(&b->ring, 0x5a, sizeof(b->ring));
	return viofs_ring_adopt(&b->ring, b->size, flags, b->desc, b->driver, b->device, shadow);
}

/* What isn't believed is made wrong, since it must be made anew. */
static void spoil_what_follows(struct ring_bench *b)
{
	b->shadow->free_head = b->shadow->free_count = 77;
	b->shadow->in_flight = 78;
}

static void another_process_goes_on(void **state)
{
	uint16_t size = form(state) & VIOFS_RING_PACKED ? 61 : 64;
	uint32_t next = 0, tokens[64], token, len;
	int held[64], held_count = 0;
	struct ring_bench b;

	ring_bench_init(&b, size, form(state));
	srand(2);
	for (int round = 0; round < 20000; round++) {
		int more = rand() % 40, pick;

		while (more-- && !ring_bench_add(&b, next, (uint32_t)rand() % 2 * 8, 8)) {
			int id = ring_bench_pop(&b);

			held[held_count++] = id;
			tokens[id] = next++;
		}
		spoil_what_follows(&b);
		assert_int_equal(adopt(&b, form(state)), 0);
		assert_int_equal(b.ring.shadow->in_flight, held_count);
		if (!held_count)
			continue;
		pick = rand() % held_count;
		ring_bench_push(&b, (uint32_t)held[pick], 8);
		assert_int_equal(viofs_ring_get(&b.ring, &token, &len), 1);
		assert_int_equal(token, tokens[held[pick]]);
		held[pick] = held[--held_count];
	}
	ring_bench_fini(&b);
}

static void the_device_is_kicked_for_what_was_added_since(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, form(state));
	ring_bench_add(&b, 1, 8, 8);
	assert_int_equal(adopt(&b, form(state)), 0);
	/* Whether it was told of this one the owner knows, who kicks in any case. */
	assert_false(viofs_ring_should_kick(&b.ring));
	ring_bench_kick_at(&b, 0);
	ring_bench_kicks(&b, true);
	ring_bench_kick_at(&b, 0);
	ring_bench_add(&b, 2, 8, 8);
	if (form(state) & VIOFS_RING_EVENT_IDX)
		assert_true(viofs_ring_should_kick(&b.ring));
	ring_bench_fini(&b);
}

/* Any lie in the shadow is refused, or leads to a ring that keeps its rules. */
static void lies_in_the_shadow_lead_nowhere(void **state)
{
	uint32_t token, len, refused = 0;
	struct ring_bench b;

	srand(3);
	for (int round = 0; round < 5000; round++) {
		unsigned int lies = 1 + (unsigned int)rand() % 3, in_ring = 0;
		uint16_t at;

		ring_bench_init(&b, 16, form(state));
		for (uint32_t i = 0; i < 5; i++)
			ring_bench_add(&b, i, 8, 8);
		ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
		ring_bench_expect(&b, 0, 8);
		while (lies--)
			((uint8_t *)b.shadow)[(size_t)rand() % viofs_ring_shadow_bytes(16)] =
				(uint8_t)rand();
		if (adopt(&b, form(state))) {
			refused++;
			ring_bench_fini(&b);
			continue;
		}
		at = b.shadow->free_head;
		for (unsigned int i = 0; i < b.shadow->free_count; i++, in_ring++) {
			assert_in_range(at, 0, 15);
			assert_int_equal(b.shadow->state[at].count, 0);
			at = b.shadow->state[at].next;
		}
		assert_true(in_ring <= 16 && b.shadow->in_flight <= 16);
		for (uint32_t id = 0; id < 16; id++)
			ring_bench_push(&b, id, 8);
		while (viofs_ring_get(&b.ring, &token, &len) > 0)
			assert_true(len <= 8);
		ring_bench_fini(&b);
	}
	assert_true(refused > 500);
}

static void a_shadow_of_another_ring_is_refused(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 16, form(state));
	assert_int_equal(adopt(&b, form(state) ^ VIOFS_RING_EVENT_IDX), -EPROTO);
	b.shadow->size = 8;
	assert_int_equal(adopt(&b, form(state)), -EPROTO);
	ring_bench_fini(&b);
}

static void largest_ring_can_be_full(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 32768, form(state));
	for (uint32_t i = 0; i < 32768; i++)
		assert_int_equal(ring_bench_add(&b, i, 0, 4), 0);
	assert_int_equal(ring_bench_add(&b, 0, 0, 4), -ENOSPC);
	for (uint32_t i = 0; i < 32768; i++)
		ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 4);
	for (uint32_t i = 0; i < 32768; i++)
		ring_bench_expect(&b, i, 4);
	ring_bench_fini(&b);
}

static void kick_by_flag(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, form(state));
	assert_false(viofs_ring_should_kick(&b.ring)); /* nothing was added */
	ring_bench_add(&b, 0, 8, 0);
	assert_true(viofs_ring_should_kick(&b.ring));
	assert_false(viofs_ring_should_kick(&b.ring)); /* that was decided */
	ring_bench_kicks(&b, false);
	ring_bench_add(&b, 1, 8, 0);
	assert_false(viofs_ring_should_kick(&b.ring));
	ring_bench_fini(&b);
}

/* The device asks for a kick at one entry in five: only what passes it kicks, wrap or not. */
static void kick_by_event_idx_over_the_wrap(void **state)
{
	unsigned int kicks = 0;
	struct ring_bench b;

	ring_bench_init(&b, 8, form(state));
	for (unsigned int i = 0; i < 70000; i++) {
		ring_bench_kick_at(&b, (8 - i % 5) % 5); /* entries 3, 8, 13, ... */
		assert_int_equal(ring_bench_add(&b, i, 0, 8), 0);
		if (viofs_ring_should_kick(&b.ring)) {
			assert_int_equal(i % 5, 3);
			kicks++;
		}
		ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
		ring_bench_expect(&b, i, 8);
	}
	assert_int_equal(kicks, 70000 / 5);
	ring_bench_fini(&b);
}

static void a_batch_that_passes_the_event_kicks_once(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, form(state));
	/* From every place of the ring. */
	for (uint32_t i = 0; i < 100; i++) {
		ring_bench_kick_at(&b, 2);
		for (uint32_t n = 0; n < 2; n++)
			ring_bench_add(&b, n, 0, 8);
		assert_false(viofs_ring_should_kick(&b.ring)); /* entries 0, 1 */
		for (uint32_t n = 2; n < 4; n++)
			ring_bench_add(&b, n, 0, 8);
		assert_true(viofs_ring_should_kick(&b.ring)); /* 2, 3 */
		ring_bench_add(&b, 4, 0, 8);
		assert_false(viofs_ring_should_kick(&b.ring));
		for (uint32_t n = 0; n < 5; n++) {
			ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
			ring_bench_expect(&b, n, 8);
		}
	}
	ring_bench_fini(&b);
}

/* More than the ring holds, in one batch, passes whatever was asked for. */
static void a_batch_round_the_ring_kicks(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 4, form(state));
	ring_bench_kick_at(&b, 3);
	for (uint32_t i = 0; i < 9; i++) {
		ring_bench_add(&b, i, 0, 8);
		ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
		ring_bench_expect(&b, i, 8);
	}
	assert_true(viofs_ring_should_kick(&b.ring));
	ring_bench_fini(&b);
}

static void interrupts_start_suppressed(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, form(state));
	ring_bench_add(&b, 0, 0, 8);
	ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
	assert_false(ring_bench_interrupts(&b));
	ring_bench_fini(&b);
}

/* Armed: the next completion interrupts. Disarmed: none does. Over the wrap of the index. */
static void arm_and_disarm(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, form(state));
	for (unsigned int i = 0; i < 70000; i++) {
		bool armed = i % 3 == 0;

		if (armed)
			assert_false(viofs_ring_arm(&b.ring));
		else
			viofs_ring_disarm(&b.ring);
		assert_int_equal(ring_bench_add(&b, i, 0, 8), 0);
		ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
		assert_int_equal(ring_bench_interrupts(&b), armed);
		ring_bench_expect(&b, i, 8);
	}
	ring_bench_fini(&b);
}

static void disarm_while_the_device_decides_does_not_interrupt(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, form(state));
	ring_bench_add(&b, 0, 0, 8);
	ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
	ring_bench_expect(&b, 0, 8); /* polled before the device came to its decision */
	viofs_ring_disarm(&b.ring);
	assert_false(ring_bench_interrupts(&b));
	ring_bench_fini(&b);
}

static void arm_tells_of_completions_that_came_before(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, form(state));
	ring_bench_add(&b, 0, 0, 8);
	assert_false(viofs_ring_arm(&b.ring));
	viofs_ring_disarm(&b.ring);
	ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 8);
	assert_true(viofs_ring_arm(&b.ring));
	ring_bench_fini(&b);
}

static void used_id_out_of_range(void **state)
{
	static const uint32_t ids[] = { 8, 0x7fff, 0xffff };

	for (unsigned int i = 0; i < 3; i++) {
		struct ring_bench b;

		ring_bench_init(&b, 8, form(state));
		ring_bench_add(&b, 0, 0, 8);
		ring_bench_push(&b, ids[i], 8);
		ring_bench_expect_broken(&b, "outside the queue");
		ring_bench_fini(&b);
	}
}

static void used_id_of_a_free_descriptor(void **state)
{
	struct ring_bench b;

	ring_bench_init(&b, 8, form(state));
	ring_bench_add(&b, 0, 0, 8);
	ring_bench_push(&b, 5, 8);
	ring_bench_expect_broken(&b, "no chain in flight");
	ring_bench_fini(&b);
}

static void used_id_twice(void **state)
{
	struct ring_bench b;
	int head;

	ring_bench_init(&b, 8, form(state));
	ring_bench_add(&b, 0, 0, 8);
	ring_bench_add(&b, 1, 0, 8);
	head = ring_bench_pop(&b);
	ring_bench_push(&b, (uint32_t)head, 8);
	ring_bench_push(&b, (uint32_t)head, 8);
	ring_bench_expect(&b, 0, 8);
	ring_bench_expect_broken(&b, "no chain in flight");
	ring_bench_fini(&b);
}

static void used_len_larger_than_the_writable_bytes(void **state)
{
	struct viofs_ring_piece p[3] = { { 1, 1000 }, { 2, 16 }, { 3, 8 } };
	struct viofs_ring_chain c = { .pieces = p, .readable = 1, .writable = 2 };
	struct viofs_ring_desc table[3];
	struct ring_bench b;

	for (int indirect = 0; indirect < 2; indirect++) {
		ring_bench_init(&b, 8, form(state));
		c.indirect = indirect ? table : NULL;
		assert_int_equal(viofs_ring_add(&b.ring, &c), 0);
		ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 25);
		ring_bench_expect_broken(&b, "more than the device may write");
		ring_bench_fini(&b);
	}
	/* Nothing writable: a FORGET. */
	ring_bench_init(&b, 8, form(state));
	ring_bench_add(&b, 0, 8, 0);
	ring_bench_push(&b, (uint32_t)ring_bench_pop(&b), 1);
	ring_bench_expect_broken(&b, "more than the device may write");
	ring_bench_fini(&b);
}

#define TEST(f, flags)                                                                             \
	{                                                                                          \
		.name = #f ": " #flags, .test_func = f, .initial_state = &forms[flags]             \
	}
#define BY_FLAG(f) TEST(f, 0), TEST(f, 2)
#define BY_EVENT_IDX(f) TEST(f, 1), TEST(f, 3)
#define ALL(f) BY_FLAG(f), BY_EVENT_IDX(f)

int main(void)
{
	static unsigned int forms[] = { 0, VIOFS_RING_EVENT_IDX, VIOFS_RING_PACKED,
					VIOFS_RING_PACKED | VIOFS_RING_EVENT_IDX };
	const struct CMUnitTest tests[] = {
		ALL(chain_longer_than_the_queue_never_fits),
		ALL(full_ring_says_so_and_recovers),
		ALL(completions_in_any_order),
		ALL(indices_wrap),
		ALL(another_process_goes_on),
		ALL(the_device_is_kicked_for_what_was_added_since),
		ALL(lies_in_the_shadow_lead_nowhere),
		ALL(a_shadow_of_another_ring_is_refused),
		ALL(largest_ring_can_be_full),
		BY_FLAG(kick_by_flag),
		BY_EVENT_IDX(kick_by_event_idx_over_the_wrap),
		BY_EVENT_IDX(a_batch_that_passes_the_event_kicks_once),
		BY_EVENT_IDX(a_batch_round_the_ring_kicks),
		ALL(interrupts_start_suppressed),
		ALL(arm_and_disarm),
		ALL(disarm_while_the_device_decides_does_not_interrupt),
		ALL(arm_tells_of_completions_that_came_before),
		ALL(used_id_out_of_range),
		ALL(used_id_of_a_free_descriptor),
		ALL(used_id_twice),
		ALL(used_len_larger_than_the_writable_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
