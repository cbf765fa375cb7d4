/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `viofsctl status --latency` is told: ticks as seconds, steps in their order, differences. */
#include "daemon/latency.h"

#include "base/ticks.h"
#include "relay/state.h"
#include "relay/tap.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define TICKS_PER_NS 2.

static struct viofs_latency counted; /* of GETATTR */

double __wrap_viofs_ticks_per_ns(void);
double __wrap_viofs_ticks_per_ns(void)
{
	return TICKS_PER_NS;
}

void __wrap_viofs_tap_latency(const struct viofs_relay *r, uint32_t opcode,
			      struct viofs_latency *out);
void __wrap_viofs_tap_latency(const struct viofs_relay *r, uint32_t opcode,
			      struct viofs_latency *out)
{
	memset(out, 0, sizeof(*out));
	/* 63 is no opcode, whatever a worker has written there. */
	if (opcode == FUSE_GETATTR || opcode == 63)
		*out = counted;
}

static void count(uint64_t device_ns, uint64_t total_ns)
{
	uint64_t device = (uint64_t)((double)device_ns * TICKS_PER_NS);
	uint64_t total = (uint64_t)((double)total_ns * TICKS_PER_NS);

	counted.device.steps.counts[viofs_histogram_step(device)]++;
	counted.device.sum += device;
	counted.total.steps.counts[viofs_histogram_step(total)]++;
	counted.total.sum += total;
}

static json_int_t count_of(const json_t *times)
{
	return json_integer_value(json_object_get(times, "count"));
}

static bool is_near(double value, double wanted)
{
	return fabs(value - wanted) < wanted * 1e-6;
}

static void ticks_are_told_as_seconds(void **state)
{
	const json_t *one, *device, *step;
	double before = 0;
	json_t *list;
	size_t i;

	memset(&counted, 0, sizeof(counted));
	count(3000000, 5000000);
	count(10000, 20000);
	count(0, 1);
	list = viofs_latency_json(NULL, NULL);
	assert_int_equal(json_array_size(list), 1);
	one = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(one, "op")), "GETATTR");
	device = json_object_get(one, "device");
	assert_int_equal(count_of(device), 3);
	assert_true(is_near(json_real_value(json_object_get(device, "sum_s")), 3.01e-3));
	assert_int_equal(json_array_size(json_object_get(device, "steps")), 3);
	json_array_foreach(json_object_get(device, "steps"), i, step)
	{
		static const double times[] = { 0, 1e-5, 3e-3 };
		double end = json_real_value(json_array_get(step, 0));

		assert_true(end > before && end > times[i]);
		if (i)
			assert_true(end <= times[i] * (1 + 1. / 16) + 1e-9);
		assert_int_equal(json_integer_value(json_array_get(step, 1)), 1);
		before = end;
	}
	assert_true(
		is_near(json_real_value(json_object_get(json_object_get(one, "total"), "sum_s")),
			5.020001e-3));
	json_decref(list);
}

static void a_second_look_has_what_is_new(void **state)
{
	struct viofs_latency_looks looks = { NULL };
	json_t *list;

	memset(&counted, 0, sizeof(counted));
	count(1000, 1000);
	list = viofs_latency_json(NULL, &looks);
	assert_int_equal(count_of(json_object_get(json_array_get(list, 0), "total")), 1);
	json_decref(list);
	list = viofs_latency_json(NULL, &looks);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	count(5000, 7000);
	count(5000, 7000);
	list = viofs_latency_json(NULL, &looks);
	assert_int_equal(count_of(json_object_get(json_array_get(list, 0), "device")), 2);
	assert_true(is_near(json_real_value(json_object_get(
				    json_object_get(json_array_get(list, 0), "device"), "sum_s")),
			    1e-5));
	json_decref(list);
	viofs_latency_forget(&looks);
	assert_null(looks.last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks_are_told_as_seconds),
		cmocka_unit_test(a_second_look_has_what_is_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
