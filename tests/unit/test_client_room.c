/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libviofs where several users share one virtqueue that is full: who doesn't poll keeps no slots,
 * and who waits for one is woken. */
#include "client_bench.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DEPTH 8U
#define LULL_MS 30
#define CALLS 20U

static struct viofs_session *session;
static struct viofs_async *one, *two;
static struct stat stats[CALLS];

static void open_session(void)
{
	session = NULL;
	one = two = NULL;
	bench.options.depth = DEPTH;
	bench_open();
	assert_int_equal(viofs_session_open(bench.dev, NULL, &session, &bench.err), 0);
	assert_int_equal(viofs_async_open(session, 0, &one, &bench.err), 0);
}

static void close_session(void)
{
	viofs_async_close(one);
	viofs_async_close(two);
	viofs_session_close(session);
}

static void call(struct viofs_async *a, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(viofs_path_stat_async(a, "/", 0, &stats[i], &stats[i]), 0);
}

static void device_has(unsigned int getattrs)
{
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, getattrs));
}

static unsigned int take(struct viofs_async *a, unsigned int count)
{
	struct viofs_event e[CALLS];

	return (unsigned int)viofs_async_wait(a, e, count, count, SOON_MS * VIOFS_NSEC_PER_MSEC);
}

static void *stat_root(void *arg)
{
	struct stat st;

	viofs_path_stat(session, "/", 0, &st, NULL);
	return NULL;
}

/* Must return while nobody polls for @one. */
static void stat_by_a_thread(void)
{
	struct timespec end = { .tv_sec = time(NULL) + SOON_MS / 1000 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, stat_root, NULL), 0);
	assert_int_equal(pthread_timedjoin_np(thread, NULL, &end), 0);
}

static void a_blocking_call_needs_nobody_to_take_his_events(void **state)
{
	open_session();
	bench_hold(FUSE_GETATTR);
	call(one, CALLS);
	device_has(DEPTH);
	model_device_release(&bench.device, 0);
	for (int i = 0; i < 20; i++)
		stat_by_a_thread();
	assert_int_equal(take(one, CALLS), CALLS);
	close_session();
}

static void a_second_user_needs_nobody_to_take_his_events(void **state)
{
	open_session();
	assert_int_equal(viofs_async_open(session, 0, &two, &bench.err), 0);
	bench_hold(FUSE_GETATTR);
	call(one, DEPTH);
	device_has(DEPTH);
	call(two, CALLS);
	model_device_release(&bench.device, 0);
	assert_int_equal(take(two, CALLS), CALLS);
	assert_int_equal(take(one, DEPTH), DEPTH);
	close_session();
}

/* An event loop whose call found no slot: what comes free wakes it, though nothing of its own is in
 * flight. */
static void a_slot_that_comes_free_wakes_an_event_loop(void **state)
{
	struct viofs_queue *other;
	struct viofs_event e;

	open_session();
	other = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(other, 0, DEPTH, 1 + DEPTH); /* INIT */
	call(one, 1);
	assert_int_equal(viofs_async_poll(one, &e, 1), 0);
	assert_int_equal(viofs_async_arm(one), 0);
	assert_false(bench_is_readable(viofs_async_fd(one), LULL_MS));
	model_device_answer(&bench.device, bench_held(2), 0);
	assert_true(bench_is_readable(viofs_async_fd(one), SOON_MS));
	assert_int_equal(viofs_async_poll(one, &e, 1), 0);
	device_has(DEPTH + 1);
	model_device_release(&bench.device, 0);
	assert_int_equal(take(one, 1), 1);
	assert_int_equal(bench_take(other, DEPTH, SOON_MS), DEPTH);
	close_session();
}

