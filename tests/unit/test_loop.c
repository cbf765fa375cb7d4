/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting for descriptors, by io_uring and by epoll; what is said where there is no io_uring. */
#include "base/log.h"
#include "base/util.h"
#include "loop/loop_uring.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
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
		assert_int_equal(viofs_loop_explain(cases[i].rc, &err), cases[i].rc);
		assert_non_null(strstr(err.text, cases[i].says));
		assert_null(strstr(err.text, cases[i].says_not));
		assert_non_null(strstr(err.text, strerror(-cases[i].rc)));
	}
}

static struct viofs_loop l;
static int counter, pipe_fds[2];

/* Each back end, and io_uring as one thread has it and as several do. */
static const struct {
	enum viofs_loop_kind kind;
	bool alone;
} forms[] = {
	{ VIOFS_LOOP_URING, false },
	{ VIOFS_LOOP_URING, true },
	{ VIOFS_LOOP_EPOLL, false },
};

/* A loop as lanes have it; with a pipe and a counter. Return: false: this kernel has none. */
static bool open_loop(size_t form)
{
	int rc = viofs_loop_open_restricted(&l, forms[form].kind, 0, forms[form].alone);

	if (rc) {
		print_message("no %s here: %s\n", viofs_loop_name(forms[form].kind), strerror(-rc));
		assert_int_not_equal(forms[form].kind, VIOFS_LOOP_EPOLL);
		return false;
	}
	assert_int_equal(viofs_loop_own(&l), 0);
	counter = eventfd(0, 0); /* as lanes have them: to be waited for */
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(viofs_loop_add(&l, pipe_fds[0], VIOFS_LOOP_SHARED), 0);
	assert_int_equal(viofs_loop_add(&l, counter, VIOFS_LOOP_COUNTER), 1);
	assert_false(viofs_loop_has_news(&l));
	return true;
}

