/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the lanes of a relay end together, and what it says of itself to others. */
#include "base/log.h"
#include "base/util.h"
#include "fake_mapper.h"
#include "relay/lanes.h"
#include "relay/answer.h"
#include "relay/lane.h"
#include "relay/observe.h"
#include "relay/relay.h"
#include "relay/session.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define LANES 3U
#define SLOTS 8U

static struct viofs_relay_stats stats;
static struct viofs_lane_stats lane_stats[LANES];
static struct viofs_slot slots[SLOTS];
static struct viofs_relay relay;
static const struct viofs_parking_bounds bounds = {
	.block_size = 128, .block_count = 4, .largest = 128, .count = 4, .bytes = SIZE_MAX
};
static struct viofs_parked blocks[LANES][4];
static uint8_t letters[LANES][4 * 128];

/* No threads, no device. */
static int set_up(void **state)
{
	memset(&stats, 0, sizeof(stats));
	memset(lane_stats, 0, sizeof(lane_stats));
	memset(slots, 0, sizeof(slots));
	memset(&relay, 0, sizeof(relay));
	relay.stats = &stats;
	relay.slots.slots = slots;
	relay.config.slots = SLOTS;
	relay.lane_count = LANES;
	relay.lanes = aligned_alloc(64, LANES * sizeof(*relay.lanes));
	assert_non_null(relay.lanes);
	memset(relay.lanes, 0, LANES * sizeof(*relay.lanes));
	viofs_outcome_init(&relay.outcome);
	for (unsigned int i = 0; i < LANES; i++) {
		struct viofs_lane *lane = &relay.lanes[i];

		lane->relay = &relay;
		lane->index = i;
		lane->stats = &lane_stats[i];
		lane->lease.wake_fd = eventfd(0, EFD_NONBLOCK);
		viofs_mailbox_init(&lane->mailbox);
		memset(blocks[i], 0, sizeof(blocks[i]));
		viofs_parking_init(&lane->mailbox.letters, &bounds, blocks[i], letters[i]);
		lane->slots = (struct viofs_slots){ .slots = slots,
						    .first = (uint16_t)(2 * i),
						    .count = i < LANES - 1 ? 2 : SLOTS - 2 * i };
	}
	stats.stage = VIOFS_STAGE_SERVING;
	return 0;
}

static int tear_down(void **state)
{
	for (unsigned int i = 0; i < LANES; i++)
		close(relay.lanes[i].lease.wake_fd);
	free(relay.lanes);
	return 0;
}

