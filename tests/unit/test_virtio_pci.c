/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The virtio-pci transport and the device's life cycle, against a function in memory. */
#include "vfio/pci_transport.h"
#include "model_function.h"

#include "virtio/virtio.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct model_function model;
static struct viofs_virtio *virtio;
static struct viofs_err err;

static void open_good(unsigned int requests)
{
	model_init(&model, requests);
	assert_int_equal(viofs_virtio_pci_open(&model.vfio, &virtio, &err), 0);
}

static void open_negotiated(unsigned int requests)
{
	open_good(requests);
	assert_int_equal(viofs_virtio_reset(virtio, 100, &err), 0);
	assert_int_equal(viofs_virtio_negotiate(virtio, 0, &err), 0);
}

static void close_clean(void)
{
	model.faults.gone = false;
	viofs_virtio_close(virtio);
	if (model.violation)
		fail_msg("%s", model.violation);
	assert_int_equal(model.status, 0);
	assert_int_equal(model.vectors_on, 0);
	assert_true(model.closed); /* the vfio is the transport's */
}

static void open_fails(int rc)
{
	virtio = NULL;
	err.text[0] = 0;
	assert_int_equal(viofs_virtio_pci_open(&model.vfio, &virtio, &err), rc);
	assert_null(virtio);
	assert_true(err.text[0]);
	assert_int_equal(model.accesses, 0);
}

static void open_touches_no_register(void **state)
{
	open_good(1);
	assert_int_equal(model.accesses, 0);
	assert_string_equal(virtio->ops->name, "pci");
	close_clean();
}

static void structures_beyond_their_bar_are_refused(void **state)
{
	static const unsigned int caps[] = { MODEL_CAP_COMMON, MODEL_CAP_ISR, MODEL_CAP_DEVICE,
					     MODEL_CAP_NOTIFY };

	for (unsigned int i = 0; i < 4; i++) {
		model_init(&model, 1);
		model_set_config32(&model, caps[i] + MODEL_CAP_OFFSET, MODEL_BAR_SIZE - 0x800);
		open_fails(-EPROTO);
		model_init(&model, 1);
		model_set_config32(&model, caps[i] + MODEL_CAP_LENGTH, MODEL_BAR_SIZE + 1);
		open_fails(-EPROTO);
		/* a BAR with nothing in it */
		model_init(&model, 1);
		model.config[caps[i] + MODEL_CAP_BAR] = 2;
		open_fails(-EPROTO);
	}
}

static void unaligned_structures_are_refused(void **state)
{
	model_init(&model, 1);
	model_set_config32(&model, MODEL_CAP_COMMON + MODEL_CAP_OFFSET, 2);
	open_fails(-EPROTO);
	model_init(&model, 1);
	model_set_config32(&model, MODEL_CAP_NOTIFY + MODEL_CAP_OFFSET, 0x2001);
	open_fails(-EPROTO);
	model_init(&model, 1);
	model_set_config32(&model, MODEL_CAP_DEVICE + MODEL_CAP_OFFSET, 0x2002);
	open_fails(-EPROTO);
}

static void a_short_common_structure_is_refused(void **state)
{
	model_init(&model, 1);
	model_set_config32(&model, MODEL_CAP_COMMON + MODEL_CAP_LENGTH, 0x34);
	virtio = NULL;
	assert_true(viofs_virtio_pci_open(&model.vfio, &virtio, &err) < 0);
	assert_null(virtio);
	assert_int_equal(model.accesses, 0);
}

static void an_odd_notify_multiplier_is_refused(void **state)
{
	model_init(&model, 1);
	model_set_config32(&model, MODEL_CAP_NOTIFY + MODEL_CAP_MULTIPLIER, 3);
	open_fails(-EPROTO);
}

static void a_function_without_capabilities_is_no_device(void **state)
{
	model_init(&model, 1);
	model.config[0x34] = 0;
	open_fails(-ENODEV);
}

static void reset_waits_until_status_is_0(void **state)
{
	open_good(1);
	model.faults.reset_polls = 5;
	assert_int_equal(viofs_virtio_reset(virtio, 1000, &err), 0);
	assert_int_equal(model.status, 0);
	assert_int_equal(model.resets, 1);
	close_clean();
}

