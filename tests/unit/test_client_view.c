/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Views of a session, and calls that are given up one by one: by their user, by a time, by another
 * thread. */
#include "client_bench.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#define CALLS 40U
#define LULL_MS 30
#define FILE_NODE 5U
#define FOLDER_NODE 7U

static struct viofs_session *session;
static struct viofs_async *async;
static struct viofs_file *file;
static struct stat stats[CALLS];
static char data[256 << 10];
/* What the device holds, or refuses, from now on; 0: nothing. */
static uint32_t held, refused;
/* Seconds for which its GETATTRs and its names hold. */
static unsigned int attr_valid, entry_valid;
/* Of the last request of each opcode. */
static struct fuse_in_header heads[64];

static void answer(struct model_request *r, const void *payload, size_t size)
{
	struct fuse_out_header *head = (void *)r->reply;

	if (size)
		memcpy(head + 1, payload, size);
	head->error = 0;
	head->len = (uint32_t)(sizeof(*head) + size);
	r->reply_len = r->used_len = head->len;
}

static void answer_error(struct model_request *r, int error)
{
	struct fuse_out_header *head = (void *)r->reply;

	head->error = error;
	head->len = sizeof(*head);
	r->reply_len = r->used_len = head->len;
}

/* "folder" is one, all else is a file. */
static enum model_verdict share(struct model_device *d, struct model_request *r)
{
	const char *name = (const char *)r->message + sizeof(struct fuse_in_header);
	const struct fuse_open_out opened = { .fh = 9 };
	struct fuse_attr_out attr = { .attr.ino = 1, .attr_valid = attr_valid };
	struct fuse_entry_out entry = { .nodeid = FILE_NODE,
					.entry_valid = entry_valid,
					.attr.mode = S_IFREG | 0666 };

	if (r->opcode < 64)
		memcpy(&heads[r->opcode], r->message, sizeof(heads[0]));
	switch (r->opcode) {
	case FUSE_GETATTR:
		attr.attr.mode =
			heads[FUSE_GETATTR].nodeid == FILE_NODE ? S_IFREG | 0666 : S_IFDIR | 0777;
		answer(r, &attr, sizeof(attr));
		break;
	case FUSE_LOOKUP:
		if (!strcmp(name, "folder")) {
			entry.nodeid = FOLDER_NODE;
			entry.attr.mode = S_IFDIR | 0777;
		}
		entry.attr.ino = entry.nodeid;
		answer(r, &entry, sizeof(entry));
		break;
	case FUSE_OPENDIR:
		answer(r, &opened, sizeof(opened));
		break;
	case FUSE_STATFS:
		answer_error(r, -ENOMEM);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASEDIR:
		answer(r, NULL, 0);
		break;
	}
	if (refused && r->opcode == refused) {
		answer(r, NULL, 0);
		((struct fuse_out_header *)(void *)r->reply)->error = -EIO;
	}
	return held && r->opcode == held ? MODEL_HOLD : MODEL_ANSWER;
}

static void hold(uint32_t opcode)
{
	pthread_mutex_lock(&bench.device.lock);
	held = opcode;
	pthread_mutex_unlock(&bench.device.lock);
}

static void refuse(uint32_t opcode)
{
	pthread_mutex_lock(&bench.device.lock);
	refused = opcode;
	pthread_mutex_unlock(&bench.device.lock);
}

static struct fuse_in_header head_of(uint32_t opcode)
{
	struct fuse_in_header head;

	pthread_mutex_lock(&bench.device.lock);
	head = heads[opcode];
	pthread_mutex_unlock(&bench.device.lock);
	return head;
}

static void open_session(void)
{
	held = refused = attr_valid = entry_valid = 0;
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
	hold(0);
	viofs_async_close(async);
	assert_int_equal(viofs_file_close(file, &bench.err), 0);
	viofs_session_close(session);
}

static struct viofs_session *view_of(uint32_t uid, uint32_t timeout_ms, struct viofs_dir *at)
{
	struct viofs_view_options o;
	struct viofs_session *view;

	viofs_view_options_init(session, &o, sizeof(o));
	o.cred.uid = uid;
	o.cred.gid = uid + 1;
	o.cred.pid = uid + 2;
	o.timeout_ms = timeout_ms;
	o.at = at;
	assert_int_equal(viofs_session_view(session, &o, &view, &bench.err), 0);
	return view;
}

