/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A back end that comes back and goes at once, again and again. */
#include "daemon/outage.h"
#include "base/log.h"
#include "base/util.h"
#include "model_backend.h"
#include "virtio/virtio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TRACKING (1ULL << 12)
#define WANTED (1ULL << 32 | 1ULL << 28)
#define LONG_MS 5000

static struct model_backend peer;
static struct viofs_fs fs;
static struct viofs_claim claim;
static struct viofs_outage outage;
static struct viofs_err err;
static unsigned int said;

static void count_message(enum viofs_log_level level, const struct viofs_log_about *about,
			  const char *message)
{
	said++;
}

static int make(void **state)
{
	const size_t sizes[VIOFS_ARENA_SECTIONS] = { [VIOFS_ARENA_DEVICE_WRITE] = 8192 };
	const struct viofs_transport_options tracked = { .track = true };
	struct viofs_virtio_queue_address a = { .size = 128 };
	size_t run;

	model_backend_init(&peer);
	peer.protocol |= TRACKING;
	model_backend_start(&peer);
	claim = (struct viofs_claim){ .at.fs = &fs };
	assert_int_equal(
		viofs_transport_of("vhost-user:")->open(peer.path, &tracked, &fs.virtio, &err), 0);
	assert_int_equal(viofs_virtio_negotiate(fs.virtio, WANTED, &err), 0);
	assert_int_equal(viofs_arena_new(sizes, false, &claim.at.arena, &err), 0);
	assert_int_equal(viofs_attach_map(&fs, claim.at.arena, &err), 0);
	a.device = viofs_arena_iova(
		claim.at.arena, viofs_arena_alloc(claim.at.arena, VIOFS_ARENA_DEVICE_WRITE, 64, 64),
		64, &run);
	assert_int_equal(fs.virtio->ops->queue_enable(fs.virtio, 0, &a, &err), 0);
	assert_int_equal(viofs_virtio_driver_ok(fs.virtio, &err), 0);
	outage = (struct viofs_outage){ 0 };
	viofs_outage_init(&outage, &claim);
	viofs_log_set_sink(count_message, VIOFS_LOG_INFO);
	said = 0;
	return 0;
}

static int unmake(void **state)
{
	viofs_log_set_sink(NULL, VIOFS_LOG_INFO);
	viofs_virtio_close(fs.virtio);
	viofs_arena_detach(claim.at.arena);
	viofs_arena_free(claim.at.arena);
	model_backend_stop(&peer);
	return 0;
}

/* It goes, another one is there at once. Return: ns until that one was taken. */
static int64_t go_and_come(void)
{
	int64_t began = viofs_now_ns();

	model_backend_stop(&peer);
	model_backend_start(&peer);
	do {
		viofs_outage_look(&outage, true);
		usleep(1000);
		assert_true(!outage.away || outage.last.text[0]);
	} while (outage.away);
	assert_false(outage.lost);
	return viofs_now_ns() - began;
}

static void who_goes_at_once_is_tried_later_each_time(void **state)
{
	int64_t all = 0;

	for (unsigned int i = 0; i < 6; i++)
		all += go_and_come();
	assert_int_equal(outage.reconnects, 6);
	/* 0, 20, 40, 80, 160, 320 ms */
	assert_true(all >= 600 * VIOFS_NSEC_PER_MSEC);
	assert_int_equal(said, 12);
}

static void who_does_so_for_ever_does_not_fill_the_log(void **state)
{
	go_and_come();
	outage.brief = 99;
	said = 0;
	/* And there is a bound to how late. */
	assert_in_range(go_and_come(), VIOFS_NSEC_PER_SEC, 4 * VIOFS_NSEC_PER_SEC);
	assert_int_equal(said, 0);
	assert_int_equal(outage.brief, 100);
}

static void who_stays_for_a_while_is_taken_at_once_afterwards(void **state)
{
	go_and_come();
	outage.brief = 99;
	outage.back -= 2 * VIOFS_NSEC_PER_SEC;
	said = 0;
	assert_in_range(go_and_come(), 0, 900 * VIOFS_NSEC_PER_MSEC);
	assert_int_equal(said, 2);
	assert_int_equal(outage.brief, 0);
}

#define ALONE(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(who_goes_at_once_is_tried_later_each_time),
		ALONE(who_does_so_for_ever_does_not_fill_the_log),
		ALONE(who_stays_for_a_while_is_taken_at_once_afterwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
