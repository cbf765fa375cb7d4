/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of the thread that leads a lane: completions, requests, and when there are neither, spin
 * or sleep.
 *
 * Going to sleep is: arm the interrupts, look at the rings once more (viofs_ring_arm() does), make
 * sure that the kernel's side is polled, sleep. A request that comes in between is seen by the
 * poll, a completion by the ring's event index: neither can be lost.
 */
#include "relay/session.h"
#include "base/barrier.h"
#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

/* Requests taken before completions get their turn. */
#define BATCH 32
/*
 * Looks at the used rings between two looks at /dev/fuse, which cost a system call each, and a lock
 * that callers want. Not every look pauses the CPU: a guest's may leave the guest for it.
 */
#define LOOKS 512
#define LOOKS_TO_A_PAUSE 16
/* FORGETs wait this long for company (submit.c). */
#define FORGETS_HELD_NS (1 * VIOFS_NSEC_PER_MSEC)
/* Times spin_us: how long an answer is waited for before sleeping. */
#define IN_FLIGHT_FACTOR 10
/* Times spin_us: how long the next request is waited for, where a little more would have been
 * enough. */
#define SPIN_FACTOR_MAX 5
/* A request without an answer for this long: perhaps the notification got lost. */
#define REKICK_FIRST_NS (1 * VIOFS_NSEC_PER_SEC)
#define REKICK_MAX_NS (30 * VIOFS_NSEC_PER_SEC)
/* ... and for this long: said in the log, once. */
#define STALL_NS (30 * VIOFS_NSEC_PER_SEC)
/* With nothing but traffic the clock is looked at once in so many turns. */
#define TURNS 256
/* A spinning thread that was away for so long has rivals for its CPU; for so long it then doesn't
 * spin. */
#define AWAY_NS (1 * VIOFS_NSEC_PER_MSEC)
#define NO_SPIN_NS (20 * VIOFS_NSEC_PER_MSEC)
/* How often /dev/fuse is looked at where requests come over io_uring: for FORGETs and the end. */
#define READ_NS (1 * VIOFS_NSEC_PER_MSEC)
/* How often it is made sure that the device is there, while nothing sleeps. */
#define LOOK_NS (20 * VIOFS_NSEC_PER_MSEC)
/* How often a lane has a turn where nothing else shows that it is alive (viofs_relay_has_beat()).
 */
#define BEAT_NS (1 * VIOFS_NSEC_PER_SEC)
/* Without interrupts completions are looked for this often while the loop sleeps. */
#define NO_VECTOR_NS (1 * VIOFS_NSEC_PER_MSEC)

static struct viofs_ring *ring_of(const struct viofs_lane *lane, unsigned int i)
{
	return &lane->relay->fs->queues[lane->queues[i]].ring;
}

unsigned int viofs_in_flight(const struct viofs_lane *lane)
{
	unsigned int n = 0;

	if (!lane->index)
		n = atomic_load_explicit(&lane->relay->hiprio.in_flight, memory_order_relaxed);
	for (unsigned int i = 0; i < lane->queue_count; i++)
		n += ring_of(lane, i)->shadow->in_flight;
	return n;
}

/* Of those, what the device was not notified of yet. */
static unsigned int held_back(const struct viofs_lane *lane)
{
	return lane->index ? 0 : viofs_hiprio_forgets_held(&lane->relay->hiprio);
}

static bool has_used(const struct viofs_lane *lane)
{
	for (unsigned int i = 0; i < lane->queue_count; i++)
		if (viofs_ring_has_used(ring_of(lane, i)))
			return true;
	return !lane->index && viofs_ring_has_used(&lane->relay->fs->queues[VIOFS_FS_HIPRIO].ring);
}

static void watch_begin(struct viofs_lane *lane, int64_t now)
{
	lane->rekick_interval = REKICK_FIRST_NS;
	lane->next_rekick = now + REKICK_FIRST_NS;
	lane->stall_said = false;
}

