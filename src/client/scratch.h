/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DMA memory of calls. Private to src/client */
#ifndef VIOFS_CLIENT_SCRATCH_H
#define VIOFS_CLIENT_SCRATCH_H

#include "client/client_session.h"

/** viofs_reserve_init() - Return: 0; -ENOMEM: the pool is empty. */
int viofs_reserve_init(struct viofs_async *a, struct viofs_err *err);
void viofs_reserve_fini(struct viofs_async *a);
/** viofs_reserve_take() - Return: VIOFS_RESERVE bytes, or NULL: a request of @a in flight has them.
 */
void *viofs_reserve_take(struct viofs_async *a);
/** viofs_scratch_free() - the reserve, or memory of the pool. */
void viofs_scratch_free(struct viofs_async *a, void *memory);

#endif
