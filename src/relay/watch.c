/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a lane looks at now and then while requests are in flight. */
#include "relay/watch.h"
#include "base/log.h"
#include "base/util.h"
#include "relay/hiprio.h"
#include "relay/lane.h"
#include "relay/notify.h"
#include "relay/outcome.h"
#include "relay/session.h"
#include "relay/tap.h"

#include <errno.h>

/* A request without an answer for this long: said in the log, once. */
#define STALL_NS (30 * VIOFS_NSEC_PER_SEC)
/* How often a lane that doesn't sleep makes sure that the device is there. */
#define LOOK_NS (20 * VIOFS_NSEC_PER_MSEC)

void viofs_watch_begin(struct viofs_lane *lane, int64_t now)
{
	viofs_rekick_start(&lane->rekick, now, true);
	lane->stall_said = false;
}

void viofs_watch_answers(struct viofs_lane *lane, int64_t now)
{
	int64_t oldest;

	if (!viofs_rekick_is_due(&lane->rekick, now))
		return;
	if (lane->hiprio)
		viofs_hiprio_kick_again(lane->relay);
	for (unsigned int i = 0; i < lane->queue_count; i++)
		if (viofs_lane_ring(lane, i)->shadow->in_flight)
			viofs_tap_kick_always(lane->capture, lane->relay->fs, lane->queues[i]);
	oldest = viofs_lane_oldest_ns(lane, false);
	if (!lane->stall_said && oldest >= STALL_NS) {
		lane->stall_said = true;
		viofs_warn("no answer from the device for more than %lld s, %u requests in flight",
			   (long long)(oldest / VIOFS_NSEC_PER_SEC), viofs_lane_in_flight(lane));
	}
}

/* Age of the oldest request that must be answered some time, parked ones too. */
static int64_t oldest_unanswered(const struct viofs_lane *lane, int64_t now)
{
	int64_t oldest = viofs_lane_oldest_ns(lane, false);
	const struct viofs_parked *parked = viofs_parking_first(&lane->parked);

	return parked ? VIOFS_MAX(oldest, now - parked->since) : oldest;
}

/*
 * Has a request waited for longer than the user allows? Requests that come later can't be overdue
 * before timeout_ms from now, and those that are there not before next_due. So look again only
 * then.
 */
static int check_due(struct viofs_lane *lane, int64_t now)
{
	int64_t limit = lane->relay->config.timeout_ms * VIOFS_NSEC_PER_MSEC, oldest, full;

	if (!limit || now - lane->next_due < 0)
		return 0;
	oldest = oldest_unanswered(lane, now);
	full = lane->hiprio ? viofs_hiprio_full_ns(lane->hiprio, now) : 0;
	if (full >= limit)
		return viofs_outcome_break(
			lane->relay, "the device has taken no FORGET for %.1f s (the limit is %u)",
			(double)full / VIOFS_NSEC_PER_SEC, lane->relay->config.timeout_ms / 1000);
	if (oldest >= limit)
		return viofs_outcome_break(lane->relay,
					   "a request has had no answer for %.1f s (the limit is "
					   "%u), %u are in flight",
					   (double)oldest / VIOFS_NSEC_PER_SEC,
					   lane->relay->config.timeout_ms / 1000,
					   viofs_lane_in_flight(lane));
	lane->next_due = now + limit - VIOFS_MAX(oldest, full);
	return 0;
}

int viofs_watch_bounds(struct viofs_lane *lane, int64_t now)
{
	const char *broken = viofs_notify_broken(lane->relay), *lost;

	if (viofs_outcome_is_stopping(&lane->relay->outcome))
		return -ECANCELED;
	if (broken)
		return viofs_outcome_break(lane->relay, "notification queue: %s", broken);
	if (now - lane->next_look >= 0) {
		lane->next_look = now + LOOK_NS;
		lost = viofs_outcome_device_lost(lane->relay);
		if (lost)
			return viofs_outcome_lose(lane->relay, lost);
	}
	return check_due(lane, now);
}

int viofs_watch_event(struct viofs_lane *lane)
{
	const char *lost;
	const int fd = lane->relay->fs->virtio->event_fd;
	struct viofs_loop *l = &lane->loop;

	for (unsigned int i = 0; i < l->count; i++) {
		if (l->fds[i].fd < 0 || l->fds[i].fd != fd || !viofs_loop_fired(l, i))
			continue;
		lost = viofs_outcome_device_lost(lane->relay);
		return lost ? viofs_outcome_lose(lane->relay, lost) : 0;
	}
	return 0;
}
