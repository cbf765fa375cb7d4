/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The phases of a mount: two tables. */
#include "daemon/phase.h"

#include <assert.h>

/* The table of phase.h; NO: can't happen. */
#define NO VIOFS_PHASES
static const enum viofs_phase next[VIOFS_PHASES][VIOFS_PHASE_EVENTS] = {
	[VIOFS_PHASE_STARTING] = { [VIOFS_PHASE_SERVES] = VIOFS_PHASE_SERVING,
				   [VIOFS_PHASE_SUCCEEDS] = NO,
				   [VIOFS_PHASE_LOSES] = NO,
				   [VIOFS_PHASE_FAILS] = VIOFS_PHASE_FAILING,
				   [VIOFS_PHASE_LEAVE] = NO,
				   [VIOFS_PHASE_ABORT] = VIOFS_PHASE_ABORTED },
	[VIOFS_PHASE_SERVING] = { [VIOFS_PHASE_SERVES] = NO,
				  [VIOFS_PHASE_SUCCEEDS] = VIOFS_PHASE_SERVING,
				  [VIOFS_PHASE_LOSES] = VIOFS_PHASE_LOST,
				  [VIOFS_PHASE_FAILS] = VIOFS_PHASE_FAILING,
				  [VIOFS_PHASE_LEAVE] = VIOFS_PHASE_LEAVING,
				  [VIOFS_PHASE_ABORT] = VIOFS_PHASE_ABORTED },
	[VIOFS_PHASE_LEAVING] = { [VIOFS_PHASE_SERVES] = NO,
				  [VIOFS_PHASE_SUCCEEDS] = VIOFS_PHASE_LEAVING,
				  [VIOFS_PHASE_LOSES] = VIOFS_PHASE_LOST,
				  [VIOFS_PHASE_FAILS] = VIOFS_PHASE_FAILING,
				  [VIOFS_PHASE_LEAVE] = VIOFS_PHASE_LEAVING,
				  [VIOFS_PHASE_ABORT] = VIOFS_PHASE_ABORTED },
	[VIOFS_PHASE_LOST] = { [VIOFS_PHASE_SERVES] = NO,
			       [VIOFS_PHASE_SUCCEEDS] = NO,
			       [VIOFS_PHASE_LOSES] = NO,
			       [VIOFS_PHASE_FAILS] = NO,
			       [VIOFS_PHASE_LEAVE] = VIOFS_PHASE_LOST,
			       [VIOFS_PHASE_ABORT] = VIOFS_PHASE_ABORTED },
	[VIOFS_PHASE_FAILING] = { [VIOFS_PHASE_SERVES] = NO,
				  [VIOFS_PHASE_SUCCEEDS] = NO,
				  [VIOFS_PHASE_LOSES] = NO,
				  [VIOFS_PHASE_FAILS] = NO,
				  [VIOFS_PHASE_LEAVE] = VIOFS_PHASE_FAILING,
				  [VIOFS_PHASE_ABORT] = VIOFS_PHASE_ABORTED },
	[VIOFS_PHASE_ABORTED] = { [VIOFS_PHASE_SERVES] = VIOFS_PHASE_ABORTED,
				  [VIOFS_PHASE_SUCCEEDS] = VIOFS_PHASE_ABORTED,
				  [VIOFS_PHASE_LOSES] = VIOFS_PHASE_ABORTED,
				  [VIOFS_PHASE_FAILS] = VIOFS_PHASE_ABORTED,
				  [VIOFS_PHASE_LEAVE] = VIOFS_PHASE_ABORTED,
				  [VIOFS_PHASE_ABORT] = VIOFS_PHASE_ABORTED },
};

static const struct viofs_phase_rules rules[VIOFS_PHASES] = {
	/* Before it serves there is nothing to wait for. */
	[VIOFS_PHASE_STARTING] = { 0 },
	[VIOFS_PHASE_SERVING] = { .clone = true,
				  .unmount = true,
				  .watch = true,
				  .linger = true,
				  .succeed = true },
	[VIOFS_PHASE_LEAVING] = { .unmount = true,
				  .watch = true,
				  .linger = true,
				  .asked = true,
				  .succeed = true },
	/* With no device there is nothing to write, and nobody to wait for. */
	[VIOFS_PHASE_LOST] = { .linger = true },
	[VIOFS_PHASE_FAILING] = { .linger = true },
	[VIOFS_PHASE_ABORTED] = { .asked = true, .linger = true },
};

bool viofs_phase_can(enum viofs_phase phase, enum viofs_phase_event event)
{
	return next[phase][event] != NO;
}

enum viofs_phase viofs_phase_next(enum viofs_phase phase, enum viofs_phase_event event)
{
	assert(viofs_phase_can(phase, event));
	return next[phase][event];
}

const struct viofs_phase_rules *viofs_phase_rules(enum viofs_phase phase)
{
	return &rules[phase];
}
