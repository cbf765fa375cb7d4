/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The capability walk over a configuration space that the test made: good ones and hostile ones. */
#include "base/util.h"
#include "pci/caps.h"
#include "says.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COMMON_AT 0x40U
#define NOTIFY_AT 0x50U
#define DEVICE_AT 0x68U
#define ISR_AT 0x78U
#define MSIX_AT 0x98U
#define WINDOW_AT 0xa4U
#define SPARE_AT 0xc0U

static struct {
	uint8_t bytes[256];
	unsigned int reads, fail_at; /* fail_at: the read that covers this byte fails, 0 = none */
	unsigned int beyond;         /* reads that left the space */
} space;

static struct viofs_pci_caps caps;
static struct viofs_err err;

static int space_read(void *context, unsigned int off, void *buf, unsigned int len)
{
	space.reads++;
	if (!viofs_range_ok(off, len, sizeof(space.bytes))) {
		space.beyond++;
		return -EFAULT;
	}
	if (space.fail_at && off <= space.fail_at && space.fail_at < off + len)
		return -ENXIO;
	memcpy(buf, space.bytes + off, len);
	return 0;
}

static void put32(unsigned int at, uint32_t value)
{
	for (unsigned int i = 0; i < 4; i++)
		space.bytes[at + i] = (uint8_t)(value >> (8 * i));
}

static void put_head(unsigned int at, uint8_t id, uint8_t next)
{
	space.bytes[at] = id;
	space.bytes[at + 1] = next;
}

static void put_virtio(unsigned int at, uint8_t next, uint8_t len, uint8_t type, uint8_t bar,
		       uint32_t offset, uint32_t length)
{
	put_head(at, 9, next);
	space.bytes[at + 2] = len;
	space.bytes[at + 3] = type;
	space.bytes[at + 4] = bar;
	put32(at + 8, offset);
	put32(at + 12, length);
}

/* What QEMU has. */
static int set_up(void **state)
{
	memset(&space, 0, sizeof(space));
	memset(&caps, 0x5a, sizeof(caps));
	err.text[0] = 0;
	space.bytes[0x06] = 0x10; /* status: there is a list */
	space.bytes[0x34] = MSIX_AT;
	put_head(MSIX_AT, 0x11, WINDOW_AT);
	space.bytes[MSIX_AT + 2] = 2; /* 3 vectors */
	space.bytes[MSIX_AT + 3] = 0xc0;
	put_virtio(WINDOW_AT, NOTIFY_AT, 20, 5, 0, 0, 0);
	put_virtio(NOTIFY_AT, DEVICE_AT, 20, 2, 4, 0x3000, 0x1000);
	put32(NOTIFY_AT + 16, 4);
	put_virtio(DEVICE_AT, ISR_AT, 16, 4, 4, 0x2000, 0x1000);
	put_virtio(ISR_AT, COMMON_AT, 16, 3, 4, 0x1000, 0x1000);
	put_virtio(COMMON_AT, 0, 16, 1, 4, 0, 0x1000);
	return 0;
}

static int walk(void)
{
	const struct viofs_pci_config config = { .read = space_read };
	int rc = viofs_pci_caps_walk(&config, &caps, &err);

	assert_int_equal(space.beyond, 0);
	/* at most three reads an entry and a few before: no list makes it go on */
	assert_true(space.reads <= 3 * 48 + 4);
	return rc;
}

static void walks(void)
{
	if (walk())
		fail_msg("%s", err.text);
}

static void fails(int rc, const char *words)
{
	struct viofs_pci_caps before = caps;

	assert_int_equal(walk(), rc);
	says(&err, words);
	assert_memory_equal(&caps, &before, sizeof(caps));
	set_up(NULL);
}

static void is_cap(const struct viofs_pci_cap *c, unsigned int position, uint32_t offset,
		   uint32_t length)
{
	assert_true(c->present);
	assert_int_equal(c->bar, 4);
	assert_int_equal(c->position, position);
	assert_int_equal(c->offset, offset);
	assert_int_equal(c->length, length);
}

