/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The split ring against a device in this file: good ones, slow ones, and liars. */
#include "virtio/split_ring.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define F_NEXT 1
#define F_WRITE 2
#define F_INDIRECT 4

/* The ring and its device. "IOVAs" are pointers. */
struct bench {
	struct viofs_ring ring;
	struct viofs_ring_desc *desc;
	uint16_t *avail, *used;
	struct viofs_ring_state *state;
	uint16_t size;
	bool event_idx;
	uint16_t seen;	    /* device: next avail entry to take */
	uint16_t used_idx;  /* device: next used entry to write */
	uint16_t signalled; /* device: used_idx at the last decision to interrupt */
};

static void bench_init(struct bench *b, uint16_t size, bool event_idx)
{
	memset(b, 0, sizeof(*b));
	b->size = size;
	b->event_idx = event_idx;
	b->desc = calloc(1, viofs_ring_desc_bytes(size));
	b->avail = calloc(1, viofs_ring_avail_bytes(size));
	b->used = calloc(1, viofs_ring_used_bytes(size));
	b->state = calloc(size, sizeof(*b->state));
	assert_true(b->desc && b->avail && b->used && b->state);
	viofs_ring_init(&b->ring, size, event_idx, b->desc, b->avail, b->used, b->state);
}

static void bench_fini(struct bench *b)
{
	free(b->desc);
	free(b->avail);
	free(b->used);
	free(b->state);
}

/* Device: the next head, or -1. */
static int device_pop(struct bench *b)
{
	if (b->avail[1] == b->seen)
		return -1;
	return b->avail[2 + (b->seen++ & (b->size - 1))];
}

static void device_write_used(struct bench *b, uint16_t at, uint32_t id, uint32_t len)
{
	uint32_t pair[2] = { id, len };

	memcpy(&b->used[2 + 4 * (at & (b->size - 1))], pair, sizeof(pair));
}

static void device_push(struct bench *b, uint32_t id, uint32_t len)
{
	device_write_used(b, b->used_idx, id, len);
	b->used[1] = ++b->used_idx;
}

/* Device: would it interrupt now? The standard's vring_need_event() or the flag. */
static bool device_interrupts(struct bench *b)
{
	uint16_t event = b->avail[2 + b->size], old = b->signalled;

	b->signalled = b->used_idx;
	if (!b->event_idx)
		return !(b->avail[0] & 1) && b->used_idx != old;
	return (uint16_t)(b->used_idx - event - 1) < (uint16_t)(b->used_idx - old);
}

static void device_want_kick_at(struct bench *b, uint16_t event)
{
	b->used[2 + 4 * b->size] = event;
}

/* One readable piece of @rd bytes (0: none) and one writable of @wr, direct. */
static int add(struct bench *b, uint32_t token, uint32_t rd, uint32_t wr)
{
	struct viofs_ring_piece p[2];
	struct viofs_ring_chain c = { .pieces = p, .token = token };

	if (rd) {
		p[c.readable] = (struct viofs_ring_piece){ 0x1000, rd };
		c.readable++;
	}
	if (wr) {
		p[c.readable] = (struct viofs_ring_piece){ 0x2000, wr };
		c.writable = 1;
	}
	return viofs_ring_add(&b->ring, &c);
}

static void expect_get(struct bench *b, uint32_t token, uint32_t len)
{
	uint32_t t = ~0U, l = ~0U;

	assert_int_equal(viofs_ring_get(&b->ring, &t, &l), 1);
	assert_int_equal(t, token);
	assert_int_equal(l, len);
}

static void expect_broken(struct bench *b, const char *why)
{
	uint32_t token = 77, len = 78;

	assert_null(b->ring.broken);
	assert_int_equal(viofs_ring_get(&b->ring, &token, &len), -EPROTO);
	assert_non_null(b->ring.broken);
	assert_non_null(strstr(b->ring.broken, why));
	assert_int_equal(token, 77);
	assert_int_equal(len, 78);
	/* For good, and nothing is added any more. */
	assert_int_equal(viofs_ring_get(&b->ring, &token, &len), -EPROTO);
	assert_int_equal(add(b, 1, 8, 8), -EPIPE);
	assert_false(viofs_ring_should_kick(&b->ring));
	assert_true(viofs_ring_arm(&b->ring));
}

