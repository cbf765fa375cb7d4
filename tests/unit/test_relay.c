/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay from end to end with a device that behaves: data, order, parking, FORGET, INTERRUPT,
 * end. */
#include "relay_bench.h"

#include "base/ticks.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static void init_is_agreed_between_three(void **state)
{
	const struct fuse_init_in *sent;
	const struct fuse_init_out *out;
	const struct model_request *r;
	const struct answer *a;

	bench_start();
	kernel_sends_init(2);
	a = kernel_is_answered(2, 0, 64);
	out = (const void *)a->payload;
	assert_int_equal(out->major, 7);
	assert_int_equal(out->minor, 38);
	assert_int_equal(out->max_write, 131072);
	assert_int_equal(out->max_pages, 32);
	assert_int_equal(out->max_background, bench.config.slots / 2);
	assert_int_equal(out->flags, FUSE_MAX_PAGES | FUSE_INIT_EXT | FUSE_SETXATTR_EXT |
					     FUSE_POSIX_LOCKS | FUSE_ASYNC_READ | FUSE_ABORT_ERROR);
	assert_int_equal(out->flags2, 0);

	r = model_device_wait(&bench.device, FUSE_INIT, 1);
	assert_non_null(r);
	sent = (const void *)(r->message + sizeof(struct fuse_in_header));
	assert_int_equal(r->readable, 2);
	assert_int_equal(r->readable_len[1], 64);
	assert_int_equal(r->writable, 2);
	assert_int_equal(r->writable_len[1], 64);
	assert_int_equal(sent->flags & FUSE_INIT_EXT, FUSE_INIT_EXT);
	assert_int_equal(sent->flags2, 0); /* OVER_IO_URING is not the device's */
	bench_end();
	assert_true(bench.ready);
}

static void old_init_replies_are_taken(void **state)
{
	static const uint32_t lens[] = { 8, 24 };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(lens); i++) {
		bench_start();
		bench.device.init_bytes = lens[i];
		kernel_sends_init(2);
		kernel_is_answered(2, 0, 64);
		kernel_sends_getattr(4, 1);
		kernel_is_answered(4, 0, 104);
		bench_end();
		bench_tear_down(state);
		bench_set_up(state);
	}
}

static void attributes_come_from_the_device(void)
{
	for (uint64_t i = 0; i < 50; i++) {
		const struct answer *a;

		kernel_sends_getattr(4 + 2 * i, 1000 + i);
		a = kernel_is_answered(4 + 2 * i, 0, sizeof(struct fuse_attr_out));
		assert_int_equal(((const struct fuse_attr_out *)(const void *)a->payload)->attr.ino,
				 1000 + i);
	}
}

static void reads_and_writes_are_intact(void)
{
	static const uint32_t sizes[] = { 1, 100, 4095, 4096, 4097, 5000, 65536, 131071, 131072 };
	uint64_t unique = 1000;

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(sizes); i++) {
		const struct answer *a;

		kernel_sends_read(unique, 5, 12345, sizes[i]);
		a = kernel_is_answered(unique, 0, sizes[i]);
		for (uint32_t j = 0; j < sizes[i]; j++)
			if (a->payload[j] != model_device_byte(5, 12345 + j))
				fail_msg("byte %u of %u is wrong", j, sizes[i]);
		unique += 2;
		/* the device compares the data itself */
		kernel_sends_write(unique, 6, 54321, sizes[i]);
		a = kernel_is_answered(unique, 0, 8);
		assert_int_equal(((const struct fuse_write_out *)(const void *)a->payload)->size,
				 sizes[i]);
		unique += 2;
	}
}

static void round_trips(enum viofs_poll poll)
{
	bench.config.poll = poll;
	bench_serve();
	attributes_come_from_the_device();
	reads_and_writes_are_intact();
	bench_end();
	assert_int_equal(bench_stats()->bytes_read, bench_stats()->bytes_written);
	assert_int_equal(bench_stats()->faults, 0);
}

