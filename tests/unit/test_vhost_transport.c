/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A virtio device that a vhost-user back end makes: its status, configuration, queues; and another
 * back end in its place. */
#include "vhost/vhost_transport.h"
#include "dma/arena.h"
#include "base/util.h"
#include "model_backend.h"
#include "vhost/vhost.h"
#include "virtio/virtio.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_MS 5000
#define TRACKING (1ULL << 12)
#define F_NOTIFICATION (1ULL << 0)
#define F_PLATFORM (1ULL << 33)
#define F_PACKED (1ULL << 34)
#define WANTED (1ULL << 32 | 1ULL << 28)

static struct model_backend peer;
static struct viofs_vhost *v;
static struct viofs_virtio *d;
static struct viofs_arena *arena;
static struct viofs_err err;
static unsigned int fds_before;

static int make(void **state)
{
	fds_before = model_count_fds();
	model_backend_init(&peer);
	v = NULL;
	d = NULL;
	arena = NULL;
	memset(&err, 0, sizeof(err));
	return 0;
}

static int unmake(void **state)
{
	if (d)
		viofs_virtio_close(d);
	else
		viofs_vhost_close(v);
	viofs_arena_detach(arena);
	viofs_arena_free(arena);
	if (peer.is_running)
		model_backend_stop(&peer);
	return model_count_fds() == fds_before ? 0 : -1;
}

static int open_with(unsigned int requests)
{
	model_backend_start(&peer);
	assert_int_equal(viofs_vhost_open(peer.path, LONG_MS, peer.protocol & TRACKING, &v, &err),
			 0);
	return viofs_virtio_vhost_open(v, requests, &d, &err);
}

static void fails_at(enum model_request request, enum model_fault fault)
{
	pthread_mutex_lock(&peer.lock);
	peer.fault_at = request;
	peer.fault = fault;
	pthread_mutex_unlock(&peer.lock);
}

static uint64_t number_told(enum model_request request)
{
	const struct model_message *m = model_backend_last(&peer, request);

	assert_non_null(m);
	return m->payload.u64;
}

static uint32_t queues_said(void)
{
	uint32_t num;

	assert_int_equal(d->ops->config_read(d, 36, &num, 4), 0);
	return le32toh(num);
}

static const struct viofs_virtio_queue_address ring = {
	.size = 128,
	.desc = 0x100001000,
	.driver = 0x100002000,
	.device = 0x100003000,
};

static void the_configuration_is_the_back_ends(void **state)
{
	char tag[36];
	uint8_t c;

	peer.queues = 4;
	peer.config[36] = 3;
	assert_int_equal(open_with(0), 0);
	assert_int_equal(d->ops->config_read(d, 0, tag, 36), 0);
	assert_string_equal(tag, "a-tag");
	assert_int_equal(queues_said(), 3);
	assert_int_equal(d->ops->queue_count(d), 4);
	assert_int_equal(d->ops->queue_max(d, 3), 1024);
	assert_int_equal(d->ops->queue_max(d, 4), 0);
	/* Without the feature the size of notifications isn't there. */
	assert_int_equal(d->ops->config_read(d, 40, &c, 1), -ERANGE);
	assert_int_equal(d->ops->config_read(d, 39, &c, 1), 0);
}

static void as_many_queues_as_the_user_wants(void **state)
{
	peer.queues = 4;
	peer.config[36] = 3;
	assert_int_equal(open_with(2), 0);
	assert_int_equal(queues_said(), 2);
}

static void no_more_queues_than_there_are(void **state)
{
	peer.queues = 4;
	peer.config[36] = 3;
	assert_int_equal(open_with(4), -EINVAL);
	assert_non_null(strstr(err.text, "no more than 3 request queues."));
	assert_null(d);
	assert_int_equal(viofs_virtio_vhost_open(v, 3, &d, &err), 0);
	assert_int_equal(queues_said(), 3);
}

