/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What waits, for a lock or for the device, keeps nobody else waiting: locks, FORGETs, full memory.
 */
#include "relay_bench.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* As relay/lane.c has it. */
#define LOCKS_PARKED 4096U

/* flock(2) with LOCK_UN, and lockf(3): an unlock by the opcode that may wait. */
static void kernel_sends_unlock(uint64_t unique)
{
	struct fuse_lk_in in = { .fh = 77, .lk.type = F_UNLCK };

	kernel_sends(FUSE_SETLKW, unique, 5, &in, sizeof(in), NULL, 0);
}

static enum model_verdict hold_locks(struct model_device *d, struct model_request *r)
{
	const struct fuse_lk_in *in = (const void *)(r->message + sizeof(struct fuse_in_header));

	return r->opcode == FUSE_SETLKW && in->lk.type != F_UNLCK ? MODEL_HOLD : MODEL_ANSWER;
}

static enum model_verdict hold_forgets(struct model_device *d, struct model_request *r)
{
	bool forget = r->opcode == FUSE_FORGET || r->opcode == FUSE_BATCH_FORGET;

	return forget ? MODEL_HOLD : MODEL_ANSWER;
}

/* @n locks that the device never gives, from unique 10000 on. */
static void wait_for_locks(unsigned int n)
{
	bench_serve();
	bench_set_hook(hold_locks);
	for (unsigned int i = 0; i < n; i++)
		kernel_sends_lock(10000 + 2 * (uint64_t)i);
}

/* Nobody asks, and the relay does nothing. */
static void sleeps_well(void)
{
	uint64_t before;

	usleep(50000);
	before = bench_stats()->sleeps;
	usleep(200000);
	assert_in_range(bench_stats()->sleeps - before, 0, 20);
}

/* Whatever is behind them is read and sent: other requests, unlocks, FORGETs, INTERRUPTs. */
static void the_rest_is_served(void)
{
	uint64_t parked = 10000 + 2 * (uint64_t)bench.config.slots;
	unsigned int locks = model_device_count(&bench.device, FUSE_SETLKW);

	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104);
	kernel_sends_unlock(6);
	kernel_is_answered(6, 0, 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_SETLKW), locks + 1);
	kernel_sends_forget(8, 4711);
	device_forgets(4711, 1);
	kernel_sends_interrupt(parked);
	kernel_is_answered(parked, -EINTR, 0);
	kernel_sends_interrupt(10000);
	assert_non_null(model_device_wait(&bench.device, FUSE_INTERRUPT, 1));
}

static void locks_that_wait_stop_nobody(void **state)
{
	const unsigned int most = bench.config.slots / 2 + LOCKS_PARKED;

	bench.config.poll = VIOFS_POLL_IRQ;
	wait_for_locks(most + 5);
	/* No more are kept than the bound. */
	kernel_is_answered_all(10000 + 2 * (uint64_t)most, 5, -ENOLCK, 0);
	sleeps_well();
	the_rest_is_served();
	shutdown(bench.kernel, SHUT_WR);
	assert_int_equal(bench_join(), 0);
}

static void an_unlock_does_not_wait_behind_locks(void **state)
{
	wait_for_locks(2 * bench.config.slots);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, bench.config.slots / 2));
	the_rest_is_served();
	model_device_release(&bench.device, 0);
	for (unsigned int i = 1; i < 2 * bench.config.slots; i++)
		assert_int_equal(kernel_gets()->head.error, 0);
	bench_end();
}