static void round_trips_adaptive(void **state)
{
	round_trips(VIOFS_POLL_ADAPTIVE);
}

static void round_trips_busy(void **state)
{
	round_trips(VIOFS_POLL_BUSY);
	assert_int_equal(bench_stats()->sleeps, 0);
}

static void round_trips_by_interrupt(void **state)
{
	round_trips(VIOFS_POLL_IRQ);
	assert_true(bench_stats()->sleeps > 0);
	assert_true(bench_stats()->queues[1].interrupts > 0);
}

static void round_trips_without_event_idx(void **state)
{
	bench.features &= ~VIOFS_VIRTIO_F_EVENT_IDX;
	round_trips(VIOFS_POLL_IRQ);
	assert_true(bench_stats()->queues[1].interrupts > 0);
}

static void round_trips_without_indirect_descriptors(void **state)
{
	bench.features &= ~VIOFS_VIRTIO_F_INDIRECT_DESC;
	round_trips(VIOFS_POLL_ADAPTIVE);
}

/* No vectors: completions are looked for by time. */
static void round_trips_without_vectors(void **state)
{
	bench.config.poll = VIOFS_POLL_IRQ;
	bench_start();
	bench.fs->vectors = 0;
	for (unsigned int q = 0; q < 2; q++)
		bench.function.queues[q].vector = MODEL_NO_VECTOR;
	kernel_sends_init(2);
	kernel_is_answered(2, 0, 64);
	attributes_come_from_the_device();
	bench_end();
	assert_int_equal(bench_stats()->queues[1].interrupts, 0);
}

static void request_queues_take_turns(void **state)
{
	bench.request_queues = 3;
	bench_serve();
	attributes_come_from_the_device();
	bench_end();
	for (unsigned int q = 1; q <= 3; q++)
		assert_in_range(bench_stats()->queues[q].requests, 15, 19);
}

static void nothing_to_do_is_sleep(void **state)
{
	uint64_t sleeps;

	bench_serve();
	usleep(50000);
	sleeps = bench_stats()->sleeps;
	assert_true(sleeps > 0);
	usleep(300000);
	assert_int_equal(bench_stats()->sleeps, sleeps);
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104);
	bench_end();
}

/* Has the relay gone to sleep since @before, within @ms? */
static bool sleeps_again(uint64_t before, int ms)
{
	for (; ms > 0; ms--) {
		if (bench_stats()->sleeps > before)
			return true;
		usleep(1000);
	}
	return false;
}

/* A GETATTR whose answer takes @ms, unless it is slept for. Return: was it? */
static bool is_slept_for(uint64_t unique, int ms)
{
	uint64_t before = bench_stats()->sleeps;
	bool sleeps;

	bench_hold(FUSE_GETATTR);
	kernel_sends_getattr(unique, 1);
	sleeps = sleeps_again(before, ms);
	model_device_release(&bench.device, 0);
	kernel_is_answered(unique, 0, 104);
	return sleeps;
}

/* Times that a thread of this process was taken its CPU from. */
static long switches(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_nivcsw;
}

/*
 * spin= is 100 ms here: five times as long without a request is long, and an answer is spun for for
 * 1 s. Where others want the CPU it is right to sleep, and not to spin for 20 ms, so what counts is
 * what happens where they didn't, not in the 25 ms before either.
 */
static void a_long_sleep_ends_spinning_and_a_short_one_brings_it_back(void **state)
{
	unsigned int calm = 0;
	bool slept = true;

	bench.config.spin_us = 100000;
	bench_serve();
	usleep(800000);
	assert_true(is_slept_for(4, 600));
	for (uint64_t unique = 6; slept && unique < 200; unique += 2) {
		long before = switches();

		usleep(25000);
		slept = is_slept_for(unique, 40);
		calm += switches() == before;
	}
	bench_end();
	if (slept && calm < 10) {
		print_message("others want the CPU: spinning can't be seen here\n");
		skip();
	}
	assert_false(slept);
}