static void without_mq_there_are_two(void **state)
{
	peer.protocol &= ~1ULL;
	assert_int_equal(open_with(2), -EINVAL);
	assert_non_null(strstr(err.text, "no more than 1 request queue."));
	assert_int_equal(viofs_virtio_vhost_open(v, 1, &d, &err), 0);
	assert_int_equal(d->ops->queue_count(d), 2);
}

static void one_with_very_many_queues_has_as_many_as_there_is_room_for(void **state)
{
	peer.queues = 1000;
	assert_int_equal(open_with(0), 0);
	assert_int_equal(d->ops->queue_count(d), 64);
}

static void without_a_configuration_the_sockets_name_is_the_tag(void **state)
{
	char tag[36];

	peer.has_no_config = true;
	peer.features |= F_NOTIFICATION;
	assert_int_equal(open_with(0), 0);
	assert_int_equal(d->ops->config_read(d, 0, tag, 36), 0);
	assert_string_equal(tag, "a-socket");
	assert_int_equal(queues_said(), 1);
	assert_false(d->ops->features_get(d) & F_NOTIFICATION);
}

static void a_long_name_is_cut_between_characters(void **state)
{
	char tag[36], link[128];

	peer.has_no_config = true;
	model_backend_start(&peer);
	/* 35 bytes and one of 2: the second one would be cut. */
	snprintf(link, sizeof(link), "%s/%s\xc3\xa4", peer.dir,
		 "12345678901234567890123456789012345");
	assert_int_equal(symlink(peer.path, link), 0);
	assert_int_equal(viofs_vhost_open(link, LONG_MS, false, &v, &err), 0);
	assert_int_equal(viofs_virtio_vhost_open(v, 0, &d, &err), 0);
	assert_int_equal(d->ops->config_read(d, 0, tag, 36), 0);
	assert_memory_equal(tag, "12345678901234567890123456789012345\0", 36);
	unlink(link);
}

static void a_back_end_that_fails_at_its_configuration_is_refused(void **state)
{
	fails_at(MODEL_GET_CONFIG, MODEL_CLOSES);
	assert_int_equal(open_with(0), -ECONNRESET);
	assert_string_equal(err.text, "The back end closed its socket at GET_CONFIG.");
	assert_null(d);
}

static void features_that_nobody_here_can_have_are_not_offered(void **state)
{
	peer.features |= F_NOTIFICATION | F_PLATFORM | F_PACKED;
	assert_int_equal(open_with(0), 0);
	assert_false(d->ops->features_get(d) & F_PLATFORM);
	assert_true(d->ops->features_get(d) & F_PACKED);
	assert_true(d->ops->features_get(d) & F_NOTIFICATION);
	assert_int_equal(d->event_fd, v->event_fd);
}

static void who_tracks_has_no_packed_rings(void **state)
{
	peer.features |= F_PACKED;
	peer.protocol |= TRACKING;
	assert_int_equal(open_with(0), 0);
	assert_false(d->ops->features_get(d) & F_PACKED);
	assert_int_equal(d->event_fd, v->link->fd);
	assert_false(d->ops->is_away(d));
}

static void the_status_is_what_was_set_until_it_has_gone(void **state)
{
	assert_int_equal(open_with(0), 0);
	assert_int_equal(d->ops->status_get(d), 0);
	assert_int_equal(viofs_virtio_negotiate(d, WANTED, &err), 0);
	assert_int_equal(d->ops->status_get(d), 1 | 2 | 8);
	assert_int_equal(number_told(MODEL_SET_FEATURES), WANTED | 1ULL << 30);
	assert_int_equal(viofs_virtio_driver_ok(d, &err), 0);
	assert_null(viofs_virtio_is_lost(d));
	model_backend_stop(&peer);
	assert_int_equal(d->ops->status_get(d), 0xff);
	assert_string_equal(viofs_virtio_is_lost(d), "has closed its socket");
}

static void features_that_are_refused_end_it(void **state)
{
	fails_at(MODEL_SET_FEATURES, MODEL_REFUSES);
	assert_int_equal(open_with(0), 0);
	assert_int_not_equal(viofs_virtio_negotiate(d, WANTED, &err), 0);
	assert_int_equal(d->ops->status_get(d), 0xff);
}

