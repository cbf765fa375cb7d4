/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A vhost-user back end that goes away and comes back: -o on-loss=wait. */
#ifndef VIOFS_DAEMON_OUTAGE_H
#define VIOFS_DAEMON_OUTAGE_H

#include "daemon/claim.h"

#include <jansson.h>

/**
 * struct viofs_outage - the supervisor's side of it; without viofs_outage_init() nothing is waited
 * for
 */
struct viofs_outage {
	struct viofs_virtio *device; /* NULL: a device that is lost is lost */
	int fd;
	bool away, lost;
	int64_t since;    /* ns, of the outage */
	int64_t next_try; /* ns */
	int64_t leave_at; /* ns, no longer than this; 0: as long as it takes */
	int64_t back;     /* ns, when the last one came back; 0: none has yet */
	unsigned int reconnects;
	unsigned int brief;    /* in a row that went soon after they had come back */
	struct viofs_err last; /* why the last try came to nothing */
};

/**
 * viofs_outage_init() - from here on the back end is looked after in this process
 * Before the worker is forked. Does nothing where the back end can't be taken over by another.
 */
void viofs_outage_init(struct viofs_outage *o, struct viofs_claim *claim);

/** viofs_outage_fd() - readable when the back end has gone; -1. */
int viofs_outage_fd(const struct viofs_outage *o);

/**
 * viofs_outage_look() - is the back end there, and if not, is another?
 * @serving: INIT is done. Before it nobody is waited for.
 * Takes a few seconds at most. A session that can't go on is failed through the worker.
 */
void viofs_outage_look(struct viofs_outage *o, bool serving);

/**
 * viofs_outage_time() - ns until viofs_outage_look() has something to do, -1: as long as all is
 * well.
 */
int64_t viofs_outage_time(const struct viofs_outage *o);

/** viofs_outage_leave() - the mount is being left: no more than @grace_s seconds are waited. */
void viofs_outage_leave(struct viofs_outage *o, uint32_t grace_s);

/** viofs_outage_end() - before the device is closed: nobody is waited for any more. */
void viofs_outage_end(struct viofs_outage *o);

/** viofs_outage_json() - for `viofsctl status`; NULL: nothing is waited for. */
json_t *viofs_outage_json(const struct viofs_outage *o);

#endif
