/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A virtio-fs device from open to close, over the real transport and arena, on a function in
 * memory. */
#include "vfio/pci_transport.h"
#include "model_function.h"

#include "base/util.h"
#include "fs/fs.h"
#include "fs/rekick.h"
#include "attach/attach.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

/* What a device like QEMU's with a modern back end offers, behind an IOMMU. */
static void prepare(unsigned int requests)
{
	model_init(&model, requests);
	model.features = VIOFS_VIRTIO_F_VERSION_1 | VIOFS_VIRTIO_F_EVENT_IDX |
			 VIOFS_VIRTIO_F_INDIRECT_DESC | VIOFS_VIRTIO_F_ACCESS_PLATFORM;
	fs = NULL;
	arena = NULL;
	err.text[0] = 0;
	assert_int_equal(viofs_virtio_pci_open(&model.vfio, &virtio, &err), 0);
}

static void open_good(void)
{
	if (viofs_fs_open(virtio, &fs, &err) != 0)
		fail_msg("%s", err.text);
}

static void open_fails(int rc)
{
	assert_int_equal(viofs_fs_open(virtio, &fs, &err), rc);
	assert_null(fs);
	assert_true(err.text[0]);
	model.faults.reset_polls = 0;
	viofs_virtio_close(virtio); /* stayed the caller's */
	if (model.violation)
		fail_msg("%s", model.violation);
}

static void make_arena(void)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };

	viofs_fs_arena_sizes(fs, sizes);
	sizes[VIOFS_ARENA_DEVICE_RW] += 4096;
	assert_int_equal(viofs_arena_new(sizes, false, &arena, &err), 0);
}

static void map_arena(void)
{
	make_arena();
	if (viofs_arena_map(arena, &model.vfio.mapper, viofs_fs_address_policy(fs), &err) != 0)
		fail_msg("%s", err.text);
}

static void start_good(void)
{
	map_arena();
	if (viofs_fs_start(fs, arena, &err) != 0)
		fail_msg("%s", err.text);
}

static void finish(void)
{
	viofs_fs_close(fs);
	viofs_arena_free(arena);
	if (model.violation)
		fail_msg("%s", model.violation);
	assert_int_equal(model.vectors_on, 0);
	assert_true(model.closed);
}

static void open_learns_what_the_device_is(void **state)
{
	prepare(3);
	model.queues[0].max = 8;
	model.queues[1].max = 1024;
	model.queues[2].max = 32768;
	open_good();
	assert_string_equal(fs->tag, "myfs");
	assert_int_equal(fs->num_request_queues, 3);
	assert_int_equal(fs->queue_count, 4);
	assert_int_equal(fs->queue_size[0], 8);
	assert_int_equal(fs->queue_size[1], 1024);
	assert_int_equal(fs->queue_size[2], VIOFS_FS_QUEUE_SIZE_MAX);
	assert_int_equal(fs->queue_size[3], 128);
	assert_int_equal(viofs_fs_address_policy(fs), VIOFS_ADDRESS_TRANSLATED);
	assert_null(fs->queues);
	assert_int_equal(model.resets, 1);
	finish();
	assert_int_equal(model.status, 0);
}

static void without_access_platform_addresses_are_physical(void **state)
{
	prepare(1);
	model.features &= ~VIOFS_VIRTIO_F_ACCESS_PLATFORM;
	open_good();
	assert_int_equal(viofs_fs_address_policy(fs), VIOFS_ADDRESS_PHYSICAL);
	finish();
}

static void a_tag_may_fill_its_36_bytes(void **state)
{
	prepare(1);
	model_set_tag(&model, "abcdefghijklmnopqrstuvwxyz0123456789", 36);
	open_good();
	assert_string_equal(fs->tag, "abcdefghijklmnopqrstuvwxyz0123456789");
	finish();
}

static void bad_tags_are_refused(void **state)
{
	static const char *const bad[] = { "", "a\nb", "\x7f", "\xff\xfe" };

	for (unsigned int i = 0; i < VIOFS_ARRAY_SIZE(bad); i++) {
		prepare(1);
		model_set_tag(&model, bad[i], strlen(bad[i]));
		open_fails(-EPROTO);
	}
}