static void rings_start_once_and_stop_with_the_reset(void **state)
{
	const int calls[] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };
	uint64_t kicks;
	int kick;

	peer.queues = 3;
	assert_int_equal(open_with(0), 0);
	assert_int_equal(d->ops->interrupts_set(d, calls, 2, &err), 2);
	assert_int_equal(d->ops->queue_enable(d, 3, &ring, &err), -EINVAL);
	assert_int_equal(d->ops->queue_enable(d, 1, &ring, &err), 0);
	assert_int_equal(number_told(MODEL_SET_VRING_NUM), 128ULL << 32 | 1);
	assert_int_equal(number_told(MODEL_SET_VRING_BASE), 1);
	assert_int_equal(number_told(MODEL_SET_VRING_CALL), 1);
	assert_int_equal(model_backend_last(&peer, MODEL_SET_VRING_ADDR)->payload.words[1],
			 ring.desc);
	assert_int_equal(model_backend_last(&peer, MODEL_SET_VRING_ADDR)->payload.words[2],
			 ring.device);
	assert_int_equal(model_backend_last(&peer, MODEL_SET_VRING_ADDR)->payload.words[3],
			 ring.driver);
	/* The third one has no eventfd. */
	assert_int_equal(d->ops->queue_enable(d, 2, &ring, &err), 0);
	assert_int_equal(number_told(MODEL_SET_VRING_CALL), 2 | 1 << 8);
	kick = model_backend_last(&peer, MODEL_SET_VRING_KICK)->fd;
	d->ops->notify(d, 2);
	assert_int_equal(read(kick, &kicks, 8), 8);
	assert_int_equal(kicks, 1);
	d->ops->status_set(d, 0);
	assert_int_equal(model_backend_times(&peer, MODEL_GET_VRING_BASE), 2);
	d->ops->status_set(d, 0);
	assert_int_equal(model_backend_times(&peer, MODEL_GET_VRING_BASE), 2);
	close(calls[0]);
	close(calls[1]);
}

static unsigned int rung;

static void ring_bell(void *arg, unsigned int q)
{
	rung = q;
}

static void a_bell_takes_the_place_of_the_eventfd(void **state)
{
	struct pollfd p = { .events = POLLIN };

	assert_int_equal(open_with(0), 0);
	assert_int_equal(d->ops->queue_enable(d, 1, &ring, &err), 0);
	p.fd = d->ops->kick_fd(d, 1);
	d->bell = ring_bell;
	d->ops->notify(d, 1);
	assert_int_equal(rung, 1);
	assert_int_equal(poll(&p, 1, 0), 0);
}

/* Of a program that has closed its standard input. */
static void an_eventfd_may_be_descriptor_0(void **state)
{
	int input;

	assert_int_equal(open_with(0), 0);
	input = dup(0);
	assert_true(input > 0);
	close(0);
	assert_int_equal(d->ops->queue_enable(d, 1, &ring, &err), 0);
	assert_int_equal(d->ops->kick_fd(d, 1), 0);
	viofs_virtio_close(d);
	d = NULL;
	v = NULL;
	assert_int_equal(fcntl(0, F_GETFD), -1);
	assert_int_equal(dup2(input, 0), 0);
	close(input);
}

static void a_packed_ring_starts_with_its_wrap_counters_set(void **state)
{
	peer.features |= F_PACKED;
	assert_int_equal(open_with(0), 0);
	assert_int_equal(viofs_virtio_negotiate(d, WANTED | F_PACKED, &err), 0);
	assert_int_equal(d->ops->queue_enable(d, 1, &ring, &err), 0);
	assert_int_equal(number_told(MODEL_SET_VRING_BASE), 0x80008000ULL << 32 | 1);
}

