/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hiprio queue: FORGET, BATCH_FORGET and INTERRUPT (virtio 1.3 5.11.6.1).
 *
 * The device has one, and whatever lane reads a FORGET sends it there itself, with the lock. The
 * first lane takes the completions, and sends what had to wait for want of a slot or of room: both
 * come free by completions only. No request of a program goes this way, so the lock is on nobody's
 * way.
 *
 * Nothing stops reading /dev/fuse for a FORGET or an INTERRUPT. FORGETs that have no room wait by
 * nodeid (forgotten.h) and go as BATCH_FORGETs. A device that gives no room for timeout= ends the
 * session: nobody may wait for these messages, but an INTERRUPT among them is somebody's end of a
 * wait.
 *
 * A FORGET may be what gives a deleted file's room back, and the next one to write may need it. So
 * each UNLINK, RMDIR or RENAME that succeeded has the device notified of one FORGET at once; others
 * wait for company.
 *
 * Which request an INTERRUPT is about, interrupt.c finds out. Only a lock that may wait is worth
 * one: all else is answered some time, the kernel's own driver sends none, and back ends have died
 * of it (QEMU's virtiofsd in C frees it and goes on using it). Such a back end answers each lock at
 * once. So the first INTERRUPT of a lock is held for INTERRUPT_HELD_NS; by then that lock has been
 * answered. It waits in the lock's slot, so there is room for all of them, and is dropped when that
 * slot comes free.
 */
#ifndef VIOFS_RELAY_HIPRIO_H
#define VIOFS_RELAY_HIPRIO_H

#include "fuse/opcodes.h"
#include "relay/forgotten.h"
#include "relay/slots.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct viofs_capture_ring;
struct viofs_lane;
struct viofs_relay;

/** struct viofs_hiprio - the queue's slots and what waits for it */
struct viofs_hiprio {
	pthread_mutex_t lock; /* for all below, the ring, and its part of the statistics */
	struct viofs_slots slots;
	struct viofs_capture_ring *capture; /* for records, with the lock */
	/* What waits; only the first lane sends it. */
	struct viofs_hiprio_state *state;
	struct viofs_forgotten forgotten;
	struct viofs_interrupt *interrupts; /* by the lock's slot, of all lanes */
	uint32_t interrupt_count;           /* of those, that are one */
	/* Written with the lock, read without it too. */
	_Atomic uint32_t forgets_held; /* on the ring, the device not notified yet */
	_Atomic int64_t forgets_since; /* ns, of the first of those */
	_Atomic uint32_t in_flight;    /* chains that the device has */
	_Atomic bool kept;             /* something waits */
	_Atomic int64_t next_due;   /* ns, when the first INTERRUPT may be sent; INT64_MAX: none */
	_Atomic int64_t full_since; /* ns, something waits for room since; 0: nothing does */
	_Atomic uint32_t unlinks;   /* FORGETs to be notified of at once: a bounded count */
};

/** viofs_hiprio_init() - an empty one, where @r->slots is laid out. Return: 0; -ENOMEM. */
int viofs_hiprio_init(struct viofs_relay *r);
void viofs_hiprio_fini(struct viofs_relay *r);

/** viofs_hiprio_forget() - send a FORGET or BATCH_FORGET that the lane has read, or keep it. */
void viofs_hiprio_forget(struct viofs_lane *lane, const uint8_t *message, size_t len);

/** viofs_hiprio_keep_interrupt() - the INTERRUPT @kernel_unique is about the lock in @slot, of
 * this lane: to be sent when its time has come, and there is room. */
void viofs_hiprio_keep_interrupt(struct viofs_lane *lane, struct viofs_slot *slot,
				 uint64_t kernel_unique);

/** viofs_hiprio_unlinked() - something was deleted: its FORGET is to go at once. Any lane, before
 * the kernel knows. */
void viofs_hiprio_unlinked(struct viofs_hiprio *h);

/** viofs_hiprio_settle() - the lock in @slot is answered: it needs no INTERRUPT. Its lane. */
void viofs_hiprio_settle(struct viofs_relay *r, const struct viofs_slot *slot);

/** viofs_hiprio_send_kept() - what waits, as far as there is room. The first lane. */
void viofs_hiprio_send_kept(struct viofs_lane *lane);

/** viofs_hiprio_complete() - take completions. The first lane. Return: how many; -EPROTO: the ring
 * is broken. */
int viofs_hiprio_complete(struct viofs_lane *lane);

/** viofs_hiprio_kick_forgets() - notify the device of FORGETs that were held back. Any lane. */
void viofs_hiprio_kick_forgets(struct viofs_relay *r);

/** viofs_hiprio_kick_again() - notify it once more, if it has anything. The first lane. */
void viofs_hiprio_kick_again(struct viofs_relay *r);

/** viofs_hiprio_arm() - as viofs_ring_arm(), of the queue. The first lane. */
bool viofs_hiprio_arm(struct viofs_relay *r);
void viofs_hiprio_disarm(struct viofs_relay *r);

/** viofs_hiprio_has_kept() - does anything wait? Any lane, without the lock. */
static inline bool viofs_hiprio_has_kept(const struct viofs_hiprio *h)
{
	return atomic_load_explicit(&h->kept, memory_order_relaxed);
}

/** viofs_hiprio_forgets_held() - how many are. Any lane, without the lock. */
static inline uint32_t viofs_hiprio_forgets_held(const struct viofs_hiprio *h)
{
	return atomic_load_explicit(&h->forgets_held, memory_order_relaxed);
}

/** viofs_hiprio_full_ns() - for how long something has waited for room by @now; 0: nothing does. */
static inline int64_t viofs_hiprio_full_ns(const struct viofs_hiprio *h, int64_t now)
{
	int64_t since = atomic_load_explicit(&h->full_since, memory_order_relaxed);

	return since ? now - since : 0;
}

#endif
