/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting: spin first, since being woken costs more than most answers take; then sleep until an
 * interrupt.
 *
 * A wait lies on its caller's stack, and belongs to the thread that has the handle.
 */
#include "client/waiting.h"
#include "base/barrier.h"
#include "base/util.h"
#include "client/fail.h"
#include "client/health.h"
#include "client/queue.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define SPINS_PER_LOOK 64
#define SLEEP_MAX_NS 500000000LL

void viofs_wait_start(struct viofs_wait *w, struct viofs_queue *q, int64_t timeout_ns)
{
	uint32_t spin = q->dev->options.spin_us;

	w->turns = 0;
	w->start = viofs_now_ns();
	w->spin_end = spin == UINT32_MAX ? INT64_MAX : w->start + spin * 1000LL;
	w->end = timeout_ns < 0 || timeout_ns > INT64_MAX - w->start ? INT64_MAX
								     : w->start + timeout_ns;
}

int64_t viofs_wait_prepare(struct viofs_wait *w, struct viofs_queue *q)
{
	int64_t now, wake, rekick;

	if (++w->turns % SPINS_PER_LOOK)
		return 0;
	now = viofs_now_ns();
	if (now - w->end >= 0)
		return -1;
	rekick = viofs_queue_rekick(q, now);
	if (now - w->spin_end < 0)
		return 0;
	viofs_queue_look(q);
	wake = VIOFS_MIN(w->end, rekick);
	wake = VIOFS_MIN(wake, now + SLEEP_MAX_NS);
	if (q->wake_by)
		wake = VIOFS_MIN(wake, VIOFS_MAX(q->wake_by, now + 1));
	if (q->dev->options.timeout_ms)
		wake = VIOFS_MIN(wake, now + VIOFS_LOOK_NS);
	if (!q->dev->interrupts)
		wake = VIOFS_MIN(wake, now + VIOFS_NO_INTERRUPTS_NAP_NS);
	w->turns = SPINS_PER_LOOK - 1; /* one more look, then asleep again */
	return viofs_queue_arm(q) ? 0 : wake - now;
}

void viofs_wait_sleep(struct viofs_queue *q, int64_t ns)
{
	struct pollfd p[2] = { { .fd = q->epoll_fd, .events = POLLIN },
			       { .fd = q->dev->at.fs->virtio->event_fd, .events = POLLIN } };
	struct timespec ts = { ns / VIOFS_NSEC_PER_SEC, ns % VIOFS_NSEC_PER_SEC };

	if (ns <= 0) {
		viofs_cpu_relax();
		return;
	}
	__atomic_add_fetch(&q->dev->sleeps, 1, __ATOMIC_RELAXED);
	if (ppoll(p, 2, &ts, NULL) > 0 && p[1].revents)
		viofs_dev_look(q->dev);
}

int viofs_queue_wait(struct viofs_queue *q, struct viofs_completion *completions, unsigned int min,
		     unsigned int max, int64_t timeout_ns)
{
	struct viofs_wait w;
	unsigned int got = 0;
	bool started = false;

	for (;;) {
		int n = viofs_queue_poll(q, completions + got, max - got);
		int64_t ns;

		if (n < 0)
			return got ? (int)got : n;
		got += (unsigned int)n;
		if (got >= min || got == max || (!q->in_flight && !viofs_queue_waits_for_room(q)))
			return (int)got;
		if (!started)
			viofs_wait_start(&w, q, timeout_ns);
		started = true;
		if (n)
			continue;
		ns = viofs_wait_prepare(&w, q);
		if (ns < 0)
			return (int)got;
		viofs_wait_sleep(q, ns);
	}
}
