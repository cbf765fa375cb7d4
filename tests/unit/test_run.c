/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locks and notes in /run/virtiofs-vfio, here in a tree of the test's own. */
#include "base/run.h"
#include "base/util.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int set_up(void **state)
{
	static char dir[PATH_MAX]; /* kept, not copied, by its user */

	tree_make();
	snprintf(dir, sizeof(dir), "%s", tree_path("run"));
	viofs_run_set_dir(dir);
	return 0;
}

static int tear_down(void **state)
{
	viofs_run_set_dir(NULL);
	tree_remove();
	return 0;
}

static int lock_it(void)
{
	int lock = viofs_run_lock("it", 0);

	assert_true(lock >= 0);
	return lock;
}

static void one_has_a_lock_and_nothing_is_left(void **state)
{
	int lock;

	assert_int_equal(viofs_run_is_locked("it"), -ENOENT);
	lock = lock_it();
	assert_int_equal(viofs_run_is_locked("it"), 1);
	assert_int_equal(viofs_run_lock("it", 50), -EBUSY);
	assert_true(fcntl(lock, F_GETFD) & FD_CLOEXEC);
	viofs_run_remove("it", lock);
	assert_false(tree_exists("run"));
	lock = lock_it();
	close(lock);
	assert_int_equal(viofs_run_is_locked("it"), 0);
}