/* The same where the other one polls, too, so that nothing is left on the ring to be told of. */
static void a_slot_that_another_polls_free_wakes_an_event_loop(void **state)
{
	struct viofs_queue *a, *b;
	struct viofs_request *r;
	struct viofs_completion c;

	bench.options.depth = DEPTH;
	bench_open();
	a = bench_queue();
	b = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(a, 0, DEPTH, DEPTH);
	r = bench_getattr(DEPTH, 1);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(viofs_queue_submit(b, r, 1), 0);
		assert_int_equal(viofs_queue_arm(b), 0);
		model_device_answer(&bench.device, bench_held(i + 1), 0);
		assert_true(bench_is_readable(viofs_queue_fd(b), SOON_MS)); /* the interrupt */
		assert_int_equal(viofs_queue_poll(b, &c, 1), 0);
		assert_int_equal(viofs_queue_arm(b), 1); /* there is room */
		assert_int_equal(viofs_queue_arm(b), 0); /* which is told once */
		/* It is gone again before b can have it. */
		assert_int_equal(bench_take(a, 1, SOON_MS), 1);
		bench_send(a, DEPTH + 1 + i, 1, DEPTH + 1 + i);
		assert_int_equal(viofs_queue_submit(b, r, 1), 0);
		assert_int_equal(viofs_queue_arm(b), 0);
		assert_false(bench_is_readable(viofs_queue_fd(b), 0));
	}
	model_device_answer(&bench.device, bench_held(4), 0);
	assert_int_equal(bench_take(a, 1, SOON_MS), 1);
	assert_true(bench_is_readable(viofs_queue_fd(b), SOON_MS));
	assert_int_equal(viofs_queue_submit(b, r, 1), 1);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(b, 1, SOON_MS), 1);
	assert_int_equal(bench_take(a, DEPTH - 1, SOON_MS), DEPTH - 1);
}

static void a_wait_without_requests_is_a_wait_for_room(void **state)
{
	const int64_t lull = LULL_MS * VIOFS_NSEC_PER_MSEC;
	struct viofs_queue *a, *b;
	struct viofs_completion c;
	int64_t start;

	bench.options.depth = DEPTH;
	bench_open();
	a = bench_queue();
	b = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(a, 0, DEPTH, DEPTH);
	assert_int_equal(viofs_queue_submit(b, bench_getattr(DEPTH, 1), 1), 0);
	start = viofs_now_ns();
	assert_int_equal(viofs_queue_wait(b, &c, 1, 1, lull), 0);
	assert_true(viofs_now_ns() - start >= lull);
	model_device_answer(&bench.device, bench_held(1), 0);
	assert_int_equal(viofs_queue_wait(b, &c, 1, 1, SOON_MS * VIOFS_NSEC_PER_MSEC), 0);
	assert_true(viofs_now_ns() - start < SOON_MS * VIOFS_NSEC_PER_MSEC);
	assert_int_equal(viofs_queue_submit(b, &bench.requests[DEPTH], 1), 1);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(b, 1, SOON_MS), 1);
	assert_int_equal(bench_take(a, DEPTH, SOON_MS), DEPTH);
	/* Nothing is in flight, and nothing wanted: no wait. */
	assert_int_equal(viofs_queue_wait(b, &c, 1, 1, -1), 0);
}

/* What others have found for it has a place: it may have no more in flight than that. */
static void a_handle_has_no_more_in_flight_than_the_depth(void **state)
{
	struct viofs_queue *a, *b;
	struct viofs_completion c;

	bench.options.depth = DEPTH;
	bench_open();
	a = bench_queue();
	b = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(a, 0, DEPTH, DEPTH);
	for (unsigned int i = 1; i <= 5; i++)
		model_device_answer(&bench.device, bench_held(i), 0);
	assert_int_equal(viofs_queue_poll(b, &c, 1), 0);
	/* Slots are free, but a has five completions to take. */
	assert_int_equal(viofs_queue_submit(a, bench_getattr(DEPTH, 5), 5), 0);
	assert_int_equal(viofs_queue_arm(a), 1);
	bench_send(b, 2 * DEPTH, 5, DEPTH + 5);
	assert_int_equal(bench_take(a, 5, SOON_MS), 5);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(b, 5, SOON_MS), 5);
	assert_int_equal(viofs_queue_submit(a, &bench.requests[DEPTH], 5), 5);
	assert_int_equal(bench_take(a, DEPTH, SOON_MS), DEPTH);
	assert_int_equal(bench_count(0, DEPTH + 5, 0), DEPTH + 5);
}

/* In each slot, with all others in use: header, arguments, and the table that says where they are.
 */
