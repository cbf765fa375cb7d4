/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Handles: submitting and polling.
 *
 * A handle is its user's, and of one thread at a time (client_dev.h says who may touch what of a
 * virtqueue). It owns three descriptors and a ring for completions that others find; only that
 * ring, and its wake-up, are touched by others, under the virtqueue's lock.
 */
#include "client/queue.h"
#include "base/util.h"
#include "client/child.h"
#include "client/fail.h"
#include "client/health.h"
#include "client/track.h"
#include "client/vq.h"
#include "client/waiting.h"
#include "fuse/unique.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Polls that find nothing before the device's health is looked at. */
#define IDLE_LOOK 4096U

/* Edge-triggered: nobody reads the eventfds, which several handles may wait for. */
static int watch(struct viofs_queue *q, int fd)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET, .data.fd = fd };

	return fd < 0 || !epoll_ctl(q->epoll_fd, EPOLL_CTL_ADD, fd, &e) || errno == EEXIST ? 0
											   : -errno;
}

static int open_descriptors(struct viofs_queue *q)
{
	const struct viofs_fs *fs = q->dev->at.fs;
	int rc;

	q->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	q->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (q->wake_fd < 0 || q->epoll_fd < 0 || q->timer_fd < 0)
		return -errno;
	rc = watch(q, q->wake_fd);
	if (!rc)
		rc = watch(q, q->timer_fd);
	if (!rc)
		rc = watch(q, fs->queues[q->vq->index].interrupt_fd);
	if (!rc)
		rc = watch(q, fs->queues[VIOFS_FS_HIPRIO].interrupt_fd);
	if (!rc)
		rc = watch(q, fs->virtio->event_fd);
	return rc;
}

static int open_rings(struct viofs_queue *q)
{
	q->done.room = q->vq->depth;
	q->urgent_done.room = q->dev->vqs[VIOFS_FS_HIPRIO].depth;
	q->done.ring = calloc(q->done.room + q->urgent_done.room, sizeof(*q->done.ring));
	if (!q->done.ring)
		return -ENOMEM;
	q->urgent_done.ring = q->done.ring + q->done.room;
	return 0;
}

static void link_user(struct viofs_queue *q)
{
	struct viofs_vq *vq = q->vq;
	bool locked;

	if (vq->user_count)
		viofs_vq_share(vq);
	locked = viofs_vq_enter(vq);
	q->vq_next = vq->users;
	vq->users = q;
	vq->user_count++;
	viofs_vq_leave(vq, locked);
}

static void dispose(struct viofs_queue *q)
{
	const int fds[] = { q->epoll_fd, q->wake_fd, q->timer_fd };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(q->done.ring);
	free(q);
}

int viofs_queue_open(struct viofs_dev *dev, struct viofs_queue **out, struct viofs_err *err)
{
	struct viofs_queue *q;
	struct viofs_vq *best;
	int rc;

	if (viofs_dev_is_elsewhere(dev))
		return viofs_dev_elsewhere(err, "open", "queue");
	q = calloc(1, sizeof(*q));
	if (!q)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	q->dev = dev;
	q->wake_fd = q->epoll_fd = q->timer_fd = -1;
	pthread_mutex_lock(&dev->lock);
	/* The virtqueue with the fewest users: so each user has one of its own as long as there are
	 * enough. */
	best = &dev->vqs[VIOFS_FS_REQUEST];
	for (unsigned int i = VIOFS_FS_REQUEST + 1; i < dev->at.fs->queue_count; i++)
		if (dev->vqs[i].user_count < best->user_count)
			best = &dev->vqs[i];
	q->vq = best;
	rc = viofs_dev_state(dev) == VIOFS_DEV_WORKS ? open_descriptors(q) : -ENODEV;
	if (!rc)
		rc = open_rings(q);
	if (!rc)
		link_user(q);
	pthread_mutex_unlock(&dev->lock);
	if (!rc) {
		*out = q;
		return 0;
	}
	if (rc == -ENODEV)
		viofs_err_set(err, rc, "The device %s.", dev->reason);
	else
		viofs_err_set(err, rc,
			      "No descriptors for a queue's user: %s. Raise the limit of open "
			      "files.",
			      strerror(-rc));
	dispose(q);
	return rc;
}

static void disarm_vq(struct viofs_vq *vq)
{
	if (!--vq->armed)
		viofs_ring_disarm(viofs_vq_ring(vq));
}

