/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which addresses a device is given. */
#include "dma/mapper.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)

static uint64_t at;

static void addresses_lie_in_one_range(void **state)
{
	struct viofs_mapper m = { .range_count = 2,
				  .ranges = { { 0x1000, 0x1fff }, { 0x2000, UINT64_MAX } } };

	assert_true(viofs_mapper_fits(&m, 0x1000, 0x1000));
	assert_false(viofs_mapper_fits(&m, 0x1000, 0x1001)); /* two ranges, even if they touch */
	assert_false(viofs_mapper_fits(&m, 0xfff, 1));
	assert_false(viofs_mapper_fits(&m, 0x1000, 0));
	assert_true(viofs_mapper_fits(&m, UINT64_MAX, 1));
	assert_false(viofs_mapper_fits(&m, UINT64_MAX, 2));
	assert_false(viofs_mapper_fits(&m, 0x2000, UINT64_MAX));
	m.range_count = 0;
	assert_true(viofs_mapper_fits(&m, 0, UINT64_MAX));
	assert_false(viofs_mapper_fits(&m, 2, UINT64_MAX));
}

static void the_first_range_with_room_is_taken(void **state)
{
	const struct viofs_mapper m = {
		.align = 2 * MIB,
		.range_count = 3,
		.ranges = { { 0, 3 * MIB - 1 }, { 5 * MIB, 9 * MIB - 1 }, { 16 * MIB, UINT64_MAX } }
	};

	assert_int_equal(viofs_mapper_place(&m, 0, MIB, &at), 0);
	assert_int_equal(at, 0);
	assert_int_equal(viofs_mapper_place(&m, 1, MIB, &at), 0);
	assert_int_equal(at, 2 * MIB);
	assert_int_equal(viofs_mapper_place(&m, 1, MIB + 1, &at), 0);
	assert_int_equal(at, 6 * MIB);
	assert_int_equal(viofs_mapper_place(&m, 1, 3 * MIB, &at), 0);
	assert_int_equal(at, 6 * MIB);
	assert_int_equal(viofs_mapper_place(&m, 0, 3 * MIB + 1, &at), 0);
	assert_int_equal(at, 16 * MIB);
	assert_int_equal(viofs_mapper_place(&m, 17 * MIB, 1, &at), 0);
	assert_int_equal(at, 18 * MIB);
}

static void where_there_is_no_room_nothing_is_chosen(void **state)
{
	struct viofs_mapper m = { .align = 2 * MIB,
				  .range_count = 1,
				  .ranges = { { MIB, 4 * MIB - 1 } } };

	at = 7;
	assert_int_equal(viofs_mapper_place(&m, 0, 2 * MIB + 1, &at), -ENOSPC);
	assert_int_equal(viofs_mapper_place(&m, 2 * MIB + 1, 1, &at), -ENOSPC);
	m.range_count = 0;
	/* Rounding up, or adding the length, would begin at 0 again. */
	assert_int_equal(viofs_mapper_place(&m, UINT64_MAX - MIB, 1, &at), -ENOSPC);
	assert_int_equal(viofs_mapper_place(&m, 2 * MIB, UINT64_MAX - MIB, &at), -ENOSPC);
	assert_int_equal(at, 7);
	assert_int_equal(viofs_mapper_place(&m, 1, 1, &at), 0);
	assert_int_equal(at, 2 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_lie_in_one_range),
		cmocka_unit_test(the_first_range_with_room_is_taken),
		cmocka_unit_test(where_there_is_no_room_nothing_is_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
