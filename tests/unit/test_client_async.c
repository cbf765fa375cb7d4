/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libviofs' calls on files on a model device: what waits for room or its turn, and a device that
 * fails meanwhile. */
#include "client_bench.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LULL_MS 50
#define CALLS 40U
#define TRANSFER ((size_t)500000)

static struct viofs_session *session;
static struct viofs_async *async;
static bool holds;
/* Of each call: where its event comes from, and how often it came. */
static struct stat stats[CALLS];
static struct viofs_event events[CALLS];
static unsigned int came[CALLS];

/* A share that is a folder full of links to "x", and files named "file"; GETATTR is held where the
 * test wants it. */
static uint32_t mode_of(const struct model_request *r)
{
	const char *name = (const char *)r->message + sizeof(struct fuse_in_header);

	return strcmp(name, "file") ? S_IFLNK | 0777 : S_IFREG | 0666;
}

static enum model_verdict share(struct model_device *d, struct model_request *r)
{
	struct fuse_out_header *head = (void *)r->reply;
	struct fuse_attr_out *attr = (void *)(head + 1);
	struct fuse_entry_out *entry = (void *)(head + 1);

	if (r->opcode == FUSE_GETATTR) {
		attr->attr.mode = S_IFDIR | 0755;
		return holds ? MODEL_HOLD : MODEL_ANSWER;
	}
	if (r->opcode == FUSE_LOOKUP)
		*entry = (struct fuse_entry_out){ .nodeid = 5,
						  .attr = { .ino = 5, .mode = mode_of(r) } };
	else if (r->opcode == FUSE_READLINK)
		*(char *)(head + 1) = 'x';
	else
		return MODEL_ANSWER;
	head->error = 0;
	head->len = (uint32_t)(sizeof(*head) + (r->opcode == FUSE_LOOKUP ? sizeof(*entry) : 1));
	r->reply_len = r->used_len = head->len;
	return MODEL_ANSWER;
}

static void *read_and_write(void *arg)
{
	struct viofs_file *file = NULL;
	uint8_t *data = malloc(TRANSFER);
	struct viofs_err err;
	bool good = data && !viofs_file_open(session, "file", 0, O_RDWR, 0, &file, &err) &&
		    viofs_file_pread(file, data, TRANSFER, 0, &err) == (ssize_t)TRANSFER;

	for (size_t i = 0; good && i < TRANSFER; i++)
		good = data[i] == model_device_byte(5, i);
	good = good && viofs_file_pwrite(file, data, TRANSFER, 0, &err) == (ssize_t)TRANSFER;
	if (!good)
		print_message("%s\n", err.text);
	viofs_file_close(file, NULL);
	free(data);
	return good ? NULL : arg;
}

static void open_session(unsigned int max)
{
	session = NULL;
	async = NULL;
	memset(came, 0, sizeof(came));
	holds = true;
	bench_open();
	bench_set_hook(share);
	assert_int_equal(viofs_session_open(bench.dev, NULL, &session, &bench.err), 0);
	assert_int_equal(viofs_async_open(session, max, &async, &bench.err), 0);
}

static void close_session(void)
{
	viofs_async_close(async);
	viofs_session_close(session);
}

static void call(unsigned int from, unsigned int count)
{
	for (unsigned int i = from; i < from + count; i++)
		assert_int_equal(viofs_path_stat_async(async, "/", 0, &stats[i], &stats[i]), 0);
}

static void note(const struct viofs_event *e)
{
	size_t i = (size_t)((struct stat *)e->user - stats);

	assert_true(i < CALLS);
	assert_int_equal(came[i]++, 0);
	events[i] = *e;
}

/* Return: how many events came within @ms, of @count. */
static unsigned int take(unsigned int count, int ms)
{
	int64_t end = viofs_now_ns() + ms * VIOFS_NSEC_PER_MSEC;
	unsigned int got = 0;

	do {
		struct viofs_event e[3];
		int n = viofs_async_wait(async, e, 1, (unsigned int)VIOFS_MIN(3U, count - got),
					 VIOFS_MAX(end - viofs_now_ns(), 0));

		assert_true(n >= 0);
		for (int i = 0; i < n; i++)
			note(&e[i]);
		got += (unsigned int)n;
	} while (got < count && viofs_now_ns() - end < 0);
	return got;
}

