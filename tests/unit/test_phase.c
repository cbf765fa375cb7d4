/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The phases of a mount: where each event leads, and what each phase allows. */
#include "daemon/phase.h"
#include "daemon/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define P(name) VIOFS_PHASE_##name
#define NO VIOFS_PHASES

static void each_event_leads_where_the_table_says(void **state)
{
	static const enum viofs_phase after[VIOFS_PHASES][VIOFS_PHASE_EVENTS] = {
		/* serves, succeeds, loses, fails, leave, abort */
		{ P(SERVING), NO, NO, P(FAILING), NO, P(ABORTED) },              /* starting */
		{ NO, P(SERVING), P(LOST), P(FAILING), P(LEAVING), P(ABORTED) }, /* serving */
		{ NO, P(LEAVING), P(LOST), P(FAILING), P(LEAVING), P(ABORTED) }, /* leaving */
		{ NO, NO, NO, NO, P(LOST), P(ABORTED) },                         /* lost */
		{ NO, NO, NO, NO, P(FAILING), P(ABORTED) },                      /* failing */
		{ P(ABORTED), P(ABORTED), P(ABORTED), P(ABORTED), P(ABORTED), P(ABORTED) },
	};

	for (int p = 0; p < VIOFS_PHASES; p++)
		for (int e = 0; e < VIOFS_PHASE_EVENTS; e++) {
			enum viofs_phase phase = (enum viofs_phase)p;
			enum viofs_phase_event event = (enum viofs_phase_event)e;

			assert_int_equal(viofs_phase_can(phase, event), after[p][e] != NO);
			if (after[p][e] != NO)
				assert_int_equal(viofs_phase_next(phase, event), after[p][e]);
		}
}

/* From everywhere, whatever the worker still reports: nothing leads back. */
static void an_abort_is_always_possible_and_final(void **state)
{
	for (int p = 0; p < VIOFS_PHASES; p++)
		assert_int_equal(viofs_phase_next((enum viofs_phase)p, P(ABORT)), P(ABORTED));
	for (int e = 0; e < VIOFS_PHASE_EVENTS; e++)
		assert_int_equal(viofs_phase_next(P(ABORTED), (enum viofs_phase_event)e),
				 P(ABORTED));
}

/* A worker can report nothing, in any order, that the table has no place for. */
static void each_report_that_is_taken_has_its_place(void **state)
{
	static const enum viofs_phase_event events[VIOFS_REPORT_KINDS] = {
		[VIOFS_REPORT_SERVING] = P(SERVES),
		[VIOFS_REPORT_FAILED] = P(FAILS),
		[VIOFS_REPORT_LOST] = P(LOSES),
	};
	/* What report.h takes of a worker in each state, and the phases that go with the state. */
	static const struct {
		enum viofs_phase phase;
		enum viofs_report_kind kind;
	} cases[] = {
		{ P(STARTING), VIOFS_REPORT_SERVING }, { P(STARTING), VIOFS_REPORT_FAILED },
		{ P(SERVING), VIOFS_REPORT_FAILED },   { P(SERVING), VIOFS_REPORT_LOST },
		{ P(LEAVING), VIOFS_REPORT_FAILED },   { P(LEAVING), VIOFS_REPORT_LOST },
	};
	/* What a successor's first report leads to. */
	static const enum viofs_phase_event first[] = { P(SUCCEEDS), P(FAILS) };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(viofs_phase_can(cases[i].phase, events[cases[i].kind]));
	for (int p = 0; p < VIOFS_PHASES; p++)
		for (size_t i = 0; viofs_phase_rules((enum viofs_phase)p)->succeed && i < 2; i++)
			assert_true(viofs_phase_can((enum viofs_phase)p, first[i]));
}

static void only_a_mount_that_serves_is_given_out_again(void **state)
{
	for (int p = 0; p < VIOFS_PHASES; p++)
		assert_int_equal(viofs_phase_rules((enum viofs_phase)p)->clone, p == P(SERVING));
}

/* Before INIT there is nothing to go on with, and without a device nobody to go on for. */
static void a_worker_is_succeeded_while_requests_are_answered(void **state)
{
	for (int p = 0; p < VIOFS_PHASES; p++)
		assert_int_equal(viofs_phase_rules((enum viofs_phase)p)->succeed,
				 p == P(SERVING) || p == P(LEAVING));
}

/* Without a device, or without a worker, an unmount would wait for nobody. */
static void an_orderly_unmount_needs_a_worker_that_serves(void **state)
{
	for (int p = 0; p < VIOFS_PHASES; p++) {
		const struct viofs_phase_rules *r = viofs_phase_rules((enum viofs_phase)p);

		assert_int_equal(r->unmount, p == P(SERVING) || p == P(LEAVING));
		assert_int_equal(r->watch, r->unmount);
		assert_int_equal(r->linger, p != P(STARTING));
		assert_int_equal(r->asked, p == P(LEAVING) || p == P(ABORTED));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_event_leads_where_the_table_says),
		cmocka_unit_test(an_abort_is_always_possible_and_final),
		cmocka_unit_test(each_report_that_is_taken_has_its_place),
		cmocka_unit_test(only_a_mount_that_serves_is_given_out_again),
		cmocka_unit_test(a_worker_is_succeeded_while_requests_are_answered),
		cmocka_unit_test(an_orderly_unmount_needs_a_worker_that_serves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