static void a_good_list_is_read(void **state)
{
	walks();
	is_cap(&caps.common, COMMON_AT, 0, 0x1000);
	is_cap(&caps.notify, NOTIFY_AT, 0x3000, 0x1000);
	is_cap(&caps.device, DEVICE_AT, 0x2000, 0x1000);
	is_cap(&caps.isr, ISR_AT, 0x1000, 0x1000);
	assert_int_equal(caps.notify_off_multiplier, 4);
	assert_int_equal(caps.pci_cfg, WINDOW_AT);
	assert_int_equal(caps.msix, MSIX_AT);
	assert_int_equal(caps.msix_vectors, 3);
}

#define SHM_AT 0xc0

/* In the place that is last in the list. */
static void put_shm(unsigned int at, uint8_t next, uint8_t id, uint64_t offset, uint64_t length)
{
	put_virtio(at, next, 24, 8, 2, (uint32_t)offset, (uint32_t)length);
	space.bytes[at + 5] = id;
	put32(at + 16, (uint32_t)(offset >> 32));
	put32(at + 20, (uint32_t)(length >> 32));
}

static void regions_of_shared_memory_are_read(void **state)
{
	walks();
	assert_int_equal(caps.shm_count, 0);
	space.bytes[COMMON_AT + 1] = SHM_AT;
	put_shm(SHM_AT, SHM_AT + 24, 0, 1ULL << 33, 3ULL << 32 | 5);
	put_shm(SHM_AT + 24, 0, 7, 0, 1);
	walks();
	assert_int_equal(caps.shm_count, 2);
	assert_int_equal(caps.shm[0].id, 0);
	assert_int_equal(caps.shm[0].bar, 2);
	assert_int_equal(caps.shm[0].offset, 1ULL << 33);
	assert_int_equal(caps.shm[0].length, 3ULL << 32 | 5);
	assert_int_equal(caps.shm[1].id, 7);
}

static void shared_memory_that_makes_no_sense_is_passed_over(void **state)
{
	space.bytes[COMMON_AT + 1] = SHM_AT;
	put_shm(SHM_AT, SHM_AT + 24, 0, 8, UINT64_MAX - 7); /* it wraps */
	put_shm(SHM_AT + 24, 0, 0, 0, 0);                   /* it is empty */
	walks();
	assert_int_equal(caps.shm_count, 0);
	put_shm(SHM_AT, SHM_AT + 24, 0, 0, 4096);
	space.bytes[SHM_AT + 4] = 6; /* there is no such BAR */
	put_shm(SHM_AT + 24, 0, 0, 0, 4096);
	space.bytes[SHM_AT + 24 + 2] = 23; /* it is too short */
	walks();
	assert_int_equal(caps.shm_count, 0);
	/* The same id twice: the first one. */
	put_shm(SHM_AT, SHM_AT + 24, 0, 0, 4096);
	put_shm(SHM_AT + 24, 0, 0, 0, 8192);
	walks();
	assert_int_equal(caps.shm_count, 1);
	assert_int_equal(caps.shm[0].length, 4096);
}

static void reserved_pointer_bits_are_ignored(void **state)
{
	space.bytes[0x34] = MSIX_AT | 3;
	space.bytes[MSIX_AT + 1] |= 2;
	walks();
	assert_int_equal(caps.msix, MSIX_AT);
	assert_int_equal(caps.pci_cfg, WINDOW_AT);
}

static void the_largest_vector_table_is_2048(void **state)
{
	space.bytes[MSIX_AT + 2] = 0xff;
	space.bytes[MSIX_AT + 3] = 0xff;
	walks();
	assert_int_equal(caps.msix_vectors, 2048);
}

static void without_isr_window_or_msix_it_is_a_device_all_the_same(void **state)
{
	space.bytes[0x34] = NOTIFY_AT;
	space.bytes[DEVICE_AT + 1] = COMMON_AT;
	walks();
	assert_int_equal(caps.msix, 0);
	assert_int_equal(caps.msix_vectors, 0);
	assert_int_equal(caps.pci_cfg, 0);
	assert_false(caps.isr.present);
}

