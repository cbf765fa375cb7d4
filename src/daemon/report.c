/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker's reports, and the states in which it may make them. */
#include "daemon/report.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* On its way through the pipe. */
struct wire {
	int32_t kind, rc;
	uint32_t remedy;
	char text[sizeof(((struct viofs_err *)NULL)->text)];
};
_Static_assert(sizeof(struct wire) <= PIPE_BUF, "a report is written whole or not at all");

/* The largest number that errno has. */
#define ERRNO_MAX 4095

/* The table of report.h; NO: the worker may not report that. */
#define NO VIOFS_WORKER_STATES
static const enum viofs_worker_state after[VIOFS_WORKER_STATES][VIOFS_REPORT_KINDS] = {
	[VIOFS_WORKER_STARTING] = { VIOFS_WORKER_SERVING, VIOFS_WORKER_REFUSED, NO },
	[VIOFS_WORKER_SERVING] = { NO, VIOFS_WORKER_ENDED, VIOFS_WORKER_LOST },
	[VIOFS_WORKER_SUCCEEDING] = { VIOFS_WORKER_SERVING, VIOFS_WORKER_ENDED, NO },
	[VIOFS_WORKER_LOST] = { NO, NO, NO },
	[VIOFS_WORKER_REFUSED] = { NO, NO, NO },
	[VIOFS_WORKER_ENDED] = { NO, NO, NO },
};

int viofs_report_send(int fd, enum viofs_report_kind kind, int rc, const struct viofs_err *err)
{
	struct wire w = { .kind = kind, .rc = rc };

	if (err) {
		snprintf(w.text, sizeof(w.text), "%s", err->text);
		w.remedy = err->remedy;
	}
	return write(fd, &w, sizeof(w)) < 0 ? -errno : 0;
}

static bool is_well_formed(const struct wire *w)
{
	if (w->kind < 0 || w->kind >= VIOFS_REPORT_KINDS || w->remedy >= VIOFS_REMEDIES)
		return false;
	return w->kind == VIOFS_REPORT_SERVING ? !w->rc : w->rc < 0 && w->rc >= -ERRNO_MAX;
}

int viofs_report_read(int fd, enum viofs_worker_state *state, struct viofs_report *r)
{
	static const char *const states[] = { "is starting",
					      "serves",
					      "is taking up what another one has left",
					      "has lost its device",
					      "has failed to start",
					      "has failed" };
	static const char *const kinds[] = { "serving", "failed", "lost" };
	struct wire w;
	ssize_t n = read(fd, &w, sizeof(w));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -EPIPE;
	if (n != (ssize_t)sizeof(w) || !is_well_formed(&w))
		return viofs_err_set(&r->err, -EPROTO, "the worker has sent what is no report");
	if (after[*state][w.kind] == NO)
		return viofs_err_set(&r->err, -EPROTO, "the worker has reported \"%s\" while it %s",
				     kinds[w.kind], states[*state]);
	*state = after[*state][w.kind];
	r->kind = (enum viofs_report_kind)w.kind;
	r->rc = w.rc;
	/* A worker's words may be its device's: viofs_err_set() makes them harmless. */
	viofs_err_set(&r->err, 0, "%.*s", (int)sizeof(w.text) - 1, w.text);
	viofs_err_remedy(&r->err, 0, (enum viofs_remedy)w.remedy);
	return 1;
}

bool viofs_worker_has_served(enum viofs_worker_state state)
{
	return state != VIOFS_WORKER_STARTING && state != VIOFS_WORKER_REFUSED;
}