static void close_loop(void)
{
	viofs_loop_close(&l);
	assert_null(l.ops);
	assert_false(l.alone);
	viofs_loop_close(&l);
	close(counter);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static uint64_t wakes_by(unsigned int index)
{
	int64_t start = viofs_now_ns();
	uint64_t n = 0;

	alarm(10);
	for (int i = 0; i < 5 && !n; i++) {
		assert_int_equal(viofs_loop_wait(&l, 5 * VIOFS_NSEC_PER_SEC), 0);
		n = viofs_loop_fired(&l, index);
	}
	alarm(0);
	assert_true(n);
	assert_false(viofs_loop_fired(&l, index));
	assert_false(viofs_loop_fired(&l, !index));
	assert_true(viofs_now_ns() - start < 4 * VIOFS_NSEC_PER_SEC);
	return n;
}

/* A wait may end early, with nothing, by a signal or by what is left of a closed io_uring. */
static void times_out(void)
{
	int64_t start = viofs_now_ns();
	int rc = 0;

	for (int i = 0; i < 10 && rc != -ETIME; i++) {
		rc = viofs_loop_wait(&l, 20 * VIOFS_NSEC_PER_MSEC);
		assert_true(rc == 0 || rc == -ETIME);
		assert_false(viofs_loop_fired(&l, 0) || viofs_loop_fired(&l, 1));
	}
	assert_int_equal(rc, -ETIME);
	assert_true(viofs_now_ns() - start >= 19 * VIOFS_NSEC_PER_MSEC);
}

static void each_descriptor_ends_the_wait(size_t form)
{
	bool reads = forms[form].kind == VIOFS_LOOP_URING;
	char c;

	times_out();
	assert_int_equal(viofs_loop_is_silent(&l, 0), reads);
	assert_int_equal(eventfd_write(counter, 3), 0);
	assert_int_equal(wakes_by(1), reads ? 3 : 1);
	/* Once, whether or not it was read. */
	times_out();
	assert_int_equal(eventfd_write(counter, 1), 0);
	assert_int_equal(wakes_by(1), 1);
	times_out();
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	wakes_by(0);
	assert_false(viofs_loop_is_silent(&l, 0));
	/* It is polled, not read; and fires until somebody has read it. */
	wakes_by(0);
	assert_int_equal(read(pipe_fds[0], &c, 1), 1);
	times_out();
}

static void it_waits_until_something_fires_or_the_time_is_over(void **state)
{
	for (size_t form = 0; form < VIOFS_ARRAY_SIZE(forms); form++) {
		if (!open_loop(form))
			continue;
		each_descriptor_ends_the_wait(form);
		close_loop();
	}
}

/* What was signalled before anybody waited is seen, and what fired is forgotten by the next wait.
 */
static void nothing_is_lost_between_waits(void **state)
{
	for (size_t form = 0; form < VIOFS_ARRAY_SIZE(forms); form++) {
		if (!open_loop(form))
			continue;
		assert_int_equal(eventfd_write(counter, 1), 0);
		wakes_by(1);
		assert_int_equal(eventfd_write(counter, 1), 0);
		assert_int_equal(viofs_loop_wait(&l, VIOFS_NSEC_PER_SEC), 0);
		times_out();
		assert_int_equal(viofs_loop_flush(&l), 0);
		assert_int_equal(eventfd_write(counter, 1), 0);
		wakes_by(1);
		close_loop();
	}
}

/* No system call is needed to know that there is nothing. */
static void the_last_wait_knows_what_was_silent(void **state)
{
	char c;

	for (size_t form = 0; form < VIOFS_ARRAY_SIZE(forms); form++) {
		if (!open_loop(form))
			continue;
		assert_false(viofs_loop_was_silent(&l, 0));
		times_out();
		assert_true(viofs_loop_was_silent(&l, 0));
		/* Others fire. */
		assert_int_equal(eventfd_write(counter, 1), 0);
		wakes_by(1);
		assert_true(viofs_loop_was_silent(&l, 0));
		assert_int_equal(write(pipe_fds[1], "x", 1), 1);
		wakes_by(0);
		assert_false(viofs_loop_was_silent(&l, 0));
		assert_int_equal(read(pipe_fds[0], &c, 1), 1);
		/* Nobody asked. */
		viofs_loop_enable(&l, 0, false);
		times_out();
		assert_int_equal(viofs_loop_was_silent(&l, 0), viofs_loop_is_silent(&l, 0));
		close_loop();
	}
}

static void what_is_disabled_or_removed_is_not_waited_for(void **state)
{
	for (size_t form = 0; form < VIOFS_ARRAY_SIZE(forms); form++) {
		if (!open_loop(form))
			continue;
		viofs_loop_enable(&l, 1, false);
		assert_int_equal(eventfd_write(counter, 1), 0);
		times_out();
		viofs_loop_enable(&l, 1, true);
		wakes_by(1);
		viofs_loop_remove(&l, 1);
		assert_int_equal(l.fds[1].fd, -1);
		assert_int_equal(eventfd_write(counter, 1), 0);
		times_out();
		close_loop();
	}
}

/* Somebody else has it open still, as the supervisor has what the worker closes. */
static void what_is_removed_while_it_is_waited_for_stays_away(void **state)
{
	for (size_t form = 0; form < VIOFS_ARRAY_SIZE(forms); form++) {
		int copy;

		if (!open_loop(form))
			continue;
		copy = dup(pipe_fds[0]);
		times_out();
		viofs_loop_remove(&l, 0);
		close(pipe_fds[0]);
		pipe_fds[0] = copy;
		assert_int_equal(write(pipe_fds[1], "x", 1), 1);
		/* io_uring's request for it ends one wait, and is nobody's. */
		viofs_loop_wait(&l, 0);
		assert_false(viofs_loop_fired(&l, 0));
		times_out();
		close_loop();
	}
}

static void another_one_takes_the_place_of_what_was_removed(void **state)
{
	for (size_t form = 0; form < VIOFS_ARRAY_SIZE(forms); form++) {
		int old[2];
		char c;

		if (!open_loop(form))
			continue;
		times_out();
		viofs_loop_remove(&l, 0);
		memcpy(old, pipe_fds, sizeof(old));
		assert_int_equal(pipe(pipe_fds), 0);
		viofs_loop_put(&l, 0, pipe_fds[0]);
		times_out();
		assert_int_equal(write(pipe_fds[1], "x", 1), 1);
		wakes_by(0);
		assert_int_equal(read(pipe_fds[0], &c, 1), 1);
		/* It doesn't take the place again. */
		close(old[0]);
		close(old[1]);
		viofs_loop_wait(&l, 0);
		viofs_loop_fired(&l, 0);
		times_out();
		close_loop();
	}
}

/* Submitted, and whatever has fired taken, with no wait. */
static void flush_fires(unsigned int index, bool fires)
{
	assert_int_equal(viofs_loop_flush(&l), 0);
	assert_int_equal(l.fds[index].has_fired, fires);
}

static void who_never_waits_hears_of_what_is_armed(void **state)
{
	char c;

	for (size_t form = 0; form < VIOFS_ARRAY_SIZE(forms); form++) {
		if (forms[form].kind != VIOFS_LOOP_URING || !open_loop(form))
			continue;
		assert_int_equal(write(pipe_fds[1], "x", 1), 1);
		flush_fires(0, false);
		assert_int_equal(read(pipe_fds[0], &c, 1), 1);
		viofs_loop_arm(&l, 0);
		viofs_loop_arm(&l, 0);
		flush_fires(0, false);
		assert_true(viofs_loop_is_silent(&l, 0));
		assert_false(viofs_loop_is_silent(&l, 1));
		assert_int_equal(write(pipe_fds[1], "x", 1), 1);
		flush_fires(0, true);
		/* It is there still, and nobody has looked yet. */
		viofs_loop_arm(&l, 0);
		assert_false(viofs_loop_is_silent(&l, 0));
		assert_int_equal(viofs_loop_fired(&l, 0), 1);
		viofs_loop_arm(&l, 0);
		flush_fires(0, true);
		assert_int_equal(read(pipe_fds[0], &c, 1), 1);
		assert_int_equal(viofs_loop_fired(&l, 0), 1);
		viofs_loop_enable(&l, 0, false);
		viofs_loop_arm(&l, 0);
		assert_false(viofs_loop_is_silent(&l, 0));
		close_loop();
	}
}

static void who_takes_over_hears_of_everything(void **state)
{
	for (size_t form = 0; form < VIOFS_ARRAY_SIZE(forms); form++) {
		if (!open_loop(form))
			continue;
		times_out(); /* requests for both are under way */
		assert_true(l.fds[0].armed && l.fds[1].armed);
		viofs_loop_adopt(&l);
		assert_false(viofs_loop_is_silent(&l, 0) || viofs_loop_is_silent(&l, 1));
		assert_int_equal(write(pipe_fds[1], "x", 1), 1);
		wakes_by(0);
		close_loop();
	}
}

static void it_takes_as_many_as_there_is_room_for(void **state)
{
	memset(&l, 0, sizeof(l));
	for (int i = 0; i < (int)VIOFS_LOOP_FDS; i++)
		assert_int_equal(viofs_loop_add(&l, 100 + i, VIOFS_LOOP_INPUT), i);
	assert_int_equal(viofs_loop_add(&l, 1, VIOFS_LOOP_COUNTER), -ENOSPC);
	assert_int_equal(l.count, VIOFS_LOOP_FDS);
	for (int i = 0; i < (int)VIOFS_LOOP_FDS; i++)
		assert_int_equal(l.fds[i].fd, 100 + i);
}

/* What the kernel says in place of waiting, so many times. */
static int wait_fails, wait_failures;

int __real_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
					    unsigned int wait_nr, struct __kernel_timespec *ts,
					    sigset_t *mask);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
					    unsigned int wait_nr, struct __kernel_timespec *ts,
					    sigset_t *mask);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
					    unsigned int wait_nr, struct __kernel_timespec *ts,
					    sigset_t *mask)
{
	if (!wait_failures)
		return __real_io_uring_submit_and_wait_timeout(ring, cqe, wait_nr, ts, mask);
	wait_failures--;
	return wait_fails;
}

