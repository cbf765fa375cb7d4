/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A back end that goes away and comes back.
 *
 *   up      looked at at each turn of the supervisor's loop; the socket's end wakes it
 *   away    the socket was closed while the session served. The worker goes on: what the kernel
 *           asks is put on the rings and stays there. PATH is tried again, at growing intervals
 *   lost    for good: another kind of failure, a back end that won't do, or the mount was left and
 *           nobody came. The worker is woken and fails the session, as with on-loss=eio
 *
 * A back end may come back and go at once, again and again (it dies of some request, and something
 * restarts it). Then the tries get slower, too.
 *
 * The supervisor does this because the worker may not connect(2). It tells the worker by the link
 * (vhost/link.h). The session's time-out still runs, in the worker.
 */
#include "daemon/outage.h"
#include "base/bell.h"
#include "base/log.h"
#include "base/util.h"

#include <errno.h>

/* Tries: at first this often, later each tenth of the time that it has taken. */
#define TRY_MIN_NS (20 * VIOFS_NSEC_PER_MSEC)
#define TRY_MAX_NS (1 * VIOFS_NSEC_PER_SEC)
/*
 * A try is given up after as long as the outage has lasted, in these bounds: nothing else is done
 * here meanwhile, and a slow machine is not to fail each try.
 */
#define TRY_END_MIN_NS (1 * VIOFS_NSEC_PER_SEC)
#define TRY_END_MAX_NS (3 * VIOFS_NSEC_PER_SEC)
/*
 * A back end that goes sooner than this after it came back may do so again: each time the next try
 * is later. The first BRIEF_SAID times are all logged, then fewer and fewer.
 */
#define STEADY_NS (1 * VIOFS_NSEC_PER_SEC)
#define BRIEF_SAID 8U
#define BRIEF_SHIFT_MAX 6

void viofs_outage_init(struct viofs_outage *o, struct viofs_claim *claim)
{
	struct viofs_virtio *d = claim->at.fs->virtio;

	if (!d->returns)
		return;
	o->device = d;
	o->fd = d->returns->own(d);
}

int viofs_outage_fd(const struct viofs_outage *o)
{
	return o->device ? o->fd : -1;
}

static double seconds(int64_t ns)
{
	return (double)ns / VIOFS_NSEC_PER_SEC;
}

static void lose(struct viofs_outage *o, const char *why)
{
	o->lost = true;
	o->away = false;
	o->device->returns->lose(o->device, why);
}

static bool is_said(const struct viofs_outage *o)
{
	return o->brief < BRIEF_SAID || viofs_is_power_of_2(o->brief);
}

static int64_t brief_wait(const struct viofs_outage *o)
{
	if (!o->brief)
		return 0;
	return VIOFS_MIN(TRY_MIN_NS << VIOFS_MIN(o->brief - 1, BRIEF_SHIFT_MAX), TRY_MAX_NS);
}

static void go_away(struct viofs_outage *o, const char *why, int64_t now)
{
	o->brief = o->back && now - o->back < STEADY_NS ? o->brief + 1 : 0;
	o->away = true;
	o->since = now;
	o->next_try = now + brief_wait(o);
	viofs_err_set(&o->last, -EAGAIN, "%s", why);
	o->device->returns->leave(o->device);
	if (is_said(o))
		viofs_warn("the back end %s: requests wait until one is there again (on-loss=wait)",
			   why);
}

static void come_back(struct viofs_outage *o)
{
	o->away = false;
	o->reconnects++;
	o->back = viofs_now_ns();
	if (is_said(o))
		viofs_info("the back end is there again after %.1f s, and goes on with what was in "
			   "flight",
			   seconds(o->back - o->since));
}

static void try_again(struct viofs_outage *o, int64_t now)
{
	struct viofs_err err = { .text = "" };
	int64_t age = now - o->since, limit;
	int rc;

	limit = VIOFS_MIN(VIOFS_MAX(age, TRY_END_MIN_NS), TRY_END_MAX_NS);
	rc = o->device->returns->resume(o->device, now + limit, viofs_bell_signal, &err);
	if (!rc) {
		come_back(o);
		return;
	}
	o->last = err;
	if (rc != -EAGAIN) {
		lose(o, err.text);
		return;
	}
	now = viofs_now_ns();
	if (o->leave_at && now - o->leave_at >= 0)
		lose(o, "has not come back, and the mount is left");
	o->next_try = now + VIOFS_MIN(VIOFS_MAX(age / 10, TRY_MIN_NS), TRY_MAX_NS);
}

void viofs_outage_look(struct viofs_outage *o, bool serving)
{
	int64_t now = viofs_now_ns();
	bool closed = false;
	const char *why;

	if (!o->device || o->lost)
		return;
	why = o->device->returns->look(o->device, &closed);
	if (why && (!serving || !closed))
		lose(o, why);
	else if (why && !o->away)
		go_away(o, why, now);
	if (o->away && now - o->next_try >= 0)
		try_again(o, now);
}

int64_t viofs_outage_time(const struct viofs_outage *o)
{
	return o->away ? VIOFS_MAX(o->next_try - viofs_now_ns(), 0) : -1;
}

void viofs_outage_leave(struct viofs_outage *o, uint32_t grace_s)
{
	o->leave_at = viofs_now_ns() + grace_s * VIOFS_NSEC_PER_SEC;
}

void viofs_outage_end(struct viofs_outage *o)
{
	o->device = NULL;
	o->away = false;
}

json_t *viofs_outage_json(const struct viofs_outage *o)
{
	if (!o->device)
		return NULL;
	return json_pack("{s:s, s:i, s:f, s:s*}", "state",
			 o->lost   ? "lost"
			 : o->away ? "away"
				   : "up",
			 "reconnects", (int)o->reconnects, "away_s",
			 o->away ? seconds(viofs_now_ns() - o->since) : 0.0, "last_try",
			 o->away ? o->last.text : NULL);
}
