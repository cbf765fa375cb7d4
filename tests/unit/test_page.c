/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Giving memory back on kernels with larger pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/page.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB 1024U
#define LEN (512 * KIB)

static long page;
static uint8_t *room, *map;

long __real_sysconf(int name);
long __wrap_sysconf(int name);

long __wrap_sysconf(int name)
{
	return name == _SC_PAGESIZE && page ? page : __real_sysconf(name);
}

static int make(void **state)
{
	int fd = memfd_create("pages", MFD_CLOEXEC);

	page = 0;
	if (ftruncate(fd, LEN))
		return -1;
	room = mmap(NULL, 2 * LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED)
		return -1;
	/* Where a larger page would begin. */
	map = room + (LEN - (uintptr_t)room % LEN) % LEN;
	map = mmap(map, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? -1 : 0;
}

static int drop(void **state)
{
	return munmap(room, 2 * LEN);
}

/* Drops @len bytes from @at on, in KiB: those from @begin to @end are zeros then, and no others. */
static void dropped(unsigned int at, unsigned int len, unsigned int begin, unsigned int end)
{
	memset(map, 0x5a, LEN);
	viofs_page_drop(map + (size_t)at * KIB, (size_t)len * KIB);
	for (unsigned int i = 0; i < LEN; i++)
		if (map[i] != (i / KIB >= begin && i / KIB < end ? 0 : 0x5a))
			fail_msg("%u KiB of %u KiB pages dropped from %u on: byte %u is 0x%x", len,
				 (unsigned int)page / KIB, at, i, map[i]);
}

static void the_size_is_the_kernels(void **state)
{
	assert_int_equal(viofs_page_size(), __real_sysconf(_SC_PAGESIZE));
}

static void only_whole_pages_are_dropped(void **state)
{
	const unsigned int own = (unsigned int)__real_sysconf(_SC_PAGESIZE) / KIB;

	if (own > 64)
		skip();
	/* Sizes that the kernel doesn't have are to be kept to all the same. */
	page = 64L * KIB;
	dropped(0, 512, 0, 512);
	dropped(64, 64, 64, 128);
	dropped(64, 127, 64, 128);
	dropped(4, 255, 64, 256);
	dropped(1, 100, 0, 0);
	dropped(1, 128, 64, 128);
	dropped(448, 64, 448, 512);
	dropped(0, 0, 0, 0);
	dropped(5, 0, 0, 0);
}

static void memory_of_no_file_stays(void **state)
{
	uint8_t *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	memset(p, 0x5a, LEN);
	viofs_page_drop(p, LEN);
	assert_int_equal(p[0], 0x5a);
	munmap(p, LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_size_is_the_kernels, make, drop),
		cmocka_unit_test_setup_teardown(only_whole_pages_are_dropped, make, drop),
		cmocka_unit_test_setup_teardown(memory_of_no_file_stays, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
