/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of the thread that leads a lane: completions, requests, and when there are neither, spin
 * or sleep.
 *
 * Going to sleep is: arm the interrupts, look at the rings once more (viofs_ring_arm() does), make
 * sure that the kernel's side is polled, sleep. A request that comes in between is seen by the
 * poll, a completion by the ring's event index: neither can be lost.
 */
#include "relay/serve.h"
#include "base/util.h"
#include "relay/complete.h"
#include "relay/intake.h"
#include "relay/interrupt.h"
#include "relay/lane.h"
#include "relay/observe.h"
#include "relay/outcome.h"
#include "relay/pump.h"
#include "relay/session.h"
#include "relay/spin.h"
#include "relay/tap.h"
#include "relay/watch.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

/* Requests that are read before completions get their turn. */
#define BATCH 32
/* FORGETs wait this long for company (hiprio.c). */
#define FORGETS_HELD_NS (1 * VIOFS_NSEC_PER_MSEC)
/* A lane that is busy looks at the clock once in so many turns. */
#define TURNS 256
/* How often a lane has a turn if nothing else shows that it is alive (viofs_observe_has_beat()).
 */
#define BEAT_NS (1 * VIOFS_NSEC_PER_SEC)
/* Without interrupts completions are looked for this often while the loop sleeps. */
#define NO_VECTOR_NS (1 * VIOFS_NSEC_PER_MSEC)

static void note_interrupts(struct viofs_lane *lane, unsigned int q, uint64_t n)
{
	lane->relay->stats->queues[q].interrupts += n;
	viofs_tap_interrupts(lane->capture, q, n);
}

/* Count the interrupts that have come since the last call, in a wait or in a flush. */
static void count_interrupts(struct viofs_lane *lane)
{
	struct viofs_relay *r = lane->relay;
	struct viofs_loop *l = &lane->loop;

	for (unsigned int i = 0; i < l->count; i++) {
		const int fd = l->fds[i].fd;
		uint64_t n;

		if (l->fds[i].mode != VIOFS_LOOP_COUNTER)
			continue;
		n = viofs_loop_fired(l, i);
		if (!n)
			continue;
		if (lane->hiprio && r->fs->queues[VIOFS_FS_HIPRIO].interrupt_fd == fd)
			note_interrupts(lane, VIOFS_FS_HIPRIO, n);
		for (unsigned int k = 0; k < lane->queue_count; k++)
			if (r->fs->queues[lane->queues[k]].interrupt_fd == fd)
				note_interrupts(lane, lane->queues[k], n);
	}
}

/* How long the loop may sleep with nothing happening, in ns. Return: -1: as long as nothing does.
 */
static int64_t sleep_time(const struct viofs_lane *lane)
{
	const bool in_flight = viofs_lane_in_flight(lane);
	int64_t until = in_flight ? lane->rekick.due : INT64_MAX;

	if (in_flight && !lane->relay->fs->vectors)
		return NO_VECTOR_NS;
	/* Requests that this lane keeps may wait for something that another lane has. */
	if (lane->relay->config.timeout_ms &&
	    (in_flight || lane->waiting.count || lane->parked.count))
		until = VIOFS_MIN(until, lane->next_due);
	if (viofs_pump_is_full(lane))
		until = VIOFS_MIN(until, lane->next_peek);
	if (lane->hiprio)
		until = VIOFS_MIN(
			until, atomic_load_explicit(&lane->hiprio->next_due, memory_order_relaxed));
	if (viofs_observe_has_beat(lane->relay))
		until = VIOFS_MIN(until, viofs_now_ns() + BEAT_NS);
	return until == INT64_MAX ? -1 : VIOFS_MAX(until - viofs_now_ns(), 0);
}

/* Have the device interrupt. Return: true where completions came in meanwhile. */
static bool arm(struct viofs_lane *lane)
{
	bool used = lane->hiprio && viofs_hiprio_arm(lane->relay);

	for (unsigned int i = 0; i < lane->queue_count; i++)
		used |= viofs_ring_arm(viofs_lane_ring(lane, i));
	return used;
}