static void long_messages_are_whole_in_every_slot(void **state)
{
	static uint8_t args[DEPTH][3000];
	struct viofs_request requests[DEPTH];
	struct viofs_completion c[DEPTH];
	struct viofs_queue *q;

	bench.options.depth = DEPTH;
	bench_open();
	q = bench_queue();
	bench_hold(FUSE_SETXATTR);
	for (unsigned int i = 0; i < DEPTH; i++) {
		memset(args[i], 'a' + (int)i, sizeof(args[i]));
		requests[i] = (struct viofs_request){
			.opcode = FUSE_SETXATTR,
			.nodeid = 2 + i,
			.args = args[i],
			.args_size = i % 4 == 1 ? 100 : sizeof(args[i]),
		};
	}
	/* All are there before the device looks. */
	assert_int_equal(viofs_queue_submit(q, requests, DEPTH), DEPTH);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETXATTR, DEPTH));
	for (unsigned int i = 0; i < DEPTH; i++) {
		const struct model_request *r =
			model_device_wait(&bench.device, FUSE_SETXATTR, i + 1);
		const struct fuse_in_header *in = (const void *)r->message;

		assert_int_equal(in->nodeid, 2 + i);
		assert_int_equal(r->len, sizeof(*in) + requests[i].args_size);
		assert_memory_equal(r->message + sizeof(*in), args[i], requests[i].args_size);
	}
	model_device_release(&bench.device, 0);
	assert_int_equal(viofs_queue_wait(q, c, DEPTH, DEPTH, SOON_MS * VIOFS_NSEC_PER_MSEC),
			 DEPTH);
}

/* One file, which the device does not cut before it is told to. */
static enum model_verdict one_file(struct model_device *d, struct model_request *r)
{
	const struct fuse_entry_out entry = { .nodeid = 5, .attr = { .mode = S_IFREG | 0600 } };
	const struct fuse_open_out open = { .fh = 77 };
	struct fuse_out_header *out = (void *)r->reply;
	size_t size = r->opcode == FUSE_LOOKUP ? sizeof(entry) : sizeof(open);

	if (r->opcode == FUSE_SETATTR || r->opcode == FUSE_GETATTR)
		return MODEL_HOLD;
	if (r->opcode == FUSE_LOOKUP || r->opcode == FUSE_OPEN) {
		memcpy(out + 1, r->opcode == FUSE_LOOKUP ? (const void *)&entry : &open, size);
		out->error = 0;
		out->len = (uint32_t)(sizeof(*out) + size);
		r->reply_len = r->used_len = out->len;
	}
	return MODEL_ANSWER;
}

/* A file that was opened, but not as it was wanted: its RELEASE waits for a slot, too. */
static void a_release_waits_for_a_slot(void **state)
{
	struct viofs_queue *other;
	struct viofs_completion c;
	struct viofs_file *f = NULL;
	struct viofs_event e;

	open_session();
	other = bench_queue();
	bench_set_hook(one_file);
	assert_int_equal(viofs_file_open_async(one, "/file", 0, O_WRONLY | O_TRUNC, 0, &f, NULL),
			 0);
	for (int i = 0; i < 1000 && !model_device_count(&bench.device, FUSE_SETATTR); i++) {
		assert_int_equal(viofs_async_poll(one, &e, 1), 0);
		usleep(1000);
	}
	/* All other slots, and that one as soon as it is free. */
	bench_send(other, 0, DEPTH - 1, 4 + DEPTH - 1);
	model_device_answer(&bench.device, model_device_wait(&bench.device, FUSE_SETATTR, 1), -EIO);
	assert_int_equal(viofs_queue_poll(other, &c, 1), 0);
	bench_send(other, DEPTH - 1, 1, 4 + DEPTH);
	assert_int_equal(viofs_async_poll(one, &e, 1), 0);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(other, DEPTH, SOON_MS), DEPTH);
	assert_int_equal(viofs_async_wait(one, &e, 1, 1, SOON_MS * VIOFS_NSEC_PER_MSEC), 1);
	assert_int_equal(e.result, -EIO);
	assert_null(f);
	assert_int_equal(model_device_count(&bench.device, FUSE_RELEASE), 1);
	close_session();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_blocking_call_needs_nobody_to_take_his_events),
		BOTH(a_second_user_needs_nobody_to_take_his_events),
		BOTH(a_slot_that_comes_free_wakes_an_event_loop),
		BOTH(a_slot_that_another_polls_free_wakes_an_event_loop),
		BOTH(a_wait_without_requests_is_a_wait_for_room),
		BOTH(a_handle_has_no_more_in_flight_than_the_depth),
		BOTH(a_release_waits_for_a_slot),
		BOTH(long_messages_are_whole_in_every_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
