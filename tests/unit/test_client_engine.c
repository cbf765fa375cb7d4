/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libviofs' requests (<viofs/request.h>) on a model device: order, full rings, time-outs, handles.
 */
#include "client_bench.h"

#include "base/util.h"
#include "client/client_dev.h"
#include "virtio/virtio.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

/* Long enough to see that nothing does. */
#define LULL_MS 30

static void completions_come_in_the_order_of_the_device(void **state)
{
	static const unsigned int order[] = { 4, 1, 7, 0, 6, 2, 5, 3 };
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 8, 8);
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(viofs_queue_in_flight(q), 8 - i);
		assert_int_equal(bench_take(q, 1, 0), 0);
		model_device_answer(&bench.device, bench_held(order[i] + 1), 0);
		assert_int_equal(bench_take(q, 1, SOON_MS), 1);
		assert_int_equal(bench.came[order[i]], 1);
	}
	assert_int_equal(bench_count(0, 8, 0), 8);
	assert_int_equal(viofs_queue_in_flight(q), 0);
	assert_int_equal(bench_take(q, 1, LULL_MS), 0);
}

static void an_error_of_the_device_comes_with_its_request(void **state)
{
	struct viofs_completion c;
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 2, 2);
	model_device_answer(&bench.device, bench_held(2), -EACCES);
	assert_int_equal(viofs_queue_wait(q, &c, 1, 1, SOON_MS * VIOFS_NSEC_PER_MSEC), 1);
	assert_ptr_equal(c.user, &bench.requests[1]);
	assert_int_equal(c.unique, bench.requests[1].unique);
	assert_int_equal(c.error, -EACCES);
	assert_int_equal(c.size, 0);
	assert_null(c.fault);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(q, 1, SOON_MS), 1);
}

static void one_poll_takes_many_but_not_more_than_there_is_room_for(void **state)
{
	struct viofs_completion c[17];
	struct viofs_queue *q;
	bool seen[16] = { false };
	int n = 0, rc;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 16, 16);
	model_device_release(&bench.device, 0);
	memset(c, 0xee, sizeof(c));
	assert_int_equal(viofs_queue_poll(q, c, 0), 0);
	assert_int_equal(viofs_queue_poll(q, c, 3), 3);
	assert_int_equal(c[3].error, (int)0xeeeeeeee);
	assert_int_equal(viofs_queue_in_flight(q), 13);
	for (n = 3; n < 16; n += rc) {
		rc = viofs_queue_poll(q, c + n, 17 - (unsigned int)n);
		assert_true(rc > 0);
	}
	assert_int_equal(n, 16);
	for (int i = 0; i < 16; i++) {
		size_t at = (size_t)((struct viofs_request *)c[i].user - bench.requests);

		assert_true(at < 16 && !seen[at]);
		seen[at] = true;
	}
	assert_int_equal(viofs_queue_poll(q, c, 17), 0);
}

static void a_full_queue_takes_no_more_until_completions_are_taken(void **state)
{
	struct viofs_queue *q;

	bench.options.depth = 8;
	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	assert_int_equal(viofs_queue_submit(q, bench_getattr(0, 12), 12), 8);
	assert_int_equal(viofs_queue_in_flight(q), 8);
	assert_int_equal(viofs_queue_submit(q, &bench.requests[8], 4), 0);
	model_device_answer(&bench.device, bench_held(3), 0);
	model_device_answer(&bench.device, bench_held(8), 0);
	assert_int_equal(bench_take(q, 2, SOON_MS), 2);
	assert_int_equal(viofs_queue_submit(q, &bench.requests[8], 4), 2);
	bench_held(10);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(q, 8, SOON_MS), 8);
	assert_int_equal(bench_count(0, 10, 0), 10);
	assert_int_equal(viofs_queue_submit(q, &bench.requests[10], 2), 2);
	assert_int_equal(bench_take(q, 2, SOON_MS), 2);
}

