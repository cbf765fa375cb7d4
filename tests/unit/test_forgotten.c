/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FORGETs that wait: each nodeid once, with all of its lookups, and no more of them than the bound.
 */
#include "relay/forgotten.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 5000U

static uint32_t count;

static struct viofs_forgotten make(uint32_t max)
{
	struct viofs_forgotten f;

	count = 0;
	assert_int_equal(viofs_forgotten_init(&f, calloc(max, sizeof(*f.one)), &count, max), 0);
	return f;
}

static void drop(struct viofs_forgotten *f)
{
	free(f->one);
	viofs_forgotten_fini(f);
}

static int add(struct viofs_forgotten *f, uint64_t nodeid, uint64_t nlookup)
{
	struct fuse_forget_one one = { .nodeid = nodeid, .nlookup = nlookup };

	return viofs_forgotten_add(f, &one);
}

/* Takes @n; each must be of nodeids that @left counts lookups of, and is then gone. */
static void take(struct viofs_forgotten *f, uint32_t n, uint64_t *left)
{
	const struct fuse_forget_one *one = viofs_forgotten_last(f, n);

	for (uint32_t i = 0; i < n; i++) {
		assert_true(one[i].nodeid < MANY && left[one[i].nodeid]);
		assert_int_equal(one[i].nlookup, left[one[i].nodeid]);
		left[one[i].nodeid] = 0;
	}
	viofs_forgotten_drop(f, n);
}

/* Against an array of counts, while it grows and shrinks. */
static void lookups_are_added_up(void **state)
{
	uint64_t *left = calloc(MANY, sizeof(*left));
	struct viofs_forgotten f = make(100 * MANY);
	uint32_t random = 1, most = 0;

	for (unsigned int i = 0; i < 100 * MANY; i++) {
		uint64_t nodeid;

		random = random * 1664525U + 1013904223U;
		nodeid = random >> 8;
		nodeid %= MANY;
		assert_int_equal(add(&f, nodeid, 1 + nodeid % 3), 0);
		left[nodeid] += 1 + nodeid % 3;
		most = *f.count > most ? *f.count : most;
		if (i % 1000 == 999)
			take(&f, *f.count < 253 ? *f.count : 253, left);
	}
	assert_in_range(most, 1000, MANY);
	while (*f.count)
		take(&f, *f.count < 7 ? *f.count : 7, left);
	for (unsigned int i = 0; i < MANY; i++)
		assert_int_equal(left[i], 0);
	assert_int_equal(f.room, 0); /* and the memory is given back */
	drop(&f);
	free(left);
}

static void beyond_the_bound_no_new_ones_are_kept(void **state)
{
	struct viofs_forgotten f = make(300);

	for (uint64_t i = 0; i < 300; i++)
		assert_int_equal(add(&f, i, 1), 0);
	assert_int_equal(add(&f, 300, 1), -ENOSPC);
	assert_int_equal(add(&f, 299, 1), 0);
	assert_int_equal(viofs_forgotten_last(&f, 1)->nlookup, 2);
	viofs_forgotten_drop(&f, 1);
	assert_int_equal(add(&f, 300, 1), 0);
	drop(&f);
}

/* Another process has the set, and nothing else. */
static void somebody_else_goes_on(void **state)
{
	struct viofs_forgotten f = make(1000), other;

	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(add(&f, i, 1), 0);
	assert_int_equal(viofs_forgotten_init(&other, f.one, &count, 1000), 0);
	viofs_forgotten_fini(&f);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(add(&other, i, 2), 0);
	assert_int_equal(count, 1000);
	assert_int_equal(add(&other, 1000, 1), -ENOSPC);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(viofs_forgotten_last(&other, 1000)[i].nlookup, 3);
	viofs_forgotten_drop(&other, 1000);
	assert_int_equal(count, 0);
	drop(&other);
}

static void nodeids_may_be_any_number(void **state)
{
	static const uint64_t ids[] = { 0, 1, UINT64_MAX, 1ULL << 63, 0x7f0012345678, 1ULL << 32 };
	struct viofs_forgotten f = make(100 * MANY);

	for (int round = 0; round < 2; round++)
		for (unsigned int i = 0; i < 6; i++)
			assert_int_equal(add(&f, ids[i], UINT64_MAX / 4), 0);
	assert_int_equal(*f.count, 6);
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(viofs_forgotten_last(&f, 6)[i].nodeid, ids[i]);
		assert_int_equal(viofs_forgotten_last(&f, 6)[i].nlookup, UINT64_MAX / 4 * 2);
	}
	drop(&f);
}

static uint32_t longest_chain(const struct viofs_forgotten *f)
{
	uint32_t longest = 0;

	for (uint32_t c = 0; c < f->room; c++) {
		uint32_t n = 0;

		for (uint32_t i = f->first[c]; i != UINT32_MAX; i = f->next[i])
			n++;
		longest = n > longest ? n : longest;
	}
	return longest;
}

/* A device that knows the source: each FORGET would cost as much as all before it. */
static void nodeids_that_were_chosen_to_collide_do_not(void **state)
{
	/* What 0x9e3779b97f4a7c15 makes 1 of; and multiples of which no low bit differs. */
	static const uint64_t steps[] = { 0xf1de83e19937733dULL, 1ULL << 44, 1ULL << 32, 4096, 1 };

	assert_int_equal(steps[0] * 0x9e3779b97f4a7c15ULL, 1);
	for (unsigned int s = 0; s < 5; s++) {
		struct viofs_forgotten f = make(100 * MANY);

		for (uint64_t i = 0; i < 20000; i++)
			assert_int_equal(add(&f, i * steps[s], 1), 0);
		assert_int_equal(*f.count, 20000);
		assert_in_range(longest_chain(&f), 1, 40);
		drop(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups_are_added_up),
		cmocka_unit_test(beyond_the_bound_no_new_ones_are_kept),
		cmocka_unit_test(somebody_else_goes_on),
		cmocka_unit_test(nodeids_may_be_any_number),
		cmocka_unit_test(nodeids_that_were_chosen_to_collide_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
