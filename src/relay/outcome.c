/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a session ends: who ends it, and why. */
#include "relay/outcome.h"
#include "base/util.h"
#include "relay/lane.h"
#include "relay/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void viofs_outcome_init(struct viofs_outcome *o)
{
	memset(o, 0, sizeof(*o));
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->changed, NULL);
}

static void wake_others(struct viofs_lane *lane)
{
	struct viofs_relay *r = lane->relay;

	for (unsigned int i = 0; i < r->lane_count; i++)
		if (i != lane->index)
			viofs_lane_wake(&r->lanes[i]);
}

int viofs_outcome_stop(struct viofs_lane *lane, int rc)
{
	struct viofs_relay *r = lane->relay;
	struct viofs_outcome *o = &r->outcome;
	bool first;

	pthread_mutex_lock(&o->lock);
	first = !o->stopping;
	if (first) {
		/* Another lane has found a reason to fail, but has not stopped the session yet. */
		if (!rc && r->stats->stage != VIOFS_STAGE_SERVING)
			rc = r->stats->stage == VIOFS_STAGE_LOST ? -ENODEV : -EPROTO;
		o->result = rc;
		o->stopped = viofs_now_ns();
		if (!rc)
			r->stats->stage = VIOFS_STAGE_ENDING;
		atomic_store(&o->stopping, true);
	}
	rc = o->result;
	pthread_mutex_unlock(&o->lock);
	if (first)
		wake_others(lane);
	return rc;
}

void viofs_outcome_leave(struct viofs_lane *lane)
{
	struct viofs_outcome *o = &lane->relay->outcome;

	pthread_mutex_lock(&o->lock);
	o->serving--;
	pthread_cond_broadcast(&o->changed);
	pthread_mutex_unlock(&o->lock);
}

void viofs_outcome_wait(struct viofs_relay *r)
{
	struct viofs_outcome *o = &r->outcome;

	pthread_mutex_lock(&o->lock);
	while (o->serving > 1)
		pthread_cond_wait(&o->changed, &o->lock);
	pthread_mutex_unlock(&o->lock);
}

int viofs_outcome_break(struct viofs_relay *r, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&r->outcome.lock);
	if (!r->stats->reason[0] && !r->outcome.stopping) {
		va_start(ap, fmt);
		vsnprintf(r->stats->reason, sizeof(r->stats->reason), fmt, ap);
		va_end(ap);
		r->stats->stage = VIOFS_STAGE_FAILED;
	}
	pthread_mutex_unlock(&r->outcome.lock);
	return -EPROTO;
}

int viofs_outcome_lose(struct viofs_relay *r, const char *how)
{
	pthread_mutex_lock(&r->outcome.lock);
	if (!r->stats->reason[0] && !r->outcome.stopping) {
		snprintf(r->stats->reason, sizeof(r->stats->reason), "the device %s", how);
		r->stats->stage = VIOFS_STAGE_LOST;
	}
	pthread_mutex_unlock(&r->outcome.lock);
	return -ENODEV;
}

/* One lane at a time looks at a back end's socket; no lane does once the device is lost. */
const char *viofs_outcome_device_lost(struct viofs_relay *r)
{
	const char *lost;

	pthread_mutex_lock(&r->outcome.lock);
	if (!r->outcome.lost)
		r->outcome.lost = viofs_virtio_is_lost(r->fs->virtio);
	lost = r->outcome.lost;
	pthread_mutex_unlock(&r->outcome.lock);
	return lost;
}