static void a_stuck_reset_times_out(void **state)
{
	open_good(1);
	model.faults.reset_polls = -1;
	assert_int_equal(viofs_virtio_reset(virtio, 20, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "20 ms"));
	model.faults.reset_polls = 0;
	close_clean();
}

static void a_device_that_is_gone_ends_the_reset_at_once(void **state)
{
	open_good(1);
	model.faults.gone = true;
	assert_int_equal(viofs_virtio_reset(virtio, 10000, &err), -ENODEV);
	assert_string_equal(viofs_virtio_is_lost(virtio), "is gone (status 0xff)");
	close_clean();
}

static void negotiation_takes_what_is_wanted_and_offered(void **state)
{
	uint64_t offered = VIOFS_VIRTIO_F_VERSION_1 | VIOFS_VIRTIO_F_EVENT_IDX |
			   VIOFS_VIRTIO_F_IN_ORDER | VIOFS_VIRTIO_F_ACCESS_PLATFORM |
			   VIOFS_VIRTIO_F_ORDER_PLATFORM | 1ULL << 63 | 1;
	uint64_t expected = VIOFS_VIRTIO_F_VERSION_1 | VIOFS_VIRTIO_F_EVENT_IDX |
			    VIOFS_VIRTIO_F_ACCESS_PLATFORM | VIOFS_VIRTIO_F_ORDER_PLATFORM;

	open_good(1);
	model.features = offered;
	assert_int_equal(viofs_virtio_reset(virtio, 100, &err), 0);
	assert_int_equal(
		viofs_virtio_negotiate(
			virtio, VIOFS_VIRTIO_F_EVENT_IDX | VIOFS_VIRTIO_F_INDIRECT_DESC, &err),
		0);
	assert_true(virtio->offered == offered);
	assert_true(virtio->negotiated == expected);
	assert_true(model.driver_features == expected);
	assert_int_equal(model.status,
			 VIOFS_VIRTIO_ACKNOWLEDGE | VIOFS_VIRTIO_DRIVER | VIOFS_VIRTIO_FEATURES_OK);
	assert_int_equal(viofs_virtio_driver_ok(virtio, &err), 0);
	assert_int_equal(model.status, 0xf);
	assert_null(viofs_virtio_is_lost(virtio));
	close_clean();
}

static void negotiation_fails(int rc, bool failed_is_set)
{
	assert_int_equal(viofs_virtio_reset(virtio, 100, &err), 0);
	err.text[0] = 0;
	assert_int_equal(viofs_virtio_negotiate(virtio, 0, &err), rc);
	assert_true(err.text[0]);
	assert_true(virtio->negotiated == 0);
	assert_int_equal(!!(model.status & VIOFS_VIRTIO_FAILED), failed_is_set);
	close_clean();
}

static void a_device_without_version_1_is_refused(void **state)
{
	open_good(1);
	model.features = VIOFS_VIRTIO_F_EVENT_IDX;
	negotiation_fails(-ENOTSUP, true);
}

static void features_ok_refused_is_an_error(void **state)
{
	open_good(1);
	model.faults.refuse_features = true;
	negotiation_fails(-EPROTO, true);
}

static void a_device_gone_in_negotiation_is_an_error(void **state)
{
	open_good(1);
	model.faults.gone_at_features = true;
	negotiation_fails(-EPROTO, false);

	/* All ones also read as "offers VERSION_1 and FEATURES_OK". */
	open_good(1);
	assert_int_equal(viofs_virtio_reset(virtio, 100, &err), 0);
	model.faults.gone = true;
	assert_int_equal(viofs_virtio_negotiate(virtio, 0, &err), -EPROTO);
	assert_true(virtio->negotiated == 0);
	close_clean();
}

static void driver_ok_fails(int rc)
{
	err.text[0] = 0;
	assert_int_equal(viofs_virtio_driver_ok(virtio, &err), rc);
	assert_true(err.text[0]);
	close_clean();
}

