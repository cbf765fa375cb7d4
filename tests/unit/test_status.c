/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `viofsctl status` is told: every number in its place. */
#include "daemon/status.h"
#include "relay/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static json_int_t number(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static bool has(const json_t *list, const char *word)
{
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item) if (!strcmp(json_string_value(item), word)) return true;
	return false;
}

static const char *source = "myfs", *mountpoint = "/mnt", *address = "0000:00:04.0";

static void describe(const struct viofs_virtio *d, struct viofs_virtio_description *out)
{
	*out = (struct viofs_virtio_description){
		.vfio = "group",
		.passed_over = "cdev: /dev/iommu is not there",
		.dma = "physical (the device bypasses the IOMMU)",
	};
}

static json_t *make(struct viofs_relay_stats *stats)
{
	static const struct viofs_virtio_ops ops = { .name = "pci", .describe = describe };
	static struct viofs_virtio virtio = {
		.ops = &ops,
		.offered = VIOFS_VIRTIO_F_VERSION_1 | VIOFS_VIRTIO_F_EVENT_IDX,
		.negotiated = VIOFS_VIRTIO_F_VERSION_1,
	};
	static struct viofs_ring_shadow shadows[2] = { { .kicks = 3 },
						       { .in_flight = 5, .kicks = 7 } };
	static struct viofs_fs_queue queues[2] = {
		{ .ring = { .size = 64, .shadow = &shadows[0] } },
		{ .ring = { .size = 128, .shadow = &shadows[1] }, .index = 2 },
	};
	static struct viofs_fs fs = {
		.virtio = &virtio,
		.tag = "myfs",
		.num_request_queues = 1,
		.queue_count = 2,
		.vectors = 2,
		.queues = queues,
	};
	static const struct viofs_relay_config config = {
		.poll = VIOFS_POLL_IRQ,
		.loop = VIOFS_LOOP_EPOLL,
		.timeout_ms = 20000,
	};
	const struct viofs_status_source all = {
		.source = source,
		.mountpoint = mountpoint,
		.address = address,
		.config = &config,
		.fs = &fs,
		.stats = stats,
		.slots_used = 28,
		.restarts = 3,
		.last_death = "the worker was killed",
		.slots = 128,
		.oldest_ns = 1500000000,
		.dma_bytes = 32 << 20,
		.page_size = 2 << 20,
		.supervisor = 10,
		.worker = 11,
	};
	json_t *s = viofs_status_json(&all);

	assert_non_null(s);
	return s;
}

static void a_session_is_shown_whole(void **state)
{
	struct viofs_relay_stats stats = {
		.stage = VIOFS_STAGE_SERVING,
		.replies = 21,
		.errors = 2,
		.faults = 1,
		.refused = 4,
		.bytes_read = 1ULL << 40,
		.bytes_written = 9,
		.forgets = 6,
		.interrupted = 8,
		.parked = 3,
		.parked_max = 5,
		.parked_total = 17,
		.sleeps = 12,
		.handovers = 13,
		.quirks = VIOFS_QUIRK_NO_MAX_PAGES,
		.last_fault = "GETATTR: wrong",
		.lanes = 3,
	};
	const json_t *q;
	json_t *s;

	stats.notifications = 12;
	stats.notifications_refused = 13;
	strcpy(stats.notification_fault, "POLL: wrong");
	stats.queues[1] = (struct viofs_queue_stats){ .requests = 30, .interrupts = 31 };
	stats.agreed.conn.minor = 38;
	stats.agreed.kernel_minor = 46;
	stats.agreed.device_minor = 38;
	stats.agreed.max_write = 1 << 20;
	stats.agreed.max_pages = 256;
	stats.agreed.flags = FUSE_MAX_PAGES | VIOFS_FUSE_ALLOW_IDMAP;
	s = make(&stats);
	assert_string_equal(text(s, "session"), "serving");
	assert_string_equal(text(s, "poll"), "irq");
	assert_string_equal(text(s, "events"), "epoll");
	assert_string_equal(text(s, "reason"), "");
	assert_int_equal(number(s, "timeout_s"), 20);
	assert_int_equal(number(s, "lanes"), 3);
	assert_int_equal(number(s, "workers"), 3); /* its older name */
	assert_string_equal(text(s, "mountpoint"), "/mnt");
	assert_int_equal(number(s, "worker"), 11);
	q = json_array_get(json_object_get(s, "queues"), 1);
	assert_string_equal(text(q, "name"), "request");
	assert_int_equal(number(q, "index"), 2); /* a notification queue is before it */
	assert_int_equal(number(q, "requests"), 30);
	assert_int_equal(number(q, "interrupts"), 31);
	assert_int_equal(number(q, "kicks"), 7);
	assert_int_equal(number(q, "in_flight"), 5);
	assert_int_equal(number(json_object_get(s, "notifications"), "passed"), 12);
	assert_int_equal(number(json_object_get(s, "notifications"), "refused"), 13);
	assert_string_equal(text(json_object_get(s, "notifications"), "last_fault"), "POLL: wrong");
	assert_int_equal(number(json_object_get(s, "counts"), "bytes_read"), 1LL << 40);
	assert_int_equal(number(json_object_get(s, "counts"), "handovers"), 13);
	assert_int_equal(number(json_object_get(s, "parked"), "most"), 5);
	assert_int_equal(number(json_object_get(s, "slots"), "used"), 28);
	assert_int_equal(number(json_object_get(s, "slots"), "free"), 100);
	assert_int_equal(number(json_object_get(s, "init"), "max_pages"), 256);
	assert_true(has(json_object_get(json_object_get(s, "init"), "flags"), "MAX_PAGES"));
	assert_true(has(json_object_get(json_object_get(s, "init"), "flags"), "ALLOW_IDMAP"));
	assert_true(json_real_value(json_object_get(s, "oldest_request_s")) > 1.49);
	assert_int_equal(json_array_size(json_object_get(s, "quirks")), 1);
	assert_string_equal(text(s, "on_loss"), "eio");
	assert_null(json_object_get(s, "back_end"));
	assert_string_equal(text(s, "last_fault"), "GETATTR: wrong");
	json_decref(s);
}

