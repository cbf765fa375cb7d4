/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who serves: one thread leads, and another can take over while the leader is stuck in a reply.
 *
 * Giving a READ reply to the kernel can block on a page lock whose holder waits for a completion
 * that only we can deliver (Linux commit bb737bbe). Handing every READ to a pool of reply threads
 * would cost two wake-ups for each. So the leader writes such replies itself, and marks the time it
 * does so in `writing`; a standby thread looks every VIOFS_LEASE_TICK_MS, and where the same write
 * is still going on a tick later it takes `writing` back to 0 by compare-and-swap and leads from
 * there on. The deposed thread learns of it when its write returns and its own compare-and-swap
 * fails: it touches nothing of the relay but the list of slots to give back, and becomes a standby.
 *
 * Everything the leader owns (rings, slots, lists, io_uring) is consistent while it writes: the
 * completion has been taken off the ring and the slot is in state REPLYING. The store to `writing`
 * releases that state, the taker's compare-and-swap acquires it.
 *
 * With no READs for a second the standby sleeps for good, so that an idle daemon uses no CPU.
 */
#ifndef VIOFS_RELAY_LEASE_H
#define VIOFS_RELAY_LEASE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VIOFS_LEASE_TICK_MS 20
#define VIOFS_LEASE_QUIET_TICKS 50

/** struct viofs_lease - leadership and its standby */
struct viofs_lease {
	_Atomic uint64_t writing; /* 0, or the ticket of the leader's write that may block */
	_Atomic bool guarded;     /* a standby ticks */
	uint64_t ticket;          /* the leader's */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* guarded wanted, or finished */
	_Atomic bool finished;
	bool guarding;
	unsigned int threads;       /* beside the main one */
	_Atomic unsigned int alive; /* started and not ended yet: these look at the lease */
	uint16_t *returned;         /* slots whose stuck write came back, under the lock */
	_Atomic uint16_t returned_count;
	int wake_fd;             /* eventfd: tells a sleeping leader that a slot came back */
	void (*lead)(void *arg); /* runs the relay until deposed or finished */
	void *arg;
};

/**
 * viofs_lease_init() - @lead is what a thread runs when it leads; @slots bounds the returned list
 * No thread yet. Return: 0 or -errno.
 */
int viofs_lease_init(struct viofs_lease *l, void (*lead)(void *), void *arg, uint16_t slots);

/**
 * viofs_lease_move() - @to, zeroed, has what viofs_lease_init() made for @from, which has nothing
 * then No thread yet. @arg: as of viofs_lease_init().
 */
void viofs_lease_move(struct viofs_lease *to, struct viofs_lease *from, void *arg);

/** viofs_lease_start() - start the first standby (a relay without one works, unguarded). */
void viofs_lease_start(struct viofs_lease *l);

/** viofs_lease_enter() - the leader is about to write a reply that may block. Return: the ticket.
 */
uint64_t viofs_lease_enter(struct viofs_lease *l);

/** viofs_lease_leave() - back from the write. Return: true: still leading; false: deposed. */
bool viofs_lease_leave(struct viofs_lease *l, uint64_t ticket);

/** viofs_lease_return_slot() - a deposed thread gives its slot back to whoever leads. */
void viofs_lease_return_slot(struct viofs_lease *l, uint16_t slot);

/** viofs_lease_has_returned() - did a slot come back? By the leader. */
static inline bool viofs_lease_has_returned(const struct viofs_lease *l)
{
	return atomic_load_explicit(&l->returned_count, memory_order_relaxed);
}

/** viofs_lease_collect() - the leader takes a slot that came back. Return: false: none. */
bool viofs_lease_collect(struct viofs_lease *l, uint16_t *slot);

/** viofs_lease_finish() - the relay has ended: everybody stops. By the leader. */
void viofs_lease_finish(struct viofs_lease *l);

/**
 * viofs_lease_wait() - the main thread, deposed or done: until the relay has ended
 * Then for the other threads to end, up to a second: one may be stuck in its write still.
 */
void viofs_lease_wait(struct viofs_lease *l);

/**
 * viofs_lease_fini() - after viofs_lease_wait(), or where nothing was started (wake_fd -1)
 * Return: false where a thread is stuck: it will look at the lease again, which must stay as it is.
 */
bool viofs_lease_fini(struct viofs_lease *l);

#endif
