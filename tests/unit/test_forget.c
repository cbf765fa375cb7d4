/* SPDX-License-Identifier: GPL-2.0-or-later */
/* BATCH_FORGET in pieces: none is lost, none twice, none too long, and lies are refused. */
#include "fuse/forget.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD 48U /* fuse_in_header and fuse_batch_forget_in */
#define ENTRY 16U

static size_t bytes_of(size_t count)
{
	return HEAD + count * ENTRY;
}

/* @count entries, nodeids 1000.., lookups 1.. */
static uint8_t *make(uint32_t count)
{
	uint8_t *m = calloc(1, bytes_of(count));
	struct fuse_in_header head = { .len = (uint32_t)bytes_of(count),
				       .opcode = FUSE_BATCH_FORGET,
				       .unique = 4711 };
	struct fuse_batch_forget_in in = { .count = count };

	assert_non_null(m);
	memcpy(m, &head, sizeof(head));
	memcpy(m + sizeof(head), &in, sizeof(in));
	for (uint32_t i = 0; i < count; i++) {
		struct fuse_forget_one one = { .nodeid = 1000 + i, .nlookup = 1 + i };

		memcpy(m + HEAD + i * ENTRY, &one, sizeof(one));
	}
	return m;
}

/* One entry is what every device is tested with: a FORGET. */
static void is_single(const uint8_t *piece, size_t len, uint32_t entry)
{
	struct fuse_in_header head;
	struct fuse_forget_in in;

	memcpy(&head, piece, sizeof(head));
	memcpy(&in, piece + sizeof(head), sizeof(in));
	assert_int_equal(len, 48);
	assert_int_equal(head.opcode, FUSE_FORGET);
	assert_int_equal(head.nodeid, 1000 + entry);
	assert_int_equal(in.nlookup, 1 + entry);
}

static uint32_t is_batch(const uint8_t *piece, size_t len, uint32_t entry)
{
	struct fuse_batch_forget_in in;
	struct fuse_in_header head;

	memcpy(&head, piece, sizeof(head));
	memcpy(&in, piece + sizeof(head), sizeof(in));
	assert_int_equal(head.opcode, FUSE_BATCH_FORGET);
	assert_int_equal(head.nodeid, 0);
	assert_in_range(in.count, 2, VIOFS_FUSE_FORGET_COUNT);
	assert_int_equal(len, bytes_of(in.count));
	for (uint32_t i = 0; i < in.count; i++) {
		struct fuse_forget_one one;

		memcpy(&one, piece + HEAD + i * ENTRY, sizeof(one));
		assert_int_equal(one.nodeid, 1000 + entry + i);
		assert_int_equal(one.nlookup, 1 + entry + i);
	}
	return in.count;
}

/* Walks a batch of @count. Return: how many pieces. */
static unsigned int walk(uint32_t count)
{
	uint8_t *m = make(count), piece[VIOFS_FUSE_FORGET_BYTES];
	struct viofs_fuse_forgets f;
	unsigned int pieces = 0;
	uint32_t entry = 0;
	size_t len;

	assert_int_equal(viofs_fuse_forgets_start(&f, m, bytes_of(count)), 0);
	while ((len = viofs_fuse_forgets_next(&f, piece))) {
		struct fuse_in_header head;

		assert_true(len <= VIOFS_FUSE_FORGET_BYTES);
		memcpy(&head, piece, sizeof(head));
		assert_int_equal(head.len, len);
		assert_int_equal(head.unique, 0);
		if (count - entry == 1) {
			is_single(piece, len, entry);
			entry++;
		} else {
			entry += is_batch(piece, len, entry);
		}
		pieces++;
	}
	assert_int_equal(entry, count);
	assert_int_equal(viofs_fuse_forgets_next(&f, piece), 0); /* and stays done */
	free(m);
	return pieces;
}

static void an_empty_batch_gives_nothing(void **state)
{
	assert_int_equal(walk(0), 0);
}

