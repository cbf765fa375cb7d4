/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child has what its list says, whatever its parent has open. */
#include "daemon/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void what_is_not_listed_is_closed(void **state)
{
	struct viofs_descriptors d;
	int kept = dup(0), removed = dup(0), later, more, status;
	pid_t pid;

	assert_int_equal(viofs_descriptors_find(&d), 0);
	viofs_descriptors_remove(&d, removed);
	viofs_descriptors_remove(&d, -1);
	later = dup(0);
	more = fcntl(0, F_DUPFD_CLOEXEC, later + 100);
	pid = fork();
	if (!pid) {
		if (viofs_descriptors_keep_only(&d, &more, 1))
			_exit(1);
		_exit(is_open(0) && is_open(1) && is_open(2) && is_open(kept) && is_open(more) &&
				      !is_open(removed) && !is_open(later)
			      ? 0
			      : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* The parent's are as they were. */
	assert_true(is_open(removed) && is_open(later));
	viofs_descriptors_fini(&d);
	assert_int_equal(d.count, 0);
	close(kept);
	close(removed);
	close(later);
	close(more);
}

static void who_can_have_none_open_says_so(void **state)
{
	struct viofs_descriptors d = { .list = NULL };
	int status;
	pid_t pid = fork();

	if (!pid) {
		while (dup(0) >= 0)
			;
		_exit(viofs_descriptors_find(&d) == -EMFILE && !d.list &&
				      viofs_descriptors_keep_only(&d, NULL, 0) == -EMFILE
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_listed_is_closed),
		cmocka_unit_test(who_can_have_none_open_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
