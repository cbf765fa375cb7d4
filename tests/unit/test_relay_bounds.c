/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long anybody waits: a lost device, a silent one, and what passes a full queue. */
#include "relay_bench.h"

#include "base/util.h"
#include "relay/lane.h"
#include "relay/session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t started;

static int64_t elapsed_ms(void)
{
	return (viofs_now_ns() - started) / VIOFS_NSEC_PER_MSEC;
}

/* Requests that the device has, has not, and that have no slot; it answers none of them. */
static void fill(unsigned int n)
{
	bench_serve();
	bench_hold(0);
	for (unsigned int i = 0; i < n; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	assert_non_null(
		model_device_wait(&bench.device, FUSE_GETATTR, VIOFS_MIN(n, bench.config.slots)));
	usleep(5000); /* the rest is read and parked */
	started = viofs_now_ns();
}

/* The device is lost: all @n requests have an error within @ms, later ones too, until the unmount.
 */
static void is_lost(unsigned int n, const char *how, int64_t ms)
{
	kernel_is_answered_all(100, n, -EIO, 0);
	if (elapsed_ms() > ms)
		fail_msg("it took %lld ms", (long long)elapsed_ms());
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, -EIO, 0);
	kernel_sends_write(6, 1, 0, 100000);
	kernel_is_answered(6, -EIO, 0);
	kernel_sends_forget(8, 1);
	kernel_sends_interrupt(6);
	kernel_gets_nothing(10);
	assert_int_equal(bench_stats()->stage, VIOFS_STAGE_LOST);
	assert_non_null(strstr(bench_stats()->reason, how));
	shutdown(bench.kernel, SHUT_WR);
	assert_int_equal(bench_join(), -ENODEV);
	assert_non_null(strstr(bench.err.text, how));
	assert_int_equal(bench.refused, 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_DESTROY), 0);
	kernel_gets_nothing(0);
}

/* Descriptors of a device that is let go of may be others' by now: they are not waited for. */
static void descriptors_of_a_lost_device_are_not_waited_for(void **state)
{
	const struct viofs_loop *loop;

	fill(3);
	model_alert(&bench.function, "is being unplugged");
	is_lost(3, "is being unplugged", 1500);
	loop = &bench.relay->lanes[0].loop;
	assert_true(loop->count > 2);
	for (unsigned int i = 0; i < loop->count; i++)
		assert_true((loop->fds[i].fd >= 0) == (i == VIOFS_LANE_FUSE));
}

/* No interrupt tells of these two: they are looked for. */
static void a_device_that_is_gone_is_eio_until_unmounted(void **state)
{
	fill(80);
	bench.function.faults.gone = true;
	is_lost(80, "is gone", 1500);
}

static void a_device_that_needs_a_reset_is_eio_until_unmounted(void **state)
{
	fill(3);
	bench.function.status |= VIOFS_VIRTIO_NEEDS_RESET;
	is_lost(3, "needs a reset", 1500);
}

static void what_the_kernel_says_of_the_function_is_heard_at_once(void **state)
{
	static const enum viofs_poll polls[] = { VIOFS_POLL_IRQ, VIOFS_POLL_ADAPTIVE,
						 VIOFS_POLL_BUSY };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(polls); i++) {
		bench_set_up(state);
		bench.config.poll = polls[i];
		fill(3);
		model_alert(&bench.function, "is being unplugged");
		is_lost(3, "is being unplugged", 500);
		if (i + 1 < VIOFS_ARRAY_SIZE(polls))
			bench_tear_down(state);
	}
}

/* Nothing in flight, asleep: the next request must not be the one to find out. */
static void it_is_heard_while_nothing_happens(void **state)
{
	bench_serve();
	model_alert(&bench.function, "is being unplugged");
	for (int i = 0; i < 1000 && !bench.lost; i++)
		usleep(500);
	assert_true(bench.lost);
	started = viofs_now_ns();
	is_lost(0, "unplugged", 100);
}

/* Never idle, never asleep. */
static void it_is_heard_under_load(void **state)
{
	unsigned int answered = 0;

	bench.config.poll = VIOFS_POLL_BUSY;
	bench_serve();
	model_alert(&bench.function, "is being unplugged");
	started = viofs_now_ns();
	while (elapsed_ms() < 3000) {
		for (unsigned int i = 0; i < 2; i++)
			kernel_sends_getattr(100 + 2 * i, i);
		answered += 2;
		for (unsigned int i = 0; i < 2; i++)
			if (kernel_gets()->head.error)
				answered = 0;
		if (!answered)
			break;
	}
	assert_int_equal(answered, 0);
	is_lost(0, "unplugged", 3000);
}

static void a_request_older_than_the_timeout_fails_the_session(void **state)
{
	static const enum viofs_poll polls[] = { VIOFS_POLL_IRQ, VIOFS_POLL_BUSY };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(polls); i++) {
		bench_set_up(state);
		bench.config.poll = polls[i];
		bench.config.timeout_ms = 500;
		fill(80);
		kernel_is_answered_all(100, 80, -EIO, 0);
		assert_in_range(elapsed_ms(), 200, 2000);
		assert_int_equal(bench_join(), -EPROTO);
		assert_int_equal(bench_stats()->stage, VIOFS_STAGE_FAILED);
		assert_non_null(strstr(bench.err.text, "no answer"));
		if (i + 1 < VIOFS_ARRAY_SIZE(polls))
			bench_tear_down(state);
	}
}

