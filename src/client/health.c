/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A handle checks the device: is it there, does it answer in time? It also kicks again, as a kick
 * may get lost.
 *
 * A kick that may have got lost is given again (fs/rekick.h).
 *
 * The times that are kept are the handle's, and are used by the thread that has it. A thread in
 * viofs_queue_wait() does all this while it waits. An event loop is woken for it: by the device's
 * own event, and by a timer, which viofs_queue_arm() sets if something is in flight. A poll that
 * was woken and finds nothing checks at once.
 */
#include "client/health.h"
#include "base/util.h"
#include "client/fail.h"
#include "client/track.h"
#include "client/waiting.h"

#include <sys/timerfd.h>
#include <time.h>

/* Ticks of the coarse clock. */
#define SLACK_NS 10000000LL

static int64_t coarse_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (int64_t)ts.tv_sec * VIOFS_NSEC_PER_SEC + ts.tv_nsec;
}

int64_t viofs_queue_since(const struct viofs_queue *q)
{
	return q->dev->options.timeout_ms ? coarse_now() : 0;
}

static int64_t oldest_of(struct viofs_vq *vq)
{
	bool locked = viofs_vq_enter(vq);
	int64_t oldest = viofs_track_oldest(vq);

	viofs_vq_leave(vq, locked);
	return oldest;
}

/* When the oldest request is late: ns, INT64_MAX: never. */
static int64_t deadline(struct viofs_queue *q)
{
	int64_t timeout = q->dev->options.timeout_ms * VIOFS_NSEC_PER_MSEC, oldest;

	if (!timeout || viofs_dev_state(q->dev) != VIOFS_DEV_WORKS)
		return INT64_MAX;
	oldest = oldest_of(q->vq);
	if (q->urgent)
		oldest = VIOFS_MIN(oldest, oldest_of(&q->dev->vqs[VIOFS_FS_HIPRIO]));
	return oldest == INT64_MAX ? INT64_MAX : oldest + timeout;
}

static void fail_late(struct viofs_queue *q)
{
	if (coarse_now() - deadline(q) > 0)
		viofs_dev_fail(q->dev, "has not answered a request for %u ms",
			       q->dev->options.timeout_ms);
}

/* Something was sent or has come since the last look: measure the silence from now on. */
static void settle(struct viofs_queue *q, int64_t now)
{
	if (!q->stirred)
		return;
	q->stirred = false;
	viofs_rekick_start(&q->rekick, now, __atomic_load_n(&q->dev->answered, __ATOMIC_RELAXED));
}

static void kick_again(struct viofs_queue *q)
{
	struct viofs_vq *vqs[] = { q->vq, &q->dev->vqs[VIOFS_FS_HIPRIO] };

	for (int i = 0; i < (q->urgent ? 2 : 1); i++) {
		bool locked = viofs_vq_enter(vqs[i]);

		if (viofs_dev_state(q->dev) == VIOFS_DEV_WORKS)
			viofs_fs_kick_always(q->dev->at.fs, vqs[i]->index);
		viofs_vq_leave(vqs[i], locked);
	}
}

int64_t viofs_queue_rekick(struct viofs_queue *q, int64_t now)
{
	settle(q, now);
	if (viofs_rekick_is_due(&q->rekick, now))
		kick_again(q);
	return q->rekick.due;
}

void viofs_queue_check(struct viofs_queue *q)
{
	viofs_dev_look(q->dev);
	fail_late(q);
	if (q->in_flight)
		viofs_queue_rekick(q, viofs_now_ns());
}

void viofs_queue_look(struct viofs_queue *q)
{
	int64_t now = coarse_now();

	if (now - q->looked < VIOFS_LOOK_NS)
		return;
	q->looked = now;
	viofs_queue_check(q);
}

/* It is set anew when it has woken: later ones need not be looked for. */
static bool timer_comes_in_time(struct viofs_queue *q, int64_t now)
{
	if (q->timer - now <= 0 || (q->wake_by && q->timer > q->wake_by))
		return false;
	if (!q->in_flight)
		return true;
	settle(q, now);
	return q->timer - q->rekick.due <= 0;
}

/* When the handle is to be polled though nothing has come: ns, INT64_MAX: never. */
static int64_t next_look(struct viofs_queue *q, int64_t now)
{
	int64_t next, own = q->wake_by ? q->wake_by : INT64_MAX;

	if (!q->in_flight && !q->hungry)
		return own;
	next = deadline(q);
	if (next != INT64_MAX)
		next += SLACK_NS;
	next = VIOFS_MIN(next, own);
	if (!q->in_flight)
		return next;
	settle(q, now);
	return VIOFS_MIN(next, q->rekick.due);
}

void viofs_queue_set_timer(struct viofs_queue *q)
{
	struct itimerspec when = { 0 };
	int64_t now, next;

	if (!q->in_flight && !q->hungry && !q->wake_by)
		return;
	now = viofs_now_ns();
	if (timer_comes_in_time(q, now))
		return;
	next = next_look(q, now);
	if (next == INT64_MAX)
		return;
	q->timer = VIOFS_MAX(next, now + 1);
	when.it_value.tv_sec = q->timer / VIOFS_NSEC_PER_SEC;
	when.it_value.tv_nsec = q->timer % VIOFS_NSEC_PER_SEC;
	timerfd_settime(q->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

int64_t viofs_queue_next_timeout(struct viofs_queue *q)
{
	int64_t now = viofs_now_ns(), next;

	if (viofs_dev_state(q->dev) >= VIOFS_DEV_FAILED)
		return q->in_flight ? 0 : -1;
	next = next_look(q, now);
	if (next == INT64_MAX)
		return -1;
	if (!q->dev->interrupts)
		next = VIOFS_MIN(next, now + VIOFS_NO_INTERRUPTS_NAP_NS);
	return VIOFS_MAX(next - now, 0);
}
