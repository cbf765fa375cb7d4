/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several lanes: each serves what it reads, they end together, and an INTERRUPT finds its request.
 */
#include "relay_bench.h"

#include "base/util.h"
#include "relay/session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int set_up(void **state)
{
	bench_set_up(state);
	bench.request_queues = 4;
	bench.config.slots = 64;
	bench.config.buffers = 8;
	bench.config.lanes = 4;
	return 0;
}

/* The session runs; from now on lane @to reads what is sent. */
static void serve(unsigned int workers)
{
	bench.config.lanes = workers;
	bench_serve();
	assert_int_equal(bench_stats()->lanes, workers);
	assert_int_equal(bench.lanes, workers);
}

/* @n requests to each lane, from unique 100 on, that differ by 2. Return: how many in all. */
static unsigned int send_all(unsigned int n)
{
	unsigned int sent = 0;

	for (bench.to = 0; bench.to < bench.lanes; bench.to++)
		for (unsigned int i = 0; i < n; i++)
			kernel_sends_getattr(100 + 2 * (uint64_t)sent++, bench.to);
	bench.to = 0;
	return sent;
}

/* @n requests for each lane, and the device answers none of them; what has no slot is parked. */
static unsigned int hold_all(unsigned int n)
{
	unsigned int slots = bench.config.slots / bench.lanes, sent;

	bench_hold(0);
	sent = send_all(n);
	assert_non_null(
		model_device_wait(&bench.device, FUSE_GETATTR, VIOFS_MIN(n, slots) * bench.lanes));
	usleep(5000); /* the rest is read */
	return sent;
}

static void each_serves_what_it_reads(unsigned int workers, enum viofs_poll poll)
{
	bench.config.poll = poll;
	serve(workers);
	for (unsigned int i = 0; i < 40 * workers; i++) {
		bench.to = i % workers;
		kernel_sends_getattr(100 + 2 * i, i);
		assert_int_equal(kernel_is_answered(100 + 2 * i, 0, 104)->lane, bench.to);
		kernel_sends_write(101 * 1000 + 2 * i, 5, i, 20000);
		assert_int_equal(kernel_is_answered(101 * 1000 + 2 * i, 0, 8)->lane, bench.to);
		kernel_sends_read(102 * 1000 + 2 * i, 5, i, 20000);
		assert_int_equal(kernel_is_answered(102 * 1000 + 2 * i, 0, 20000)->lane, bench.to);
	}
	bench.to = 0;
	bench_end();
	assert_int_equal(bench_stats()->bytes_read, 40 * workers * 20000);
	assert_int_equal(bench_stats()->bytes_written, 40 * workers * 20000);
	assert_int_equal(bench_stats()->replies, 40 * workers * 3);
	/* INIT and DESTROY too. */
	for (unsigned int q = 1; q <= 4; q++)
		assert_in_range(bench_stats()->queues[q].requests, 3 * 10 * workers,
				3 * 10 * workers + 2);
}

static void all_queues_are_served_in_each_way_to_wait(void **state)
{
	static const enum viofs_poll polls[] = { VIOFS_POLL_ADAPTIVE, VIOFS_POLL_IRQ,
						 VIOFS_POLL_BUSY };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(polls); i++) {
		set_up(state);
		each_serves_what_it_reads(i ? 2 : 4, polls[i]);
		if (i + 1 < VIOFS_ARRAY_SIZE(polls))
			bench_tear_down(state);
	}
}

static void each_keeps_what_it_has_no_room_for(void **state)
{
	serve(4);
	bench_hold(FUSE_GETATTR);
	send_all(40);
	/* 16 slots each: the rest is parked. */
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, 64));
	kernel_gets_nothing(10);
	assert_int_equal(bench_stats()->parked, 4 * 24);
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, 160, 0, 104);
	bench_end();
	assert_int_equal(bench_stats()->parked, 0);
	assert_int_equal(bench_stats()->parked_total, 4 * 24);
}