static void disarm(struct viofs_queue *q)
{
	struct viofs_vq *hiprio = &q->dev->vqs[VIOFS_FS_HIPRIO];
	bool locked;

	if (!viofs_queue_is_armed(q))
		return;
	locked = viofs_vq_enter(q->vq);
	viofs_queue_set_armed(q, false);
	disarm_vq(q->vq);
	viofs_vq_leave(q->vq, locked);
	if (!q->armed_urgent)
		return;
	locked = viofs_vq_enter(hiprio);
	q->armed_urgent = false;
	disarm_vq(hiprio);
	viofs_vq_leave(hiprio, locked);
}

static void unlink_user(struct viofs_queue *q)
{
	struct viofs_queue **at = &q->vq->users;

	while (*at != q)
		at = &(*at)->vq_next;
	*at = q->vq_next;
	q->vq->user_count--;
}

void viofs_queue_close_all(struct viofs_vq *vq)
{
	while (vq->users) {
		struct viofs_queue *q = vq->users;

		unlink_user(q);
		dispose(q);
	}
}

void viofs_queue_close(struct viofs_queue *q)
{
	struct viofs_vq *vqs[2];

	if (!q)
		return;
	if (viofs_dev_is_elsewhere(q->dev)) {
		unlink_user(q);
		dispose(q);
		return;
	}
	disarm(q);
	vqs[0] = q->vq;
	vqs[1] = &q->dev->vqs[VIOFS_FS_HIPRIO];
	pthread_mutex_lock(&q->dev->lock);
	for (int i = 0; i < 2; i++) {
		bool locked = viofs_vq_enter(vqs[i]);

		viofs_track_forget(vqs[i], q);
		if (!i)
			unlink_user(q);
		viofs_vq_leave(vqs[i], locked);
	}
	pthread_mutex_unlock(&q->dev->lock);
	dispose(q);
}

static bool is_urgent(const struct viofs_request *r)
{
	return r->flags & VIOFS_REQUEST_HIPRIO || r->opcode == FUSE_FORGET ||
	       r->opcode == FUSE_BATCH_FORGET || r->opcode == FUSE_INTERRUPT;
}

/* What it has in flight, or not taken yet, has a place in viofs_done. */
static bool has_place(const struct viofs_queue *q, bool urgent)
{
	return urgent ? q->urgent < q->urgent_done.room : q->in_flight - q->urgent < q->done.room;
}

/* Nobody waits for answers on hiprio, but an INTERRUPT there may end somebody's wait, and FORGETs
 * that can't be sent pile up. Return: has the device taken nothing from it for as long as a request
 * may take? */
static bool note_full(struct viofs_vq *vq, int64_t now)
{
	if (!vq->full_since)
		vq->full_since = now;
	return now && now - vq->full_since > vq->dev->options.timeout_ms * VIOFS_NSEC_PER_MSEC;
}

/* The requests of one virtqueue from @requests[0] on. @done: out, how many. Return: 0 or why it
 * stopped. */
static int submit_run(struct viofs_queue *q, struct viofs_vq *vq, struct viofs_request *requests,
		      unsigned int count, int64_t now, unsigned int *done)
{
	bool urgent = vq->index == VIOFS_FS_HIPRIO, locked = viofs_vq_enter(vq);
	int rc = viofs_dev_state(q->dev) == VIOFS_DEV_WORKS ? 0 : -ENODEV;
	const char *why = NULL;
	unsigned int n = 0;
	bool late = false;

	while (!rc && n < count && is_urgent(&requests[n]) == urgent) {
		struct viofs_request *r = &requests[n];
		bool silent = r->flags & VIOFS_REQUEST_SILENT;

		if (!silent && !has_place(q, urgent)) {
			rc = -ENOSPC; /* its own completions are to be taken */
			break;
		}
		rc = viofs_vq_add(vq, q, r, now);
		/* Nobody polls for FORGETs. */
		if (rc == -ENOSPC && urgent)
			viofs_vq_drain(vq, NULL, NULL, 0, &why);
		if (rc == -ENOSPC && urgent && !why && vq->free_count)
			rc = viofs_vq_add(vq, q, r, now);
		late = rc == -ENOSPC && urgent && note_full(vq, now);
		if (rc == -ENOSPC && !urgent) {
			q->hungry = true;
			q->hungry_at = vq->given;
		}
		if (rc)
			break;
		n++;
		if (!silent) {
			q->in_flight++;
			q->urgent += urgent;
		}
	}
	if (n)
		viofs_vq_kick(vq);
	q->stirred |= n;
	viofs_vq_leave(vq, locked);
	if (why)
		viofs_dev_fail(q->dev, "broke the rules of virtqueue %u: %s", vq->index, why);
	if (late)
		viofs_dev_fail(q->dev, "has taken no FORGET for %u ms", q->dev->options.timeout_ms);
	*done = n;
	return rc;
}