static void a_ring_that_is_refused_is_named(void **state)
{
	fails_at(MODEL_SET_VRING_ENABLE, MODEL_REFUSES);
	assert_int_equal(open_with(0), 0);
	assert_int_equal(d->ops->queue_enable(d, 1, &ring, &err), -EREMOTEIO);
	assert_non_null(
		strstr(err.text, "refused SET_VRING_ENABLE for virtqueue 1 of 128 entries"));
}

/* Slow ones: each answer comes just in time. */

#define MANY_RINGS 12U
#define EACH_MS 200

static void is_late(unsigned int ms)
{
	pthread_mutex_lock(&peer.lock);
	peer.late_ms = ms;
	pthread_mutex_unlock(&peer.lock);
}

static int start_many(void)
{
	int rc = 0;

	for (unsigned int q = 0; q < MANY_RINGS && !rc; q++)
		rc = d->ops->queue_enable(d, q, &ring, &err);
	return rc;
}

static void a_start_is_bounded_as_a_whole(void **state)
{
	int64_t began;

	peer.queues = MANY_RINGS;
	model_backend_start(&peer);
	assert_int_equal(viofs_vhost_open(peer.path, EACH_MS, false, &v, &err), 0);
	assert_int_equal(viofs_virtio_vhost_open(v, 0, &d, &err), 0);
	/* Features were agreed on: it has not started yet. */
	d->ops->status_set(d, VIOFS_VIRTIO_DRIVER | VIOFS_VIRTIO_FEATURES_OK);
	is_late(EACH_MS / 2);
	began = viofs_now_ns();
	assert_int_equal(start_many(), -ETIMEDOUT);
	assert_in_range(viofs_now_ns() - began, 0, 3 * VIOFS_NSEC_PER_SEC);
	is_late(0);
}

static void all_rings_are_stopped_in_the_time_of_one(void **state)
{
	int64_t began;

	peer.queues = MANY_RINGS;
	assert_int_equal(open_with(0), 0);
	assert_int_equal(start_many(), 0);
	assert_int_equal(viofs_virtio_driver_ok(d, &err), 0);
	is_late(EACH_MS * 3 / 4);
	d->ops->patience_set(d, EACH_MS);
	began = viofs_now_ns();
	d->ops->status_set(d, 0);
	assert_in_range(viofs_now_ns() - began, 0, 3 * EACH_MS * VIOFS_NSEC_PER_MSEC);
	is_late(0);
}

static void what_comes_later_is_not_counted_to_the_start(void **state)
{
	assert_int_equal(open_with(0), 0);
	v->left_ns = 0; /* as if all had been slow */
	assert_int_equal(viofs_virtio_driver_ok(d, &err), 0);
	is_late(20);
	assert_int_equal(d->ops->queue_enable(d, 1, &ring, &err), 0);
	is_late(0);
}

/* Coming back. */

static unsigned int signalled;

static void count_signal(int eventfd)
{
	const uint64_t one = 1;

	signalled++;
	assert_int_equal(write(eventfd, &one, 8), 8);
}

static uint16_t *last_used;

/* A session with the rings 0 and 2 of 3; used.idx of ring 2 is 7. */
static void start_session(const int calls[3])
{
	const size_t sizes[VIOFS_ARENA_SECTIONS] = { [VIOFS_ARENA_DEVICE_WRITE] = 8192 };
	struct viofs_virtio_queue_address a = ring;

	peer.queues = 3;
	peer.protocol |= TRACKING;
	assert_int_equal(open_with(0), 0);
	assert_int_equal(viofs_virtio_negotiate(d, WANTED, &err), 0);
	assert_int_equal(viofs_arena_new(sizes, false, &arena, &err), 0);
	assert_int_equal(viofs_arena_map(arena, &v->mapper, VIOFS_ADDRESS_PHYSICAL, &err), 0);
	assert_int_equal(d->ops->interrupts_set(d, calls, 3, &err), 3);
	for (unsigned int q = 0; q < 3; q += 2) {
		size_t run;

		last_used = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_WRITE, 64, 64);
		last_used[1] = htole16((uint16_t)(q ? 7 : 0));
		a.device = viofs_arena_iova(arena, last_used, 64, &run);
		assert_int_equal(d->ops->queue_enable(d, q, &a, &err), 0);
	}
	/* Asked for once, for all queues. */
	assert_int_equal(model_backend_times(&peer, MODEL_GET_INFLIGHT_FD), 1);
	assert_int_equal(model_backend_last(&peer, MODEL_GET_INFLIGHT_FD)->payload.words[2],
			 128ULL << 16 | 3);
}

