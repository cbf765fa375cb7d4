/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parked requests: order and bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/uapi.h"
#include "relay/parking.h"

#include <stdlib.h>
#include <string.h>

static void put(struct viofs_parking *p, uint64_t unique, size_t len)
{
	struct fuse_in_header head = { .len = (uint32_t)len, .unique = unique };
	uint8_t *rest = calloc(1, len);
	struct iovec iov[2] = { { &head, sizeof(head) }, { rest, len - sizeof(head) } };

	memset(rest, (int)unique, len - sizeof(head));
	assert_int_equal(viofs_parking_put(p, iov, len, 7), 0);
	free(rest);
}

static void assert_takes(struct viofs_parking *p, uint64_t unique, size_t len)
{
	struct viofs_parked *parked = viofs_parking_take(p);
	struct fuse_in_header head;

	assert_non_null(parked);
	memcpy(&head, parked->message, sizeof(head));
	assert_int_equal(head.unique, unique);
	assert_int_equal(parked->len, len);
	assert_int_equal(parked->since, 7);
	for (size_t i = sizeof(head); i < len; i++)
		assert_int_equal(parked->message[i], unique);
	free(parked);
}

static void requests_come_back_whole_and_in_order(void **state)
{
	struct viofs_parking p = { .bytes_max = 1 << 20, .count_max = 10 };

	put(&p, 1, 56);
	put(&p, 2, 5000);
	put(&p, 3, 48);
	assert_int_equal(p.count, 3);
	assert_int_equal(p.bytes, 56 + 5000 + 48 + 3 * sizeof(struct viofs_parked));
	assert_takes(&p, 1, 56);
	assert_takes(&p, 2, 5000);
	assert_takes(&p, 3, 48);
	assert_null(viofs_parking_take(&p));
	assert_int_equal(p.bytes, 0);
	put(&p, 4, 48);
	assert_takes(&p, 4, 48);
}

static void a_request_is_found_by_its_unique(void **state)
{
	struct viofs_parking p = { .bytes_max = 1 << 20, .count_max = 10 };
	struct viofs_parked *parked;

	put(&p, 1, 56);
	put(&p, 2, 56);
	assert_null(viofs_parking_take_unique(&p, 3));
	parked = viofs_parking_take_unique(&p, 2);
	assert_non_null(parked);
	free(parked);
	put(&p, 5, 56);
	assert_takes(&p, 1, 56);
	assert_takes(&p, 5, 56);
}

static void it_is_full_by_bytes_or_by_count(void **state)
{
	struct viofs_parking p = { .bytes_max = 1000, .count_max = 3 };
	const size_t beside = sizeof(struct viofs_parked);

	put(&p, 1, 999 - beside);
	assert_false(viofs_parking_is_full(&p));
	put(&p, 2, 48);
	assert_true(viofs_parking_is_full(&p));
	viofs_parking_clear(&p);
	assert_int_equal(p.bytes, 0);
	assert_null(p.first);
	for (uint64_t i = 0; i < 3; i++) {
		assert_false(viofs_parking_is_full(&p));
		put(&p, i, 48);
	}
	assert_true(viofs_parking_is_full(&p));
	viofs_parking_clear(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_come_back_whole_and_in_order),
		cmocka_unit_test(a_request_is_found_by_its_unique),
		cmocka_unit_test(it_is_full_by_bytes_or_by_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
