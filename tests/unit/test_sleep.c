/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting for descriptors on an io_uring; what is said where there is none. */
#include "base/util.h"
#include "relay/sleep.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

/* kernel.io_uring_disabled as it is read here, in place of the machine's. */
static uint64_t disabled;

int __wrap_viofs_text_read_u64(const char *path, uint64_t *out);
int __wrap_viofs_text_read_u64(const char *path, uint64_t *out)
{
	assert_string_equal(path, "/proc/sys/kernel/io_uring_disabled");
	*out = disabled;
	return 0;
}

static void it_is_said_why_there_is_none(void **state)
{
	static const struct {
		int rc;
		uint64_t disabled;
		const char *says, *says_not;
	} cases[] = {
		{ -EPERM, 2, "io_uring_disabled is 2", "seccomp" },
		{ -EPERM, 1, "io_uring_disabled is 1", "seccomp" },
		{ -EPERM, 0, "though it is not switched off. A seccomp filter", "is switched off" },
		{ -EACCES, 2, "though it is not switched off. A seccomp filter", "is 2" },
		{ -EACCES, 0, "seccomp", "io_uring_disabled" },
		{ -ENOSYS, 0, "built without it", "ulimit" },
		{ -ENOSYS, 2, "seccomp filter", "io_uring_disabled" },
		{ -EMFILE, 0, "ulimit -n", "seccomp" },
		{ -ENFILE, 0, "ulimit -n", "seccomp" },
		{ -ENOMEM, 2, "io_uring: Cannot allocate memory.", "(" },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++) {
		struct viofs_err err = { .text = "" };

		disabled = cases[i].disabled;
		assert_int_equal(viofs_sleep_say(cases[i].rc, &err), cases[i].rc);
		assert_non_null(strstr(err.text, cases[i].says));
		assert_null(strstr(err.text, cases[i].says_not));
		assert_non_null(strstr(err.text, strerror(-cases[i].rc)));
	}
}

static struct viofs_sleep s;
static int counter, pipe_fds[2];

/* A ring as lanes have it; with a counter and a pipe. */
static void open_ring(bool alone)
{
	int rc = viofs_sleep_init_restricted(&s, 0, alone);

	if (rc) {
		print_message("no io_uring here: %s\n", strerror(-rc));
		skip();
	}
	assert_int_equal(viofs_sleep_own(&s), 0);
	counter = eventfd(0, 0); /* as lanes have them: to be waited for */
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(viofs_sleep_add_shared(&s, pipe_fds[0], true), 0);
	assert_int_equal(viofs_sleep_add(&s, counter, true), 1);
	assert_true(s.fds[0].shared && !s.fds[0].counter);
	assert_true(!s.fds[1].shared && s.fds[1].counter);
}