static int resume(int ms)
{
	return d->returns->resume(d, viofs_now_ns() + ms * VIOFS_NSEC_PER_MSEC, count_signal, &err);
}

static void another_one_is_told_all_that_the_first_one_was(void **state)
{
	const int calls[3] = { eventfd(0, EFD_NONBLOCK), -1, -1 };
	uint64_t count;
	int kick;

	start_session(calls);
	model_backend_stop(&peer);
	assert_non_null(viofs_vhost_look(v));
	assert_int_equal(resume(200), -EAGAIN);

	model_backend_start(&peer);
	signalled = 0;
	assert_int_equal(resume(LONG_MS), 0);
	assert_null(viofs_virtio_is_lost(d));
	assert_int_equal(number_told(MODEL_SET_PROTOCOL_FEATURES), v->protocol_features);
	assert_int_equal(number_told(MODEL_SET_FEATURES), WANTED | 1ULL << 30);
	assert_int_equal(model_backend_times(&peer, MODEL_GET_INFLIGHT_FD), 0);
	assert_true(model_backend_last(&peer, MODEL_SET_INFLIGHT_FD)->fd >= 0);
	assert_true(model_backend_place(&peer, MODEL_SET_INFLIGHT_FD) <
		    model_backend_place(&peer, MODEL_SET_MEM_TABLE));
	assert_true(model_backend_place(&peer, MODEL_SET_MEM_TABLE) <
		    model_backend_place(&peer, MODEL_SET_VRING_NUM));
	assert_int_equal(model_backend_times(&peer, MODEL_SET_VRING_ENABLE), 2);
	/* It goes on where the used ring ends. */
	assert_int_equal(number_told(MODEL_SET_VRING_BASE), 7ULL << 32 | 2);
	/* Both sides of both rings look again; one of them has no eventfd of its own. */
	assert_int_equal(signalled, 3);
	assert_int_equal(read(calls[0], &count, 8), 8);
	kick = model_backend_last(&peer, MODEL_SET_VRING_KICK)->fd;
	assert_int_equal(read(kick, &count, 8), 8);
	/* And it is watched as the first one was. */
	model_backend_stop(&peer);
	assert_int_equal(poll(&(struct pollfd){ .fd = v->event_fd, .events = POLLIN }, 1, 1000), 1);
	close(calls[0]);
}

/* Where a hugepage is missing a look at the mapping is SIGBUS; here it is SIGSEGV. */
static void memory_that_has_holes_is_not_looked_at_by_its_mapping(void **state)
{
	const int calls[3] = { -1, -1, -1 };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	start_session(calls);
	model_backend_stop(&peer);
	model_backend_start(&peer);
	assert_non_null(viofs_vhost_look(v));
	assert_int_equal(mprotect((void *)((uintptr_t)last_used & ~(page - 1)), page, PROT_NONE),
			 0);
	assert_int_equal(resume(LONG_MS), 0);
	assert_int_equal(number_told(MODEL_SET_VRING_BASE), 7ULL << 32 | 2);
}