static void no_more_of_them_than_request_queues(void **state)
{
	bench.request_queues = 2;
	bench.config.lanes = 64;
	bench_serve();
	assert_int_equal(bench_stats()->lanes, 2);
	bench_end();
}

static void no_more_of_them_than_there_is_memory_for(void **state)
{
	bench.config.buffers = 4;
	bench.config.lanes = 4;
	bench_serve();
	assert_int_equal(bench_stats()->lanes, 2);
	bench_end();
}

/* The device signals one eventfd for several queues: one lane has all of those. */
static void queues_that_share_an_interrupt_are_one_lanes(void **state)
{
	bench.config.poll = VIOFS_POLL_IRQ;
	bench.vectors = 3;
	bench_serve();
	assert_int_equal(bench_stats()->lanes, 2);
	kernel_is_answered_all(100, send_all(12), 0, 104);
	bench_end();
	assert_in_range(bench_stats()->queues[1].requests, 12, 14);
	for (unsigned int q = 2; q <= 4; q++)
		assert_int_equal(bench_stats()->queues[q].requests, 4);
}

static void forgets_come_from_everywhere(void **state)
{
	serve(4);
	for (unsigned int i = 0; i < 400; i++) {
		bench.to = i % 4;
		kernel_sends_forget(100 + 2 * i, 1000 + i);
	}
	device_forgets(1000, 400);
	bench.to = 0;
	bench_end();
	assert_int_equal(bench_stats()->queues[0].requests, bench_stats()->forgets);
}

/* Only lane 0 hears of room on hiprio. */
static void forgets_of_others_that_had_no_room_are_sent(void **state)
{
	serve(2);
	bench_hold(FUSE_FORGET);
	bench.to = 1;
	for (unsigned int i = 0; i < 60; i++)
		kernel_sends_forget(100 + 2 * i, 1000 + i);
	assert_non_null(model_device_wait(&bench.device, FUSE_FORGET, 16));
	usleep(5000);
	assert_int_equal(bench_stats()->parked, 60 - 16);
	model_device_release(&bench.device, 0);
	device_forgets(1000, 60);
	bench_end();
	assert_int_equal(bench_stats()->parked, 0);
}

static enum model_verdict hold_forgets(struct model_device *d, struct model_request *r)
{
	bool forget = r->opcode == FUSE_FORGET || r->opcode == FUSE_BATCH_FORGET;

	return forget ? MODEL_HOLD : MODEL_ANSWER;
}

/* Lane 0 has nothing of its own with the device, and sleeps. */
static void forgets_of_others_are_timed_out(void **state)
{
	bench.config.poll = VIOFS_POLL_IRQ;
	bench.config.timeout_ms = 300;
	serve(2);
	bench_set_hook(hold_forgets);
	bench.to = 1;
	for (unsigned int i = 0; i < 17; i++)
		kernel_sends_forget(100 + 2 * i, 1000 + i);
	assert_int_equal(bench_join(), -EPROTO);
	assert_non_null(strstr(bench.err.text, "has taken no FORGET"));
}

/* Without interrupts completions are looked for, by lane 0, whoever has sent what they are of. */
static void forgets_of_others_are_completed_without_interrupts(void **state)
{
	bench.config.poll = VIOFS_POLL_IRQ;
	bench.no_vectors = true;
	serve(2);
	usleep(20000);
	bench.to = 1;
	for (unsigned int i = 0; i < 10; i++)
		kernel_sends_forget(100 + 2 * i, 1000 + i);
	device_forgets(1000, 10);
	for (int ms = 0; bench.relay->hiprio.in_flight && ms < 1000; ms++)
		usleep(1000);
	assert_int_equal(bench.relay->hiprio.in_flight, 0);
	bench.to = 0;
	bench_end();
}

/* A lock of lane @lane's that the device has, for the kernel's unique 4. */
static struct model_request *hold_lock(unsigned int lane)
{
	struct model_request *lock;

