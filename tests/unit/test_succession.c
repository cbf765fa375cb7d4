/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How often a worker is succeeded by another. */
#include "daemon/succession.h"
#include "base/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define S VIOFS_NSEC_PER_SEC

static struct viofs_succession s;
static struct viofs_err err;

static bool dies_at(int64_t second)
{
	bool again;

	s.due = false;
	viofs_err_set(&err, -EIO, "the worker was killed");
	again = viofs_succession_note(&s, 1000 * S + second * S, &err);
	assert_int_equal(s.due, again);
	return again;
}

static void with_none_the_first_death_is_the_last(void **state)
{
	s = (struct viofs_succession){ .most = 0 };
	assert_false(dies_at(0));
	assert_string_equal(err.text, "the worker was killed");
	assert_false(dies_at(1000));
}

static void so_many_are_succeeded_in_a_minute(void **state)
{
	s = (struct viofs_succession){ .most = 4 };
	for (int i = 0; i < 4; i++)
		assert_true(dies_at(10 * i));
	assert_string_equal(err.text, "the worker was killed");
	assert_false(dies_at(59));
	assert_string_equal(err.text, "the worker was killed; 5 workers have died in 60 s, and -o "
				      "restarts= allows for 4");
	assert_string_equal(s.last.text, "the worker was killed");
}

/* Whatever was before: the last minute counts. */
static void deaths_of_long_ago_do_not_count(void **state)
{
	s = (struct viofs_succession){ .most = 2 };
	for (int i = 0; i < 100; i++)
		assert_true(dies_at(30 * i));
	assert_true(dies_at(30 * 100));
	assert_false(dies_at(30 * 100 + 1));
}

static void as_many_as_can_be_said_are_counted(void **state)
{
	s = (struct viofs_succession){ .most = VIOFS_RESTARTS_MAX };
	for (unsigned int i = 0; i < VIOFS_RESTARTS_MAX; i++)
		assert_true(dies_at(0));
	assert_false(dies_at(59));
	assert_true(dies_at(60));
}

static void how_long_it_took_is_known(void **state)
{
	s = (struct viofs_succession){ .most = 4 };
	assert_true(dies_at(0));
	assert_int_equal(viofs_succession_done(&s, 1000 * S + 7), 7);
	assert_int_equal(s.restarts, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_none_the_first_death_is_the_last),
		cmocka_unit_test(so_many_are_succeeded_in_a_minute),
		cmocka_unit_test(deaths_of_long_ago_do_not_count),
		cmocka_unit_test(as_many_as_can_be_said_are_counted),
		cmocka_unit_test(how_long_it_took_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
