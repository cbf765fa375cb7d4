/* SPDX-License-Identifier: GPL-2.0-or-later */
/* INIT in both directions: versions, lengths, flags and sizes that three parties must agree on. */
#include "base/util.h"
#include "fuse/init.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PAGE 4096U
#define MIB (1U << 20)
#define ALL UINT64_MAX
#define EXT ((uint64_t)FUSE_INIT_EXT)

/* What never gets to the device, bit by bit as the uapi numbers them. */
#define SPLICE (7ULL << 7)
#define VIRTIOFS_ONLY (1ULL << 26 | 1ULL << 27 | 1ULL << 33)
#define OF_THE_CHANNEL (1ULL << 37 | 1ULL << 39 | 1ULL << 41 | 1ULL << 42 | 1ULL << 43)
#define RESERVED (1ULL << 31)
#define UNKNOWN (~0ULL << 44)
#define FOR_DEVICE (ALL & ~(SPLICE | VIRTIOFS_ONLY | OF_THE_CHANNEL | RESERVED | UNKNOWN))

static struct viofs_fuse_limits limits;
static struct fuse_init_in kernel, sent;
static struct fuse_init_out device, out;
static struct viofs_fuse_agreed agreed;
static struct viofs_err err;

static void in_flags(struct fuse_init_in *in, uint64_t flags)
{
	in->flags = (uint32_t)flags;
	in->flags2 = (uint32_t)(flags >> 32);
}

static void device_says(uint64_t flags)
{
	device.flags = (uint32_t)flags;
	device.flags2 = (uint32_t)(flags >> 32);
}

static uint64_t out_flags(void)
{
	return out.flags | (uint64_t)out.flags2 << 32;
}

/* A kernel and a device of today that agree on everything. */
static int set_up(void **state)
{
	limits = (struct viofs_fuse_limits){ .max_data = MIB,
					     .page_size = PAGE,
					     .max_background = 64,
					     .default_permissions = true };
	kernel = (struct fuse_init_in){ .major = 7, .minor = 45, .max_readahead = 131072 };
	in_flags(&kernel, ALL);
	device = (struct fuse_init_out){ .major = 7,
					 .minor = 38,
					 .max_readahead = 131072,
					 .max_background = 65535,
					 .congestion_threshold = 49149,
					 .max_write = MIB,
					 .time_gran = 1,
					 .max_pages = 256 };
	device_says(ALL);
	memset(&sent, 0x5a, sizeof(sent));
	memset(&out, 0x5a, sizeof(out));
	memset(&agreed, 0x5a, sizeof(agreed));
	err.text[0] = 0;
	return 0;
}

static void request(size_t len, size_t expected_len)
{
	size_t sent_len = 0;

	assert_int_equal(viofs_fuse_init_request(&kernel, len, &sent, &sent_len, &err), 0);
	assert_int_equal(sent_len, expected_len);
}

/* Request and reply. */
static void agree(void)
{
	request(sizeof(kernel), 64);
	if (viofs_fuse_init_reply(&kernel, &sent, &limits, &device, sizeof(device), &out, &agreed,
				  &err))
		fail_msg("%s", err.text);
	assert_int_equal(out.major, 7);
	assert_true(out_flags() == agreed.flags);
}

static void reply_fails(size_t len, const char *words)
{
	struct fuse_init_out out_before = out;
	struct viofs_fuse_agreed agreed_before = agreed;
	uint8_t payload[128] = { 0 };

	memcpy(payload, &device, sizeof(device));
	request(sizeof(kernel), 64);
	assert_int_equal(
		viofs_fuse_init_reply(&kernel, &sent, &limits, payload, len, &out, &agreed, &err),
		-EPROTO);
	assert_non_null(strstr(err.text, words));
	assert_memory_equal(&out, &out_before, sizeof(out));
	assert_memory_equal(&agreed, &agreed_before, sizeof(agreed));
}

static void the_device_is_offered_what_can_be_kept(void **state)
{
	request(sizeof(kernel), 64);
	assert_int_equal(sent.major, 7);
	assert_int_equal(sent.max_readahead, 131072);
	assert_true((sent.flags | (uint64_t)sent.flags2 << 32) == FOR_DEVICE);
}