static void device_features_are_named(void **state)
{
	struct viofs_relay_stats stats = { .stage = VIOFS_STAGE_STARTING };
	json_t *s = make(&stats);
	const json_t *device = json_object_get(s, "device");

	assert_true(has(json_object_get(device, "features_offered"), "VIRTIO_F_EVENT_IDX"));
	assert_false(has(json_object_get(device, "features"), "VIRTIO_F_EVENT_IDX"));
	assert_true(has(json_object_get(device, "features"), "VIRTIO_F_VERSION_1"));
	assert_non_null(strstr(text(device, "dma"), "bypasses"));
	assert_string_equal(text(device, "vfio"), "group");
	assert_int_equal(number(s, "restarts"), 3);
	assert_string_equal(text(s, "last_death"), "the worker was killed");
	assert_string_equal(text(device, "vfio_passed_over"), "cdev: /dev/iommu is not there");
	json_decref(s);
}

static void a_lost_device_is_shown_with_its_reason(void **state)
{
	struct viofs_relay_stats stats = {
		.stage = VIOFS_STAGE_LOST,
		.reason = "the device has closed its socket",
	};
	json_t *s = make(&stats);

	assert_string_equal(text(s, "session"), "lost");
	assert_string_equal(text(s, "reason"), "the device has closed its socket");
	json_decref(s);
}

static void an_unknown_feature_bit_shows_as_its_number(void **state)
{
	json_t *list = viofs_status_features(1ULL << 63);

	assert_true(has(list, "bit 63"));
	json_decref(list);
}

/* The counters lie in memory that the worker writes, which may be anybody's by now. */
static void a_hijacked_worker_spoils_no_more_than_its_own_words(void **state)
{
	struct viofs_relay_stats stats = { .stage = (enum viofs_stage)77 };
	json_t *s;

	memset(stats.last_fault, 0xff, sizeof(stats.last_fault)); /* no NUL, no UTF-8 */
	stats.last_fault[0] = '\n';
	s = make(&stats);
	assert_non_null(s);
	assert_memory_equal(text(s, "last_fault"), "\\n\\377\\377", 10);
	assert_true(strlen(text(s, "last_fault")) <= 4 * sizeof(stats.last_fault));
	assert_string_equal(text(s, "session"), "unknown");
	json_decref(s);
}

static void mounts_are_listed_with_their_ids(void **state)
{
	char first[] = "/mnt", second[] = "/a\377";
	struct viofs_mount_place list[] = { { .mount = 40, .path = first },
					    { .mount = 1ULL << 40, .path = second } };
	const struct viofs_places places = { list, 2 };
	json_t *shown = viofs_status_mounts(&places);

	assert_int_equal(json_array_size(shown), 2);
	assert_string_equal(text(json_array_get(shown, 0), "mountpoint"), "/mnt");
	assert_int_equal(number(json_array_get(shown, 0), "id"), 40);
	assert_string_equal(text(json_array_get(shown, 1), "mountpoint"), "/a\\377");
	assert_int_equal(number(json_array_get(shown, 1), "id"), 1LL << 40);
	json_decref(shown);
}

static void what_is_not_utf8_is_shown_all_the_same(void **state)
{
	struct viofs_relay_stats stats = { .stage = VIOFS_STAGE_SERVING };
	json_t *s;

	source = "vhost-user:/tmp/\xe9";
	address = "/tmp/\xe9";
	mountpoint = "/mnt/\xff\\\n";
	s = make(&stats);
	assert_string_equal(text(s, "source"), "vhost-user:/tmp/\\351");
	assert_string_equal(text(s, "mountpoint"), "/mnt/\\377\\\\\n");
	assert_string_equal(text(json_object_get(s, "device"), "address"), "/tmp/\\351");
	json_decref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hijacked_worker_spoils_no_more_than_its_own_words),
		cmocka_unit_test(a_session_is_shown_whole),
		cmocka_unit_test(mounts_are_listed_with_their_ids),
		cmocka_unit_test(what_is_not_utf8_is_shown_all_the_same),
		cmocka_unit_test(device_features_are_named),
		cmocka_unit_test(a_lost_device_is_shown_with_its_reason),
		cmocka_unit_test(an_unknown_feature_bit_shows_as_its_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