static uint64_t dma_free(void)
{
	struct viofs_dev_info info = { .size = sizeof(info) };

	assert_int_equal(viofs_dev_info_get(bench.dev, &info), 0);
	return info.dma_free;
}

static uint64_t lookups(void)
{
	struct viofs_session_info info = { .size = sizeof(info) };

	viofs_session_drop(session);
	assert_int_equal(viofs_session_info_get(session, &info), 0);
	return info.lookups;
}

/* The event of the one call that ends. */
static int64_t result_of(const void *user)
{
	struct viofs_event e = { 0 };

	assert_int_equal(viofs_async_wait(async, &e, 1, 1, SOON_MS * VIOFS_NSEC_PER_MSEC), 1);
	assert_ptr_equal(e.user, user);
	return e.result;
}

/* Answers what is held, and polls until the device has got @n of @opcode. */
static void go_on(uint32_t opcode, unsigned int n)
{
	struct viofs_event e;

	hold(0);
	model_device_release(&bench.device, 0);
	bench_set_hook(share);
	for (int ms = 0; ms < SOON_MS && model_device_count(&bench.device, opcode) < n; ms++) {
		assert_int_equal(viofs_async_poll(async, &e, 1), 0);
		usleep(1000);
	}
	assert_int_equal(model_device_count(&bench.device, opcode), n);
}

/* Until all that has been given up is there again. */
static void settle(void)
{
	struct viofs_event e;

	for (int ms = 0; ms < LULL_MS; ms++) {
		assert_int_equal(viofs_async_poll(async, &e, 1), 0);
		usleep(1000);
	}
}

static void a_cancelled_call_leaves_memory_alone(void **state)
{
	uint64_t before;

	open_session();
	before = dma_free();
	hold(FUSE_READ);
	assert_int_equal(viofs_file_pread_async(async, file, data, sizeof(data), 0, data), 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_READ, 4));
	assert_int_equal(viofs_async_cancel(async, &data[1]), -ENOENT);
	assert_int_equal(viofs_async_cancel(async, data), 1);
	assert_int_equal(viofs_async_cancel(async, data), -ENOENT);
	assert_int_equal(result_of(data), -ECANCELED);
	assert_int_equal(viofs_async_pending(async), 0);
	memset(data, 0xee, sizeof(data));
	assert_true(dma_free() < before);
	model_device_release(&bench.device, 0);
	settle();
	for (size_t i = 0; i < sizeof(data); i++)
		assert_int_equal((uint8_t)data[i], 0xee);
	assert_int_equal(dma_free(), before);
	close_session();
}

static void what_has_no_slot_ends_at_once(void **state)
{
	struct viofs_event e[CALLS];
	unsigned int n = 0;

	bench.options.depth = 8;
	open_session();
	hold(FUSE_GETXATTR);
	for (unsigned int i = 0; i < CALLS; i++)
		assert_int_equal(
			viofs_path_getxattr_async(async, "/", 0, "user.x", NULL, 0, &stats[i]), 0);
	assert_int_equal(viofs_async_cancel(async, &stats[CALLS - 1]), 1);
	assert_int_equal(result_of(&stats[CALLS - 1]), -ECANCELED);
	assert_int_equal(viofs_async_cancel(async, &stats[20]), 1);
	assert_int_equal(result_of(&stats[20]), -ECANCELED);
	hold(0);
	model_device_release(&bench.device, 0);
	while (n < CALLS - 2) {
		int rc = viofs_async_wait(async, e, 1, CALLS, SOON_MS * VIOFS_NSEC_PER_MSEC);

		assert_true(rc > 0);
		for (int i = 0; i < rc; i++)
			assert_int_equal(e[i].result, 4242);
		n += (unsigned int)rc;
	}
	close_session();
}

static void a_file_that_nobody_wants_is_released(void **state)
{
	struct viofs_file *other = NULL;
	struct viofs_event e;

	open_session();
	hold(FUSE_OPEN);
	assert_int_equal(viofs_file_open_async(async, "b", 0, O_RDONLY, 0, &other, data), 0);
	for (int ms = 0; ms < SOON_MS && model_device_count(&bench.device, FUSE_OPEN) < 2; ms++) {
		assert_int_equal(viofs_async_poll(async, &e, 1), 0);
		usleep(1000);
	}
	assert_int_equal(viofs_async_cancel(async, data), 1);
	assert_int_equal(result_of(data), -ECANCELED);
	go_on(FUSE_RELEASE, 1);
	settle();
	assert_null(other);
	assert_int_equal(lookups(), 2); /* of the file that is open: one node */
	close_session();
}