	bench_hold(FUSE_SETLKW);
	bench.to = lane;
	kernel_sends_lock(4);
	lock = model_device_wait(&bench.device, FUSE_SETLKW, 1);
	assert_non_null(lock);
	return lock;
}

static void an_interrupt_finds_its_request_in_any_lane(void **state)
{
	for (unsigned int lane = 0; lane < 4; lane++) {
		struct model_request *lock, *r;

		set_up(state);
		serve(4);
		lock = hold_lock(lane);
		bench.to = (lane + 1) % 4; /* it goes all the way round */
		kernel_sends_interrupt(4);
		r = model_device_wait(&bench.device, FUSE_INTERRUPT, 1);
		assert_non_null(r);
		assert_int_equal(r->queue, 0);
		assert_int_equal(r->unique, lock->unique | 1);
		model_device_answer(&bench.device, lock, -EINTR);
		assert_int_equal(kernel_is_answered(4, -EINTR, 0)->lane, lane);
		bench.to = 0;
		bench_end();
		assert_int_equal(bench_stats()->interrupted, 1);
		if (lane < 3)
			bench_tear_down(state);
	}
}

static void an_interrupt_of_no_request_ends_after_one_round(void **state)
{
	serve(4);
	for (unsigned int i = 0; i < 40; i++) {
		bench.to = i % 4;
		kernel_sends_interrupt(4444);
	}
	kernel_gets_nothing(50);
	/* Nobody is busy with any of them. */
	usleep(20000);
	kernel_is_answered_all(100, send_all(5), 0, 104);
	assert_int_equal(model_device_count(&bench.device, FUSE_INTERRUPT), 0);
	bench_end();
}

static enum model_verdict refuse_interrupts(struct model_device *d, struct model_request *r)
{
	struct fuse_out_header *out = (void *)r->reply;

	if (r->opcode == FUSE_INTERRUPT) {
		*out = (struct fuse_out_header){ sizeof(*out), -ENOSYS, r->unique };
		r->reply_len = r->used_len = sizeof(*out);
	}
	return r->opcode == FUSE_SETLKW ? MODEL_HOLD : MODEL_ANSWER;
}

/* There the kernel knows the request that it is about. */
static void its_answer_goes_where_the_request_was_read(void **state)
{
	struct model_request *lock;

	serve(2);
	lock = hold_lock(1);
	bench_set_hook(refuse_interrupts);
	bench.to = 0;
	kernel_sends_interrupt(4);
	assert_int_equal(kernel_is_answered(5, -ENOSYS, 0)->lane, 1);
	model_device_answer(&bench.device, lock, 0);
	assert_int_equal(kernel_is_answered(4, 0, 0)->lane, 1);
	bench_end();
}

static void a_lock_that_another_lane_has_parked_is_given_up(void **state)
{
	const unsigned int most = bench.config.slots / 2 / 2;
	uint64_t parked = 1000 + 2 * (most + 3);

	serve(2);
	bench_hold(FUSE_SETLKW);
	bench.to = 1;
	for (unsigned int i = 0; i < most + 10; i++)
		kernel_sends_lock(1000 + 2 * i);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, most));
	usleep(5000);
	bench.to = 0;
	kernel_sends_interrupt(parked);
	assert_int_equal(kernel_is_answered(parked, -EINTR, 0)->lane, 1);
	model_device_release(&bench.device, 0);
	for (unsigned int i = 0; i < most + 9; i++)
		assert_int_not_equal(kernel_gets()->head.unique, parked);
	bench_end();
}

