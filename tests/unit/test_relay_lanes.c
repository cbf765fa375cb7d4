/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many lanes there are, why not more, and what each waits for. */
#include "base/log.h"
#include "base/util.h"
#include "relay/lane.h"
#include "relay/session.h"
#include "relay_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char said[2048];

static void sink(enum viofs_log_level level, const struct viofs_log_about *about,
		 const char *message)
{
	size_t len = strlen(said);

	snprintf(said + len, sizeof(said) - len, "%s\n", message);
}

static int set_up(void **state)
{
	said[0] = '\0';
	viofs_log_set_sink(sink, VIOFS_LOG_INFO);
	bench_set_up(state);
	bench.request_queues = 4;
	bench.config.slots = 64;
	bench.config.buffers = 16;
	return 0;
}

static int tear_down(void **state)
{
	int rc = bench_tear_down(state);

	viofs_log_set_sink(NULL, VIOFS_LOG_INFO);
	return rc;
}

static void lanes_are(unsigned int count, const char *reason)
{
	bench_serve();
	bench_end();
	assert_int_equal(bench_stats()->lanes, count);
	if (reason)
		assert_non_null(strstr(said, reason));
	else
		assert_null(strstr(said, "in use"));
}

static void as_many_as_were_asked_for(void **state)
{
	bench.config.lanes = 4;
	lanes_are(4, NULL);
}

static void it_is_said_where_the_device_has_fewer_queues(void **state)
{
	bench.config.lanes = 7;
	lanes_are(4, "7 lanes are asked for, 4 in use: as many as the device has request queues");
}

static void it_is_said_where_slots_are_few(void **state)
{
	bench.config.lanes = 4;
	bench.config.slots = 15;
	lanes_are(3, "4 lanes are asked for, 3 in use: as many as there is memory for requests");
}

static void it_is_said_where_buffers_are_few(void **state)
{
	bench.config.lanes = 4;
	bench.config.buffers = 5;
	lanes_are(2, "4 lanes are asked for, 2 in use: as many as there is memory for data");
}

static bool waits_for(const struct viofs_lane *lane, int fd)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < lane->loop.count; i++)
		found += lane->loop.fds[i].fd == fd && lane->loop.fds[i].mode == VIOFS_LOOP_COUNTER;
	assert_in_range(found, 0, 1);
	return found;
}

/* /dev/fuse, the others' calls, the interrupts of its queues; lane 0 the device's as well. */
static void each_waits_once_for_all_that_is_its_own(void **state)
{
	const struct viofs_fs *fs;

	bench.config.lanes = 4;
	bench_serve();
	fs = bench.fs;
	assert_int_equal(bench.relay->lane_count, 4);
	for (unsigned int i = 0; i < 4; i++) {
		const struct viofs_lane *lane = &bench.relay->lanes[i];
		unsigned int more = 0;

		assert_int_equal(lane->queue_count, 1);
		assert_int_equal(lane->queues[0], VIOFS_FS_REQUEST + i);
		assert_int_equal(lane->loop.fds[VIOFS_LANE_FUSE].fd, lane->fuse_fd);
		assert_int_equal(lane->loop.fds[VIOFS_LANE_FUSE].mode, VIOFS_LOOP_SHARED);
		assert_true(waits_for(lane, lane->lease.wake_fd));
		assert_true(waits_for(lane, fs->queues[VIOFS_FS_REQUEST + i].interrupt_fd));
		if (!i) {
			more = 1 + (fs->virtio->event_fd >= 0);
			assert_true(waits_for(lane, fs->queues[VIOFS_FS_HIPRIO].interrupt_fd));
		}
		assert_int_equal(lane->loop.count, 3 + more);
	}
	bench_end();
}

/* The device signals one eventfd for queues 2 to 4. */
static void an_interrupt_of_several_queues_is_waited_for_once(void **state)
{
	const struct viofs_lane *lane;

	bench.config.lanes = 4;
	bench.vectors = 3;
	bench_serve();
	assert_int_equal(bench.relay->lane_count, 2);
	lane = &bench.relay->lanes[1];
	assert_int_equal(lane->queue_count, 3);
	assert_true(waits_for(lane, bench.fs->queues[VIOFS_FS_REQUEST + 1].interrupt_fd));
	assert_int_equal(lane->loop.count, 3);
	bench_end();
}

static void one_alone_shares_its_dev_fuse_with_nobody(void **state)
{
	bench.config.lanes = 1;
	bench_serve();
	assert_int_equal(bench.relay->lane_count, 1);
	assert_int_equal(bench.relay->lanes[0].queue_count, 4);
	assert_int_equal(bench.relay->lanes[0].loop.fds[VIOFS_LANE_FUSE].mode, VIOFS_LOOP_INPUT);
	bench_end();
}

static void the_last_buffer_takes_a_request_too(void **state)
{
	bench.request_queues = 1;
	bench.config.buffers = 4;
	bench.config.lanes = 1;
	bench_serve();
	bench_hold(FUSE_WRITE);
	for (uint64_t i = 0; i < 4; i++)
		kernel_sends_write(100 + 2 * i, 5, i, 20000);
	assert_non_null(model_device_wait(&bench.device, FUSE_WRITE, 4));
	model_device_release(&bench.device, 0);
	kernel_is_answered_all(100, 4, 0, 8);
	bench_end();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(as_many_as_were_asked_for),
		TEST(it_is_said_where_the_device_has_fewer_queues),
		TEST(it_is_said_where_slots_are_few),
		TEST(it_is_said_where_buffers_are_few),
		TEST(each_waits_once_for_all_that_is_its_own),
		TEST(an_interrupt_of_several_queues_is_waited_for_once),
		TEST(one_alone_shares_its_dev_fuse_with_nobody),
		TEST(the_last_buffer_takes_a_request_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