static void needs_reset_at_the_start_is_an_error(void **state)
{
	open_negotiated(1);
	model.faults.needs_reset = true;
	driver_ok_fails(-EPROTO);
	open_negotiated(1);
	model.status |= VIOFS_VIRTIO_NEEDS_RESET;
	assert_string_equal(viofs_virtio_is_lost(virtio), "needs a reset");
	driver_ok_fails(-EPROTO);
}

static void gone_or_unmoved_at_the_start_is_an_error(void **state)
{
	open_negotiated(1);
	model.faults.gone_at_start = true;
	driver_ok_fails(-EPROTO);
	open_negotiated(1);
	model.faults.ignore_driver_ok = true;
	driver_ok_fails(-EPROTO);
}

static void config_is_read_in_natural_widths(void **state)
{
	uint8_t tag[36];
	uint32_t n = 0;

	open_negotiated(3);
	assert_int_equal(virtio->ops->config_read(virtio, 0, tag, sizeof(tag)), 0);
	assert_memory_equal(tag, "myfs\0", 5);
	assert_int_equal(virtio->ops->config_read(virtio, 36, &n, sizeof(n)), 0);
	assert_int_equal(n, 3); /* of a little-endian host */
	close_clean();
}

static void config_is_read_again_when_the_generation_moves(void **state)
{
	uint8_t tag[36];

	open_negotiated(1);
	model.faults.generation_moves = 50;
	assert_int_equal(virtio->ops->config_read(virtio, 0, tag, sizeof(tag)), 0);
	close_clean();
}

static void a_generation_that_never_settles_ends(void **state)
{
	uint8_t tag[36];

	open_negotiated(1);
	model.faults.generation_moves = -1;
	assert_int_equal(virtio->ops->config_read(virtio, 0, tag, sizeof(tag)), -ETIMEDOUT);
	close_clean();
}

static void config_beyond_the_structure_is_not_read(void **state)
{
	uint8_t buf[8];

	model_init(&model, 1);
	model_set_config32(&model, MODEL_CAP_DEVICE + MODEL_CAP_LENGTH, 40);
	assert_int_equal(viofs_virtio_pci_open(&model.vfio, &virtio, &err), 0);
	assert_int_equal(virtio->ops->config_read(virtio, 36, buf, 8), -ERANGE);
	assert_int_equal(virtio->ops->config_read(virtio, 0xfffffffc, buf, 8), -ERANGE);
	assert_int_equal(virtio->ops->config_read(virtio, 36, buf, 4), 0);
	close_clean();
}

static const struct viofs_virtio_queue_address address = {
	.size = 64,
	.desc = 0x1122334455660000,
	.driver = 0x2122334455661000,
	.device = 0x3122334455662000,
};

/* Behind the last capability. */
#define SHM_CAP 0xc0

static void shared_memory_lies_inside_its_bar(void **state)
{
	struct viofs_virtio_shm s = { 0 };

	open_good(1);
	assert_int_equal(virtio->ops->shm_region(virtio, 0, &s), -ENOENT);
	close_clean();
	for (uint32_t more = 0; more < 2; more++) {
		model_init(&model, 1);
		memset(model.config + SHM_CAP, 0, 24);
		model.config[MODEL_CAP_MSIX + 1] = SHM_CAP;
		model.config[SHM_CAP] = 0x09;
		model.config[SHM_CAP + 2] = 24;
		model.config[SHM_CAP + 3] = 8;
		model.config[SHM_CAP + MODEL_CAP_BAR] = MODEL_BAR;
		model.config[SHM_CAP + 5] = 1;
		model_set_config32(&model, SHM_CAP + MODEL_CAP_OFFSET, 0x1000 + more);
		model_set_config32(&model, SHM_CAP + MODEL_CAP_LENGTH,
				   (uint32_t)model.bar_size[MODEL_BAR] - 0x1000);
		assert_int_equal(viofs_virtio_pci_open(&model.vfio, &virtio, &err), 0);
		assert_int_equal(virtio->ops->shm_region(virtio, 0, &s), -ENOENT);
		assert_int_equal(virtio->ops->shm_region(virtio, 1, &s), more ? -EPROTO : 0);
		close_clean();
	}
	assert_int_equal(s.bar, MODEL_BAR);
	assert_int_equal(s.offset, 0x1000);
	assert_int_equal(s.length, model.bar_size[MODEL_BAR] - 0x1000);
}