/* Parked by the lane that has the lock, found again by lane 0, which hasn't. */
static void an_interrupt_waits_for_room_on_hiprio(void **state)
{
	struct model_request *lock;

	serve(2);
	lock = hold_lock(1);
	bench_hold(0);
	for (uint64_t i = 0; i < 16; i++)
		kernel_sends_forget(1000 + 2 * i, i);
	assert_non_null(model_device_wait(&bench.device, FUSE_FORGET, 16));
	kernel_sends_interrupt(4);
	kernel_gets_nothing(10);
	assert_int_equal(model_device_count(&bench.device, FUSE_INTERRUPT), 0);
	model_device_release(&bench.device, FUSE_FORGET);
	assert_non_null(model_device_wait(&bench.device, FUSE_INTERRUPT, 1));
	model_device_answer(&bench.device, lock, -EINTR);
	kernel_is_answered(4, -EINTR, 0);
	bench_end();
}

/* The kernel, which knows where it was read, sends it again. */
static void an_interrupt_that_cannot_be_passed_on_is_asked_for_again(void **state)
{
	struct model_request *lock;

	serve(2);
	lock = hold_lock(1);
	bench.to = 0;
	bench.no_memory = true;
	kernel_sends_interrupt(4);
	kernel_is_answered(5, -EAGAIN, 0);
	bench.no_memory = false;
	kernel_sends_interrupt(4);
	assert_non_null(model_device_wait(&bench.device, FUSE_INTERRUPT, 1));
	model_device_answer(&bench.device, lock, -EINTR);
	kernel_is_answered(4, -EINTR, 0);
	bench_end();
}

static void a_fault_on_one_queue_ends_all(void **state)
{
	static const char *const names[] = { "virtqueue 0", "virtqueue 1", "virtqueue 2",
					     "virtqueue 3" };

	for (unsigned int q = 0; q < VIOFS_ARRAY_SIZE(names); q++) {
		unsigned int sent;

		set_up(state);
		bench.config.poll = q % 2 ? VIOFS_POLL_IRQ : VIOFS_POLL_ADAPTIVE;
		serve(4);
		sent = hold_all(30);
		model_device_push_raw(&bench.device, q, 9999, 0, 1);
		kernel_is_answered_all(100, sent, -EIO, 0);
		assert_int_equal(bench_join(), -EPROTO);
		assert_int_equal(bench_stats()->stage, VIOFS_STAGE_FAILED);
		assert_non_null(strstr(bench.err.text, names[q]));
		kernel_gets_nothing(0);
		if (q + 1 < VIOFS_ARRAY_SIZE(names))
			bench_tear_down(state);
	}
}

/* In one lane a request gets too old; the others have none, and sleep. */
static void a_timeout_in_one_lane_ends_all(void **state)
{
	bench.config.timeout_ms = 200;
	serve(4);
	bench_hold(0);
	bench.to = 3;
	kernel_sends_getattr(100, 1);
	assert_int_equal(kernel_is_answered(100, -EIO, 0)->lane, 3);
	assert_int_equal(bench_join(), -EPROTO);
	assert_non_null(strstr(bench_stats()->reason, "the limit is"));
}

static void a_lost_device_is_eio_in_all_lanes(void **state)
{
	static const enum viofs_poll polls[] = { VIOFS_POLL_IRQ, VIOFS_POLL_ADAPTIVE,
						 VIOFS_POLL_BUSY };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(polls); i++) {
		unsigned int sent;

		set_up(state);
		bench.config.poll = polls[i];
		serve(4);
		sent = hold_all(10);
		model_alert(&bench.function, "is being unplugged");
		kernel_is_answered_all(100, sent, -EIO, 0);
		sent = send_all(5);
		kernel_is_answered_all(100, sent, -EIO, 0);
		assert_int_equal(bench_stats()->stage, VIOFS_STAGE_LOST);
		for (unsigned int lane = 0; lane < bench.lanes; lane++)
			shutdown(bench.kernels[lane], SHUT_WR);
		assert_int_equal(bench_join(), -ENODEV);
		assert_int_equal(bench.refused, 0);
		if (i + 1 < VIOFS_ARRAY_SIZE(polls))
			bench_tear_down(state);
	}
}

