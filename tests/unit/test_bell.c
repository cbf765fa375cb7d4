/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signalling an eventfd that somebody else has made blocking, and has filled. */
#include "base/bell.h"

#include "base/util.h"
#include "fs/doorbells.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
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
static bool maps_apart; /* its rings are to be mapped one by one, as before Linux 5.4 */
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
	if (number == __NR_io_uring_setup && maps_apart) {
		long ring = __real_syscall(number, a, b, c, d, e, f);

		((struct io_uring_params *)b)->features &= ~IORING_FEAT_SINGLE_MMAP;
		return ring;
	}
	return __real_syscall(number, a, b, c, d, e, f);
}

static void deny(int way)
{
	denied[0] = way == BY_URING ? -1 : __NR_io_uring_setup;
	denied[1] = way == BY_NEITHER ? __NR_io_setup : -1;
}

static struct viofs_bell *new_bell(int way)
{
	struct viofs_bell *b = NULL;
	int rc;

	deny(way);
	rc = viofs_bell_new(fd, VIOFS_BELL_URING | VIOFS_BELL_AIO, &b);
	assert_int_equal(rc, b ? 0 : -ENOSYS);
	return b;
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

static bool kernel_has(int way)
{
	struct io_uring_params params = { 0 };
	aio_context_t aio = 0;
	long rc;

	if (way == BY_AIO) {
		rc = __real_syscall(__NR_io_setup, 1, (long)&aio, 0, 0, 0, 0);
		if (!rc)
			__real_syscall(__NR_io_destroy, (long)aio, 0, 0, 0, 0, 0);
		return !rc;
	}
	rc = __real_syscall(__NR_io_uring_setup, 1, (long)&params, 0, 0, 0, 0);
	if (rc >= 0)
		close((int)rc);
	return rc >= 0;
}

/* Return: false, and a message: not on this machine. */
static bool is_here(const struct viofs_bell *b, int way)
{
	if (b)
		return true;
	print_message("not here: %s\n", way == BY_URING ? "io_uring" : "AIO");
	assert_false(kernel_has(way));
	return false;
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

/* A filter of system calls may let it be made, and nothing else. */
static void a_ring_that_can_not_be_set_up_is_closed(void **state)
{
	struct viofs_bell *b = NULL;
	int next = dup(fd);

	close(next);
	denied[0] = __NR_io_uring_register;
	denied[1] = -1;
	assert_true(viofs_bell_new(fd, VIOFS_BELL_URING, &b) < 0);
	denied[0] = -1;
	maps_apart = true;
	assert_int_equal(viofs_bell_new(fd, VIOFS_BELL_URING, &b), -ENOSYS);
	maps_apart = false;
	assert_null(b);
	assert_int_equal(dup(fd), next);
	close(next);
}

static void without_either_way_there_is_none(void **state)
{
	assert_null(new_bell(BY_NEITHER));
	viofs_bell_free(NULL);
}

/* What the kernel has is not used where it was not asked for. */
static void only_the_ways_asked_for_are_tried(void **state)
{
	struct viofs_bell *b = NULL;

	deny(BY_AIO);
	assert_int_equal(viofs_bell_new(fd, VIOFS_BELL_URING, &b), -ENOSYS);
	denied[0] = -1;
	denied[1] = __NR_io_setup;
	assert_int_equal(viofs_bell_new(fd, VIOFS_BELL_AIO, &b), -ENOSYS);
	assert_int_equal(viofs_bell_new(fd, 0, &b), -ENOSYS);
	assert_null(b);
}

static void a_signal_adds_one(void **state)
{
	for (int way = BY_URING; way <= BY_AIO; way++) {
		struct viofs_bell *b = new_bell(way);
		uint64_t count = 0;

		if (!is_here(b, way))
			continue;
		viofs_bell_free(b);
		denied[1] = way == BY_URING ? __NR_io_setup : -1;
		viofs_bell_signal(fd);
		assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
		assert_int_equal(count, 1);
	}
	deny(BY_NEITHER);
	viofs_bell_signal(fd);
	assert_int_equal(read(fd, &(uint64_t){ 0 }, sizeof(uint64_t)), -1);
}

/* Of a device with two queues; the third is another's. */
static int kicks[3];

static int kick_fd(struct viofs_virtio *d, unsigned int q)
{
	return kicks[q];
}

static uint64_t count_of(int eventfd)
{
	uint64_t n = 0;

	return read(eventfd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void each_virtqueue_has_a_bell(void **state)
{
	static const struct viofs_virtio_ops ops = { .kick_fd = kick_fd };
	static const unsigned int ways[] = { VIOFS_BELL_URING, VIOFS_BELL_AIO };

	for (int way = BY_URING; way <= BY_AIO; way++) {
		struct viofs_virtio virtio = { .ops = &ops };
		struct viofs_fs fs = { .virtio = &virtio, .queue_count = 2 };
		struct viofs_bell *b = new_bell(way);
		struct viofs_doorbells bells;

		if (!is_here(b, way))
			continue;
		viofs_bell_free(b);
		for (unsigned int q = 0; q < VIOFS_ARRAY_SIZE(kicks); q++)
			kicks[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_int_equal(viofs_doorbells_init(&bells, &fs, ways[way]), 0);
		virtio.bell(virtio.bell_arg, 1);
		virtio.bell(virtio.bell_arg, 1);
		virtio.bell(virtio.bell_arg, 0);
		assert_int_equal(count_of(kicks[0]), 1);
		assert_int_equal(count_of(kicks[1]), 2);
		assert_int_equal(count_of(kicks[2]), 0);
		viofs_doorbells_fini(&bells);
		viofs_doorbells_fini(&bells);
		for (unsigned int q = 0; q < VIOFS_ARRAY_SIZE(kicks); q++)
			close(kicks[q]);
	}
}

static void where_it_can_not_be_had_the_transport_keeps_its_own_way(void **state)
{
	static const struct viofs_virtio_ops by_registers = { .name = "pci" };
	static const struct viofs_virtio_ops by_eventfds = { .kick_fd = kick_fd };
	struct viofs_virtio virtio = { .ops = &by_registers };
	struct viofs_fs fs = { .virtio = &virtio, .queue_count = 2 };
	struct viofs_doorbells bells;

	deny(BY_NEITHER);
	assert_int_equal(viofs_doorbells_init(&bells, &fs, VIOFS_BELL_URING), 0);
	assert_null(virtio.bell);
	viofs_doorbells_fini(&bells);
	virtio.ops = &by_eventfds;
	assert_int_equal(viofs_doorbells_init(&bells, &fs, VIOFS_BELL_AIO), -ENOSYS);
	assert_null(virtio.bell);
	viofs_doorbells_fini(&bells);
}

#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(each_time_adds_one),
		ALONE(a_full_one_that_blocks_is_not_waited_for),
		ALONE(no_descriptor_stays),
		ALONE(a_ring_that_can_not_be_set_up_is_closed),
		ALONE(without_either_way_there_is_none),
		ALONE(only_the_ways_asked_for_are_tried),
		ALONE(a_signal_adds_one),
		ALONE(each_virtqueue_has_a_bell),
		ALONE(where_it_can_not_be_had_the_transport_keeps_its_own_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
