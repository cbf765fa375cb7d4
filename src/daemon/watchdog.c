/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The supervisor's looks at its worker. */
#include "daemon/watchdog.h"
#include "base/util.h"
#include "relay/observe.h"
#include "relay/stats.h"

#include <poll.h>
#include <unistd.h>

/* A sleeping worker wakes up and reads in much less time. */
#define CLOSELY_US 20000
/* An unmount is given up when the device has not answered a request for so long meanwhile. */
#define LEAVING_STALL_NS (30 * VIOFS_NSEC_PER_SEC)
/* The worker enforces timeout= itself. It has this much longer before it counts as stuck. */
#define TIMEOUT_SLACK_NS (3 * VIOFS_NSEC_PER_SEC)
/* From the end of the mount: 12 s at most are needed, DESTROY and all. */
#define LINGER_NS (30 * VIOFS_NSEC_PER_SEC)

/* Return: has any lane had a turn since the last look? */
static bool note_turns(struct viofs_watchdog *w, int64_t now)
{
	uint64_t turns[VIOFS_LANES_MAX];
	unsigned int lanes = viofs_observe_turns(w->relay, turns);
	bool any = false;

	for (unsigned int i = 0; i < lanes; i++) {
		if (turns[i] == w->turns[i] && w->turned[i])
			continue;
		w->turns[i] = turns[i];
		w->turned[i] = now;
		any = true;
	}
	return any;
}

void viofs_watchdog_look(struct viofs_watchdog *w, int64_t now)
{
	struct pollfd p = { .fd = w->fuse_fd, .events = POLLIN };
	bool readable = poll(&p, 1, 0) > 0 && p.revents == POLLIN;
	bool turned = note_turns(w, now);

	w->looked = now;
	if (!readable)
		w->readable = 0;
	else if (turned || !w->readable)
		w->readable = now;
}

void viofs_watchdog_look_closely(struct viofs_watchdog *w)
{
	viofs_watchdog_look(w, viofs_now_ns());
	if (!w->readable || viofs_watchdog_unread_ns(w))
		return;
	usleep(CLOSELY_US);
	viofs_watchdog_look(w, viofs_now_ns());
}

int64_t viofs_watchdog_unread_ns(const struct viofs_watchdog *w)
{
	return w->readable ? w->looked - w->readable : 0;
}

int64_t viofs_watchdog_silent_ns(const struct viofs_watchdog *w)
{
	int64_t oldest = 0;

	if (!viofs_observe_has_beat(w->relay))
		return 0;
	for (unsigned int i = 0; i < VIOFS_LANES_MAX; i++)
		if (w->turned[i])
			oldest = VIOFS_MAX(oldest, w->looked - w->turned[i]);
	return oldest;
}

enum viofs_watchdog_verdict viofs_watchdog_judge(struct viofs_watchdog *w, int64_t now,
						 bool leaving, int64_t *age)
{
	int64_t oldest = viofs_observe_unanswered_ns(w->relay);
	bool stalls, stuck;

	if (viofs_observe_stage(w->relay) == VIOFS_STAGE_SERVING)
		viofs_watchdog_look(w, now);
	oldest = VIOFS_MAX(oldest, viofs_watchdog_unread_ns(w));
	oldest = VIOFS_MAX(oldest, viofs_watchdog_silent_ns(w));
	/* Time that passed with the former worker doesn't count against this one. */
	if (w->begun)
		oldest = VIOFS_MIN(oldest, now - w->begun);
	stalls = leaving && oldest >= LEAVING_STALL_NS;
	stuck = w->timeout_ns && oldest >= w->timeout_ns + TIMEOUT_SLACK_NS;
	*age = oldest;
	/*
	 * Twice in a row: the worker's slots are read without a lock, and one may have been half
	 * filled in.
	 */
	w->overdue = stalls || stuck ? w->overdue + 1 : 0;
	if (w->overdue < 2)
		return VIOFS_WATCHDOG_FINE;
	return stalls ? VIOFS_WATCHDOG_STALLS : VIOFS_WATCHDOG_STUCK;
}

void viofs_watchdog_begin_again(struct viofs_watchdog *w, int64_t now)
{
	*w = (struct viofs_watchdog){
		.relay = w->relay,
		.fuse_fd = w->fuse_fd,
		.timeout_ns = w->timeout_ns,
		.begun = now,
	};
}

bool viofs_watchdog_lingers(struct viofs_watchdog *w, int64_t now)
{
	if (viofs_observe_stage(w->relay) != VIOFS_STAGE_ENDING)
		return false;
	if (!w->ending_since)
		w->ending_since = now;
	return now - w->ending_since >= LINGER_NS;
}
