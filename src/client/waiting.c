/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting: spin first, since being woken costs more than most answers take; then sleep until an
 * interrupt.
 *
 * A kick may get lost: some back ends consume it before their ring is enabled. So it is given
 * again, 10 ms after the very first request and 1 s later on, at doubling intervals.
 */
#include "client/client_dev.h"
#include "base/barrier.h"
#include "base/util.h"
#include "client/waiting.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define SPINS_PER_LOOK 64
#define REKICK_FIRST_NS 10000000LL
#define REKICK_NS 1000000000LL
#define REKICK_MAX_NS 30000000000LL
/* With no interrupts. */
#define NAP_NS 50000
#define SLEEP_MAX_NS 500000000LL

void viofs_wait_start(struct viofs_wait *w, struct viofs_queue *q, int64_t timeout_ns)
{
	uint32_t spin = q->dev->options.spin_us;

	w->turns = 0;
	w->start = viofs_now_ns();
	w->spin_end = spin == UINT32_MAX ? INT64_MAX : w->start + spin * 1000LL;
	w->end = timeout_ns < 0 || timeout_ns > INT64_MAX - w->start ? INT64_MAX
								     : w->start + timeout_ns;
	w->rekick_interval = q->dev->answered ? REKICK_NS : REKICK_FIRST_NS;
	w->rekick = w->start + w->rekick_interval;
}

static void rekick(struct viofs_queue *q)
{
	struct viofs_vq *vqs[] = { q->vq, &q->dev->vqs[VIOFS_FS_HIPRIO] };

	for (int i = 0; i < (q->urgent ? 2 : 1); i++) {
		bool locked = viofs_vq_enter(vqs[i]);

		if (viofs_dev_state(q->dev) == VIOFS_DEV_WORKS)
			viofs_fs_kick_always(q->dev->at.fs, vqs[i]->index);
		viofs_vq_leave(vqs[i], locked);
	}
}

int64_t viofs_wait_prepare(struct viofs_wait *w, struct viofs_queue *q)
{
	int64_t now, wake;

	if (++w->turns % SPINS_PER_LOOK)
		return 0;
	now = viofs_now_ns();
	if (now - w->end >= 0)
		return -1;
	if (now - w->rekick >= 0) {
		rekick(q);
		w->rekick_interval = VIOFS_MIN(w->rekick_interval * 2, REKICK_MAX_NS);
		w->rekick = now + w->rekick_interval;
	}
	if (now - w->spin_end < 0)
		return 0;
	viofs_queue_look(q);
	wake = VIOFS_MIN(w->end, w->rekick);
	wake = VIOFS_MIN(wake, now + SLEEP_MAX_NS);
	if (q->dev->options.timeout_ms)
		wake = VIOFS_MIN(wake, now + VIOFS_LOOK_NS);
	if (!q->dev->at.fs->vectors)
		wake = VIOFS_MIN(wake, now + NAP_NS);
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