static void want_of_memory_passes(void **state)
{
	static const int errors[] = { -EAGAIN, -ENOMEM, -EBUSY };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(errors); i++) {
		if (!open_loop(0))
			skip();
		wait_fails = errors[i];
		wait_failures = 3;
		for (int n = 0; n < 3; n++)
			assert_int_equal(viofs_loop_wait(&l, -1), 0);
		assert_int_equal(wait_failures, 0);
		assert_int_equal(eventfd_write(counter, 1), 0);
		wakes_by(1);
		close_loop();
	}
	if (!open_loop(0))
		skip();
	wait_fails = -EBADF;
	wait_failures = 1;
	assert_int_equal(viofs_loop_wait(&l, -1), -EBADF);
	close_loop();
}

/* Does io_uring_setup exist here? */
static int setup_fails;

int __real_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);
int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);
int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags)
{
	return setup_fails ? setup_fails : __real_io_uring_queue_init(entries, ring, flags);
}

static char said[512];

static void note_log(enum viofs_log_level level, const struct viofs_log_about *about,
		     const char *text)
{
	snprintf(said, sizeof(said), "%s", text);
}

static void epoll_is_chosen_where_there_is_no_io_uring(void **state)
{
	enum viofs_loop_kind kind = VIOFS_LOOP_AUTO;
	struct viofs_err err = { .text = "" };

	viofs_log_set_sink(note_log, VIOFS_LOG_INFO);
	setup_fails = -EPERM;
	disabled = 2;
	assert_int_equal(viofs_loop_choose(&kind, false, &err), 0);
	assert_int_equal(kind, VIOFS_LOOP_EPOLL);
	assert_non_null(strstr(said, "epoll is used"));
	assert_non_null(strstr(said, "io_uring_disabled is 2"));
	/* Not where io_uring was asked for, or where entries need it. */
	kind = VIOFS_LOOP_URING;
	assert_int_equal(viofs_loop_choose(&kind, false, &err), -EPERM);
	assert_non_null(strstr(err.text, "io_uring_disabled is 2"));
	kind = VIOFS_LOOP_AUTO;
	assert_int_equal(viofs_loop_choose(&kind, true, &err), -EPERM);
	assert_int_equal(kind, VIOFS_LOOP_AUTO);
	setup_fails = 0;
	kind = VIOFS_LOOP_EPOLL;
	assert_int_equal(viofs_loop_choose(&kind, false, &err), 0);
	assert_int_equal(kind, VIOFS_LOOP_EPOLL);
	if (!open_loop(1))
		skip();
	close_loop();
	/* A filter that lets rings be made, and refuses to wait on them, counts as well. */
	kind = VIOFS_LOOP_AUTO;
	wait_fails = -EPERM;
	wait_failures = 1;
	assert_int_equal(viofs_loop_choose(&kind, false, &err), 0);
	assert_int_equal(kind, VIOFS_LOOP_EPOLL);
	kind = VIOFS_LOOP_AUTO;
	said[0] = '\0';
	assert_int_equal(viofs_loop_choose(&kind, false, &err), 0);
	assert_int_equal(kind, VIOFS_LOOP_URING);
	assert_string_equal(said, "");
}