/* Times that the CPU was offered to others: the relay's calls come here. */
static _Atomic unsigned int yields;

int sched_yield(void)
{
	yields++;
	return (int)syscall(SYS_sched_yield);
}

/* Return: did the relay offer its CPU to others within @ms? */
static bool yields_again(unsigned int before, int ms)
{
	for (int i = 0; i < ms && yields == before; i++)
		usleep(1000);
	return yields != before;
}

/* Whoever is to ask next may need the CPU; an answer is waited for without a break. */
static void a_cpu_is_offered_while_nobody_has_asked(void **state)
{
	unsigned int before;

	bench.config.poll = VIOFS_POLL_BUSY;
	bench_serve();
	assert_true(yields_again(yields, 5000));
	bench_hold(FUSE_GETATTR);
	kernel_sends_getattr(4, 1);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, 1));
	before = yields;
	assert_false(yields_again(before, 50));
	model_device_release(&bench.device, 0);
	kernel_is_answered(4, 0, 104);
	assert_true(yields_again(before, 5000));
	bench_end();
}

static void errors_of_the_device_reach_the_kernel(void **state)
{
	bench_serve();
	kernel_sends(FUSE_LOOKUP, 4, 1, "none", 5, NULL, 0);
	kernel_is_answered(4, -ENOENT, 0);
	bench_end();
	assert_int_equal(bench_stats()->errors, 1);
	assert_int_equal(bench_stats()->faults, 0);
}

static void xattrs_of_64_kib_go_both_ways(void **state)
{
	struct fuse_setxattr_in set = { .size = 65536 };
	struct fuse_getxattr_in get = { .size = 65536 };
	uint8_t *rest = malloc(10 + 65536);
	const struct answer *a;

	memcpy(rest, "user.name", 10);
	for (uint32_t i = 0; i < 65536; i++)
		rest[10 + i] = model_device_byte(9, i);
	bench_serve();
	kernel_sends(FUSE_SETXATTR, 4, 1, &set, sizeof(set), rest, 10 + 65536);
	kernel_is_answered(4, 0, 0);
	/* name and value in one piece */
	assert_int_equal(model_device_wait(&bench.device, FUSE_SETXATTR, 1)->readable, 2);
	kernel_sends(FUSE_GETXATTR, 6, 1, &get, sizeof(get), "user.name", 10);
	a = kernel_is_answered(6, 0, 65536);
	for (uint32_t i = 0; i < 65536; i++)
		assert_int_equal(a->payload[i], model_device_byte(7, i));
	get.size = 0;
	kernel_sends(FUSE_GETXATTR, 8, 1, &get, sizeof(get), "user.name", 10);
	kernel_is_answered(8, 0, 8);
	free(rest);
	bench_end();
}

static void open_flags_are_stripped(void **state)
{
	struct fuse_open_in in = { 0 };
	const struct answer *a;

	bench_serve();
	kernel_sends(FUSE_OPEN, 4, 1, &in, sizeof(in), NULL, 0);
	a = kernel_is_answered(4, 0, 16);
	assert_int_equal(((const struct fuse_open_out *)(const void *)a->payload)->open_flags,
			 FOPEN_KEEP_CACHE);
	bench_end();
	assert_true(bench_stats()->quirks & VIOFS_QUIRK_OPEN_FLAGS);
}

static void what_must_not_be_forwarded_is_answered_here(void **state)
{
	unsigned int before;

	bench_serve();
	before = model_device_count(&bench.device, 0);
	kernel_sends(99, 4, 1, "xxxxxxxx", 8, NULL, 0);
	kernel_is_answered(4, -ENOSYS, 0);
	kernel_sends(FUSE_SETUPMAPPING, 6, 1, NULL, 0, NULL, 0);
	kernel_is_answered(6, -ENOSYS, 0);
	kernel_sends(FUSE_GETATTR, 8, 1, "short", 5, NULL, 0);
	kernel_is_answered(8, -EIO, 0);
	/* more than INIT agreed on */
	kernel_sends_read(10, 1, 0, 131072 + 1);
	kernel_is_answered(10, -EIO, 0);
	assert_int_equal(model_device_count(&bench.device, 0), before);
	bench_end();
	assert_int_equal(bench_stats()->refused, 4);
}

