/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Histograms of times: which step a time is in, and where steps begin. */
#include "base/histogram.h"
#include "base/ticks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Steps in the order of their times: those of 1 come last in the table. */
static unsigned int in_order(unsigned int i)
{
	return (i + VIOFS_HISTOGRAM_STEPS - 16) % VIOFS_HISTOGRAM_STEPS;
}

/* Steps of less than 1 have no times of their own; a float keeps 24 bits, so ends are left out. */
static void each_time_lies_in_its_step(void **state)
{
	unsigned int looked = 0;

	for (unsigned int i = 0; i < VIOFS_HISTOGRAM_STEPS - 1; i++) {
		double begin = viofs_histogram_begin(in_order(i));
		double whole = viofs_histogram_begin(in_order(i + 1)) - begin;

		if (whole < 4 || begin + whole > (double)INT64_MAX / 2)
			continue;
		assert_int_equal(viofs_histogram_step((uint64_t)(begin + whole / 4)), in_order(i));
		assert_int_equal(viofs_histogram_step((uint64_t)(begin + whole * 3 / 4)),
				 in_order(i));
		looked++;
	}
	assert_true(looked > 850);
}

static void steps_are_of_a_sixteenth_at_most(void **state)
{
	for (unsigned int i = 0; i < VIOFS_HISTOGRAM_STEPS - 1; i++) {
		double begin = viofs_histogram_begin(in_order(i));
		double end = viofs_histogram_begin(in_order(i + 1));

		assert_true(end > begin);
		assert_true((end - begin) / (begin + 1) <= 1. / 16 + 1e-9);
	}
}

static void the_ends_of_the_range_have_their_steps(void **state)
{
	assert_int_equal(viofs_histogram_step(0), in_order(0));
	assert_true(viofs_histogram_begin(in_order(0)) == 0);
	assert_int_equal(viofs_histogram_step(1), in_order(16));
	assert_int_equal(viofs_histogram_step(2), in_order(24));
	assert_int_equal(viofs_histogram_step(3), in_order(32));
	assert_true(viofs_histogram_step(INT64_MAX - 1) < VIOFS_HISTOGRAM_STEPS);
	/* What a clock that goes back makes of a time: some step, and no other memory. */
	assert_true(viofs_histogram_step((uint64_t)-5) < VIOFS_HISTOGRAM_STEPS);
	assert_true(viofs_histogram_step(UINT64_MAX) < VIOFS_HISTOGRAM_STEPS);
}

static void histograms_are_added_and_subtracted(void **state)
{
	static struct viofs_histogram a, b;

	a.counts[5] = 3;
	a.counts[1023] = 1;
	b.counts[5] = 2;
	viofs_histogram_merge(&a, &b);
	assert_int_equal(a.counts[5], 5);
	assert_int_equal(a.counts[1023], 1);
	viofs_histogram_subtract(&a, &b);
	viofs_histogram_subtract(&a, &b);
	assert_int_equal(a.counts[5], 1);
	assert_int_equal(a.counts[0], 0);
}

/* Two ways to measure the same 20 ms. */
static void ticks_pass_at_the_speed_that_is_told(void **state)
{
	const struct timespec wait = { .tv_nsec = 20000000 };
	double speed = viofs_ticks_per_ns(), ns;
	int64_t begin = viofs_now_ns();
	uint64_t ticks = viofs_ticks();

	if (!viofs_ticks_are_steady())
		skip();
	nanosleep(&wait, NULL);
	ns = (double)(viofs_ticks() - ticks) / speed;
	assert_true(ns >= 20e6 * 0.95);
	assert_true(ns <= (double)(viofs_now_ns() - begin) * 1.05);
}

/* What was counted may not shrink from one look to the next. */
static void the_speed_is_always_the_same(void **state)
{
	double speed = viofs_ticks_per_ns();

	for (int i = 0; i < 10; i++)
		assert_true(viofs_ticks_per_ns() == speed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_time_lies_in_its_step),
		cmocka_unit_test(steps_are_of_a_sixteenth_at_most),
		cmocka_unit_test(the_ends_of_the_range_have_their_steps),
		cmocka_unit_test(histograms_are_added_and_subtracted),
		cmocka_unit_test(ticks_pass_at_the_speed_that_is_told),
		cmocka_unit_test(the_speed_is_always_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
