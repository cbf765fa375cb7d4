/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory for DMA, all of it populated: no more than the system can give. */
#ifndef VIOFS_DMA_PAGES_H
#define VIOFS_DMA_PAGES_H

#include <stddef.h>

/**
 * viofs_hugepages_memfd() - a memfd of @size bytes in 2 MiB hugepages, all of them there
 * Where too few are free, nr_overcommit_hugepages is raised by what is missing while the pages are
 * taken, and put back: surplus pages return to the system with the memfd's last descriptor, after
 * kill -9 too. A lock keeps several daemons from undoing each other's change; who doesn't get it
 * within two seconds, or at all, raises nothing.
 * @map: out, the mapping, shared and populated.
 * Return: the descriptor; -ENOMEM: not to be had (fragmented memory, no hugetlb): use small pages.
 */
int viofs_hugepages_memfd(size_t size, void **map);

/** viofs_hugepages_settle() - put the limit back that a process has left raised which was killed.
 */
void viofs_hugepages_settle(void);

/**
 * viofs_sparse_memfd() - a memfd in the system's pages: @size bytes, all of them there, and @sparse
 * more behind them that take memory only where they are touched
 * @map: out, the mapping, shared.
 * Return: the descriptor; -ENOMEM: the system has less memory than that; -errno.
 */
int viofs_sparse_memfd(size_t size, size_t sparse, void **map);

#endif
