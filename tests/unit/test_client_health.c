/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event loops on libviofs: what they are woken for though no answer comes. */
#include "client_bench.h"

#include "base/util.h"
#include "client/health.h"
#include "client/client_dev.h"
#include "virtio/virtio.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LATE_MS 200
#define MS VIOFS_NSEC_PER_MSEC

static struct viofs_session *session;
static struct viofs_async *async;
static struct stat st[4];
static unsigned int turns;

static void open_session(void)
{
	session = NULL;
	async = NULL;
	bench_open();
	assert_int_equal(viofs_session_open(bench.dev, NULL, &session, &bench.err), 0);
	assert_int_equal(viofs_async_open(session, 0, &async, &bench.err), 0);
	bench_hold(FUSE_GETATTR);
}

static void close_session(void)
{
	viofs_async_close(async);
	viofs_session_close(session);
}

static void call(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(viofs_path_stat_async(async, "/", 0, &st[i], &st[i]), 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, count));
}

/* The loop of the documentation. @by_timer: it doesn't trust the descriptor, but asks how long it
 * may sleep. Return: events, all with @result. */
static unsigned int loop(unsigned int count, int64_t result, bool by_timer)
{
	int64_t end = viofs_now_ns() + SOON_MS * MS;
	unsigned int got = 0;

	turns = 0;
	while (got < count && viofs_now_ns() - end < 0) {
		struct pollfd p = { .fd = viofs_async_fd(async), .events = POLLIN };
		struct viofs_event e[4];
		int n = viofs_async_poll(async, e, 4);

		turns++;
		for (int i = 0; i < n; i++)
			assert_int_equal(e[i].result, result);
		got += (unsigned int)n;
		if (got < count && !viofs_async_arm(async)) {
			int64_t ns = viofs_async_next_timeout(async);

			assert_true(ns >= 0);
			if (by_timer)
				usleep((useconds_t)VIOFS_MIN(ns / 1000 + 1, 1000 * SOON_MS));
			else
				poll(&p, 1, SOON_MS);
		}
	}
	return got;
}

static void an_event_loop_sees_a_device_that_goes(void **state)
{
	int64_t start;

	open_session();
	call(3);
	assert_int_equal(viofs_async_arm(async), 0);
	start = viofs_now_ns();
	model_alert(&bench.function, "is being unplugged");
	assert_int_equal(loop(3, -EIO, false), 3);
	assert_true(viofs_now_ns() - start < 900 * MS);
	assert_true(turns < 10);
	/* Nothing is under way: nothing to tell, and no reason to poll. */
	assert_int_equal(viofs_async_arm(async), 0);
	assert_int_equal(viofs_async_next_timeout(async), -1);
	close_session();
}

/* Before anybody sleeps. */
static void arming_a_queue_sees_a_device_that_goes(void **state)
{
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 1, 1);
	assert_int_equal(viofs_queue_arm(q), 0);
	model_alert(&bench.function, "is being unplugged");
	assert_int_equal(viofs_queue_arm(q), 1);
	assert_non_null(viofs_dev_failed(bench.dev));
	assert_int_equal(bench_take(q, 1, SOON_MS), 1);
	assert_int_equal(bench_count(0, 1, -EIO), 1);
}

/* Nobody is woken for an answer: who sleeps, sleeps for moments. */
static void a_loop_without_interrupts_looks_again_soon(void **state)
{
	struct viofs_queue *q;

	bench.no_vectors = true;
	bench_open();
	q = bench_queue();
	assert_int_equal(viofs_queue_next_timeout(q), -1);
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 1, 1);
	assert_in_range(viofs_queue_next_timeout(q), 1, VIOFS_NO_INTERRUPTS_NAP_NS);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(q, 1, SOON_MS), 1);
}

/* Who never sleeps, and asks for nothing but completions. */
static void polls_alone_notify_the_device_again(void **state)
{
	int64_t end = viofs_now_ns() + SOON_MS * MS;
	struct viofs_completion c;
	struct viofs_queue *q;
	int n = 0;

	bench_open();
	q = bench_queue();
	bench.device.drop_kicks = 1;
	assert_int_equal(viofs_queue_submit(q, bench_getattr(0, 1), 1), 1);
	while (!n && viofs_now_ns() - end < 0)
		n = viofs_queue_poll(q, &c, 1);
	assert_int_equal(n, 1);
	assert_int_equal(c.error, 0);
}

