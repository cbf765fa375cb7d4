/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For whom a call is made, and from which folder its path begins. Private to src/client */
#ifndef VIOFS_CLIENT_CALLER_H
#define VIOFS_CLIENT_CALLER_H

#include "client/client_session.h"

/** viofs_caller_new() - @flags: of enum viofs_session_flag. With one reference, or NULL: no memory.
 */
struct viofs_caller *viofs_caller_new(const struct viofs_cred *cred, uint32_t timeout_ms,
				      uint32_t flags);
/** viofs_caller_get(), viofs_caller_put() - references; NULL is fine for put. */
struct viofs_caller *viofs_caller_get(struct viofs_caller *caller);
void viofs_caller_put(struct viofs_caller *caller);
/** viofs_way_copy() - with references of its own. Return: 0, -ENOMEM. */
int viofs_way_copy(struct viofs_cache *c, const struct viofs_way *from, struct viofs_way *out);
void viofs_way_fini(struct viofs_cache *c, struct viofs_way *way);

#endif