static void only_root_can_open_it(void **state)
{
	mode_t mask = umask(0);
	struct stat st;
	int lock = lock_it();

	umask(mask);
	assert_int_equal(stat(tree_path("run/it"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(tree_path("run"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	viofs_run_remove("it", lock);
}

/* In a child, as it is chosen once: where an ordinary user has it with this XDG_RUNTIME_DIR. */
static void users_have(const char *own, const char *dir)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		viofs_run_set_dir(NULL);
		if (!geteuid() && setresuid(65534, 65534, 65534))
			_exit(1);
		if (own ? setenv("XDG_RUNTIME_DIR", own, 1) : unsetenv("XDG_RUNTIME_DIR"))
			_exit(1);
		_exit(strcmp(viofs_run_dir(), dir) ? 2 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void ordinary_users_have_a_folder_of_their_own(void **state)
{
	char longest[258] = "/", dir[sizeof(longest) + sizeof(VIOFS_RUN_NAME)];

	users_have("/run/user/7", "/run/user/7" VIOFS_RUN_NAME);
	users_have(NULL, VIOFS_RUN_DIR);
	users_have("relative", VIOFS_RUN_DIR);
	memset(longest + 1, 'x', 255);
	snprintf(dir, sizeof(dir), "%s" VIOFS_RUN_NAME, longest);
	users_have(longest, dir);
	/* Files in it could have no names. */
	memset(longest + 1, 'x', 256);
	users_have(longest, VIOFS_RUN_DIR);
}

/* A worker has it too. */
static void who_has_the_lock_cannot_write_by_it(void **state)
{
	int lock = lock_it();

	assert_int_equal(fcntl(lock, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(write(lock, "x", 1), -1);
	assert_int_equal(ftruncate(lock, 0), -1);
	assert_int_equal(viofs_run_write("it", lock, "longer text\n"), 0);
	assert_int_equal(viofs_run_write("it", lock, "text\n"), 0);
	assert_string_equal(tree_read("run/it"), "text\n");
	viofs_run_remove("it", lock);
}

static void a_lock_outlives_who_took_it(void **state)
{
	int lock = lock_it(), gate[2];
	pid_t pid;

	assert_int_equal(pipe(gate), 0);
	pid = fork();
	if (!pid) {
		char c;

		close(gate[1]);
		_exit(read(gate[0], &c, 1) != 0);
	}
	close(gate[0]);
	close(lock);
	assert_int_equal(viofs_run_is_locked("it"), 1);
	close(gate[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(viofs_run_is_locked("it"), 0);
}

static void a_file_that_was_removed_is_not_written_to(void **state)
{
	int lock = lock_it(), other;

	tree_unlink("run/it");
	assert_int_equal(viofs_run_write("it", lock, "x"), -ESTALE);
	other = lock_it();
	assert_int_equal(viofs_run_write("it", lock, "x"), -ESTALE);
	assert_string_equal(tree_read("run/it"), "");
	close(lock);
	viofs_run_remove("it", other);
}

static void a_link_is_not_followed(void **state)
{
	tree_file("victim", "text");
	tree_link("run/it", tree_path("victim"));
	assert_int_equal(viofs_run_lock("it", 0), -ELOOP);
	assert_string_equal(tree_read("victim"), "text");
}

/* Nor is it waited for, for ever. */
static void a_folder_that_leads_nowhere_is_an_error(void **state)
{
	tree_link("run", tree_path("nowhere"));
	assert_int_equal(viofs_run_lock("it", 0), -ESTALE);
}

/* Nobody is waited for at its other end. */
static void what_is_no_file_is_an_error(void **state)
{
	int lock = lock_it();

	tree_unlink("run/it");
	assert_int_equal(mkfifo(tree_path("run/it"), 0600), 0);
	alarm(10);
	assert_int_equal(viofs_run_is_locked("it"), -EINVAL);
	assert_int_equal(viofs_run_lock("it", 0), -EINVAL);
	assert_true(viofs_run_write("it", lock, "x") < 0);
	alarm(0);
	close(lock);
}

static void why_a_text_is_not_written_is_told(void **state)
{
	int lock = lock_it();
	struct rlimit was, none;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	none = (struct rlimit){ 0, was.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(viofs_run_write("it", lock, "x"), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	signal(SIGXFSZ, SIG_DFL);
	viofs_run_remove("it", lock);
}

/* A path that is cut would be another file's. */
static void a_path_that_does_not_fit_is_none(void **state)
{
	char path[64], little[12];

	viofs_run_set_dir("/somewhere");
	assert_string_equal(viofs_run_path(path, sizeof(path), "it"), "/somewhere/it");
	assert_ptr_equal(viofs_run_path(path, sizeof("/somewhere/it"), "it"), path);
	assert_string_equal(path, "/somewhere/it");
	assert_string_equal(viofs_run_path(path, sizeof("/somewhere/it") - 1, "it"), "");
	assert_string_equal(viofs_run_path(little, sizeof(little), "a-longer-one"), "");
	viofs_run_set_dir(NULL);
	assert_string_equal(viofs_run_path(path, sizeof(path), "it"), VIOFS_RUN_DIR "/it");
}

/* The lock of one that ends meanwhile is waited for, no longer than was said. */
static void a_lock_is_waited_for_as_long_as_is_said(void **state)
{
	int lock = lock_it();
	int64_t start = viofs_now_ns();
	pid_t pid;

	assert_int_equal(viofs_run_lock("it", 100), -EBUSY);
	assert_true(viofs_now_ns() - start >= 100 * VIOFS_NSEC_PER_MSEC);
	assert_true(viofs_now_ns() - start < 5 * VIOFS_NSEC_PER_SEC);
	pid = fork();
	if (!pid) {
		usleep(50000);
		_exit(0); /* the last who has it */
	}
	close(lock);
	lock = viofs_run_lock("it", 30000);
	assert_true(lock >= 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	viofs_run_remove("it", lock);
}

static void an_ordinary_user_has_a_directory_of_his_own(void **state)
{
	int status;
	pid_t pid;

	if (geteuid())
		skip();
	pid = fork();
	if (!pid) {
		viofs_run_set_dir(NULL);
		setenv("XDG_RUNTIME_DIR", "/some/where", 1);
		if (setresuid(65534, 65534, 65534))
			_exit(2);
		_exit(strcmp(viofs_run_dir(), "/some/where/virtiofs-vfio") != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* Root's are where all look. */
	pid = fork();
	if (!pid) {
		viofs_run_set_dir(NULL);
		setenv("XDG_RUNTIME_DIR", "/some/where", 1);
		_exit(strcmp(viofs_run_dir(), VIOFS_RUN_DIR) != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: the directory is chosen once. */
		TEST(an_ordinary_user_has_a_directory_of_his_own),
		TEST(one_has_a_lock_and_nothing_is_left),
		TEST(only_root_can_open_it),
		TEST(ordinary_users_have_a_folder_of_their_own),
		TEST(who_has_the_lock_cannot_write_by_it),
		TEST(a_lock_outlives_who_took_it),
		TEST(a_file_that_was_removed_is_not_written_to),
		TEST(a_link_is_not_followed),
		TEST(a_folder_that_leads_nowhere_is_an_error),
		TEST(a_path_that_does_not_fit_is_none),
		TEST(a_lock_is_waited_for_as_long_as_is_said),
		TEST(what_is_no_file_is_an_error),
		TEST(why_a_text_is_not_written_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
