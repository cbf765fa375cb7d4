/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What waits for hiprio when a relay dies: another one goes on with each kind alone. */
#include "base/util.h"
#include "relay/session.h"
#include "relay_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FIRST 1000000U
#define NODES 3U

/* FORGETs of so many nodes were kept, as the device took none. */
static void were_kept(uint32_t count)
{
	const struct viofs_layout *l = &bench.relay->layout;

	for (uint32_t i = 0; i < count; i++)
		l->forgotten[i] = (struct fuse_forget_one){ .nodeid = FIRST + i, .nlookup = 1 };
	l->hiprio->forgotten = count;
}

static void forgets_that_wait_alone_are_sent(void **state)
{
	bench_serve_by_all();
	bench_kill();
	were_kept(NODES);
	bench_adopt();
	device_forgets(FIRST, NODES);
	assert_int_equal(device_forgotten(), NODES);
	bench_end();
}

/* The device has the last one of them; it had not been noted yet that it is gone. */
static void one_that_is_on_the_ring_does_not_wait_too(void **state)
{
	const struct model_request *r;

	bench_serve_by_all();
	bench_hold(FUSE_FORGET);
	kernel_sends_forget(8, FIRST + NODES - 1);
	r = model_device_wait(&bench.device, FUSE_FORGET, 1);
	assert_non_null(r);
	bench_kill();
	were_kept(NODES);
	bench.relay->layout.hiprio->sending =
		(struct viofs_sending){ .after = NODES - 1, .unique = r->unique };
	bench_adopt();
	model_device_release(&bench.device, 0);
	device_forgets(FIRST, NODES);
	assert_int_equal(device_forgotten(), NODES);
	bench_end();
}

/* What was about to be sent, and isn't on a ring, still waits. */
static void one_that_is_on_no_ring_still_waits(void **state)
{
	const struct model_request *r;

	bench_serve_by_all();
	bench_hold(FUSE_FORGET);
	kernel_sends_forget(8, FIRST + NODES);
	r = model_device_wait(&bench.device, FUSE_FORGET, 1);
	assert_non_null(r);
	bench_kill();
	were_kept(NODES);
	bench.relay->layout.hiprio->sending =
		(struct viofs_sending){ .after = NODES - 1, .unique = r->unique + 1000 };
	bench_adopt();
	model_device_release(&bench.device, 0);
	device_forgets(FIRST, NODES + 1);
	assert_int_equal(device_forgotten(), NODES + 1);
	bench_end();
}

static struct viofs_slot *slot_of(uint64_t unique)
{
	for (unsigned int i = 0; i < bench.config.slots; i++) {
		struct viofs_slot *slot = &bench.relay->slots.slots[i];

		if (slot->state == VIOFS_SLOT_QUEUED && slot->kernel_unique == unique)
			return slot;
	}
	fail_msg("no slot has request %llu", (unsigned long long)unique);
	return NULL;
}

static void an_interrupt_that_waits_alone_is_sent(void **state)
{
	const struct model_request *r;
	const struct viofs_slot *slot;
	struct fuse_interrupt_in in;
	uint64_t unique;

	bench_serve_by_all();
	bench_hold(FUSE_SETLKW);
	kernel_sends_lock(4);
	assert_non_null(model_device_wait(&bench.device, FUSE_SETLKW, 1));
	bench_kill();
	slot = slot_of(4);
	unique = slot->device_unique;
	bench.relay->layout.interrupts[slot->index] =
		(struct viofs_interrupt){ .kernel_unique = 5, .device_unique = unique };
	bench_adopt();
	r = model_device_wait(&bench.device, FUSE_INTERRUPT, 1);
	assert_non_null(r);
	memcpy(&in, (const uint8_t *)r->message + sizeof(struct fuse_in_header), sizeof(in));
	assert_int_equal(in.unique, unique);
	model_device_release(&bench.device, 0);
	kernel_is_answered(4, 0, 0);
	bench_end();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_set_up, bench_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(forgets_that_wait_alone_are_sent),
		TEST(one_that_is_on_the_ring_does_not_wait_too),
		TEST(one_that_is_on_no_ring_still_waits),
		TEST(an_interrupt_that_waits_alone_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