/* Without INDIRECT it is the ring that is full first, not the slots: four descriptors each. */
static void a_full_ring_takes_no_more_until_completions_are_taken(void **state)
{
	struct viofs_queue *q;

	bench.features &= ~VIOFS_VIRTIO_F_INDIRECT_DESC;
	bench.queue_size = 16;
	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	assert_int_equal(viofs_queue_submit(q, bench_getattr(0, 8), 8), 4);
	assert_int_equal(viofs_queue_submit(q, &bench.requests[4], 4), 0);
	model_device_answer(&bench.device, bench_held(2), 0);
	assert_int_equal(bench_take(q, 1, SOON_MS), 1);
	assert_int_equal(viofs_queue_submit(q, &bench.requests[4], 4), 1);
	bench_held(5);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(q, 4, SOON_MS), 4);
	assert_int_equal(viofs_queue_submit(q, &bench.requests[5], 3), 3);
	assert_int_equal(bench_take(q, 3, SOON_MS), 3);
	assert_int_equal(bench_count(0, 8, 0), 8);
}

static void a_request_that_cant_be_is_refused_and_those_before_it_are_sent(void **state)
{
	static uint8_t own[64];
	const struct iovec not_dma = { own, sizeof(own) };
	struct viofs_request *r;
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	r = bench_getattr(0, 3);
	r[1].args_size = VIOFS_REQUEST_ARGS_MAX + 1;
	assert_int_equal(viofs_queue_submit(q, r, 3), 1);
	assert_int_equal(viofs_queue_submit(q, r + 1, 2), -EINVAL);
	bench_getattr(1, 1);
	r[1].reply_size = VIOFS_REQUEST_REPLY_MAX + 1;
	assert_int_equal(viofs_queue_submit(q, r + 1, 1), -EINVAL);
	bench_getattr(1, 1);
	r[1].reply_data = &not_dma;
	r[1].reply_data_count = 1;
	assert_int_equal(viofs_queue_submit(q, r + 1, 1), -EFAULT);
	bench_getattr(1, 1);
	assert_int_equal(viofs_queue_in_flight(q), 1);
	assert_int_equal(viofs_queue_submit(q, r + 1, 2), 2);
	assert_int_equal(bench_take(q, 3, SOON_MS), 3);
	assert_int_equal(bench_count(0, 3, 0), 3);
}

static void a_chain_longer_than_the_queue_is_refused_for_good(void **state)
{
	struct viofs_queue *q;
	struct iovec pieces[16];
	uint8_t *memory;

	bench.features &= ~VIOFS_VIRTIO_F_INDIRECT_DESC;
	bench.queue_size = 16;
	bench_open();
	q = bench_queue();
	memory = viofs_dma_alloc(bench.dev, 4096);
	assert_non_null(memory);
	for (unsigned int i = 0; i < 16; i++)
		pieces[i] = (struct iovec){ memory + 64 * (size_t)i, 64 };
	bench_getattr(0, 1);
	bench.requests[0].reply_data = pieces;
	bench.requests[0].reply_data_count = 16;
	assert_int_equal(viofs_queue_submit(q, bench.requests, 1), -EMSGSIZE);
	assert_int_equal(viofs_queue_in_flight(q), 0);
	bench_getattr(0, 1);
	assert_int_equal(viofs_queue_submit(q, bench.requests, 1), 1);
	assert_int_equal(bench_take(q, 1, SOON_MS), 1);
}

static void silent_requests_are_neither_counted_nor_reported(void **state)
{
	const struct fuse_forget_in in = { .nlookup = 1 };
	struct viofs_request r = {
		.opcode = FUSE_FORGET,
		.flags = VIOFS_REQUEST_SILENT,
		.nodeid = 7,
		.args = &in,
		.args_size = sizeof(in),
	};
	struct viofs_queue *q;
	unsigned int sent = 0;

	bench_open();
	q = bench_queue();
	/* More than hiprio has slots: they come free though nobody asks for completions. */
	for (int tries = 0; sent < 200 && tries < SOON_MS; tries++) {
		int rc = viofs_queue_submit(q, &r, 1);

		assert_true(rc == 0 || rc == 1);
		assert_int_equal(viofs_queue_in_flight(q), 0);
		sent += (unsigned int)rc;
		if (!rc)
			usleep(1000);
	}
	assert_int_equal(sent, 200);
	assert_non_null(model_device_wait(&bench.device, FUSE_FORGET, 200));
	assert_int_equal(bench_take(q, 1, LULL_MS), 0);
}