static void no_flag_is_added(void **state)
{
	in_flags(&kernel, EXT | FUSE_ASYNC_READ | 1ULL << 40);
	request(sizeof(kernel), 64);
	assert_true((sent.flags | (uint64_t)sent.flags2 << 32) ==
		    (EXT | FUSE_ASYNC_READ | 1ULL << 40));
	in_flags(&kernel, 0);
	request(sizeof(kernel), 64);
	assert_int_equal(sent.flags | sent.flags2, 0);
}

static void flags2_counts_only_with_init_ext(void **state)
{
	in_flags(&kernel, (ALL & ~EXT));
	request(sizeof(kernel), 64);
	assert_int_equal(sent.flags2, 0);
	assert_false(sent.flags & FUSE_INIT_EXT);
}

static void an_old_kernels_init_stays_short(void **state)
{
	in_flags(&kernel, FUSE_ASYNC_READ | FUSE_BIG_WRITES);
	kernel.minor = 31;
	request(16, 16);
	assert_int_equal(sent.minor, 31);
	assert_int_equal(sent.flags, FUSE_ASYNC_READ | FUSE_BIG_WRITES);
	assert_int_equal(sent.flags2, 0);
	/* a length between: the extension isn't whole */
	request(63, 16);
}

/* A device that sees INIT_EXT reads the 48 bytes of extension. */
static void without_the_extension_there_is_no_init_ext(void **state)
{
	request(16, 16);
	assert_false(sent.flags & FUSE_INIT_EXT);
	request(63, 16);
	assert_false(sent.flags & FUSE_INIT_EXT);
}

static void a_longer_init_of_a_newer_kernel_is_cut(void **state)
{
	uint8_t longer[96] = { 0 };
	size_t sent_len = 0;

	kernel.minor = 99;
	memcpy(longer, &kernel, sizeof(kernel));
	memset(longer + sizeof(kernel), 0xff, sizeof(longer) - sizeof(kernel));
	assert_int_equal(viofs_fuse_init_request(longer, sizeof(longer), &sent, &sent_len, &err),
			 0);
	assert_int_equal(sent_len, 64);
	assert_int_equal(sent.minor, VIOFS_FUSE_MINOR_MAX);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(sent.unused); i++)
		assert_int_equal(sent.unused[i], 0);
}

static void a_short_init_is_refused(void **state)
{
	size_t sent_len = 0;

	for (size_t len = 0; len < 16; len++) {
		err.text[0] = 0;
		assert_int_equal(viofs_fuse_init_request(&kernel, len, &sent, &sent_len, &err),
				 -EPROTO);
		assert_true(err.text[0]);
	}
}

static void a_kernel_of_another_major_is_refused(void **state)
{
	static const uint32_t majors[] = { 0, 6, 8, 0x07000000 };
	size_t sent_len = 0;

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(majors); i++) {
		kernel.major = majors[i];
		assert_int_equal(viofs_fuse_init_request(&kernel, 64, &sent, &sent_len, &err),
				 -EPROTO);
		assert_non_null(strstr(err.text, "only 7.x"));
	}
}

static void the_lower_minor_is_agreed(void **state)
{
	static const uint32_t minors[][3] = {
		/* kernel, device, agreed */
		{ 45, 38, 38 }, { 45, 27, 27 }, { 38, 45, 38 }, { 45, 45, 45 },
		{ 46, 46, 45 }, { 99, 31, 31 }, { 31, 99, 31 },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(minors); i++) {
		kernel.minor = minors[i][0];
		device.minor = minors[i][1];
		agree();
		assert_int_equal(out.minor, minors[i][2]);
		assert_int_equal(agreed.conn.minor, minors[i][2]);
		assert_int_equal(agreed.kernel_minor, minors[i][0]);
		assert_int_equal(agreed.device_minor, minors[i][1]);
	}
}

static void a_device_of_another_major_or_too_old_is_refused(void **state)
{
	device.major = 8;
	reply_fails(64, "FUSE 8.38");
	device.major = 0;
	reply_fails(64, "only 7.x");
	device.major = 7;
	device.minor = 26;
	reply_fails(64, "7.26");
	device.minor = 0;
	reply_fails(8, "7.27");
}