static unsigned int count_results(unsigned int count, int64_t result)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < count; i++)
		n += came[i] && events[i].result == result;
	return n;
}

/* GETATTRs are the requests behind INIT. */
static void answer(unsigned int n)
{
	struct model_request *r = model_device_wait(&bench.device, FUSE_GETATTR, n);

	assert_non_null(r);
	model_device_answer(&bench.device, r, 0);
}

static void device_has(unsigned int getattrs)
{
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, getattrs));
}

static void release(void)
{
	pthread_mutex_lock(&bench.device.lock);
	holds = false;
	pthread_mutex_unlock(&bench.device.lock);
	model_device_release(&bench.device, 0);
	bench_set_hook(share);
}

static void calls_that_find_the_queue_full_wait_and_all_end(void **state)
{
	bench.options.depth = 8;
	open_session(0);
	call(0, CALLS);
	device_has(8);
	assert_int_equal(take(1, LULL_MS), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_GETATTR), 8);
	assert_int_equal(viofs_async_pending(async), CALLS);
	answer(5);
	assert_int_equal(take(1, SOON_MS), 1);
	assert_int_equal(came[4], 1);
	device_has(9);
	release();
	assert_int_equal(take(CALLS - 1, SOON_MS), CALLS - 1);
	assert_int_equal(count_results(CALLS, 0), CALLS);
	assert_int_equal(viofs_async_pending(async), 0);
	assert_int_equal(take(1, 0), 0);
	close_session();
}

static void no_more_calls_are_under_way_than_was_asked_for(void **state)
{
	open_session(2);
	call(0, 6);
	device_has(2);
	assert_int_equal(take(1, LULL_MS), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_GETATTR), 2);
	for (unsigned int i = 1; i <= 4; i++) {
		answer(i);
		assert_int_equal(take(1, SOON_MS), 1);
		assert_int_equal(came[i - 1], 1);
		device_has(i + 2);
		assert_int_equal(take(1, LULL_MS), 0);
		assert_int_equal(model_device_count(&bench.device, FUSE_GETATTR), i + 2);
	}
	release();
	assert_int_equal(take(2, SOON_MS), 2);
	assert_int_equal(count_results(6, 0), 6);
	close_session();
}

/* One with its turn that finds no room, others without a turn behind it: nobody waits for the wrong
 * one. */
static void turns_and_room_together_do_not_stall(void **state)
{
	struct viofs_queue *other;

	bench.options.depth = 8;
	open_session(3);
	other = bench_queue();
	/* The session's lane, the user's queue and this handle share the one virtqueue. */
	assert_int_equal(viofs_queue_submit(other, bench_getattr(0, 7), 7), 7);
	call(0, 12);
	device_has(8);
	assert_int_equal(take(1, LULL_MS), 0);
	release();
	assert_int_equal(take(12, SOON_MS), 12);
	assert_int_equal(count_results(12, 0), 12);
	assert_int_equal(
		viofs_queue_wait(other, bench.completions, 7, 7, SOON_MS * VIOFS_NSEC_PER_MSEC), 7);
	close_session();
}

/* A slot comes free: the one that needs it goes on, though another stands before it and waits for
 * its turn. */
static void those_without_a_turn_hold_nobody_up(void **state)
{
	struct viofs_queue *other;
	char target[PATH_MAX];

	bench.options.depth = 8;
	open_session(2);
	other = bench_queue();
	assert_int_equal(viofs_queue_submit(other, bench_getattr(0, 7), 7), 7);
	device_has(7);
	call(0, 1);
	device_has(8);
	assert_int_equal(
		viofs_path_readlink_async(async, "link", 0, target, sizeof(target), &stats[1]), 0);
	call(2, 1);
	assert_int_equal(take(1, LULL_MS), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_LOOKUP), 0);
	answer(1);
	assert_int_equal(bench_take(other, 1, SOON_MS), 1);
	assert_int_equal(take(1, SOON_MS), 1);
	assert_int_equal(came[1], 1);
	assert_int_equal(events[1].result, 1);
	assert_string_equal(target, "x");
	release();
	assert_int_equal(take(2, SOON_MS), 2);
	assert_int_equal(count_results(1, 0), 1);
	assert_int_equal(bench_take(other, 6, SOON_MS), 6);
	close_session();
}

