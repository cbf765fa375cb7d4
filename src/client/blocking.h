/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Blocking calls. Private to src/client
 *
 * Threads share the session's lanes. In each one of the waiting threads leads: it polls, and
 * sleeps, for all; when its own op has ended it makes another one leader. Nobody holds the lock
 * while asleep.
 */
#ifndef VIOFS_CLIENT_BLOCKING_H
#define VIOFS_CLIENT_BLOCKING_H

#include "client/op.h"

/* Bytes of a name that a message has room for. */
#define VIOFS_WHICH_MAX 512U

/**
 * viofs_op_begin() - an op of a lane of @view's share, whose lock is then held
 * Its failure is told as "@what @which: reason", when the call has ended. Return: 0 and *@out;
 * -ENODEV, -ENOMEM, with @err.
 */
int viofs_op_begin(const struct viofs_session *view, const char *what, const char *which,
		   struct viofs_err *err, struct viofs_op **out);
/** viofs_op_begin_on() - a call on what is open: made for whom it was opened. */
int viofs_op_begin_on(struct viofs_share *s, struct viofs_caller *caller, const char *what,
		      const char *which, struct viofs_err *err, struct viofs_op **out);
/** viofs_op_end() - wait for it, and give the lock back. Return: its result. */
int64_t viofs_op_end(struct viofs_op *op);

#endif