static void giving_up_is_told_to_the_device(void **state)
{
	prepare(1);
	model_set_tag(&model, "", 0);
	assert_int_equal(viofs_fs_open(virtio, &fs, &err), -EPROTO);
	assert_true(model.status & VIOFS_VIRTIO_FAILED);
	viofs_virtio_close(virtio);
}

static void no_request_queue_is_refused(void **state)
{
	prepare(1);
	model_set_requests(&model, 0);
	open_fails(-EPROTO);
}

static void a_huge_number_of_request_queues_is_bounded(void **state)
{
	/* by the queues that there are */
	prepare(2);
	model_set_requests(&model, 0xffffffff);
	open_good();
	assert_int_equal(fs->num_request_queues, 0xffffffff);
	assert_int_equal(fs->queue_count, 3);
	finish();
	/* by what is used here */
	prepare(15);
	model_set_requests(&model, 0xffffffff);
	open_good();
	assert_int_equal(fs->queue_count, VIOFS_FS_QUEUES_MAX);
	finish();
	/* by what the device says */
	prepare(4);
	model_set_requests(&model, 1);
	open_good();
	assert_int_equal(fs->queue_count, 2);
	finish();
}

static void too_few_queues_are_refused(void **state)
{
	for (uint16_t n = 0; n < 2; n++) {
		prepare(1);
		model.num_queues = n;
		open_fails(-EPROTO);
	}
}

static void bad_queue_sizes_are_refused(void **state)
{
	static const uint16_t bad[] = { 0, 1, 4, 3, 100, 1000, 32769, 65535 };

	for (unsigned int i = 0; i < VIOFS_ARRAY_SIZE(bad); i++)
		for (unsigned int q = 0; q < 2; q++) {
			prepare(1);
			model.queues[q].max = bad[i];
			open_fails(-EPROTO);
			prepare(1);
			model.features &= ~VIOFS_VIRTIO_F_INDIRECT_DESC;
			model.queues[q].max = bad[i];
			open_fails(-EPROTO);
		}
}

/* Of packed rings, which may be of any size. */
static void the_smallest_queue_takes_the_longest_chain(void **state)
{
	for (unsigned int q = 0; q < 2; q++) {
		prepare(1);
		model.features |= VIOFS_VIRTIO_F_RING_PACKED;
		model.queues[q].max = 6;
		open_good();
		assert_int_equal(fs->queue_size[q], 6);
		finish();
		prepare(1);
		model.features |= VIOFS_VIRTIO_F_RING_PACKED;
		model.queues[q].max = 5;
		open_fails(-EPROTO);
	}
}

static void a_config_that_never_settles_is_refused(void **state)
{
	prepare(1);
	model.faults.generation_moves = -1;
	open_fails(-EPROTO);
}

static void a_config_too_short_for_virtio_fs_is_refused(void **state)
{
	for (uint32_t length = 32; length < 40; length += 4) {
		prepare(1);
		viofs_virtio_close(virtio);
		model_set_config32(&model, MODEL_CAP_DEVICE + MODEL_CAP_LENGTH, length);
		/* the capability walk may be the one to say so */
		if (viofs_virtio_pci_open(&model.vfio, &virtio, &err) == 0)
			open_fails(-EPROTO);
	}
}

static void a_device_that_refuses_is_refused(void **state)
{
	prepare(1);
	model.features = VIOFS_VIRTIO_F_EVENT_IDX;
	open_fails(-ENOTSUP);
	prepare(1);
	model.faults.refuse_features = true;
	open_fails(-EPROTO);
	prepare(1);
	model.faults.gone = true;
	open_fails(-ENODEV);
}

static void a_stuck_reset_is_refused(void **state)
{
	prepare(1);
	model.faults.reset_polls = -1;
	open_fails(-ETIMEDOUT);
}

