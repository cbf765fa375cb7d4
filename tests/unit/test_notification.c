/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The notification queue of a device: its place among the others, its buffers, what it must not
 * say. */
#include "vfio/pci_transport.h"
#include "fs/notification.h"

#include "model_function.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct model_function model;
static struct viofs_virtio *virtio;
static struct viofs_arena *arena;
static struct viofs_fs *fs;
static struct viofs_err err;

static void prepare(unsigned int requests, uint32_t size)
{
	model_init(&model, requests);
	model.num_queues++;
	model.features =
		VIOFS_VIRTIO_F_VERSION_1 | VIOFS_VIRTIO_F_ACCESS_PLATFORM | VIOFS_FS_F_NOTIFICATION;
	memcpy(model.device_config + 40, &size, sizeof(size));
	fs = NULL;
	arena = NULL;
	err.text[0] = 0;
	assert_int_equal(viofs_virtio_pci_open(&model.vfio, &virtio, &err), 0);
}

static void start(void)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };

	if (viofs_fs_open_with(virtio, VIOFS_FS_F_NOTIFICATION, &fs, &err) != 0)
		fail_msg("%s", err.text);
	viofs_fs_arena_sizes(fs, sizes);
	assert_int_equal(viofs_arena_new(sizes, false, &arena, &err), 0);
	assert_int_equal(
		viofs_arena_map(arena, &model.vfio.mapper, viofs_fs_address_policy(fs), &err), 0);
	if (viofs_fs_start(fs, arena, &err) != 0)
		fail_msg("%s", err.text);
}

static void finish(void)
{
	viofs_arena_free(arena);
	viofs_fs_close(fs);
	if (model.violation)
		fail_msg("%s", model.violation);
}

static void open_fails(int rc, const char *says)
{
	assert_int_equal(viofs_fs_open_with(virtio, VIOFS_FS_F_NOTIFICATION, &fs, &err), rc);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
	viofs_virtio_close(virtio);
}

static void it_is_not_taken_unless_wanted(void **state)
{
	prepare(2, 4096);
	assert_int_equal(viofs_fs_open(virtio, &fs, &err), 0);
	assert_int_equal(virtio->negotiated & VIOFS_FS_F_NOTIFICATION, 0);
	assert_int_equal(fs->notify_buf_size, 0);
	finish();
}

static void request_queues_are_behind_it(void **state)
{
	prepare(2, 4096);
	start();
	assert_int_equal(fs->queue_count, 3);
	assert_int_equal(fs->queues[VIOFS_FS_HIPRIO].index, 0);
	assert_int_equal(fs->notification->queue.index, 1);
	assert_int_equal(fs->queues[VIOFS_FS_REQUEST].index, 2);
	assert_int_equal(fs->queues[VIOFS_FS_REQUEST + 1].index, 3);
	for (unsigned int v = 0; v < 4; v++) {
		assert_true(model.queues[v].enabled);
		assert_int_equal(model.queues[v].vector, v);
	}
	assert_int_equal(model.eventfds[1], fs->notification->queue.interrupt_fd);
	assert_int_equal(model.eventfds[2], fs->queues[1].interrupt_fd);
	viofs_fs_kick_always(fs, VIOFS_FS_REQUEST);
	assert_int_equal(model.queues[2].notified, 1);
	finish();
}

static void buffers_are_posted_and_come_back(void **state)
{
	const struct viofs_ring_desc *desc;
	uint8_t copy[100], *to;
	uint32_t len = 0;

	prepare(1, 100);
	start();
	assert_int_equal(fs->notification->buffers, VIOFS_FS_NOTIFY_BUFFERS_MAX);
	assert_int_equal(model.queues[1].notified, 1);
	assert_int_equal(viofs_fs_notification_take(fs, arena, copy, &len), 0);
	for (unsigned int i = 0; i < 100; i++) {
		int head = model_pop(&model, 1);

		assert_true(head >= 0);
		desc = model_memory(&model, model.queues[1].desc, 16, VIOFS_DMA_READ);
		assert_int_equal(desc[head].len, 100);
		to = model_memory(&model, desc[head].addr, 100, VIOFS_DMA_WRITE);
		memset(to, (int)i, 100);
		model_push(&model, 1, (uint32_t)head, i % 101);
		assert_int_equal(viofs_fs_notification_take(fs, arena, copy, &len), 1);
		assert_int_equal(len, i % 101);
		for (unsigned int n = 0; n < len; n++)
			assert_int_equal(copy[n], i);
		/* As many as before are with the device. */
		assert_int_equal(fs->notification->queue.ring.shadow->in_flight,
				 VIOFS_FS_NOTIFY_BUFFERS_MAX);
	}
	finish();
}

static void large_buffers_are_few(void **state)
{
	prepare(1, VIOFS_FS_NOTIFY_BYTES_MAX);
	start();
	assert_int_equal(fs->notification->buffers, 2);
	finish();
	prepare(1, 100 << 10);
	start();
	assert_int_equal(fs->notification->buffers, 10);
	finish();
}

static void a_small_queue_has_fewer(void **state)
{
	prepare(1, 4096);
	model.queues[1].max = 2;
	start();
	assert_int_equal(fs->notification->buffers, 2);
	finish();
}