/* Makes a request of bench_getattr() one that may wait. */
static void make_lock(struct viofs_request *r)
{
	static const struct fuse_lk_in in = { .fh = 77 };

	r->opcode = FUSE_SETLKW;
	r->args = &in;
	r->args_size = sizeof(in);
	r->reply_size = 0;
}

static void an_interrupt_names_its_request_whose_own_end_tells(void **state)
{
	const struct fuse_interrupt_in *in;
	struct viofs_completion c;
	struct model_request *r;
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	bench_hold(0);
	make_lock(&bench_getattr(0, 2)[1]);
	assert_int_equal(viofs_queue_submit(q, bench.requests, 2), 2);
	bench_held(2);
	assert_int_equal(viofs_queue_interrupt(q, bench.requests[1].unique), 0);
	r = model_device_wait(&bench.device, FUSE_INTERRUPT, 1);
	assert_non_null(r);
	in = (const void *)(r->message + sizeof(struct fuse_in_header));
	assert_int_equal(in->unique, bench_held(2)->unique);
	assert_int_equal(viofs_queue_in_flight(q), 2);
	assert_int_equal(viofs_queue_wait(q, &c, 1, 1, LULL_MS * VIOFS_NSEC_PER_MSEC), 0);
	model_device_answer(&bench.device, bench_held(2), -EINTR);
	assert_int_equal(viofs_queue_wait(q, &c, 1, 1, SOON_MS * VIOFS_NSEC_PER_MSEC), 1);
	assert_ptr_equal(c.user, &bench.requests[1]);
	assert_int_equal(c.error, -EINTR);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(q, 1, SOON_MS), 1);
}

/* An INTERRUPT for a plain request has killed back ends. */
static void only_what_may_wait_is_interrupted(void **state)
{
	struct viofs_queue *a, *b;

	bench_open();
	a = bench_queue();
	b = bench_queue();
	bench_hold(0);
	make_lock(&bench_getattr(0, 2)[1]);
	assert_int_equal(viofs_queue_submit(a, bench.requests, 2), 2);
	bench_held(2);
	assert_int_equal(viofs_queue_interrupt(a, bench.requests[0].unique), -EOPNOTSUPP);
	assert_int_equal(viofs_queue_interrupt(b, bench.requests[1].unique), -ENOENT);
	assert_int_equal(viofs_queue_interrupt(a, bench.requests[1].unique + 8), -ENOENT);
	assert_int_equal(viofs_queue_interrupt(a, UINT64_MAX), -ENOENT);
	assert_int_equal(model_device_count(&bench.device, FUSE_INTERRUPT), 0);
	model_device_release(&bench.device, 0);
	assert_int_equal(viofs_queue_wait(a, bench.completions, 2, 2, SOON_MS * 1000000LL), 2);
	assert_int_equal(viofs_queue_interrupt(a, bench.requests[1].unique), -ENOENT);
}

static void interrupts_that_find_hiprio_full_are_to_be_tried_again(void **state)
{
	struct viofs_queue *q;
	unsigned int sent = 0;
	int rc = 0;

	bench_open();
	q = bench_queue();
	bench_hold(0);
	make_lock(bench_getattr(0, 1));
	assert_int_equal(viofs_queue_submit(q, bench.requests, 1), 1);
	while (!rc && sent < BENCH_REQUESTS) {
		rc = viofs_queue_interrupt(q, bench.requests[0].unique);
		sent += !rc;
	}
	assert_int_equal(rc, -EAGAIN);
	assert_true(sent > 0);
	bench_held(1 + sent);
	model_device_release(&bench.device, FUSE_INTERRUPT);
	assert_int_equal(viofs_queue_interrupt(q, bench.requests[0].unique), 0);
	bench_held(2 + sent);
	model_device_release(&bench.device, 0);
	assert_int_equal(viofs_queue_wait(q, bench.completions, 1, 1, SOON_MS * 1000000LL), 1);
}

