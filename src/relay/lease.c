/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leadership and its standby. */
#include "relay/lease.h"
#include "base/log.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Everything is locked into memory (mlockall), so stacks are small. */
#define STACK_BYTES (128 << 10)
/* How long a thread that is stuck in a write is waited for at the end. */
#define STUCK_S 1

static void *standby_main(void *arg);

/* Start one more thread; the lock is held, or there are no others yet. */
static int start_standby(struct viofs_lease *l)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = -pthread_create(&thread, &attr, standby_main, l);
	pthread_attr_destroy(&attr);
	if (!rc) {
		l->threads++;
		l->alive++;
	} else {
		viofs_warn("no standby thread (%s): a blocked reply would hold up the others",
			   strerror(-rc));
	}
	return rc;
}

static void init(struct viofs_lease *l, void (*lead)(void *), void *arg)
{
	pthread_condattr_t attr;

	memset(l, 0, sizeof(*l));
	l->lead = lead;
	l->arg = arg;
	l->wake_fd = -1;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->changed, &attr);
	pthread_condattr_destroy(&attr);
}

int viofs_lease_init(struct viofs_lease *l, void (*lead)(void *), void *arg, uint16_t slots)
{
	init(l, lead, arg);
	l->returned = calloc(slots, sizeof(*l->returned));
	if (!l->returned)
		return -ENOMEM;
	l->wake_fd = eventfd(0, EFD_CLOEXEC);
	return l->wake_fd < 0 ? -errno : 0;
}

void viofs_lease_move(struct viofs_lease *to, struct viofs_lease *from, void *arg)
{
	init(to, from->lead, arg);
	to->returned = from->returned;
	to->wake_fd = from->wake_fd;
	from->returned = NULL;
	from->wake_fd = -1;
}

void viofs_lease_start(struct viofs_lease *l)
{
	start_standby(l);
}

uint64_t viofs_lease_enter(struct viofs_lease *l)
{
	uint64_t ticket = ++l->ticket;

	atomic_store(&l->writing, ticket);
	/* Pairs with guard(): it clears `guarded`, then looks at `writing`; we store, then look. */
	if (!atomic_load(&l->guarded)) {
		pthread_mutex_lock(&l->lock);
		atomic_store(&l->guarded, true);
		pthread_cond_broadcast(&l->changed);
		pthread_mutex_unlock(&l->lock);
	}
	return ticket;
}

bool viofs_lease_leave(struct viofs_lease *l, uint64_t ticket)
{
	return atomic_compare_exchange_strong(&l->writing, &ticket, 0);
}

void viofs_lease_return_slot(struct viofs_lease *l, uint16_t slot)
{
	pthread_mutex_lock(&l->lock);
	l->returned[l->returned_count] = slot;
	atomic_fetch_add(&l->returned_count, 1);
	pthread_mutex_unlock(&l->lock);
	/* A full counter wakes the leader as well. */
	viofs_eventfd_signal(l->wake_fd);
}

bool viofs_lease_collect(struct viofs_lease *l, uint16_t *slot)
{
	bool got = false;

	if (!viofs_lease_has_returned(l))
		return false;
	pthread_mutex_lock(&l->lock);
	if (l->returned_count) {
		*slot = l->returned[atomic_fetch_sub(&l->returned_count, 1) - 1];
		got = true;
	}
	pthread_mutex_unlock(&l->lock);
	return got;
}

void viofs_lease_finish(struct viofs_lease *l)
{
	pthread_mutex_lock(&l->lock);
	l->finished = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

void viofs_lease_wait(struct viofs_lease *l)
{
	struct timespec until;
	int rc = 0;

	pthread_mutex_lock(&l->lock);
	while (!l->finished)
		pthread_cond_wait(&l->changed, &l->lock);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += STUCK_S;
	while (l->alive && !rc)
		rc = pthread_cond_timedwait(&l->changed, &l->lock, &until);
	pthread_mutex_unlock(&l->lock);
}

bool viofs_lease_fini(struct viofs_lease *l)
{
	if (l->alive)
		return false;
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	l->wake_fd = -1;
	free(l->returned);
	l->returned = NULL;
	return true;
}

/*
 * Tick until a write is stuck (return true: we lead now) or READs have stopped (false).
 * The lock is not held.
 */
static bool guard(struct viofs_lease *l)
{
	const struct timespec tick = { .tv_nsec = VIOFS_LEASE_TICK_MS * VIOFS_NSEC_PER_MSEC };
	uint64_t last = 0;
	int quiet = 0;

	while (quiet < VIOFS_LEASE_QUIET_TICKS && !l->finished) {
		uint64_t now;

		nanosleep(&tick, NULL);
		now = atomic_load(&l->writing);
		if (now && now == last) {
			if (atomic_compare_exchange_strong(&l->writing, &now, 0))
				return true;
			now = 0;
		}
		quiet = now ? 0 : quiet + 1;
		last = now;
	}
	atomic_store(&l->guarded, false);
	if (atomic_load(&l->writing))
		atomic_store(&l->guarded, true);
	return false;
}

static void *standby_main(void *arg)
{
	struct viofs_lease *l = arg;
	bool leads;

	pthread_mutex_lock(&l->lock);
	while (!l->finished) {
		if (l->guarding || !atomic_load(&l->guarded)) {
			pthread_cond_wait(&l->changed, &l->lock);
			continue;
		}
		l->guarding = true;
		pthread_mutex_unlock(&l->lock);
		leads = guard(l);
		pthread_mutex_lock(&l->lock);
		l->guarding = false;
		if (!leads)
			continue;
		/* We need a standby now; a thread that was deposed earlier may be one already.
		 */
		if (l->threads < 2)
			start_standby(l);
		else
			pthread_cond_broadcast(&l->changed);
		l->threads--;
		pthread_mutex_unlock(&l->lock);
		l->lead(l->arg);
		pthread_mutex_lock(&l->lock);
		/* Deposed, or the end. One standby is enough. */
		if (l->threads >= 2 || l->finished)
			break;
		l->threads++;
	}
	/* After this the thread doesn't touch the lease any more. */
	l->alive--;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}