static void the_first_poll_after_a_wake_up_sees_it(void **state)
{
	struct viofs_event e[4];

	open_session();
	call(3);
	assert_int_equal(viofs_async_arm(async), 0);
	model_alert(&bench.function, "is being unplugged");
	assert_true(bench_is_readable(viofs_async_fd(async), SOON_MS));
	assert_int_equal(viofs_async_poll(async, e, 4), 3);
	assert_int_equal(e[0].result, -EIO);
	close_session();
}

static void times_out(bool by_timer)
{
	int64_t start;

	bench.options.timeout_ms = LATE_MS;
	open_session();
	start = viofs_now_ns();
	call(2);
	assert_int_equal(loop(2, -EIO, by_timer), 2);
	assert_true(viofs_now_ns() - start >= (LATE_MS - 10) * MS); /* a coarse clock */
	assert_true(viofs_now_ns() - start < 20 * LATE_MS * MS);
	assert_true(turns < 20); /* it slept */
	assert_non_null(strstr(viofs_dev_failed(bench.dev), "has not answered"));
	close_session();
}

static void an_event_loop_is_woken_for_a_request_that_is_late(void **state)
{
	times_out(false);
}

static void a_loop_with_its_own_timers_is_told_when_a_request_is_late(void **state)
{
	times_out(true);
}

/* Both its own requests and those that it waits for a slot for. */
static void who_waits_for_a_slot_sees_that_others_requests_are_late(void **state)
{
	struct viofs_queue *other;

	bench.options.timeout_ms = LATE_MS;
	bench.options.depth = 8;
	open_session();
	other = bench_queue();
	bench_send(other, 0, 8, 9); /* INIT */
	assert_int_equal(viofs_path_stat_async(async, "/", 0, st, st), 0);
	assert_int_equal(loop(1, -ENODEV, false), 1);
	assert_int_equal(bench_take(other, 8, SOON_MS), 8);
	close_session();
}

static void an_event_loop_notifies_the_device_again(void **state)
{
	open_session();
	model_device_release(&bench.device, 0);
	bench.device.drop_kicks = 1;
	assert_int_equal(viofs_path_stat_async(async, "/", 0, st, st), 0);
	assert_int_equal(loop(1, -EIO, false), 1); /* the model's attributes are no file's */
	assert_null(viofs_dev_failed(bench.dev));
	assert_true(turns < 10);
	close_session();
}

/* As soon as ever, though the request before was answered after half a minute. */
static void what_was_slow_once_is_notified_again_as_soon_as_others(void **state)
{
	struct viofs_queue *q;
	int64_t start;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 1, 1);
	q->stirred = false;
	q->rekick.interval = 30 * VIOFS_NSEC_PER_SEC;
	q->rekick.due = viofs_now_ns() + q->rekick.interval;
	assert_int_equal(viofs_queue_arm(q), 0);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(q, 1, SOON_MS), 1);
	bench.device.drop_kicks = 1;
	assert_int_equal(viofs_queue_submit(q, bench_getattr(1, 1), 1), 1);
	assert_int_equal(viofs_queue_arm(q), 0);
	start = viofs_now_ns();
	assert_true(bench_is_readable(viofs_queue_fd(q), SOON_MS));
	assert_true(viofs_now_ns() - start > 500 * MS);
	assert_int_equal(bench_take(q, 1, SOON_MS), 1);
}

/* A device that hangs doesn't finish a reset either. */
static void failing_on_a_time_out_waits_for_nobody(void **state)
{
	struct viofs_completion c[2];
	struct viofs_queue *q;
	int64_t start;

	bench.options.timeout_ms = LATE_MS;
	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 2, 2);
	bench.function.faults.reset_polls = -1;
	start = viofs_now_ns();
	assert_int_equal(viofs_queue_wait(q, c, 2, 2, SOON_MS * MS), 2);
	assert_true(viofs_now_ns() - start < 2000 * MS);
	assert_int_equal(c[0].error, -EIO);
	bench.function.faults.reset_polls = 0;
}

static int forget(struct viofs_queue *q)
{
	const struct {
		struct fuse_batch_forget_in head;
		struct fuse_forget_one one;
	} batch = { { .count = 1 }, { .nodeid = 7, .nlookup = 1 } };
	struct viofs_request r = {
		.opcode = FUSE_BATCH_FORGET,
		.flags = VIOFS_REQUEST_SILENT,
		.args = &batch,
		.args_size = sizeof(batch),
	};

	return viofs_queue_submit(q, &r, 1);
}