static void a_wait_ends_after_its_time(void **state)
{
	struct viofs_completion c[2];
	struct viofs_queue *q;
	int64_t start;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 2, 2);
	start = viofs_now_ns();
	assert_int_equal(viofs_queue_wait(q, c, 1, 2, 50 * VIOFS_NSEC_PER_MSEC), 0);
	assert_true(viofs_now_ns() - start >= 50 * VIOFS_NSEC_PER_MSEC);
	model_device_answer(&bench.device, bench_held(1), 0);
	start = viofs_now_ns();
	assert_int_equal(viofs_queue_wait(q, c, 2, 2, 50 * VIOFS_NSEC_PER_MSEC), 1);
	assert_true(viofs_now_ns() - start >= 50 * VIOFS_NSEC_PER_MSEC);
	assert_int_equal(viofs_queue_in_flight(q), 1);
	model_device_release(&bench.device, 0);
	/* More than are in flight can't be waited for. */
	assert_int_equal(viofs_queue_wait(q, c, 2, 2, -1), 1);
	assert_int_equal(viofs_queue_wait(q, c, 1, 2, -1), 0);
}

static void a_wait_that_always_spins_ends_after_its_time(void **state)
{
	struct viofs_completion c;
	struct viofs_queue *q;

	bench.options.spin_us = UINT32_MAX;
	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 1, 1);
	assert_int_equal(viofs_queue_wait(q, &c, 1, 1, 50 * VIOFS_NSEC_PER_MSEC), 0);
	model_device_release(&bench.device, 0);
	assert_int_equal(viofs_queue_wait(q, &c, 1, 1, -1), 1);
}

/* Times that this thread has gone to sleep. */
static long sleeps(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw;
}

/* Longer than it waits for here. A lock may be somebody else's now and then, or the CPU. */
static void a_wait_spins_for_as_long_as_was_asked_for(void **state)
{
	const unsigned int tries = 40;
	unsigned int awake = 0;
	struct viofs_completion c;
	struct viofs_queue *q;

	bench.options.spin_us = 1000000;
	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 1, 1);
	for (unsigned int i = 0; i < tries; i++) {
		long before = sleeps();

		assert_int_equal(viofs_queue_wait(q, &c, 1, 1, 5 * VIOFS_NSEC_PER_MSEC), 0);
		awake += sleeps() == before;
	}
	assert_in_range(awake, tries / 2, tries);
	model_device_release(&bench.device, 0);
	assert_int_equal(viofs_queue_wait(q, &c, 1, 1, -1), 1);
}

static void a_lost_notification_is_given_again(void **state)
{
	struct viofs_completion c;
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	bench.device.drop_kicks = 1;
	bench_getattr(0, 1);
	assert_int_equal(viofs_queue_submit(q, bench.requests, 1), 1);
	assert_int_equal(viofs_queue_wait(q, &c, 1, 1, SOON_MS * VIOFS_NSEC_PER_MSEC), 1);
	assert_int_equal(c.error, 0);
}

static void an_armed_descriptor_becomes_readable(void **state)
{
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench.dev->answered = 1; /* else it would be woken soon, to notify the device again */
	for (unsigned int i = 0; i < 20; i++) {
		bench_send(q, 0, 2, 2 * i + 2);
		assert_int_equal(viofs_queue_arm(q), 0);
		assert_false(bench_is_readable(viofs_queue_fd(q), 0));
		model_device_answer(&bench.device, bench_held(2 * i + 1), 0);
		assert_true(bench_is_readable(viofs_queue_fd(q), SOON_MS));
		assert_int_equal(bench_take(q, 1, SOON_MS), 1);
		/* Completions that are there already are said at once. */
		model_device_answer(&bench.device, bench_held(2 * i + 2), 0);
		assert_int_equal(viofs_queue_arm(q), 1);
		assert_int_equal(bench_take(q, 1, SOON_MS), 1);
	}
}

static void handles_that_share_a_virtqueue_get_their_own(void **state)
{
	struct viofs_queue *a, *b;

	bench_open();
	a = bench_queue();
	b = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(a, 0, 4, 4);
	bench_send(b, 4, 4, 8);
	/* b sleeps, and a finds what is b's. */
	assert_int_equal(viofs_queue_arm(b), 0);
	model_device_answer(&bench.device, bench_held(6), 0);
	model_device_answer(&bench.device, bench_held(1), 0);
	assert_int_equal(bench_take(a, 4, LULL_MS), 1);
	assert_int_equal(bench.came[0], 1);
	assert_true(bench_is_readable(viofs_queue_fd(b), SOON_MS));
	assert_int_equal(bench_take(b, 4, LULL_MS), 1);
	assert_int_equal(bench.came[5], 1);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(a, 3, SOON_MS), 3);
	assert_int_equal(viofs_queue_arm(b), 1);
	assert_int_equal(bench_take(b, 3, SOON_MS), 3);
	assert_int_equal(bench_count(0, 8, 0), 8);
	/* Each slot came back once. */
	bench_hold(FUSE_GETATTR);
	assert_int_equal(viofs_queue_submit(a, bench_getattr(8, 20), 20), 16);
	bench_held(24);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(a, 16, SOON_MS), 16);
	assert_int_equal(bench_count(8, 16, 0), 16);
}

