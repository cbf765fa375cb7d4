/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory for DMA: memfds, populated.
 *
 * Populating more memory than there is gives no error but wakes the OOM killer. And before the
 * kernel says that there are no hugepages, it searches long and slows everybody down. So check
 * first.
 */
#include "dma/pages.h"
#include "base/file.h"
#include "base/page.h"
#include "base/run.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"

/*
 * In /run: a lock, held by whoever raises the limit. While the limit is raised the file has the old
 * and the new value.
 */
#define LOCK "hugepages"
#define NOTE "%llu raised to %llu"
/* Getting pages takes milliseconds, or longer if the kernel has to move memory. */
#define LOCK_WAIT_MS 2000

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif

/* Left for other programs while we take ours. */
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

/* The first @size bytes are populated, @sparse ones behind them are not. */
static void *map_both(int fd, size_t size, size_t sparse)
{
	const int rw = PROT_READ | PROT_WRITE;
	uint8_t *p;

	if (!sparse)
		return mmap(NULL, size, rw, MAP_SHARED | MAP_POPULATE, fd, 0);
	p = mmap(NULL, size + sparse, rw, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || mmap(p, size, rw, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) == p)
		return p;
	munmap(p, size + sparse);
	return MAP_FAILED;
}

static int memfd_map(size_t size, size_t sparse, unsigned int flags, void **map)
{
	void *p = MAP_FAILED;
	int fd, rc;

	fd = memfd_create("virtiofs-vfio-dma", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, (off_t)(size + sparse)))
		p = map_both(fd, size, sparse);
	if (p == MAP_FAILED) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*map = p;
	return fd;
}

int viofs_sparse_memfd(size_t size, size_t sparse, void **map)
{
	return is_available(size) ? memfd_map(size, sparse, 0, map) : -ENOMEM;
}

/* One try with the pool as it is: reserving is done by mmap, so a failure takes nothing. */
static int hugepages_map(size_t size, void **map)
{
	return memfd_map(size, 0, MFD_HUGETLB | MFD_HUGE_2MB, map);
}

/* Is there memory for those pages that the pool lacks? */
static bool is_rest_available(size_t size)
{
	uint64_t free_pages = 0;

	viofs_text_read_u64(POOL "free_hugepages", &free_pages);
	return is_available(size - VIOFS_MIN(size, free_pages * VIOFS_HUGEPAGE_SIZE));
}

static int overcommit_read(uint64_t *value)
{
	return viofs_text_read_u64(POOL "nr_overcommit_hugepages", value);
}

static int overcommit_set(uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return viofs_text_write(POOL "nr_overcommit_hugepages", text);
}

/* The limit before, and the one that we have set. */
struct raise {
	uint64_t before, to;
};

/* Does nothing if somebody else has changed the limit since. */
static void overcommit_lower(const struct raise *r)
{
	uint64_t now;

	if (!overcommit_read(&now) && now == r->to && r->to != r->before)
		overcommit_set(r->before);
}

/*
 * The limit counts surplus pages of the whole system, so what must be added is our need on top of
 * the surplus pages that are in use now, less the free ones of the pool. The note comes first: who
 * is killed after it has left the limit as it was, or what the note says.
 */
static int overcommit_raise(int lock, size_t size, struct raise *r)
{
	uint64_t surplus;
	char note[64];
	int rc;

	if (overcommit_read(&r->before) < 0 ||
	    viofs_text_read_u64(POOL "surplus_hugepages", &surplus) < 0)
		return -ENOMEM;
	r->to = VIOFS_MAX(r->before, surplus + size / VIOFS_HUGEPAGE_SIZE);
	if (r->to == r->before)
		return 0;
	snprintf(note, sizeof(note), NOTE "\n", (unsigned long long)r->before,
		 (unsigned long long)r->to);
	rc = viofs_run_write(LOCK, lock, note);
	return rc ? rc : overcommit_set(r->to);
}

/* Under the lock. Puts back a limit that a killed process has left raised. */
static void settle(int lock)
{
	char path[256], text[64];
	unsigned long long before, to;

	if (viofs_text_read(viofs_run_path(path, sizeof(path), LOCK), text, sizeof(text)) <= 0 ||
	    sscanf(text, NOTE, &before, &to) != 2)
		return;
	overcommit_lower(&(struct raise){ before, to });
	viofs_run_write(LOCK, lock, "");
}

void viofs_hugepages_settle(void)
{
	int lock = -EBUSY;

	if (viofs_run_is_locked(LOCK) == 0)
		lock = viofs_run_lock(LOCK, 0);
	if (lock < 0)
		return;
	settle(lock);
	viofs_run_remove(LOCK, lock);
}

/* Under the lock. The limit is raised only until the pages are there. */
static int map_raised(int lock, size_t size, void **map)
{
	/* Lowering the limit needs a descriptor, and mapping may use the last one up. */
	int spare = fcntl(lock, F_DUPFD_CLOEXEC, 3), fd = -ENOMEM, rc;
	struct raise r;

	if (spare < 0)
		return -errno;
	rc = overcommit_raise(lock, size, &r);
	if (!rc)
		fd = hugepages_map(size, map);
	close(spare);
	if (!rc)
		overcommit_lower(&r);
	return fd;
}

int viofs_hugepages_memfd(size_t size, void **map)
{
	int lock = viofs_run_lock(LOCK, LOCK_WAIT_MS), fd;

	if (lock >= 0)
		settle(lock);
	fd = hugepages_map(size, map);
	if (fd < 0 && lock >= 0 && is_rest_available(size))
		fd = map_raised(lock, size, map);
	if (lock >= 0)
		viofs_run_remove(LOCK, lock);
	return fd < 0 ? -ENOMEM : fd;
}