static int64_t full_at; /* the first one that found no room was not tried before */

static struct viofs_queue *fill_hiprio(void)
{
	struct viofs_queue *q;
	unsigned int n = 0;

	bench.options.timeout_ms = LATE_MS;
	bench_open();
	bench_hold(FUSE_BATCH_FORGET);
	q = bench_queue();
	for (full_at = viofs_now_ns(); forget(q) == 1; full_at = viofs_now_ns())
		n++;
	assert_in_range(n, 8, 64);
	assert_non_null(model_device_wait(&bench.device, FUSE_BATCH_FORGET, n));
	return q;
}

/* Nobody waits for them; but what can't be sent piles up, and an INTERRUPT goes the same way. */
static void *open_in_vain(void *arg)
{
	struct viofs_session_options o;
	struct viofs_session *s = NULL;
	struct viofs_err err;

	viofs_session_options_init(&o, sizeof(o));
	o.init_timeout_ms = LATE_MS;
	assert_int_equal(viofs_session_open(bench.dev, &o, &s, &err), -ETIMEDOUT);
	return NULL;
}

/* Another handle's user may find the answer, and the place for it was on the stack of who asked. */
static void an_init_that_was_given_up_has_no_place_for_its_answer(void **state)
{
	int64_t end = viofs_now_ns() + SOON_MS * MS;
	struct viofs_completion c;
	struct viofs_queue *other;
	bool has_place = true;
	struct viofs_vq *vq;
	pthread_t thread;

	bench_open();
	vq = &bench.dev->vqs[VIOFS_FS_REQUEST];
	other = bench_queue();
	bench_hold(FUSE_INIT);
	assert_int_equal(pthread_create(&thread, NULL, open_in_vain, NULL), 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_INIT, 1));
	/* It gives up, and gets no further than to its handle's end. */
	pthread_mutex_lock(&bench.dev->lock);
	while (has_place && viofs_now_ns() - end < 0) {
		usleep(1000);
		pthread_mutex_lock(&vq->lock);
		has_place = false;
		for (unsigned int i = 0; i < vq->depth; i++)
			has_place |= vq->slots[i].queued && vq->slots[i].reply;
		pthread_mutex_unlock(&vq->lock);
	}
	pthread_mutex_unlock(&bench.dev->lock);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(has_place);
	model_device_release(&bench.device, 0);
	assert_int_equal(viofs_queue_wait(other, &c, 1, 1, LATE_MS * MS), 0);
}

static void a_device_that_takes_no_forgets_is_timed_out(void **state)
{
	struct viofs_queue *q = fill_hiprio();

	while (!viofs_dev_failed(bench.dev) && viofs_now_ns() - full_at < SOON_MS * MS) {
		assert_true(forget(q) <= 0);
		usleep(1000);
	}
	assert_true(viofs_now_ns() - full_at >= (LATE_MS - 20) * MS); /* a coarse clock */
	assert_non_null(strstr(viofs_dev_failed(bench.dev), "has taken no FORGET"));
	assert_int_equal(forget(q), -ENODEV);
}

static void a_device_that_takes_them_slowly_is_not(void **state)
{
	struct viofs_queue *q = fill_hiprio();

	for (unsigned int i = 0; i < 5; i++) {
		usleep(LATE_MS * 1000 / 2);
		model_device_answer(&bench.device, bench_held(1 + i), 0);
		while (forget(q) == 1)
			;
		assert_null(viofs_dev_failed(bench.dev));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(an_event_loop_sees_a_device_that_goes),
		BOTH(arming_a_queue_sees_a_device_that_goes),
		BOTH(a_loop_without_interrupts_looks_again_soon),
		BOTH(polls_alone_notify_the_device_again),
		BOTH(the_first_poll_after_a_wake_up_sees_it),
		BOTH(an_event_loop_is_woken_for_a_request_that_is_late),
		BOTH(a_loop_with_its_own_timers_is_told_when_a_request_is_late),
		BOTH(who_waits_for_a_slot_sees_that_others_requests_are_late),
		BOTH(an_event_loop_notifies_the_device_again),
		BOTH(what_was_slow_once_is_notified_again_as_soon_as_others),
		BOTH(failing_on_a_time_out_waits_for_nobody),
		BOTH(an_init_that_was_given_up_has_no_place_for_its_answer),
		BOTH(a_device_that_takes_no_forgets_is_timed_out),
		BOTH(a_device_that_takes_them_slowly_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