static void one_entry_becomes_a_forget(void **state)
{
	assert_int_equal(walk(1), 1);
}

static void a_batch_that_fits_stays_one(void **state)
{
	assert_int_equal(walk(2), 1);
	assert_int_equal(walk(253), 1);
}

static void the_rest_of_one_becomes_a_forget(void **state)
{
	assert_int_equal(walk(254), 2);
}

static void larger_batches_are_cut(void **state)
{
	assert_int_equal(walk(545), 3);
	/* as much as the kernel puts into a buffer of 1 MiB and 4 KiB */
	assert_int_equal(walk(65789), (65789 + 252) / 253);
}

static void a_count_that_disagrees_with_the_length_is_refused(void **state)
{
	static const uint32_t counts[] = { 0, 1, 9, 11, 0x10000000, UINT32_MAX };
	uint8_t *m = make(10);

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct viofs_fuse_forgets f;

		memcpy(m + sizeof(struct fuse_in_header), &counts[i], sizeof(counts[i]));
		assert_int_equal(viofs_fuse_forgets_start(&f, m, bytes_of(10)), -EPROTO);
	}
	free(m);
}

static void a_length_between_entries_is_refused(void **state)
{
	struct viofs_fuse_forgets f;
	uint8_t *m = make(10);

	assert_int_equal(viofs_fuse_forgets_start(&f, m, bytes_of(10) - 1), -EPROTO);
	m[sizeof(struct fuse_in_header)] = 9;
	assert_int_equal(viofs_fuse_forgets_start(&f, m, bytes_of(9) + 15), -EPROTO);
	assert_int_equal(viofs_fuse_forgets_start(&f, m, bytes_of(9)), 0);
	free(m);
}

static void shorter_than_its_struct_is_refused(void **state)
{
	struct viofs_fuse_forgets f;
	uint8_t *m = make(0);

	for (size_t len = 0; len < HEAD; len++)
		assert_int_equal(viofs_fuse_forgets_start(&f, m, len), -EPROTO);
	free(m);
}

/* Both kinds of message, and a list, come out one by one. */
static void each_entry_is_taken_once(void **state)
{
	const struct {
		struct fuse_in_header head;
		struct fuse_forget_in in;
	} single = { { .len = sizeof(single), .opcode = FUSE_FORGET, .nodeid = 1000 }, { 1 } };
	const struct fuse_forget_one list[] = { { 1000, 1 }, { 1001, 2 } };
	uint8_t *m = make(3);
	struct fuse_forget_one one;
	struct viofs_fuse_forgets f[3];

	assert_int_equal(viofs_fuse_forgets_start(&f[0], &single, sizeof(single)), 0);
	assert_int_equal(viofs_fuse_forgets_start(&f[2], m, bytes_of(3)), 0);
	viofs_fuse_forgets_list(&f[1], list, 2);
	for (uint32_t i = 0; i < 3; i++) {
		for (uint32_t k = 0; k <= i; k++) {
			assert_true(viofs_fuse_forgets_one(&f[i], &one));
			assert_int_equal(one.nodeid, 1000 + k);
			assert_int_equal(one.nlookup, 1 + k);
		}
		assert_false(viofs_fuse_forgets_one(&f[i], &one));
	}
	assert_int_equal(viofs_fuse_forgets_start(&f[0], &single, sizeof(single) - 1), -EPROTO);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_batch_gives_nothing),
		cmocka_unit_test(one_entry_becomes_a_forget),
		cmocka_unit_test(a_batch_that_fits_stays_one),
		cmocka_unit_test(the_rest_of_one_becomes_a_forget),
		cmocka_unit_test(larger_batches_are_cut),
		cmocka_unit_test(a_count_that_disagrees_with_the_length_is_refused),
		cmocka_unit_test(a_length_between_entries_is_refused),
		cmocka_unit_test(shorter_than_its_struct_is_refused),
		cmocka_unit_test(each_entry_is_taken_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