static void sizes_that_make_no_sense_are_refused(void **state)
{
	static const uint32_t sizes[] = { 0, 15, VIOFS_FS_NOTIFY_BYTES_MAX + 1, UINT32_MAX };

	for (unsigned int i = 0; i < 4; i++) {
		prepare(1, sizes[i]);
		open_fails(-EPROTO, "makes no sense");
		assert_int_equal(err.remedy, VIOFS_REMEDY_NO_NOTIFICATIONS);
		prepare(1, sizes[i]);
		assert_int_equal(viofs_fs_open(virtio, &fs, &err), 0);
		finish();
	}
	prepare(1, 4096);
	viofs_virtio_close(virtio);
	model_set_config32(&model, MODEL_CAP_DEVICE + MODEL_CAP_LENGTH, 40);
	assert_int_equal(viofs_virtio_pci_open(&model.vfio, &virtio, &err), 0);
	open_fails(-EPROTO, "too short");
	prepare(1, 4096);
	model.num_queues = 2;
	open_fails(-EPROTO, "a notification and a request queue");
	prepare(1, 4096);
	model.queues[1].max = 0;
	open_fails(-EPROTO, "Queue 1");
}

static void a_lie_breaks_the_queue(void **state)
{
	uint32_t len = 77;
	uint8_t copy[64];

	prepare(1, 64);
	start();
	model_push(&model, 1, (uint32_t)model_pop(&model, 1), 65);
	assert_int_equal(viofs_fs_notification_take(fs, arena, copy, &len), -EPROTO);
	assert_non_null(strstr(viofs_ring_broken(&fs->notification->queue.ring),
			       "more than the device may write"));
	assert_int_equal(len, 77);
	assert_int_equal(viofs_fs_notification_take(fs, arena, copy, &len), -EPROTO);
	finish();
}

static struct viofs_fs_parts parts_of(const struct viofs_ring *r)
{
	return (struct viofs_fs_parts){ r->desc, r->driver, (void *)(uintptr_t)r->device,
					r->shadow };
}

/* Another process takes the device over. Return: as viofs_fs_adopt(). */
static int adopt(void)
{
	struct viofs_fs_adopted from = {
		.num_request_queues = fs->num_request_queues,
		.vectors = fs->vectors,
		.notify_buf_size = fs->notify_buf_size,
		.queue_count = fs->queue_count,
		.arena = arena,
		.notifications = fs->notification->memory,
	};
	struct viofs_fs *next;
	int rc;

	memcpy(from.tag, fs->tag, sizeof(from.tag));
	memcpy(from.queue_size, fs->queue_size, sizeof(from.queue_size));
	memcpy(from.eventfds, fs->eventfds, sizeof(from.eventfds));
	for (unsigned int q = 0; q < fs->queue_count; q++)
		from.parts[q] = parts_of(&fs->queues[q].ring);
	from.parts[fs->queue_count] = parts_of(&fs->notification->queue.ring);
	rc = viofs_fs_adopt(virtio, &from, &next, &err);
	if (rc)
		return rc;
	viofs_fs_let_go(fs);
	fs = next;
	return 0;
}

static unsigned int in_flight(void)
{
	return fs->notification->queue.ring.shadow->in_flight;
}

/* Looked at, and not given back: the kernel may have it, or not. */
static void what_was_looked_at_is_seen_by_the_next_one_too(void **state)
{
	uint8_t copy[64];
	uint32_t len;

	prepare(1, 64);
	start();
	model_push(&model, 1, (uint32_t)model_pop(&model, 1), 20);
	assert_int_equal(viofs_fs_notification_look(fs, copy, &len), 1);
	assert_int_equal(adopt(), 0);
	len = 0;
	assert_int_equal(viofs_fs_notification_take(fs, arena, copy, &len), 1);
	assert_int_equal(len, 20);
	assert_int_equal(viofs_fs_notification_take(fs, arena, copy, &len), 0);
	assert_int_equal(in_flight(), VIOFS_FS_NOTIFY_BUFFERS_MAX);
	finish();
}

static void a_buffer_that_is_missing_is_posted(void **state)
{
	uint32_t token, len;

	prepare(1, 64);
	start();
	model_push(&model, 1, (uint32_t)model_pop(&model, 1), 20);
	assert_int_equal(viofs_ring_get(&fs->notification->queue.ring, &token, &len), 1);
	assert_int_equal(in_flight(), VIOFS_FS_NOTIFY_BUFFERS_MAX - 1);
	assert_int_equal(adopt(), 0);
	assert_int_equal(in_flight(), VIOFS_FS_NOTIFY_BUFFERS_MAX);
	assert_int_equal(fs->notification->buffers, VIOFS_FS_NOTIFY_BUFFERS_MAX);
	finish();
	/* No more than there is room for. */
	prepare(1, 4096);
	model.queues[1].max = 2;
	start();
	assert_int_equal(adopt(), 0);
	assert_int_equal(fs->notification->buffers, 2);
	finish();
}

static void lies_about_buffers_are_refused(void **state)
{
	struct viofs_ring_state *first, *second, was;

	prepare(1, 64);
	start();
	first = fs->notification->queue.ring.shadow->state;
	second = first + 1;
	was = *first;
	assert_int_not_equal(first->count, 0);
	assert_int_not_equal(second->count, 0);
	first->token = VIOFS_FS_NOTIFY_BUFFERS_MAX;
	assert_int_equal(adopt(), -EPROTO);
	first->token = second->token;
	assert_int_equal(adopt(), -EPROTO);
	*first = was;
	first->writable++;
	assert_int_equal(adopt(), -EPROTO);
	*first = was;
	assert_int_equal(adopt(), 0);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_not_taken_unless_wanted),
		cmocka_unit_test(request_queues_are_behind_it),
		cmocka_unit_test(buffers_are_posted_and_come_back),
		cmocka_unit_test(large_buffers_are_few),
		cmocka_unit_test(a_small_queue_has_fewer),
		cmocka_unit_test(sizes_that_make_no_sense_are_refused),
		cmocka_unit_test(a_lie_breaks_the_queue),
		cmocka_unit_test(what_was_looked_at_is_seen_by_the_next_one_too),
		cmocka_unit_test(a_buffer_that_is_missing_is_posted),
		cmocka_unit_test(lies_about_buffers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
