/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of the thread that leads: completions, requests, and when there are neither, spin or sleep.
 *
 * Going to sleep is: arm the interrupts, look at the rings once more (viofs_ring_arm() does), make sure
 * that the kernel's side is polled, sleep. A request that comes in between is seen by the poll, a
 * completion by the ring's event index: neither can be lost.
 */
#include "relay/session.h"
#include "base/barrier.h"
#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

/* Requests taken before completions get their turn. */
#define BATCH 32
/*
 * Looks at the used rings between two looks at /dev/fuse, which cost a system call each, and a lock that
 * callers want. Not every look pauses the CPU: a guest's may leave the guest for it.
 */
#define LOOKS 512
#define LOOKS_TO_A_PAUSE 16
/* FORGETs wait this long for company (submit.c). */
#define FORGETS_HELD_NS (1 * VIOFS_NSEC_PER_MSEC)
/* Times spin_us: how long an answer is waited for before sleeping. */
#define IN_FLIGHT_FACTOR 10
/* Times spin_us: how long the next request is waited for, where a little more would have been enough. */
#define SPIN_FACTOR_MAX 5
/* A request without an answer for this long: perhaps the notification got lost. */
#define REKICK_FIRST_NS (1 * VIOFS_NSEC_PER_SEC)
#define REKICK_MAX_NS (30 * VIOFS_NSEC_PER_SEC)
/* ... and for this long: said in the log, once. */
#define STALL_NS (30 * VIOFS_NSEC_PER_SEC)
/* With nothing but traffic the clock is looked at once in so many turns. */
#define TURNS 256
/* A spinning thread that was away for so long has rivals for its CPU; for so long it then doesn't spin. */
#define AWAY_NS (1 * VIOFS_NSEC_PER_MSEC)
#define NO_SPIN_NS (20 * VIOFS_NSEC_PER_MSEC)
/* How often /dev/fuse is looked at where requests come over io_uring: for FORGETs and the end. */
#define READ_NS (1 * VIOFS_NSEC_PER_MSEC)
/* How often it is made sure that the device is there, while nothing sleeps. */
#define LOOK_NS (20 * VIOFS_NSEC_PER_MSEC)
/* Without interrupts completions are looked for this often while the loop sleeps. */
#define NO_VECTOR_NS (1 * VIOFS_NSEC_PER_MSEC)

unsigned int viofs_in_flight(const struct viofs_relay *r)
{
	unsigned int n = 0;

	for (unsigned int q = 0; q < r->fs->queue_count; q++)
		n += r->fs->queues[q].ring.in_flight;
	return n;
}

const char *viofs_device_lost(struct viofs_relay *r)
{
	return viofs_virtio_is_lost(r->fs->virtio);
}

static bool has_used(const struct viofs_relay *r)
{
	for (unsigned int q = 0; q < r->fs->queue_count; q++)
		if (viofs_ring_has_used(&r->fs->queues[q].ring))
			return true;
	return false;
}

static void watch_begin(struct viofs_relay *r, int64_t now)
{
	r->rekick_interval = REKICK_FIRST_NS;
	r->next_rekick = now + REKICK_FIRST_NS;
	r->stall_said = false;
}

/* Nothing came back for a while: kick again, and say it once. */
static void watch(struct viofs_relay *r, int64_t now)
{
	int64_t oldest;

	if (now - r->next_rekick < 0)
		return;
	for (unsigned int q = 0; q < r->fs->queue_count; q++)
		if (r->fs->queues[q].ring.in_flight)
			viofs_fs_kick_always(r->fs, q);
	oldest = viofs_relay_unanswered_ns(r);
	if (!r->stall_said && oldest >= STALL_NS) {
		r->stall_said = true;
		viofs_warn("no answer from the device for more than %lld s, %u requests in flight",
			   (long long)(oldest / VIOFS_NSEC_PER_SEC), viofs_in_flight(r));
	}
	r->rekick_interval = VIOFS_MIN(r->rekick_interval * 2, (int64_t)REKICK_MAX_NS);
	r->next_rekick = now + r->rekick_interval;
}

/* Age of the oldest request that must be answered some time, parked ones too. */
static int64_t oldest_unanswered(const struct viofs_relay *r, int64_t now)
{
	int64_t oldest = viofs_relay_unanswered_ns(r);

	for (const struct viofs_parked *p = r->parked.first; p; p = p->next)
		if (!p->may_wait)
			oldest = VIOFS_MAX(oldest, now - p->since);
	return oldest;
}

/*
 * Has anybody waited for longer than the user allows? Whoever came after this look is due a whole
 * timeout_ms from now, and who was there before at next_due: so looks are as rare as time-outs.
 */
static int check_due(struct viofs_relay *r, int64_t now)
{
	int64_t limit = r->config.timeout_ms * VIOFS_NSEC_PER_MSEC, oldest;

	if (!limit || now - r->next_due < 0)
		return 0;
	oldest = oldest_unanswered(r, now);
	if (oldest >= limit)
		return viofs_break(r, "a request has had no answer for %.1f s (timeout=%u), %u are in flight",
				   (double)oldest / VIOFS_NSEC_PER_SEC, r->config.timeout_ms / 1000,
				   viofs_in_flight(r));
	r->next_due = now + limit - oldest;
	return 0;
}