/* The program has taken all DMA memory: what calls need beside it they have. */
static void calls_go_on_where_others_have_all_the_memory(void **state)
{
	struct viofs_dev_info info = { .size = sizeof(info) };
	char targets[CALLS][8], target[8];
	void *memory;

	open_session(0);
	assert_int_equal(viofs_dev_info_get(bench.dev, &info), 0);
	memory = viofs_dma_alloc(bench.dev, info.dma_free);
	assert_non_null(memory);
	for (unsigned int i = 0; i < CALLS; i++)
		assert_int_equal(viofs_path_readlink_async(async, "link", 0, targets[i],
							   sizeof(targets[i]), &stats[i]),
				 0);
	assert_int_equal(take(CALLS, SOON_MS), CALLS);
	assert_int_equal(count_results(CALLS, 1), CALLS);
	for (unsigned int i = 0; i < CALLS; i++)
		assert_string_equal(targets[i], "x");
	assert_int_equal(viofs_path_readlink(session, "link", 0, target, sizeof(target), NULL), 1);
	viofs_dma_free(bench.dev, memory);
	close_session();
}

static void transfers_on_all_lanes_go_on_without_any_memory(void **state)
{
	struct viofs_dev_info info = { .size = sizeof(info) };
	pthread_t threads[4];
	void *memory, *failed;

	bench.request_queues = 3;
	open_session(0);
	assert_int_equal(viofs_dev_info_get(bench.dev, &info), 0);
	memory = viofs_dma_alloc(bench.dev, info.dma_free);
	assert_non_null(memory);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_and_write, &session), 0);
	for (unsigned int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	viofs_dma_free(bench.dev, memory);
	close_session();
}

static void a_wait_for_events_ends_after_its_time(void **state)
{
	int64_t start;

	open_session(0);
	call(0, 2);
	device_has(2);
	start = viofs_now_ns();
	assert_int_equal(viofs_async_wait(async, events, 1, 2, LULL_MS * VIOFS_NSEC_PER_MSEC), 0);
	assert_true(viofs_now_ns() - start >= LULL_MS * VIOFS_NSEC_PER_MSEC);
	release();
	assert_int_equal(take(2, SOON_MS), 2);
	/* Nothing is under way: nothing to wait for. */
	assert_int_equal(viofs_async_wait(async, events, 1, 2, -1), 0);
	close_session();
}

static void a_descriptor_tells_of_events(void **state)
{
	open_session(1);
	call(0, 2);
	for (unsigned int i = 1; i <= 2; i++) {
		device_has(i);
		assert_int_equal(viofs_async_arm(async), 0);
		assert_false(bench_is_readable(viofs_async_fd(async), 0));
		answer(i);
		assert_true(bench_is_readable(viofs_async_fd(async), SOON_MS));
		assert_int_equal(take(1, SOON_MS), 1);
	}
	close_session();
}

/* Answered, in flight, and waiting for room and for a turn: each has one end. */
static void fails_with(unsigned int max)
{
	struct stat st;

	bench.options.depth = 8;
	open_session(max);
	call(0, 20);
	device_has(max ? max : 8);
	answer(2);
	model_device_push_raw(&bench.device, 1, 5000, 16, 1);
	assert_int_equal(take(20, SOON_MS), 20);
	assert_int_equal(came[1], 1);
	assert_int_equal(events[1].result, 0);
	assert_int_equal(count_results(20, 0), 1);
	assert_true(count_results(20, -EIO) >= (max ? max : 8) - 1);
	assert_int_equal(count_results(20, -EIO) + count_results(20, -ENODEV), 19);
	assert_non_null(strstr(viofs_dev_failed(bench.dev), "broke the rules of virtqueue 1"));
	assert_int_equal(viofs_async_pending(async), 0);
	/* Whatever comes after has an end, too. */
	call(20, 1);
	assert_int_equal(take(1, SOON_MS), 1);
	assert_int_equal(events[20].result, -ENODEV);
	assert_int_equal(viofs_path_stat(session, "/", 0, &st, &bench.err), -ENODEV);
	close_session();
}