static void disarm(struct viofs_lane *lane)
{
	if (lane->hiprio)
		viofs_hiprio_disarm(lane->relay);
	for (unsigned int i = 0; i < lane->queue_count; i++)
		viofs_ring_disarm(viofs_lane_ring(lane, i));
}

/* Beside entries the first lane alone reads /dev/fuse. */
static bool polls_fuse(const struct viofs_lane *lane)
{
	bool reads =
		viofs_lane_is_first(lane) || lane->relay->stats->channel != VIOFS_CHANNEL_URING;

	return reads && !viofs_pump_is_full(lane);
}

/* Return: 0, or -errno: waiting fails, or the device is gone. */
static int go_to_sleep(struct viofs_lane *lane)
{
	int rc = 0;

	viofs_hiprio_kick_forgets(lane->relay);
	lane->poll_first = false;
	viofs_loop_enable(&lane->loop, VIOFS_LANE_FUSE, polls_fuse(lane));
	if (!arm(lane)) {
		lane->stats->sleeps++;
		rc = viofs_loop_wait(&lane->loop, sleep_time(lane));
		count_interrupts(lane);
		if (!rc || rc == -ETIME)
			rc = viofs_watch_event(lane);
		else
			rc = viofs_outcome_break(lane->relay, "waiting by %s: %s",
						 viofs_loop_name(lane->relay->config.loop),
						 strerror(-rc));
	}
	disarm(lane);
	return rc;
}

/* Nothing to do right now. Return: 0, or -errno. */
static int idle(struct viofs_lane *lane, int64_t since, int64_t now)
{
	struct viofs_hiprio *hiprio = &lane->relay->hiprio;
	bool in_flight = viofs_lane_in_flight(lane);
	int rc;

	if (now - since >= viofs_spin_budget(lane, now)) {
		lane->spun = 0;
		rc = go_to_sleep(lane);
		lane->now = viofs_now_ns();
		if (!in_flight)
			viofs_spin_learn(lane, lane->now - now);
		return rc;
	}
	lane->spun = now;
	if (viofs_hiprio_forgets_held(hiprio) &&
	    now - atomic_load_explicit(&hiprio->forgets_since, memory_order_relaxed) >=
		    FORGETS_HELD_NS)
		viofs_hiprio_kick_forgets(lane->relay);
	viofs_spin_look(lane);
	/* Whoever makes the next request may be waiting for this CPU. While an answer is due it
	 * isn't given up: that takes longer than the answer. */
	if (!viofs_spin_waits_for_device(lane))
		sched_yield();
	return 0;
}

/*
 * Give answered entries back, take what the ring has. With poll=irq what is to be submitted goes
 * with the wait, which comes when there is nothing else. The first lane has the ring tell it of
 * what comes over /dev/fuse, FORGETs and INTERRUPTs, for as long as it doesn't sleep. Return: 0;
 * -errno, as viofs_serve().
 */
static int turn_ring(struct viofs_lane *lane)
{
	bool submit = lane->entries.active && lane->relay->config.poll != VIOFS_POLL_IRQ;
	int rc = 0;

	if (submit && viofs_lane_is_first(lane))
		viofs_loop_arm(&lane->loop, VIOFS_LANE_FUSE);
	if (submit || viofs_loop_has_news(&lane->loop)) {
		rc = viofs_loop_flush(&lane->loop);
		count_interrupts(lane);
	}
	if (rc)
		return viofs_outcome_break(lane->relay, "submitting to io_uring: %s",
					   strerror(-rc));
	if (viofs_entries_are_lost(lane))
		return viofs_outcome_break(lane->relay,
					   "the kernel refused a command of FUSE over io_uring: %s",
					   strerror(-lane->entries.failed));
	return 0;
}

