/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Physical addresses of this process's memory (/proc/self/pagemap). */
#ifndef VIOFS_DMA_PHYSICAL_H
#define VIOFS_DMA_PHYSICAL_H

#include <stddef.h>
#include <stdint.h>

/**
 * viofs_physical_read() - physical addresses of @count system pages from @p on
 * @out: an address for each page.
 * Return: 0; -EPERM: frame numbers are hidden (no CAP_SYS_ADMIN); -EFAULT: a page is not present;
 * or the error of opening or reading pagemap.
 */
int viofs_physical_read(const void *p, size_t count, uint64_t *out);

/** viofs_pagemap_entry() - the address in one pagemap entry
 * (Documentation/admin-guide/mm/pagemap.rst); pure, for tests. Return: 0, -EPERM, -EFAULT as above.
 */
int viofs_pagemap_entry(uint64_t entry, size_t page_size, uint64_t *out);

#endif