static void start_sets_every_register(void **state)
{
	prepare(2);
	model.queues[1].max = 4096;
	open_good();
	start_good();
	assert_int_equal(model.status, 0xf);
	assert_int_equal(model.config_vector, MODEL_NO_VECTOR);
	assert_int_equal(fs->vectors, 3);
	assert_int_equal(model.vectors_on, 3);
	for (unsigned int i = 0; i < 3; i++) {
		const struct model_queue *q = &model.queues[i];
		const struct viofs_fs_queue *mine = &fs->queues[i];
		uint16_t size = fs->queue_size[i];
		struct viofs_ring_layout l = viofs_ring_layout(size, 0);
		int fd = mine->interrupt_fd;

		assert_true(q->enabled);
		assert_int_equal(size, i == 1 ? VIOFS_FS_QUEUE_SIZE_MAX : 128);
		assert_int_equal(q->size, size);
		assert_int_equal(mine->index, i);
		assert_int_equal(mine->ring.size, size);
		assert_true(mine->ring.event_idx);
		assert_int_equal(q->vector, i);
		assert_int_equal(model.eventfds[i], fd);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		/* io_uring waits for it: reading must block */
		assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_int_equal(q->desc % 16, 0);
		assert_int_equal(q->driver % 2, 0);
		assert_int_equal(q->device % 4, 0);
		assert_ptr_equal(model_memory(&model, q->desc, l.desc, VIOFS_DMA_READ),
				 mine->ring.desc);
		assert_ptr_equal(model_memory(&model, q->driver, l.driver, VIOFS_DMA_READ),
				 mine->ring.driver);
		assert_ptr_equal(model_memory(&model, q->device, l.device, VIOFS_DMA_WRITE),
				 mine->ring.device);
		/* what the driver relies on is out of the device's reach */
		assert_false(viofs_arena_contains(arena, mine->ring.shadow, 1));
	}
	finish();
	assert_int_equal(model.status, 0);
}

/* The device may write where descriptors are, and the driver's notes stay out of its reach. */
static void packed_rings_lie_where_both_may_write(void **state)
{
	struct viofs_ring_layout l = viofs_ring_layout(100, VIOFS_RING_PACKED);

	prepare(1);
	model.features |= VIOFS_VIRTIO_F_RING_PACKED;
	model.queues[1].max = 100; /* any number */
	open_good();
	start_good();
	assert_true(model.driver_features & VIOFS_VIRTIO_F_RING_PACKED);
	for (unsigned int i = 0; i < 2; i++) {
		const struct model_queue *q = &model.queues[i];
		const struct viofs_ring *ring = &fs->queues[i].ring;

		assert_true(ring->packed);
		assert_int_equal(ring->size, i ? 100 : 128);
		assert_int_equal(q->size, ring->size);
		assert_int_equal(q->desc % 16, 0);
		assert_int_equal(q->driver % 4, 0);
		assert_int_equal(q->device % 4, 0);
		assert_ptr_equal(
			model_memory(&model, q->desc, l.desc, VIOFS_DMA_READ | VIOFS_DMA_WRITE),
			ring->desc);
		assert_ptr_equal(model_memory(&model, q->driver, l.driver, VIOFS_DMA_READ),
				 ring->driver);
		assert_ptr_equal(model_memory(&model, q->device, l.device, VIOFS_DMA_WRITE),
				 ring->device);
		assert_false(viofs_arena_contains(arena, ring->shadow, 1));
	}
	finish();
}

static void packed_rings_can_be_refused(void **state)
{
	prepare(1);
	model.features |= VIOFS_VIRTIO_F_RING_PACKED;
	assert_int_equal(viofs_fs_open_with(virtio, 0, &fs, &err), 0);
	start_good();
	assert_false(model.driver_features & VIOFS_VIRTIO_F_RING_PACKED);
	assert_false(fs->queues[1].ring.packed);
	finish();
}

