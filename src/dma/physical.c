/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Physical addresses from /proc/self/pagemap. */
#include "dma/physical.h"
#include "base/page.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_FRAME ((1ULL << 55) - 1)

int viofs_pagemap_entry(uint64_t entry, size_t page_size, uint64_t *out)
{
	if (!(entry & PAGEMAP_PRESENT))
		return -EFAULT;
	/*
	 * Memory of ours never has frame 0. The kernel shows 0 for every frame to those without
	 * CAP_SYS_ADMIN.
	 */
	if (!(entry & PAGEMAP_FRAME))
		return -EPERM;
	*out = (entry & PAGEMAP_FRAME) * page_size;
	return 0;
}

int viofs_physical_read(const void *p, size_t count, uint64_t *out)
{
	size_t page_size = viofs_page_size(), done = 0;
	uint64_t first = (uintptr_t)p / page_size;
	uint64_t entries[512];
	int fd, rc = 0;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (!rc && done < count) {
		size_t want = VIOFS_MIN(count - done, VIOFS_ARRAY_SIZE(entries));
		ssize_t n = pread(fd, entries, want * sizeof(entries[0]),
				  (off_t)((first + done) * sizeof(entries[0])));

		if (n <= 0)
			rc = n ? -errno : -EFAULT;
		for (size_t i = 0; !rc && i < (size_t)n / sizeof(entries[0]); i++)
			rc = viofs_pagemap_entry(entries[i], page_size, &out[done + i]);
		if (!rc)
			done += (size_t)n / sizeof(entries[0]);
	}
	close(fd);
	return rc;
}