static void a_queue_is_set_up_and_notified(void **state)
{
	const struct model_queue *q = &model.queues[2];

	open_negotiated(3);
	assert_int_equal(virtio->ops->queue_count(virtio), 4);
	assert_int_equal(virtio->ops->queue_max(virtio, 2), 128);
	assert_int_equal(virtio->ops->queue_max(virtio, 4), 0);
	assert_int_equal(virtio->ops->queue_enable(virtio, 2, &address, &err), 0);
	assert_int_equal(q->size, 64);
	assert_true(q->enabled);
	assert_true(q->desc == address.desc);
	assert_true(q->driver == address.driver);
	assert_true(q->device == address.device);
	assert_int_equal(viofs_virtio_driver_ok(virtio, &err), 0);
	virtio->ops->notify(virtio, 2);
	virtio->ops->notify(virtio, 2);
	assert_int_equal(q->notified, 2);
	assert_int_equal(model.config_vector, MODEL_NO_VECTOR);
	close_clean();
}

static void enable_fails(unsigned int q, int rc)
{
	err.text[0] = 0;
	assert_int_equal(virtio->ops->queue_enable(virtio, q, &address, &err), rc);
	assert_true(err.text[0]);
	assert_false(model.queues[0].enabled && !model.faults.enabled_at_reset);
	close_clean();
}

static void a_notification_outside_its_structure_is_refused(void **state)
{
	open_negotiated(1);
	model.queues[0].notify_off = 0x1000 / MODEL_MULTIPLIER;
	enable_fails(0, -EPROTO);

	/* 2 * 0x80000002 is 4 in 32 bits */
	model_init(&model, 1);
	model_set_config32(&model, MODEL_CAP_NOTIFY + MODEL_CAP_MULTIPLIER, 0x80000002);
	model.queues[0].notify_off = 2;
	assert_int_equal(viofs_virtio_pci_open(&model.vfio, &virtio, &err), 0);
	assert_int_equal(viofs_virtio_reset(virtio, 100, &err), 0);
	assert_int_equal(viofs_virtio_negotiate(virtio, 0, &err), 0);
	enable_fails(0, -EPROTO);
}

static void a_queue_that_keeps_its_size_is_refused(void **state)
{
	open_negotiated(1);
	model.faults.ignore_size = true;
	enable_fails(0, -EPROTO);
}

static void a_queue_smaller_than_asked_is_refused(void **state)
{
	open_negotiated(1);
	model.queues[0].size = 32;
	enable_fails(0, -EPROTO);
}

static void a_queue_that_does_not_exist_is_refused(void **state)
{
	open_negotiated(1);
	enable_fails(2, -EINVAL);
}

static void a_queue_enabled_before_us_is_refused(void **state)
{
	open_good(1);
	model.faults.enabled_at_reset = true;
	assert_int_equal(viofs_virtio_reset(virtio, 100, &err), 0);
	assert_int_equal(viofs_virtio_negotiate(virtio, 0, &err), 0);
	enable_fails(0, -EPROTO);
}

static const int fds[4] = { 100, 101, 102, 103 };

/* Interrupts for 4 queues. Checks each queue's vector and what the vectors signal. */
static void expect_vectors(int vectors)
{
	assert_int_equal(virtio->ops->interrupts_set(virtio, fds, 4, &err), vectors);
	assert_int_equal(model.vectors_on, vectors);
	for (int q = 0; q < 4; q++) {
		int last = vectors - 1;

		assert_int_equal(model.queues[q].vector, !vectors   ? (int)MODEL_NO_VECTOR
							 : q < last ? q
								    : last);
	}
	for (int i = 0; i < vectors; i++)
		assert_int_equal(model.eventfds[i], fds[i]);
	close_clean();
}

static void each_queue_gets_its_vector(void **state)
{
	open_negotiated(3);
	expect_vectors(4);
}

static void the_last_of_too_few_vectors_is_shared(void **state)
{
	open_negotiated(3);
	model.vfio.msix_vectors = 2;
	expect_vectors(2);
	open_negotiated(3);
	model.vfio.msix_vectors = 1;
	expect_vectors(1);
}

