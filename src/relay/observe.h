/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What other processes see of a session, in memory that they share with the worker. */
#ifndef VIOFS_RELAY_OBSERVE_H
#define VIOFS_RELAY_OBSERVE_H

#include "relay/config.h"
#include "relay/stats.h"

#include <stdbool.h>
#include <stdint.h>

struct viofs_relay;

/** viofs_observe_stats() - as they are now; from memory shared by supervisor and worker. Any
 * process. */
void viofs_observe_stats(const struct viofs_relay *r, struct viofs_relay_stats *out);

/** viofs_observe_stage() - where the session stands. Any process. */
enum viofs_stage viofs_observe_stage(const struct viofs_relay *r);

/** viofs_observe_oldest_ns() - age of the oldest request in flight, 0 = none. Any process. */
int64_t viofs_observe_oldest_ns(const struct viofs_relay *r);

/**
 * viofs_observe_unanswered_ns() - age of the oldest request in flight that must be answered some
 * time Not so SETLKW, which may rightly wait for ever, nor what nobody waits for (FORGET,
 * INTERRUPT). 0 = none. Any process.
 */
int64_t viofs_observe_unanswered_ns(const struct viofs_relay *r);

/** viofs_observe_turns() - the turns that each lane's loop has had. Return: lanes. Any process. */
unsigned int viofs_observe_turns(const struct viofs_relay *r, uint64_t turns[VIOFS_LANES_MAX]);

/** viofs_observe_lanes() - how many there are. Any process. */
unsigned int viofs_observe_lanes(const struct viofs_relay *r);

/** viofs_observe_has_beat() - has each lane a turn each second, however little there is to do? Any
 * process. */
bool viofs_observe_has_beat(const struct viofs_relay *r);

/** viofs_observe_slots_used() - slots that hold a request now. Any process. */
unsigned int viofs_observe_slots_used(const struct viofs_relay *r);

/** viofs_observe_is_lost() - did viofs_relay_run() end because the device is gone? */
bool viofs_observe_is_lost(const struct viofs_relay *r);

#endif
