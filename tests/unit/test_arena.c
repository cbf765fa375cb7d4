/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The arena: sections and their access, translated addresses, what is left after failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dma/arena.h"
#include "fake_mapper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fake_mapper fake;
static const size_t sizes[VIOFS_ARENA_SECTIONS] = {
	[VIOFS_ARENA_PRIVATE] = 100,       [VIOFS_ARENA_DEVICE_READ] = 5000,
	[VIOFS_ARENA_DEVICE_WRITE] = 4096, [VIOFS_ARENA_DEVICE_RING] = 1600,
	[VIOFS_ARENA_DEVICE_RW] = 3 << 20,
};

static struct viofs_arena *new_arena(void)
{
	struct viofs_arena *a = NULL;
	struct viofs_err err;

	assert_int_equal(viofs_arena_new(sizes, false, &a, &err), 0);
	return a;
}

static void sections_start_on_pages_and_are_zero(void **state)
{
	struct viofs_arena *a = new_arena();
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct stat st;

	assert_int_equal(viofs_arena_page_size(a), page);
	assert_int_equal(viofs_arena_size(a), page + 2 * page + 2 * page + (3 << 20));
	assert_int_equal(fstat(viofs_arena_fd(a), &st), 0);
	assert_int_equal(st.st_size, viofs_arena_device_size(a));
	assert_int_equal(st.st_size, viofs_arena_size(a) - page);
	for (int s = 0; s < VIOFS_ARENA_SECTIONS; s++) {
		uint8_t *p = viofs_arena_alloc(a, (enum viofs_arena_section)s, 64, page);

		assert_int_equal((uintptr_t)p % page, 0);
		for (int i = 0; i < 64; i++)
			assert_int_equal(p[i], 0);
		assert_int_equal(viofs_arena_contains(a, p, 64), s != VIOFS_ARENA_PRIVATE);
	}
	viofs_arena_free(a);
}

static void pieces_do_not_overlap_and_are_aligned(void **state)
{
	struct viofs_arena *a = new_arena();
	uint8_t *first = viofs_arena_alloc(a, VIOFS_ARENA_DEVICE_READ, 3, 1);
	uint8_t *second = viofs_arena_alloc(a, VIOFS_ARENA_DEVICE_READ, 16, 16);
	uint8_t *third = viofs_arena_alloc(a, VIOFS_ARENA_DEVICE_READ, 8, 4096);

	assert_int_equal(second - first, 16);
	assert_int_equal(third - first, 4096);
	viofs_arena_free(a);
}

static void each_section_is_mapped_with_its_access_and_private_never(void **state)
{
	struct viofs_arena *a = new_arena();
	struct viofs_err err;
	uint8_t *private = viofs_arena_alloc(a, VIOFS_ARENA_PRIVATE, 1, 1);

	fake_mapper_init(&fake, true);
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, &err), 0);
	assert_int_equal(fake.count, 4);
	assert_int_equal(fake.mappings[0].access, VIOFS_DMA_READ);
	assert_int_equal(fake.mappings[1].access, VIOFS_DMA_WRITE);
	assert_int_equal(fake.mappings[2].access, VIOFS_DMA_READ | VIOFS_DMA_WRITE);
	assert_int_equal(fake.mappings[3].access, VIOFS_DMA_READ | VIOFS_DMA_WRITE);
	for (unsigned int i = 0; i < fake.count; i++) {
		const struct fake_mapping *m = &fake.mappings[i];

		assert_false(private >= m->vaddr && private < m->vaddr + m->len);
		for (unsigned int j = 0; j < i; j++)
			assert_true(m->iova >= fake.mappings[j].iova + fake.mappings[j].len ||
				    m->iova + m->len <= fake.mappings[j].iova);
	}
	viofs_arena_free(a);
	assert_int_equal(fake.unmapped, 4);
}

static void translated_addresses_follow_the_mapping(void **state)
{
	struct viofs_arena *a = new_arena();
	struct viofs_err err;
	uint8_t *p = viofs_arena_alloc(a, VIOFS_ARENA_DEVICE_RW, 1 << 20, 4096);
	size_t run;

	fake_mapper_init(&fake, true);
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, &err), 0);
	assert_int_equal(viofs_arena_iova(a, p + 5, 1 << 19, &run),
			 fake.mappings[3].iova + (uint64_t)(p + 5 - fake.mappings[3].vaddr));
	assert_int_equal(run, 1 << 19);
	viofs_arena_free(a);
}

