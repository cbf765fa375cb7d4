/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the back end is there, told from one process to another. */
/*
 * The supervisor, which may connect, watches the socket and writes the state here. The worker,
 * which may not connect, reads it. The supervisor never reads it back, since the worker could have
 * written there. If the supervisor was killed, the worker looks at its own copy of the first
 * connection's socket.
 */
#include "vhost/link.h"
#include "base/util.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

struct viofs_vhost_link_shared {
	_Atomic uint32_t state; /* enum viofs_vhost_link_state */
	char reason[160];
};

struct viofs_vhost_link *viofs_vhost_link_new(void)
{
	struct viofs_vhost_link *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->shared = mmap(NULL, sizeof(*l->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l->shared == MAP_FAILED)
		goto err_free;
	l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->fd >= 0)
		return l;
	munmap(l->shared, sizeof(*l->shared));
err_free:
	free(l);
	return NULL;
}

void viofs_vhost_link_free(struct viofs_vhost_link *l)
{
	if (!l)
		return;
	close(l->fd);
	munmap(l->shared, sizeof(*l->shared));
	free(l);
}

void viofs_vhost_link_own(struct viofs_vhost_link *l)
{
	l->owner = getpid();
	viofs_vhost_link_set(l, VIOFS_VHOST_LINK_UP);
}

enum viofs_vhost_link_state viofs_vhost_link_get(const struct viofs_vhost_link *l)
{
	/* The owner has no parent that would tell it. */
	if (!l->owner || getppid() != l->owner)
		return VIOFS_VHOST_LINK_DIRECT;
	return atomic_load_explicit(&l->shared->state, memory_order_acquire);
}

const char *viofs_vhost_link_reason(const struct viofs_vhost_link *l)
{
	return l->shared->reason;
}

void viofs_vhost_link_set(struct viofs_vhost_link *l, enum viofs_vhost_link_state state)
{
	atomic_store_explicit(&l->shared->state, (uint32_t)state, memory_order_release);
}

void viofs_vhost_link_lose(struct viofs_vhost_link *l, const char *reason)
{
	snprintf(l->shared->reason, sizeof(l->shared->reason), "%s", reason);
	/* Write the reason before the state that says there is one; see viofs_vhost_link_get(). */
	viofs_vhost_link_set(l, VIOFS_VHOST_LINK_LOST);
	viofs_eventfd_signal(l->fd);
}
