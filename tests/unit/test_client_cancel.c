/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ends of libviofs' calls that a device doesn't answer: nothing waits for ever that somebody wants
 * to end. */
#include "client_bench.h"

#include "base/util.h"
#include "fuse/unique.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CALLS 40U
#define LULL_MS 30

static struct viofs_session *session;
static struct viofs_async *async;
static struct viofs_file *file;
static struct stat stats[CALLS];
static char data[256 << 10];

/* A share whose root is a file; what waits is held, and an INTERRUPT ends it, or doesn't. */
static enum model_verdict share(struct model_device *d, struct model_request *r)
{
	struct fuse_out_header *head = (void *)r->reply;
	struct fuse_entry_out *entry = (void *)(head + 1);

	switch (r->opcode) {
	case FUSE_LOOKUP:
		*entry = (struct fuse_entry_out){ .nodeid = 5,
						  .attr = { .ino = 5, .mode = S_IFREG | 0666 } };
		head->error = 0;
		head->len = sizeof(*head) + sizeof(*entry);
		r->reply_len = r->used_len = head->len;
		return MODEL_ANSWER;
	case FUSE_GETATTR:
	case FUSE_READ:
	case FUSE_SETLKW:
		return MODEL_HOLD;
	default:
		return MODEL_ANSWER;
	}
}

static void open_session(void)
{
	session = NULL;
	async = NULL;
	file = NULL;
	bench.options.max_data = 64 << 10;
	bench_open();
	bench.device.init.flags |= FUSE_FLOCK_LOCKS | FUSE_POSIX_LOCKS;
	bench_set_hook(share);
	assert_int_equal(viofs_session_open(bench.dev, NULL, &session, &bench.err), 0);
	assert_int_equal(viofs_async_open(session, 0, &async, &bench.err), 0);
	assert_int_equal(viofs_file_open(session, "file", 0, O_RDWR, 0, &file, &bench.err), 0);
}

static void close_session(void)
{
	viofs_file_close(file, NULL);
	viofs_session_close(session);
}

static void stat_many(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(viofs_path_stat_async(async, "/", 0, &stats[i], &stats[i]), 0);
}

static void *close_it(void *arg)
{
	viofs_async_close(async);
	return NULL;
}

static bool ends_within(pthread_t thread, int ms)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += ms % 1000 * VIOFS_NSEC_PER_MSEC;
	if (end.tv_nsec >= VIOFS_NSEC_PER_SEC) {
		end.tv_sec++;
		end.tv_nsec -= VIOFS_NSEC_PER_SEC;
	}
	return !pthread_timedjoin_np(thread, NULL, &end);
}

/* Calls in flight, waiting for slots, with bounce buffers, and for locks. */
static void closing_now_waits_for_nothing(void **state)
{
	struct viofs_dev_info info = { .size = sizeof(info) };
	int64_t start;

	open_session();
	assert_int_equal(viofs_file_pread_async(async, file, data, sizeof(data), 0, data), 0);
	assert_int_equal(viofs_file_flock_async(async, file, LOCK_EX, data), 0);
	stat_many(CALLS);
	assert_non_null(model_device_wait(&bench.device, 0, 4));
	memset(data, 0xee, sizeof(data));
	start = viofs_now_ns();
	viofs_async_close_now(async);
	assert_true(viofs_now_ns() - start < 1000 * VIOFS_NSEC_PER_MSEC);
	assert_null(viofs_dev_failed(bench.dev));
	/* The device answers after all: nobody hears of it, and the slots are free again. */
	model_device_release(&bench.device, 0);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(viofs_path_getxattr(session, "/", 0, "user.x", NULL, 0, NULL),
				 4242);
	for (size_t i = 0; i < sizeof(data); i++)
		assert_int_equal((uint8_t)data[i], 0xee);
	assert_int_equal(viofs_dev_info_get(bench.dev, &info), 0);
	assert_true(info.dma_free < info.dma_size); /* what the device had is nobody's */
	close_session();
}

static void aborting_ends_a_close_that_waits(void **state)
{
	pthread_t thread;

	open_session();
	stat_many(CALLS);
	assert_int_equal(pthread_create(&thread, NULL, close_it, NULL), 0);
	assert_false(ends_within(thread, LULL_MS));
	viofs_dev_abort(bench.dev);
	assert_true(ends_within(thread, SOON_MS));
	assert_non_null(strstr(viofs_dev_failed(bench.dev), "given up"));
	close_session();
}

static void *stat_root(void *arg)
{
	struct stat st;

	return viofs_path_stat(session, "/", 0, &st, NULL) == -EIO ? NULL : arg;
}

static void aborting_ends_calls_of_other_threads(void **state)
{
	pthread_t threads[3];
	void *failed;

	open_session();
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, stat_root, &session), 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, 3));
	viofs_dev_abort(bench.dev);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	viofs_async_close(async);
	close_session();
}

/* The device does as an INTERRUPT says. */
static void closing_gives_up_locks_that_wait(void **state)
{
	const struct fuse_interrupt_in *in;
	struct model_request *lock, *interrupt;
	pthread_t thread;

	open_session();
	assert_int_equal(viofs_file_flock_async(async, file, LOCK_EX, data), 0);
	lock = model_device_wait(&bench.device, FUSE_SETLKW, 1);
	assert_non_null(lock);
	assert_int_equal(pthread_create(&thread, NULL, close_it, NULL), 0);
	interrupt = model_device_wait(&bench.device, FUSE_INTERRUPT, 1);
	assert_non_null(interrupt);
	in = (const void *)(interrupt->message + sizeof(struct fuse_in_header));
	assert_int_equal(in->unique, lock->unique);
	model_device_answer(&bench.device, lock, -EINTR);
	assert_true(ends_within(thread, SOON_MS));
	assert_int_equal(model_device_count(&bench.device, FUSE_INTERRUPT), 1);
	close_session();
}

