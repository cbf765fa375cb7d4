/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The supervisor's looks at a worker that reads, sleeps, or does neither. */
#include "daemon/watchdog.h"

#include "base/util.h"
#include "relay/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define S VIOFS_NSEC_PER_SEC

static uint64_t counts[2];
static bool beat;
static int kernel[2]; /* a pipe: what is in it is to be read */
static struct viofs_watchdog w;

unsigned int __wrap_viofs_observe_turns(const struct viofs_relay *r, uint64_t *turns);
unsigned int __wrap_viofs_observe_turns(const struct viofs_relay *r, uint64_t *turns)
{
	memcpy(turns, counts, sizeof(counts));
	return 2;
}

bool __wrap_viofs_observe_has_beat(const struct viofs_relay *r);
bool __wrap_viofs_observe_has_beat(const struct viofs_relay *r)
{
	return beat;
}

static int64_t unanswered;
static enum viofs_stage session;

int64_t __wrap_viofs_observe_unanswered_ns(const struct viofs_relay *r);
int64_t __wrap_viofs_observe_unanswered_ns(const struct viofs_relay *r)
{
	return unanswered;
}

enum viofs_stage __wrap_viofs_observe_stage(const struct viofs_relay *r);
enum viofs_stage __wrap_viofs_observe_stage(const struct viofs_relay *r)
{
	return session;
}

static int set_up(void **state)
{
	unanswered = 0;
	session = VIOFS_STAGE_SERVING;
	memset(counts, 0, sizeof(counts));
	beat = false;
	assert_int_equal(pipe(kernel), 0);
	w = (struct viofs_watchdog){ .fuse_fd = kernel[0] };
	viofs_watchdog_look(&w, 1 * S);
	return 0;
}

static int tear_down(void **state)
{
	close(kernel[0]);
	close(kernel[1]);
	return 0;
}

static void ask(void)
{
	assert_int_equal(write(kernel[1], "x", 1), 1);
}

static int64_t unread_at(int64_t second)
{
	viofs_watchdog_look(&w, second * S);
	return viofs_watchdog_unread_ns(&w) / S;
}

static void nothing_to_read_is_never_old(void **state)
{
	for (int64_t i = 2; i < 100; i++)
		assert_int_equal(unread_at(i), 0);
}

/* One look finds it, and it may have come just now. */
static void what_is_not_read_grows_old_from_the_first_look(void **state)
{
	char c;

	ask();
	assert_int_equal(unread_at(40), 0);
	assert_int_equal(unread_at(41), 1);
	assert_int_equal(unread_at(71), 31);
	assert_int_equal(read(kernel[0], &c, 1), 1);
	assert_int_equal(unread_at(72), 0);
}

/* It is read, and the next one is there; whichever lane does it. */
static void a_turn_of_any_lane_begins_anew(void **state)
{
	ask();
	for (unsigned int lane = 0; lane < 2; lane++) {
		assert_int_equal(unread_at(10 + lane * 10), lane ? 9 : 0);
		counts[lane]++;
		assert_int_equal(unread_at(11 + lane * 10), 0);
		assert_int_equal(unread_at(12 + lane * 10), 1);
	}
}

static void a_close_look_is_two(void **state)
{
	viofs_watchdog_look_closely(&w);
	assert_int_equal(viofs_watchdog_unread_ns(&w), 0);
	ask();
	viofs_watchdog_look_closely(&w);
	assert_in_range(viofs_watchdog_unread_ns(&w), 20000000, 5 * S);
}

/* A worker that is gone leaves nobody who reads: that is no request. */
static void an_end_is_no_request(void **state)
{
	close(kernel[1]);
	assert_int_equal(unread_at(10), 0);
	assert_int_equal(unread_at(20), 0);
	kernel[1] = dup(kernel[0]);
}

static void a_lane_without_turns_is_silent_where_they_are_due(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		beat = i;
		counts[0]++;
		viofs_watchdog_look(&w, (20 + i) * S);
		/* The other one has had none since the first look. */
		assert_int_equal(viofs_watchdog_silent_ns(&w), i ? 20 * S : 0);
	}
	counts[1]++;
	viofs_watchdog_look(&w, 30 * S);
	assert_int_equal(viofs_watchdog_silent_ns(&w), 9 * S);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static enum viofs_watchdog_verdict judge(int64_t second, bool leaving)
{
	int64_t age = -1;
	enum viofs_watchdog_verdict v = viofs_watchdog_judge(&w, second * S, leaving, &age);

	assert_true(w.begun || age >= unanswered);
	return v;
}

