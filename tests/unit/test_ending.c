/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking a mount down: who is waited for, how long, and what is done then. */
#include "base/log.h"
#include "base/util.h"
#include "daemon/ending.h"
#include "kernel/mount.h"
#include "relay/relay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The mount, linked in place of the real one. */
static struct {
	int rcs[4]; /* of unmounting; the last one goes on */
	int end_rc;
	_Atomic unsigned int unmounts, syncs, ends;
	_Atomic unsigned int busy_looks; /* so often requests are under way still */
	_Atomic unsigned int looks;
} world;

static struct viofs_ending e;
static char said[1024];

int __wrap_viofs_mount_unmount(struct viofs_mount *m);
int __wrap_viofs_mount_unmount(struct viofs_mount *m)
{
	unsigned int n = world.unmounts++;

	assert_ptr_equal(m, &world);
	return world.rcs[VIOFS_MIN(n, 3U)];
}

int __wrap_viofs_mount_sync(struct viofs_mount *m);
int __wrap_viofs_mount_sync(struct viofs_mount *m)
{
	world.syncs++;
	return 0;
}

int __wrap_viofs_mount_end(struct viofs_mount *m);
int __wrap_viofs_mount_end(struct viofs_mount *m)
{
	world.ends++;
	return world.end_rc;
}

unsigned int __wrap_viofs_observe_slots_used(const struct viofs_relay *r);
unsigned int __wrap_viofs_observe_slots_used(const struct viofs_relay *r)
{
	return world.looks++ < world.busy_looks;
}

static void sink(enum viofs_log_level level, const struct viofs_log_about *about,
		 const char *message)
{
	size_t len = strlen(said);

	snprintf(said + len, sizeof(said) - len, "%s\n", message);
}

static int set_up(void **state)
{
	memset(&world, 0, sizeof(world));
	memset(&e, 0, sizeof(e));
	said[0] = '\0';
	viofs_log_set_sink(sink, VIOFS_LOG_INFO);
	return 0;
}

static int tear_down(void **state)
{
	viofs_log_set_sink(NULL, VIOFS_LOG_INFO);
	return 0;
}

static void start(int first, int second, int more, uint32_t grace_s)
{
	world.rcs[0] = first;
	world.rcs[1] = second;
	world.rcs[2] = world.rcs[3] = more;
	assert_int_equal(
		viofs_ending_start(&e, (struct viofs_mount *)(void *)&world, NULL, grace_s), 0);
	assert_true(e.started);
}

/* Until the thread has ended by itself. */
static void wait_for_it(void)
{
	assert_int_equal(pthread_join(e.thread, NULL), 0);
}

static void what_is_not_busy_is_unmounted_at_once(void **state)
{
	static const int rcs[] = { 0, -EINVAL }; /* EINVAL: by somebody else */

	for (int i = 0; i < 2; i++) {
		set_up(state);
		start(rcs[i], -EIO, -EIO, 10);
		wait_for_it();
		assert_int_equal(world.unmounts, 1);
		assert_int_equal(world.syncs + world.ends, 0);
		assert_string_equal(said, "");
	}
}

static void a_failure_is_said_and_ends_the_mount(void **state)
{
	start(-EPERM, 0, 0, 10);
	wait_for_it();
	assert_int_equal(world.unmounts, 1);
	assert_int_equal(world.ends, 1);
	assert_string_equal(said, "umount: Operation not permitted\n");
}

static void an_end_that_fails_is_said(void **state)
{
	world.end_rc = -ENOENT;
	start(-EPERM, 0, 0, 10);
	wait_for_it();
	assert_non_null(strstr(said, "can't be aborted: No such file"));
}

/* What is dirty is written while they leave. */
static void a_busy_one_is_flushed_and_waited_for(void **state)
{
	world.busy_looks = 3;
	start(-EBUSY, -EBUSY, 0, 30);
	wait_for_it();
	assert_int_equal(world.unmounts, 3);
	assert_int_equal(world.syncs, 1);
	assert_int_equal(world.looks, 3 + 5);
	assert_int_equal(world.ends, 0);
	assert_non_null(strstr(said, "the mount is busy; whoever uses it has 30 s to leave"));
	assert_null(strstr(said, "aborted"));
}

static void after_its_time_it_is_flushed_again_and_aborted(void **state)
{
	int64_t began = viofs_now_ns();

	start(-EBUSY, -EBUSY, -EBUSY, 1);
	wait_for_it();
	assert_true(viofs_now_ns() - began >= VIOFS_NSEC_PER_SEC);
	assert_true(world.unmounts >= 3);
	assert_int_equal(world.syncs, 2);
	assert_int_equal(world.ends, 1);
	assert_non_null(strstr(said, "still busy: aborted"));
}

/* The worker has ended: there is nothing to wait for. */
static void joining_gives_the_wait_up(void **state)
{
	int64_t began = viofs_now_ns();

	assert_true(viofs_ending_join(&e)); /* nothing was started */
	start(-EBUSY, -EBUSY, -EBUSY, 1000);
	assert_true(viofs_ending_join(&e));
	assert_true(viofs_now_ns() - began < 60 * VIOFS_NSEC_PER_SEC);
	assert_false(e.started);
	assert_int_equal(world.ends, 0);
	assert_null(strstr(said, "aborted"));
	assert_null(strstr(said, "umount:"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_not_busy_is_unmounted_at_once),
		TEST(a_failure_is_said_and_ends_the_mount),
		TEST(an_end_that_fails_is_said),
		TEST(a_busy_one_is_flushed_and_waited_for),
		TEST(after_its_time_it_is_flushed_again_and_aborted),
		TEST(joining_gives_the_wait_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