/* Nothing came back for a while: kick again, and say it once. */
static void watch(struct viofs_lane *lane, int64_t now)
{
	int64_t oldest;

	if (now - lane->next_rekick < 0)
		return;
	if (!lane->index)
		viofs_hiprio_kick_again(lane->relay);
	for (unsigned int i = 0; i < lane->queue_count; i++)
		if (ring_of(lane, i)->shadow->in_flight)
			viofs_fs_kick_always(lane->relay->fs, lane->queues[i]);
	oldest = viofs_lane_unanswered_ns(lane);
	if (!lane->stall_said && oldest >= STALL_NS) {
		lane->stall_said = true;
		viofs_warn("no answer from the device for more than %lld s, %u requests in flight",
			   (long long)(oldest / VIOFS_NSEC_PER_SEC), viofs_in_flight(lane));
	}
	lane->rekick_interval = VIOFS_MIN(lane->rekick_interval * 2, (int64_t)REKICK_MAX_NS);
	lane->next_rekick = now + lane->rekick_interval;
}

/* Age of the oldest request that must be answered some time, parked ones too. */
static int64_t oldest_unanswered(const struct viofs_lane *lane, int64_t now)
{
	int64_t oldest = viofs_lane_unanswered_ns(lane);

	return lane->parked.first ? VIOFS_MAX(oldest, now - lane->parked.first->since) : oldest;
}

/*
 * Has anybody waited for longer than the user allows? Whoever came after this look is due a whole
 * timeout_ms from now, and who was there before at next_due: so looks are as rare as time-outs.
 */
static int check_due(struct viofs_lane *lane, int64_t now)
{
	int64_t limit = lane->relay->config.timeout_ms * VIOFS_NSEC_PER_MSEC, oldest, full;

	if (!limit || now - lane->next_due < 0)
		return 0;
	oldest = oldest_unanswered(lane, now);
	full = lane->index ? 0 : viofs_hiprio_full_ns(&lane->relay->hiprio, now);
	if (full >= limit)
		return viofs_break(
			lane->relay, "the device has taken no FORGET for %.1f s (timeout=%u)",
			(double)full / VIOFS_NSEC_PER_SEC, lane->relay->config.timeout_ms / 1000);
	if (oldest >= limit)
		return viofs_break(
			lane->relay,
			"a request has had no answer for %.1f s (timeout=%u), %u are in flight",
			(double)oldest / VIOFS_NSEC_PER_SEC, lane->relay->config.timeout_ms / 1000,
			viofs_in_flight(lane));
	lane->next_due = now + limit - VIOFS_MAX(oldest, full);
	return 0;
}

/*
 * Return: 0; -ENODEV: the device is gone; -EPROTO: a queue broke, or somebody waits too long;
 * -ECANCELED: another lane has come to its end.
 */
static int check_bounds(struct viofs_lane *lane, int64_t now)
{
	const char *broken = viofs_notify_broken(lane->relay), *lost;

	if (viofs_team_is_stopping(&lane->relay->team))
		return -ECANCELED;
	if (broken)
		return viofs_break(lane->relay, "notification queue: %s", broken);
	if (now - lane->next_look >= 0) {
		lane->next_look = now + LOOK_NS;
		lost = viofs_device_lost(lane->relay);
		if (lost)
			return viofs_lose(lane->relay, lost);
	}
	return check_due(lane, now);
}

/* Those that were taken since it was last asked, by waiting or by the way. */
static void count_interrupts(struct viofs_lane *lane)
{
	struct viofs_relay *r = lane->relay;

	for (unsigned int i = 0; i < lane->sleep.count; i++) {
		struct viofs_sleep_fd *f = &lane->sleep.fds[i];

		if (!f->woke || !f->counter)
			continue;
		f->woke = false;
		if (!lane->index && r->fs->queues[VIOFS_FS_HIPRIO].interrupt_fd == f->fd)
			r->stats->queues[VIOFS_FS_HIPRIO].interrupts += f->value;
		for (unsigned int k = 0; k < lane->queue_count; k++)
			if (r->fs->queues[lane->queues[k]].interrupt_fd == f->fd)
				r->stats->queues[lane->queues[k]].interrupts += f->value;
	}
}

/* Did the device's own descriptor end the sleep, and is the device gone? */
static int check_event(struct viofs_lane *lane)
{
	const char *lost;

	for (unsigned int i = 0; i < lane->sleep.count; i++) {
		const struct viofs_sleep_fd *f = &lane->sleep.fds[i];

		if (!f->woke || f->fd < 0 || f->fd != lane->relay->fs->virtio->event_fd)
			continue;
		lost = viofs_device_lost(lane->relay);
		return lost ? viofs_lose(lane->relay, lost) : 0;
	}
	return 0;
}

/* How long the loop may sleep with nothing happening, in ns. Return: -1: as long as nothing does.
 */