static void each_needed_structure_is_missed(void **state)
{
	space.bytes[COMMON_AT + 3] = 77;
	fails(-EPROTO, "no usable common structure");
	space.bytes[NOTIFY_AT + 3] = 77;
	fails(-EPROTO, "no usable notification structure");
	space.bytes[DEVICE_AT + 3] = 77;
	fails(-EPROTO, "no usable device structure");
}

static void unknown_types_and_capabilities_are_passed_over(void **state)
{
	/* an unknown cfg_type (8: shared memory), then an unknown capability */
	space.bytes[COMMON_AT + 1] = SPARE_AT;
	put_virtio(SPARE_AT, SPARE_AT + 16, 16, 8, 2, 0, 0x1000);
	put_head(SPARE_AT + 16, 0x10, 0);
	walks();
	is_cap(&caps.common, COMMON_AT, 0, 0x1000);
}

static void a_function_that_is_gone_or_has_no_list_is_no_device(void **state)
{
	memset(space.bytes, 0xff, sizeof(space.bytes));
	fails(-ENODEV, "does not answer");
	space.bytes[0x06] = 0;
	fails(-ENODEV, "no capabilities");
	space.bytes[0x34] = 0;
	fails(-ENODEV, "no virtio capabilities");
	/* MSI-X alone */
	space.bytes[MSIX_AT + 1] = 0;
	fails(-ENODEV, "legacy");
}

static void a_loop_ends_the_walk(void **state)
{
	char where[64];

	/* everything was found before it: a device that works */
	space.bytes[COMMON_AT + 1] = MSIX_AT;
	walks();
	is_cap(&caps.common, COMMON_AT, 0, 0x1000);
	set_up(NULL);
	space.bytes[ISR_AT + 1] = MSIX_AT;
	snprintf(where, sizeof(where), "is a loop (at 0x%x)", MSIX_AT);
	fails(-EPROTO, where);
	/* onto itself */
	space.bytes[ISR_AT + 1] = ISR_AT;
	fails(-EPROTO, "common");
}

static void a_pointer_into_the_header_ends_the_walk(void **state)
{
	for (uint8_t at = 4; at < 0x40; at += 4) {
		space.bytes[ISR_AT + 1] = at;
		fails(-EPROTO, "points into the header");
	}
	space.bytes[0x34] = 0x3c;
	fails(-EPROTO, "points into the header");
}

static void more_entries_than_there_is_room_for_end_the_walk(void **state)
{
	/* all 48 double words from 0x40 on, each pointing at the next, are the longest list */
	memset(space.bytes + 0x40, 0, 0xc0);
	for (unsigned int at = 0x40; at < 0x100; at += 4)
		put_head(at, 0x10, (uint8_t)(at + 4));
	space.bytes[0x34] = 0x40;
	fails(-ENODEV, "no virtio capabilities");
}

static void an_entry_that_leaves_the_space_is_passed_over(void **state)
{
	/* its fixed part */
	space.bytes[ISR_AT + 1] = 0xf4;
	put_virtio(0xec, 0, 16, 1, 4, 0, 0x1000); /* so that there are bytes behind 0xf4 */
	put_head(0xf4, 9, COMMON_AT);
	walks();
	is_cap(&caps.common, COMMON_AT, 0, 0x1000);
	/* by the length that it has by its own account */
	set_up(NULL);
	space.bytes[ISR_AT + 1] = 0xf0;
	put_virtio(0xf0, 0, 17, 1, 4, 0, 0x1000);
	fails(-EPROTO, "common");
	put_virtio(0xf0, 0, 16, 1, 4, 0, 0x1000);
	space.bytes[ISR_AT + 1] = 0xf0;
	walks();
	is_cap(&caps.common, 0xf0, 0, 0x1000);
}

