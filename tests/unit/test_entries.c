/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries of the io_uring channel as lanes share them; notifications that never wait. */
#include "relay/doorbell.h"
#include "relay/entries.h"
#include "relay/slots.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define QUEUES_MAX 9U

static struct viofs_arena *arena;

/* Exactly what was said to be needed: an entry more, and its allocation asserts. */
static void make_arena(uint32_t count, uint32_t lanes)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };
	struct viofs_err err;

	viofs_entries_arena_sizes(count, lanes, sizes);
	for (int s = 0; s < VIOFS_ARENA_SECTIONS; s++)
		assert_true(s == VIOFS_ARENA_PRIVATE || !sizes[s]);
	sizes[VIOFS_ARENA_DEVICE_READ] = 1;
	assert_int_equal(viofs_arena_new(sizes, false, &arena, &err), 0);
}

static void check_shares(uint32_t queues, uint32_t depth, unsigned int lanes)
{
	unsigned int entries_of[QUEUES_MAX] = { 0 };

	make_arena(queues * depth, lanes);
	for (unsigned int lane = 0; lane < lanes; lane++) {
		struct viofs_entries e;
		uint32_t own = 0;

		viofs_entries_init(&e, queues, depth, lane, lanes, arena);
		for (uint32_t q = lane; q < queues; q += lanes)
			own++;
		assert_int_equal(e.count, own * depth);
		assert_false(e.active || e.closed || e.failed || e.arrived_count);
		for (uint32_t i = 0; i < e.count; i++) {
			assert_int_equal(e.entry[i].slot, VIOFS_SLOT_NONE);
			assert_int_equal(e.entry[i].state, VIOFS_ENTRY_UNUSED);
			assert_true(e.entry[i].queue < queues);
			assert_int_equal(e.entry[i].queue % lanes, lane);
			/* Each has its first before any has its second. */
			assert_int_equal(entries_of[e.entry[i].queue]++, i / own);
			e.arrived[i] = (uint16_t)i;
		}
	}
	for (uint32_t q = 0; q < queues; q++)
		assert_int_equal(entries_of[q], depth);
	viofs_arena_free(arena);
}

static void each_queue_has_its_entries_in_one_lane(void **state)
{
	for (uint32_t queues = 1; queues <= QUEUES_MAX; queues++)
		for (uint32_t depth = 1; depth <= 3; depth++)
			for (unsigned int lanes = 1; lanes <= 4; lanes++)
				check_shares(queues, depth, lanes);
}

static void nothing_is_written_behind_the_last_one(void **state)
{
	static const struct viofs_entry none;
	size_t sizes[VIOFS_ARENA_SECTIONS] = {
		[VIOFS_ARENA_PRIVATE] = 1 << 20, [VIOFS_ARENA_DEVICE_READ] = 1
	};
	struct viofs_entries e;
	struct viofs_err err;

	assert_int_equal(viofs_arena_new(sizes, false, &arena, &err), 0);
	viofs_entries_init(&e, 3, 2, 0, 1, arena);
	assert_memory_equal(&e.entry[e.count], &none, sizeof(none));
	viofs_arena_free(arena);
}

static void the_memory_is_what_they_need(void **state)
{
	size_t one[VIOFS_ARENA_SECTIONS] = { 0 }, more[VIOFS_ARENA_SECTIONS] = { 0 };
	const size_t each = sizeof(struct viofs_entry) + sizeof(uint16_t);

	viofs_entries_arena_sizes(100, 1, one);
	viofs_entries_arena_sizes(101, 1, more);
	assert_int_equal(more[VIOFS_ARENA_PRIVATE] - one[VIOFS_ARENA_PRIVATE], each);
	/* What aligning two pieces for each lane may cost, and no more. */
	assert_in_range(one[VIOFS_ARENA_PRIVATE] - 100 * each, 2 * 63, 2 * 64);
	/* It is added to what is there. */
	viofs_entries_arena_sizes(101, 3, more);
	assert_in_range(more[VIOFS_ARENA_PRIVATE] - one[VIOFS_ARENA_PRIVATE] - 102 * each, 6 * 63,
			6 * 64);
}

static int kicks[3];

static int kick_fd(struct viofs_virtio *d, unsigned int q)
{
	return kicks[q];
}

static uint64_t count_of(int fd)
{
	uint64_t n = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, 0) == 1)
		assert_int_equal(read(fd, &n, 8), 8);
	return n;
}

static bool has_io_uring(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(1, &ring, 0))
		return false;
	io_uring_queue_exit(&ring);
	return true;
}

static void a_bell_rings_its_own_queues_eventfd(void **state)
{
	static const struct viofs_virtio_ops ops = { .kick_fd = kick_fd };
	struct viofs_virtio virtio = { .ops = &ops };
	struct viofs_fs fs = { .virtio = &virtio };
	struct viofs_doorbells b;
	unsigned int count;

	if (!has_io_uring()) {
		print_message("no io_uring here\n");
		skip();
	}
	fs.queue_count = 2;
	count = viofs_fs_virtqueue_count(&fs);
	assert_in_range(count, 2, 3);
	for (unsigned int i = 0; i < 3; i++)
		kicks[i] = eventfd(0, 0);
	assert_int_equal(viofs_doorbells_init(&b, &fs), 0);
	assert_int_equal(b.count, count);
	assert_non_null(virtio.bell);
	for (unsigned int i = 0; i < 3; i++)
		virtio.bell(virtio.bell_arg, 1);
	assert_int_equal(count_of(kicks[0]), 0);
	assert_int_equal(count_of(kicks[1]), 3);
	/* Full and blocking, as a back end may make it: nobody waits. */
	assert_int_equal(eventfd_write(kicks[0], UINT64_MAX - 1), 0);
	alarm(5);
	for (unsigned int i = 0; i < 3; i++)
		virtio.bell(virtio.bell_arg, 0);
	alarm(0);
	viofs_doorbells_fini(&b);
	assert_int_equal(b.count, 0);
	assert_null(b.virtio);
	viofs_doorbells_fini(&b);
	for (unsigned int i = 0; i < 3; i++)
		close(kicks[i]);
}

static void one_signal_adds_one(void **state)
{
	int fd = eventfd(0, 0);

	if (!has_io_uring()) {
		print_message("no io_uring here\n");
		skip();
	}
	viofs_doorbell_signal(fd);
	assert_int_equal(count_of(fd), 1);
	assert_int_equal(count_of(fd), 0);
	close(fd);
	viofs_doorbell_signal(-1);
}

static void who_notifies_without_eventfds_keeps_its_own_way(void **state)
{
	static const struct viofs_virtio_ops ops = { .name = "pci" };
	struct viofs_virtio virtio = { .ops = &ops };
	struct viofs_fs fs = { .virtio = &virtio, .queue_count = 2 };
	struct viofs_doorbells b;

	assert_int_equal(viofs_doorbells_init(&b, &fs), 0);
	assert_null(virtio.bell);
	viofs_doorbells_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_queue_has_its_entries_in_one_lane),
		cmocka_unit_test(nothing_is_written_behind_the_last_one),
		cmocka_unit_test(the_memory_is_what_they_need),
		cmocka_unit_test(a_bell_rings_its_own_queues_eventfd),
		cmocka_unit_test(one_signal_adds_one),
		cmocka_unit_test(who_notifies_without_eventfds_keeps_its_own_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