/* One of them is told that the mount is gone; the others sleep, or wait for the device. */
static void an_unmount_that_one_lane_sees_ends_all(void **state)
{
	for (unsigned int lane = 0; lane < 4; lane++) {
		unsigned int sent;

		set_up(state);
		bench.config.poll = lane % 2 ? VIOFS_POLL_IRQ : VIOFS_POLL_ADAPTIVE;
		bench.config.end_timeout_ms = 3000;
		serve(4);
		sent = hold_all(3);
		shutdown(bench.kernels[lane], SHUT_WR);
		usleep(10000); /* all drain */
		assert_int_equal(model_device_count(&bench.device, FUSE_DESTROY), 0);
		model_device_release(&bench.device, 0);
		kernel_is_answered_all(100, sent, 0, 104);
		assert_int_equal(bench_join(), 0);
		assert_int_equal(bench_stats()->stage, VIOFS_STAGE_ENDED);
		assert_int_equal(model_device_count(&bench.device, FUSE_DESTROY), 1);
		if (lane < 3)
			bench_tear_down(state);
	}
}

/* The device has what one lane sent, and keeps it: no DESTROY over its head. */
static void requests_of_one_lane_that_stay_out_are_left_to_the_reset(void **state)
{
	serve(4);
	bench_hold(0);
	bench.to = 2;
	kernel_sends_getattr(100, 1);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, 1));
	shutdown(bench.kernel, SHUT_WR);
	assert_int_equal(bench_join(), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_DESTROY), 0);
}

static void a_reply_that_blocks_holds_up_no_lane(void **state)
{
	serve(2);
	bench.block_unique = 4;
	bench.to = 1;
	kernel_sends_read(4, 5, 0, 20000);
	for (int i = 0; i < 2000 && !bench.blocked; i++)
		usleep(500);
	assert_true(bench.blocked);
	for (uint64_t i = 0; i < 40; i++) {
		bench.to = (unsigned int)i % 2;
		kernel_sends_getattr(100 + 2 * i, i);
		assert_int_equal(kernel_is_answered(100 + 2 * i, 0, 104)->lane, bench.to);
	}
	bench.block_unique = 0;
	assert_int_equal(kernel_is_answered(4, 0, 20000)->lane, 1);
	bench.to = 0;
	bench_end();
	assert_int_equal(bench_stats()->handovers, 1);
}

static void a_clone_that_is_not_to_be_had_is_said(void **state)
{
	bench.clone_error = -EACCES;
	bench_start();
	assert_int_equal(bench_join(), -EACCES);
	assert_int_equal(bench.err.remedy, VIOFS_REMEDY_ONE_LANE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, bench_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_queues_are_served_in_each_way_to_wait),
		TEST(each_keeps_what_it_has_no_room_for),
		TEST(no_more_of_them_than_request_queues),
		TEST(no_more_of_them_than_there_is_memory_for),
		TEST(queues_that_share_an_interrupt_are_one_lanes),
		TEST(forgets_come_from_everywhere),
		TEST(forgets_of_others_that_had_no_room_are_sent),
		TEST(forgets_of_others_are_timed_out),
		TEST(forgets_of_others_are_completed_without_interrupts),
		TEST(an_interrupt_finds_its_request_in_any_lane),
		TEST(an_interrupt_of_no_request_ends_after_one_round),
		TEST(its_answer_goes_where_the_request_was_read),
		TEST(a_lock_that_another_lane_has_parked_is_given_up),
		TEST(an_interrupt_waits_for_room_on_hiprio),
		TEST(an_interrupt_that_cannot_be_passed_on_is_asked_for_again),
		TEST(a_fault_on_one_queue_ends_all),
		TEST(a_timeout_in_one_lane_ends_all),
		TEST(a_lost_device_is_eio_in_all_lanes),
		TEST(an_unmount_that_one_lane_sees_ends_all),
		TEST(requests_of_one_lane_that_stay_out_are_left_to_the_reset),
		TEST(a_reply_that_blocks_holds_up_no_lane),
		TEST(a_clone_that_is_not_to_be_had_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
