/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which process has a node of VFIO's open: files and processes of the test's own. */
#include "tree.h"
#include "vfio/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char node[PATH_MAX];
static pid_t child;

static int set_up(void **state)
{
	char made[PATH_MAX];

	tree_make();
	tree_file("node", "");
	tree_file("node2", "");
	snprintf(made, sizeof(made), "%s", tree_path("node"));
	assert_non_null(realpath(made, node));
	child = 0;
	return 0;
}

static void end_child(void)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	child = 0;
}

static int tear_down(void **state)
{
	if (child)
		end_child();
	tree_remove();
	return 0;
}

/* A process that has @path open, and others before it. */
static void start_child(const char *path)
{
	int gate[2];
	char c;

	assert_int_equal(pipe(gate), 0);
	child = fork();
	if (!child) {
		alarm(60);
		for (int i = 0; i < 5; i++)
			if (open("/dev/null", O_RDONLY) < 0)
				_exit(1);
		if (open(path, O_RDONLY) < 0 || write(gate[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(gate[1]);
	assert_int_equal(read(gate[0], &c, 1), 1);
	close(gate[0]);
}

static void who_has_it_open_is_found(void **state)
{
	assert_int_equal(viofs_vfio_holder(node), 0);
	start_child(node);
	assert_int_equal(viofs_vfio_holder(node), child);
	end_child();
	assert_int_equal(viofs_vfio_holder(node), 0);
}

static void who_asks_is_no_other(void **state)
{
	int fd = open(node, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(viofs_vfio_holder(node), 0);
	start_child(node);
	assert_int_equal(viofs_vfio_holder(node), child);
	close(fd);
}

/* Neither with a longer name nor with a shorter one. */
static void another_node_does_not_count(void **state)
{
	char other[PATH_MAX + 8];

	snprintf(other, sizeof(other), "%s2", node);
	start_child(other);
	assert_int_equal(viofs_vfio_holder(node), 0);
	assert_int_equal(viofs_vfio_holder(other), child);
}

static void the_user_is_told_who_it_is(void **state)
{
	struct viofs_err err = { .text = "" };
	char words[64];

	assert_int_equal(viofs_vfio_busy_err(node, &err), -EBUSY);
	assert_non_null(strstr(err.text, node));
	assert_non_null(strstr(err.text, "most likely by another virtiofs-vfio"));
	assert_null(strstr(err.text, "by process"));
	start_child(node);
	assert_int_equal(viofs_vfio_busy_err(node, &err), -EBUSY);
	snprintf(words, sizeof(words), "is in use by process %d:", (int)child);
	assert_non_null(strstr(err.text, node));
	assert_non_null(strstr(err.text, words));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_has_it_open_is_found),
		TEST(who_asks_is_no_other),
		TEST(another_node_does_not_count),
		TEST(the_user_is_told_who_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
