/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notifications: what the device says unasked, in a thread of its own. */
#ifndef VIOFS_RELAY_NOTIFY_H
#define VIOFS_RELAY_NOTIFY_H

#include "base/err.h"

struct viofs_relay;

/** viofs_notify_prepare() - what viofs_notify_start() needs, where there is a notification queue.
 */
int viofs_notify_prepare(struct viofs_relay *r, int fuse_fd, struct viofs_err *err);

/** viofs_notify_move() - what viofs_notify_prepare() made for @from is @to's. Before it starts. */
void viofs_notify_move(struct viofs_relay *to, struct viofs_relay *from);

/** viofs_notify_start() - from now on notifications go to the kernel. */
void viofs_notify_start(struct viofs_relay *r);

/** viofs_notify_broken() - NULL, or how the device broke the notification queue. Any thread. */
const char *viofs_notify_broken(const struct viofs_relay *r);

/** viofs_notify_stop() - no more of them; before the device is closed. Nothing started is fine. */
void viofs_notify_stop(struct viofs_relay *r);

#endif