static void a_device_that_breaks_the_ring_ends_calls_that_wait_for_room(void **state)
{
	fails_with(0);
}

static void a_device_that_breaks_the_ring_ends_calls_that_wait_for_their_turn(void **state)
{
	fails_with(3);
}

static void *break_the_ring(void *arg)
{
	if (model_device_wait(&bench.device, FUSE_GETATTR, 1))
		model_device_push_raw(&bench.device, 1, 5000, 16, 1);
	return NULL;
}

static void a_device_that_breaks_the_ring_ends_blocking_calls(void **state)
{
	pthread_t thread;
	struct stat st;

	open_session(0);
	assert_int_equal(pthread_create(&thread, NULL, break_the_ring, NULL), 0);
	assert_int_equal(viofs_path_stat(session, "/", 0, &st, &bench.err), -EIO);
	assert_non_null(strstr(bench.err.text, "broke the rules of virtqueue 1"));
	pthread_join(thread, NULL);
	assert_int_equal(viofs_path_stat(session, "/", 0, &st, NULL), -ENODEV);
	close_session();
}

static void *stat_root(void *arg)
{
	struct stat st;

	return viofs_path_stat(session, "/", 0, &st, NULL) ? arg : NULL;
}

/* The one that leads, and the one that would be next, are answered together: the third one is not
 * forgotten. */
static void threads_whose_calls_end_together_leave_nobody_behind(void **state)
{
	static const unsigned int order[] = { 3, 1, 2 };
	pthread_t threads[3];

	open_session(0);
	for (unsigned int round = 0; round < 10; round++) {
		struct timespec end = { .tv_sec = time(NULL) + SOON_MS / 1000 };
		void *failed;

		for (unsigned int i = 0; i < 3; i++) {
			assert_int_equal(pthread_create(&threads[i], NULL, stat_root, &session), 0);
			device_has(3 * round + i + 1);
			usleep(5000); /* it sleeps */
		}
		for (unsigned int i = 0; i < 3; i++) {
			answer(3 * round + order[i]);
			if (i == 1)
				usleep(5000);
		}
		for (unsigned int i = 0; i < 3; i++) {
			assert_int_equal(pthread_timedjoin_np(threads[i], &failed, &end), 0);
			assert_null(failed);
		}
	}
	close_session();
}

static void closing_waits_for_what_is_under_way(void **state)
{
	open_session(2);
	call(0, 6);
	device_has(2);
	release();
	viofs_async_close(async);
	async = NULL;
	assert_int_equal(model_device_count(&bench.device, FUSE_GETATTR), 6);
	close_session();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(calls_that_find_the_queue_full_wait_and_all_end),
		BOTH(no_more_calls_are_under_way_than_was_asked_for),
		BOTH(turns_and_room_together_do_not_stall),
		BOTH(those_without_a_turn_hold_nobody_up),
		BOTH(calls_go_on_where_others_have_all_the_memory),
		BOTH(transfers_on_all_lanes_go_on_without_any_memory),
		BOTH(a_wait_for_events_ends_after_its_time),
		BOTH(a_descriptor_tells_of_events),
		BOTH(a_device_that_breaks_the_ring_ends_calls_that_wait_for_room),
		BOTH(a_device_that_breaks_the_ring_ends_calls_that_wait_for_their_turn),
		BOTH(a_device_that_breaks_the_ring_ends_blocking_calls),
		BOTH(threads_whose_calls_end_together_leave_nobody_behind),
		BOTH(closing_waits_for_what_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
