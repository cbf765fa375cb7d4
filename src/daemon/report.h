/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the worker reports to the supervisor, through a pipe, and in which state it may.
 *
 *   state      serving   failed    lost     the worker
 *   STARTING   SERVING   REFUSED   -        waits for INIT's answer
 *   SERVING    -         ENDED     LOST     serves
 *   SUCCEEDING SERVING   ENDED     -        takes up what another one has left
 *   LOST       -         -         -        answers EIO until the mount is gone
 *   REFUSED    -         -         -        ends: there never was a session
 *   ENDED      -         -         -        ends: the session failed
 *
 * The worker isn't trusted: a report that the table doesn't allow (`-`), or something that is no
 * report, means that it was taken over. The state then stays as it was, and nothing more is read.
 */
#ifndef VIOFS_DAEMON_REPORT_H
#define VIOFS_DAEMON_REPORT_H

#include "base/err.h"

#include <stdbool.h>

enum viofs_report_kind {
	VIOFS_REPORT_SERVING, /* INIT is done, the mount answers; or answers again */
	VIOFS_REPORT_FAILED,  /* the worker ends; err says why */
	VIOFS_REPORT_LOST,    /* the device is gone; the worker goes on, and answers EIO */
	VIOFS_REPORT_KINDS,
};

enum viofs_worker_state {
	VIOFS_WORKER_STARTING,
	VIOFS_WORKER_SERVING,
	VIOFS_WORKER_SUCCEEDING,
	VIOFS_WORKER_LOST,
	VIOFS_WORKER_REFUSED,
	VIOFS_WORKER_ENDED,
	VIOFS_WORKER_STATES,
};

/** struct viofs_report - one that was taken: checked, and its text harmless */
struct viofs_report {
	enum viofs_report_kind kind;
	int rc; /* -errno, 0: SERVING */
	struct viofs_err err;
};

/**
 * viofs_report_send() - by the worker. @rc, @err: of a failure, else 0 and NULL. Return: 0 or
 * -errno.
 */
int viofs_report_send(int fd, enum viofs_report_kind kind, int rc, const struct viofs_err *err);

/**
 * viofs_report_read() - by the supervisor, from @fd (non-blocking)
 * @state: what the worker is now, and after the report.
 * Return: 1: @r is one; 0: nothing has come; -EPIPE: nothing will come; -EPROTO: the worker may not
 * say that, r->err says what.
 */
int viofs_report_read(int fd, enum viofs_worker_state *state, struct viofs_report *r);

/** viofs_worker_has_served() - has there been a mount that answers? */
bool viofs_worker_has_served(enum viofs_worker_state state);

#endif
