/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The thread that leads a lane: serve, then end what was served. */
#include "relay/lead.h"
#include "base/log.h"
#include "base/util.h"
#include "relay/answer.h"
#include "relay/complete.h"
#include "relay/exchange.h"
#include "relay/hiprio.h"
#include "relay/lane.h"
#include "relay/outcome.h"
#include "relay/pump.h"
#include "relay/serve.h"
#include "relay/session.h"

#include <string.h>
#include <unistd.h>

/* How often completions are looked for while a lane drains. */
#define NAP_US 100

/* At the end we don't wait for a device that is away, even if it may come back. */
static bool is_nobody_there(struct viofs_lane *lane)
{
	return viofs_outcome_device_lost(lane->relay) ||
	       viofs_virtio_is_away(lane->relay->fs->virtio);
}

/*
 * Wait for what is in flight at the end, for a time; the kernel has already ended these requests.
 * All lanes share that time, and a thread that takes over gets no more of it. Return: 0, or
 * VIOFS_DEPOSED.
 */
static int drain(struct viofs_lane *lane)
{
	const struct viofs_relay *r = lane->relay;
	int64_t end = r->outcome.stopped + r->config.end_timeout_ms * VIOFS_NSEC_PER_MSEC;

	viofs_parking_clear(&lane->parked);
	viofs_parking_clear(&lane->locks);
	lane->waiting.count = 0;
	viofs_hiprio_kick_forgets(lane->relay);
	while (viofs_lane_in_flight(lane) && viofs_now_ns() - end < 0) {
		int rc = viofs_complete(lane);

		if (rc < 0)
			return rc == VIOFS_DEPOSED ? rc : 0;
		lane->freed = true;
		viofs_pump_kept(lane); /* FORGETs that are parked still */
		viofs_hiprio_kick_forgets(lane->relay);
		if (!rc && is_nobody_there(lane))
			return 0;
		if (!rc)
			usleep(NAP_US);
	}
	return 0;
}

static unsigned int all_in_flight(const struct viofs_relay *r)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->lane_count; i++)
		n += viofs_lane_in_flight(&r->lanes[i]);
	return n;
}

/* All lanes have ended their requests. */
static void destroy_session(struct viofs_lane *lane)
{
	const struct viofs_fuse_shape shape = { .opcode = FUSE_DESTROY, .replies = true };
	const struct fuse_in_header head = { .len = sizeof(head), .opcode = FUSE_DESTROY };
	unsigned int left = all_in_flight(lane->relay);
	struct viofs_slot *slot;
	uint32_t used_len;
	int rc;

	if (left) {
		viofs_warn("%u requests are still with the device at the end: no DESTROY, the "
			   "reset ends "
			   "them",
			   left);
		return;
	}
	if (is_nobody_there(lane)) {
		viofs_info("the device is not there at the end: no DESTROY");
		return;
	}
	rc = viofs_exchange(lane, &head, sizeof(head), &shape,
			    lane->relay->config.end_timeout_ms * VIOFS_NSEC_PER_MSEC, &slot,
			    &used_len);
	if (rc)
		viofs_info("the device did not answer DESTROY (%s)", strerror(-rc));
	else
		viofs_answer_release(lane, slot);
}

static void fail_parked(struct viofs_lane *lane, const struct viofs_parking *parking)
{
	const struct viofs_parked *p = viofs_parking_first(parking);

	for (; p; p = viofs_parking_next(parking, p)) {
		const struct fuse_in_header *head = viofs_parking_message(parking, p);

		viofs_answer(lane, head->unique, -EIO);
	}
}

/* Answer every request with an error. Later ones get theirs when the connection is aborted. */
static void fail_lane(struct viofs_lane *lane)
{
	/* The device's descriptors may be closed from now on: stop waiting for them. */
	for (unsigned int i = 0; i < lane->loop.count; i++)
		if (i != VIOFS_LANE_FUSE)
			viofs_loop_remove(&lane->loop, i);
	for (unsigned int i = 0; i < lane->slots.count; i++) {
		struct viofs_slot *slot = viofs_slots_at(&lane->slots, i);

		if (slot->state == VIOFS_SLOT_QUEUED || slot->state == VIOFS_SLOT_WAITING)
			viofs_answer_slot(lane, slot, -EIO);
	}
	/* Give entries back to the kernel; viofs_relay_refuse() submits the rest with its next
	 * wait. */
	viofs_loop_flush(&lane->loop);
	fail_parked(lane, &lane->parked);
	fail_parked(lane, &lane->locks);
}

/*
 * The end of the session, done by the first lane after all others have ended. It also drains what
 * they have put on hiprio. Return: 0, or VIOFS_DEPOSED.
 */
static int end_session(struct viofs_lane *lane, int result)
{
	struct viofs_relay *r = lane->relay;
	int rc = 0;

	viofs_outcome_wait(r);
	if (!result && r->lane_count > 1)
		rc = drain(lane);
	if (!result && !rc)
		destroy_session(lane);
	if (!result && !rc)
		r->stats->stage = VIOFS_STAGE_ENDED;
	return rc;
}

void viofs_lead(struct viofs_lane *lane)
{
	int rc = viofs_serve(lane), result;

	/* Another thread leads: nothing of the lane may be touched, not even its statistics. */
	if (rc == VIOFS_DEPOSED)
		return;
	result = viofs_outcome_stop(lane, rc);
	if (result)
		fail_lane(lane);
	else if (drain(lane) == VIOFS_DEPOSED)
		return;
	if (viofs_lane_is_first(lane) && end_session(lane, result) == VIOFS_DEPOSED)
		return;
	viofs_outcome_leave(lane);
	viofs_lease_finish(&lane->lease);
}