/* Nor is it counted any more. */
static void a_parked_lock_that_is_given_up_is_not_parked(void **state)
{
	const uint64_t last = 10000 + 2 * (uint64_t)(bench.config.slots - 1);
	const unsigned int parked = bench.config.slots / 2;

	wait_for_locks(bench.config.slots);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, bench.config.slots / 2));
	for (int i = 0; i < 1000 && bench_stats()->parked < parked; i++)
		usleep(1000);
	assert_int_equal(bench_stats()->parked, parked);
	kernel_sends_interrupt(last);
	kernel_is_answered(last, -EINTR, 0);
	for (int i = 0; i < 100 && bench_stats()->parked == parked; i++)
		usleep(1000);
	assert_int_equal(bench_stats()->parked, parked - 1);
	shutdown(bench.kernel, SHUT_WR);
	assert_int_equal(bench_join(), 0);
}

/* Rings shorter than half of the slots: with indirect descriptors, and without. */
static void locks_leave_room_on_the_ring(void **state)
{
	for (unsigned int indirect = 0; indirect < 2; indirect++) {
		unsigned int n = 0;

		bench_set_up(state);
		bench.queue_size = indirect ? 8 : 16;
		if (!indirect)
			bench.features &= ~VIOFS_VIRTIO_F_INDIRECT_DESC;
		wait_for_locks(2 * bench.config.slots);
		assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, indirect ? 4 : 2));
		the_rest_is_served();
		model_device_release(&bench.device, 0);
		while (++n < 2 * bench.config.slots)
			assert_int_equal(kernel_gets()->head.error, 0);
		bench_end();
		if (!indirect)
			bench_tear_down(state);
	}
}

/* Locks that wait for their turn get it, however many others come. */
static void a_parked_lock_is_not_last_for_ever(void **state)
{
	unsigned int sent;

	bench_serve();
	bench_hold(0);
	for (unsigned int i = 0; i < bench.config.slots; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	kernel_sends_lock(4);
	for (unsigned int i = 0; i < 100; i++)
		kernel_sends_getattr(1000 + 2 * i, i);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, bench.config.slots));
	usleep(20000);
	model_device_answer(&bench.device, &bench.device.requests[1], 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, 1));
	sent = model_device_count(&bench.device, FUSE_GETATTR);
	assert_in_range(sent, bench.config.slots, bench.config.slots + 1);
	model_device_release(&bench.device, 0);
	for (unsigned int i = 0; i < bench.config.slots + 101; i++)
		kernel_gets();
	bench_end();
}

static void forgets_that_are_never_taken_stop_nobody(void **state)
{
	const unsigned int n = 5000;

	bench.config.poll = VIOFS_POLL_IRQ;
	bench_serve();
	bench_set_hook(hold_forgets);
	for (uint64_t i = 0; i < n; i++)
		kernel_sends_forget(10000 + 2 * i, 100 + i);
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104);
	sleeps_well();
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104);
	assert_int_equal(bench_stats()->parked, n - device_forgotten());
	model_device_release(&bench.device, 0);
	device_forgets(100, n);
	bench_end();
	assert_int_equal(bench_stats()->parked, 0);
}

/* However often it is looked up and forgotten. */
static void a_node_waits_once(void **state)
{
	uint64_t lookups = 0;

	bench_serve();
	bench_set_hook(hold_forgets);
	for (uint64_t i = 0; i < 16; i++)
		kernel_sends_forget(1000 + 2 * i, 100 + i);
	assert_non_null(model_device_wait(&bench.device, FUSE_FORGET, 16));
	for (uint64_t i = 0; i < 3000; i++)
		kernel_sends_forget(10000 + 2 * i, 4711 + i % 2);
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104);
	assert_int_equal(bench_stats()->parked, 2);
	model_device_release(&bench.device, 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_BATCH_FORGET, 1));
	for (unsigned int i = 0; i < 2; i++) {
		const struct fuse_forget_one *one =
			(const void *)(model_device_wait(&bench.device, FUSE_BATCH_FORGET, 1)
					       ->message +
				       48);

		lookups += one[i].nlookup;
	}
	assert_int_equal(lookups, 3000);
	bench_end();
}

