/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libviofs with requests in flight on a device that breaks the rules, goes, or doesn't answer: what
 * was answered before is delivered, all else ends with -EIO, each once, and nothing hangs.
 */
#include "client_bench.h"

#include "base/util.h"
#include "client/fail.h"
#include "client/track.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define LULL_MS 30
#define IN_FLIGHT 8U

/* From here on everything says that the device has failed, and that it was reset. */
static void has_failed(struct viofs_queue *q, const char *why)
{
	struct viofs_completion c;
	struct viofs_queue *other;

	assert_non_null(viofs_dev_failed(bench.dev));
	if (!strstr(viofs_dev_failed(bench.dev), why))
		fail_msg("\"%s\" is not in \"%s\"", why, viofs_dev_failed(bench.dev));
	assert_int_equal(bench.function.status, 0);
	assert_int_equal(viofs_queue_in_flight(q), 0);
	assert_int_equal(viofs_queue_poll(q, &c, 1), -ENODEV);
	assert_int_equal(viofs_queue_wait(q, &c, 1, 1, -1), -ENODEV);
	assert_int_equal(viofs_queue_arm(q), 1);
	bench_getattr(BENCH_REQUESTS - 1, 1);
	assert_int_equal(viofs_queue_submit(q, &bench.requests[BENCH_REQUESTS - 1], 1), -ENODEV);
	assert_int_equal(viofs_queue_interrupt(q, 2), -ENODEV);
	assert_int_equal(viofs_queue_open(bench.dev, &other, NULL), -ENODEV);
}

/* Two are answered, out of order, then @breaks does its worst, then one more answer comes that is
 * not believed. */
static void broken_by(void (*breaks)(void), const char *why)
{
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, IN_FLIGHT, IN_FLIGHT);
	model_device_answer(&bench.device, bench_held(5), 0);
	model_device_answer(&bench.device, bench_held(2), 0);
	breaks();
	model_device_answer(&bench.device, bench_held(7), 0);
	assert_int_equal(bench_take(q, IN_FLIGHT, SOON_MS), IN_FLIGHT);
	assert_int_equal(bench_count(0, IN_FLIGHT, 0), 2);
	assert_int_equal(bench.completions[4].error, 0);
	assert_int_equal(bench.completions[1].error, 0);
	assert_int_equal(bench_count(0, IN_FLIGHT, -EIO), IN_FLIGHT - 2);
	has_failed(q, why);
}

static void use_an_id_that_is_none(void)
{
	model_device_push_raw(&bench.device, 1, 5000, 16, 1);
}

static void use_an_id_that_is_free(void)
{
	model_device_push_raw(&bench.device, 1, bench.queue_size - 1U, 16, 1);
}

static void use_an_id_twice(void)
{
	struct model_request *r = bench_held(5);

	model_device_push_raw(&bench.device, 1, r->used_id, r->used_len, 1);
}

static void use_more_than_was_given(void)
{
	struct model_request *r = bench_held(3);

	model_device_push_raw(&bench.device, 1, r->used_id, 4096, 1);
}

static void answer_for_another(void)
{
	struct model_request *r = bench_held(3);
	struct fuse_out_header *out = (void *)r->reply;

	out->unique = bench_held(4)->unique;
	model_device_answer(&bench.device, r, 0);
}

static void an_id_that_is_none_fails_the_device(void **state)
{
	broken_by(use_an_id_that_is_none, "broke the rules of virtqueue 1");
}

static void an_id_that_is_not_in_flight_fails_the_device(void **state)
{
	broken_by(use_an_id_that_is_free, "broke the rules of virtqueue 1");
}

static void an_id_used_twice_fails_the_device(void **state)
{
	broken_by(use_an_id_twice, "broke the rules of virtqueue 1");
}

static void a_length_beyond_what_was_given_fails_the_device(void **state)
{
	broken_by(use_more_than_was_given, "broke the rules of virtqueue 1");
}

static void an_answer_for_another_request_fails_the_device(void **state)
{
	broken_by(answer_for_another, "unique");
}

static void a_reply_that_is_refused_ends_its_request_only(void **state)
{
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 3, 3);
	((struct fuse_out_header *)(void *)bench_held(2)->reply)->error = -4096;
	bench_held(3)->used_len--;
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_take(q, 3, SOON_MS), 3);
	assert_int_equal(bench.completions[0].error, 0);
	assert_int_equal(bench.completions[1].error, -EIO);
	assert_int_equal(bench.completions[2].error, -EIO);
	assert_null(viofs_dev_failed(bench.dev));
	bench_send(q, 3, 1, 4);
	assert_int_equal(bench_take(q, 1, SOON_MS), 1);
	assert_int_equal(bench.completions[3].error, 0);
}

