/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory for DMA: memfds, populated.
 *
 * Populating more than there is wakes the OOM killer and gives no error, and the kernel looks for
 * hugepages long and at everybody's cost before it says that there are none: so ask before.
 */
#include "dma/pages.h"
#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif

/* What others may need while we take ours. */
#define LEFT_FREE_KIB ((size_t)16 << 10)

static bool is_available(size_t size)
{
	char text[4096];
	const char *line;
	size_t kib;

	if (viofs_text_read("/proc/meminfo", text, sizeof(text)) < 0)
		return true;
	line = strstr(text, "MemAvailable:");
	if (!line || sscanf(line, "MemAvailable: %zu kB", &kib) != 1)
		return true;
	return size / 1024 + LEFT_FREE_KIB <= kib;
}

static int memfd_map(size_t size, unsigned int flags, void **map)
{
	void *p = MAP_FAILED;
	int fd, rc;

	fd = memfd_create("virtiofs-vfio-dma", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, (off_t)size))
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*map = p;
	return fd;
}

int viofs_small_pages_memfd(size_t size, void **map)
{
	return is_available(size) ? memfd_map(size, 0, map) : -ENOMEM;
}

/* One try with the pool as it is: reserving is done by mmap, so a failure takes nothing. */
static int hugepages_map(size_t size, void **map)
{
	return memfd_map(size, MFD_HUGETLB | MFD_HUGE_2MB, map);
}

/* What the free pages of the pool leave to be made. */
static bool is_rest_available(size_t size)
{
	uint64_t free_pages = 0;

	viofs_text_read_u64(POOL "free_hugepages", &free_pages);
	return is_available(size - VIOFS_MIN(size, free_pages * VIOFS_HUGEPAGE_SIZE));
}

static int overcommit_set(uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return viofs_text_write(POOL "nr_overcommit_hugepages", text);
}

/*
 * The limit counts surplus pages of the whole system, so what must be added is our need on top of
 * the surplus pages that are in use now, less the free ones of the pool.
 */
static int overcommit_raise(size_t size, uint64_t *before)
{
	uint64_t surplus, limit, wanted;

	if (viofs_text_read_u64(POOL "nr_overcommit_hugepages", &limit) < 0 ||
	    viofs_text_read_u64(POOL "surplus_hugepages", &surplus) < 0)
		return -ENOMEM;
	*before = limit;
	wanted = surplus + size / VIOFS_HUGEPAGE_SIZE;
	return limit >= wanted ? 0 : overcommit_set(wanted);
}

int viofs_hugepages_memfd(size_t size, void **map)
{
	uint64_t before, now;
	int fd, lock;

	/* The file itself serves as the lock: nothing to make, nothing to leave behind. */
	lock = open(POOL "nr_overcommit_hugepages", O_RDONLY | O_CLOEXEC);
	if (lock >= 0)
		flock(lock, LOCK_EX);
	fd = hugepages_map(size, map);
	if (fd < 0 && lock >= 0 && is_rest_available(size) && !overcommit_raise(size, &before)) {
		fd = hugepages_map(size, map);
		if (!viofs_text_read_u64(POOL "nr_overcommit_hugepages", &now) && now != before)
			overcommit_set(before);
	}
	if (lock >= 0)
		close(lock);
	return fd < 0 ? -ENOMEM : fd;
}