/* Nobody looks at its answer for longer than an INTERRUPT is held. */
static void begin_lock_that_is_refused(void)
{
	struct model_request *lock;

	open_session();
	assert_int_equal(viofs_file_flock_async(async, file, LOCK_EX, data), 0);
	lock = model_device_wait(&bench.device, FUSE_SETLKW, 1);
	assert_non_null(lock);
	model_device_answer(&bench.device, lock, -EOPNOTSUPP);
	usleep(2 * VIOFS_INTERRUPT_HELD_NS / 1000);
}

/* QEMU's virtiofsd answers at once, and dies of an INTERRUPT for what it has answered. */
static void closing_does_not_interrupt_what_is_answered(void **state)
{
	begin_lock_that_is_refused();
	viofs_async_close(async);
	/* With it ends what went by hiprio. */
	close_session();
	assert_int_equal(model_device_count(&bench.device, FUSE_INTERRUPT), 0);
}

static void cancelling_does_not_interrupt_what_is_answered(void **state)
{
	begin_lock_that_is_refused();
	assert_int_equal(viofs_async_cancel(async, data), -ENOENT);
	viofs_async_close(async);
	/* With it ends what went by hiprio. */
	close_session();
	assert_int_equal(model_device_count(&bench.device, FUSE_INTERRUPT), 0);
}

/* It is given up when the device has had it for a while, and no event comes before. */
static void a_young_lock_is_given_up_later(void **state)
{
	struct model_request *interrupt;
	struct viofs_event e;
	int64_t began;

	open_session();
	began = viofs_now_ns();
	assert_int_equal(viofs_file_flock_async(async, file, LOCK_EX, data), 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, 1));
	assert_int_equal(viofs_async_cancel(async, data), 1);
	assert_int_equal(viofs_async_wait(async, &e, 1, 1, SOON_MS * VIOFS_NSEC_PER_MSEC), 1);
	assert_int_equal(e.result, -ECANCELED);
	assert_true(viofs_now_ns() - began >= VIOFS_INTERRUPT_HELD_NS);
	interrupt = model_device_wait(&bench.device, FUSE_INTERRUPT, 1);
	assert_non_null(interrupt);
	model_device_release(&bench.device, FUSE_SETLKW);
	viofs_async_close(async);
	close_session();
}

/* It neither gives it up nor answers: a lock has no time-out, the end has one. */
static void closing_waits_for_a_lock_as_long_as_the_time_out(void **state)
{
	pthread_t thread;

	bench.options.timeout_ms = 200;
	open_session();
	assert_int_equal(viofs_file_flock_async(async, file, LOCK_EX, data), 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, 1));
	assert_int_equal(pthread_create(&thread, NULL, close_it, NULL), 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_INTERRUPT, 1));
	assert_true(ends_within(thread, SOON_MS));
	assert_null(viofs_dev_failed(bench.dev));
	close_session();
}

static unsigned int take(unsigned int count, int64_t result)
{
	struct viofs_event e[CALLS];
	int n = viofs_async_wait(async, e, count, CALLS, SOON_MS * VIOFS_NSEC_PER_MSEC);

	for (int i = 0; i < n; i++)
		assert_int_equal(e[i].result, result);
	return (unsigned int)n;
}

/* More of them than there are slots, and than there are turns. */
static void locks_that_wait_leave_room_for_the_unlock(void **state)
{
	struct flock unlock = { .l_type = F_UNLCK };

	bench.options.depth = 8;
	open_session();
	viofs_async_close(async);
	assert_int_equal(viofs_async_open(session, 3, &async, &bench.err), 0);
	for (unsigned int i = 0; i < CALLS; i++)
		assert_int_equal(viofs_file_flock_async(async, file, LOCK_EX, data), 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, 4));
	assert_int_equal(viofs_path_getxattr_async(async, "/", 0, "user.x", NULL, 0, data), 0);
	assert_int_equal(take(1, 4242), 1);
	assert_int_equal(viofs_file_lock_async(async, file, F_OFD_SETLKW, &unlock, data), 0);
	assert_int_equal(take(1, 0), 1);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(viofs_path_getxattr(session, "/", 0, "user.x", NULL, 0, NULL),
				 4242);
	assert_int_equal(model_device_count(&bench.device, FUSE_SETLKW), 4);
	assert_int_equal(model_device_count(&bench.device, FUSE_SETLK), 1);
	model_device_release(&bench.device, 0);
	assert_int_equal(take(CALLS, 0), CALLS);
	viofs_async_close(async);
	close_session();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(closing_now_waits_for_nothing),
		BOTH(aborting_ends_a_close_that_waits),
		BOTH(aborting_ends_calls_of_other_threads),
		BOTH(closing_gives_up_locks_that_wait),
		BOTH(closing_does_not_interrupt_what_is_answered),
		BOTH(cancelling_does_not_interrupt_what_is_answered),
		BOTH(a_young_lock_is_given_up_later),
		BOTH(closing_waits_for_a_lock_as_long_as_the_time_out),
		BOTH(locks_that_wait_leave_room_for_the_unlock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