static void only_lengths_of_an_init_reply_are_taken(void **state)
{
	static const size_t good[] = { 8, 24, 64, 65, 80, 128 };
	uint8_t payload[128] = { 0 };

	memcpy(payload, &device, sizeof(device));
	memset(payload + sizeof(device), 0xff, sizeof(payload) - sizeof(device));
	for (size_t len = 0; len < 64; len++)
		if (len != 8 && len != 24)
			reply_fails(len, "8, 24 or 64");
	request(sizeof(kernel), 64);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(good); i++)
		assert_int_equal(viofs_fuse_init_reply(&kernel, &sent, &limits, payload, good[i],
						       &out, &agreed, &err),
				 0);
	/* the longest one was cut to what we know */
	assert_int_equal(out.max_write, MIB);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(out.unused); i++)
		assert_int_equal(out.unused[i], 0);
}

/* Only as many bytes as the device wrote may count. */
static void short_replies_are_extended_with_zeros(void **state)
{
	request(sizeof(kernel), 64);
	assert_int_equal(
		viofs_fuse_init_reply(&kernel, &sent, &limits, &device, 8, &out, &agreed, &err), 0);
	assert_true(out_flags() == FUSE_ABORT_ERROR);
	assert_int_equal(out.max_readahead, 0);
	assert_int_equal(out.max_write, 4096);
	assert_int_equal(out.max_pages, 0);
	assert_int_equal(out.time_gran, 0);
	assert_int_equal(agreed.max_pages, 32);
	assert_int_equal(out.max_background, 64);

	device_says(FUSE_ASYNC_READ);
	assert_int_equal(
		viofs_fuse_init_reply(&kernel, &sent, &limits, &device, 24, &out, &agreed, &err),
		0);
	assert_true(out_flags() == (FUSE_ABORT_ERROR | FUSE_ASYNC_READ));
	assert_int_equal(out.max_write, 32 * PAGE);
	assert_int_equal(out.time_gran, 0);
	assert_int_equal(out.max_pages, 0);
}

static void flags_never_offered_are_not_taken(void **state)
{
	in_flags(&kernel, EXT | FUSE_ASYNC_READ | FUSE_SPLICE_READ | FUSE_MAX_PAGES | 1ULL << 41);
	device_says(ALL);
	agree();
	assert_true(out_flags() == (EXT | FUSE_ASYNC_READ | FUSE_MAX_PAGES));
	assert_true(agreed.device_flags == ALL);
	assert_true(agreed.kernel_flags ==
		    (EXT | FUSE_ASYNC_READ | FUSE_SPLICE_READ | FUSE_MAX_PAGES | 1ULL << 41));
}

static void everything_offered_and_answered_is_kept(void **state)
{
	agree();
	assert_true(out_flags() == FOR_DEVICE);
}

static void abort_error_is_ours_to_promise(void **state)
{
	device_says(0);
	agree();
	assert_true(out_flags() == FUSE_ABORT_ERROR);
	in_flags(&kernel, ALL & ~(uint64_t)FUSE_ABORT_ERROR);
	device_says(ALL);
	agree();
	assert_false(out.flags & FUSE_ABORT_ERROR);
}

static void the_devices_flags2_counts_only_with_init_ext(void **state)
{
	device_says(ALL & ~EXT);
	agree();
	assert_int_equal(out.flags2, 0);
	assert_int_equal(agreed.device_flags >> 32, 0);
}

static void allow_idmap_needs_default_permissions(void **state)
{
	agree();
	assert_true(out_flags() & 1ULL << 40);
	limits.default_permissions = false;
	agree();
	assert_false(out_flags() & 1ULL << 40);
	assert_true(out_flags() == (FOR_DEVICE & ~(1ULL << 40)));
}

static void asynchronous_direct_io_is_not_agreed_where_it_is_not_wanted(void **state)
{
	agree();
	assert_true(out_flags() & FUSE_ASYNC_DIO);
	limits.sync_dio = true;
	agree();
	assert_true(out_flags() == (FOR_DEVICE & ~(uint64_t)FUSE_ASYNC_DIO));
	assert_true(agreed.flags == out_flags());
}

/* From then on requests wait for entries: so only where they are ready, and locks can't fill them.
 */
static void io_uring_is_promised_by_us_alone(void **state)
{
	device_says(VIOFS_FUSE_OVER_IO_URING | FUSE_INIT_EXT);
	agree();
	assert_false(out_flags() & VIOFS_FUSE_OVER_IO_URING);
	limits.io_uring = true;
	device_says(FUSE_INIT_EXT);
	agree();
	assert_true(out_flags() & VIOFS_FUSE_OVER_IO_URING);
	device_says(FUSE_INIT_EXT | FUSE_POSIX_LOCKS);
	agree();
	assert_false(out_flags() & VIOFS_FUSE_OVER_IO_URING);
	device_says(FUSE_INIT_EXT);
	kernel.flags2 &= ~(uint32_t)(VIOFS_FUSE_OVER_IO_URING >> 32);
	agree();
	assert_false(out_flags() & VIOFS_FUSE_OVER_IO_URING);
}