static void a_name_that_nobody_wants_is_forgotten(void **state)
{
	open_session();
	assert_int_equal(lookups(), 1);
	hold(FUSE_LOOKUP);
	assert_int_equal(viofs_path_stat_async(async, "folder", 0, &stats[0], data), 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_LOOKUP, 2));
	assert_int_equal(viofs_async_cancel(async, data), 1);
	assert_int_equal(result_of(data), -ECANCELED);
	hold(0);
	model_device_release(&bench.device, 0);
	bench_set_hook(share);
	settle();
	assert_int_equal(lookups(), 1);
	assert_non_null(model_device_wait(&bench.device, FUSE_BATCH_FORGET, 1));
	close_session();
}

static void a_lock_that_nobody_wants_is_given_back(void **state)
{
	const struct fuse_interrupt_in *in;
	struct model_request *lock, *interrupt;

	open_session();
	hold(FUSE_SETLKW);
	assert_int_equal(viofs_file_flock_async(async, file, LOCK_EX, data), 0);
	lock = model_device_wait(&bench.device, FUSE_SETLKW, 1);
	assert_non_null(lock);
	assert_int_equal(viofs_async_cancel(async, data), 1);
	assert_int_equal(result_of(data), -ECANCELED);
	interrupt = model_device_wait(&bench.device, FUSE_INTERRUPT, 1);
	assert_non_null(interrupt);
	in = (const void *)(interrupt->message + sizeof(struct fuse_in_header));
	assert_int_equal(in->unique, lock->unique);
	go_on(FUSE_SETLK, 1);
	settle();
	close_session();
}

static void a_lock_is_given_back_for_whom_it_was_asked(void **state)
{
	struct viofs_session *view;
	struct viofs_file *other;

	open_session();
	view = view_of(1000, 0, NULL);
	assert_int_equal(viofs_file_open(view, "b", 0, O_RDWR, 0, &other, &bench.err), 0);
	hold(FUSE_SETLKW);
	assert_int_equal(viofs_file_flock_async(async, other, LOCK_EX, data), 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, 1));
	assert_int_equal(viofs_async_cancel(async, data), 1);
	assert_int_equal(result_of(data), -ECANCELED);
	/* Nothing of theirs is under way any more, so they may be closed. */
	assert_int_equal(viofs_file_close(other, &bench.err), 0);
	viofs_session_close(view);
	go_on(FUSE_SETLK, 1);
	assert_int_equal(head_of(FUSE_SETLK).uid, 1000);
	assert_int_equal(head_of(FUSE_SETLK).gid, 1001);
	settle();
	close_session();
}

static void a_close_that_fails_says_of_what(void **state)
{
	struct viofs_file *other;

	open_session();
	assert_int_equal(viofs_file_open(session, "b", 0, O_RDONLY, 0, &other, &bench.err), 0);
	refuse(FUSE_FLUSH);
	assert_int_equal(viofs_file_close(other, &bench.err), -EIO);
	assert_string_equal(bench.err.text, "close b: Input/output error.");
	refuse(0);
	close_session();
}

static void a_close_goes_on(void **state)
{
	struct viofs_file *other = NULL;

	open_session();
	assert_int_equal(viofs_file_open(session, "b", 0, O_RDONLY, 0, &other, &bench.err), 0);
	hold(FUSE_FLUSH);
	assert_int_equal(viofs_file_close_async(async, other, data), 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_FLUSH, 1));
	assert_int_equal(viofs_async_cancel(async, data), 1);
	assert_int_equal(result_of(data), -ECANCELED);
	go_on(FUSE_RELEASE, 1);
	settle();
	close_session();
}

