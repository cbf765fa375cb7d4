/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The supervisor's looks at its worker. */
#include "daemon/watchdog.h"
#include "base/util.h"
#include "relay/observe.h"

#include <poll.h>
#include <unistd.h>

/* A worker that sleeps is awake and reading long before. */
#define CLOSELY_US 20000

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
