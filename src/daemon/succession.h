/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Workers that have died, and whether another one may go on. */
#ifndef VIOFS_DAEMON_SUCCESSION_H
#define VIOFS_DAEMON_SUCCESSION_H

#include "base/err.h"
#include "daemon/options.h"

#include <stdbool.h>
#include <stdint.h>

/** struct viofs_succession - all of a session; zeroed, but for most */
struct viofs_succession {
	uint32_t most;                     /* restarts= */
	unsigned int deaths;               /* in all */
	int64_t times[VIOFS_RESTARTS_MAX]; /* ns, of the last ones; death i is at i % most */
	int64_t died;                      /* ns, when the last one did */
	unsigned int restarts;             /* times that a worker took over and served */
	struct viofs_err last;             /* what the last worker died of; "": none has */
	bool due;                          /* another one is to be started */
	bool crashed;                      /* the last one, and wasn't killed */
};

/**
 * viofs_succession_note() - a worker has died while it served
 * @now: ns. @err: what it died of; says how often, where it was too often.
 * Return: may another one serve? Then it is due.
 */
bool viofs_succession_note(struct viofs_succession *s, int64_t now, struct viofs_err *err);

/** viofs_succession_done() - the other one serves. @now: ns. Return: ns since the death. */
int64_t viofs_succession_done(struct viofs_succession *s, int64_t now);

#endif