int viofs_queue_submit(struct viofs_queue *q, struct viofs_request *requests, unsigned int count)
{
	int64_t now = viofs_queue_since(q);
	unsigned int sent = 0;
	int rc = 0;

	if (viofs_dev_state(q->dev) != VIOFS_DEV_WORKS)
		return -ENODEV;
	while (!rc && sent < count) {
		struct viofs_vq *vq =
			is_urgent(&requests[sent]) ? &q->dev->vqs[VIOFS_FS_HIPRIO] : q->vq;
		unsigned int n;

		rc = submit_run(q, vq, requests + sent, count - sent, now, &n);
		sent += n;
	}
	return sent || rc == -ENOSPC ? (int)sent : rc;
}

/* Others sleep: what comes from now on has to wake them, too, and slots that have come free wake
 * those who wait for one. */
static void keep_armed(struct viofs_vq *vq, const struct viofs_queue *q)
{
	bool more;

	if (!vq->armed)
		return;
	more = viofs_ring_arm(viofs_vq_ring(vq));
	for (struct viofs_queue *other = vq->users; other; other = other->vq_next) {
		if (other != q && viofs_queue_is_armed(other) && (more || other->hungry))
			viofs_eventfd_signal(other->wake_fd);
	}
}

static int poll_vq(struct viofs_queue *q, struct viofs_vq *vq, struct viofs_completion *out,
		   unsigned int max)
{
	/* When the others may have ended what they have there, nobody reads the ring any more.
	 */
	bool locked = viofs_vq_enter(vq), failed = viofs_dev_state(q->dev) == VIOFS_DEV_FAILED;
	const char *why = NULL;
	unsigned int n = 0, drained = 0;
	uint32_t given = vq->given;

	if (locked)
		n = viofs_track_take_done(vq, q, out, max);
	if (failed)
		n += viofs_track_end(vq, q, out + n, max - n);
	else if (n < max)
		drained = viofs_vq_drain(vq, q, out + n, max - n, &why);
	if (locked && given != vq->given)
		keep_armed(vq, q);
	viofs_vq_leave(vq, locked);
	if (why)
		viofs_dev_fail(q->dev, "broke the rules of virtqueue %u: %s", vq->index, why);
	return (int)(n + drained);
}

static unsigned int take(struct viofs_queue *q, struct viofs_completion *completions,
			 unsigned int max)
{
	unsigned int n = 0;

	if (q->urgent) {
		n = (unsigned int)poll_vq(q, &q->dev->vqs[VIOFS_FS_HIPRIO], completions, max);
		q->urgent -= n;
	}
	n += (unsigned int)poll_vq(q, q->vq, completions + n, max - n);
	q->in_flight -= n;
	return n;
}

int viofs_queue_poll(struct viofs_queue *q, struct viofs_completion *completions, unsigned int max)
{
	bool slept = q->armed;
	unsigned int n;

	if (viofs_dev_is_elsewhere(q->dev))
		return -ENODEV;
	if (slept)
		disarm(q);
	n = take(q, completions, max);
	if (!n) {
		if (slept)
			viofs_queue_check(q);
		else if (++q->idle % IDLE_LOOK == 0)
			viofs_queue_look(q);
		if (viofs_dev_state(q->dev) != VIOFS_DEV_FAILED)
			return 0;
		n = take(q, completions, max);
		return n || q->in_flight ? (int)n : -ENODEV;
	}
	q->idle = 0;
	q->stirred = true;
	if (!q->dev->answered)
		__atomic_store_n(&q->dev->answered, 1, __ATOMIC_RELAXED);
	return (int)n;
}

int viofs_queue_fd(struct viofs_queue *q)
{
	return q->epoll_fd;
}

/* Has a slot come free since it found none? It is told once. */
static bool take_room(struct viofs_queue *q)
{
	if (!q->hungry || __atomic_load_n(&q->vq->given, __ATOMIC_RELAXED) == q->hungry_at)
		return false;
	q->hungry = false;
	return true;
}

bool viofs_queue_waits_for_room(struct viofs_queue *q)
{
	bool locked = viofs_vq_enter(q->vq), hungry;

	take_room(q);
	hungry = q->hungry;
	viofs_vq_leave(q->vq, locked);
	return hungry;
}

static bool arm_own(struct viofs_queue *q)
{
	struct viofs_vq *vq = q->vq;
	bool locked = viofs_vq_enter(vq), more;

	if (!viofs_queue_is_armed(q))
		vq->armed++;
	/* Before the lists are looked at: see viofs_queue_is_armed(). */
	viofs_queue_set_armed(q, true);
	more = viofs_ring_arm(viofs_vq_ring(vq)) || q->done.count;
	more |= take_room(q);
	viofs_vq_leave(vq, locked);
	return more;
}

