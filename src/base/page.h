/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes of pages: of the kernel, of hugepages, and the least that any CPU has. */
#ifndef VIOFS_BASE_PAGE_H
#define VIOFS_BASE_PAGE_H

#include <stddef.h>

/*
 * The least page of any CPU that Linux runs on. Sizes and alignments that are ours to choose are
 * multiples of it, whatever the machine: a piece that is aligned to its own size, and is no larger
 * than this, crosses no page.
 */
#define VIOFS_PAGE_LEAST 4096U

/*
 * One size of hugepages that every machine with hugepages has: the second level of amd64's page
 * tables, and of arm64's with pages of 4 KiB; with 16 and 64 KiB arm64 puts pages that lie side by
 * side together. The size that a kernel has by default may be another: 32 MiB, 512 MiB.
 */
#define VIOFS_HUGEPAGE_SIZE ((size_t)2 << 20)

/**
 * viofs_page_size() - bytes of the kernel's page: 4096, 16384, 65536
 * Memory is mapped, locked and given to a device in pages, and FUSE counts in them: max_pages of
 * INIT, the answers of READLINK and IOCTL, the least portion of a directory.
 * Context: any thread.
 */
size_t viofs_page_size(void);

/**
 * viofs_page_drop() - give the memory of the pages that lie wholly in a piece back to the system
 * @p: of a shared mapping of a memfd, elsewhere nothing happens. The dropped pages read as zeros.
 * Context: any thread.
 */
void viofs_page_drop(void *p, size_t len);

#endif
