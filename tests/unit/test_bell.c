/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signalling an eventfd that somebody else has made blocking, and has filled. */
#include "base/bell.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* More than either way keeps completions. */
#define TIMES 1000
/* Who waits for the eventfd is killed. */
#define PATIENCE_S 10

enum { BY_URING, BY_AIO, BY_NEITHER };

/* What the kernel doesn't let us have. */
static long denied[2];
static int fd;

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(denied); i++) {
		if (denied[i] == number) {
			errno = ENOSYS;
			return -1;
		}
	}
	return __real_syscall(number, a, b, c, d, e, f);
}

static struct viofs_bell *new_bell(int way)
{
	denied[0] = way == BY_URING ? -1 : __NR_io_uring_setup;
	denied[1] = way == BY_NEITHER ? __NR_io_setup : -1;
	return viofs_bell_new(fd);
}

static int set_up(void **state)
{
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	alarm(PATIENCE_S);
	return fd < 0;
}

static int tear_down(void **state)
{
	alarm(0);
	return close(fd);
}

/* Return: false, and a message: not on this machine. */
static bool is_here(const struct viofs_bell *b, int way)
{
	if (!b)
		print_message("not here: %s\n", way == BY_URING ? "io_uring" : "AIO");
	return b;
}

static void each_time_adds_one(void **state)
{
	for (int way = BY_URING; way <= BY_AIO; way++) {
		struct viofs_bell *b = new_bell(way);
		uint64_t count = 0;

		if (!is_here(b, way))
			continue;
		viofs_bell_ring(b);
		assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
		assert_int_equal(count, 1);
		for (int i = 0; i < TIMES; i++)
			viofs_bell_ring(b);
		assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
		assert_int_equal(count, TIMES);
		viofs_bell_free(b);
	}
}

static void a_full_one_that_blocks_is_not_waited_for(void **state)
{
	const uint64_t most = UINT64_MAX - 1;

	for (int way = BY_URING; way <= BY_AIO; way++) {
		struct viofs_bell *b = new_bell(way);
		uint64_t count = 0;

		if (!is_here(b, way))
			continue;
		assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
		assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
		for (int i = 0; i < TIMES; i++)
			viofs_bell_ring(b);
		assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
		assert_true(count >= most);
		/* And then it is one as others. */
		viofs_bell_ring(b);
		assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
		assert_int_equal(count, 1);
		viofs_bell_free(b);
	}
}

static void no_descriptor_stays(void **state)
{
	int next = dup(fd);

	close(next);
	for (int way = BY_URING; way <= BY_NEITHER; way++)
		viofs_bell_free(new_bell(way));
	assert_int_equal(dup(fd), next);
	close(next);
}

static void without_either_way_there_is_none(void **state)
{
	assert_null(new_bell(BY_NEITHER));
	viofs_bell_free(NULL);
}

#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(each_time_adds_one),
		ALONE(a_full_one_that_blocks_is_not_waited_for),
		ALONE(no_descriptor_stays),
		ALONE(without_either_way_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