static void one_that_is_no_longer_the_same_is_refused(void **state)
{
	static const struct {
		uint64_t features_less, protocol_less, queues;
		const char *tag, *says;
	} changed[] = {
		{ 1ULL << 28, 0, 3, "a-tag", "without VIRTIO_F_INDIRECT_DESC (bit 28)" },
		{ 0, 1ULL << 12, 3, "a-tag", "without VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD" },
		{ 0, 1ULL << 0, 3, "a-tag", "without VHOST_USER_PROTOCOL_F_MQ" },
		{ 0, 0, 2, "a-tag", "came back with 2 virtqueues, it had 3" },
		{ 0, 0, 3, "b-tag", "another tag" },
		{ 1ULL << 30, 0, 3, "a-tag", "without VHOST_USER_PROTOCOL_F_MQ" },
	};
	const int calls[3] = { -1, -1, -1 };
	struct model_backend good;

	start_session(calls);
	model_backend_stop(&peer);
	good = peer;
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(changed); i++) {
		peer = good;
		peer.features &= ~changed[i].features_less;
		peer.protocol &= ~changed[i].protocol_less;
		peer.queues = changed[i].queues;
		strcpy((char *)peer.config, changed[i].tag);
		model_backend_start(&peer);
		assert_non_null(viofs_vhost_look(v) || v->sock < 0 ? "" : NULL);
		assert_int_equal(resume(LONG_MS), -ENOTSUP);
		assert_non_null(strstr(err.text, changed[i].says));
		assert_int_equal(v->sock, -1);
		model_backend_stop(&peer);
	}
	/* More queues, and no word of its tag, are fine. */
	peer = good;
	peer.queues = 5;
	peer.has_no_config = true;
	model_backend_start(&peer);
	assert_int_equal(resume(LONG_MS), 0);
}

static void one_that_goes_again_may_come_again(void **state)
{
	static const enum model_request requests[] = {
		MODEL_GET_FEATURES,     MODEL_SET_OWNER,     MODEL_GET_CONFIG,
		MODEL_SET_FEATURES,     MODEL_SET_MEM_TABLE, MODEL_SET_INFLIGHT_FD,
		MODEL_SET_VRING_ENABLE,
	};
	const int calls[3] = { -1, -1, -1 };

	start_session(calls);
	model_backend_stop(&peer);
	assert_non_null(viofs_vhost_look(v));
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(requests); i++) {
		fails_at(requests[i], MODEL_CLOSES);
		model_backend_start(&peer);
		assert_int_equal(resume(LONG_MS), -EAGAIN);
		model_backend_stop(&peer);
	}
	/* One that refuses won't do. */
	fails_at(MODEL_SET_MEM_TABLE, MODEL_REFUSES);
	model_backend_start(&peer);
	assert_int_equal(resume(LONG_MS), -EREMOTEIO);
	assert_string_equal(err.text, "came back and refused SET_MEM_TABLE");
}

#define ALONE(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(the_configuration_is_the_back_ends),
		ALONE(as_many_queues_as_the_user_wants),
		ALONE(no_more_queues_than_there_are),
		ALONE(without_mq_there_are_two),
		ALONE(one_with_very_many_queues_has_as_many_as_there_is_room_for),
		ALONE(without_a_configuration_the_sockets_name_is_the_tag),
		ALONE(a_long_name_is_cut_between_characters),
		ALONE(a_back_end_that_fails_at_its_configuration_is_refused),
		ALONE(features_that_nobody_here_can_have_are_not_offered),
		ALONE(who_tracks_has_no_packed_rings),
		ALONE(the_status_is_what_was_set_until_it_has_gone),
		ALONE(features_that_are_refused_end_it),
		ALONE(rings_start_once_and_stop_with_the_reset),
		ALONE(a_bell_takes_the_place_of_the_eventfd),
		ALONE(an_eventfd_may_be_descriptor_0),
		ALONE(a_packed_ring_starts_with_its_wrap_counters_set),
		ALONE(a_ring_that_is_refused_is_named),
		ALONE(a_start_is_bounded_as_a_whole),
		ALONE(all_rings_are_stopped_in_the_time_of_one),
		ALONE(what_comes_later_is_not_counted_to_the_start),
		ALONE(another_one_is_told_all_that_the_first_one_was),
		ALONE(memory_that_has_holes_is_not_looked_at_by_its_mapping),
		ALONE(one_that_is_no_longer_the_same_is_refused),
		ALONE(one_that_goes_again_may_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
