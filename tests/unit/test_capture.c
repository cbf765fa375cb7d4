/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records in memory: written, read, overwritten; read from a writer that lies; filtered. */
#include "../../tools/viofsctl/capture_filter.h"
#include "../../tools/viofsctl/capture_reader.h"
#include "base/util.h"
#include "relay/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct viofs_capture *capture;
static struct viofs_reader *reader;

static int set_up(void **state)
{
	int fd;

	assert_int_equal(viofs_capture_new(2, &capture), 0);
	fd = viofs_capture_open(capture);
	assert_true(fd >= 0);
	assert_int_equal(viofs_reader_new(fd, &reader), 0);
	close(fd);
	return 0;
}

static int tear_down(void **state)
{
	viofs_reader_free(reader);
	viofs_capture_free(capture);
	return 0;
}

static struct viofs_capture_ring *ring(unsigned int i)
{
	return viofs_capture_at(capture->base, i);
}

static void put(unsigned int i, uint64_t nodeid, const void *message, size_t len)
{
	const struct iovec parts[] = { { (void *)message, len / 2 },
				       { (uint8_t *)message + len / 2, len - len / 2 } };
	struct viofs_capture_record record = {
		.kind = VIOFS_CAPTURE_REQUEST,
		.nodeid = nodeid,
		.len = (uint32_t)len,
	};

	viofs_capture_put(ring(i), &record, parts, 2, SIZE_MAX);
}

static long blocks(void)
{
	struct stat st;

	assert_int_equal(fstat(capture->fd, &st), 0);
	return (long)st.st_blocks * 512;
}

/* Nothing has memory while nobody captures, and its size can't be changed by anybody. */
static void memory_is_there_while_it_is_on(void **state)
{
	int fd = viofs_capture_open(capture);

	assert_true(blocks() <= (long)(4 * VIOFS_CAPTURE_HEAD));
	assert_false(viofs_capture_is_on(ring(0)));
	assert_int_equal(viofs_capture_begin(capture, 100, false), 0);
	assert_true(viofs_capture_is_on(ring(0)) && viofs_capture_is_on(ring(3)));
	assert_true(blocks() >= (long)(4 * VIOFS_CAPTURE_BYTES));
	viofs_capture_end(capture);
	assert_false(viofs_capture_is_on(ring(0)));
	assert_true(blocks() <= (long)(4 * VIOFS_CAPTURE_HEAD));
	assert_int_equal(ftruncate(capture->fd, 0), -1);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	close(fd);
}

static void records_come_in_the_order_of_time(void **state)
{
	struct viofs_captured p;
	char text[200];

	memset(text, 'x', sizeof(text));
	assert_int_equal(viofs_capture_begin(capture, 100, false), 0);
	assert_false(viofs_reader_fill(reader));
	for (unsigned int i = 0; i < 20; i++)
		put(i % 4, i, text, i * 10);
	assert_true(viofs_reader_fill(reader));
	for (unsigned int i = 0; i < 20; i++) {
		assert_true(viofs_reader_next(reader, &p));
		assert_int_equal(p.packet.nodeid, i);
		assert_int_equal(p.ring, i % 4);
		assert_int_equal(p.packet.len, i * 10);
		assert_int_equal(p.captured, VIOFS_MIN(i * 10, 100U));
		assert_memory_equal(p.message, text, p.captured);
		assert_int_equal(p.lost, 0);
	}
	assert_false(viofs_reader_next(reader, &p));
}

/* However they lie about the ring's end, records are whole. */
static void a_ring_goes_round(void **state)
{
	static uint8_t message[5000];
	struct viofs_captured p;
	uint64_t n = 0;

	assert_int_equal(viofs_capture_begin(capture, sizeof(message), false), 0);
	for (unsigned int round = 0; round < 40; round++) {
		for (unsigned int i = 0; i < 100; i++, n++) {
			memset(message, (int)n, sizeof(message));
			put(0, n, message, sizeof(message) - n % 977);
		}
		assert_true(viofs_reader_fill(reader));
		for (uint64_t i = n - 100; i < n; i++) {
			assert_true(viofs_reader_next(reader, &p));
			assert_int_equal(p.packet.nodeid, i);
			memset(message, (int)i, sizeof(message));
			assert_memory_equal(p.message, message, p.captured);
		}
	}
	assert_int_equal(viofs_reader_lost(reader, 0), 0);
}

static void what_is_overwritten_is_counted(void **state)
{
	static uint8_t message[5000];
	struct viofs_captured p;

	assert_int_equal(viofs_capture_begin(capture, sizeof(message), false), 0);
	for (uint64_t i = 0; i < 2000; i++)
		put(1, i, message, sizeof(message));
	assert_false(viofs_reader_fill(reader));
	put(1, 2000, message, 10);
	assert_true(viofs_reader_fill(reader));
	assert_true(viofs_reader_next(reader, &p));
	assert_int_equal(p.packet.nodeid, 2000);
	assert_int_equal(p.lost, 2000);
	for (uint64_t i = 0; i < 2000; i++)
		put(1, i, message, sizeof(message));
	assert_false(viofs_reader_fill(reader));
	viofs_reader_count_rest(reader);
	assert_int_equal(viofs_reader_lost(reader, 1), 4000);
}

/* One that was announced, but not finished: who goes on writes over it. */
static void a_successor_goes_on(void **state)
{
	struct viofs_captured p;

	assert_int_equal(viofs_capture_begin(capture, 100, false), 0);
	put(0, 1, "one", 3);
	ring(0)->begin += 5000;
	put(0, 2, "two", 3);
	assert_true(ring(0)->begin > ring(0)->head);
	assert_true(viofs_reader_fill(reader));
	assert_true(viofs_reader_next(reader, &p) && p.packet.nodeid == 1);
	assert_true(viofs_reader_next(reader, &p) && p.packet.nodeid == 2);
	assert_int_equal(viofs_reader_lost(reader, 0), 0);
}