/* How often it was woken since. */
static uint64_t woken(unsigned int lane)
{
	uint64_t n = 0;

	return read(relay.lanes[lane].lease.wake_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void the_first_that_ends_says_how_and_wakes_the_others(void **state)
{
	int64_t before = viofs_now_ns();

	assert_false(viofs_outcome_is_stopping(&relay.outcome));
	assert_int_equal(viofs_outcome_stop(&relay.lanes[1], 0), 0);
	assert_true(viofs_outcome_is_stopping(&relay.outcome));
	assert_int_equal(stats.stage, VIOFS_STAGE_ENDING);
	assert_in_range(relay.outcome.stopped, before, viofs_now_ns());
	assert_int_equal(woken(0), 1);
	assert_int_equal(woken(1), 0);
	assert_int_equal(woken(2), 1);
	/* It has been said: nothing changes, nobody is woken again. */
	assert_int_equal(viofs_outcome_stop(&relay.lanes[2], -EIO), 0);
	assert_int_equal(stats.stage, VIOFS_STAGE_ENDING);
	assert_int_equal(woken(0) + woken(1) + woken(2), 0);
}

static void a_failure_is_everybodys(void **state)
{
	assert_int_equal(viofs_outcome_stop(&relay.lanes[0], -EIO), -EIO);
	assert_int_equal(stats.stage, VIOFS_STAGE_SERVING);
	assert_int_equal(viofs_outcome_stop(&relay.lanes[2], 0), -EIO);
	assert_int_equal(woken(0), 0);
	assert_int_equal(woken(1), 1);
	assert_int_equal(woken(2), 1);
}

/* Lane 1 has found a reason and has not come to stop the team yet. */
static void an_unmount_does_not_hide_what_another_lane_has_found(void **state)
{
	assert_int_equal(viofs_outcome_lose(&relay, "is gone"), -ENODEV);
	assert_int_equal(stats.stage, VIOFS_STAGE_LOST);
	assert_int_equal(viofs_outcome_stop(&relay.lanes[0], 0), -ENODEV);
	assert_int_equal(stats.stage, VIOFS_STAGE_LOST);
	assert_int_equal(viofs_outcome_stop(&relay.lanes[1], -ENODEV), -ENODEV);
	tear_down(state);
	set_up(state);
	assert_int_equal(viofs_outcome_break(&relay, "virtqueue %d", 1), -EPROTO);
	assert_int_equal(stats.stage, VIOFS_STAGE_FAILED);
	assert_int_equal(viofs_outcome_stop(&relay.lanes[0], 0), -EPROTO);
	assert_int_equal(stats.stage, VIOFS_STAGE_FAILED);
}

static void the_first_reason_stays(void **state)
{
	assert_int_equal(viofs_outcome_break(&relay, "virtqueue %d", 1), -EPROTO);
	assert_int_equal(viofs_outcome_break(&relay, "virtqueue %d", 2), -EPROTO);
	assert_int_equal(viofs_outcome_lose(&relay, "is gone"), -ENODEV);
	assert_string_equal(stats.reason, "virtqueue 1");
	assert_int_equal(stats.stage, VIOFS_STAGE_FAILED);
	tear_down(state);
	set_up(state);
	assert_int_equal(viofs_outcome_lose(&relay, "is gone"), -ENODEV);
	assert_int_equal(viofs_outcome_break(&relay, "virtqueue %d", 2), -EPROTO);
	assert_string_equal(stats.reason, "the device is gone");
	assert_int_equal(stats.stage, VIOFS_STAGE_LOST);
}

static void what_is_found_after_the_end_is_no_reason(void **state)
{
	assert_int_equal(viofs_outcome_stop(&relay.lanes[0], 0), 0);
	assert_int_equal(viofs_outcome_break(&relay, "virtqueue %d", 1), -EPROTO);
	assert_int_equal(viofs_outcome_lose(&relay, "is gone"), -ENODEV);
	assert_string_equal(stats.reason, "");
	assert_int_equal(stats.stage, VIOFS_STAGE_ENDING);
}

static void letters_come_in_their_order_and_wake(void **state)
{
	struct viofs_lane *to = &relay.lanes[1];
	char text[] = "one";
	size_t len;

	assert_false(viofs_mailbox_read(&to->mailbox, text, sizeof(text), &len));
	assert_int_equal(viofs_mailbox_pass(to, text, sizeof(text)), 0);
	memcpy(text, "two", sizeof(text));
	assert_int_equal(viofs_mailbox_pass(to, text, sizeof(text)), 0);
	assert_true(to->mailbox.full);
	assert_int_equal(woken(1), 2);
	assert_int_equal(woken(0) + woken(2), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(viofs_mailbox_read(&to->mailbox, text, sizeof(text), &len));
		assert_string_equal(text, i ? "two" : "one");
		assert_int_equal(len, sizeof(text));
		assert_true(to->mailbox.full);
		viofs_mailbox_drop(&to->mailbox);
		assert_int_equal(to->mailbox.full, i == 0);
	}
	assert_false(viofs_mailbox_read(&to->mailbox, text, sizeof(text), &len));
	/* A short one says so. */
	assert_int_equal(viofs_mailbox_pass(to, text, 1), 0);
	assert_true(viofs_mailbox_read(&to->mailbox, text, sizeof(text), &len));
	assert_int_equal(len, 1);
	viofs_mailbox_drop(&to->mailbox);
	assert_int_equal(woken(1), 1);
}

static void who_looks_is_told_each_lanes_turns(void **state)
{
	uint64_t turns[VIOFS_LANES_MAX] = { 0 };

	for (unsigned int i = 0; i < LANES; i++)
		lane_stats[i].turns = 100 + i;
	assert_int_equal(viofs_observe_turns(&relay, turns), LANES);
	for (unsigned int i = 0; i < LANES; i++)
		assert_int_equal(turns[i], 100 + i);
	assert_int_equal(turns[LANES], 0);
}

/* A lane that looks at its entries wakes up for a time-out only. */
static void a_beat_takes_a_time_out_and_entries(void **state)
{
	static const struct {
		uint32_t timeout_ms;
		enum viofs_channel channel;
		bool beat;
	} cases[] = {
		{ 0, VIOFS_CHANNEL_URING, false },
		{ 1, VIOFS_CHANNEL_URING, true },
		{ 1, VIOFS_CHANNEL_DEV, false },
		{ 0, VIOFS_CHANNEL_DEV, false },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++) {
		relay.config.timeout_ms = cases[i].timeout_ms;
		stats.channel = cases[i].channel;
		assert_int_equal(viofs_observe_has_beat(&relay), cases[i].beat);
	}
}

static void only_a_lost_session_is_lost(void **state)
{
	for (int s = VIOFS_STAGE_LOST - 2; s <= VIOFS_STAGE_LOST + 2; s++) {
		stats.stage = (enum viofs_stage)s;
		assert_int_equal(viofs_observe_stage(&relay), s);
		assert_int_equal(viofs_observe_is_lost(&relay), s == VIOFS_STAGE_LOST);
	}
}

static void make_old(unsigned int slot, enum viofs_slot_state state, int64_t seconds)
{
	slots[slot].state = state;
	slots[slot].since = viofs_now_ns() - seconds * VIOFS_NSEC_PER_SEC;
}

static void is_about(int64_t ns, int64_t seconds)
{
	assert_in_range(ns, seconds * VIOFS_NSEC_PER_SEC, (seconds + 5) * VIOFS_NSEC_PER_SEC);
}

static void the_oldest_request_is_one_that_somebody_waits_for(void **state)
{
	make_old(0, VIOFS_SLOT_FREE, 900);
	make_old(1, VIOFS_SLOT_LANDING, 800);
	make_old(2, VIOFS_SLOT_REPLYING, 700);
	assert_int_equal(viofs_observe_oldest_ns(&relay), 0);
	assert_int_equal(viofs_observe_unanswered_ns(&relay), 0);
	assert_int_equal(viofs_lane_oldest_ns(&relay.lanes[1], false), 0);
	make_old(3, VIOFS_SLOT_QUEUED, 30);
	make_old(4, VIOFS_SLOT_WAITING, 60);
	make_old(5, VIOFS_SLOT_QUEUED, 90);
	make_old(SLOTS - 1, VIOFS_SLOT_WAITING, 20);
	is_about(viofs_observe_oldest_ns(&relay), 90);
	is_about(viofs_observe_unanswered_ns(&relay), 90);
	is_about(viofs_lane_oldest_ns(&relay.lanes[1], false), 30);
	is_about(viofs_lane_oldest_ns(&relay.lanes[2], false), 90);
	/* A lock is old, and nobody's fault. */
	slots[5].shape.may_wait = true;
	is_about(viofs_observe_oldest_ns(&relay), 90);
	is_about(viofs_observe_unanswered_ns(&relay), 60);
	is_about(viofs_lane_oldest_ns(&relay.lanes[2], false), 60);
	for (unsigned int i = 3; i < 6; i++)
		slots[i].state = VIOFS_SLOT_FREE;
	is_about(viofs_observe_oldest_ns(&relay), 20);
	is_about(viofs_observe_unanswered_ns(&relay), 20);
	/* A time that can't be, which a worker was made to write, is nobody's age. */
	slots[3].state = VIOFS_SLOT_QUEUED;
	slots[3].since = INT64_MIN + 1;
	is_about(viofs_observe_oldest_ns(&relay), 20);
	slots[3].since = INT64_MAX;
	is_about(viofs_observe_oldest_ns(&relay), 20);
	slots[3].state = VIOFS_SLOT_FREE;
}

static void a_slot_is_found_in_its_lane(void **state)
{
	for (uint16_t i = 0; i < 2 * LANES; i++)
		assert_ptr_equal(viofs_lane_of_slot(&relay, i), &relay.lanes[i / 2]);
	/* Those of hiprio come last. */
	assert_ptr_equal(viofs_lane_of_slot(&relay, 100), &relay.lanes[LANES - 1]);
}

static char said[256];

static void sink(enum viofs_log_level level, const struct viofs_log_about *about,
		 const char *message)
{
	snprintf(said, sizeof(said), "%s", message);
}

/* A fault is told at once, then less and less often. */
/* It still looks at what is its lane's, and others' loops are of no use without it. */
static void while_a_thread_is_in_one_lane_none_is_freed(void **state)
{
	relay.lanes[0].lease.alive = 1;
	assert_false(viofs_lanes_free(&relay));
	relay.lanes[0].lease.alive = 0;
	relay.lanes[LANES - 1].started = true;
	assert_false(viofs_lanes_free(&relay));
}

static void faults_are_said_at_powers_of_two(void **state)
{
	static const struct viofs_slot slot = { .shape.opcode = FUSE_GETATTR };
	struct viofs_lane_stats counted = { 0 };
	struct viofs_lane lane = { .stats = &counted, .capture = &viofs_capture_off };

	viofs_log_set_sink(sink, VIOFS_LOG_WARNING);
	for (unsigned int i = 1; i <= 9; i++) {
		bool is_told = i == 1 || i == 2 || i == 4 || i == 8;

		said[0] = '\0';
		viofs_answer_fault(&lane, &slot, "too short");
		assert_int_equal(counted.faults, i);
		assert_int_equal(strstr(said, "GETATTR was refused: too short") != NULL, is_told);
		assert_string_equal(counted.last_fault, "GETATTR: too short");
	}
	viofs_log_set_sink(NULL, VIOFS_LOG_WARNING);
}

static size_t granule; /* of the arena, linked in place of the real one's */

size_t __wrap_viofs_arena_granule(const struct viofs_arena *a);
size_t __wrap_viofs_arena_granule(const struct viofs_arena *a)
{
	return granule;
}

static struct fake_mapper fake;

/* What one request may carry, with @entries in the smallest of the request queues. */
static uint32_t data_with(uint16_t entries, size_t its_granule)
{
	const size_t room[VIOFS_ARENA_SECTIONS] = {
		[VIOFS_ARENA_PRIVATE] = 1 << 20,     [VIOFS_ARENA_SPARSE] = 256 << 20,
		[VIOFS_ARENA_DEVICE_READ] = 4 << 20, [VIOFS_ARENA_DEVICE_WRITE] = 4 << 20,
		[VIOFS_ARENA_DEVICE_RW] = 16 << 20,
	};
	struct viofs_virtio virtio = { .negotiated = 0 };
	struct viofs_fs_queue *queues = aligned_alloc(64, 3 * sizeof(*queues));
	/* That of hiprio doesn't count. */
	struct viofs_fs fs = { .virtio = &virtio,
			       .queue_count = 3,
			       .queue_size = { 4, 1024, entries },
			       .queues = queues };
	struct viofs_relay_config config;
	struct viofs_arena *arena;
	struct viofs_relay *r;
	uint32_t data;

	assert_non_null(queues);
	memset(queues, 0, 3 * sizeof(*queues));
	granule = its_granule;
	viofs_relay_config_default(&config);
	config.slots = 16;
	config.buffers = 8;
	assert_int_equal(viofs_arena_new(room, false, &arena, NULL), 0);
	fake_mapper_init(&fake, true);
	assert_int_equal(viofs_arena_map(arena, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, NULL), 0);
	assert_int_equal(viofs_relay_new(&config, &fs, arena, &r, NULL), 0);
	assert_int_equal(r->stats->lanes, 1);
	assert_int_equal(r->stats->channel, VIOFS_CHANNEL_DEV);
	data = r->config.max_data;
	viofs_relay_free(r);
	viofs_arena_free(arena);
	free(queues);
	return data;
}

/* Each page takes a descriptor there, beside eight of the request's own. */
static void in_single_pages_a_request_fits_its_queue(void **state)
{
	const uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE), all = 512 << 10;

	assert_int_equal(data_with(4, SIZE_MAX), all);
	assert_int_equal(data_with(4, all), all);
	assert_int_equal(data_with(4, page), page);
	assert_int_equal(data_with(8, page), page);
	assert_int_equal(data_with(9, page), page);
	assert_int_equal(data_with(10, page), 2 * page);
	assert_int_equal(data_with(64, page), 56 * page);
	assert_int_equal(data_with(1024, page), VIOFS_MIN(all, 240 * page));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* Whoever spins on the only CPU keeps those from it that it waits for. */
static void nobody_spins_where_there_is_one_cpu(void **state)
{
	struct viofs_relay_config c;
	cpu_set_t all, one;
	int cpu = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET((unsigned int)cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET((unsigned int)cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	viofs_relay_config_default(&c);
	assert_int_equal(c.spin_us, 0);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	viofs_relay_config_default(&c);
	assert_true(CPU_COUNT(&all) == 1 || c.spin_us > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_that_ends_says_how_and_wakes_the_others),
		TEST(a_failure_is_everybodys),
		TEST(an_unmount_does_not_hide_what_another_lane_has_found),
		TEST(the_first_reason_stays),
		TEST(what_is_found_after_the_end_is_no_reason),
		TEST(letters_come_in_their_order_and_wake),
		TEST(who_looks_is_told_each_lanes_turns),
		TEST(a_beat_takes_a_time_out_and_entries),
		TEST(only_a_lost_session_is_lost),
		TEST(the_oldest_request_is_one_that_somebody_waits_for),
		TEST(a_slot_is_found_in_its_lane),
		TEST(while_a_thread_is_in_one_lane_none_is_freed),
		TEST(faults_are_said_at_powers_of_two),
		TEST(in_single_pages_a_request_fits_its_queue),
		TEST(nobody_spins_where_there_is_one_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
