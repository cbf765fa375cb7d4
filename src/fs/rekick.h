/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a device that doesn't answer is notified again. */
/*
 * A kick may get lost: some back ends consume it before their ring is enabled. So whoever waits for
 * an answer kicks again, at intervals that double.
 */
#ifndef VIOFS_FS_REKICK_H
#define VIOFS_FS_REKICK_H

#include "base/util.h"

#include <stdbool.h>
#include <stdint.h>

/** First interval where the device has never answered, ns; and the longest one. */
#define VIOFS_REKICK_NEW_NS (10 * VIOFS_NSEC_PER_MSEC)
#define VIOFS_REKICK_MAX_NS (30 * VIOFS_NSEC_PER_SEC)
/** First interval where it has answered before. */
#define VIOFS_REKICK_NS (1 * VIOFS_NSEC_PER_SEC)

/** struct viofs_rekick - one waiter's; its thread's. ns */
struct viofs_rekick {
	int64_t due, interval;
};

/** viofs_rekick_start() - something was sent, or has come: from @now on nothing does. */
static inline void viofs_rekick_start(struct viofs_rekick *k, int64_t now, bool answered)
{
	k->interval = answered ? VIOFS_REKICK_NS : VIOFS_REKICK_NEW_NS;
	k->due = now + k->interval;
}

/** viofs_rekick_is_due() - is it time? Then the caller notifies the device, and the next time is
 * later. */
static inline bool viofs_rekick_is_due(struct viofs_rekick *k, int64_t now)
{
	if (now - k->due < 0)
		return false;
	k->interval = VIOFS_MIN(k->interval * 2, (int64_t)VIOFS_REKICK_MAX_NS);
	k->due = now + k->interval;
	return true;
}

#endif
