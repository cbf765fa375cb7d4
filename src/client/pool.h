/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DMA memory for programs. Private to src/client */
#ifndef VIOFS_CLIENT_POOL_H
#define VIOFS_CLIENT_POOL_H

#include "client/client_dev.h"

int viofs_pool_init(struct viofs_pool *pool, struct viofs_arena *arena, size_t size);
void viofs_pool_fini(struct viofs_pool *pool);
/** viofs_dma_piece() - @p's address for the device. @run: of @len, contiguous. Return: false: no
 * DMA memory. */
bool viofs_dma_piece(const struct viofs_dev *dev, const void *p, size_t len, uint64_t *iova,
		     size_t *run);
/** viofs_dma_has() - is all of it memory that the device reaches? */
bool viofs_dma_has(const struct viofs_dev *dev, const void *p, size_t len);

#endif