static int64_t sleep_time(const struct viofs_lane *lane)
{
	const bool in_flight = viofs_in_flight(lane);
	int64_t until = in_flight ? lane->next_rekick : INT64_MAX;

	if (in_flight && !lane->relay->fs->vectors)
		return NO_VECTOR_NS;
	/* Others may have what those wait for that this lane keeps. */
	if (lane->relay->config.timeout_ms &&
	    (in_flight || lane->waiting.count || lane->parked.count))
		until = VIOFS_MIN(until, lane->next_due);
	if (viofs_pump_is_full(lane))
		until = VIOFS_MIN(until, lane->next_peek);
	if (!lane->index)
		until = VIOFS_MIN(until, atomic_load_explicit(&lane->relay->hiprio.next_due,
							      memory_order_relaxed));
	if (viofs_relay_has_beat(lane->relay))
		until = VIOFS_MIN(until, viofs_now_ns() + BEAT_NS);
	return until == INT64_MAX ? -1 : VIOFS_MAX(until - viofs_now_ns(), 0);
}

/* Have the device interrupt. Return: true where completions came in meanwhile. */
static bool arm(struct viofs_lane *lane)
{
	bool used = !lane->index && viofs_hiprio_arm(lane->relay);

	for (unsigned int i = 0; i < lane->queue_count; i++)
		used |= viofs_ring_arm(ring_of(lane, i));
	return used;
}

static void disarm(struct viofs_lane *lane)
{
	if (!lane->index)
		viofs_hiprio_disarm(lane->relay);
	for (unsigned int i = 0; i < lane->queue_count; i++)
		viofs_ring_disarm(ring_of(lane, i));
}

/* Return: 0, or -errno: the ring fails, or the device is gone. */
static int go_to_sleep(struct viofs_lane *lane)
{
	int rc = 0;

	viofs_hiprio_kick_forgets(lane->relay);
	lane->poll_first = false;
	lane->sleep.fds[VIOFS_SLEEP_FUSE].paused = viofs_pump_is_full(lane);
	if (!arm(lane)) {
		lane->stats->sleeps++;
		rc = viofs_sleep_wait(&lane->sleep, sleep_time(lane));
		count_interrupts(lane);
		if (!rc || rc == -ETIME)
			rc = check_event(lane);
		else
			rc = viofs_break(lane->relay, "waiting on io_uring: %s", strerror(-rc));
	}
	disarm(lane);
	return rc;
}

static bool waits_for_device(const struct viofs_lane *lane)
{
	return viofs_in_flight(lane) > held_back(lane);
}

/* Watch the used rings for a while: cheap, where a look at /dev/fuse is a system call. */
static void look(const struct viofs_lane *lane)
{
	/* With nothing in flight only /dev/fuse can bring something; nothing here changes what is.
	 */
	if (!waits_for_device(lane) && lane->relay->stats->channel != VIOFS_CHANNEL_URING)
		return;
	for (int i = 1; i <= LOOKS && !has_used(lane) && !viofs_sleep_has_news(&lane->sleep); i++)
		if (i % LOOKS_TO_A_PAUSE == 0)
			viofs_cpu_relax();
}

/*
 * Was this thread taken the CPU from while it spun? Then whoever it waits for may lack that CPU as
 * well, and it is time to sleep. A virtual CPU that stood still is no reason: the scheduler's count
 * tells.
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
 * since being woken costs both sides more than what is left to wait then. After a long one not at
 * all, nor for the answer: who asks so rarely is served as well by interrupts, and the CPU is left
 * to others.
 */
static void learn_spin(struct viofs_lane *lane, int64_t slept)
{
	int64_t spin = lane->relay->config.spin_us * VIOFS_NSEC_PER_USEC,
		most = SPIN_FACTOR_MAX * spin;

	lane->spin = slept < most ? VIOFS_MIN(VIOFS_MAX(2 * lane->spin, spin), most) : 0;
}

/* Return: ns to go on spinning for, in all, before sleeping. */
static int64_t spin_budget(struct viofs_lane *lane, int64_t now)
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
	return viofs_in_flight(lane) ? c->spin_us * VIOFS_NSEC_PER_USEC * IN_FLIGHT_FACTOR
				     : lane->spin;
}

