/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whoever starts the daemon waits until it knows how the start went. */
#include "base/log.h"
#include "base/util.h"
#include "viofs_config.h"
#include "daemon/launch.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FAILURE 32

static int words = -1; /* what the starter says */

static void sink(enum viofs_log_level level, const struct viofs_log_about *about,
		 const char *message)
{
	if (write(words, message, strlen(message)) < 0)
		abort();
}

static void nothing(int signal)
{
}

/* SIGALRM each 2 ms, and no system call goes on by itself after it. */
static void storm(void)
{
	const struct sigaction a = { .sa_handler = nothing };
	const struct itimerval each = { { 0, 2000 }, { 0, 2000 } };

	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &each, NULL);
}

/*
 * A starter, in a child: its exit status, and what it said into @said. What it starts does @start
 * with the descriptor for the outcome.
 */
static int start(void (*begin)(int fd), bool signals, char said[512])
{
	int fds[2], status;
	ssize_t n = 0, got;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		struct viofs_err err;
		int fd;

		words = fds[1];
		viofs_log_set_sink(sink, VIOFS_LOG_ERROR);
		if (signals)
			storm();
		fd = viofs_launch(FAILURE, &err);
		begin(fd);
		_exit(0);
	}
	close(fds[1]);
	/* As long as the pipe is open somebody runs; the starter doesn't wait for its child's end.
	 */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	while ((got = read(fds[0], said + n, (size_t)(511 - n))) > 0)
		n += got;
	said[n] = '\0';
	close(fds[0]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void say_good(int fd)
{
	usleep(30000);
	viofs_launch_outcome(fd, 0, NULL);
}

static void say_bad(int fd)
{
	struct viofs_err err = { .text = "there is no device" };

	viofs_launch_outcome(fd, -ENODEV, &err);
}

static void say_nothing(int fd)
{
	_exit(7);
}

static void be_killed(int fd)
{
	raise(SIGKILL);
}

static void leave_its_session(int fd)
{
	struct viofs_err err = {
		.text = "a session of its own at once or not at all, or systemd's socket is there"
	};
	bool stays = getpgrp() != getpid(), good;

	viofs_launch_leave_session();
	good = stays && getsid(0) == getpid() && !getenv("NOTIFY_SOCKET");
	viofs_launch_outcome(fd, good ? 0 : -EIO, &err);
}

static void let_go_and_say_where(int fd)
{
	struct viofs_err err = { .text = "" };
	char out[64] = "", in[64] = "", here[64] = "";

	viofs_launch_let_go();
	if (readlink("/proc/self/fd/0", in, 63) < 0 || readlink("/proc/self/fd/2", out, 63) < 0 ||
	    !getcwd(here, sizeof(here)))
		abort();
	snprintf(err.text, sizeof(err.text), "%s %s %s", in, out, here);
	viofs_launch_outcome(fd, -EIO, &err);
}

static void a_good_start_is_status_0(void **state)
{
	char said[512];

	assert_int_equal(start(say_good, false, said), 0);
	assert_string_equal(said, "");
}

static void a_bad_one_says_why(void **state)
{
	char said[512];

	assert_int_equal(start(say_bad, false, said), FAILURE);
	assert_string_equal(said, "there is no device");
}

static void who_ends_without_a_word_is_named(void **state)
{
	char said[512];

	assert_int_equal(start(say_nothing, false, said), FAILURE);
	assert_string_equal(said,
			    "The daemon ended at its start with status 7 and has not said why.");
	assert_int_equal(start(be_killed, false, said), FAILURE);
	assert_non_null(strstr(said, "killed at its start by signal 9 (Killed). Has the kernel"));
}

static void no_descriptors_are_an_error_before_there_is_a_daemon(void **state)
{
	struct viofs_err err = { .text = "" };
	struct rlimit old, few;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit){ 3, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(viofs_launch(FAILURE, &err), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_string_equal(err.text, "No pipe: Too many open files.");
}

static void signals_do_not_end_the_wait(void **state)
{
	char said[512];

	assert_int_equal(start(say_good, true, said), 0);
	assert_string_equal(said, "");
}

static void the_child_has_a_session_of_its_own(void **state)
{
	char said[512];

	setenv("NOTIFY_SOCKET", "/nonexistent", 1);
	assert_int_equal(start(leave_its_session, false, said), 0);
	unsetenv("NOTIFY_SOCKET");
}

static void nothing_of_the_terminal_is_kept(void **state)
{
	char said[512];

	assert_int_equal(start(let_go_and_say_where, false, said), FAILURE);
	assert_string_equal(said, "/dev/null /dev/null /");
}

#if VIOFS_HAVE_SYSTEMD
/* The first word is not the last. */
static void systemd_is_told_each_time(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "/tmp/viofs-notify.XXXXXX" };
	const char *const states[] = { "READY=1", "STOPPING=1" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), made = mkstemp(at.sun_path);
	char got[64];

	assert_true(fd >= 0 && made >= 0);
	close(made);
	unlink(at.sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(states); i++) {
		ssize_t n;

		viofs_launch_tell_systemd(states[i]);
		n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
		assert_true(n > 0);
		got[n] = '\0';
		assert_string_equal(got, states[i]);
	}
	unsetenv("NOTIFY_SOCKET");
	unlink(at.sun_path);
	close(fd);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_start_is_status_0),
		cmocka_unit_test(a_bad_one_says_why),
		cmocka_unit_test(who_ends_without_a_word_is_named),
		cmocka_unit_test(no_descriptors_are_an_error_before_there_is_a_daemon),
		cmocka_unit_test(signals_do_not_end_the_wait),
		cmocka_unit_test(the_child_has_a_session_of_its_own),
		cmocka_unit_test(nothing_of_the_terminal_is_kept),
#if VIOFS_HAVE_SYSTEMD
		cmocka_unit_test(systemd_is_told_each_time),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
