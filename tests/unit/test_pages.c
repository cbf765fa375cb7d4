/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hugepages on top of the pool: the system's limit is raised for a moment, and never left so. */
#include "base/run.h"
#include "base/util.h"
#include "base/page.h"
#include "dma/pages.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE (2 * VIOFS_HUGEPAGE_SIZE)
#define LIMIT "nr_overcommit_hugepages"

/* The kernel's side. */
static uint64_t surplus;
static bool no_pages;           /* whatever the limit is */
static unsigned int killed_at;  /* who makes the so-many-th call that matters ends before it */
static const char *set_between; /* by somebody else, while pages are taken */

int __real_viofs_text_read_u64(const char *path, uint64_t *value);
int __real_memfd_create(const char *name, unsigned int flags);
int __wrap_viofs_text_read_u64(const char *path, uint64_t *value);
int __wrap_viofs_text_write(const char *path, const char *text);
int __wrap_memfd_create(const char *name, unsigned int flags);

static void may_be_killed(void)
{
	if (killed_at && !--killed_at)
		_exit(0);
}

static uint64_t limit(void)
{
	return strtoull(tree_read(LIMIT), NULL, 10);
}

int __wrap_viofs_text_read_u64(const char *path, uint64_t *value)
{
	if (strstr(path, LIMIT))
		*value = limit();
	else if (strstr(path, "surplus_hugepages"))
		*value = surplus;
	else
		return -ENOENT;
	return 0;
}

int __wrap_viofs_text_write(const char *path, const char *text)
{
	may_be_killed();
	assert_non_null(strstr(path, LIMIT));
	tree_file(LIMIT, text);
	return 0;
}

int __wrap_memfd_create(const char *name, unsigned int flags)
{
	may_be_killed();
	if (!(flags & MFD_HUGETLB))
		return __real_memfd_create(name, flags);
	if (no_pages || surplus + SIZE / VIOFS_HUGEPAGE_SIZE > limit()) {
		errno = ENOMEM;
		return -1;
	}
	if (set_between)
		tree_file(LIMIT, set_between);
	return __real_memfd_create(name, flags & (MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

static int set_up(void **state)
{
	static char dir[PATH_MAX]; /* kept, not copied, by its user */

	surplus = 3;
	no_pages = false;
	killed_at = 0;
	set_between = NULL;
	tree_make();
	tree_file(LIMIT, "1");
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

static void get_pages(void)
{
	void *map;
	int fd = viofs_hugepages_memfd(SIZE, &map);

	assert_true(fd >= 0);
	munmap(map, SIZE);
	close(fd);
}

static void is_as_before(void)
{
	assert_int_equal(limit(), 1);
	assert_false(tree_exists("run"));
}

static void the_limit_is_raised_and_put_back(void **state)
{
	get_pages();
	is_as_before();
}

static void it_is_put_back_where_there_are_none(void **state)
{
	void *map;

	no_pages = true;
	assert_int_equal(viofs_hugepages_memfd(SIZE, &map), -ENOMEM);
	is_as_before();
}

static void what_others_set_meanwhile_stays(void **state)
{
	set_between = "77";
	get_pages();
	assert_int_equal(limit(), 77);
}

/* Return: was it killed? */
static bool be_killed(unsigned int at)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		killed_at = at;
		get_pages();
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status) == 0;
}

static void who_is_killed_at_any_step_leaves_what_is_put_back(void **state)
{
	unsigned int at = 1, raised = 0;

	for (; be_killed(at); at++) {
		raised += limit() != 1;
		viofs_hugepages_settle();
		is_as_before();
		assert_true(be_killed(at));
		get_pages();
		is_as_before();
	}
	/* memfd, raise, memfd, lower; the last two with the limit raised */
	assert_int_equal(at, 5);
	assert_int_equal(raised, 2);
}

static void a_note_that_is_old_changes_nothing(void **state)
{
	assert_true(be_killed(4));
	tree_file(LIMIT, "9");
	viofs_hugepages_settle();
	assert_int_equal(limit(), 9);
	assert_false(tree_exists("run"));
}

/* Nor is anybody's note taken away while he needs it. */
static void another_that_hangs_is_not_waited_for_for_ever(void **state)
{
	int64_t start = viofs_now_ns();
	int lock = viofs_run_lock("hugepages", 0);
	void *map;

	viofs_hugepages_settle();
	assert_int_equal(viofs_hugepages_memfd(SIZE, &map), -ENOMEM);
	assert_true(viofs_now_ns() - start < 4 * VIOFS_NSEC_PER_SEC);
	assert_int_equal(limit(), 1);
	assert_true(tree_exists("run/hugepages"));
	viofs_run_remove("hugepages", lock);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_limit_is_raised_and_put_back),
		TEST(it_is_put_back_where_there_are_none),
		TEST(what_others_set_meanwhile_stays),
		TEST(who_is_killed_at_any_step_leaves_what_is_put_back),
		TEST(a_note_that_is_old_changes_nothing),
		TEST(another_that_hangs_is_not_waited_for_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