/* A time-out is for all that waits for room, and a FORGET or two with the device are no reason. */
static void a_device_that_takes_no_forgets_is_timed_out(void **state)
{
	bench.config.timeout_ms = 300;
	bench_serve();
	bench_set_hook(hold_forgets);
	for (uint64_t i = 0; i < 16; i++)
		kernel_sends_forget(1000 + 2 * i, 100 + i);
	kernel_gets_nothing(600);
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104);
	kernel_sends_forget(1100, 4711);
	assert_int_equal(bench_join(), -EPROTO);
	assert_non_null(strstr(bench.err.text, "has taken no FORGET for 0."));
}

/* One that takes them slowly is none of that. */
static void a_device_that_takes_forgets_slowly_is_not(void **state)
{
	unsigned int next = 0;

	bench.config.timeout_ms = 300;
	bench_serve();
	bench_set_hook(hold_forgets);
	for (uint64_t i = 0; i < 100; i++)
		kernel_sends_forget(1000 + 2 * i, 100 + i);
	assert_non_null(model_device_wait(&bench.device, FUSE_FORGET, 16));
	for (unsigned int i = 0; i < 8; i++) {
		usleep(100000);
		while (bench.device.requests[next].opcode != FUSE_FORGET)
			next++;
		model_device_answer(&bench.device, &bench.device.requests[next++], 0);
	}
	model_device_release(&bench.device, 0);
	device_forgets(100, 100);
	bench_end();
}

/* @n FORGETs that the relay finds together. Return: how often the device was notified of them. */
static unsigned int kicks_of_forgets(uint64_t first, unsigned int n)
{
	unsigned int before = model_device_kicks(&bench.device, 0);

	bench.blocked = false;
	bench.block_unique = 6;
	kernel_sends_getattr(6, 1);
	while (!bench.blocked)
		usleep(100);
	for (unsigned int i = 0; i < n; i++)
		kernel_sends_forget(1000 + 2 * i, first + i);
	bench.block_unique = 0;
	kernel_is_answered(6, 0, 104);
	device_forgets(first, n);
	usleep(5000);
	return model_device_kicks(&bench.device, 0) - before;
}

static int delete_error;

static enum model_verdict delete (struct model_device *d, struct model_request *r) {
	struct fuse_out_header *out = (void *)r->reply;

	if (r->opcode == FUSE_UNLINK || r->opcode == FUSE_RMDIR ||
	    r->opcode == FUSE_RENAME){ *out = (struct fuse_out_header){ sizeof(*out), delete_error,
									r->unique };
				       r->reply_len = r->used_len = sizeof(*out); }
return MODEL_ANSWER;
}

static void kernel_deletes(uint32_t opcode, unsigned int n)
{
	bench_set_hook(delete);
	while (n--) {
		kernel_sends(opcode, 4, 1, "12345678", 8, "a\0b", 4);
		kernel_is_answered(4, delete_error, 0);
	}
}

/*
 * Its blocks come free when the device forgets it, and the next one to write may need them. Other
 * FORGETs wait for company while a thread spins.
 */
static void what_was_deleted_is_forgotten_at_once(void **state)
{
	static const uint32_t opcodes[] = { FUSE_UNLINK, FUSE_RMDIR, FUSE_RENAME };
	uint64_t nodeid = 100;

	bench.config.poll = VIOFS_POLL_BUSY;
	bench.features &= ~VIOFS_VIRTIO_F_EVENT_IDX; /* with it one notification is for more */
	delete_error = 0;
	bench_serve();
	assert_int_equal(kicks_of_forgets(nodeid, 4), 1);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(opcodes); i++) {
		kernel_deletes(opcodes[i], 4);
		assert_int_equal(kicks_of_forgets(nodeid += 100, 4), 4);
		assert_int_equal(kicks_of_forgets(nodeid += 100, 4), 1);
	}
	/* Names that went without a file: not for ever. */
	kernel_deletes(FUSE_UNLINK, 500);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(kicks_of_forgets(nodeid += 100, 8), 8);
	assert_int_equal(kicks_of_forgets(nodeid += 100, 4), 1);
	delete_error = -EBUSY;
	kernel_deletes(FUSE_UNLINK, 4);
	assert_int_equal(kicks_of_forgets(nodeid += 100, 4), 1);
	bench_end();
}