static void close_ring(void)
{
	viofs_sleep_fini(&s);
	assert_false(s.open || s.alone);
	viofs_sleep_fini(&s);
	close(counter);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void wakes_by(unsigned int index)
{
	int64_t start = viofs_now_ns();

	alarm(10);
	for (int i = 0; i < 5 && !s.fds[index].woke; i++)
		assert_int_equal(viofs_sleep_wait(&s, 5 * VIOFS_NSEC_PER_SEC), 0);
	alarm(0);
	assert_true(s.fds[index].woke);
	assert_false(s.fds[!index].woke);
	assert_true(viofs_now_ns() - start < 4 * VIOFS_NSEC_PER_SEC);
}

static void times_out(void)
{
	int64_t start = viofs_now_ns();
	int rc = viofs_sleep_wait(&s, 20 * VIOFS_NSEC_PER_MSEC);

	/* Where it has submitted something the kernel does not tell. */
	assert_true(rc == 0 || rc == -ETIME);
	assert_true(viofs_now_ns() - start >= 19 * VIOFS_NSEC_PER_MSEC);
	assert_false(s.fds[0].woke || s.fds[1].woke);
}

static void each_descriptor_ends_the_sleep(void)
{
	char c;

	times_out();
	assert_int_equal(eventfd_write(counter, 3), 0);
	wakes_by(1);
	assert_int_equal(s.fds[1].value, 3);
	times_out();
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	wakes_by(0);
	/* It is polled, not read; and fires until somebody has read it. */
	wakes_by(0);
	assert_int_equal(read(pipe_fds[0], &c, 1), 1);
}

static void it_sleeps_until_something_fires_or_the_time_is_over(void **state)
{
	for (int alone = 0; alone < 2; alone++) {
		open_ring(alone);
		each_descriptor_ends_the_sleep();
		close_ring();
	}
}

static void what_is_paused_or_gone_is_not_waited_for(void **state)
{
	open_ring(false);
	s.fds[1].paused = true;
	assert_int_equal(eventfd_write(counter, 1), 0);
	times_out();
	s.fds[1].paused = false;
	wakes_by(1);
	viofs_sleep_remove(&s, 1);
	assert_int_equal(s.fds[1].fd, -1);
	assert_false(s.fds[1].woke);
	assert_int_equal(eventfd_write(counter, 1), 0);
	times_out();
	close_ring();
}

/* Submitted, and whatever has fired taken, with no wait. */
static void flush_fires(unsigned int index, bool fires)
{
	assert_int_equal(viofs_sleep_flush(&s), 0);
	assert_int_equal(s.fds[index].woke, fires);
}

static void who_never_sleeps_hears_of_what_is_armed(void **state)
{
	char c;

	for (int alone = 0; alone < 2; alone++) {
		open_ring(alone);
		assert_int_equal(write(pipe_fds[1], "x", 1), 1);
		flush_fires(0, false);
		assert_int_equal(read(pipe_fds[0], &c, 1), 1);
		viofs_sleep_arm(&s, 0);
		viofs_sleep_arm(&s, 0);
		flush_fires(0, false);
		assert_true(s.fds[0].outstanding);
		assert_false(s.fds[1].outstanding);
		assert_int_equal(write(pipe_fds[1], "x", 1), 1);
		flush_fires(0, true);
		/* It is there still, and nobody has looked yet. */
		viofs_sleep_arm(&s, 0);
		assert_false(s.fds[0].outstanding);
		s.fds[0].woke = false;
		viofs_sleep_arm(&s, 0);
		flush_fires(0, true);
		assert_int_equal(read(pipe_fds[0], &c, 1), 1);
		s.fds[0].woke = false;
		s.fds[0].paused = true;
		viofs_sleep_arm(&s, 0);
		assert_false(s.fds[0].outstanding);
		close_ring();
	}
}

static void who_takes_over_hears_of_everything(void **state)
{
	for (int alone = 0; alone < 2; alone++) {
		open_ring(alone);
		times_out(); /* requests for both are in the ring */
		assert_true(s.fds[0].outstanding && s.fds[1].outstanding);
		viofs_sleep_adopt(&s);
		assert_int_equal(s.epoch, 1);
		assert_ptr_equal(s.ring, s.alone ? &s.spare : &s.first);
		assert_false(s.fds[0].outstanding || s.fds[1].outstanding);
		assert_int_equal(write(pipe_fds[1], "x", 1), 1);
		wakes_by(0);
		close_ring();
	}
}

static void it_takes_as_many_as_there_is_room_for(void **state)
{
	memset(&s, 0, sizeof(s));
	for (int i = 0; i < (int)VIOFS_SLEEP_FDS; i++)
		assert_int_equal(viofs_sleep_add(&s, 100 + i, i % 2), i);
	assert_int_equal(viofs_sleep_add(&s, 1, false), -ENOSPC);
	assert_int_equal(viofs_sleep_add_shared(&s, 1, true), -ENOSPC);
	assert_int_equal(s.count, VIOFS_SLEEP_FDS);
	for (int i = 0; i < (int)VIOFS_SLEEP_FDS; i++) {
		assert_int_equal(s.fds[i].fd, 100 + i);
		assert_int_equal(s.fds[i].counter, i % 2);
	}
}

/* What a ring with no commands refuses is what nobody here needs. */
static void a_restricted_ring_opens_no_file(void **state)
{
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;

	open_ring(false);
	sqe = viofs_sleep_command(&s);
	io_uring_prep_openat(sqe, -100, "/dev/null", 0, 0);
	sqe->user_data = 1;
	assert_int_equal(io_uring_submit(s.ring), 1);
	assert_int_equal(io_uring_wait_cqe(s.ring, &cqe), 0);
	assert_int_equal(cqe->res, -EACCES);
	io_uring_cqe_seen(s.ring, cqe);
	close_ring();
}

static struct {
	unsigned int count;
	uint64_t data;
	int res;
} seen;

static void note(void *arg, uint64_t data, int res)
{
	assert_ptr_equal(arg, &seen);
	seen.count++;
	seen.data = data;
	seen.res = res;
}

static void what_a_command_comes_to_is_handed_over(void **state)
{
	struct io_uring_sqe *sqe;

	if (viofs_sleep_init(&s)) {
		print_message("no io_uring here\n");
		skip();
	}
	memset(&seen, 0, sizeof(seen));
	s.other = note;
	s.other_arg = &seen;
	assert_int_equal(viofs_sleep_flush(&s), 0);
	assert_int_equal(seen.count, 0);
	assert_false(viofs_sleep_has_news(&s));
	sqe = viofs_sleep_command(&s);
	io_uring_prep_nop(sqe);
	sqe->user_data = 77;
	assert_int_equal(viofs_sleep_flush(&s), 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.data, 77);
	assert_int_equal(seen.res, 0);
	/* It ends a sleep, too. */
	sqe = viofs_sleep_command(&s);
	io_uring_prep_nop(sqe);
	sqe->user_data = 79;
	assert_int_equal(viofs_sleep_wait(&s, -1), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.data, 79);
	viofs_sleep_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_said_why_there_is_none),
		cmocka_unit_test(it_takes_as_many_as_there_is_room_for),
		cmocka_unit_test(it_sleeps_until_something_fires_or_the_time_is_over),
		cmocka_unit_test(who_never_sleeps_hears_of_what_is_armed),
		cmocka_unit_test(what_is_paused_or_gone_is_not_waited_for),
		cmocka_unit_test(who_takes_over_hears_of_everything),
		cmocka_unit_test(a_restricted_ring_opens_no_file),
		cmocka_unit_test(what_a_command_comes_to_is_handed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