static void msix_at_the_very_end_is_passed_over(void **state)
{
	space.bytes[0x34] = NOTIFY_AT;
	space.bytes[COMMON_AT + 1] = 0xf8;
	put_head(0xf8, 0x11, 0);
	walks();
	assert_int_equal(caps.msix, 0);
	set_up(NULL);
	space.bytes[0x34] = NOTIFY_AT;
	space.bytes[COMMON_AT + 1] = 0xf4;
	put_head(0xf4, 0x11, 0);
	walks();
	assert_int_equal(caps.msix, 0xf4);
}

static void a_window_at_the_very_end_is_passed_over(void **state)
{
	space.bytes[0x34] = NOTIFY_AT;
	space.bytes[COMMON_AT + 1] = 0xf0;
	put_virtio(0xf0, 0, 16, 5, 0, 0, 0); /* no room for the data register */
	walks();
	assert_int_equal(caps.pci_cfg, 0);
}

/* cloud-hypervisor */
static void a_window_that_says_16_bytes_is_taken(void **state)
{
	space.bytes[WINDOW_AT + 2] = 16;
	walks();
	assert_int_equal(caps.pci_cfg, WINDOW_AT);
}

static void a_short_entry_is_passed_over(void **state)
{
	for (uint8_t len = 0; len < 16; len++) {
		space.bytes[COMMON_AT + 2] = len;
		fails(-EPROTO, "no usable common");
	}
	/* the multiplier is the notification's 4 bytes more */
	for (uint8_t len = 16; len < 20; len++) {
		space.bytes[NOTIFY_AT + 2] = len;
		fails(-EPROTO, "no usable notification");
	}
}

static void an_unknown_bar_is_passed_over(void **state)
{
	space.bytes[COMMON_AT + 4] = 5;
	walks();
	assert_int_equal(caps.common.bar, 5);
	for (unsigned int bar = 6; bar < 256; bar += 50) {
		set_up(NULL);
		space.bytes[COMMON_AT + 4] = (uint8_t)bar;
		fails(-EPROTO, "no usable common");
	}
}

static void structures_too_short_for_their_type_are_passed_over(void **state)
{
	static const struct {
		unsigned int at;
		uint32_t least;
	} types[] = { { COMMON_AT, 0x38 }, { NOTIFY_AT, 2 }, { DEVICE_AT, 1 } };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(types); i++) {
		put32(types[i].at + 12, types[i].least - 1);
		fails(-EPROTO, "no usable");
		put32(types[i].at + 12, types[i].least);
		walks();
		set_up(NULL);
	}
	put32(ISR_AT + 12, 0);
	walks();
	assert_false(caps.isr.present);
}

static void an_offset_and_length_that_wrap_are_passed_over(void **state)
{
	static const uint32_t wraps[][2] = { { 0xfffff001, 0x1000 },
					     { 0xffffffff, 0x1000 },
					     { 0x1000, 0xffffffff },
					     { 0xffffffff, 0xffffffff } };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(wraps); i++) {
		put32(COMMON_AT + 8, wraps[i][0]);
		put32(COMMON_AT + 12, wraps[i][1]);
		fails(-EPROTO, "no usable common");
	}
}

static void the_first_good_one_of_a_type_wins(void **state)
{
	/* a bad one before, another good one after */
	space.bytes[0x34] = SPARE_AT;
	put_virtio(SPARE_AT, NOTIFY_AT, 16, 1, 7, 0, 0x1000);
	space.bytes[COMMON_AT + 1] = SPARE_AT + 16;
	put_virtio(SPARE_AT + 16, SPARE_AT + 32, 16, 1, 4, 0x3800, 0x100);
	put_virtio(SPARE_AT + 32, 0, 20, 2, 4, 0x800, 0x100);
	put32(SPARE_AT + 48, 8);
	walks();
	is_cap(&caps.common, COMMON_AT, 0, 0x1000);
	is_cap(&caps.notify, NOTIFY_AT, 0x3000, 0x1000);
	assert_int_equal(caps.notify_off_multiplier, 4);
}

static void a_bad_notification_does_not_give_its_multiplier(void **state)
{
	space.bytes[0x34] = SPARE_AT;
	put_virtio(SPARE_AT, NOTIFY_AT, 20, 2, 9, 0, 0x1000);
	put32(SPARE_AT + 16, 0x77777777);
	walks();
	assert_int_equal(caps.notify_off_multiplier, 4);
}

