/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who uses a mount namespace, from a /proc of the test's own. */
#include "daemon/namespace.h"
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MINE "mnt:[4026532001]"
#define OTHER "mnt:[4026532002]"

static bool no_list; /* /proc can't be listed */
static int error_at; /* of what is asked about process 77 */

/* Where the test has it; NULL: it can't be looked at. */
static const char *moved(const char *path)
{
	if (strncmp(path, "/proc", strlen("/proc")) != 0)
		return path;
	if (error_at && !strncmp(path, "/proc/77/", strlen("/proc/77/"))) {
		errno = error_at;
		return NULL;
	}
	return tree_path(path + 1);
}

ssize_t __real_readlink(const char *path, char *buf, size_t size);
ssize_t __wrap_readlink(const char *path, char *buf, size_t size);
ssize_t __wrap_readlink(const char *path, char *buf, size_t size)
{
	path = moved(path);
	return path ? __real_readlink(path, buf, size) : -1;
}

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_opendir(const char *path)
{
	if (no_list && !strcmp(path, "/proc")) {
		errno = EMFILE;
		return NULL;
	}
	path = moved(path);
	return path ? __real_opendir(path) : NULL;
}

FILE *__real_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode)
{
	path = moved(path);
	return path ? __real_fopen64(path, mode) : NULL;
}

int __real_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st)
{
	path = moved(path);
	return path ? __real_stat64(path, st) : -1;
}

static struct viofs_namespace ns;

/* Process 77 is a shell in another namespace, with nothing of this one. */
static int set_up(void **state)
{
	error_at = 0;
	no_list = false;
	tree_make();
	tree_link("proc/1/ns/mnt", "mnt:[4026531841]");
	tree_link("proc/1/exe", tree_path("init"));
	tree_link("proc/self/ns/mnt", MINE);
	tree_file("daemon", "");
	tree_file("shell", "");
	tree_link("proc/self/exe", tree_path("daemon"));
	tree_dir("proc/sys");
	tree_dir("proc/1/fd");
	tree_file("proc/1/mountinfo", "");
	tree_link("proc/77/ns/mnt", OTHER);
	tree_link("proc/77/exe", tree_path("shell"));
	tree_link("proc/77/fd/0", "/dev/null");
	tree_file("proc/77/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
	viofs_namespace_init(&ns);
	return 0;
}

static int tear_down(void **state)
{
	tree_remove();
	return 0;
}

/* A look as if it were time. */
static bool look(void)
{
	ns.look_at = 0;
	return viofs_namespace_is_unused(&ns);
}

static void is_used(void)
{
	for (int i = 0; i < 5; i++)
		assert_false(look());
	assert_true(ns.watched);
}

static void is_unused(void)
{
	assert_false(look());
	assert_false(look());
	assert_true(look());
	assert_false(ns.watched);
	assert_int_equal(viofs_namespace_time(&ns), -1);
	assert_false(look());
}

static void one_that_nobody_is_in_is_unused_at_the_third_look(void **state)
{
	is_unused();
}

/* Somebody who was not met at first: it is counted from the beginning again. */
static void looks_count_in_a_row(void **state)
{
	assert_false(look());
	assert_false(look());
	tree_link("proc/77/ns/mnt", MINE);
	assert_false(look());
	tree_link("proc/77/ns/mnt", OTHER);
	is_unused();
}

static void a_process_in_it_uses_it(void **state)
{
	tree_link("proc/77/ns/mnt", MINE);
	is_used();
}

static void another_daemon_in_it_does_not(void **state)
{
	tree_link("proc/77/ns/mnt", MINE);
	tree_link("proc/77/exe", tree_path("daemon"));
	is_unused();
}

static void a_descriptor_of_it_is_a_use(void **state)
{
	tree_link("proc/77/fd/9", MINE);
	is_used();
}

static void a_mount_of_it_is_a_use(void **state)
{
	tree_file("proc/77/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
				       "31 22 0:4 " MINE " /run/ns rw - nsfs nsfs rw\n");
	is_used();
}

static void a_mount_of_another_one_is_none(void **state)
{
	tree_file("proc/77/mountinfo", "31 22 0:4 " OTHER " /run/ns rw - nsfs nsfs rw\n");
	is_unused();
}

static void who_cannot_be_looked_at_counts_as_a_user(void **state)
{
	error_at = EACCES;
	is_used();
}

static void who_ends_meanwhile_does_not(void **state)
{
	static const int errors[] = { ENOENT, ESRCH, EINVAL };

	for (int i = 0; i < 3; i++) {
		error_at = errors[i];
		viofs_namespace_init(&ns);
		is_unused();
	}
}

static void the_first_processs_is_not_watched(void **state)
{
	tree_link("proc/1/ns/mnt", MINE);
	viofs_namespace_init(&ns);
	assert_false(ns.watched);
	assert_int_equal(viofs_namespace_time(&ns), -1);
	assert_false(look());
}

static void where_nobody_can_be_looked_for_somebody_may_be_there(void **state)
{
	no_list = true;
	is_used();
	no_list = false;
	is_unused();
}

static void without_proc_nothing_is_watched(void **state)
{
	tree_unlink("proc/1/ns/mnt");
	viofs_namespace_init(&ns);
	assert_false(ns.watched);
}

/* Looks cost something. */
static void a_look_comes_after_two_seconds(void **state)
{
	assert_in_range(viofs_namespace_time(&ns), 1, 2000000000);
	assert_false(viofs_namespace_is_unused(&ns));
	assert_int_equal(ns.unused, 0);
	ns.look_at = 0;
	assert_int_equal(viofs_namespace_time(&ns), 0);
	assert_false(viofs_namespace_is_unused(&ns));
	assert_int_equal(ns.unused, 1);
	assert_in_range(viofs_namespace_time(&ns), 1000000000, 2000000000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_that_nobody_is_in_is_unused_at_the_third_look),
		TEST(looks_count_in_a_row),
		TEST(a_process_in_it_uses_it),
		TEST(another_daemon_in_it_does_not),
		TEST(a_descriptor_of_it_is_a_use),
		TEST(a_mount_of_it_is_a_use),
		TEST(a_mount_of_another_one_is_none),
		TEST(who_cannot_be_looked_at_counts_as_a_user),
		TEST(who_ends_meanwhile_does_not),
		TEST(the_first_processs_is_not_watched),
		TEST(where_nobody_can_be_looked_for_somebody_may_be_there),
		TEST(without_proc_nothing_is_watched),
		TEST(a_look_comes_after_two_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