static void what_a_closed_handle_left_is_dropped_and_its_slots_come_back(void **state)
{
	struct viofs_queue *gone, *q;

	bench.options.depth = 8;
	bench_open();
	assert_int_equal(viofs_queue_open(bench.dev, &gone, NULL), 0);
	bench_hold(FUSE_GETATTR);
	assert_int_equal(viofs_queue_submit(gone, bench_getattr(0, 6), 6), 6);
	bench_held(6);
	model_device_answer(&bench.device, bench_held(2), 0);
	viofs_queue_close(gone);
	memset(bench.replies, 0xee, sizeof(bench.replies));
	q = bench_queue();
	assert_int_equal(viofs_queue_submit(q, bench_getattr(6, 8), 8), 2);
	bench_held(8);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(q, 2, SOON_MS), 2);
	/* Nothing was written for it any more. */
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(bench.replies[i].attr_valid, 0xeeeeeeeeeeeeeeeeULL);
	assert_int_equal(viofs_queue_submit(q, &bench.requests[8], 6), 6);
	assert_int_equal(bench_take(q, 6, SOON_MS), 6);
	assert_int_equal(bench_count(6, 8, 0), 8);
}

static void requests_by_hiprio_come_back_like_others(void **state)
{
	struct viofs_queue *q;

	bench_open();
	bench.device.any_queue = true;
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_getattr(0, 3);
	bench.requests[1].flags = VIOFS_REQUEST_HIPRIO;
	assert_int_equal(viofs_queue_submit(q, bench.requests, 3), 3);
	bench_held(3);
	assert_int_equal(viofs_queue_arm(q), 0);
	assert_int_equal(bench.dev->vqs[VIOFS_FS_HIPRIO].armed, 1);
	for (unsigned int i = 1; i <= 3; i++)
		if (bench_held(i)->queue == 0)
			model_device_answer(&bench.device, bench_held(i), 0);
	assert_true(bench_is_readable(viofs_queue_fd(q), SOON_MS));
	assert_int_equal(bench_take(q, 1, SOON_MS), 1);
	/* Whoever polls need not be woken. */
	assert_int_equal(bench.dev->vqs[VIOFS_FS_HIPRIO].armed, 0);
	assert_int_equal(bench.came[1], 1);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(q, 2, SOON_MS), 2);
	assert_int_equal(viofs_queue_in_flight(q), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(completions_come_in_the_order_of_the_device),
		BOTH(an_error_of_the_device_comes_with_its_request),
		BOTH(one_poll_takes_many_but_not_more_than_there_is_room_for),
		BOTH(a_full_queue_takes_no_more_until_completions_are_taken),
		BOTH(a_full_ring_takes_no_more_until_completions_are_taken),
		BOTH(a_request_that_cant_be_is_refused_and_those_before_it_are_sent),
		BOTH(a_chain_longer_than_the_queue_is_refused_for_good),
		BOTH(silent_requests_are_neither_counted_nor_reported),
		BOTH(an_interrupt_names_its_request_whose_own_end_tells),
		BOTH(only_what_may_wait_is_interrupted),
		BOTH(interrupts_that_find_hiprio_full_are_to_be_tried_again),
		BOTH(a_wait_ends_after_its_time),
		BOTH(a_wait_that_always_spins_ends_after_its_time),
		BOTH(a_wait_spins_for_as_long_as_was_asked_for),
		BOTH(a_lost_notification_is_given_again),
		BOTH(an_armed_descriptor_becomes_readable),
		BOTH(handles_that_share_a_virtqueue_get_their_own),
		BOTH(what_a_closed_handle_left_is_dropped_and_its_slots_come_back),
		BOTH(requests_by_hiprio_come_back_like_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