static void requests_beyond_the_slots_are_parked_and_lost_none(void **state)
{
	const unsigned int n = 200;

	bench_serve();
	bench_hold(FUSE_GETATTR);
	for (unsigned int i = 0; i < n; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, bench.config.slots));
	kernel_gets_nothing(20);
	assert_int_equal(model_device_count(&bench.device, FUSE_GETATTR), bench.config.slots);
	assert_true(bench_oldest_ns() > 0);
	assert_int_equal(bench_slots_used(), bench.config.slots);
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, n, 0, 104);
	bench_end();
	assert_int_equal(bench_stats()->parked, 0);
	assert_int_equal(bench_stats()->parked_total, n - bench.config.slots);
	assert_int_equal(bench_slots_used(), 0);
	assert_int_equal(bench_oldest_ns(), 0);
}

/* The device has some for 20 ms, and those that are parked meanwhile for much less. */
static void requests_are_timed_in_the_device_and_in_all(void **state)
{
	const unsigned int n = 3 * bench.config.slots;
	uint64_t count[2], ticks[2], held;

	bench_serve();
	bench_hold(FUSE_GETATTR);
	for (unsigned int i = 0; i < n; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, bench.config.slots));
	held = viofs_ticks();
	kernel_gets_nothing(20);
	held = viofs_ticks() - held;
	bench_times(FUSE_GETATTR, count, ticks);
	assert_int_equal(count[0] + count[1], 0);
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, n, 0, 104);
	bench_end();
	bench_times(FUSE_GETATTR, count, ticks);
	assert_int_equal(count[0], n);
	assert_int_equal(count[1], n);
	assert_true(ticks[0] >= held * bench.config.slots);
	/* Two of three were not there yet. */
	assert_true(ticks[1] - ticks[0] >= held * bench.config.slots);
	bench_times(FUSE_READ, count, ticks);
	assert_int_equal(count[0] + count[1] + ticks[0] + ticks[1], 0);
}

static void writes_are_parked_whole(void **state)
{
	const unsigned int n = 12; /* three times the buffers */

	bench_serve();
	bench_hold(FUSE_WRITE);
	for (unsigned int i = 0; i < n; i++)
		kernel_sends_write(100 + 2 * i, i + 1, i * 1000, 60000 + i);
	model_device_wait(&bench.device, FUSE_WRITE, 3);
	usleep(20000);
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, n, 0, 8);
	bench_end();
	assert_true(bench_stats()->parked_total > 0);
}

/* READs lack a buffer for their replies, the small requests behind them do not. */
static void small_requests_overtake_those_that_lack_a_buffer(void **state)
{
	bench_serve();
	bench_hold(FUSE_READ);
	for (unsigned int i = 0; i < 10; i++)
		kernel_sends_read(100 + 2 * i, 5, 0, 8192);
	assert_non_null(model_device_wait(&bench.device, FUSE_READ, 3));
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104);
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, 10, 0, 8192);
	bench_end();
}

static void a_full_ring_holds_up_and_loses_nothing(void **state)
{
	bench.features &= ~VIOFS_VIRTIO_F_INDIRECT_DESC;
	bench.queue_size = 16; /* 4 GETATTRs */
	bench_serve();
	bench_hold(FUSE_GETATTR);
	for (unsigned int i = 0; i < 60; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, 4));
	kernel_gets_nothing(20);
	assert_int_equal(model_device_count(&bench.device, FUSE_GETATTR), 4);
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, 60, 0, 104);
	bench_end();
}

