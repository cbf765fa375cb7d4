/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The address policy: a device without ACCESS_PLATFORM is given physical addresses or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dma/arena.h"
#include "dma/physical.h"
#include "fake_vfio.h"

#include <string.h>
#include <unistd.h>

static struct fake_vfio fake;
static const size_t sizes[VIOFS_ARENA_SECTIONS] = {
	[VIOFS_ARENA_PRIVATE] = 4096,
	[VIOFS_ARENA_DEVICE_READ] = 8192,
	[VIOFS_ARENA_DEVICE_WRITE] = 8192,
	[VIOFS_ARENA_DEVICE_RW] = 1 << 20,
};

static void an_entry_gives_its_frame(void **state)
{
	uint64_t address = 0;

	assert_int_equal(viofs_pagemap_entry(1ULL << 63 | 0x1234, 4096, &address), 0);
	assert_int_equal(address, 0x1234000);
	/* Bits 55..62 are flags, no part of the frame. */
	assert_int_equal(viofs_pagemap_entry(7ULL << 61 | 1ULL << 55 | 0x99, 4096, &address), 0);
	assert_int_equal(address, 0x99000);
}

static void a_hidden_frame_is_refused(void **state)
{
	uint64_t address = 42;

	assert_int_equal(viofs_pagemap_entry(1ULL << 63, 4096, &address), -EPERM);
	assert_int_equal(address, 42);
}

static void a_page_that_is_not_there_is_refused(void **state)
{
	uint64_t address = 42;

	assert_int_equal(viofs_pagemap_entry(0x1234, 4096, &address), -EFAULT);
	assert_int_equal(address, 42);
}

/* Needs CAP_SYS_ADMIN to see frames. */
static void physical_mappings_are_one_to_one(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct viofs_arena *a = NULL;
	struct viofs_err err;
	uint64_t address;
	uint8_t *p;

	assert_int_equal(viofs_arena_new(sizes, false, &a, &err), 0);
	fake_vfio_init(&fake, true);
	if (viofs_arena_map(a, &fake.vfio, VIOFS_ADDRESS_PHYSICAL, &err) == -EPERM) {
		assert_non_null(strstr(err.text, "CAP_SYS_ADMIN"));
		assert_int_equal(fake.count, fake.unmapped);
		viofs_arena_free(a);
		print_message("no CAP_SYS_ADMIN: only the refusal was tested\n");
		return;
	}
	for (unsigned int i = 0; i < fake.count; i++)
		for (size_t off = 0; off < fake.mappings[i].len; off += page) {
			assert_int_equal(
				viofs_physical_read(fake.mappings[i].vaddr + off, 1, &address), 0);
			assert_int_equal(address, fake.mappings[i].iova + off);
		}
	p = viofs_arena_alloc(a, VIOFS_ARENA_DEVICE_RW, 1 << 20, 4096);
	for (size_t off = 100; off < 1 << 20;) {
		size_t run = 0;
		uint64_t iova = viofs_arena_iova(a, p + off, (1 << 20) - off, &run);

		assert_int_equal(viofs_physical_read(p + off, 1, &address), 0);
		assert_int_equal(iova, address + off % page);
		assert_in_range(run, 1, (1 << 20) - off);
		off += run;
	}
	viofs_arena_free(a);
}

static void an_address_beyond_the_iommu_is_refused(void **state)
{
	struct viofs_arena *a = NULL;
	struct viofs_err err = { "" };
	int rc;

	assert_int_equal(viofs_arena_new(sizes, false, &a, &err), 0);
	fake_vfio_init(&fake, true);
	fake.vfio.range_count = 1;
	fake.vfio.ranges[0] = (struct viofs_vfio_range){ 0, 4095 };
	rc = viofs_arena_map(a, &fake.vfio, VIOFS_ADDRESS_PHYSICAL, &err);
	assert_true(rc == -ENOSPC || rc == -EPERM);
	assert_true(rc == -EPERM || strstr(err.text, "address bits"));
	assert_int_equal(fake.count, fake.unmapped);
	viofs_arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_gives_its_frame),
		cmocka_unit_test(a_hidden_frame_is_refused),
		cmocka_unit_test(a_page_that_is_not_there_is_refused),
		cmocka_unit_test(physical_mappings_are_one_to_one),
		cmocka_unit_test(an_address_beyond_the_iommu_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