static void a_short_reply_is_a_fault_but_where_it_was_allowed(void **state)
{
	struct viofs_completion c;
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_getattr(0, 1);
	bench.requests[0].flags = VIOFS_REQUEST_SHORT;
	memset(&bench.replies[0], 0xee, sizeof(bench.replies[0]));
	assert_int_equal(viofs_queue_submit(q, bench.requests, 1), 1);
	for (unsigned int i = 1; i <= 2; i++) {
		struct model_request *r = bench_held(i);

		((struct fuse_out_header *)(void *)r->reply)->len = 24;
		r->reply_len = r->used_len = 24;
		model_device_answer(&bench.device, r, 0);
		if (i == 1) {
			assert_int_equal(
				viofs_queue_wait(q, &c, 1, 1, SOON_MS * VIOFS_NSEC_PER_MSEC), 1);
			assert_int_equal(c.error, 0);
			assert_int_equal(c.size, 8);
			assert_int_equal(bench.replies[0].attr_valid, 0);
			assert_int_equal(bench.replies[0].attr.mode, 0); /* zeros beyond */
			bench_send(q, 1, 1, 2);
		}
	}
	assert_int_equal(bench_take(q, 1, SOON_MS), 1);
	assert_int_equal(bench.completions[1].error, -EIO);
}

static void everybody_on_the_virtqueue_gets_his_own_end(void **state)
{
	struct viofs_queue *a, *b;

	bench_open();
	a = bench_queue();
	b = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(a, 0, 4, 4);
	bench_send(b, 4, 4, 8);
	assert_int_equal(viofs_queue_arm(b), 0);
	model_device_answer(&bench.device, bench_held(7), 0);
	model_device_answer(&bench.device, bench_held(2), 0);
	use_an_id_that_is_none();
	assert_int_equal(bench_take(a, 4, SOON_MS), 4);
	assert_true(bench_is_readable(viofs_queue_fd(b), SOON_MS));
	assert_int_equal(viofs_queue_in_flight(b), 4);
	assert_int_equal(bench_take(b, 4, SOON_MS), 4);
	assert_int_equal(bench_count(0, 8, 0), 2);
	assert_int_equal(bench.completions[6].error, 0);
	assert_int_equal(bench.completions[1].error, 0);
	has_failed(a, "broke the rules");
	has_failed(b, "broke the rules");
}

static void *poll_once(void *arg)
{
	static struct viofs_completion c;

	return viofs_queue_poll(arg, &c, 1) == 1 && c.error == -EIO && c.user == &bench.requests[0]
		       ? &c
		       : NULL;
}

/* a is about to look at the ring, the device fails, and b is told of the end of a request that it
 * had answered. */
static void a_request_that_has_ended_is_not_taken_from_the_ring(void **state)
{
	struct viofs_completion c;
	struct viofs_queue *a, *b;
	struct viofs_vq *vq;
	pthread_t thread;
	void *ended;

	bench_open();
	a = bench_queue();
	b = bench_queue();
	vq = a->vq;
	bench_hold(FUSE_GETATTR);
	bench_send(a, 0, 1, 1);
	bench_send(b, 1, 1, 2);
	pthread_mutex_lock(&vq->lock);
	assert_int_equal(pthread_create(&thread, NULL, poll_once, a), 0);
	usleep(LULL_MS * 1000);
	model_device_answer(&bench.device, bench_held(2), 0);
	viofs_dev_fail(bench.dev, "is made to fail by a test");
	assert_int_equal(viofs_track_end(vq, b, &c, 1), 1); /* as b's poll does it */
	pthread_mutex_unlock(&vq->lock);
	pthread_join(thread, &ended);
	assert_non_null(ended);
	assert_int_equal(vq->free_count, vq->depth);
}

static void who_sleeps_on_another_virtqueue_is_woken(void **state)
{
	struct viofs_queue *a, *b;

	bench.request_queues = 2;
	bench_open();
	a = bench_queue();
	b = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(a, 0, 2, 2);
	bench_send(b, 2, 2, 4);
	assert_int_not_equal(bench_held(1)->queue, bench_held(4)->queue);
	bench.dev->answered = 1; /* else b would be woken soon, to notify the device again */
	assert_int_equal(viofs_queue_arm(b), 0);
	model_device_push_raw(&bench.device, bench_held(1)->queue, 5000, 16, 1);
	assert_false(bench_is_readable(viofs_queue_fd(b), LULL_MS));
	assert_int_equal(bench_take(a, 2, SOON_MS), 2);
	assert_true(bench_is_readable(viofs_queue_fd(b), SOON_MS));
	assert_int_equal(bench_take(b, 2, SOON_MS), 2);
	assert_int_equal(bench_count(0, 4, -EIO), 4);
	has_failed(b, "broke the rules");
}