static void epoll_takes_no_commands(void **state)
{
	assert_int_equal(viofs_loop_open_restricted(&l, VIOFS_LOOP_EPOLL, 1, false), -EINVAL);
	viofs_loop_close(&l);
}

/* By no descriptor at all can anybody wait. */
static void without_descriptors_there_is_no_loop(void **state)
{
	struct rlimit before, none;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(forms); i++) {
		int rc;

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		rc = viofs_loop_open(&l, forms[i].kind);
		setrlimit(RLIMIT_NOFILE, &before);
		/* Where there is no io_uring anyway that may be said first. */
		if (forms[i].kind == VIOFS_LOOP_EPOLL)
			assert_int_equal(rc, -EMFILE);
		assert_true(rc < 0);
		assert_null(l.ops);
		viofs_loop_close(&l);
	}
}

/* Of a regular file there is nothing to be waited for, and epoll takes none. */
static void what_epoll_refuses_is_told(void **state)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_int_equal(viofs_loop_open(&l, VIOFS_LOOP_EPOLL), 0);
	assert_int_equal(viofs_loop_own(&l), 0);
	assert_int_equal(viofs_loop_add(&l, fileno(file), VIOFS_LOOP_INPUT), 0);
	assert_int_equal(viofs_loop_wait(&l, 0), -EPERM);
	viofs_loop_close(&l);
	fclose(file);
}