/* Only where somebody waits for an answer there: used FORGETs must not wake anybody. */
static bool arm_hiprio(struct viofs_queue *q)
{
	struct viofs_vq *vq = &q->dev->vqs[VIOFS_FS_HIPRIO];
	const char *why = NULL;
	bool locked, more;

	if (!q->urgent)
		return false;
	locked = viofs_vq_enter(vq);
	if (!q->armed_urgent)
		vq->armed++;
	q->armed_urgent = true;
	while (!why && viofs_dev_state(q->dev) != VIOFS_DEV_FAILED &&
	       viofs_ring_arm(viofs_vq_ring(vq)))
		viofs_vq_drain(vq, NULL, NULL, 0, &why);
	more = q->urgent_done.count || why;
	viofs_vq_leave(vq, locked);
	if (why)
		viofs_dev_fail(q->dev, "broke the rules of virtqueue %u: %s", vq->index, why);
	return more;
}

int viofs_queue_arm(struct viofs_queue *q)
{
	int event_fd = q->dev->at.fs->virtio->event_fd;
	struct epoll_event events[4];
	bool more, may_be_lost = false;
	int n;

	if (viofs_dev_state(q->dev) >= VIOFS_DEV_FAILED)
		return 1;
	/* Old news; what comes from here on makes it readable again. */
	while ((n = epoll_wait(q->epoll_fd, events, 4, 0)) > 0)
		for (int i = 0; i < n; i++)
			may_be_lost |= events[i].data.fd == event_fd;
	if (may_be_lost)
		viofs_dev_check(q->dev);
	viofs_queue_set_timer(q);
	more = arm_own(q);
	more |= arm_hiprio(q);
	return more || viofs_dev_state(q->dev) == VIOFS_DEV_FAILED;
}

unsigned int viofs_queue_in_flight(const struct viofs_queue *q)
{
	return q->in_flight;
}

void viofs_queue_wake(struct viofs_queue *q)
{
	viofs_eventfd_signal(q->wake_fd);
}

void viofs_queue_wake_by(struct viofs_queue *q, int64_t when)
{
	q->wake_by = when;
}

unsigned int viofs_queue_abandon(struct viofs_queue *q, struct viofs_completion *out,
				 unsigned int max)
{
	struct viofs_vq *vqs[] = { q->vq, &q->dev->vqs[VIOFS_FS_HIPRIO] };
	unsigned int n = 0;

	/* With a device that has failed they end by themselves. */
	n = take(q, out, max);
	for (unsigned int i = 0; i < 2 && n < max; i++) {
		bool locked = viofs_vq_enter(vqs[i]);
		unsigned int given_up = viofs_track_abandon(vqs[i], q, out + n, max - n);

		viofs_vq_leave(vqs[i], locked);
		q->in_flight -= given_up;
		q->urgent -= i ? given_up : 0;
		n += given_up;
	}
	return n;
}

unsigned int viofs_queue_waits(struct viofs_queue *q, uint64_t *uniques, unsigned int max,
			       bool *more)
{
	bool locked = viofs_vq_enter(q->vq);
	unsigned int n = viofs_track_waits(q->vq, q, uniques, max, more);

	viofs_vq_leave(q->vq, locked);
	return n;
}

int64_t viofs_queue_held(struct viofs_queue *q, uint64_t unique)
{
	bool locked = viofs_vq_enter(q->vq);
	int64_t ns = viofs_track_held(q->vq, q, unique);

	viofs_vq_leave(q->vq, locked);
	return ns;
}

static uint32_t opcode_of(struct viofs_queue *q, struct viofs_vq *vq, uint64_t unique)
{
	bool locked = viofs_vq_enter(vq);
	uint32_t opcode = viofs_track_find(vq, q, unique);

	viofs_vq_leave(vq, locked);
	return opcode;
}

int viofs_queue_interrupt(struct viofs_queue *q, uint64_t unique)
{
	const struct fuse_interrupt_in in = { .unique = unique };
	struct viofs_request r = {
		.opcode = FUSE_INTERRUPT,
		.flags = VIOFS_REQUEST_SILENT,
		.args = &in,
		.args_size = sizeof(in),
		.unique = viofs_unique_interrupt(unique),
	};
	uint32_t opcode;
	int rc;

	if (viofs_dev_state(q->dev) != VIOFS_DEV_WORKS)
		return -ENODEV;
	opcode = opcode_of(q, q->vq, unique);
	if (!opcode)
		opcode = opcode_of(q, &q->dev->vqs[VIOFS_FS_HIPRIO], unique);
	if (!opcode)
		return -ENOENT;
	if (!viofs_request_may_wait(opcode))
		return -EOPNOTSUPP;
	rc = viofs_queue_submit(q, &r, 1);
	return rc == 1 ? 0 : rc ? rc : -EAGAIN;
}