/* The slots are read without a lock: one look alone may be wrong. */
static void a_request_that_is_too_old_is_believed_the_second_time(void **state)
{
	w.timeout_ns = 5 * S;
	unanswered = 8 * S - 1;
	assert_int_equal(judge(2, false), VIOFS_WATCHDOG_FINE);
	unanswered = 8 * S;
	assert_int_equal(judge(3, false), VIOFS_WATCHDOG_FINE);
	unanswered = 0;
	assert_int_equal(judge(4, false), VIOFS_WATCHDOG_FINE);
	unanswered = 8 * S;
	assert_int_equal(judge(5, false), VIOFS_WATCHDOG_FINE);
	assert_int_equal(judge(6, false), VIOFS_WATCHDOG_STUCK);
}

static void without_a_time_out_a_request_may_take_for_ever(void **state)
{
	unanswered = 1000000 * S;
	assert_int_equal(judge(2, false), VIOFS_WATCHDOG_FINE);
	assert_int_equal(judge(3, false), VIOFS_WATCHDOG_FINE);
}

static void but_not_while_the_mount_is_being_left(void **state)
{
	unanswered = 30 * S - 1;
	assert_int_equal(judge(2, true), VIOFS_WATCHDOG_FINE);
	unanswered = 30 * S;
	assert_int_equal(judge(3, true), VIOFS_WATCHDOG_FINE);
	assert_int_equal(judge(4, true), VIOFS_WATCHDOG_STALLS);
	/* That is the device's fault, whatever the worker's own time-out is. */
	w.timeout_ns = 5 * S;
	assert_int_equal(judge(5, true), VIOFS_WATCHDOG_STALLS);
}

static void what_nobody_reads_grows_old_too(void **state)
{
	w.timeout_ns = 5 * S;
	ask();
	for (int64_t second = 2; second <= 10; second++)
		assert_int_equal(judge(second, false), VIOFS_WATCHDOG_FINE);
	assert_int_equal(judge(11, false), VIOFS_WATCHDOG_STUCK);
}

/* One that succeeds another has as long as that one had. */
static void what_another_worker_has_left_is_not_old(void **state)
{
	w.timeout_ns = 5 * S;
	unanswered = 100 * S;
	assert_int_equal(judge(2, false), VIOFS_WATCHDOG_FINE);
	assert_int_equal(judge(3, false), VIOFS_WATCHDOG_STUCK);
	viofs_watchdog_begin_again(&w, 3 * S);
	for (int64_t second = 4; second <= 11; second++)
		assert_int_equal(judge(second, false), VIOFS_WATCHDOG_FINE);
	assert_int_equal(judge(12, false), VIOFS_WATCHDOG_STUCK);
}

/* Once the mount is gone nobody has to read /dev/fuse. */
static void an_end_that_takes_too_long_is_noticed(void **state)
{
	assert_false(viofs_watchdog_lingers(&w, 100 * S));
	session = VIOFS_STAGE_ENDING;
	w.timeout_ns = 5 * S;
	ask();
	for (int64_t second = 101; second <= 130; second++) {
		assert_int_equal(judge(second, false), VIOFS_WATCHDOG_FINE);
		assert_false(viofs_watchdog_lingers(&w, second * S));
	}
	assert_true(viofs_watchdog_lingers(&w, 131 * S));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_to_read_is_never_old),
		TEST(what_is_not_read_grows_old_from_the_first_look),
		TEST(a_turn_of_any_lane_begins_anew),
		TEST(a_close_look_is_two),
		TEST(an_end_is_no_request),
		TEST(a_lane_without_turns_is_silent_where_they_are_due),
		TEST(a_request_that_is_too_old_is_believed_the_second_time),
		TEST(without_a_time_out_a_request_may_take_for_ever),
		TEST(but_not_while_the_mount_is_being_left),
		TEST(what_nobody_reads_grows_old_too),
		TEST(what_another_worker_has_left_is_not_old),
		TEST(an_end_that_takes_too_long_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