static void sizes_are_the_standards(void **state)
{
	assert_int_equal(viofs_ring_desc_bytes(256), 4096);
	assert_int_equal(viofs_ring_avail_bytes(256), 6 + 2 * 256);
	assert_int_equal(viofs_ring_used_bytes(256), 6 + 8 * 256);
	assert_int_equal(viofs_ring_used_bytes(32768), 6 + 8 * 32768);
}

static void direct_chain_is_written_as_the_device_reads_it(void **state)
{
	struct viofs_ring_piece p[5] = { { 0xa000, 40 },
					 { 0xb000, 24 },
					 { 0xc000, 100 },
					 { 0xd000, 16 },
					 { 0x123456789000, 4096 } };
	struct viofs_ring_chain c = { .pieces = p, .readable = 3, .writable = 2, .token = 9 };
	struct bench b;
	int at;

	bench_init(&b, 8, false);
	assert_int_equal(viofs_ring_add(&b.ring, &c), 0);
	assert_int_equal(b.ring.free_count, 3);
	at = device_pop(&b);
	for (int i = 0; i < 5; i++) {
		struct viofs_ring_desc d = b.desc[at];

		assert_int_equal(d.addr, p[i].iova);
		assert_int_equal(d.len, p[i].len);
		assert_int_equal(d.flags, (i >= 3 ? F_WRITE : 0) | (i < 4 ? F_NEXT : 0));
		at = d.next;
	}
	assert_int_equal(device_pop(&b), -1);
	device_push(&b, 0, 16 + 4096);
	expect_get(&b, 9, 16 + 4096);
	assert_int_equal(b.ring.free_count, 8);
	assert_int_equal(b.ring.in_flight, 0);
	bench_fini(&b);
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
	struct bench b;
	int head;

	bench_init(&b, 4, true);
	assert_int_equal(viofs_ring_add(&b.ring, &c), 0);
	assert_int_equal(b.ring.free_count, 3);
	head = device_pop(&b);
	assert_int_equal(b.desc[head].flags, F_INDIRECT);
	assert_int_equal(b.desc[head].addr, 0xfeed0000);
	assert_int_equal(b.desc[head].len, 4 * 16);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(table[i].addr, p[i].iova);
		assert_int_equal(table[i].len, p[i].len);
		assert_int_equal(table[i].flags, (i >= 2 ? F_WRITE : 0) | (i < 3 ? F_NEXT : 0));
		if (i < 3)
			assert_int_equal(table[i].next, i + 1);
	}
	device_push(&b, (uint32_t)head, 24);
	expect_get(&b, 5, 24);
	assert_int_equal(b.ring.free_count, 4);
	bench_fini(&b);
}

static void chain_longer_than_the_queue_never_fits(void **state)
{
	struct viofs_ring_piece p[5] = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 1 }, { 5, 1 } };
	struct viofs_ring_desc table[5];
	struct viofs_ring_chain c = { .pieces = p, .readable = 4, .writable = 1 };
	struct bench b;

	bench_init(&b, 4, false);
	assert_int_equal(viofs_ring_add(&b.ring, &c), -EMSGSIZE);
	c.indirect = table;
	assert_int_equal(viofs_ring_add(&b.ring, &c), -EMSGSIZE);
	assert_int_equal(b.ring.free_count, 4);
	assert_int_equal(b.avail[1], 0);
	bench_fini(&b);
}

static void full_ring_says_so_and_recovers(void **state)
{
	struct bench b;

	bench_init(&b, 8, true);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(add(&b, i, 8, 8), 0);
	assert_int_equal(add(&b, 4, 8, 0), -ENOSPC);
	assert_int_equal(b.avail[1], 4);
	device_push(&b, (uint32_t)device_pop(&b), 8);
	expect_get(&b, 0, 8);
	assert_int_equal(add(&b, 5, 8, 0), 0);
	assert_int_equal(add(&b, 6, 8, 8), -ENOSPC); /* one left, two needed */
	assert_int_equal(add(&b, 7, 0, 8), 0);
	bench_fini(&b);
}