/* What a ring with no commands refuses is what nobody here needs. */
static void a_restricted_ring_opens_no_file(void **state)
{
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	struct io_uring *ring;

	if (!open_loop(0))
		skip();
	ring = viofs_loop_uring_ring(&l);
	sqe = viofs_loop_uring_command(&l);
	io_uring_prep_openat(sqe, -100, "/dev/null", 0, 0);
	sqe->user_data = 1;
	assert_int_equal(io_uring_submit(ring), 1);
	assert_int_equal(io_uring_wait_cqe(ring, &cqe), 0);
	assert_int_equal(cqe->res, -EACCES);
	io_uring_cqe_seen(ring, cqe);
	close_loop();
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

	if (viofs_loop_open(&l, VIOFS_LOOP_URING)) {
		print_message("no io_uring here\n");
		skip();
	}
	memset(&seen, 0, sizeof(seen));
	viofs_loop_uring_listen(&l, note, &seen);
	assert_int_equal(viofs_loop_flush(&l), 0);
	assert_int_equal(seen.count, 0);
	assert_false(viofs_loop_has_news(&l));
	sqe = viofs_loop_uring_command(&l);
	io_uring_prep_nop(sqe);
	sqe->user_data = 77;
	assert_int_equal(viofs_loop_flush(&l), 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.data, 77);
	assert_int_equal(seen.res, 0);
	/* It ends a wait, too. */
	sqe = viofs_loop_uring_command(&l);
	io_uring_prep_nop(sqe);
	sqe->user_data = 79;
	assert_int_equal(viofs_loop_wait(&l, -1), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.data, 79);
	viofs_loop_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_said_why_there_is_none),
		cmocka_unit_test(it_takes_as_many_as_there_is_room_for),
		cmocka_unit_test(it_waits_until_something_fires_or_the_time_is_over),
		cmocka_unit_test(nothing_is_lost_between_waits),
		cmocka_unit_test(the_last_wait_knows_what_was_silent),
		cmocka_unit_test(who_never_waits_hears_of_what_is_armed),
		cmocka_unit_test(what_is_disabled_or_removed_is_not_waited_for),
		cmocka_unit_test(what_is_removed_while_it_is_waited_for_stays_away),
		cmocka_unit_test(another_one_takes_the_place_of_what_was_removed),
		cmocka_unit_test(who_takes_over_hears_of_everything),
		cmocka_unit_test(want_of_memory_passes),
		cmocka_unit_test(epoll_is_chosen_where_there_is_no_io_uring),
		cmocka_unit_test(epoll_takes_no_commands),
		cmocka_unit_test(without_descriptors_there_is_no_loop),
		cmocka_unit_test(what_epoll_refuses_is_told),
		cmocka_unit_test(a_restricted_ring_opens_no_file),
		cmocka_unit_test(what_a_command_comes_to_is_handed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