/* WRITEs until as much is parked as may be. Return: how many. */
static unsigned int park_all(void)
{
	unsigned int n = 0;

	while (bench_stats()->parked < 128) {
		kernel_sends_write(100 + 2 * (uint64_t)n++, 5, 0, 131072);
		usleep(1000);
	}
	return n;
}

/* The device's threads may all wait for locks: who is killed there must get out. */
static void an_interrupt_is_read_where_memory_is_full(void **state)
{
	unsigned int n;

	bench_serve();
	bench_hold(0);
	kernel_sends_lock(4);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, 1));
	n = park_all();
	kernel_sends_interrupt(4);
	assert_non_null(model_device_wait(&bench.device, FUSE_INTERRUPT, 1));
	sleeps_well();
	model_device_release(&bench.device, FUSE_WRITE);
	kernel_is_answered_all(100, n, 0, 8);
	model_device_release(&bench.device, 0);
	kernel_is_answered(4, 0, 0);
	bench_end();
}

/* The looks of a lane that never sleeps are as often, and what it does meanwhile puts none off. */
static void a_lane_that_spins_reads_where_memory_is_full(void **state)
{
	bench.config.poll = VIOFS_POLL_BUSY;
	bench_serve();
	bench_hold(0);
	kernel_sends_lock(4);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, 1));
	park_all();
	kernel_sends_forget(2000, 4711);
	assert_non_null(model_device_wait(&bench.device, FUSE_FORGET, 1));
	kernel_sends_interrupt(4);
	assert_non_null(model_device_wait(&bench.device, FUSE_INTERRUPT, 1));
	shutdown(bench.kernel, SHUT_RDWR);
	assert_int_equal(bench_join(), 0);
}

/* What isn't read isn't polled, and yet the end is heard. */
static void an_unmount_is_heard_where_memory_is_full(void **state)
{
	bench_serve();
	bench_hold(FUSE_WRITE);
	park_all();
	sleeps_well();
	shutdown(bench.kernel, SHUT_RDWR);
	assert_int_equal(bench_join(), 0);
}

/* Nor does what isn't polled stay so: a lost device's mount answers, and can be left. */
static void a_lost_device_is_answered_for_where_memory_was_full(void **state)
{
	unsigned int n;

	bench.config.poll = VIOFS_POLL_IRQ;
	bench_serve();
	bench_hold(FUSE_WRITE);
	n = park_all();
	sleeps_well();
	model_alert(&bench.function, "is being unplugged");
	kernel_is_answered_all(100, n, -EIO, 0);
	kernel_gets_nothing(50);
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, -EIO, 0);
	shutdown(bench.kernel, SHUT_WR);
	assert_int_equal(bench_join(), -ENODEV);
	assert_int_equal(bench.refused, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_set_up, bench_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(locks_that_wait_stop_nobody),
		TEST(an_unlock_does_not_wait_behind_locks),
		TEST(a_parked_lock_that_is_given_up_is_not_parked),
		TEST(locks_leave_room_on_the_ring),
		TEST(a_parked_lock_is_not_last_for_ever),
		TEST(forgets_that_are_never_taken_stop_nobody),
		TEST(a_node_waits_once),
		TEST(a_device_that_takes_no_forgets_is_timed_out),
		TEST(a_device_that_takes_forgets_slowly_is_not),
		TEST(what_was_deleted_is_forgotten_at_once),
		TEST(an_interrupt_is_read_where_memory_is_full),
		TEST(a_lane_that_spins_reads_where_memory_is_full),
		TEST(an_unmount_is_heard_where_memory_is_full),
		TEST(a_lost_device_is_answered_for_where_memory_was_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
