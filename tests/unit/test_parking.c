/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parked requests: order, bounds, and another process that finds them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/uapi.h"
#include "relay/parking.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 256U
#define BLOCKS 64U

static struct viofs_parked *blocks;
static uint8_t *data;
static struct viofs_parking_bounds bounds;
static struct viofs_parking p;

static int make(void **state)
{
	bounds = (struct viofs_parking_bounds){
		.block_size = BLOCK,
		.block_count = BLOCKS,
		.largest = 5000,
		.count = 10,
		.bytes = 1 << 20,
	};
	blocks = calloc(BLOCKS, sizeof(*blocks));
	data = calloc(BLOCKS, BLOCK);
	assert_true(blocks && data);
	viofs_parking_init(&p, &bounds, blocks, data);
	return 0;
}

static int drop_all(void **state)
{
	free(blocks);
	free(data);
	return 0;
}

/* Another process, at other addresses. Return: as viofs_parking_adopt(). */
static int adopt(void)
{
	struct viofs_parked *b = malloc(BLOCKS * sizeof(*b));
	uint8_t *d = malloc((size_t)BLOCKS * BLOCK);

	assert_true(b && d);
	memcpy(b, blocks, BLOCKS * sizeof(*b));
	memcpy(d, data, (size_t)BLOCKS * BLOCK);
	drop_all(NULL);
	blocks = b;
	data = d;
	memset(&p, 0x5a, sizeof(p));
	return viofs_parking_adopt(&p, &bounds, blocks, data);
}

static int try_put(uint64_t unique, size_t len)
{
	struct fuse_in_header head = { .len = (uint32_t)len, .unique = unique };
	uint8_t *rest = calloc(1, len);
	/* In pieces of any length, one of them empty. */
	struct iovec iov[4] = { { &head, 7 },
				{ NULL, 0 },
				{ (uint8_t *)&head + 7, sizeof(head) - 7 },
				{ rest, len - sizeof(head) } };
	int rc;

	memset(rest, (int)unique, len - sizeof(head));
	rc = viofs_parking_put(&p, iov, len, 7);
	free(rest);
	return rc;
}

static void put(uint64_t unique, size_t len)
{
	assert_int_equal(try_put(unique, len), 0);
}

static void is_there(const struct viofs_parked *parked, uint64_t unique, size_t len)
{
	uint8_t *copy = malloc(len);
	struct fuse_in_header head;

	assert_non_null(parked);
	memcpy(&head, viofs_parking_message(&p, parked), sizeof(head));
	assert_int_equal(head.unique, unique);
	assert_int_equal(parked->len, len);
	assert_int_equal(parked->since, 7);
	viofs_parking_copy(&p, parked, sizeof(head), copy, len - sizeof(head));
	for (size_t i = 0; i < len - sizeof(head); i++)
		assert_int_equal(copy[i], unique);
	if (len > 1000) {
		viofs_parking_copy(&p, parked, 777, copy, 100);
		for (size_t i = 0; i < 100; i++)
			assert_int_equal(copy[i], unique);
	}
	free(copy);
}

static void assert_takes(uint64_t unique, size_t len)
{
	const struct viofs_parked *parked = viofs_parking_first(&p);

	is_there(parked, unique, len);
	viofs_parking_drop(&p, parked);
}

static void requests_come_back_whole_and_in_order(void **state)
{
	put(1, 56);
	put(2, 5000);
	put(3, 48);
	assert_int_equal(p.count, 3);
	assert_int_equal(p.bytes, 56 + 5000 + 48 + 3 * sizeof(struct viofs_parked));
	assert_takes(1, 56);
	assert_takes(2, 5000);
	assert_takes(3, 48);
	assert_null(viofs_parking_first(&p));
	assert_int_equal(p.bytes, 0);
	put(4, 48);
	assert_takes(4, 48);
}

static void a_request_is_found_by_its_unique(void **state)
{
	const struct viofs_parked *parked;

	put(1, 56);
	put(2, 56);
	assert_null(viofs_parking_find(&p, 3));
	parked = viofs_parking_find(&p, 2);
	is_there(parked, 2, 56);
	viofs_parking_drop(&p, parked);
	put(5, 56);
	assert_takes(1, 56);
	assert_takes(5, 56);
}