static void forget_passes_a_full_request_queue(void **state)
{
	const struct model_request *r;

	bench_serve();
	bench_hold(FUSE_GETATTR);
	for (unsigned int i = 0; i < 100; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	kernel_sends_forget(6, 4711);
	r = model_device_wait(&bench.device, FUSE_FORGET, 1);
	assert_non_null(r);
	assert_int_equal(((const struct fuse_in_header *)(const void *)r->message)->nodeid, 4711);
	assert_int_equal(r->queue, 0);
	kernel_gets_nothing(5);
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, 100, 0, 104);
	bench_end();
}

/* What has no room goes together where there is some again. */
static void forgets_beyond_the_hiprio_slots_go_as_a_batch(void **state)
{
	bench_serve();
	bench_hold(FUSE_FORGET);
	for (uint64_t i = 0; i < 100; i++)
		kernel_sends_forget(1000 + 2 * i, 4700 + i);
	assert_non_null(model_device_wait(&bench.device, FUSE_FORGET, 16));
	usleep(10000);
	assert_int_equal(device_forgotten(), 16);
	assert_int_equal(bench_stats()->parked, 84);
	model_device_release(&bench.device, 0);
	device_forgets(4700, 100);
	bench_end();
	assert_int_equal(model_device_count(&bench.device, FUSE_BATCH_FORGET), 1);
	assert_int_equal(bench_stats()->forgets, 17);
	assert_int_equal(bench_stats()->parked, 0);
}

static void send_batch(uint32_t count)
{
	struct fuse_batch_forget_in in = { .count = count };
	struct fuse_forget_one *all = calloc(count, sizeof(*all));

	for (uint32_t i = 0; i < count; i++)
		all[i] = (struct fuse_forget_one){ 1000 + i, 1 };
	kernel_sends(FUSE_BATCH_FORGET, 6, 0, &in, sizeof(in), all, count * sizeof(*all));
	free(all);
}

/* Every entry gets to the device once, in pieces of 253 at most. */
static void batch_arrives(uint32_t count)
{
	send_batch(count);
	device_forgets(1000, count);
	kernel_gets_nothing(5);
}

static void a_batch_of_forgets_is_sent_in_pieces(void **state)
{
	bench_serve();
	batch_arrives(545);
	bench_end();
	assert_int_equal(bench_stats()->forgets, 3);
}

/* As much as the read buffer takes, which is more than a data buffer holds. */
static void the_largest_batch_of_forgets_is_not_lost(void **state)
{
	bench_serve();
	batch_arrives(8450);
	bench_end();
	assert_int_equal(bench_stats()->refused, 0);
}

static void an_empty_or_wrong_batch_is_dropped_without_an_answer(void **state)
{
	struct fuse_batch_forget_in in = { .count = 7 };

	bench_serve();
	send_batch(0);
	kernel_sends(FUSE_BATCH_FORGET, 8, 0, &in, sizeof(in), "0123456789abcdef", 16);
	kernel_sends_getattr(10, 1);
	kernel_is_answered(10, 0, 104);
	assert_int_equal(model_device_count(&bench.device, FUSE_BATCH_FORGET), 0);
	bench_end();
}

static void destroy_comes_once_and_last(void **state)
{
	bench_serve();
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104);
	bench_end();
	assert_int_equal(model_device_count(&bench.device, FUSE_DESTROY), 1);
	assert_int_equal(bench.device.requests[bench.device.count - 1].opcode, FUSE_DESTROY);
	assert_int_equal(model_device_count(&bench.device, FUSE_INIT), 1);
}

static void destroy_without_an_answer_ends_all_the_same(void **state)
{
	bench_serve();
	bench_hold(FUSE_DESTROY);
	bench_end();
	assert_int_equal(model_device_count(&bench.device, FUSE_DESTROY), 1);
}

static void what_is_in_flight_at_the_end_is_waited_for(void **state)
{
	bench.config.end_timeout_ms = 5000;
	bench_serve();
	bench_hold(FUSE_RELEASE);
	kernel_sends(FUSE_RELEASE, 4, 1, "012345678901234567890123", 24, NULL, 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_RELEASE, 1));
	shutdown(bench.kernel, SHUT_WR);
	usleep(50000);
	assert_int_equal(model_device_count(&bench.device, FUSE_DESTROY), 0);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_join(), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_DESTROY), 1);
	kernel_is_answered(4, 0, 0); /* nobody cares, but it is the reply's way */
}