static void what_shapes_depend_on_is_remembered(void **state)
{
	agree();
	assert_true(agreed.conn.setxattr_ext);
	assert_true(agreed.conn.remote_locks);
	assert_int_equal(agreed.conn.page_size, PAGE);
	device_says(FUSE_POSIX_LOCKS);
	agree();
	assert_false(agreed.conn.setxattr_ext);
	assert_true(agreed.conn.remote_locks);
	device_says(FUSE_FLOCK_LOCKS);
	agree();
	assert_true(agreed.conn.remote_locks);
	device_says(0);
	agree();
	assert_false(agreed.conn.remote_locks);
}

static void max_write_is_bounded_by_what_a_slot_carries(void **state)
{
	static const uint32_t sizes[][2] = {
		/* the device's, agreed */
		{ 0, 4096 },        { 1, 4096 },  { 4096, 4096 },      { 4097, 4097 },
		{ 130001, 130001 }, { MIB, MIB }, { MIB + 4096, MIB }, { UINT32_MAX, MIB },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(sizes); i++) {
		device.max_write = sizes[i][0];
		agree();
		assert_int_equal(out.max_write, sizes[i][1]);
		assert_int_equal(agreed.max_write, sizes[i][1]);
	}
	limits.max_data = 131072;
	agree();
	assert_int_equal(out.max_write, 131072);
	assert_int_equal(out.max_pages, 32);
}

static void max_pages_is_bounded_and_bounds_max_write(void **state)
{
	static const uint16_t pages[][2] = { { 0, 1 },     { 1, 1 },     { 17, 17 },
					     { 256, 256 }, { 257, 256 }, { 65535, 256 } };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(pages); i++) {
		device.max_pages = pages[i][0];
		agree();
		assert_int_equal(out.max_pages, pages[i][1]);
		assert_int_equal(agreed.max_pages, pages[i][1]);
		assert_int_equal(out.max_write, pages[i][1] * PAGE);
	}
}

static void without_max_pages_requests_have_32_pages(void **state)
{
	device_says(ALL & ~(uint64_t)FUSE_MAX_PAGES);
	agree();
	assert_false(out.flags & FUSE_MAX_PAGES);
	assert_int_equal(out.max_pages, 0);
	assert_int_equal(agreed.max_pages, 32);
	assert_int_equal(out.max_write, 131072);
	/* and no more than a slot has */
	limits.max_data = 65536;
	agree();
	assert_int_equal(agreed.max_pages, 16);
	assert_int_equal(out.max_write, 65536);
}

/* 256 pages of a 4 KiB host would be 16 MiB in a guest with 64 KiB pages. */
static void max_pages_counts_this_machines_pages(void **state)
{
	limits.page_size = 65536;
	agree();
	assert_int_equal(out.max_pages, 16);
	assert_int_equal(out.max_write, MIB);
	assert_int_equal(agreed.conn.page_size, 65536);
}

static void max_background_leaves_slots_for_the_rest(void **state)
{
	static const uint16_t values[][4] = {
		/* the device's, its threshold, agreed */
		{ 65535, 49149, 64, 48 }, { 0, 0, 64, 48 }, { 12, 9, 12, 9 }, { 12, 12, 12, 9 },
		{ 12, 0, 12, 9 },         { 64, 1, 64, 1 }, { 1, 1, 1, 0 },   { 65, 60, 64, 48 },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(values); i++) {
		device.max_background = values[i][0];
		device.congestion_threshold = values[i][1];
		agree();
		assert_int_equal(out.max_background, values[i][2]);
		assert_int_equal(out.congestion_threshold, values[i][3]);
		assert_int_equal(agreed.max_background, values[i][2]);
		assert_int_equal(agreed.congestion_threshold, values[i][3]);
	}
	limits.max_background = 65535;
	device.max_background = 65535;
	device.congestion_threshold = 65535;
	agree();
	assert_int_equal(out.congestion_threshold, 49151);
}

