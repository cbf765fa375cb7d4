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
#include <sys/mman.h>
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

/* As whoever goes on with it is told. */
static void no_page_has_an_address_before_it_is_mapped(void **state)
{
	struct viofs_arena *a = new_arena();
	size_t len, pages;
	const struct viofs_arena_state *s = viofs_arena_state(a, &len);

	pages = (len - sizeof(*s)) / sizeof(s->iova[0]);
	assert_int_equal(pages, viofs_arena_device_size(a) / s->system_page);
	for (size_t i = 0; i < pages; i++)
		assert_int_equal(s->iova[i], 0);
	viofs_arena_free(a);
}

static void sections_start_on_pages_and_are_zero(void **state)
{
	struct viofs_arena *a = new_arena();
	size_t page = (size_t)sysconf(_SC_PAGESIZE), head;
	struct stat st;

	assert_int_equal(viofs_arena_page_size(a), page);
	viofs_arena_state(a, &head);
	head = viofs_align_up(VIOFS_ARENA_HEAD + head, page);
	assert_int_equal(viofs_arena_size(a), head + page + 2 * page + 2 * page + (3 << 20));
	assert_int_equal(fstat(viofs_arena_fd(a), &st), 0);
	assert_int_equal(st.st_size, viofs_arena_device_size(a));
	assert_int_equal(st.st_size, viofs_arena_size(a) - head - page);
	for (int s = 0; s < VIOFS_ARENA_SPARSE; s++) {
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

/* What is sparse takes no memory until it is touched, nor when all is locked. */
static void what_is_sparse_takes_memory_where_it_is_touched(void **state)
{
	const size_t with[VIOFS_ARENA_SECTIONS] = { [VIOFS_ARENA_PRIVATE] = 100,
						    [VIOFS_ARENA_SPARSE] = 64 << 20,
						    [VIOFS_ARENA_DEVICE_RW] = 1 << 20 };
	struct viofs_arena *a;
	struct stat st;
	uint8_t *p;

	assert_int_equal(viofs_arena_new(with, false, &a, NULL), 0);
	p = viofs_arena_alloc(a, VIOFS_ARENA_SPARSE, 64 << 20, 4096);
	assert_true(viofs_arena_size(a) < 2 << 20);
	assert_int_equal(viofs_arena_hide_sparse(a, true), 0);
	if (mlockall(MCL_CURRENT) < 0)
		print_message("not allowed to lock memory\n");
	assert_int_equal(viofs_arena_hide_sparse(a, false), 0);
	p[0] = p[32 << 20] = 7;
	assert_int_equal(fstat(viofs_arena_private_fd(a), &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 < 1 << 20);
	munlockall();
	viofs_arena_free(a);
}

static void another_process_sees_the_same(void **state)
{
	struct viofs_arena *a = new_arena(), *b;
	uint8_t *p = viofs_arena_alloc(a, VIOFS_ARENA_DEVICE_RW, 3 << 20, 4096);
	uint8_t *q = viofs_arena_alloc(a, VIOFS_ARENA_PRIVATE, 100, 64), *other;
	size_t run, run_b, len;
	bool is_private;
	uint64_t at;

	fake_mapper_init(&fake, true);
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, NULL), 0);
	p[5000] = 1;
	q[99] = 2;
	at = viofs_arena_offset(a, viofs_arena_state(a, &len), &is_private);
	assert_true(is_private && at == VIOFS_ARENA_HEAD);
	assert_int_equal(
		viofs_arena_adopt(dup(viofs_arena_fd(a)), dup(viofs_arena_private_fd(a)), at, &b),
		0);
	other = viofs_arena_at(b, true, viofs_arena_offset(a, q, &is_private), 100);
	assert_true(is_private && other != q && other[99] == 2);
	other = viofs_arena_at(b, false, viofs_arena_offset(a, p, &is_private), 3 << 20);
	assert_true(!is_private && other != p && other[5000] == 1);
	assert_int_equal(viofs_arena_iova(b, other + 5000, 1 << 20, &run_b),
			 viofs_arena_iova(a, p + 5000, 1 << 20, &run));
	assert_int_equal(run, run_b);
	assert_int_equal(viofs_arena_page_size(b), viofs_arena_page_size(a));
	viofs_arena_free(b);
	assert_int_equal(fake.unmapped, 0);
	viofs_arena_free(a);
}

static void lies_in_the_arenas_state_are_refused(void **state)
{
	struct viofs_arena *a = new_arena(), *b;
	struct viofs_arena_state *s = (void *)((uint8_t *)viofs_arena_head(a) + VIOFS_ARENA_HEAD);
	const struct viofs_arena_state good = *s;
	int device = viofs_arena_fd(a), private = viofs_arena_private_fd(a);
	uint64_t *lies[] = { &s->page_size,
			     &s->system_page,
			     &s->device_size,
			     &s->sections[VIOFS_ARENA_PRIVATE].offset,
			     &s->sections[VIOFS_ARENA_DEVICE_RW].offset,
			     &s->sections[VIOFS_ARENA_DEVICE_RW].size,
			     &s->sections[VIOFS_ARENA_SPARSE].size };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(lies); i++) {
		*lies[i] = UINT64_MAX - 4095;
		assert_int_equal(viofs_arena_adopt(device, private, VIOFS_ARENA_HEAD, &b), -EPROTO);
		*s = good;
	}
	assert_int_equal(viofs_arena_adopt(device, private, 1ULL << 40, &b), -EPROTO);
	assert_int_equal(viofs_arena_adopt(device, private, VIOFS_ARENA_HEAD + 4, &b), -EPROTO);
	assert_int_equal(viofs_arena_adopt(private, device, VIOFS_ARENA_HEAD, &b), -EPROTO);
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
		for (int s = VIOFS_ARENA_DEVICE_READ; s < VIOFS_ARENA_SPARSE; s++)
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
		cmocka_unit_test(no_page_has_an_address_before_it_is_mapped),
		cmocka_unit_test(what_is_sparse_takes_memory_where_it_is_touched),
		cmocka_unit_test(another_process_sees_the_same),
		cmocka_unit_test(lies_in_the_arenas_state_are_refused),
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