static void translated_addresses_stay_inside_the_iommus_ranges(void **state)
{
	struct viofs_arena *a = new_arena();
	struct viofs_err err;

	fake_mapper_init(&fake, true);
	fake.mapper.range_count = 2;
	fake.mapper.ranges[0] = (struct viofs_mapper_range){ 0, 0x2fffff };
	fake.mapper.ranges[1] = (struct viofs_mapper_range){ 0x40000000, 0x4fffffff };
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, &err), 0);
	for (unsigned int i = 0; i < fake.count; i++)
		assert_true(viofs_mapper_fits(&fake.mapper, fake.mappings[i].iova,
					      fake.mappings[i].len));
	viofs_arena_free(a);
}

static void no_room_in_the_ranges_is_said_and_undone(void **state)
{
	struct viofs_arena *a = new_arena();
	struct viofs_err err = { .text = "" };

	fake_mapper_init(&fake, true);
	fake.mapper.range_count = 1;
	fake.mapper.ranges[0] = (struct viofs_mapper_range){ 0x200000, 0x4fffff };
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "no room"));
	assert_int_equal(fake.unmapped, fake.count);
	viofs_arena_free(a);
}

static void a_refused_mapping_takes_the_others_back(void **state)
{
	struct viofs_arena *a = new_arena();
	struct viofs_err err;

	fake_mapper_init(&fake, true);
	fake.refuse_after = 2;
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, &err), -ENOMEM);
	assert_int_equal(fake.unmapped, 2);
	/* And it can be tried again. */
	fake_mapper_init(&fake, true);
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, &err), 0);
	viofs_arena_free(a);
}

/* A device that maps the memory by its descriptor gets this one. */
static void the_size_is_sealed(void **state)
{
	struct viofs_arena *a = new_arena();
	int fd = viofs_arena_fd(a);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, st.st_size * 2), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(errno, EPERM);
	viofs_arena_free(a);
}

/* Return: does smaps have @flag ("xy") for the mapping that @p is in? */
static bool has_flag(const void *p, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool here = false, found = false;
	char line[512];

	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		uintptr_t from, to;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (here && !strncmp(line, "VmFlags:", 8))
			found = strstr(line, flag) != NULL;
	}
	fclose(smaps);
	return found;
}

static void what_passes_through_is_in_no_core_file(void **state)
{
	for (int hugepages = 0; hugepages < 2; hugepages++) {
		struct viofs_arena *a = NULL;

		assert_int_equal(viofs_arena_new(sizes, hugepages, &a, NULL), 0);
		for (int s = VIOFS_ARENA_DEVICE_READ; s < VIOFS_ARENA_SECTIONS; s++)
			assert_true(has_flag(
				viofs_arena_alloc(a, (enum viofs_arena_section)s, 64, 64), " dd"));
		viofs_arena_free(a);
	}
}

static void more_than_the_machine_has_is_refused_before_it_is_touched(void **state)
{
	size_t too_much[VIOFS_ARENA_SECTIONS] = { [VIOFS_ARENA_DEVICE_RW] = (size_t)1 << 45 };
	struct viofs_arena *a = NULL;
	struct viofs_err err;

	for (int hugepages = 0; hugepages < 2; hugepages++) {
		assert_int_equal(viofs_arena_new(too_much, hugepages, &a, &err), -ENOMEM);
		assert_null(a);
		assert_int_equal(err.remedy, VIOFS_REMEDY_LESS_MEMORY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections_start_on_pages_and_are_zero),
		cmocka_unit_test(pieces_do_not_overlap_and_are_aligned),
		cmocka_unit_test(each_section_is_mapped_with_its_access_and_private_never),
		cmocka_unit_test(translated_addresses_follow_the_mapping),
		cmocka_unit_test(translated_addresses_stay_inside_the_iommus_ranges),
		cmocka_unit_test(no_room_in_the_ranges_is_said_and_undone),
		cmocka_unit_test(a_refused_mapping_takes_the_others_back),
		cmocka_unit_test(the_size_is_sealed),
		cmocka_unit_test(what_passes_through_is_in_no_core_file),
		cmocka_unit_test(more_than_the_machine_has_is_refused_before_it_is_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