static void a_blocking_call_takes_no_longer_than_its_view_says(void **state)
{
	struct viofs_session *view;
	struct stat st;
	int64_t start;

	open_session();
	view = view_of(0, 100, NULL);
	hold(FUSE_GETATTR);
	start = viofs_now_ns();
	assert_int_equal(viofs_path_stat(view, "/", 0, &st, &bench.err), -ETIMEDOUT);
	assert_true(viofs_now_ns() - start >= 100 * VIOFS_NSEC_PER_MSEC);
	assert_true(viofs_now_ns() - start < SOON_MS / 2 * VIOFS_NSEC_PER_MSEC);
	assert_null(viofs_dev_failed(bench.dev));
	/* The session is closed while the device has it still. */
	assert_int_equal(viofs_path_getxattr(view, "/", 0, "user.x", NULL, 0, NULL), 4242);
	viofs_session_close(view);
	close_session();
}

static void an_event_loop_is_woken_for_it(void **state)
{
	struct viofs_session *view;
	struct viofs_event e;

	open_session();
	view = view_of(0, 100, NULL);
	hold(FUSE_GETATTR);
	viofs_async_use(async, view);
	assert_int_equal(viofs_path_stat_async(async, "/", 0, &stats[0], data), 0);
	viofs_async_use(async, session);
	assert_int_equal(viofs_path_stat_async(async, "/", 0, &stats[1], &data[1]), 0);
	assert_int_equal(viofs_async_poll(async, &e, 1), 0);
	assert_true(viofs_async_next_timeout(async) <= 100 * VIOFS_NSEC_PER_MSEC);
	while (viofs_async_poll(async, &e, 1) == 0)
		if (!viofs_async_arm(async))
			assert_true(bench_is_readable(viofs_async_fd(async), SOON_MS));
	assert_ptr_equal(e.user, data);
	assert_int_equal(e.result, -ETIMEDOUT);
	assert_int_equal(viofs_async_pending(async), 1);
	hold(0);
	model_device_release(&bench.device, 0);
	assert_int_equal(result_of(&data[1]), 0);
	viofs_session_close(view);
	close_session();
}

static void *stat_root(void *view)
{
	struct stat st;

	return viofs_path_stat(view, "/", 0, &st, NULL) == -ECANCELED ? NULL : view;
}

static void another_thread_gives_up_calls_of_one_view(void **state)
{
	struct viofs_session *view;
	pthread_t threads[3];
	void *other;

	open_session();
	view = view_of(0, 0, NULL);
	hold(FUSE_GETATTR);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, stat_root, i ? view : session),
				 0);
	assert_non_null(model_device_wait(&bench.device, FUSE_GETATTR, 3));
	assert_int_equal(viofs_session_cancel(view), 2);
	assert_int_equal(viofs_session_cancel(view), 0);
	for (unsigned int i = 1; i < 3; i++) {
		assert_int_equal(pthread_join(threads[i], &other), 0);
		assert_null(other);
	}
	hold(0);
	model_device_release(&bench.device, 0);
	assert_int_equal(pthread_join(threads[0], &other), 0);
	assert_ptr_equal(other, session);
	viofs_session_close(view);
	close_session();
}

static void *wake(void *arg)
{
	usleep(LULL_MS * 1000);
	viofs_async_wake(async);
	return NULL;
}

static void another_thread_wakes_who_waits(void **state)
{
	struct viofs_event e;
	pthread_t thread;

	open_session();
	hold(FUSE_GETATTR);
	assert_int_equal(viofs_path_stat_async(async, "/", 0, &stats[0], data), 0);
	assert_int_equal(pthread_create(&thread, NULL, wake, NULL), 0);
	assert_int_equal(viofs_async_wait(async, &e, 1, 1, -1), 0);
	pthread_join(thread, NULL);
	assert_int_equal(viofs_async_poll(async, &e, 1), 0);
	assert_int_equal(viofs_async_arm(async), 0);
	assert_false(bench_is_readable(viofs_async_fd(async), LULL_MS));
	viofs_async_wake(async);
	assert_true(bench_is_readable(viofs_async_fd(async), SOON_MS));
	assert_int_equal(viofs_async_arm(async), 1);
	assert_int_equal(viofs_async_poll(async, &e, 1), 0);
	assert_int_equal(viofs_async_arm(async), 0);
	hold(0);
	model_device_release(&bench.device, 0);
	assert_int_equal(result_of(data), 0);
	close_session();
}

