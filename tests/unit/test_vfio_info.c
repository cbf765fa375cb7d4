/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VFIO's info structures: capability chains that are fine, cut off, loops, or lie about counts. */
#include "base/util.h"
#include "vfio/info.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096U

static union {
	struct vfio_iommu_type1_info iommu;
	struct vfio_region_info region;
	uint8_t bytes[512];
} info;

static void put_cap(size_t at, uint16_t id, uint32_t next)
{
	struct vfio_info_cap_header header = { .id = id, .version = 1, .next = next };

	memcpy(info.bytes + at, &header, sizeof(header));
}

static void put32(size_t at, uint32_t value)
{
	memcpy(info.bytes + at, &value, sizeof(value));
}

static void put64(size_t at, uint64_t value)
{
	memcpy(info.bytes + at, &value, sizeof(value));
}

static void a_capability_is_found_along_the_chain(void **state)
{
	memset(&info, 0, sizeof(info));
	put_cap(64, 7, 128);
	put_cap(128, 8, 32);
	put_cap(32, 9, 0);
	assert_int_equal(viofs_vfio_info_find(&info, sizeof(info), 64, 7, 8), 64);
	assert_int_equal(viofs_vfio_info_find(&info, sizeof(info), 64, 8, 8), 128);
	assert_int_equal(viofs_vfio_info_find(&info, sizeof(info), 64, 9, 8), 32);
	assert_int_equal(viofs_vfio_info_find(&info, sizeof(info), 64, 10, 8), 0);
	assert_int_equal(viofs_vfio_info_find(&info, sizeof(info), 0, 7, 8), 0);
}

static void a_capability_cut_off_is_not_there(void **state)
{
	memset(&info, 0, sizeof(info));
	put_cap(64, 7, 0);
	assert_int_equal(viofs_vfio_info_find(&info, 72, 64, 7, 8), 64);
	assert_int_equal(viofs_vfio_info_find(&info, 71, 64, 7, 8), 0);
	assert_int_equal(viofs_vfio_info_find(&info, 72, 64, 7, 9), 0);
	assert_int_equal(viofs_vfio_info_find(&info, sizeof(info), 64, 7, SIZE_MAX), 0);
}

static void a_chain_that_leaves_the_structure_ends(void **state)
{
	static const uint32_t next[] = { 505, 512, 4096, 0xfffffffc, UINT32_MAX };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(next); i++) {
		memset(&info, 0, sizeof(info));
		put_cap(64, 7, next[i]);
		assert_int_equal(viofs_vfio_info_find(&info, sizeof(info), 64, 8, 8), 0);
		assert_int_equal(viofs_vfio_info_find(&info, sizeof(info), next[i], 8, 8), 0);
	}
}

static void a_loop_ends(void **state)
{
	memset(&info, 0, sizeof(info));
	put_cap(64, 7, 128);
	put_cap(128, 8, 64);
	assert_int_equal(viofs_vfio_info_find(&info, sizeof(info), 64, 9, 8), 0);
	put_cap(64, 7, 64);
	assert_int_equal(viofs_vfio_info_find(&info, sizeof(info), 64, 9, 8), 0);
}

/* An iommu info with a range capability of @count at 64. */
static void put_ranges(uint32_t count, const uint64_t (*ranges)[2], size_t have)
{
	memset(&info, 0, sizeof(info));
	info.iommu.flags = VFIO_IOMMU_INFO_CAPS;
	info.iommu.cap_offset = 64;
	put_cap(64, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 0);
	put32(72, count);
	for (size_t i = 0; i < have; i++) {
		put64(80 + 16 * i, ranges[i][0]);
		put64(88 + 16 * i, ranges[i][1]);
	}
}

static void iova_ranges_are_read(void **state)
{
	static const uint64_t ranges[][2] = { { 0, 0xfedfffff },
					      { 5, 4 }, /* empty: left out */
					      { 0xfef00000, UINT64_MAX } };
	struct viofs_mapper_range out[16];

	put_ranges(3, ranges, 3);
	assert_int_equal(viofs_vfio_info_ranges(&info, sizeof(info), out, 16), 2);
	assert_true(out[0].first == 0 && out[0].last == 0xfedfffff);
	assert_true(out[1].first == 0xfef00000 && out[1].last == UINT64_MAX);
	/* no more than fits */
	assert_int_equal(viofs_vfio_info_ranges(&info, sizeof(info), out, 1), 1);
	assert_int_equal(viofs_vfio_info_ranges(&info, sizeof(info), out, 0), 0);
}

static void a_count_beyond_the_structure_is_cut(void **state)
{
	static const uint64_t ranges[][2] = { { 0, 1 }, { 2, 3 } };
	struct viofs_mapper_range out[64];

	put_ranges(UINT32_MAX, ranges, 2);
	assert_int_equal(viofs_vfio_info_ranges(&info, 80 + 32, out, 64), 2);
	assert_int_equal(viofs_vfio_info_ranges(&info, 80 + 31, out, 64), 1);
	assert_int_equal(viofs_vfio_info_ranges(&info, 80, out, 64), 0);
}

