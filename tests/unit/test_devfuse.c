/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The /dev/fuse channel on sockets and on descriptors that refuse: what the callers are told. */
#include "base/uapi.h"
#include "kernel/devfuse.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int pair[2];

int __real_poll(struct pollfd *fds, nfds_t count, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int ms)
{
	assert_int_equal(ms, 0); /* nobody may be held up here */
	return __real_poll(fds, count, ms);
}

static int set_up(void **state)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state)
{
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static void a_request_is_read_over_all_its_pieces(void **state)
{
	char first[4], second[16];
	struct iovec iov[2] = { { first, sizeof(first) }, { second, sizeof(second) } };

	assert_int_equal(viofs_devfuse_read(pair[0], iov, 2), -EAGAIN);
	assert_int_equal(write(pair[1], "0123456789", 10), 10);
	assert_int_equal(viofs_devfuse_read(pair[0], iov, 2), 10);
	assert_memory_equal(first, "0123", 4);
	assert_memory_equal(second, "456789", 6);
}

static void the_end_of_the_file_is_an_unmount(void **state)
{
	char buf[16];
	struct iovec iov = { buf, sizeof(buf) };

	shutdown(pair[1], SHUT_WR);
	assert_int_equal(viofs_devfuse_read(pair[0], &iov, 1), -ENODEV);
}

static void errors_of_reading_are_passed_on(void **state)
{
	char buf[16];
	struct iovec iov = { buf, sizeof(buf) };
	int fd = open("/", O_RDONLY | O_CLOEXEC);

	assert_int_equal(viofs_devfuse_read(fd, &iov, 1), -EISDIR);
	close(fd);
}

static void a_reply_says_its_length(void **state)
{
	struct fuse_out_header head = { .unique = 6 }, got[2];
	struct iovec iov[2] = { { &head, sizeof(head) }, { (char[]){ "data" }, 4 } };

	assert_int_equal(viofs_devfuse_reply(pair[0], iov, 2), 0);
	assert_int_equal(read(pair[1], got, sizeof(got)), 20);
	assert_int_equal(got[0].len, 20);
	assert_int_equal(got[0].unique, 6);
	assert_memory_equal(&got[1], "data", 4);
}

static void an_error_is_a_header_alone(void **state)
{
	struct fuse_out_header got[2];

	assert_int_equal(viofs_devfuse_error(pair[0], 8, -ENOSYS), 0);
	assert_int_equal(read(pair[1], got, sizeof(got)), 16);
	assert_int_equal(got[0].len, 16);
	assert_int_equal(got[0].error, -ENOSYS);
	assert_int_equal(got[0].unique, 8);
}

/* Every write(2) to a timerfd is EINVAL. */
static void a_reply_that_is_refused_is_said(void **state)
{
	struct fuse_out_header head = { .unique = 6 };
	struct iovec iov = { &head, sizeof(head) };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	assert_int_equal(viofs_devfuse_reply(fd, &iov, 1), -EINVAL);
	assert_int_equal(viofs_devfuse_error(fd, 6, 0), -EINVAL);
	close(fd);
	assert_int_equal(viofs_devfuse_reply(fd, &iov, 1), -EBADF);
	assert_int_equal(viofs_devfuse_error(fd, 6, 0), -EBADF);
}

/* Whoever serves @fd, stopped: an answer by that process can come from one that runs only. */
static pid_t start_and_stop(int fd)
{
	char request[8];
	struct iovec iov = { request, sizeof(request) };
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (viofs_devfuse_defy_stops(fd))
			_exit(1);
		raise(SIGSTOP);
		while (viofs_devfuse_read(fd, &iov, 1) == -EAGAIN)
			poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);
		_exit(viofs_devfuse_error(fd, 2, -EIO) ? 2 : 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

static void a_request_continues_who_was_stopped(void **state)
{
	pid_t pid = start_and_stop(pair[0]);
	struct fuse_out_header got;
	int status;

	assert_int_equal(write(pair[1], "request", 8), 8);
	assert_int_equal(__real_poll(&(struct pollfd){ .fd = pair[1], .events = POLLIN }, 1, 20000),
			 1);
	assert_int_equal(read(pair[1], &got, sizeof(got)), sizeof(got));
	assert_int_equal(got.error, -EIO);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* What else was set stays. */
	assert_true(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
}

static void who_can_have_no_signals_is_told(void **state)
{
	assert_int_equal(viofs_devfuse_defy_stops(-1), -EBADF);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_read_over_all_its_pieces),
		TEST(the_end_of_the_file_is_an_unmount),
		TEST(errors_of_reading_are_passed_on),
		TEST(a_reply_says_its_length),
		TEST(an_error_is_a_header_alone),
		TEST(a_reply_that_is_refused_is_said),
		TEST(a_request_continues_who_was_stopped),
		TEST(who_can_have_no_signals_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