/*
 * Is /dev/fuse known to be empty? While a poll of it is armed in an io_uring it is. With epoll only
 * the last wait knows. That will do with poll=irq and one request at a time: the next wait comes
 * soon.
 */
static bool is_silent(const struct viofs_lane *lane)
{
	return lane->relay->config.poll == VIOFS_POLL_IRQ && !lane->several
		       ? viofs_loop_was_silent(&lane->loop, VIOFS_LANE_FUSE)
		       : viofs_loop_is_silent(&lane->loop, VIOFS_LANE_FUSE);
}

/*
 * Is there any use in reading /dev/fuse, which is a system call? Beside entries only FORGETs,
 * INTERRUPTs and the end come there, and the first lane always has a poll of it armed.
 */
static bool must_read(struct viofs_lane *lane)
{
	bool due = lane->entries.closed || viofs_pump_is_full(lane) ||
		   lane->relay->stats->channel != VIOFS_CHANNEL_URING;

	if (lane->poll_first || is_silent(lane))
		return false;
	due |= viofs_loop_fired(&lane->loop, VIOFS_LANE_FUSE) > 0;
	lane->entries.closed = false;
	return due;
}

/*
 * With poll=irq and one request at a time the next look would find nothing: the poll, which is to
 * be armed again anyway, tells whether there is more.
 */
static int read_requests(struct viofs_lane *lane)
{
	bool alone = !viofs_lane_in_flight(lane), one;
	int taken;

	if (!must_read(lane))
		return 0;
	one = lane->relay->config.poll == VIOFS_POLL_IRQ && alone && !lane->several;
	taken = viofs_pump_requests(lane, one ? 1 : BATCH);
	lane->poll_first = one && taken == 1;
	lane->several = !alone || taken > 1;
	return taken;
}

/*
 * Completions, and then requests. Return: how many of both; -ESHUTDOWN: the kernel has unmounted or
 * aborted; -errno otherwise, as viofs_serve().
 */
static int run_turn(struct viofs_lane *lane)
{
	int completed, taken, rc;

	completed = viofs_complete(lane);
	if (completed < 0)
		return completed;
	viofs_pump_kept(lane);
	if (viofs_mailbox_has_mail(&lane->mailbox))
		viofs_interrupt_handle_mail(lane);
	rc = turn_ring(lane);
	if (rc)
		return rc;
	completed += viofs_intake(lane);
	taken = read_requests(lane);
	if (taken == -ENODEV || taken == -ECONNABORTED)
		return -ESHUTDOWN;
	if (taken < 0)
		return viofs_outcome_break(lane->relay, "reading /dev/fuse: %s", strerror(-taken));
	/* /dev/fuse was just found empty: the answer comes next. */
	if (taken && lane->relay->config.poll != VIOFS_POLL_IRQ)
		viofs_spin_look(lane);
	return completed + taken;
}

int viofs_serve(struct viofs_lane *lane)
{
	int64_t now = viofs_now_ns(), since = now; /* of the last thing that happened */
	unsigned int turns = 0;
	int done, rc;

	rc = viofs_complete_left(lane);
	if (rc)
		return rc;
	lane->now = now;
	viofs_watch_begin(lane, now);
	for (;;) {
		lane->stats->turns++;
		done = run_turn(lane);
		if (done < 0)
			return done == -ESHUTDOWN ? 0 : done;
		if (done) {
			since = lane->spun = 0;
			if (++turns % TURNS)
				continue;
		}
		lane->now = now = viofs_now_ns();
		rc = viofs_watch_bounds(lane, now);
		if (done && !rc)
			continue;
		if (!since) {
			since = now;
			viofs_watch_begin(lane, now);
		}
		if (!rc && viofs_lane_in_flight(lane))
			viofs_watch_answers(lane, now);
		if (!rc)
			rc = idle(lane, since, now);
		if (rc)
			return rc;
	}
}