static void a_kernel_that_does_not_say_is_told_apart(void **state)
{
	struct viofs_mapper_range out[2];

	put_ranges(1, NULL, 0);
	info.iommu.flags = VFIO_IOMMU_INFO_PGSIZES;
	assert_int_equal(viofs_vfio_info_ranges(&info, sizeof(info), out, 2), -ENOENT);
	put_ranges(1, NULL, 0);
	put_cap(64, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, 0);
	assert_int_equal(viofs_vfio_info_ranges(&info, sizeof(info), out, 2), -ENOENT);
	put_ranges(1, NULL, 0);
	assert_int_equal(viofs_vfio_info_ranges(&info, 79, out, 2), -ENOENT);
}

static void put_region(uint32_t flags, uint64_t size)
{
	memset(&info, 0, sizeof(info));
	info.region.flags = flags;
	info.region.size = size;
	info.region.cap_offset = 64;
}

static unsigned int mappable(size_t size, struct viofs_vfio_extent out[4], unsigned int max)
{
	memset(out, 0x5a, 4 * sizeof(out[0]));
	return viofs_vfio_info_mappable(&info, size, PAGE, out, max);
}

static void a_region_is_mapped_in_whole_pages(void **state)
{
	struct viofs_vfio_extent out[4];

	put_region(VFIO_REGION_INFO_FLAG_MMAP, 0x4000);
	assert_int_equal(mappable(sizeof(info), out, 4), 1);
	assert_true(out[0].off == 0 && out[0].len == 0x4000);
	put_region(VFIO_REGION_INFO_FLAG_MMAP, 0x4fff);
	assert_int_equal(mappable(sizeof(info), out, 4), 1);
	assert_true(out[0].len == 0x4000);
	put_region(VFIO_REGION_INFO_FLAG_MMAP, PAGE - 1);
	assert_int_equal(mappable(sizeof(info), out, 4), 0);
	put_region(VFIO_REGION_INFO_FLAG_MMAP, 0x4000);
	assert_int_equal(mappable(sizeof(info), out, 0), 0);
	/* may not be mapped at all */
	put_region(VFIO_REGION_INFO_FLAG_READ, 0x4000);
	assert_int_equal(mappable(sizeof(info), out, 4), 0);
}

static void put_sparse(uint32_t count, const uint64_t (*areas)[2], size_t have)
{
	put_region(VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS, 0x10000);
	put_cap(64, VFIO_REGION_INFO_CAP_SPARSE_MMAP, 0);
	put32(72, count);
	for (size_t i = 0; i < have; i++) {
		put64(80 + 16 * i, areas[i][0]);
		put64(88 + 16 * i, areas[i][1]);
	}
}

/* The MSI-X table in the middle. */
static void sparse_areas_are_mapped(void **state)
{
	static const uint64_t areas[][2] = { { 0, 0x3000 }, { 0x4000, 0xc000 } };
	struct viofs_vfio_extent out[4];

	put_sparse(2, areas, 2);
	assert_int_equal(mappable(sizeof(info), out, 4), 2);
	assert_true(out[0].off == 0 && out[0].len == 0x3000);
	assert_true(out[1].off == 0x4000 && out[1].len == 0xc000);
	assert_int_equal(mappable(sizeof(info), out, 1), 1);
	/* the whole of it may not be mapped: none of it then */
	put_sparse(0, NULL, 0);
	assert_int_equal(mappable(sizeof(info), out, 4), 0);
}

static void areas_that_leave_the_region_or_its_pages_are_left_out(void **state)
{
	static const uint64_t bad[][2] = { { 0x10000, 0x1000 },
					   { 0xf000, 0x2000 },
					   { 0, 0x11000 },
					   { 0, 0 },
					   { 0x800, 0x1000 },
					   { 0x1000, 0x800 },
					   { UINT64_MAX - 0xfff, 0x2000 },
					   { 0x1000, UINT64_MAX - 0xfff } };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(bad); i++) {
		struct viofs_vfio_extent out[4];

		put_sparse(1, &bad[i], 1);
		assert_int_equal(mappable(sizeof(info), out, 4), 0);
	}
}

static void a_count_of_areas_beyond_the_structure_is_cut(void **state)
{
	static const uint64_t areas[][2] = { { 0, 0x1000 }, { 0x1000, 0x1000 } };
	struct viofs_vfio_extent out[4];

	put_sparse(UINT32_MAX, areas, 2);
	assert_int_equal(mappable(80 + 32, out, 4), 2);
	assert_int_equal(mappable(80 + 31, out, 4), 1);
}

static void an_info_that_cannot_be_asked_for_is_an_error(void **state)
{
	struct vfio_region_info question = { .argsz = sizeof(question) };
	void *out = &info;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_equal(viofs_vfio_info_get(fd, VFIO_DEVICE_GET_REGION_INFO, &question,
					     sizeof(question), &out),
			 -ENOTTY);
	assert_ptr_equal(out, &info);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_capability_is_found_along_the_chain),
		cmocka_unit_test(a_capability_cut_off_is_not_there),
		cmocka_unit_test(a_chain_that_leaves_the_structure_ends),
		cmocka_unit_test(a_loop_ends),
		cmocka_unit_test(iova_ranges_are_read),
		cmocka_unit_test(a_count_beyond_the_structure_is_cut),
		cmocka_unit_test(a_kernel_that_does_not_say_is_told_apart),
		cmocka_unit_test(a_region_is_mapped_in_whole_pages),
		cmocka_unit_test(sparse_areas_are_mapped),
		cmocka_unit_test(areas_that_leave_the_region_or_its_pages_are_left_out),
		cmocka_unit_test(a_count_of_areas_beyond_the_structure_is_cut),
		cmocka_unit_test(an_info_that_cannot_be_asked_for_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