static void a_request_goes_round(void **state)
{
	struct viofs_ring_piece pieces[2];
	struct viofs_ring_chain chain = {
		.pieces = pieces, .readable = 1, .writable = 1, .token = 42
	};
	uint32_t token = 0, len = 0;
	uint64_t signals = 0;
	size_t run;
	char *data;
	int head;

	prepare(1);
	model.features &= ~VIOFS_VIRTIO_F_EVENT_IDX;
	open_good();
	start_good();
	data = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_RW, 64, 64);
	pieces[0] = (struct viofs_ring_piece){ viofs_arena_iova(arena, data, 32, &run), 32 };
	pieces[1] = (struct viofs_ring_piece){ viofs_arena_iova(arena, data + 32, 32, &run), 32 };

	assert_false(viofs_ring_arm(&fs->queues[1].ring));
	assert_int_equal(viofs_ring_add(&fs->queues[1].ring, &chain), 0);
	viofs_fs_kick(fs, 1);
	viofs_fs_kick(fs, 1); /* nothing new: no second one */
	assert_int_equal(fs->queues[1].ring.shadow->kicks, 1);
	assert_int_equal(model.queues[1].notified, 1);
	viofs_fs_kick_always(fs, 1);
	assert_int_equal(fs->queues[1].ring.shadow->kicks, 2);
	assert_int_equal(model.queues[1].notified, 2);

	head = model_pop(&model, 1);
	assert_true(head >= 0);
	model_push(&model, 1, (uint32_t)head, 20);
	assert_int_equal(read(fs->queues[1].interrupt_fd, &signals, sizeof(signals)), 8);
	assert_int_equal(signals, 1);
	assert_int_equal(viofs_ring_get(&fs->queues[1].ring, &token, &len), 1);
	assert_int_equal(token, 42);
	assert_int_equal(len, 20);
	assert_int_equal(poll(&(struct pollfd){ fs->queues[0].interrupt_fd, POLLIN, 0 }, 1, 0), 0);
	finish();
}

static void few_vectors_share_an_eventfd(void **state)
{
	prepare(3);
	model.vfio.msix_vectors = 2;
	open_good();
	start_good();
	assert_int_equal(fs->vectors, 2);
	assert_int_equal(fs->queues[0].interrupt_fd, fs->eventfds[0]);
	for (unsigned int q = 1; q < 4; q++)
		assert_int_equal(fs->queues[q].interrupt_fd, fs->eventfds[1]);
	finish();
}

static void without_vectors_it_starts_and_is_polled(void **state)
{
	prepare(1);
	model.faults.refuse_all_vectors = true;
	open_good();
	start_good();
	assert_int_equal(fs->vectors, 0);
	assert_int_equal(fs->queues[1].interrupt_fd, fs->eventfds[1]);
	assert_int_equal(model.status, 0xf);
	finish();
}

static void start_fails(int rc)
{
	map_arena();
	assert_int_equal(viofs_fs_start(fs, arena, &err), rc);
	assert_true(err.text[0]);
	if (!model.faults.gone)
		assert_int_equal(model.status, 0); /* left reset */
	assert_int_equal(model.vectors_on, 0);
	finish();
}

static void a_failed_start_leaves_the_device_reset(void **state)
{
	prepare(1);
	open_good();
	model.faults.needs_reset = true;
	start_fails(-EPROTO);

	prepare(1);
	open_good();
	model.faults.gone_at_start = true;
	start_fails(-EPROTO);

	prepare(1);
	open_good();
	model.faults.msix_error = -ENOSPC;
	start_fails(-ENOSPC);

	prepare(1);
	model.queues[1].max = 2048;
	open_good();
	model.faults.ignore_size = true;
	start_fails(-EPROTO);

	prepare(1);
	open_good();
	model.queues[1].notify_off = 0xffff;
	start_fails(-EPROTO);
}

static void stop_resets_and_can_be_repeated(void **state)
{
	prepare(1);
	open_good();
	start_good();
	assert_int_equal(viofs_fs_stop(fs, &err), 0);
	assert_int_equal(model.status, 0);
	assert_int_equal(model.vectors_on, 0);
	assert_int_equal(fs->vectors, 0);
	assert_int_equal(viofs_fs_stop(fs, &err), 0);
	finish();
}

