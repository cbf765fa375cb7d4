/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a lane looks at now and then: is the device there, does it answer? */
#ifndef VIOFS_RELAY_WATCH_H
#define VIOFS_RELAY_WATCH_H

#include <stdint.h>

struct viofs_lane;

/** viofs_watch_begin() - something has just happened: a time without answers begins at @now. */
void viofs_watch_begin(struct viofs_lane *lane, int64_t now);

/** viofs_watch_answers() - nothing came back for a while: kick again, and log it once. */
void viofs_watch_answers(struct viofs_lane *lane, int64_t now);

/**
 * viofs_watch_bounds() - may the session go on?
 * Return: 0; -ENODEV: the device is gone; -EPROTO: a queue broke, or a request waits too long;
 * -ECANCELED: another lane has come to its end.
 */
int viofs_watch_bounds(struct viofs_lane *lane, int64_t now);

/** viofs_watch_event() - did the device's own descriptor end the sleep, and is the device gone?
 * Return: 0; -ENODEV. */
int viofs_watch_event(struct viofs_lane *lane);

#endif
