/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does the worker look at what the kernel has for it?
 *
 * A worker looks after timeout= itself, and requests that it has read are in slots, which the
 * supervisor sees (viofs_observe_unanswered_ns()). One that is stopped, by a signal or a debugger,
 * or that is stuck, reads none: those requests are in no slot, and nobody counts their time.
 *
 * So each lane counts the turns of its loop in memory that both processes have. Where /dev/fuse has
 * something to be read at two looks, and no lane has had a turn between them, a request waits that
 * nobody has read, since the first look at least. What comes over io_uring doesn't show at
 * /dev/fuse; with timeout= each lane has a turn a second there, so that one without is noticed.
 */
#ifndef VIOFS_DAEMON_WATCHDOG_H
#define VIOFS_DAEMON_WATCHDOG_H

#include "relay/relay.h"

/** struct viofs_watchdog - what was seen at the last look; zeroed, but for what it looks at */
struct viofs_watchdog {
	const struct viofs_relay *relay;
	int fuse_fd;
	uint64_t turns[VIOFS_LANES_MAX]; /* of each lane */
	int64_t turned[VIOFS_LANES_MAX]; /* ns, when a look first found that many */
	int64_t readable;                /* ns, the first of the looks in a row with something to
					  * read and no turn; 0: the last one was none */
	int64_t looked;                  /* ns, the last look */
	int64_t begun;                   /* ns, when the worker did, if it succeeds another */
	int64_t timeout_ns;              /* that a request may take; 0: for ever */
	unsigned int overdue;            /* judgements in a row that found a request too old */
	int64_t ending_since;            /* ns, 0: the worker has not been seen ending */
};

enum viofs_watchdog_verdict {
	VIOFS_WATCHDOG_FINE,
	VIOFS_WATCHDOG_STALLS, /* the device answers nothing while the mount is being left */
	VIOFS_WATCHDOG_STUCK,  /* the worker should have ended the session by its own time-out */
};

/**
 * viofs_watchdog_judge() - does the worker do what it has to, as far as can be seen at @now (ns)?
 * Second to the worker's own checks: it may be stopped, or stuck itself at a device that holds up
 * the CPU. And it has no bound of its own while the mount is being left (@leaving).
 * @age: out, ns, of the oldest request that must be answered.
 */
enum viofs_watchdog_verdict viofs_watchdog_judge(struct viofs_watchdog *w, int64_t now,
						 bool leaving, int64_t *age);

/** viofs_watchdog_begin_again() - another worker serves from @now (ns) on: it has as long as the
 * first one had. */
void viofs_watchdog_begin_again(struct viofs_watchdog *w, int64_t now);

/** viofs_watchdog_lingers() - the mount is gone, and should the worker be, too? */
bool viofs_watchdog_lingers(struct viofs_watchdog *w, int64_t now);

/** viofs_watchdog_look() - now and then, while the session serves; @now: ns. */
void viofs_watchdog_look(struct viofs_watchdog *w, int64_t now);

/**
 * viofs_watchdog_look_closely() - the same where nobody has looked for long
 * Context: takes 20 ms where there is something to be read.
 */
void viofs_watchdog_look_closely(struct viofs_watchdog *w);

/**
 * viofs_watchdog_unread_ns() - age of the oldest request that waits unread, at the last look; 0:
 * none.
 */
int64_t viofs_watchdog_unread_ns(const struct viofs_watchdog *w);

/**
 * viofs_watchdog_silent_ns() - for how long a lane that should have had turns has had none, at the
 * last look; 0: where that means nothing.
 */
int64_t viofs_watchdog_silent_ns(const struct viofs_watchdog *w);

#endif