static void a_view_is_somebody_elses_and_so_is_what_it_opens(void **state)
{
	struct viofs_session *view;
	struct viofs_file *other;

	open_session();
	view = view_of(1000, 0, NULL);
	assert_int_equal(viofs_file_open(view, "b", 0, O_RDONLY, 0, &other, &bench.err), 0);
	assert_int_equal(head_of(FUSE_OPEN).uid, 1000);
	assert_int_equal(head_of(FUSE_OPEN).gid, 1001);
	assert_int_equal(head_of(FUSE_OPEN).pid, 1002);
	viofs_session_close(view);
	assert_int_equal(viofs_file_pread(other, data, 10, 0, &bench.err), 10);
	assert_int_equal(head_of(FUSE_READ).uid, 1000);
	assert_int_equal(viofs_file_pread(file, data, 10, 0, &bench.err), 10);
	assert_int_equal(head_of(FUSE_READ).uid, getuid());
	assert_int_equal(viofs_file_close(other, &bench.err), 0);
	close_session();
}

static void paths_of_a_view_begin_at_its_directory(void **state)
{
	struct viofs_session *view;
	struct viofs_dir *dir;
	struct stat st;

	open_session();
	assert_int_equal(viofs_dir_open(session, "folder", 0, &dir, &bench.err), 0);
	view = view_of(0, 0, dir);
	assert_int_equal(viofs_dir_close(dir, &bench.err), 0);
	assert_int_equal(viofs_path_stat(view, "x", 0, &st, &bench.err), 0);
	assert_int_equal(head_of(FUSE_LOOKUP).nodeid, FOLDER_NODE);
	assert_int_equal(viofs_path_stat(view, "../x", 0, &st, &bench.err), 0);
	assert_int_equal(head_of(FUSE_LOOKUP).nodeid, FUSE_ROOT_ID);
	assert_int_equal(viofs_path_stat(view, "folder", 0, &st, &bench.err), 0);
	assert_int_equal(head_of(FUSE_LOOKUP).nodeid, FOLDER_NODE);
	assert_int_equal(viofs_path_stat(view, "/x", 0, &st, &bench.err), 0);
	assert_int_equal(head_of(FUSE_LOOKUP).nodeid, FUSE_ROOT_ID);
	assert_int_equal(viofs_path_stat(view, "../x", VIOFS_PATH_BENEATH, &st, NULL), -EXDEV);
	viofs_session_close(view);
	close_session();
}

static void a_message_names_what_it_is_about(void **state)
{
	struct stat st;

	open_session();
	assert_true(viofs_path_rename(session, "a", "b", 0, 0, &bench.err) < 0);
	assert_non_null(strstr(bench.err.text, "rename a to b: "));
	assert_true(viofs_path_link(session, "c", "folder/d", 0, &bench.err) < 0);
	assert_non_null(strstr(bench.err.text, "link c to folder/d: "));
	assert_true(viofs_file_allocate(file, 0, 0, 10, &bench.err) < 0);
	assert_non_null(strstr(bench.err.text, "fallocate file: "));
	viofs_dev_abort(bench.dev);
	assert_int_equal(viofs_path_stat(session, "/", 0, &st, &bench.err), -ENODEV);
	assert_string_equal(bench.err.text, "stat /: the device was given up by the program.");
	viofs_async_close(async);
	viofs_file_close(file, NULL);
	viofs_session_close(session);
}

/* The device says that attributes hold for a second; then that they don't hold. */
static void who_wants_may_know_or_do_without_knowing(void **state)
{
	const unsigned int force = VIOFS_PATH_FORCE_SYNC, dont = VIOFS_PATH_DONT_SYNC;
	struct statx stx;
	struct stat st;

	open_session();
	attr_valid = 1000;
	assert_int_equal(viofs_path_stat(session, "/", dont, &st, &bench.err), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_GETATTR), 1);
	assert_int_equal(viofs_path_stat(session, "/", 0, &st, &bench.err), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_GETATTR), 1);
	attr_valid = 0;
	assert_int_equal(viofs_path_stat(session, "/", force, &st, &bench.err), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_GETATTR), 2);
	assert_int_equal(viofs_path_stat(session, "/", dont, &st, &bench.err), 0);
	assert_int_equal(viofs_path_statx(session, "/", dont, STATX_SIZE, &stx, &bench.err), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_GETATTR), 2);
	assert_int_equal(viofs_path_stat(session, "/", 0, &st, &bench.err), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_GETATTR), 3);
	assert_int_equal(viofs_path_stat(session, "/", force | dont, &st, NULL), -EINVAL);
	close_session();
}

