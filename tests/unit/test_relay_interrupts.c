/* SPDX-License-Identifier: GPL-2.0-or-later */
/* INTERRUPT and the locks that need it: translated, on hiprio, in time, and answered as is legal.
 */
#include "relay_bench.h"

#include "base/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct fuse_interrupt_in *arguments(const struct model_request *r)
{
	return (const void *)(r->message + sizeof(struct fuse_in_header));
}

/* A lock that the device has, for the kernel's unique 4. */
static struct model_request *hold_lock(void)
{
	struct model_request *lock;

	bench_serve();
	bench_hold(FUSE_SETLKW);
	kernel_sends_lock(4);
	lock = model_device_wait(&bench.device, FUSE_SETLKW, 1);
	assert_non_null(lock);
	return lock;
}

static void it_names_the_request_as_the_device_knows_it(void **state)
{
	struct model_request *lock = hold_lock(), *r;

	assert_int_not_equal(lock->unique, 4);
	kernel_sends_interrupt(4);
	r = model_device_wait(&bench.device, FUSE_INTERRUPT, 1);
	assert_non_null(r);
	assert_int_equal(r->queue, 0);
	assert_int_equal(r->unique, lock->unique | 1);
	assert_int_equal(arguments(r)->unique, lock->unique);
	assert_int_equal(r->readable, 2);
	assert_int_equal(r->writable, 1);
	kernel_gets_nothing(10); /* no answer to it is legal */
	model_device_answer(&bench.device, lock, -EINTR);
	kernel_is_answered(4, -EINTR, 0);
	bench_end();
	assert_int_equal(bench_stats()->interrupted, 1);
}

static void it_passes_full_slots(void **state)
{
	hold_lock();
	bench_hold(0);
	for (unsigned int i = 0; i < 100; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	kernel_sends_interrupt(4);
	assert_non_null(model_device_wait(&bench.device, FUSE_INTERRUPT, 1));
	model_device_release(&bench.device, FUSE_GETATTR);
	kernel_is_answered_all(100, 100, 0, 104);
	model_device_release(&bench.device, 0);
	kernel_is_answered(4, 0, 0);
	bench_end();
}

static void without_remote_locks_it_is_switched_off(void **state)
{
	bench.kernel_flags &= ~(uint64_t)FUSE_POSIX_LOCKS;
	bench_serve();
	bench_hold(FUSE_GETATTR);
	kernel_sends_getattr(4, 1);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, 1));
	kernel_sends_interrupt(4);
	kernel_is_answered(5, -ENOSYS, 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_INTERRUPT), 0);
	model_device_release(&bench.device, 0);
	kernel_is_answered(4, 0, 104);
	bench_end();
}

static void of_a_request_that_has_ended_it_is_dropped(void **state)
{
	bench_serve();
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104);
	kernel_sends_interrupt(4);
	kernel_sends_interrupt(4444);
	kernel_gets_nothing(20);
	assert_int_equal(model_device_count(&bench.device, FUSE_INTERRUPT), 0);
	bench_end();
}

/* The kernel's own driver sends none at all, and back ends have died of it. */
static void of_what_is_no_lock_it_is_not_sent(void **state)
{
	static const uint32_t opcodes[] = { FUSE_GETATTR, FUSE_READ, FUSE_WRITE };

	bench_serve();
	bench_hold(0);
	kernel_sends_getattr(4, 1);
	kernel_sends_read(6, 5, 0, 100);
	kernel_sends_write(8, 5, 0, 100);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(opcodes); i++) {
		assert_non_null(model_device_wait(&bench.device, opcodes[i], 1));
		kernel_sends_interrupt(4 + 2 * i);
	}
	kernel_gets_nothing(150);
	assert_int_equal(model_device_count(&bench.device, FUSE_INTERRUPT), 0);
	model_device_release(&bench.device, 0);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(opcodes); i++)
		assert_int_equal(kernel_gets()->head.error, 0);
	bench_end();
}

/* A device that knows no waiting answers at once: it never sees one. */
static void a_lock_that_is_answered_soon_needs_none(void **state)
{
	struct model_request *lock = hold_lock();
	uint64_t sleeps;

	kernel_sends_interrupt(4);
	kernel_gets_nothing(10);
	model_device_answer(&bench.device, lock, -EOPNOTSUPP);
	kernel_is_answered(4, -EOPNOTSUPP, 0);
	kernel_gets_nothing(100);
	assert_int_equal(model_device_count(&bench.device, FUSE_INTERRUPT), 0);
	/* Nor does anybody wake for it. */
	sleeps = bench_stats()->sleeps;
	usleep(100000);
	assert_in_range(bench_stats()->sleeps - sleeps, 0, 20);
	bench_end();
}