/* Return: 0; -ENODEV: the device is gone; -EPROTO: a queue broke, or somebody waits too long. */
static int check_bounds(struct viofs_relay *r, int64_t now)
{
	const char *broken = viofs_notify_broken(r), *lost;

	if (broken)
		return viofs_break(r, "notification queue: %s", broken);
	if (now - r->next_look >= 0) {
		r->next_look = now + LOOK_NS;
		lost = viofs_device_lost(r);
		if (lost)
			return viofs_lose(r, lost);
	}
	return check_due(r, now);
}

static void count_interrupts(struct viofs_relay *r)
{
	for (unsigned int i = 0; i < r->sleep.count; i++) {
		const struct viofs_sleep_fd *f = &r->sleep.fds[i];

		if (!f->woke || !f->counter)
			continue;
		for (unsigned int q = 0; q < r->fs->queue_count; q++)
			if (r->fs->queues[q].interrupt_fd == f->fd)
				r->stats->queues[q].interrupts += f->value;
	}
}

/* Did the device's own descriptor end the sleep, and is the device gone? */
static int check_event(struct viofs_relay *r)
{
	const char *lost;

	for (unsigned int i = 0; i < r->sleep.count; i++) {
		const struct viofs_sleep_fd *f = &r->sleep.fds[i];

		if (!f->woke || f->fd < 0 || f->fd != r->fs->virtio->event_fd)
			continue;
		lost = viofs_device_lost(r);
		return lost ? viofs_lose(r, lost) : 0;
	}
	return 0;
}

/* How long the loop may sleep with nothing happening, in ns. Return: -1: as long as nothing does. */
static int64_t sleep_time(const struct viofs_relay *r)
{
	int64_t now = viofs_now_ns(), until = r->next_rekick;

	if (!viofs_in_flight(r))
		return -1;
	if (!r->fs->vectors)
		return NO_VECTOR_NS;
	if (r->config.timeout_ms)
		until = VIOFS_MIN(until, r->next_due);
	return VIOFS_MAX(until - now, 0);
}

/* Return: 0, or -errno: of the ring, or the device is gone. */
static int go_to_sleep(struct viofs_relay *r)
{
	bool used = false;
	int rc = 0;

	viofs_kick_forgets(r);
	r->poll_first = false;
	for (unsigned int q = 0; q < r->fs->queue_count; q++)
		used |= viofs_ring_arm(&r->fs->queues[q].ring);
	if (!used) {
		r->stats->sleeps++;
		rc = viofs_sleep_wait(&r->sleep, sleep_time(r));
		count_interrupts(r);
		if (!rc || rc == -ETIME)
			rc = check_event(r);
	}
	for (unsigned int q = 0; q < r->fs->queue_count; q++)
		viofs_ring_disarm(&r->fs->queues[q].ring);
	return rc == -ETIME ? 0 : rc;
}

/* Watch the used rings for a while: cheap, where a look at /dev/fuse is a system call. */
static void look(const struct viofs_relay *r)
{
	/* With nothing in flight only /dev/fuse can bring something; nothing here changes what is. */
	if (viofs_in_flight(r) <= r->forgets_held && r->stats->channel != VIOFS_CHANNEL_URING)
		return;
	for (int i = 1; i <= LOOKS && !has_used(r) && !viofs_sleep_has_news(&r->sleep); i++)
		if (i % LOOKS_TO_A_PAUSE == 0)
			viofs_cpu_relax();
}

/*
 * Was this thread taken the CPU from while it spun? Then whoever it waits for may lack that CPU as well,
 * and it is time to sleep. A virtual CPU that stood still is no reason: the scheduler's count tells.
 */
static void notice_rivals(struct viofs_relay *r, int64_t now)
{
	struct rusage usage;

	if (!r->spun || now - r->spun < AWAY_NS || getrusage(RUSAGE_THREAD, &usage))
		return;
	if (usage.ru_nivcsw != r->switches)
		r->no_spin = now + NO_SPIN_NS;
	r->switches = usage.ru_nivcsw;
}

/*
 * How long it is worth to spin for the next request: longer, step by step, where sleeps are short, since being
 * woken costs both sides more than what is left to wait then; and as configured after a long one.
 */
static void learn_spin(struct viofs_relay *r, int64_t slept)
{
	int64_t spin = r->config.spin_us * VIOFS_NSEC_PER_USEC, most = SPIN_FACTOR_MAX * spin;

	r->spin = slept < most ? VIOFS_MIN(2 * r->spin, most) : spin;
}