static void completions_in_any_order(void **state)
{
	static const int order[] = { 3, 0, 2, 1 };
	struct bench b;
	int heads[4];

	bench_init(&b, 8, false);
	for (int round = 0; round < 1000; round++) {
		for (uint32_t i = 0; i < 4; i++)
			assert_int_equal(add(&b, 100 + i, 8, 8), 0);
		for (int i = 0; i < 4; i++)
			heads[i] = device_pop(&b);
		for (int i = 0; i < 4; i++)
			device_push(&b, (uint32_t)heads[order[i]], (uint32_t)i);
		for (int i = 0; i < 4; i++)
			expect_get(&b, 100 + (uint32_t)order[i], (uint32_t)i);
		assert_int_equal(b.ring.free_count, 8);
	}
	bench_fini(&b);
}

/* Random chains, out of order, indices over 65536 twice; no descriptor is ever given out twice. */
static void indices_wrap(bool event_idx)
{
	int held[64], held_count = 0;
	uint32_t next = 0, done = 0, tokens[64];
	struct bench b;

	bench_init(&b, 64, event_idx);
	srand(1);
	while (done < 3 * 65536) {
		uint32_t rd = (uint32_t)rand() % 2 * 8, token, len;
		int head, pick;

		while (add(&b, next, rd, 8) == 0)
			tokens[b.avail[2 + ((b.avail[1] - 1) & 63)]] = next++;
		while ((head = device_pop(&b)) >= 0) {
			for (int i = 0; i < held_count; i++)
				assert_int_not_equal(held[i], head);
			held[held_count++] = head;
		}
		pick = rand() % held_count;
		device_push(&b, (uint32_t)held[pick], 8);
		assert_true(viofs_ring_has_used(&b.ring));
		assert_int_equal(viofs_ring_get(&b.ring, &token, &len), 1);
		assert_int_equal(token, tokens[held[pick]]);
		held[pick] = held[--held_count];
		done++;
		assert_int_equal(viofs_ring_get(&b.ring, &token, &len), 0);
		assert_int_equal(b.ring.in_flight, held_count);
	}
	bench_fini(&b);
}

static void indices_wrap_without_event_idx(void **state)
{
	indices_wrap(false);
}

static void indices_wrap_with_event_idx(void **state)
{
	indices_wrap(true);
}

static void largest_ring_can_be_full(void **state)
{
	struct bench b;

	bench_init(&b, 32768, true);
	for (uint32_t i = 0; i < 32768; i++)
		assert_int_equal(add(&b, i, 0, 4), 0);
	assert_int_equal(add(&b, 0, 0, 4), -ENOSPC);
	for (uint32_t i = 0; i < 32768; i++)
		device_write_used(&b, b.used_idx++, (uint32_t)device_pop(&b), 4);
	b.used[1] = b.used_idx;
	for (uint32_t i = 0; i < 32768; i++)
		expect_get(&b, i, 4);
	bench_fini(&b);
}

static void kick_by_flag(void **state)
{
	struct bench b;

	bench_init(&b, 8, false);
	assert_false(viofs_ring_should_kick(&b.ring)); /* nothing was added */
	add(&b, 0, 8, 0);
	assert_true(viofs_ring_should_kick(&b.ring));
	assert_false(viofs_ring_should_kick(&b.ring)); /* that was decided */
	b.used[0] = 1;
	add(&b, 1, 8, 0);
	assert_false(viofs_ring_should_kick(&b.ring));
	bench_fini(&b);
}

/* The device asks for a kick at entry `event`: only the batch that passes it kicks, wrap or not. */
static void kick_by_event_idx_over_the_wrap(void **state)
{
	unsigned int kicks = 0;
	struct bench b;

	bench_init(&b, 8, true);
	for (unsigned int i = 0; i < 70000; i++) {
		uint16_t event = (uint16_t)(i / 5 * 5 + 3); /* entries 3, 8, 13, ... */

		device_want_kick_at(&b, event);
		assert_int_equal(add(&b, i, 0, 8), 0);
		if (viofs_ring_should_kick(&b.ring)) {
			assert_int_equal(i % 5, 3);
			kicks++;
		}
		device_push(&b, (uint32_t)device_pop(&b), 8);
		expect_get(&b, i, 8);
	}
	assert_int_equal(kicks, 70000 / 5);
	bench_fini(&b);
}

