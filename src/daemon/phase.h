/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The phases of a mount as its supervisor sees them: what leads from one to the next, and what is
 * allowed in each.
 *
 *   phase      serves   succeeds  loses  fails    leave    abort     meaning
 *   STARTING   SERVING  -         -      FAILING  -        ABORTED   waits for INIT's answer
 *   SERVING    -        SERVING   LOST   FAILING  LEAVING  ABORTED   the mount answers
 *   LEAVING    -        LEAVING   LOST   FAILING  LEAVING  ABORTED   an unmount was asked for
 *   LOST       -        -         -      -        LOST     ABORTED   no device; EIO for everybody
 *   FAILING    -        -         -      -        FAILING  ABORTED   the worker ends by itself
 *   ABORTED    stays    stays     stays  stays    stays    stays     who doesn't end is killed
 *
 * Each phase ends with the worker, but for those in which another one may succeed it; what is done
 * then is the same for all. No phase needs the device for its end. `-` can't happen: report.h has
 * no such report from a worker in that state, and the supervisor doesn't ask for it.
 */
#ifndef VIOFS_DAEMON_PHASE_H
#define VIOFS_DAEMON_PHASE_H

#include <stdbool.h>

enum viofs_phase {
	VIOFS_PHASE_STARTING,
	VIOFS_PHASE_SERVING,
	VIOFS_PHASE_LEAVING,
	VIOFS_PHASE_LOST,
	VIOFS_PHASE_FAILING,
	VIOFS_PHASE_ABORTED,
	VIOFS_PHASES,
};

enum viofs_phase_event {
	VIOFS_PHASE_SERVES,   /* the worker reports that INIT is done */
	VIOFS_PHASE_SUCCEEDS, /* another worker reports that it goes on where one has died */
	VIOFS_PHASE_LOSES,    /* the worker reports that the device is gone */
	VIOFS_PHASE_FAILS,    /* the worker reports a failure */
	VIOFS_PHASE_LEAVE,    /* an unmount has begun, or only the last user can end the mount */
	VIOFS_PHASE_ABORT,    /* the connection was ended */
	VIOFS_PHASE_EVENTS,
};

/** struct viofs_phase_rules - what is allowed in a phase */
struct viofs_phase_rules {
	bool clone;   /* give out a second mount of the file system */
	bool unmount; /* an orderly one; where it isn't allowed, the end is an abort */
	bool watch;   /* expect of the worker that requests are answered in time */
	bool linger;  /* leave an aborted worker time for DESTROY and a reset */
	bool asked;   /* `viofsctl status` says "leaving" while the worker still serves */
	bool succeed; /* a worker that dies is succeeded by another */
};

/** viofs_phase_next() - the phase after @event. Context: asserts that it can happen. */
enum viofs_phase viofs_phase_next(enum viofs_phase phase, enum viofs_phase_event event);

/** viofs_phase_can() - can @event happen in @phase? */
bool viofs_phase_can(enum viofs_phase phase, enum viofs_phase_event event);

/** viofs_phase_rules() - what is allowed. Never NULL. */
const struct viofs_phase_rules *viofs_phase_rules(enum viofs_phase phase);

#endif
