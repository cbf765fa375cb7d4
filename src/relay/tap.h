/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long each request takes, and records of what passes. */
#ifndef VIOFS_RELAY_TAP_H
#define VIOFS_RELAY_TAP_H

#include "relay/capture.h"
#include "relay/state.h"

struct viofs_lane;
struct viofs_relay;

/**
 * viofs_tap_attach() - have the relay's lanes write their records into @c, when that is on
 * @c: NULL: into none. Context: before there are lanes' threads, in each process that serves.
 */
void viofs_tap_attach(struct viofs_relay *r, const struct viofs_capture *c);

/**
 * viofs_tap_replied() - the kernel has the reply to the request in @slot
 * Context: the lane's leader, before the slot is free. Return: now, in ticks.
 */
uint64_t viofs_tap_replied(struct viofs_lane *lane, const struct viofs_slot *slot);

/** viofs_tap_latency() - of one opcode, all lanes together. Any process. */
void viofs_tap_latency(const struct viofs_relay *r, uint32_t opcode, struct viofs_latency *out);

/* Records, where @ring is on. Context: who writes @ring. */

void viofs_tap_write_request(struct viofs_capture_ring *ring, const struct viofs_relay *r,
			     const struct viofs_slot *slot);
void viofs_tap_write_reply(struct viofs_capture_ring *ring, const struct viofs_relay *r,
			   const struct viofs_slot *slot, uint32_t used_len, uint64_t device,
			   uint64_t total);
void viofs_tap_write_answer(struct viofs_capture_ring *ring, uint64_t unique, int error);
void viofs_tap_write_fault(struct viofs_capture_ring *ring, const struct viofs_slot *slot,
			   const char *what);
void viofs_tap_write_event(struct viofs_capture_ring *ring, enum viofs_capture_kind kind,
			   unsigned int q, uint64_t count);
void viofs_tap_write_notification(struct viofs_capture_ring *ring, const void *message,
				  uint32_t len);

/** viofs_tap_sent() - the request in @slot is on its virtqueue. */
static inline void viofs_tap_sent(struct viofs_capture_ring *ring, const struct viofs_relay *r,
				  const struct viofs_slot *slot)
{
	if (viofs_capture_is_on(ring))
		viofs_tap_write_request(ring, r, slot);
}

/** viofs_tap_done() - the device has answered a request that was no kernel's, or nobody's to be
 * answered. */
void viofs_tap_done(struct viofs_capture_ring *ring, const struct viofs_relay *r,
		    const struct viofs_slot *slot, uint32_t used_len);

/** viofs_tap_kick() - notify queue @q where the device wants it. */
static inline void viofs_tap_kick(struct viofs_capture_ring *ring, struct viofs_fs *fs,
				  unsigned int q)
{
	if (viofs_fs_kick(fs, q) && viofs_capture_is_on(ring))
		viofs_tap_write_event(ring, VIOFS_CAPTURE_KICK, q, 1);
}

/** viofs_tap_kick_always() - whatever the device asked for. */
static inline void viofs_tap_kick_always(struct viofs_capture_ring *ring, struct viofs_fs *fs,
					 unsigned int q)
{
	viofs_fs_kick_always(fs, q);
	if (viofs_capture_is_on(ring))
		viofs_tap_write_event(ring, VIOFS_CAPTURE_KICK, q, 1);
}

/** viofs_tap_interrupts() - queue @q's eventfd has fired @count times. */
static inline void viofs_tap_interrupts(struct viofs_capture_ring *ring, unsigned int q,
					uint64_t count)
{
	if (viofs_capture_is_on(ring))
		viofs_tap_write_event(ring, VIOFS_CAPTURE_INTERRUPT, q, count);
}

#endif