static int interrupt_error;

static enum model_verdict answer_interrupts(struct model_device *d, struct model_request *r)
{
	struct fuse_out_header *out = (void *)r->reply;

	if (r->opcode == FUSE_SETLKW)
		return MODEL_HOLD;
	if (r->opcode == FUSE_INTERRUPT) {
		*out = (struct fuse_out_header){ sizeof(*out), interrupt_error, r->unique };
		r->reply_len = r->used_len = sizeof(*out);
	}
	return MODEL_ANSWER;
}

static struct model_request *hold_lock_with(int error)
{
	struct model_request *lock = hold_lock();

	interrupt_error = error;
	bench_set_hook(answer_interrupts);
	return lock;
}

static void enosys_of_the_device_reaches_the_kernel(void **state)
{
	struct model_request *lock = hold_lock_with(-ENOSYS);

	kernel_sends_interrupt(4);
	kernel_is_answered(5, -ENOSYS, 0);
	model_device_answer(&bench.device, lock, 0);
	kernel_is_answered(4, 0, 0);
	bench_end();
}

/* The kernel sends it again at once: not for ever. */
static void eagain_is_passed_on_so_many_times(void **state)
{
	struct model_request *lock = hold_lock_with(-EAGAIN);

	for (unsigned int i = 0; i < 100; i++) {
		kernel_sends_interrupt(4);
		kernel_is_answered(5, -EAGAIN, 0);
	}
	kernel_sends_interrupt(4);
	assert_non_null(model_device_wait(&bench.device, FUSE_INTERRUPT, 101));
	kernel_gets_nothing(20);
	model_device_answer(&bench.device, lock, 0);
	kernel_is_answered(4, 0, 0);
	bench_end();
}

static void other_answers_to_it_are_kept(void **state)
{
	static const int errors[] = { 0, -EIO, 5, -600 };
	struct model_request *lock = hold_lock();

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(errors); i++) {
		interrupt_error = errors[i];
		bench_set_hook(answer_interrupts);
		kernel_sends_interrupt(4);
		assert_non_null(
			model_device_wait(&bench.device, FUSE_INTERRUPT, (unsigned int)i + 1));
	}
	kernel_gets_nothing(20);
	model_device_answer(&bench.device, lock, -EINTR);
	kernel_is_answered(4, -EINTR, 0);
	bench_end();
}

static enum model_verdict forge_interrupts(struct model_device *d, struct model_request *r)
{
	struct fuse_out_header *out = (void *)r->reply;

	if (r->opcode == FUSE_INTERRUPT) {
		*out = (struct fuse_out_header){ sizeof(*out), -ENOSYS, r->unique ^ 64 };
		r->reply_len = r->used_len = sizeof(*out);
	}
	return r->opcode == FUSE_SETLKW ? MODEL_HOLD : MODEL_ANSWER;
}

static void an_answer_for_another_unique_is_not_believed(void **state)
{
	hold_lock();
	bench_set_hook(forge_interrupts);
	kernel_sends_interrupt(4);
	assert_non_null(model_device_wait(&bench.device, FUSE_INTERRUPT, 1));
	kernel_gets_nothing(20);
	model_device_release(&bench.device, 0);
	kernel_is_answered(4, 0, 0);
	bench_end();
}

/* Locks that wait for hours never take more than half of the slots. */
static void locks_leave_slots_for_the_rest(void **state)
{
	const unsigned int most = bench.config.slots / 2;

	bench_serve();
	bench_hold(FUSE_SETLKW);
	for (unsigned int i = 0; i < most + 10; i++)
		kernel_sends_lock(1000 + 2 * i);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, most));
	for (uint64_t i = 0; i < 50; i++) {
		kernel_sends_getattr(4 + 2 * i, i);
		kernel_is_answered(4 + 2 * i, 0, 104);
	}
	assert_int_equal(model_device_count(&bench.device, FUSE_SETLKW), most);
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(1000, most + 10, 0, 0);
	bench_end();
}

