/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a device may answer, and what becomes of everything else. */
#include "base/util.h"
#include "fuse/reply.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define UNIQUE 0x123456789abcULL

static const struct viofs_fuse_shape getattr = { .opcode = FUSE_GETATTR,
						 .fixed = 104,
						 .replies = true };
static const struct viofs_fuse_shape reading = { .opcode = FUSE_READ,
						 .reply_data = 4096,
						 .replies = true };
static const struct viofs_fuse_shape ioctling = {
	.opcode = FUSE_IOCTL, .fixed = 16, .reply_data = 4096, .replies = true
};
static const struct viofs_fuse_shape unlinking = { .opcode = FUSE_UNLINK,

						   .replies = true };

static struct viofs_fuse_reply check(const struct viofs_fuse_shape *shape, uint32_t len, int error,
				     uint32_t used_len, bool quirk)
{
	struct fuse_out_header head = { .len = len, .error = error, .unique = UNIQUE };
	struct viofs_fuse_reply out = { .error = 77, .payload = 77, .fault = "untouched" };

	assert_int_equal(viofs_fuse_reply_check(shape, UNIQUE, &head, used_len, quirk, &out), 0);
	return out;
}

static void is_good(struct viofs_fuse_reply r, uint32_t payload)
{
	assert_null(r.fault);
	assert_int_equal(r.error, 0);
	assert_int_equal(r.payload, payload);
}

/* The device's own error: no fault of it. */
static void is_error(struct viofs_fuse_reply r, int error)
{
	assert_null(r.fault);
	assert_int_equal(r.error, error);
	assert_int_equal(r.payload, 0);
}

static void is_fault(struct viofs_fuse_reply r, const char *words)
{
	assert_non_null(r.fault);
	assert_non_null(strstr(r.fault, words));
	assert_int_equal(r.error, -EIO);
	assert_int_equal(r.payload, 0);
}

static void a_fixed_reply_has_exactly_its_size(void **state)
{
	is_good(check(&getattr, 16 + 104, 0, 16 + 104, false), 104);
	is_fault(check(&getattr, 16 + 103, 0, 16 + 103, false), "wrong length");
	is_fault(check(&getattr, 16, 0, 16, false), "wrong length");
	is_good(check(&unlinking, 16, 0, 16, false), 0);
}

static void a_data_reply_may_be_shorter(void **state)
{
	is_good(check(&reading, 16, 0, 16, false), 0);
	is_good(check(&reading, 17, 0, 17, false), 1);
	is_good(check(&reading, 16 + 4096, 0, 16 + 4096, false), 4096);
}

static void structs_before_data_are_whole(void **state)
{
	is_fault(check(&ioctling, 16 + 15, 0, 16 + 15, false), "wrong length");
	is_good(check(&ioctling, 16 + 16, 0, 16 + 16, false), 16);
	is_good(check(&ioctling, 16 + 16 + 4096, 0, 16 + 16 + 4096, false), 16 + 4096);
}

static void the_devices_error_is_passed_on(void **state)
{
	is_error(check(&getattr, 16, -ENOENT, 16, false), -ENOENT);
	is_error(check(&getattr, 16, -511, 16, false), -511);
	is_error(check(&getattr, 16, -1, 16, false), -1);
}

static void an_error_with_trailing_bytes_is_cut(void **state)
{
	is_error(check(&getattr, 16 + 104, -EACCES, 16 + 104, false), -EACCES);
	is_error(check(&reading, 16 + 5, -EACCES, 16 + 5, false), -EACCES);
}

static void an_error_out_of_range_becomes_eio(void **state)
{
	static const int bad[] = { 1, 2, -512, -513, INT32_MAX, INT32_MIN };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(bad); i++)
		is_fault(check(&getattr, 16, bad[i], 16, false), "error is out of range");
}

static void nothing_written_is_no_reply(void **state)
{
	for (uint32_t used = 0; used < 16; used++)
		is_fault(check(&getattr, 16 + 104, 0, used, false), "no reply header");
}

static void a_length_beyond_the_room_is_a_fault(void **state)
{
	is_fault(check(&getattr, 16 + 105, 0, 16 + 104, false), "out of range");
	is_fault(check(&reading, 16 + 4097, 0, 16 + 4096, false), "out of range");
	is_fault(check(&getattr, UINT32_MAX, 0, 16 + 104, false), "out of range");
	is_fault(check(&getattr, 15, 0, 16, false), "out of range");
	is_fault(check(&getattr, 0, 0, 16, false), "out of range");
}

static void header_and_used_ring_must_agree(void **state)
{
	is_fault(check(&reading, 16 + 100, 0, 16 + 101, false), "used ring");
	is_fault(check(&reading, 16 + 100, 0, 16 + 99, false), "used ring");
	/* An error is no excuse. */
	is_fault(check(&reading, 16, -EIO, 17, false), "used ring");
	/* Nor is the quirk, once the device does say a length. */
	is_fault(check(&reading, 16 + 100, 0, 16 + 99, true), "used ring");
}

