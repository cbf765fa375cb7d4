/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a parent says of the back end is what its child goes by, as long as there is a parent. */
#include "vhost/link.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* Run @look in a child. Return: what it returned. */
static int in_child(int (*look)(struct viofs_vhost_link *), struct viofs_vhost_link *l)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(look(l));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int state(struct viofs_vhost_link *l)
{
	return (int)viofs_vhost_link_get(l);
}

static int is_told_why(struct viofs_vhost_link *l)
{
	return state(l) == VIOFS_VHOST_LINK_LOST && is_readable(l->fd) &&
	       !strcmp(viofs_vhost_link_reason(l), "has gone");
}

static void nobody_owns_a_new_one(void **arg)
{
	struct viofs_vhost_link *l = viofs_vhost_link_new();

	assert_non_null(l);
	assert_int_equal(state(l), VIOFS_VHOST_LINK_DIRECT);
	assert_int_equal(in_child(state, l), VIOFS_VHOST_LINK_DIRECT);
	viofs_vhost_link_free(l);
	viofs_vhost_link_free(NULL);
}

static void a_child_is_told_and_the_owner_looks_itself(void **arg)
{
	struct viofs_vhost_link *l = viofs_vhost_link_new();

	viofs_vhost_link_own(l);
	assert_int_equal(state(l), VIOFS_VHOST_LINK_DIRECT);
	assert_int_equal(in_child(state, l), VIOFS_VHOST_LINK_UP);
	viofs_vhost_link_set(l, VIOFS_VHOST_LINK_AWAY);
	assert_int_equal(in_child(state, l), VIOFS_VHOST_LINK_AWAY);
	assert_false(is_readable(l->fd));
	viofs_vhost_link_lose(l, "has gone");
	assert_int_equal(in_child(is_told_why, l), true);
	viofs_vhost_link_free(l);
}

/* A child that reads a byte and then says what it sees. */
static void orphan(struct viofs_vhost_link *l, int go, int told)
{
	char c;
	uint8_t is = (uint8_t)(read(go, &c, 1) == 1 ? state(l) : 0xff);

	_exit(write(told, &is, 1) != 1);
}

static void without_a_parent_it_looks_itself(void **arg)
{
	struct viofs_vhost_link *l = viofs_vhost_link_new();
	int go[2], told[2];
	uint8_t is = 0xff;
	pid_t parent;

	assert_int_equal(pipe(go) | pipe(told), 0);
	parent = fork();
	if (!parent) {
		viofs_vhost_link_own(l);
		if (!fork())
			orphan(l, go[0], told[1]);
		_exit(0);
	}
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	assert_int_equal(write(go[1], "", 1), 1);
	assert_int_equal(read(told[0], &is, 1), 1);
	assert_int_equal(is, VIOFS_VHOST_LINK_DIRECT);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(told[i]);
	}
	viofs_vhost_link_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_owns_a_new_one),
		cmocka_unit_test(a_child_is_told_and_the_owner_looks_itself),
		cmocka_unit_test(without_a_parent_it_looks_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