static void a_lock_that_was_never_sent_is_given_up(void **state)
{
	const unsigned int most = bench.config.slots / 2;
	uint64_t parked = 1000 + 2 * (most + 3);

	bench_serve();
	bench_hold(FUSE_SETLKW);
	for (unsigned int i = 0; i < most + 10; i++)
		kernel_sends_lock(1000 + 2 * i);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, most));
	kernel_sends_interrupt(parked);
	kernel_is_answered(parked, -EINTR, 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_INTERRUPT), 0);
	model_device_release(&bench.device, 0);
	for (unsigned int i = 0; i < most + 9; i++)
		assert_int_not_equal(kernel_gets()->head.unique, parked);
	bench_end();
}

/* The ring is full, so the lock has a slot but the device doesn't know of it. */
static void a_lock_that_waits_for_the_ring_is_given_up(void **state)
{
	bench.features &= ~VIOFS_VIRTIO_F_INDIRECT_DESC;
	bench.queue_size = 16;
	bench_serve();
	bench_hold(FUSE_GETATTR);
	for (unsigned int i = 0; i < 6; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	kernel_sends_lock(4);
	kernel_sends_getattr(112, 6);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, 4));
	kernel_sends_interrupt(4);
	kernel_is_answered(4, -EINTR, 0);
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, 7, 0, 104);
	assert_int_equal(model_device_count(&bench.device, FUSE_SETLKW), 0);
	bench_end();
}

static void a_parked_request_that_cannot_wait_stays(void **state)
{
	bench_serve();
	bench_hold(FUSE_GETATTR);
	for (unsigned int i = 0; i < 60; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, bench.config.slots));
	kernel_sends_interrupt(100 + 2 * 50);
	kernel_gets_nothing(20);
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, 60, 0, 104);
	bench_end();
}

/* Requests without a slot keep their turn, and none is lost for want of memory. */
static void a_parked_request_keeps_its_turn(void **state)
{
	unsigned int n = 0;

	bench_serve();
	bench_hold(FUSE_GETATTR);
	for (unsigned int i = 0; i < 60; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, bench.config.slots));
	usleep(20000);
	bench.no_memory = true;
	kernel_sends_interrupt(100 + 2 * 40);
	kernel_gets_nothing(20);
	bench.no_memory = false;
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, 60, 0, 104);
	bench_end();
	pthread_mutex_lock(&bench.device.lock);
	for (unsigned int i = 0; i < bench.device.count; i++) {
		const struct model_request *r = &bench.device.requests[i];

		if (r->opcode == FUSE_GETATTR)
			n += ((const struct fuse_in_header *)(const void *)r->message)->nodeid == n;
	}
	pthread_mutex_unlock(&bench.device.lock);
	assert_int_equal(n, 60);
}

/* hiprio is taken up by FORGETs: the INTERRUPT is kept and sent, or dropped if it came too late. */
static void it_waits_for_room_on_hiprio(void **state)
{
	struct model_request *lock = hold_lock();

	bench_hold(0);
	for (uint64_t i = 0; i < 16; i++)
		kernel_sends_forget(1000 + 2 * i, i);
	assert_non_null(model_device_wait(&bench.device, FUSE_FORGET, 16));
	kernel_sends_interrupt(4);
	kernel_gets_nothing(100);
	assert_int_equal(model_device_count(&bench.device, FUSE_INTERRUPT), 0);
	model_device_release(&bench.device, FUSE_FORGET);
	assert_non_null(model_device_wait(&bench.device, FUSE_INTERRUPT, 1));
	model_device_answer(&bench.device, lock, -EINTR);
	kernel_is_answered(4, -EINTR, 0);
	bench_end();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_set_up, bench_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_names_the_request_as_the_device_knows_it),
		TEST(it_passes_full_slots),
		TEST(without_remote_locks_it_is_switched_off),
		TEST(of_a_request_that_has_ended_it_is_dropped),
		TEST(enosys_of_the_device_reaches_the_kernel),
		TEST(eagain_is_passed_on_so_many_times),
		TEST(other_answers_to_it_are_kept),
		TEST(an_answer_for_another_unique_is_not_believed),
		TEST(locks_leave_slots_for_the_rest),
		TEST(a_lock_that_was_never_sent_is_given_up),
		TEST(a_lock_that_waits_for_the_ring_is_given_up),
		TEST(a_parked_request_that_cannot_wait_stays),
		TEST(a_parked_request_keeps_its_turn),
		TEST(it_waits_for_room_on_hiprio),
		TEST(of_what_is_no_lock_it_is_not_sent),
		TEST(a_lock_that_is_answered_soon_needs_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
