/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is made of a starter's descriptors, signals and limits: by a child each time. */
#include "daemon/inherit.h"
#include "base/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Run @what in a child. Return: the line that was wrong, 0: none. */
static int in_child(int (*what)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(what());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A child's check: an exit status has 8 bits. */
#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			return __LINE__ % 255 + 1;                                                 \
	} while (0)

static bool is_null(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

static int fill_those_that_are_closed(void)
{
	int pipe_fds[2], next;

	MUST(!pipe2(pipe_fds, O_CLOEXEC));
	for (int closed = 0; closed < 8; closed++) {
		for (int fd = 0; fd <= 2; fd++) {
			MUST(dup2(pipe_fds[1], fd) == fd);
			if (closed >> fd & 1)
				close(fd);
		}
		MUST(!viofs_standard_open());
		for (int fd = 0; fd <= 2; fd++)
			MUST(is_null(fd) == (closed >> fd & 1));
		next = dup(0);
		MUST(next == pipe_fds[1] + 1);
		close(next);
	}
	return 0;
}

static void standard_descriptors_are_open(void **state)
{
	assert_int_equal(in_child(fill_those_that_are_closed), 0);
}

static int have_no_descriptor_left(void)
{
	const struct rlimit none = { 0, 0 };

	close(2);
	MUST(!setrlimit(RLIMIT_NOFILE, &none));
	MUST(viofs_standard_open() == -EMFILE);
	return 0;
}

/* Then the program must not go on. */
static void that_they_cannot_be_opened_is_an_error(void **state)
{
	assert_int_equal(in_child(have_no_descriptor_left), 0);
}

static int close_others(void)
{
	int low = dup(0), high = fcntl(0, F_DUPFD, 700);

	MUST(low > 2 && high >= 700);
	MUST(!viofs_inherit_clean());
	MUST(fcntl(low, F_GETFD) < 0 && fcntl(high, F_GETFD) < 0);
	for (int fd = 0; fd <= 2; fd++)
		MUST(fcntl(fd, F_GETFD) >= 0);
	return 0;
}

static void no_others_are(void **state)
{
	assert_int_equal(in_child(close_others), 0);
}

static bool is_ignored(int number)
{
	struct sigaction now;

	return !sigaction(number, NULL, &now) && now.sa_handler == SIG_IGN;
}

static const int needed[] = { SIGTERM, SIGCHLD };
static const int meant[] = { SIGHUP, SIGINT, SIGQUIT };
static const int harmful[] = { SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO,    SIGPWR,
			       SIGPIPE, SIGXCPU, SIGXFSZ, SIGTTIN,   SIGTTOU, SIGSTKFLT };

static int set_all(void (*disposition)(int))
{
	sigset_t all, now, ends;

	for (int number = 1; number <= SIGRTMAX; number++)
		signal(number, disposition);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	MUST(!viofs_inherit_clean());
	sigprocmask(SIG_BLOCK, NULL, &now);
	viofs_inherit_end_signals(&ends);
	for (int number = 1; number <= SIGRTMAX; number++)
		MUST(!sigismember(&now, number) || number == 32 || number == 33);
	for (size_t i = 0; i < sizeof(needed) / sizeof(int); i++)
		MUST(!is_ignored(needed[i]));
	for (size_t i = 0; i < sizeof(meant) / sizeof(int); i++) {
		MUST(is_ignored(meant[i]) == (disposition == SIG_IGN));
		MUST(sigismember(&ends, meant[i]) == (disposition == SIG_DFL));
	}
	for (size_t i = 0; i < sizeof(harmful) / sizeof(int); i++)
		MUST(is_ignored(harmful[i]) && !sigismember(&ends, harmful[i]));
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		MUST(is_ignored(number));
	MUST(sigismember(&ends, SIGTERM) && !sigismember(&ends, SIGCHLD));
	MUST(disposition == SIG_IGN || !is_ignored(SIGSEGV));
	return 0;
}

static int all_ignored(void)
{
	return set_all(SIG_IGN);
}

static int all_by_default(void)
{
	return set_all(SIG_DFL);
}

static void signals_that_may_be_meant_stay_ignored_and_no_others(void **state)
{
	assert_int_equal(in_child(all_ignored), 0);
	assert_int_equal(in_child(all_by_default), 0);
}

static int modes(void)
{
	umask(0777);
	MUST(!viofs_inherit_clean());
	MUST(umask(0) == 022);
	return 0;
}

static void the_umask_is_ours(void **state)
{
	assert_int_equal(in_child(modes), 0);
}

static int widen(void)
{
	static const struct {
		__rlimit_resource_t resource;
		rlim_t low, enough;
	} limits[] = {
		{ RLIMIT_CPU, 60, RLIM_INFINITY },    { RLIMIT_FSIZE, 4096, RLIM_INFINITY },
		{ RLIMIT_RTTIME, 1, RLIM_INFINITY },  { RLIMIT_NOFILE, 20, 1024 },
		{ RLIMIT_STACK, 1 << 20, 8UL << 20 },
	};
	struct rlimit core = { 0 }, l;

	MUST(!getrlimit(RLIMIT_CORE, &core));
	core.rlim_cur = 0;
	MUST(!setrlimit(RLIMIT_CORE, &core));
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		MUST(!getrlimit(limits[i].resource, &l));
		l.rlim_cur = limits[i].low;
		/* Narrower already, for good. */
		if (l.rlim_cur > l.rlim_max)
			continue;
		MUST(!setrlimit(limits[i].resource, &l));
		viofs_inherit_widen_limits();
		MUST(!getrlimit(limits[i].resource, &l));
		MUST(l.rlim_cur == limits[i].enough || l.rlim_cur == l.rlim_max);
	}
	MUST(!getrlimit(RLIMIT_CORE, &l) && l.rlim_cur == 0);
	/* None is made narrower. */
	MUST(!getrlimit(RLIMIT_NOFILE, &l));
	if (l.rlim_max > 1024) {
		l.rlim_cur = l.rlim_max;
		MUST(!setrlimit(RLIMIT_NOFILE, &l));
		viofs_inherit_widen_limits();
		MUST(!getrlimit(RLIMIT_NOFILE, &l) && l.rlim_cur == l.rlim_max);
	}
	return 0;
}

static void limits_are_as_wide_as_they_may_be(void **state)
{
	assert_int_equal(in_child(widen), 0);
}

/* This program again: see main(). */
static int begin_anew(void)
{
	char name[] = "test", word[] = "tunables", *argv[] = { name, word, NULL };

	MUST(!unsetenv("GLIBC_TUNABLES"));
	viofs_inherit_drop_tunables(argv);
	MUST(!setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=2", 1));
	viofs_inherit_drop_tunables(argv);
	return 1;
}

static void glibcs_tunables_are_dropped(void **state)
{
	assert_int_equal(in_child(begin_anew), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standard_descriptors_are_open),
		cmocka_unit_test(that_they_cannot_be_opened_is_an_error),
		cmocka_unit_test(no_others_are),
		cmocka_unit_test(signals_that_may_be_meant_stay_ignored_and_no_others),
		cmocka_unit_test(the_umask_is_ours),
		cmocka_unit_test(glibcs_tunables_are_dropped),
		cmocka_unit_test(limits_are_as_wide_as_they_may_be),
	};

	if (argc == 2 && !strcmp(argv[1], "tunables"))
		return getenv("GLIBC_TUNABLES") ? 1 : 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