/* Return: ns to go on spinning for, in all, before sleeping. */
static int64_t spin_budget(struct viofs_relay *r, int64_t now)
{
	if (r->config.poll == VIOFS_POLL_BUSY)
		return INT64_MAX;
	if (r->config.poll == VIOFS_POLL_IRQ)
		return 0;
	notice_rivals(r, now);
	if (now - r->no_spin < 0)
		return 0;
	/* An answer is near, and being woken for it costs more (1 MiB takes a device some hundred us). */
	return viofs_in_flight(r) ? r->config.spin_us * VIOFS_NSEC_PER_USEC * IN_FLIGHT_FACTOR : r->spin;
}

/* Nothing to do right now. Return: 0, or -errno. */
static int idle(struct viofs_relay *r, int64_t since, int64_t now)
{
	bool in_flight = viofs_in_flight(r);
	int rc;

	if (now - since >= spin_budget(r, now)) {
		r->spun = 0;
		rc = go_to_sleep(r);
		if (!in_flight)
			learn_spin(r, viofs_now_ns() - now);
		return rc;
	}
	r->spun = now;
	if (r->forgets_held && now - r->forgets_since >= FORGETS_HELD_NS)
		viofs_kick_forgets(r);
	look(r);
	return 0;
}

/*
 * Give answered entries back, take what the ring has. With poll=irq what is to be submitted goes with the
 * wait, which comes when there is nothing else. Return: 0; -errno, as viofs_serve().
 */
static int turn_ring(struct viofs_relay *r)
{
	bool submit = r->entries.active && r->config.poll != VIOFS_POLL_IRQ;
	int rc = 0;

	if (submit || viofs_sleep_has_news(&r->sleep))
		rc = viofs_sleep_flush(&r->sleep);
	if (rc)
		return viofs_break(r, "submitting to io_uring: %s", strerror(-rc));
	if (viofs_entries_are_lost(r))
		return viofs_break(r, "the kernel refused a command of FUSE over io_uring: %s",
				   strerror(-r->entries.failed));
	return 0;
}

/*
 * Is there any use in reading /dev/fuse, which is a system call? Not while the ring waits for it: a poll
 * that has not fired says that it is empty. Beside entries only FORGETs come there, and the end.
 */
static bool must_read(struct viofs_relay *r)
{
	bool due = r->read_now || r->entries.closed || r->stats->channel != VIOFS_CHANNEL_URING;

	if (r->sleep.fds[VIOFS_SLEEP_FUSE].outstanding || r->poll_first)
		return false;
	due |= r->sleep.fds[VIOFS_SLEEP_FUSE].woke;
	r->sleep.fds[VIOFS_SLEEP_FUSE].woke = r->entries.closed = r->read_now = false;
	return due;
}

/*
 * With poll=irq and one request at a time the next look would find nothing: the poll, which is to be armed
 * again anyway, tells whether there is more.
 */
static int read_requests(struct viofs_relay *r)
{
	bool alone = !viofs_in_flight(r), one;
	int taken;

	if (!must_read(r))
		return 0;
	one = r->config.poll == VIOFS_POLL_IRQ && alone && !r->several;
	taken = viofs_pump_requests(r, one ? 1 : BATCH);
	r->poll_first = one && taken == 1;
	r->several = !alone || taken > 1;
	return taken;
}

/*
 * Completions, and then requests. Return: how many of both; -ESHUTDOWN: the kernel has unmounted or
 * aborted; -errno otherwise, as viofs_serve().
 */
static int take_turn(struct viofs_relay *r)
{
	int completed, taken, rc;

	completed = viofs_complete(r);
	if (completed < 0)
		return completed;
	viofs_pump_kept(r);
	rc = turn_ring(r);
	if (rc)
		return rc;
	completed += viofs_pump_entries(r);
	taken = read_requests(r);
	if (taken == -ENODEV || taken == -ECONNABORTED)
		return -ESHUTDOWN;
	if (taken < 0)
		return viofs_break(r, "reading /dev/fuse: %s", strerror(-taken));
	/* /dev/fuse was just found empty: the answer comes next. */
	if (taken && r->config.poll != VIOFS_POLL_IRQ)
		look(r);
	return completed + taken;
}

int viofs_serve(struct viofs_relay *r)
{
	int64_t now = viofs_now_ns(), since = now; /* of the last thing that happened */
	unsigned int turns = 0;
	int done, rc;

	watch_begin(r, now);
	for (;;) {
		done = take_turn(r);
		if (done < 0)
			return done == -ESHUTDOWN ? 0 : done;
		if (done) {
			since = r->spun = 0;
			if (++turns % TURNS)
				continue;
		}
		now = viofs_now_ns();
		if (now - r->next_read >= 0) {
			r->next_read = now + READ_NS;
			r->read_now = true;
		}
		rc = check_bounds(r, now);
		if (done && !rc)
			continue;
		if (!since) {
			since = now;
			watch_begin(r, now);
		}
		if (!rc && viofs_in_flight(r))
			watch(r, now);
		if (!rc)
			rc = idle(r, since, now);
		if (rc)
			return r->stats->session == VIOFS_SESSION_SERVING ?
			       viofs_break(r, "waiting on io_uring: %s", strerror(-rc)) : rc;
	}
}