/* 0xff may be a lie, or memory decoding that somebody has switched off. */
static void a_device_that_is_gone_is_cut_off_all_the_same(void **state)
{
	prepare(1);
	open_good();
	start_good();
	model.faults.gone = true;
	assert_string_equal(viofs_virtio_is_lost(fs->virtio), "is gone (status 0xff)");
	assert_int_equal(viofs_fs_stop(fs, &err), 0);
	model.faults.gone = false;
	assert_false(model_reaches_memory(&model));
	finish();
}

/* From the bus, that is: there is nothing to wait for. */
static void a_function_that_is_gone_is_not_reset(void **state)
{
	prepare(1);
	open_good();
	start_good();
	model.faults.gone = true;
	memset(model.config, 0xff, sizeof(model.config));
	assert_int_equal(viofs_fs_stop(fs, &err), 0);
	assert_int_equal(model.function_resets, 0);
	finish();
}

static void nothing_reaches_memory_before_a_reset(void **state)
{
	prepare(1);
	assert_false(model.config[MODEL_COMMAND] & MODEL_COMMAND_MASTER);
	open_good();
	assert_false(model.config[MODEL_COMMAND] & MODEL_COMMAND_MASTER);
	start_good();
	assert_true(model_reaches_memory(&model));
	finish();
}

/* A running device, that will not finish its reset. */
static void start_stubborn(void)
{
	prepare(1);
	open_good();
	start_good();
	model.faults.reset_polls = -1;
}

static void close_fs(int rc)
{
	assert_int_equal(viofs_fs_close(fs), rc);
	fs = NULL;
}

static void a_reset_that_does_not_finish_is_made_a_function_reset(void **state)
{
	start_stubborn();
	assert_int_equal(viofs_fs_stop(fs, &err), 0);
	assert_int_equal(model.function_resets, 1);
	assert_int_equal(model.status, 0);
	close_fs(0);
	assert_int_equal(model.function_resets, 1);
	finish();
}

static void without_a_function_reset_it_is_cut_off(void **state)
{
	start_stubborn();
	model.faults.no_function_reset = true;
	close_fs(0);
	assert_false(model_reaches_memory(&model));
	assert_int_not_equal(model.status, 0);
	finish();
}

static void a_function_reset_is_not_believed(void **state)
{
	start_stubborn();
	model.faults.function_reset_lies = true;
	close_fs(0);
	assert_int_equal(model.function_resets, 1);
	assert_false(model_reaches_memory(&model));
	finish();
}

/* As a worker without rights does it. */
static void it_can_be_cut_off_without_a_function_reset(void **state)
{
	unsigned int resets;

	start_stubborn();
	assert_int_equal(viofs_virtio_halt(fs->virtio, 20, false, &err), 0);
	assert_int_equal(model.function_resets, 0);
	assert_false(model_reaches_memory(&model));
	/* And that is not done twice, nor is it reset again, even where it would work by now. */
	resets = model.resets;
	model.faults.reset_polls = 0;
	assert_int_equal(viofs_virtio_halt(fs->virtio, 100000, false, &err), 0);
	assert_int_equal(model.resets, resets);
	finish();
}

/* The model writes to all of it when vfio is closed. */
static void memory_of_a_device_that_runs_on_goes_last(void **state)
{
	start_stubborn();
	model.faults.no_function_reset = model.faults.master_sticks = true;
	assert_int_equal(viofs_attach_close(fs, arena), -ETIMEDOUT);
	assert_true(model.closed);
	viofs_arena_free(arena);
	assert_null(model.violation);
}

/* Small pages at physical addresses: rings shrink to what is contiguous, at least to 256 entries.
 */