static void who_wants_has_names_looked_up(void **state)
{
	const unsigned int force = VIOFS_PATH_FORCE_SYNC;
	struct viofs_file *again;
	struct stat st;
	uint64_t n;

	open_session();
	entry_valid = 1000;
	assert_int_equal(viofs_path_stat(session, "folder/a", 0, &st, &bench.err), 0);
	n = model_device_count(&bench.device, FUSE_LOOKUP);
	assert_int_equal(viofs_path_stat(session, "folder/a", 0, &st, &bench.err), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_LOOKUP), n);
	assert_int_equal(viofs_path_stat(session, "folder/a", force, &st, &bench.err), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_LOOKUP), n + 2);
	assert_int_equal(viofs_file_open(session, "folder/a", force, O_RDONLY, 0, &again, NULL), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_LOOKUP), n + 4);
	assert_int_equal(viofs_file_close(again, NULL), 0);
	assert_int_equal(viofs_path_access(session, "folder/a", VIOFS_PATH_DONT_SYNC, F_OK, NULL),
			 -EINVAL);
	close_session();
}

static void a_view_may_want_all_to_be_asked_for(void **state)
{
	struct viofs_view_options o;
	struct viofs_session *view;
	struct stat st;
	uint64_t looked, got;

	open_session();
	entry_valid = attr_valid = 1000;
	assert_int_equal(viofs_path_stat(session, "folder/a", 0, &st, &bench.err), 0);
	viofs_view_options_init(session, &o, sizeof(o));
	assert_int_equal(o.flags, 0);
	o.flags = VIOFS_SESSION_FORCE_SYNC;
	assert_int_equal(viofs_session_view(session, &o, &view, &bench.err), 0);
	looked = model_device_count(&bench.device, FUSE_LOOKUP);
	got = model_device_count(&bench.device, FUSE_GETATTR);
	assert_int_equal(viofs_path_stat(view, "folder/a", 0, &st, &bench.err), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_LOOKUP), looked + 2);
	assert_int_equal(model_device_count(&bench.device, FUSE_GETATTR), got + 1);
	assert_int_equal(viofs_path_stat(view, "a", VIOFS_PATH_DONT_SYNC, &st, NULL), -EINVAL);
	/* Its views are so, too; the session isn't. */
	viofs_view_options_init(view, &o, sizeof(o));
	assert_int_equal(o.flags, VIOFS_SESSION_FORCE_SYNC);
	assert_int_equal(viofs_path_stat(session, "folder/a", 0, &st, &bench.err), 0);
	assert_int_equal(model_device_count(&bench.device, FUSE_LOOKUP), looked + 2);
	o.flags = 1U << 31;
	assert_int_equal(viofs_session_view(session, &o, &view, NULL), -EINVAL);
	viofs_session_close(view);
	close_session();
}

static void memory_that_is_short_is_somebodys(void **state)
{
	struct statvfs st;

	open_session();
	assert_int_equal(viofs_path_statfs(session, "/", 0, &st, &bench.err), -ENOMEM);
	assert_non_null(strstr(bench.err.text, "statfs /: "));
	assert_non_null(strstr(bench.err.text, "the device's memory"));
	close_session();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_cancelled_call_leaves_memory_alone),
		BOTH(what_has_no_slot_ends_at_once),
		BOTH(a_file_that_nobody_wants_is_released),
		BOTH(a_name_that_nobody_wants_is_forgotten),
		BOTH(a_lock_that_nobody_wants_is_given_back),
		BOTH(a_close_goes_on),
		BOTH(a_lock_is_given_back_for_whom_it_was_asked),
		BOTH(a_close_that_fails_says_of_what),
		BOTH(a_blocking_call_takes_no_longer_than_its_view_says),
		BOTH(an_event_loop_is_woken_for_it),
		BOTH(another_thread_gives_up_calls_of_one_view),
		BOTH(another_thread_wakes_who_waits),
		BOTH(a_view_is_somebody_elses_and_so_is_what_it_opens),
		BOTH(paths_of_a_view_begin_at_its_directory),
		BOTH(a_message_names_what_it_is_about),
		BOTH(who_wants_may_know_or_do_without_knowing),
		BOTH(who_wants_has_names_looked_up),
		BOTH(a_view_may_want_all_to_be_asked_for),
		BOTH(memory_that_is_short_is_somebodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