static void a_broken_hiprio_ends_requests_on_other_virtqueues(void **state)
{
	struct viofs_queue *q;

	bench_open();
	bench.device.any_queue = true;
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_getattr(0, 3);
	bench.requests[0].flags = VIOFS_REQUEST_HIPRIO;
	assert_int_equal(viofs_queue_submit(q, bench.requests, 3), 3);
	bench_held(3);
	model_device_push_raw(&bench.device, 0, 5000, 16, 1);
	assert_int_equal(bench_take(q, 3, SOON_MS), 3);
	assert_int_equal(bench_count(0, 3, -EIO), 3);
	has_failed(q, "broke the rules of virtqueue 0");
}

static void a_device_that_goes_ends_a_wait_at_once(void **state)
{
	struct viofs_completion c[4];
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 4, 4);
	model_device_answer(&bench.device, bench_held(1), 0);
	assert_int_equal(bench_take(q, 1, SOON_MS), 1);
	model_alert(&bench.function, "is being unplugged");
	assert_int_equal(viofs_queue_wait(q, c, 3, 4, SOON_MS * VIOFS_NSEC_PER_MSEC), 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(c[i].error, -EIO);
		assert_non_null(strstr(c[i].fault, "is being unplugged"));
	}
	has_failed(q, "is being unplugged");
}

static void polls_alone_find_that_the_device_has_gone(void **state)
{
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, 2, 2);
	bench.function.lost = "is being unplugged";
	assert_int_equal(bench_take(q, 2, SOON_MS), 2);
	assert_int_equal(bench_count(0, 2, -EIO), 2);
	has_failed(q, "is being unplugged");
}

static void a_request_without_an_answer_fails_the_device_in_time(void **state)
{
	struct viofs_completion c[2];
	struct viofs_queue *q;
	int64_t start;

	bench.options.timeout_ms = 100;
	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	start = viofs_now_ns();
	bench_send(q, 0, 2, 2);
	assert_int_equal(viofs_queue_wait(q, c, 2, 2, SOON_MS * VIOFS_NSEC_PER_MSEC), 2);
	assert_true(viofs_now_ns() - start >= 90 * VIOFS_NSEC_PER_MSEC); /* a coarse clock */
	for (int i = 0; i < 2; i++)
		assert_int_equal(c[i].error, -EIO);
	has_failed(q, "has not answered a request for 100 ms");
}

static void a_request_by_hiprio_has_no_more_time_than_others(void **state)
{
	struct viofs_completion c;
	struct viofs_queue *q;

	bench.options.timeout_ms = 100;
	bench_open();
	bench.device.any_queue = true;
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_getattr(0, 1);
	bench.requests[0].flags = VIOFS_REQUEST_HIPRIO;
	assert_int_equal(viofs_queue_submit(q, bench.requests, 1), 1);
	assert_int_equal(viofs_queue_wait(q, &c, 1, 1, SOON_MS * VIOFS_NSEC_PER_MSEC), 1);
	assert_int_equal(c.error, -EIO);
	has_failed(q, "has not answered a request for 100 ms");
}

static void locks_and_interrupts_may_wait_for_ever(void **state)
{
	const struct fuse_lk_in in = { .fh = 77 };
	struct viofs_request locks[2];
	struct viofs_completion c[2];
	struct viofs_queue *q;

	bench.options.timeout_ms = 50;
	bench_open();
	bench.device.any_queue = true;
	q = bench_queue();
	bench_hold(0);
	for (unsigned int i = 0; i < 2; i++)
		locks[i] = (struct viofs_request){
			.opcode = FUSE_SETLKW,
			.flags = i ? VIOFS_REQUEST_HIPRIO : 0,
			.nodeid = 5,
			.args = &in,
			.args_size = sizeof(in),
		};
	assert_int_equal(viofs_queue_submit(q, locks, 2), 2);
	assert_int_equal(viofs_queue_interrupt(q, locks[0].unique), 0);
	bench_held(3);
	assert_int_equal(viofs_queue_wait(q, c, 1, 2, 300 * VIOFS_NSEC_PER_MSEC), 0);
	assert_null(viofs_dev_failed(bench.dev));
	model_device_release(&bench.device, 0);
	assert_int_equal(viofs_queue_wait(q, c, 2, 2, SOON_MS * VIOFS_NSEC_PER_MSEC), 2);
	assert_int_equal(c[0].error, 0);
	assert_int_equal(c[1].error, 0);
}