static void it_is_full_by_bytes_or_by_count(void **state)
{
	const size_t beside = sizeof(struct viofs_parked);

	bounds.bytes = 1000;
	bounds.count = 3;
	bounds.largest = 1000;
	viofs_parking_init(&p, &bounds, blocks, data);
	put(1, 999 - beside);
	assert_false(viofs_parking_is_full(&p));
	put(2, 48);
	assert_true(viofs_parking_is_full(&p));
	viofs_parking_clear(&p);
	assert_int_equal(p.bytes, 0);
	assert_null(viofs_parking_first(&p));
	for (uint64_t i = 0; i < 3; i++) {
		assert_false(viofs_parking_is_full(&p));
		put(i, 48);
	}
	assert_true(viofs_parking_is_full(&p));
	viofs_parking_clear(&p);
}

/* 20 blocks are a message of the largest size: with so many and no more left it is full. */
static void one_that_is_full_has_room_for_one_more(void **state)
{
	put(1, 5000);
	assert_false(viofs_parking_is_full(&p));
	put(2, 5000);
	assert_true(viofs_parking_is_full(&p));
	assert_true(viofs_parking_has_room(&p));
	put(3, 5000);
	assert_false(viofs_parking_has_room(&p));
	assert_int_equal(try_put(4, 5000), -ENOMEM);
	assert_takes(1, 5000);
	put(5, 5000);
	assert_takes(2, 5000);
	assert_takes(3, 5000);
	assert_takes(5, 5000);
	assert_int_equal(p.free_count, BLOCKS);
}

static void another_process_finds_all_in_their_order(void **state)
{
	uint64_t first = 1, next = 1;

	bounds.count = 1000;
	viofs_parking_init(&p, &bounds, blocks, data);
	srand(1);
	for (int round = 0; round < 2000; round++) {
		const struct viofs_parked *parked;
		uint64_t n = first;

		while (next - first < 5 && rand() % 4)
			put(next++ & 0xff, 100 + (size_t)rand() % 2000);
		assert_int_equal(adopt(), 0);
		assert_int_equal(p.count, next - first);
		for (parked = viofs_parking_first(&p); parked;
		     parked = viofs_parking_next(&p, parked))
			is_there(parked, n++ & 0xff, parked->len);
		assert_int_equal(n, next);
		if (first < next && rand() % 2) {
			viofs_parking_drop(&p, viofs_parking_first(&p));
			first++;
		}
	}
	viofs_parking_clear(&p);
	assert_int_equal(p.free_count, BLOCKS);
}

/* Any lie is refused, or leads to a queue that keeps its rules. */
static void lies_in_the_blocks_lead_nowhere(void **state)
{
	unsigned int refused = 0;

	srand(2);
	for (int round = 0; round < 5000; round++) {
		uint32_t copied = 0;

		memset(blocks, 0, BLOCKS * sizeof(*blocks));
		viofs_parking_init(&p, &bounds, blocks, data);
		for (uint64_t i = 1; i < 6; i++)
			put(i, 600);
		for (int lies = 1 + rand() % 4; lies--;)
			((uint8_t *)blocks)[(size_t)rand() % (20 * sizeof(*blocks))] =
				(uint8_t)rand();
		if (adopt()) {
			refused++;
			continue;
		}
		while (viofs_parking_first(&p)) {
			uint8_t copy[5000];

			assert_true(viofs_parking_first(&p)->len <= 5000);
			viofs_parking_copy(&p, viofs_parking_first(&p), 0, copy,
					   viofs_parking_first(&p)->len);
			viofs_parking_drop(&p, viofs_parking_first(&p));
			assert_true(++copied <= BLOCKS);
		}
		assert_int_equal(p.free_count, BLOCKS);
	}
	assert_true(refused > 500);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make, drop_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_come_back_whole_and_in_order),
		TEST(a_request_is_found_by_its_unique),
		TEST(it_is_full_by_bytes_or_by_count),
		TEST(one_that_is_full_has_room_for_one_more),
		TEST(another_process_finds_all_in_their_order),
		TEST(lies_in_the_blocks_lead_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