static void a_batch_that_passes_the_event_kicks_once(void **state)
{
	struct bench b;

	bench_init(&b, 8, true);
	device_want_kick_at(&b, 2);
	add(&b, 0, 8, 0);
	add(&b, 1, 8, 0);
	assert_false(viofs_ring_should_kick(&b.ring)); /* entries 0, 1 */
	add(&b, 2, 8, 0);
	add(&b, 3, 8, 0);
	assert_true(viofs_ring_should_kick(&b.ring)); /* 2, 3 */
	add(&b, 4, 8, 0);
	assert_false(viofs_ring_should_kick(&b.ring));
	bench_fini(&b);
}

static void interrupts_start_suppressed(void **state)
{
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		struct bench b;

		bench_init(&b, 8, event_idx);
		add(&b, 0, 0, 8);
		device_push(&b, (uint32_t)device_pop(&b), 8);
		assert_false(device_interrupts(&b));
		/* EVENT_IDX: flags stay 0 (virtio 1.3 2.7.7.1) */
		assert_int_equal(b.avail[0], event_idx ? 0 : 1);
		bench_fini(&b);
	}
}

/* Armed: the next completion interrupts. Disarmed: none does. Over the wrap of the index. */
static void arm_and_disarm(bool event_idx)
{
	struct bench b;

	bench_init(&b, 8, event_idx);
	for (unsigned int i = 0; i < 70000; i++) {
		bool armed = i % 3 == 0;

		if (armed)
			assert_false(viofs_ring_arm(&b.ring));
		else
			viofs_ring_disarm(&b.ring);
		assert_int_equal(add(&b, i, 0, 8), 0);
		device_push(&b, (uint32_t)device_pop(&b), 8);
		assert_int_equal(device_interrupts(&b), armed);
		expect_get(&b, i, 8);
	}
	bench_fini(&b);
}

static void arm_and_disarm_by_flag(void **state)
{
	arm_and_disarm(false);
}

static void arm_and_disarm_by_event_idx_over_the_wrap(void **state)
{
	arm_and_disarm(true);
}

static void disarm_while_the_device_decides_does_not_interrupt(void **state)
{
	struct bench b;

	bench_init(&b, 8, true);
	add(&b, 0, 0, 8);
	device_push(&b, (uint32_t)device_pop(&b), 8);
	expect_get(&b, 0, 8); /* polled before the device came to its decision */
	viofs_ring_disarm(&b.ring);
	assert_false(device_interrupts(&b));
	bench_fini(&b);
}

static void arm_tells_of_completions_that_came_before(void **state)
{
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		struct bench b;

		bench_init(&b, 8, event_idx);
		add(&b, 0, 0, 8);
		assert_false(viofs_ring_arm(&b.ring));
		viofs_ring_disarm(&b.ring);
		device_push(&b, (uint32_t)device_pop(&b), 8);
		assert_true(viofs_ring_arm(&b.ring));
		bench_fini(&b);
	}
}

static void used_idx_beyond_what_is_in_flight(void **state)
{
	struct bench b;

	bench_init(&b, 8, false);
	add(&b, 0, 0, 8);
	device_write_used(&b, 0, 0, 8);
	b.used[1] = 2;
	expect_broken(&b, "used.idx");
	bench_fini(&b);
}

static void used_idx_going_backwards(void **state)
{
	struct bench b;

	bench_init(&b, 8, false);
	add(&b, 0, 0, 8);
	b.used[1] = 0xffff;
	expect_broken(&b, "used.idx");
	bench_fini(&b);
}

static void used_idx_on_an_idle_ring(void **state)
{
	struct bench b;

	bench_init(&b, 8, true);
	b.used[1] = 1;
	expect_broken(&b, "used.idx");
	bench_fini(&b);
}

static void used_id_out_of_range(void **state)
{
	static const uint32_t ids[] = { 8, 0x10000, 0xffffffff };

	for (unsigned int i = 0; i < 3; i++) {
		struct bench b;

		bench_init(&b, 8, false);
		add(&b, 0, 0, 8);
		device_push(&b, ids[i], 8);
		expect_broken(&b, "outside the queue");
		bench_fini(&b);
	}
}

static void used_id_of_a_free_descriptor(void **state)
{
	struct bench b;

	bench_init(&b, 8, false);
	add(&b, 0, 0, 8);
	device_push(&b, 5, 8);
	expect_broken(&b, "no chain in flight");
	bench_fini(&b);
}