/* Nothing to do right now. Return: 0, or -errno. */
static int idle(struct viofs_lane *lane, int64_t since, int64_t now)
{
	struct viofs_hiprio *hiprio = &lane->relay->hiprio;
	bool in_flight = viofs_in_flight(lane);
	int rc;

	if (now - since >= spin_budget(lane, now)) {
		lane->spun = 0;
		rc = go_to_sleep(lane);
		if (!in_flight)
			learn_spin(lane, viofs_now_ns() - now);
		return rc;
	}
	lane->spun = now;
	if (viofs_hiprio_forgets_held(hiprio) &&
	    now - atomic_load_explicit(&hiprio->forgets_since, memory_order_relaxed) >=
		    FORGETS_HELD_NS)
		viofs_hiprio_kick_forgets(lane->relay);
	look(lane);
	/* Whoever is to ask next may be waiting for this CPU. Giving it up takes longer than an
	 * answer does, though. */
	if (!waits_for_device(lane))
		sched_yield();
	return 0;
}

/*
 * Give answered entries back, take what the ring has. With poll=irq what is to be submitted goes
 * with the wait, which comes when there is nothing else. Return: 0; -errno, as viofs_serve().
 */
static int turn_ring(struct viofs_lane *lane)
{
	bool submit = lane->entries.active && lane->relay->config.poll != VIOFS_POLL_IRQ;
	int rc = 0;

	if (submit || viofs_sleep_has_news(&lane->sleep)) {
		rc = viofs_sleep_flush(&lane->sleep);
		count_interrupts(lane);
	}
	if (rc)
		return viofs_break(lane->relay, "submitting to io_uring: %s", strerror(-rc));
	if (viofs_entries_are_lost(lane))
		return viofs_break(lane->relay,
				   "the kernel refused a command of FUSE over io_uring: %s",
				   strerror(-lane->entries.failed));
	return 0;
}

/*
 * Is there any use in reading /dev/fuse, which is a system call? Not while the ring waits for it: a
 * poll that has not fired says that it is empty. Beside entries only FORGETs come there, for lane
 * 0, and the end.
 */
static bool must_read(struct viofs_lane *lane)
{
	bool due = (lane->read_now && !lane->index) || lane->entries.closed ||
		   lane->relay->stats->channel != VIOFS_CHANNEL_URING;

	if (lane->sleep.fds[VIOFS_SLEEP_FUSE].outstanding || lane->poll_first)
		return false;
	due |= lane->sleep.fds[VIOFS_SLEEP_FUSE].woke;
	lane->sleep.fds[VIOFS_SLEEP_FUSE].woke = lane->entries.closed = lane->read_now = false;
	return due;
}

/*
 * With poll=irq and one request at a time the next look would find nothing: the poll, which is to
 * be armed again anyway, tells whether there is more.
 */
static int read_requests(struct viofs_lane *lane)
{
	bool alone = !viofs_in_flight(lane), one;
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
static int take_turn(struct viofs_lane *lane)
{
	int completed, taken, rc;

	completed = viofs_complete(lane);
	if (completed < 0)
		return completed;
	viofs_pump_kept(lane);
	if (viofs_mailbox_has_mail(&lane->mailbox))
		viofs_hiprio_take_mail(lane);
	rc = turn_ring(lane);
	if (rc)
		return rc;
	completed += viofs_pump_entries(lane);
	taken = read_requests(lane);
	if (taken == -ENODEV || taken == -ECONNABORTED)
		return -ESHUTDOWN;
	if (taken < 0)
		return viofs_break(lane->relay, "reading /dev/fuse: %s", strerror(-taken));
	/* /dev/fuse was just found empty: the answer comes next. */
	if (taken && lane->relay->config.poll != VIOFS_POLL_IRQ)
		look(lane);
	return completed + taken;
}

int viofs_serve(struct viofs_lane *lane)
{
	int64_t now = viofs_now_ns(), since = now; /* of the last thing that happened */
	unsigned int turns = 0;
	int done, rc;

	watch_begin(lane, now);
	for (;;) {
		lane->stats->turns++;
		done = take_turn(lane);
		if (done < 0)
			return done == -ESHUTDOWN ? 0 : done;
		if (done) {
			since = lane->spun = 0;
			if (++turns % TURNS)
				continue;
		}
		now = viofs_now_ns();
		if (now - lane->next_read >= 0) {
			lane->next_read = now + READ_NS;
			lane->read_now = true;
		}
		rc = check_bounds(lane, now);
		if (done && !rc)
			continue;
		if (!since) {
			since = now;
			watch_begin(lane, now);
		}
		if (!rc && viofs_in_flight(lane))
			watch(lane, now);
		if (!rc)
			rc = idle(lane, since, now);
		if (rc)
			return rc;
	}
}
