/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The address policy: a device without ACCESS_PLATFORM is given physical addresses or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dma/arena.h"
#include "dma/physical.h"
#include "fake_mapper.h"
#include "vfio/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static struct fake_mapper fake;
static const size_t sizes[VIOFS_ARENA_SECTIONS] = {
	[VIOFS_ARENA_PRIVATE] = 4096,
	[VIOFS_ARENA_DEVICE_READ] = 8192,
	[VIOFS_ARENA_DEVICE_WRITE] = 8192,
	[VIOFS_ARENA_DEVICE_RW] = 1 << 20,
};

/* > 0: so many times yet the pages are somewhere else than the time before. */
static int moves;

int __real_viofs_physical_read(const void *p, size_t count, uint64_t *out);
int __wrap_viofs_physical_read(const void *p, size_t count, uint64_t *out);
int __wrap_viofs_physical_read(const void *p, size_t count, uint64_t *out)
{
	if (moves < 0)
		return __real_viofs_physical_read(p, count, out);
	if (moves > 0)
		moves--;
	for (size_t i = 0; i < count; i++)
		out[i] = ((uint64_t)moves << 40) + ((uintptr_t)p & 0xffffffff) + i * 4096;
	return 0;
}

static int move_never(void **state)
{
	moves = -1;
	return 0;
}

static void what_moves_is_mapped_anew(void **state)
{
	struct viofs_arena *a = NULL;

	assert_int_equal(viofs_arena_new(sizes, false, &a, NULL), 0);
	fake_mapper_init(&fake, true);
	moves = 3;
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_PHYSICAL, NULL), 0);
	assert_int_equal(fake.unmapped, fake.count - 3);
	assert_true(fake.unmapped > 0);
	viofs_arena_free(a);
}

static void what_moves_and_cannot_be_taken_back_is_refused(void **state)
{
	struct viofs_arena *a = NULL;
	struct viofs_err err = { .text = "" };

	assert_int_equal(viofs_arena_new(sizes, false, &a, NULL), 0);
	fake_mapper_init(&fake, true);
	fake.refuse_unmap = -EIO;
	moves = 3;
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_PHYSICAL, &err), -EIO);
	assert_non_null(strstr(err.text, "can't be taken back"));
	viofs_arena_free(a);
}

/* So it can't go on for ever. */
static void what_never_stays_is_refused(void **state)
{
	struct viofs_arena *a = NULL;
	struct viofs_err err = { .text = "" };

	assert_int_equal(viofs_arena_new(sizes, false, &a, NULL), 0);
	fake_mapper_init(&fake, true);
	moves = 1000;
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_PHYSICAL, &err), -EAGAIN);
	assert_non_null(strstr(err.text, "keeps moving"));
	assert_int_equal(fake.unmapped, fake.count);
	viofs_arena_free(a);
}

/* More than are read at a time, and no more than were asked for. */
static void what_cannot_be_read_is_an_error(void **state)
{
	struct rlimit before, none;
	uint64_t frame;
	int rc;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	rc = __real_viofs_physical_read(&before, 1, &frame);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(rc, -EMFILE);
	/* Nothing is there. */
	rc = __real_viofs_physical_read(NULL, 1, &frame);
	assert_true(rc == -EFAULT || rc == -EPERM || rc == -ENODATA || rc == -EACCES);
}

static void frames_of_many_pages_are_read(void **state)
{
	enum { PAGES = 600, MORE = 1200 };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	static uint64_t frames[MORE];
	uint8_t *p =
		mmap(NULL, MORE * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	assert_ptr_not_equal(p, MAP_FAILED);
	memset(p, 1, MORE * page);
	memset(frames, 0, sizeof(frames));
	rc = __real_viofs_physical_read(p, PAGES, frames);
	munmap(p, MORE * page);
	if (rc) {
		print_message("frames are hidden here (%d)\n", rc);
		skip();
	}
	for (unsigned int i = 0; i < MORE; i++)
		assert_true(!frames[i] == (i >= PAGES));
}

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
	fake_mapper_init(&fake, true);
	if (viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_PHYSICAL, &err) == -EPERM) {
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
	struct viofs_err err = { .text = "" };
	int rc;

	assert_int_equal(viofs_arena_new(sizes, false, &a, &err), 0);
	fake_mapper_init(&fake, true);
	fake.mapper.range_count = 1;
	fake.mapper.ranges[0] = (struct viofs_mapper_range){ 0, 4095 };
	rc = viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_PHYSICAL, &err);
	assert_true(rc == -ENOSPC || rc == -EPERM);
	assert_true(rc == -EPERM || strstr(err.text, "address bits"));
	assert_int_equal(fake.count, fake.unmapped);
	viofs_arena_free(a);
}

