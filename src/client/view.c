/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Views of a session: the same session with another caller, another folder to begin in, or both.
 *
 * A view doesn't change after it is made, so any thread may use it. It owns a reference to its
 * caller and its own copy of the way to its folder (caller.c).
 */
#include "client/caller.h"
#include "client/blocking.h"
#include "client/child.h"
#include "client/dir.h"
#include "client/options_struct.h"
#include "client/queue.h"

#include <errno.h>
#include <stdlib.h>

void viofs_view_options_init(struct viofs_session *session, struct viofs_view_options *options,
			     size_t size)
{
	const struct viofs_caller *c = session->caller;
	const struct viofs_view_options all = {
		.size = sizeof(all),
		.flags = (c->check ? VIOFS_SESSION_CHECK : 0U) |
			 (c->fresh ? VIOFS_SESSION_FORCE_SYNC : 0U),
		.timeout_ms = c->timeout_ms,
		.cred = { .uid = c->uid, .gid = c->gid, .pid = c->pid },
	};

	viofs_options_put(options, size, &all, sizeof(all));
}

int viofs_session_view(struct viofs_session *session, const struct viofs_view_options *options,
		       struct viofs_session **out, struct viofs_err *err)
{
	struct viofs_share *s = session->share;
	struct viofs_view_options o;
	struct viofs_session *view;
	int rc;

	if (viofs_dev_is_elsewhere(s->dev))
		return viofs_dev_elsewhere(err, "make", "view");
	viofs_view_options_init(session, &o, sizeof(o));
	rc = viofs_options_take(options, &o, sizeof(o), "viofs_view_options", err);
	if (rc)
		return rc;
	if (o.flags & ~VIOFS_SESSION_FLAGS)
		return viofs_err_set(err, -EINVAL,
				     "viofs_view_options.flags has bits that this libviofs doesn't "
				     "know.");
	view = calloc(1, sizeof(*view));
	if (view)
		view->caller = viofs_caller_new(&o.cred, o.timeout_ms, o.flags);
	if (!view || !view->caller ||
	    viofs_way_copy(&s->cache, o.at ? viofs_dir_way(o.at) : &session->at, &view->at)) {
		if (view)
			viofs_caller_put(view->caller);
		free(view);
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	}
	view->share = s;
	view->is_view = true;
	*out = view;
	return 0;
}

/* The lane's lock is held. */
static unsigned int cancel_in(struct viofs_async *lane, const struct viofs_caller *caller)
{
	/* What is answered already is not interrupted. */
	bool answered = viofs_async_turn(lane) > 0;
	struct viofs_op *next;
	unsigned int n = 0;

	for (struct viofs_op *op = lane->live; op; op = next) {
		next = op->live_next;
		if (op->ended || op->caller != caller)
			continue;
		viofs_op_cancel(op, -ECANCELED);
		n++;
	}
	if (n || answered)
		viofs_queue_wake(lane->q); /* who leads may sleep, and be one of them */
	return n;
}

unsigned int viofs_session_cancel(struct viofs_session *session)
{
	struct viofs_share *s = session->share;
	unsigned int n = 0;

	if (viofs_dev_is_elsewhere(s->dev))
		return 0;
	for (unsigned int i = 0; i < s->lane_count; i++) {
		pthread_mutex_lock(&s->lanes[i].lock);
		n += cancel_in(&s->lanes[i], session->caller);
		pthread_mutex_unlock(&s->lanes[i].lock);
	}
	return n;
}