/* Whatever stands in the memory, the reader stays in it; AddressSanitizer looks on. */
static void a_writer_that_lies_harms_nobody(void **state)
{
	struct viofs_capture_record *record = (void *)((uint8_t *)ring(0) + VIOFS_CAPTURE_HEAD);
	struct viofs_captured p;
	unsigned int seed = 7;

	assert_int_equal(viofs_capture_begin(capture, 100, false), 0);
	for (unsigned int round = 0; round < 3000; round++) {
		uint32_t *word = (uint32_t *)(void *)record + rand_r(&seed) % (sizeof(*record) / 4);

		ring(0)->head = ring(0)->begin = 0;
		viofs_reader_fill(reader);
		while (viofs_reader_next(reader, &p))
			;
		put(0, round, "message", 7);
		*word = round % 3 ? (uint32_t)rand_r(&seed) : round % 2 ? UINT32_MAX : 0;
		if (round % 5 == 0)
			ring(0)->head = (uint64_t)rand_r(&seed) << 20 | (uint64_t)rand_r(&seed);
		if (round % 7 == 0)
			ring(0)->count = ring(0)->begin = (uint64_t)rand_r(&seed) << 33;
		viofs_reader_fill(reader);
		while (viofs_reader_next(reader, &p))
			for (uint32_t i = 0; i < p.captured; i++)
				seed += p.message[i];
		viofs_reader_count_rest(reader);
	}
}

/* The worker's own bounds hold, whatever the orders say that it shares. */
static void a_record_is_bounded(void **state)
{
	static uint8_t message[VIOFS_CAPTURE_SNAP_MAX * 2];
	struct viofs_captured p;

	assert_int_equal(viofs_capture_begin(capture, UINT32_MAX, false), 0);
	ring(0)->snap = UINT32_MAX;
	put(0, 1, message, sizeof(message));
	assert_true(viofs_reader_fill(reader));
	assert_true(viofs_reader_next(reader, &p));
	assert_int_equal(p.captured, VIOFS_CAPTURE_SNAP_MAX);
}

static void a_file_of_another_size_is_refused(void **state)
{
	struct viofs_reader *r = NULL;
	int fd = memfd_create("x", MFD_CLOEXEC), pipes[2];

	assert_int_equal(viofs_reader_new(fd, &r), -EPROTO);
	assert_int_equal(ftruncate(fd, 12345), 0);
	assert_int_equal(viofs_reader_new(fd, &r), -EPROTO);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(viofs_reader_new(pipes[0], &r), -EPROTO);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}

static bool matches(const char *text, const struct viofs_packet *p)
{
	char why[128] = "";
	size_t at;
	struct viofs_filter *f = viofs_filter_parse(text, why, &at);
	bool yes;

	if (!f)
		fail_msg("%s: %s at %zu", text, why, at);
	yes = viofs_filter_matches(f, p, 1);
	viofs_filter_free(f);
	return yes;
}

static void filters_say_what_they_say(void **state)
{
	const struct viofs_packet reply = { .kind = VIOFS_PACKET_REPLY,
					    .opcode = 1,
					    .nodeid = 7,
					    .pid = 100,
					    .uid = 1000,
					    .error = -ENOENT,
					    .total_ns = 1500000,
					    .queue = 2 };
	const struct viofs_packet kick = { .kind = VIOFS_PACKET_KICK, .queue = 2 };
	static const char *const yes[] = {
		"opcode=LOOKUP",
		"opcode = lookup and pid=100",
		"opcode == 1",
		"error = ENOENT",
		"error=2",
		"latency > 1ms",
		"latency >= 1500us",
		"latency < 1.6ms",
		"not pid = 101",
		"pid=1 or pid=100",
		"pid = 1 or uid = 1000 and lane = 1",
		"(pid=1 or uid=1000) and nodeid=7",
		"not (pid=1 or uid=1)",
		"kind=reply",
		"nodeid = 0x7",
		"pid!=1",
		"pid<=100",
		"queue=2",
		"not not pid=100",
	};
	static const char *const no[] = { "opcode=GETATTR",
					  "latency>2ms",
					  "(pid=1 or uid=1000) and nodeid=8",
					  "not pid = 100 or pid=1",
					  "pid = 1 and uid = 1 or pid = 2",
					  "error = 0",
					  "lane = 0" };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(yes); i++)
		if (!matches(yes[i], &reply))
			fail_msg("%s doesn't match", yes[i]);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(no); i++)
		if (matches(no[i], &reply))
			fail_msg("%s matches", no[i]);
	assert_true(matches("kind=kick and queue=2", &kick));
	assert_false(matches("opcode != LOOKUP", &kick));
	assert_false(matches("error = 0", &kick));
	assert_true(viofs_filter_matches(NULL, &kick, 0));
}

static void long_filters_are_refused(void **state)
{
	char text[2000] = "pid=1", why[128];
	size_t at;

	for (unsigned int i = 0; i < 100; i++)
		strcat(text, " or pid=1");
	assert_null(viofs_filter_parse(text, why, &at));
	assert_string_equal(why, "the expression is too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_is_there_while_it_is_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(records_come_in_the_order_of_time, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_ring_goes_round, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_overwritten_is_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_successor_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_writer_that_lies_harms_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_record_is_bounded, set_up, tear_down),
		cmocka_unit_test(a_file_of_another_size_is_refused),
		cmocka_unit_test(filters_say_what_they_say),
		cmocka_unit_test(long_filters_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