static void a_refused_vector_is_shared(void **state)
{
	open_negotiated(3);
	model.faults.vector_limit = 3;
	expect_vectors(3);
	open_negotiated(3);
	model.faults.vector_limit = 1;
	expect_vectors(1);
}

static void refused_sharing_ends_in_polling(void **state)
{
	open_negotiated(3);
	model.vfio.msix_vectors = 2;
	model.faults.refuse_sharing = true;
	expect_vectors(0);
}

static void all_vectors_refused_is_polling(void **state)
{
	open_negotiated(3);
	model.faults.refuse_all_vectors = true;
	expect_vectors(0);
}

static void a_function_without_msix_is_polled(void **state)
{
	open_negotiated(3);
	model.vfio.msix_vectors = 0;
	expect_vectors(0);
	assert_int_equal(model.msix_calls, 0);
}

static void an_error_of_vfio_is_passed_on(void **state)
{
	open_negotiated(3);
	model.faults.msix_error = -ENOSPC;
	assert_int_equal(virtio->ops->interrupts_set(virtio, fds, 4, &err), -ENOSPC);
	close_clean();
}

static void feature_names_are_the_standards(void **state)
{
	assert_string_equal(viofs_virtio_feature_name(28), "VIRTIO_F_INDIRECT_DESC");
	assert_string_equal(viofs_virtio_feature_name(33), "VIRTIO_F_ACCESS_PLATFORM");
	assert_null(viofs_virtio_feature_name(1));
	assert_null(viofs_virtio_feature_name(64));
	assert_null(viofs_virtio_feature_name(~0U));
}

static void close_takes_null(void **state)
{
	assert_int_equal(viofs_virtio_close(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_touches_no_register),
		cmocka_unit_test(structures_beyond_their_bar_are_refused),
		cmocka_unit_test(unaligned_structures_are_refused),
		cmocka_unit_test(a_short_common_structure_is_refused),
		cmocka_unit_test(an_odd_notify_multiplier_is_refused),
		cmocka_unit_test(a_function_without_capabilities_is_no_device),
		cmocka_unit_test(reset_waits_until_status_is_0),
		cmocka_unit_test(a_stuck_reset_times_out),
		cmocka_unit_test(a_device_that_is_gone_ends_the_reset_at_once),
		cmocka_unit_test(negotiation_takes_what_is_wanted_and_offered),
		cmocka_unit_test(a_device_without_version_1_is_refused),
		cmocka_unit_test(features_ok_refused_is_an_error),
		cmocka_unit_test(a_device_gone_in_negotiation_is_an_error),
		cmocka_unit_test(needs_reset_at_the_start_is_an_error),
		cmocka_unit_test(gone_or_unmoved_at_the_start_is_an_error),
		cmocka_unit_test(config_is_read_in_natural_widths),
		cmocka_unit_test(config_is_read_again_when_the_generation_moves),
		cmocka_unit_test(a_generation_that_never_settles_ends),
		cmocka_unit_test(config_beyond_the_structure_is_not_read),
		cmocka_unit_test(shared_memory_lies_inside_its_bar),
		cmocka_unit_test(a_queue_is_set_up_and_notified),
		cmocka_unit_test(a_notification_outside_its_structure_is_refused),
		cmocka_unit_test(a_queue_that_keeps_its_size_is_refused),
		cmocka_unit_test(a_queue_smaller_than_asked_is_refused),
		cmocka_unit_test(a_queue_that_does_not_exist_is_refused),
		cmocka_unit_test(a_queue_enabled_before_us_is_refused),
		cmocka_unit_test(each_queue_gets_its_vector),
		cmocka_unit_test(the_last_of_too_few_vectors_is_shared),
		cmocka_unit_test(a_refused_vector_is_shared),
		cmocka_unit_test(refused_sharing_ends_in_polling),
		cmocka_unit_test(all_vectors_refused_is_polling),
		cmocka_unit_test(a_function_without_msix_is_polled),
		cmocka_unit_test(an_error_of_vfio_is_passed_on),
		cmocka_unit_test(feature_names_are_the_standards),
		cmocka_unit_test(close_takes_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