/* Memory that moves is written to by the device where it was. */
static void small_pages_that_cannot_be_pinned_are_refused(void **state)
{
	struct viofs_arena *a = NULL;
	struct viofs_err err = { .text = "" };

	assert_int_equal(viofs_arena_new(sizes, false, &a, &err), 0);
	fake_mapper_init(&fake, false);
	fake.refuse_pin = -ENOSYS;
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, &err), -ENOSYS);
	assert_string_equal(err.text, "no pinning here");
	assert_int_equal(fake.pinned, 1);
	assert_int_equal(fake.count, 0);
	viofs_arena_free(a);
}

static void hugepages_may_go_unpinned_but_for_want_of_memory(void **state)
{
	struct viofs_arena *a = NULL;
	struct viofs_err err = { .text = "" };
	int rc;

	assert_int_equal(viofs_arena_new(sizes, true, &a, &err), 0);
	if (viofs_arena_page_size(a) == (size_t)sysconf(_SC_PAGESIZE)) {
		print_message("skipped: no hugepages\n");
		viofs_arena_free(a);
		skip();
	}
	fake_mapper_init(&fake, false);
	fake.refuse_pin = -ENOMEM;
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_PHYSICAL, &err), -ENOMEM);
	fake.refuse_pin = -ENOSYS;
	rc = viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_PHYSICAL, &err);
	assert_true(!rc || rc == -EPERM);
	viofs_arena_free(a);
}

static void translated_memory_is_not_pinned_apart(void **state)
{
	struct viofs_arena *a = NULL;

	assert_int_equal(viofs_arena_new(sizes, false, &a, NULL), 0);
	fake_mapper_init(&fake, true);
	assert_int_equal(viofs_arena_map(a, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, NULL), 0);
	assert_int_equal(fake.pinned, 0);
	viofs_arena_free(a);
}

/* VmPin of this process, in KiB. */
static size_t pinned_kib(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	size_t kib = 0;
	char line[256];

	assert_non_null(status);
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "VmPin: %zu", &kib) == 1)
			break;
	fclose(status);
	return kib;
}

/* Whether a sysctl or a filter of system calls takes it away. */
static bool is_io_uring_there(void)
{
	struct io_uring_params params = { 0 };
	int fd = (int)syscall(__NR_io_uring_setup, 1, &params);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static void pinned_is_pinned_until_the_descriptor_is_closed(void **state)
{
	struct viofs_arena *a = NULL;
	size_t before = pinned_kib(), size;
	void *p;
	int fd;

	if (!is_io_uring_there()) {
		print_message("skipped: no io_uring\n");
		skip();
	}
	assert_int_equal(viofs_arena_new(sizes, false, &a, NULL), 0);
	size = viofs_arena_device_size(a);
	p = viofs_arena_alloc(a, VIOFS_ARENA_DEVICE_READ, 1, 1);
	fd = viofs_vfio_pin(p, size);
	if (fd == -ENOMEM) {
		print_message("skipped: this process may not pin so much\n");
		viofs_arena_free(a);
		skip();
	}
	assert_true(fd > 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(pinned_kib() - before, size / 1024);
	/* Nothing can be done by it. */
	assert_int_equal(syscall(__NR_io_uring_enter, fd, 0, 0, 0, NULL, 0), -1);
	assert_int_equal(errno, EBADFD);
	close(fd);
	for (int i = 0; i < 1000 && pinned_kib() != before; i++)
		usleep(10000); /* the kernel does it in a thread of its own */
	assert_int_equal(pinned_kib(), before);
	viofs_arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_moves_is_mapped_anew, NULL, move_never),
		cmocka_unit_test_setup_teardown(what_moves_and_cannot_be_taken_back_is_refused,
						NULL, move_never),
		cmocka_unit_test_setup_teardown(what_never_stays_is_refused, NULL, move_never),
		cmocka_unit_test(what_cannot_be_read_is_an_error),
		cmocka_unit_test_setup_teardown(frames_of_many_pages_are_read, NULL, move_never),
		cmocka_unit_test(an_entry_gives_its_frame),
		cmocka_unit_test(a_hidden_frame_is_refused),
		cmocka_unit_test(a_page_that_is_not_there_is_refused),
		cmocka_unit_test(physical_mappings_are_one_to_one),
		cmocka_unit_test(an_address_beyond_the_iommu_is_refused),
		cmocka_unit_test(small_pages_that_cannot_be_pinned_are_refused),
		cmocka_unit_test(hugepages_may_go_unpinned_but_for_want_of_memory),
		cmocka_unit_test(translated_memory_is_not_pinned_apart),
		cmocka_unit_test(pinned_is_pinned_until_the_descriptor_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
