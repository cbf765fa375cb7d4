/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How it is known that a process dies. */
#include "daemon/life.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int life[2], ready[2];

/* A process with that thread. Its other descriptors stay open in it. Return: its pid. */
static pid_t start(void)
{
	pid_t pid;

	assert_int_equal(pipe2(life, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		close(life[0]);
		if (viofs_life_start(life[1]) || fcntl(life[1], F_GETFD) >= 0 ||
		    fcntl(ready[1], F_GETFD) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(life[1]);
	close(ready[1]);
	return pid;
}

static void end(void)
{
	close(life[0]);
	close(ready[0]);
}

static bool has_ended(int timeout_ms)
{
	struct pollfd p = { .fd = life[0], .events = POLLIN };

	return poll(&p, 1, timeout_ms) > 0;
}

static void wait_until_it_has_begun(void)
{
	char c;

	assert_int_equal(read(ready[0], &c, 1), 1);
}

static void the_pipe_ends_with_the_process(void **state)
{
	pid_t pid = start();

	wait_until_it_has_begun();
	assert_false(has_ended(0));
	assert_false(viofs_life_is_stuck(pid));
	kill(pid, SIGKILL);
	assert_true(has_ended(-1));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	end();
}

/* How many descriptors a thread has. */
static int count(pid_t pid, const char *tid)
{
	char path[300];
	struct dirent *e;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/fd", (int)pid, tid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void one_thread_has_it_and_nothing_else(void **state)
{
	pid_t pid = start();
	int threads = 0, with_one = 0;
	char path[64];
	struct dirent *e;
	DIR *dir;

	wait_until_it_has_begun();
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		threads++;
		with_one += count(pid, e->d_name) == 1;
	}
	closedir(dir);
	assert_int_equal(threads, 2);
	assert_int_equal(with_one, 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	end();
}

/* It waits, but would go on. */
static void one_that_is_stopped_is_not_stuck(void **state)
{
	pid_t pid = start();
	int status;

	wait_until_it_has_begun();
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_false(viofs_life_is_stuck(pid));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	end();
}

static void the_dead_do_not_come_back(void **state)
{
	siginfo_t info;
	pid_t pid = start();

	wait_until_it_has_begun();
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(viofs_life_is_stuck(pid));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(viofs_life_is_stuck(pid));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_pipe_ends_with_the_process),
		cmocka_unit_test(one_thread_has_it_and_nothing_else),
		cmocka_unit_test(one_that_is_stopped_is_not_stuck),
		cmocka_unit_test(the_dead_do_not_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
