/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's pages. */
#include "base/page.h"
#include "base/util.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

size_t viofs_page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void viofs_page_drop(void *p, size_t len)
{
	size_t page = viofs_page_size();
	uintptr_t begin = viofs_align_up((uintptr_t)p, page);
	uintptr_t end = ((uintptr_t)p + len) / page * page;

	/* madvise(2) rounds a length up: a neighbour's memory would be dropped with ours. */
	if (end > begin)
		madvise((uint8_t *)p + (begin - (uintptr_t)p), end - begin, MADV_REMOVE);
}