/* One that hangs counts, however well the others are served. */
static void a_request_that_hangs_alone_is_noticed(void **state)
{
	unsigned int n = 0;

	bench.config.timeout_ms = 300;
	bench_serve();
	bench_hold(FUSE_OPEN);
	/* Before the relay can have read it, however late this thread goes on. */
	started = viofs_now_ns();
	kernel_sends(FUSE_OPEN, 4, 1, "01234567", 8, NULL, 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_OPEN, 1));
	while (elapsed_ms() < 10000) {
		kernel_sends_getattr(100 + 2 * n++, 1);
		if (kernel_gets()->head.error)
			break;
		usleep(2000);
	}
	assert_in_range(elapsed_ms(), 250, 10000);
	assert_int_equal(bench_join(), -EPROTO);
}

static void a_lock_may_wait_for_longer(void **state)
{
	bench.config.timeout_ms = 400;
	bench_serve();
	bench_hold(FUSE_SETLKW);
	/* Some with the device, some parked. */
	for (unsigned int i = 0; i < bench.config.slots; i++)
		kernel_sends_lock(1000 + 2 * i);
	for (int i = 0; i < 4; i++) {
		kernel_gets_nothing(200);
		kernel_sends_getattr(4, 1);
		kernel_is_answered(4, 0, 104);
	}
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(1000, bench.config.slots, 0, 0);
	bench_end();
}

/* Nobody waits for a FORGET. */
static void a_forget_that_is_held_fails_nothing(void **state)
{
	bench.config.timeout_ms = 1000; /* long enough for the GETATTR below on a busy machine */
	bench_serve();
	bench_hold(FUSE_FORGET);
	kernel_sends_forget(6, 4711);
	kernel_gets_nothing(1500);
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104);
	model_device_release(&bench.device, 0);
	bench_end();
}

static void without_a_timeout_it_is_waited(void **state)
{
	fill(3);
	kernel_gets_nothing(1500);
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, 3, 0, 104);
	bench_end();
}

/* Every request queue full and held, every slot taken, and 64 callers more. */
static void hiprio_passes_held_queues(unsigned int queues)
{
	unsigned int n = bench.config.slots + 64;
	const struct model_request *r;

	bench.request_queues = queues;
	bench_serve();
	bench_hold(0);
	kernel_sends_lock(4);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, 1));
	for (unsigned int i = 0; i < n; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, bench.config.slots - 1));
	kernel_sends_forget(6, 4711);
	kernel_sends_interrupt(4);
	r = model_device_wait(&bench.device, FUSE_FORGET, 1);
	assert_non_null(r);
	assert_int_equal(r->queue, 0);
	r = model_device_wait(&bench.device, FUSE_INTERRUPT, 1);
	assert_non_null(r);
	assert_int_equal(r->queue, 0);
	kernel_gets_nothing(5);
	assert_int_equal(bench_stats()->parked, 65);
	model_device_release(&bench.device, FUSE_GETATTR);
	kernel_is_answered_all(100, n, 0, 104);
	model_device_release(&bench.device, 0);
	kernel_is_answered(4, 0, 0);
	bench_end();
}

static void hiprio_passes_one_held_queue(void **state)
{
	hiprio_passes_held_queues(1);
}

static void hiprio_passes_several_held_queues(void **state)
{
	hiprio_passes_held_queues(4);
}

/* The same where it is the rings that are full, before the slots are. */
static void hiprio_passes_full_rings(void **state)
{
	bench.features &= ~VIOFS_VIRTIO_F_INDIRECT_DESC;
	bench.queue_size = 16;
	bench_serve();
	bench_hold(0);
	for (unsigned int i = 0; i < bench.config.slots + 64; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, 4));
	kernel_sends_forget(6, 4711);
	assert_non_null(model_device_wait(&bench.device, FUSE_FORGET, 1));
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, bench.config.slots + 64, 0, 104);
	bench_end();
}

/* The kernel has ended its requests already, so there is nothing to wait for: not for as long as
 * the session may take to end, which is longer than bench_join() waits. */
static void at_the_end_a_lost_device_is_not_waited_for(void **state)
{
	bench.config.end_timeout_ms = 60000;
	fill(3);
	shutdown(bench.kernel, SHUT_WR);
	for (int ms = 0; !viofs_outcome_is_stopping(&bench.relay->outcome) && ms < 5000; ms++)
		usleep(1000);
	assert_true(viofs_outcome_is_stopping(&bench.relay->outcome));
	bench.function.faults.gone = true;
	assert_int_equal(bench_join(), 0);
	assert_int_equal(bench_stats()->stage, VIOFS_STAGE_ENDED);
	assert_int_equal(model_device_count(&bench.device, FUSE_DESTROY), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_set_up, bench_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(descriptors_of_a_lost_device_are_not_waited_for),
		TEST(a_device_that_is_gone_is_eio_until_unmounted),
		TEST(a_device_that_needs_a_reset_is_eio_until_unmounted),
		TEST(what_the_kernel_says_of_the_function_is_heard_at_once),
		TEST(it_is_heard_while_nothing_happens),
		TEST(it_is_heard_under_load),
		TEST(a_request_older_than_the_timeout_fails_the_session),
		TEST(a_request_that_hangs_alone_is_noticed),
		TEST(a_lock_may_wait_for_longer),
		TEST(a_forget_that_is_held_fails_nothing),
		TEST(without_a_timeout_it_is_waited),
		TEST(hiprio_passes_one_held_queue),
		TEST(hiprio_passes_several_held_queues),
		TEST(hiprio_passes_full_rings),
		TEST(at_the_end_a_lost_device_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