static void with_the_quirk_the_header_says_the_length(void **state)
{
	is_good(check(&getattr, 16 + 104, 0, 0, true), 104);
	is_good(check(&reading, 16 + 7, 0, 0, true), 7);
	is_error(check(&reading, 16, -EPERM, 0, true), -EPERM);
	is_good(check(&reading, 16 + 7, 0, 16 + 7, true), 7);
	/* The header was zeroed before: nothing there is nothing written. */
	is_fault(check(&getattr, 0, 0, 0, true), "no reply header");
	is_fault(check(&getattr, 15, 0, 0, true), "no reply header");
	is_fault(check(&getattr, 16 + 105, 0, 0, true), "out of range");
	is_fault(check(&getattr, UINT32_MAX, 0, 0, true), "out of range");
}

static void another_requests_unique_ends_the_session(void **state)
{
	static const uint64_t others[] = { 0, 1, UNIQUE + 1, UNIQUE | 1ULL << 63, ~UNIQUE };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(others); i++) {
		struct fuse_out_header head = { .len = 120, .unique = others[i] };
		struct viofs_fuse_reply out = { 0 };

		assert_int_equal(viofs_fuse_reply_check(&getattr, UNIQUE, &head, 120, false, &out),
				 -EPROTO);
		is_fault(out, "unique");
	}
}

/* Open flags: all bits set, except what is stripped. */
static uint32_t flags_after(uint32_t opcode, size_t at, size_t len, bool stripped)
{
	struct viofs_fuse_shape shape = { .opcode = opcode, .fixed = (uint32_t)len };
	uint8_t fixed[160], before[160];
	uint32_t flags;

	memset(fixed, 0xff, sizeof(fixed));
	memcpy(before, fixed, sizeof(fixed));
	assert_int_equal(viofs_fuse_reply_strip(&shape, fixed, len), stripped);
	memcpy(&flags, fixed + at + 8, sizeof(flags));
	memset(fixed + at + 8, 0xff, sizeof(flags));
	assert_memory_equal(fixed, before, sizeof(fixed)); /* nothing else was touched */
	return flags;
}

static void open_flags_that_need_the_kernels_driver_are_stripped(void **state)
{
	const uint32_t left = ~(1U << 7 | 1U << 8);

	assert_int_equal(flags_after(FUSE_OPEN, 0, 16, true), left);
	assert_int_equal(flags_after(FUSE_OPENDIR, 0, 16, true), left);
	assert_int_equal(flags_after(FUSE_CREATE, 128, 144, true), left);
	assert_int_equal(flags_after(FUSE_TMPFILE, 128, 144, true), left);
}

static void other_replies_have_nothing_to_strip(void **state)
{
	static const uint32_t ops[] = { FUSE_LOOKUP, FUSE_GETATTR, FUSE_WRITE, FUSE_STATFS };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(ops); i++)
		assert_int_equal(flags_after(ops[i], 0, 144, false), UINT32_MAX);
}

static void a_reply_too_short_for_open_flags_is_left_alone(void **state)
{
	flags_after(FUSE_OPEN, 0, 15, false);
	flags_after(FUSE_CREATE, 128, 143, false);
	flags_after(FUSE_TMPFILE, 128, 16, false);
}

static void good_open_flags_stay(void **state)
{
	struct viofs_fuse_shape shape = { .opcode = FUSE_OPEN, .fixed = 16 };
	struct fuse_open_out open = { .fh = 3, .open_flags = FOPEN_DIRECT_IO | FOPEN_KEEP_CACHE };

	assert_false(viofs_fuse_reply_strip(&shape, &open, sizeof(open)));
	assert_int_equal(open.open_flags, FOPEN_DIRECT_IO | FOPEN_KEEP_CACHE);
	assert_int_equal(open.fh, 3);
	open.open_flags |= 1U << 7;
	assert_true(viofs_fuse_reply_strip(&shape, &open, sizeof(open)));
	assert_int_equal(open.open_flags, FOPEN_DIRECT_IO | FOPEN_KEEP_CACHE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fixed_reply_has_exactly_its_size),
		cmocka_unit_test(a_data_reply_may_be_shorter),
		cmocka_unit_test(structs_before_data_are_whole),
		cmocka_unit_test(the_devices_error_is_passed_on),
		cmocka_unit_test(an_error_with_trailing_bytes_is_cut),
		cmocka_unit_test(an_error_out_of_range_becomes_eio),
		cmocka_unit_test(nothing_written_is_no_reply),
		cmocka_unit_test(a_length_beyond_the_room_is_a_fault),
		cmocka_unit_test(header_and_used_ring_must_agree),
		cmocka_unit_test(with_the_quirk_the_header_says_the_length),
		cmocka_unit_test(another_requests_unique_ends_the_session),
		cmocka_unit_test(open_flags_that_need_the_kernels_driver_are_stripped),
		cmocka_unit_test(other_replies_have_nothing_to_strip),
		cmocka_unit_test(a_reply_too_short_for_open_flags_is_left_alone),
		cmocka_unit_test(good_open_flags_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