static void what_stays_in_flight_gets_no_destroy(void **state)
{
	bench_serve();
	bench_hold(FUSE_RELEASE);
	kernel_sends(FUSE_RELEASE, 4, 1, "012345678901234567890123", 24, NULL, 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_RELEASE, 1));
	bench_end();
	assert_int_equal(model_device_count(&bench.device, FUSE_DESTROY), 0);
}

static void forgets_read_before_the_end_still_get_there(void **state)
{
	bench.config.end_timeout_ms = 5000;
	bench_serve();
	bench_hold(FUSE_FORGET);
	for (uint64_t i = 0; i < 50; i++)
		kernel_sends_forget(1000 + 2 * i, 100 + i);
	assert_non_null(model_device_wait(&bench.device, FUSE_FORGET, 16));
	shutdown(bench.kernel, SHUT_WR);
	usleep(20000);
	model_device_release(&bench.device, 0);
	assert_int_equal(bench_join(), 0);
	device_forgets(100, 50);
	assert_int_equal(bench.device.requests[bench.device.count - 1].opcode, FUSE_DESTROY);
}

/* The root of a whole system: test_devfuse.c has what that is for. */
static void at_a_systems_root_requests_send_a_signal(void **state)
{
	bench.config.serves_root = true;
	bench_serve();
	assert_true(fcntl(bench.relay_fd, F_GETFL) & O_ASYNC);
	assert_int_equal(fcntl(bench.relay_fd, F_GETSIG), SIGCONT);
	assert_int_equal(fcntl(bench.relay_fd, F_GETOWN), getpid());
	bench_end();
}

static void elsewhere_they_send_none(void **state)
{
	bench_serve();
	assert_false(fcntl(bench.relay_fd, F_GETFL) & O_ASYNC);
	bench_end();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_set_up, bench_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(init_is_agreed_between_three),
		TEST(old_init_replies_are_taken),
		TEST(round_trips_adaptive),
		TEST(round_trips_busy),
		TEST(round_trips_by_interrupt),
		TEST(round_trips_without_event_idx),
		TEST(round_trips_without_indirect_descriptors),
		TEST(round_trips_without_vectors),
		TEST(request_queues_take_turns),
		TEST(nothing_to_do_is_sleep),
		TEST(a_long_sleep_ends_spinning_and_a_short_one_brings_it_back),
		TEST(a_cpu_is_offered_while_nobody_has_asked),
		TEST(errors_of_the_device_reach_the_kernel),
		TEST(xattrs_of_64_kib_go_both_ways),
		TEST(open_flags_are_stripped),
		TEST(at_a_systems_root_requests_send_a_signal),
		TEST(elsewhere_they_send_none),
		TEST(what_must_not_be_forwarded_is_answered_here),
		TEST(requests_beyond_the_slots_are_parked_and_lost_none),
		TEST(requests_are_timed_in_the_device_and_in_all),
		TEST(writes_are_parked_whole),
		TEST(small_requests_overtake_those_that_lack_a_buffer),
		TEST(a_full_ring_holds_up_and_loses_nothing),
		TEST(forget_passes_a_full_request_queue),
		TEST(forgets_beyond_the_hiprio_slots_go_as_a_batch),
		TEST(a_batch_of_forgets_is_sent_in_pieces),
		TEST(the_largest_batch_of_forgets_is_not_lost),
		TEST(an_empty_or_wrong_batch_is_dropped_without_an_answer),
		TEST(destroy_comes_once_and_last),
		TEST(destroy_without_an_answer_ends_all_the_same),
		TEST(what_is_in_flight_at_the_end_is_waited_for),
		TEST(what_stays_in_flight_gets_no_destroy),
		TEST(forgets_read_before_the_end_still_get_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
