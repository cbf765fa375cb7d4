/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening a device behind a socket: which features are taken, what is given, and the end. */
#include "attach/attach.h"
#include "model_backend.h"
#include "virtio/virtio.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define F_NOTIFICATION (1ULL << 0)
#define F_PACKED (1ULL << 34)
#define TRACKING (1ULL << 12)

static struct model_backend peer;
static struct viofs_fs *fs;
static struct viofs_source source;
static struct viofs_attach_options options;
static struct viofs_err err;
static unsigned int fds_before;

static int make(void **state)
{
	fds_before = model_count_fds();
	model_backend_init(&peer);
	peer.features |= F_PACKED | F_NOTIFICATION;
	peer.protocol |= TRACKING;
	peer.queues = 4;
	peer.config[36] = 2;  /* request queues */
	peer.config[41] = 16; /* bytes of a notification: 4096 */
	model_backend_start(&peer);
	fs = NULL;
	memset(&options, 0, sizeof(options));
	source = (struct viofs_source){ .transport = viofs_transport_of("vhost-user:") };
	snprintf(source.path, sizeof(source.path), "%s", peer.path);
	return 0;
}

static void close_it(void)
{
	viofs_attach_close(fs, NULL);
	fs = NULL;
}

static int unmake(void **state)
{
	close_it();
	model_backend_stop(&peer);
	return model_count_fds() == fds_before ? 0 : -1;
}

static uint64_t negotiated(void)
{
	if (viofs_attach_open(&source, &options, &fs, &err))
		fail_msg("%s", err.text);
	assert_string_equal(fs->virtio->ops->name, "vhost-user");
	assert_string_equal(fs->tag, "a-tag");
	return fs->virtio->negotiated;
}

static void packed_rings_are_taken_where_they_are_offered(void **state)
{
	assert_int_equal(negotiated() & (F_PACKED | F_NOTIFICATION), F_PACKED);
	assert_null(fs->virtio->returns);
}

static void split_rings_where_they_are_asked_for(void **state)
{
	options.ring = VIOFS_ATTACH_RING_ONLY_SPLIT;
	assert_false(negotiated() & F_PACKED);
}

static void packed_rings_that_are_not_offered_are_an_error(void **state)
{
	options.ring = VIOFS_ATTACH_RING_ONLY_PACKED;
	assert_true(negotiated() & F_PACKED);
	close_it();
	peer.features &= ~F_PACKED;
	assert_int_equal(viofs_attach_open(&source, &options, &fs, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "does not offer VIRTIO_F_RING_PACKED"));
}

static void notifications_and_tracking_where_they_are_asked_for(void **state)
{
	options.notification = true;
	options.transport.track = true;
	assert_int_equal(negotiated() & (F_PACKED | F_NOTIFICATION), F_NOTIFICATION);
	assert_non_null(fs->virtio->returns);
	assert_int_equal(fs->notify_buf_size, 4096);
}

static void as_many_queues_as_are_asked_for(void **state)
{
	options.transport.queues = 1;
	negotiated();
	assert_int_equal(fs->num_request_queues, 1);
	close_it();
	options.transport.queues = 5;
	assert_int_equal(viofs_attach_open(&source, &options, &fs, &err), -EINVAL);
}

static void nobody_at_the_socket_is_an_error(void **state)
{
	strcpy(source.path, "/nonexistent/socket");
	assert_int_equal(viofs_attach_open(&source, &options, &fs, &err), -ENOENT);
}

static void memory_is_the_back_ends_until_the_end(void **state)
{
	const size_t sizes[VIOFS_ARENA_SECTIONS] = { [VIOFS_ARENA_DEVICE_RW] = 4096 };
	struct viofs_arena *arena;

	negotiated();
	assert_int_equal(viofs_arena_new(sizes, false, &arena, &err), 0);
	assert_int_equal(viofs_attach_map(fs, arena, &err), 0);
	assert_true(model_backend_last(&peer, MODEL_SET_MEM_TABLE)->fd >= 0);
	assert_int_equal(viofs_attach_close(fs, arena), 0);
	fs = NULL;
	viofs_arena_free(arena);
}

#define ALONE(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(packed_rings_are_taken_where_they_are_offered),
		ALONE(split_rings_where_they_are_asked_for),
		ALONE(packed_rings_that_are_not_offered_are_an_error),
		ALONE(notifications_and_tracking_where_they_are_asked_for),
		ALONE(as_many_queues_as_are_asked_for),
		ALONE(nobody_at_the_socket_is_an_error),
		ALONE(memory_is_the_back_ends_until_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