static void rings_fit_the_contiguous_memory_there_is(void **state)
{
	prepare(4);
	model.features &= ~VIOFS_VIRTIO_F_ACCESS_PLATFORM;
	for (unsigned int q = 0; q < 5; q++)
		model.queues[q].max = 1024;
	open_good();
	make_arena();
	if (viofs_arena_map(arena, &model.vfio.mapper, viofs_fs_address_policy(fs), &err) != 0) {
		print_message("skipped: %s\n", err.text);
		finish();
		skip();
	}
	assert_int_equal(viofs_fs_start(fs, arena, &err), 0);
	for (unsigned int q = 0; q < 5; q++) {
		const struct viofs_ring *r = &fs->queues[q].ring;
		size_t run;

		assert_in_range(r->size, 256, 1024);
		assert_int_equal(r->size, fs->queue_size[q]);
		assert_int_equal(r->size, model.queues[q].size);
		viofs_arena_iova(arena, r->desc, viofs_ring_layout(r->size, 0).desc, &run);
		assert_true(run >= viofs_ring_layout(r->size, 0).desc);
		viofs_arena_iova(arena, r->device, viofs_ring_layout(r->size, 0).device, &run);
		assert_true(run >= viofs_ring_layout(r->size, 0).device);
	}
	finish();
}

static void a_lost_kick_is_given_again_at_intervals_that_double(void **state)
{
	int64_t now = INT64_MAX / 2, interval = VIOFS_REKICK_NEW_NS;
	struct viofs_rekick k;

	viofs_rekick_start(&k, now, false);
	for (int i = 0; i < 20; i++) {
		assert_false(viofs_rekick_is_due(&k, now + interval - 1));
		now += interval;
		assert_true(viofs_rekick_is_due(&k, now));
		interval = VIOFS_MIN(2 * interval, VIOFS_REKICK_MAX_NS);
	}
	assert_int_equal(interval, VIOFS_REKICK_MAX_NS);
	/* An answer begins a new time, and a device that has answered is trusted for longer. */
	viofs_rekick_start(&k, now, true);
	assert_false(viofs_rekick_is_due(&k, now + VIOFS_REKICK_NS - 1));
	assert_true(viofs_rekick_is_due(&k, now + VIOFS_REKICK_NS));
}

static void close_takes_null(void **state)
{
	viofs_fs_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_learns_what_the_device_is),
		cmocka_unit_test(without_access_platform_addresses_are_physical),
		cmocka_unit_test(a_tag_may_fill_its_36_bytes),
		cmocka_unit_test(bad_tags_are_refused),
		cmocka_unit_test(giving_up_is_told_to_the_device),
		cmocka_unit_test(no_request_queue_is_refused),
		cmocka_unit_test(a_huge_number_of_request_queues_is_bounded),
		cmocka_unit_test(too_few_queues_are_refused),
		cmocka_unit_test(bad_queue_sizes_are_refused),
		cmocka_unit_test(the_smallest_queue_takes_the_longest_chain),
		cmocka_unit_test(a_config_that_never_settles_is_refused),
		cmocka_unit_test(a_config_too_short_for_virtio_fs_is_refused),
		cmocka_unit_test(a_device_that_refuses_is_refused),
		cmocka_unit_test(a_stuck_reset_is_refused),
		cmocka_unit_test(start_sets_every_register),
		cmocka_unit_test(packed_rings_lie_where_both_may_write),
		cmocka_unit_test(packed_rings_can_be_refused),
		cmocka_unit_test(a_request_goes_round),
		cmocka_unit_test(few_vectors_share_an_eventfd),
		cmocka_unit_test(without_vectors_it_starts_and_is_polled),
		cmocka_unit_test(a_failed_start_leaves_the_device_reset),
		cmocka_unit_test(stop_resets_and_can_be_repeated),
		cmocka_unit_test(a_device_that_is_gone_is_cut_off_all_the_same),
		cmocka_unit_test(a_function_that_is_gone_is_not_reset),
		cmocka_unit_test(nothing_reaches_memory_before_a_reset),
		cmocka_unit_test(a_reset_that_does_not_finish_is_made_a_function_reset),
		cmocka_unit_test(without_a_function_reset_it_is_cut_off),
		cmocka_unit_test(a_function_reset_is_not_believed),
		cmocka_unit_test(it_can_be_cut_off_without_a_function_reset),
		cmocka_unit_test(memory_of_a_device_that_runs_on_goes_last),
		cmocka_unit_test(rings_fit_the_contiguous_memory_there_is),
		cmocka_unit_test(a_lost_kick_is_given_again_at_intervals_that_double),
		cmocka_unit_test(close_takes_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