static void used_id_inside_a_chain(void **state)
{
	struct bench b;
	int head;

	bench_init(&b, 8, false);
	add(&b, 0, 8, 8);
	head = device_pop(&b);
	device_push(&b, b.desc[head].next, 8);
	expect_broken(&b, "no chain in flight");
	bench_fini(&b);
}

static void used_id_twice(void **state)
{
	struct bench b;
	int head;

	bench_init(&b, 8, false);
	add(&b, 0, 0, 8);
	add(&b, 1, 0, 8);
	head = device_pop(&b);
	device_push(&b, (uint32_t)head, 8);
	device_push(&b, (uint32_t)head, 8);
	expect_get(&b, 0, 8);
	expect_broken(&b, "no chain in flight");
	bench_fini(&b);
}

static void used_len_larger_than_the_writable_bytes(void **state)
{
	struct viofs_ring_piece p[3] = { { 1, 1000 }, { 2, 16 }, { 3, 8 } };
	struct viofs_ring_chain c = { .pieces = p, .readable = 1, .writable = 2 };
	struct viofs_ring_desc table[3];
	struct bench b;

	for (int indirect = 0; indirect < 2; indirect++) {
		bench_init(&b, 8, false);
		c.indirect = indirect ? table : NULL;
		assert_int_equal(viofs_ring_add(&b.ring, &c), 0);
		device_push(&b, (uint32_t)device_pop(&b), 25);
		expect_broken(&b, "more than the device may write");
		bench_fini(&b);
	}
	/* Nothing writable: a FORGET. */
	bench_init(&b, 8, false);
	add(&b, 0, 8, 0);
	device_push(&b, (uint32_t)device_pop(&b), 1);
	expect_broken(&b, "more than the device may write");
	bench_fini(&b);
}

/* A device that scribbles over what it should only read changes nothing in the driver. */
static void rings_are_never_read_back(void **state)
{
	struct bench b;
	int head;

	bench_init(&b, 8, true);
	add(&b, 1, 8, 8);
	add(&b, 2, 8, 8);
	head = device_pop(&b);
	memset(b.desc, 0xff, viofs_ring_desc_bytes(8));
	memset(b.avail, 0xff, viofs_ring_avail_bytes(8));
	device_push(&b, (uint32_t)head, 8);
	expect_get(&b, 1, 8);
	assert_int_equal(b.ring.free_count, 6);
	assert_int_equal(add(&b, 3, 8, 8), 0);
	assert_int_equal(b.avail[1], 3);
	assert_int_equal(b.avail[2 + 2], head);
	assert_int_equal(b.desc[head].addr, 0x1000);
	bench_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_the_standards),
		cmocka_unit_test(direct_chain_is_written_as_the_device_reads_it),
		cmocka_unit_test(indirect_chain_takes_one_descriptor),
		cmocka_unit_test(chain_longer_than_the_queue_never_fits),
		cmocka_unit_test(full_ring_says_so_and_recovers),
		cmocka_unit_test(completions_in_any_order),
		cmocka_unit_test(indices_wrap_without_event_idx),
		cmocka_unit_test(indices_wrap_with_event_idx),
		cmocka_unit_test(largest_ring_can_be_full),
		cmocka_unit_test(kick_by_flag),
		cmocka_unit_test(kick_by_event_idx_over_the_wrap),
		cmocka_unit_test(a_batch_that_passes_the_event_kicks_once),
		cmocka_unit_test(interrupts_start_suppressed),
		cmocka_unit_test(arm_and_disarm_by_flag),
		cmocka_unit_test(arm_and_disarm_by_event_idx_over_the_wrap),
		cmocka_unit_test(disarm_while_the_device_decides_does_not_interrupt),
		cmocka_unit_test(arm_tells_of_completions_that_came_before),
		cmocka_unit_test(used_idx_beyond_what_is_in_flight),
		cmocka_unit_test(used_idx_going_backwards),
		cmocka_unit_test(used_idx_on_an_idle_ring),
		cmocka_unit_test(used_id_out_of_range),
		cmocka_unit_test(used_id_of_a_free_descriptor),
		cmocka_unit_test(used_id_inside_a_chain),
		cmocka_unit_test(used_id_twice),
		cmocka_unit_test(used_len_larger_than_the_writable_bytes),
		cmocka_unit_test(rings_are_never_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