/* The model writes to all that it has when VFIO is closed. */
static void memory_of_a_device_that_runs_on_goes_after_vfio(void **state)
{
	bench_open();
	bench.function.faults.reset_polls = -1;
	bench.function.faults.no_function_reset = true;
	bench.function.faults.master_sticks = true;
	bench_send(bench_queue(), 0, 1, 1);
	/* The rest of it is bench_tear_down(). */
}

static void memory_of_a_failed_device_that_runs_on_stays_its_own(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	bench_open();
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(viofs_dma_register(bench.dev, memory, page, -1, 0, NULL), 0);
	bench.function.faults.reset_polls = -1;
	bench.function.faults.no_function_reset = true;
	bench.function.faults.master_sticks = true;
	viofs_dev_fail(bench.dev, "%s", "breaks a rule");
	assert_int_equal(viofs_dma_unregister(bench.dev, memory, &bench.err), -EBUSY);
	assert_non_null(strstr(bench.err.text, "viofs_dev_close()"));
}

static void memory_of_the_programs_own_lies_beside_all_other(void **state)
{
	const struct model_function *f = &bench.function;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory =
		mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	bench_open();
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(viofs_dma_register(bench.dev, memory, page, -1, 0, NULL), 0);
	assert_int_equal(viofs_dma_register(bench.dev, memory + 2 * page, 2 * page, -1, 0, NULL),
			 0);
	for (unsigned int i = 0; i < f->map_count; i++)
		for (unsigned int j = 0; j < i; j++)
			assert_true(f->maps[i].iova >= f->maps[j].iova + f->maps[j].len ||
				    f->maps[j].iova >= f->maps[i].iova + f->maps[i].len);
	assert_int_equal(viofs_dma_unregister(bench.dev, memory, &bench.err), 0);
	assert_int_equal(viofs_dma_unregister(bench.dev, memory + 2 * page, &bench.err), 0);
	munmap(memory, 4 * page);
}

static void memory_that_cannot_be_taken_back_can_be_tried_again(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	bench_open();
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(viofs_dma_register(bench.dev, memory, page, -1, 0, NULL), 0);
	bench.function.faults.unmap_error = -EIO;
	assert_int_equal(viofs_dma_unregister(bench.dev, memory, &bench.err), -EIO);
	bench.function.faults.unmap_error = 0;
	assert_int_equal(viofs_dma_unregister(bench.dev, memory, &bench.err), 0);
	assert_int_equal(viofs_dma_unregister(bench.dev, memory, &bench.err), -ENOENT);
}

static void a_device_can_be_closed_with_all_in_flight(void **state)
{
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	bench_hold(FUSE_GETATTR);
	bench_send(q, 0, IN_FLIGHT, IN_FLIGHT);
	model_device_answer(&bench.device, bench_held(1), 0);
	/* The rest of it is bench_tear_down(). */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(an_id_that_is_none_fails_the_device),
		BOTH(an_id_that_is_not_in_flight_fails_the_device),
		BOTH(an_id_used_twice_fails_the_device),
		BOTH(a_length_beyond_what_was_given_fails_the_device),
		BOTH(an_answer_for_another_request_fails_the_device),
		BOTH(a_reply_that_is_refused_ends_its_request_only),
		BOTH(a_short_reply_is_a_fault_but_where_it_was_allowed),
		BOTH(everybody_on_the_virtqueue_gets_his_own_end),
		BOTH(a_request_that_has_ended_is_not_taken_from_the_ring),
		BOTH(who_sleeps_on_another_virtqueue_is_woken),
		BOTH(a_broken_hiprio_ends_requests_on_other_virtqueues),
		BOTH(a_device_that_goes_ends_a_wait_at_once),
		BOTH(polls_alone_find_that_the_device_has_gone),
		BOTH(a_request_without_an_answer_fails_the_device_in_time),
		BOTH(a_request_by_hiprio_has_no_more_time_than_others),
		BOTH(locks_and_interrupts_may_wait_for_ever),
		BOTH(a_device_can_be_closed_with_all_in_flight),
		cmocka_unit_test_setup_teardown(memory_of_the_programs_own_lies_beside_all_other,
						bench_set_up_split, bench_tear_down),
		cmocka_unit_test_setup_teardown(memory_that_cannot_be_taken_back_can_be_tried_again,
						bench_set_up_split, bench_tear_down),
		cmocka_unit_test_setup_teardown(memory_of_a_device_that_runs_on_goes_after_vfio,
						bench_set_up_split, bench_tear_down),
		cmocka_unit_test_setup_teardown(
			memory_of_a_failed_device_that_runs_on_stays_its_own, bench_set_up_split,
			bench_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