/* Entries may lie on top of each other: each is judged by what it says. */
static void overlapping_entries_are_read_as_they_are(void **state)
{
	/* an entry that begins inside the common one: id and next are the low bytes of its offset
	 */
	put32(COMMON_AT + 8, 0x00000010);
	space.bytes[COMMON_AT + 1] = COMMON_AT + 8;
	walks();
	is_cap(&caps.common, COMMON_AT, 0x10, 0x1000);
}

static void the_list_goes_on_after_a_bad_entry(void **state)
{
	space.bytes[NOTIFY_AT + 3] = 0; /* reserved type */
	space.bytes[COMMON_AT + 1] = SPARE_AT;
	put_virtio(SPARE_AT, 0, 20, 2, 4, 0x3000, 0x800);
	put32(SPARE_AT + 16, 2);
	walks();
	is_cap(&caps.notify, SPARE_AT, 0x3000, 0x800);
	assert_int_equal(caps.notify_off_multiplier, 2);
}

static void the_accessors_error_is_passed_on(void **state)
{
	static const unsigned int at[] = { 0x06,          0x34,      MSIX_AT,       MSIX_AT + 2,
					   NOTIFY_AT + 3, COMMON_AT, NOTIFY_AT + 17 };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(at); i++) {
		space.fail_at = at[i];
		fails(-ENXIO, "can't be read");
	}
}

/* The data register of the window is an access to the device; ISR's too has an effect. */
static void the_windows_data_register_is_not_read(void **state)
{
	space.fail_at = WINDOW_AT + 16;
	walks();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_good_list_is_read, set_up),
		cmocka_unit_test_setup(regions_of_shared_memory_are_read, set_up),
		cmocka_unit_test_setup(shared_memory_that_makes_no_sense_is_passed_over, set_up),
		cmocka_unit_test_setup(reserved_pointer_bits_are_ignored, set_up),
		cmocka_unit_test_setup(the_largest_vector_table_is_2048, set_up),
		cmocka_unit_test_setup(without_isr_window_or_msix_it_is_a_device_all_the_same,
				       set_up),
		cmocka_unit_test_setup(each_needed_structure_is_missed, set_up),
		cmocka_unit_test_setup(unknown_types_and_capabilities_are_passed_over, set_up),
		cmocka_unit_test_setup(a_function_that_is_gone_or_has_no_list_is_no_device, set_up),
		cmocka_unit_test_setup(a_loop_ends_the_walk, set_up),
		cmocka_unit_test_setup(a_pointer_into_the_header_ends_the_walk, set_up),
		cmocka_unit_test_setup(more_entries_than_there_is_room_for_end_the_walk, set_up),
		cmocka_unit_test_setup(an_entry_that_leaves_the_space_is_passed_over, set_up),
		cmocka_unit_test_setup(msix_at_the_very_end_is_passed_over, set_up),
		cmocka_unit_test_setup(a_window_at_the_very_end_is_passed_over, set_up),
		cmocka_unit_test_setup(a_window_that_says_16_bytes_is_taken, set_up),
		cmocka_unit_test_setup(a_short_entry_is_passed_over, set_up),
		cmocka_unit_test_setup(an_unknown_bar_is_passed_over, set_up),
		cmocka_unit_test_setup(structures_too_short_for_their_type_are_passed_over, set_up),
		cmocka_unit_test_setup(an_offset_and_length_that_wrap_are_passed_over, set_up),
		cmocka_unit_test_setup(the_first_good_one_of_a_type_wins, set_up),
		cmocka_unit_test_setup(a_bad_notification_does_not_give_its_multiplier, set_up),
		cmocka_unit_test_setup(overlapping_entries_are_read_as_they_are, set_up),
		cmocka_unit_test_setup(the_list_goes_on_after_a_bad_entry, set_up),
		cmocka_unit_test_setup(the_accessors_error_is_passed_on, set_up),
		cmocka_unit_test_setup(the_windows_data_register_is_not_read, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
