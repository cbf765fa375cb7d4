/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long a lane spins, and what it looks at meanwhile. */
#include "relay/spin.h"
#include "base/barrier.h"
#include "base/util.h"
#include "relay/hiprio.h"
#include "relay/lane.h"
#include "relay/session.h"

#include <sys/resource.h>

/*
 * Looks at the used rings between two looks at /dev/fuse, which cost a system call each, and a lock
 * that callers want. Not every look pauses the CPU: a guest's may leave the guest for it.
 */
#define LOOKS 512
#define LOOKS_TO_A_PAUSE 16
/* Times spin_us: how long an answer is waited for before sleeping. */
#define IN_FLIGHT_FACTOR 10
/* Times spin_us: how long the next request is waited for, where a little more would have been
 * enough. */
#define SPIN_FACTOR_MAX 5
/* If a spinning thread was off the CPU for this long, others want it. Then it doesn't spin for
 * NO_SPIN_NS. */
#define AWAY_NS (1 * VIOFS_NSEC_PER_MSEC)
#define NO_SPIN_NS (20 * VIOFS_NSEC_PER_MSEC)

/* How many of the messages in flight the device was not notified of yet. */
static unsigned int held_back(const struct viofs_lane *lane)
{
	return lane->hiprio ? viofs_hiprio_forgets_held(lane->hiprio) : 0;
}

bool viofs_spin_waits_for_device(const struct viofs_lane *lane)
{
	return viofs_lane_in_flight(lane) > held_back(lane);
}

void viofs_spin_look(const struct viofs_lane *lane)
{
	/* With nothing in flight only a read of /dev/fuse brings news, and this function doesn't
	 * read it. */
	if (!viofs_spin_waits_for_device(lane) &&
	    lane->relay->stats->channel != VIOFS_CHANNEL_URING)
		return;
	for (int i = 1;
	     i <= LOOKS && !viofs_lane_has_used(lane) && !viofs_loop_has_news(&lane->loop); i++)
		if (i % LOOKS_TO_A_PAUSE == 0)
			viofs_cpu_relax();
}

/*
 * Did this thread lose its CPU while it spun? Then the thread that it waits for may need that CPU
 * as well, and it is time to sleep. A virtual CPU that stood still is no reason; the scheduler's
 * count tells the difference.
 */
static void notice_rivals(struct viofs_lane *lane, int64_t now)
{
	struct rusage usage;

	if (!lane->spun || now - lane->spun < AWAY_NS || getrusage(RUSAGE_THREAD, &usage))
		return;
	if (usage.ru_nivcsw != lane->switches)
		lane->no_spin = now + NO_SPIN_NS;
	lane->switches = usage.ru_nivcsw;
}

/*
 * How long it is worth to spin for the next request: longer, step by step, where sleeps are short,
 * since being woken costs both sides more than what is left to wait then. After a long sleep don't
 * spin at all, not for the answer either: for such rare requests interrupts are as good, and others
 * get the CPU.
 */
void viofs_spin_learn(struct viofs_lane *lane, int64_t slept)
{
	int64_t spin = lane->relay->config.spin_us * VIOFS_NSEC_PER_USEC,
		most = SPIN_FACTOR_MAX * spin;

	lane->spin = slept < most ? VIOFS_MIN(VIOFS_MAX(2 * lane->spin, spin), most) : 0;
}

int64_t viofs_spin_budget(struct viofs_lane *lane, int64_t now)
{
	const struct viofs_relay_config *c = &lane->relay->config;

	if (c->poll == VIOFS_POLL_BUSY)
		return INT64_MAX;
	if (c->poll == VIOFS_POLL_IRQ)
		return 0;
	notice_rivals(lane, now);
	if (now - lane->no_spin < 0 || !lane->spin)
		return 0;
	/* An answer is near, and being woken for it costs more (1 MiB takes a device some hundred
	 * us). */
	return viofs_lane_in_flight(lane) ? c->spin_us * VIOFS_NSEC_PER_USEC * IN_FLIGHT_FACTOR
					  : lane->spin;
}