static void readahead_is_no_more_than_the_kernel_asked_for(void **state)
{
	static const uint32_t values[][2] = {
		{ 0, 0 }, { 4096, 4096 }, { 131073, 131072 }, { UINT32_MAX, 131072 }
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(values); i++) {
		device.max_readahead = values[i][0];
		agree();
		assert_int_equal(out.max_readahead, values[i][1]);
		assert_int_equal(agreed.max_readahead, values[i][1]);
	}
}

static void time_granularity_is_passed_on(void **state)
{
	static const uint32_t values[] = { 0, 1, 100, 1000000000 };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(values); i++) {
		device.time_gran = values[i];
		agree();
		assert_int_equal(out.time_gran, values[i]);
		assert_int_equal(agreed.time_gran, values[i]);
	}
}

static void what_only_the_kernels_driver_can_do_is_zeroed(void **state)
{
	device.map_alignment = 12;
	memset(device.unused, 0xff, sizeof(device.unused)); /* max_stack_depth, request_timeout */
	agree();
	assert_int_equal(out.map_alignment, 0);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(out.unused); i++)
		assert_int_equal(out.unused[i], 0);
}

static void flag_names_are_the_uapis(void **state)
{
	assert_string_equal(viofs_fuse_init_flag_name(0), "ASYNC_READ");
	assert_string_equal(viofs_fuse_init_flag_name(22), "MAX_PAGES");
	assert_string_equal(viofs_fuse_init_flag_name(30), "INIT_EXT");
	assert_string_equal(viofs_fuse_init_flag_name(40), "ALLOW_IDMAP");
	assert_string_equal(viofs_fuse_init_flag_name(43), "HAS_IO_URING_BUFPOOL");
	assert_null(viofs_fuse_init_flag_name(44));
	assert_null(viofs_fuse_init_flag_name(~0U));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_device_is_offered_what_can_be_kept, set_up),
		cmocka_unit_test_setup(no_flag_is_added, set_up),
		cmocka_unit_test_setup(flags2_counts_only_with_init_ext, set_up),
		cmocka_unit_test_setup(an_old_kernels_init_stays_short, set_up),
		cmocka_unit_test_setup(without_the_extension_there_is_no_init_ext, set_up),
		cmocka_unit_test_setup(a_longer_init_of_a_newer_kernel_is_cut, set_up),
		cmocka_unit_test_setup(a_short_init_is_refused, set_up),
		cmocka_unit_test_setup(a_kernel_of_another_major_is_refused, set_up),
		cmocka_unit_test_setup(the_lower_minor_is_agreed, set_up),
		cmocka_unit_test_setup(a_device_of_another_major_or_too_old_is_refused, set_up),
		cmocka_unit_test_setup(only_lengths_of_an_init_reply_are_taken, set_up),
		cmocka_unit_test_setup(short_replies_are_extended_with_zeros, set_up),
		cmocka_unit_test_setup(flags_never_offered_are_not_taken, set_up),
		cmocka_unit_test_setup(everything_offered_and_answered_is_kept, set_up),
		cmocka_unit_test_setup(abort_error_is_ours_to_promise, set_up),
		cmocka_unit_test_setup(the_devices_flags2_counts_only_with_init_ext, set_up),
		cmocka_unit_test_setup(asynchronous_direct_io_is_not_agreed_where_it_is_not_wanted,
				       set_up),
		cmocka_unit_test_setup(allow_idmap_needs_default_permissions, set_up),
		cmocka_unit_test_setup(io_uring_is_promised_by_us_alone, set_up),
		cmocka_unit_test_setup(io_uring_is_promised_by_us_alone, set_up),
		cmocka_unit_test_setup(what_shapes_depend_on_is_remembered, set_up),
		cmocka_unit_test_setup(max_write_is_bounded_by_what_a_slot_carries, set_up),
		cmocka_unit_test_setup(max_pages_is_bounded_and_bounds_max_write, set_up),
		cmocka_unit_test_setup(without_max_pages_requests_have_32_pages, set_up),
		cmocka_unit_test_setup(max_pages_counts_this_machines_pages, set_up),
		cmocka_unit_test_setup(max_background_leaves_slots_for_the_rest, set_up),
		cmocka_unit_test_setup(readahead_is_no_more_than_the_kernel_asked_for, set_up),
		cmocka_unit_test_setup(time_granularity_is_passed_on, set_up),
		cmocka_unit_test_setup(what_only_the_kernels_driver_can_do_is_zeroed, set_up),
		cmocka_unit_test_setup(flag_names_are_the_uapis, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
