/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notifications: from the device's notification queue to /dev/fuse. */
/*
 * Theory of operation
 *
 * One thread owns the notification queue, and does nothing else: wait, copy, check, write. It is
 * not the thread that leads, since the kernel takes locks for a notification. INVAL_ENTRY waits for
 * the lock of the directory, whose holder may wait for the device's answer to a LOOKUP; INVAL_INODE
 * waits for pages that a READ is under way for. The leader must go on serving, or neither ends.
 *
 * It has a loop of its own (loop.h), for the device and for the end: poll(2) refuses more
 * descriptors than the sandbox leaves it numbers for, and a read of an eventfd that the back end
 * has emptied would block. Where waiting fails, listening ends: without a wait it would take a CPU.
 *
 * A notification that breaks the rules is counted, logged now and then, and dropped. After too many
 * of them the queue is ignored. If the ring breaks, the leader is told, and the session ends as
 * with any broken ring.
 *
 * At the end the thread is asked to stop and is waited for a second. A thread that is stuck in a
 * write is left behind. When it comes back, `stop` tells it that everything but struct viofs_notify
 * is gone; that is left for it.
 */
#include "relay/notify.h"
#include "base/log.h"
#include "base/util.h"
#include "fs/notification.h"
#include "fuse/notify_check.h"
#include "kernel/devfuse.h"
#include "relay/lane.h"
#include "relay/session.h"
#include "relay/tap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK_BYTES (128 << 10)
#define REFUSED_MAX 1000U
#define STOP_MS 1000
/* The longest sleep. An interrupt may get lost; and an eventfd that a request queue shares is not
 * waited for here. */
#define WAIT_NS (1 * VIOFS_NSEC_PER_SEC)
#define WAIT_SHARED_NS (20 * VIOFS_NSEC_PER_MSEC)

struct viofs_notify {
	struct viofs_relay *relay;
	pthread_t thread;
	bool started;
	atomic_bool stop, done;
	_Atomic(const char *) broken;
	int stop_fd, fuse_fd;
	struct viofs_loop loop; /* for stop_fd and, where nobody else reads it, the interrupt */
	bool alone;
	void *copy;
};

/* Does a request queue use the same eventfd? Then its lane reads it. */
static bool is_shared(const struct viofs_fs *fs)
{
	for (unsigned int q = 0; q < fs->queue_count; q++)
		if (fs->queues[q].interrupt_fd == fs->notification->queue.interrupt_fd)
			return true;
	return false;
}

static int prepare_loop(struct viofs_notify *n)
{
	const struct viofs_fs *fs = n->relay->fs;
	int rc = viofs_loop_open_restricted(&n->loop, n->relay->config.loop, 0, false);

	if (rc)
		return rc;
	n->alone = fs->vectors && !is_shared(fs);
	viofs_loop_add(&n->loop, n->stop_fd, VIOFS_LOOP_INPUT);
	if (n->alone)
		viofs_loop_add(&n->loop, fs->notification->queue.interrupt_fd, VIOFS_LOOP_COUNTER);
	return 0;
}

int viofs_notify_prepare(struct viofs_relay *r, int fuse_fd, struct viofs_err *err)
{
	struct viofs_notify *n;
	int rc;

	if (!r->fs->notification)
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return viofs_err_set(err, -ENOMEM, "out of memory");
	r->notify = n;
	if (!r->notify_capture)
		r->notify_capture = &viofs_capture_off;
	n->relay = r;
	n->fuse_fd = fuse_fd;
	n->copy = malloc(r->fs->notify_buf_size);
	n->stop_fd = eventfd(0, EFD_CLOEXEC);
	rc = !n->copy ? -ENOMEM : n->stop_fd < 0 ? -errno : prepare_loop(n);
	if (rc)
		return viofs_err_set(err, rc, "notifications can't be waited for: %s",
				     strerror(-rc));
	return 0;
}

void viofs_notify_move(struct viofs_relay *to, struct viofs_relay *from)
{
	to->notify = from->notify;
	to->notify_capture = from->notify_capture;
	from->notify = NULL;
	if (to->notify)
		to->notify->relay = to;
}

/* Return: 0 or -errno: waiting is not possible. */
static int wait_for_device(struct viofs_notify *n)
{
	struct viofs_ring *ring = &n->relay->fs->notification->queue.ring;
	int rc;

	if (viofs_ring_arm(ring))
		return 0;
	rc = viofs_loop_wait(&n->loop, n->alone ? WAIT_NS : WAIT_SHARED_NS);
	viofs_ring_disarm(ring);
	return rc == -ETIME ? 0 : rc;
}

static void refuse(struct viofs_relay *r, const char *name, const char *why)
{
	struct viofs_relay_stats *s = r->stats;

	s->notifications_refused++;
	snprintf(s->notification_fault, sizeof(s->notification_fault), "%s: %s", name, why);
	if (viofs_is_power_of_2(s->notifications_refused))
		viofs_log_about(VIOFS_LOG_WARNING,
				&(struct viofs_log_about){ .opcode = name, .rule = why },
				"the device's notification was refused: %s: %s (%llu so far)", name,
				why, (unsigned long long)s->notifications_refused);
}

/* Return: false: no more of them. */
static bool pass_on(struct viofs_notify *n, uint32_t len)
{
	struct viofs_relay *r = n->relay;
	const char *name, *fault;
	int rc;

	fault = viofs_fuse_notify_check(n->copy, len, r->config.notify_store, &name);
	if (viofs_capture_is_on(r->notify_capture))
		viofs_tap_write_notification(r->notify_capture, n->copy, len);
	if (!fault) {
		rc = viofs_devfuse_notify(n->fuse_fd, n->copy, len);
		if (n->stop)
			return false;
		/* ENOENT and the like: it isn't cached. EINVAL: the kernel is older than that code.
		 */
		if (rc == -ENODEV || rc == -ENOTCONN || rc == -ECONNABORTED || rc == -EPERM)
			return false;
		if (rc == -EINVAL || rc == -ENOSYS)
			fault = "the kernel doesn't accept it";
	}
	if (!fault) {
		r->stats->notifications++;
		return true;
	}
	refuse(r, name, fault);
	if (r->stats->notifications_refused < REFUSED_MAX)
		return true;
	viofs_warn("no more notifications are taken from the device after %u that were wrong",
		   REFUSED_MAX);
	return false;
}

/* Tell the lanes; see serve.c. */
static void report_broken(struct viofs_notify *n)
{
	n->broken = viofs_ring_broken(&n->relay->fs->notification->queue.ring);
	viofs_lane_wake(&n->relay->lanes[0]);
}

/*
 * A successor of a worker that dies in between gives it to the kernel once more, rather than not at
 * all. But not data, which somebody may have changed in the page cache since.
 */
static bool handle(struct viofs_notify *n, uint32_t len)
{
	const struct fuse_out_header *head = n->copy;
	bool first = len < sizeof(*head) || head->error != FUSE_NOTIFY_STORE, more;

	if (!first)
		viofs_fs_notification_done(n->relay->fs, n->relay->arena);
	more = pass_on(n, len);
	/* Once it is to stop, nothing of the session's may be there any more. */
	if (first && !n->stop)
		viofs_fs_notification_done(n->relay->fs, n->relay->arena);
	return more;
}

static void *listen_to_device(void *arg)
{
	struct viofs_notify *n = arg;
	struct viofs_relay *r = n->relay;
	int rc = viofs_loop_own(&n->loop);
	bool more = true;
	uint32_t len;

	while (more && !rc && !n->stop) {
		int got = viofs_fs_notification_look(r->fs, n->copy, &len);

		if (got < 0) {
			report_broken(n);
			break;
		}
		if (got)
			more = handle(n, len);
		else
			rc = wait_for_device(n);
	}
	if (rc)
		viofs_warn("notifications can't be waited for any more (%s): changes on the "
			   "device's side are seen when cached entries have expired",
			   strerror(-rc));
	n->done = true;
	return NULL;
}

void viofs_notify_start(struct viofs_relay *r)
{
	struct viofs_notify *n = r->notify;
	pthread_attr_t attr;
	int rc;

	if (!n)
		return;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	rc = pthread_create(&n->thread, &attr, listen_to_device, n);
	pthread_attr_destroy(&attr);
	n->started = !rc;
	if (rc)
		viofs_warn(
			"no thread for notifications (%s): changes on the device's side are seen "
			"when cached entries have expired",
			strerror(rc));
}

const char *viofs_notify_broken(const struct viofs_relay *r)
{
	return r->notify ? r->notify->broken : NULL;
}

void viofs_notify_stop(struct viofs_relay *r)
{
	struct viofs_notify *n = r->notify;

	if (!n)
		return;
	r->notify = NULL;
	n->stop = true;
	if (n->started)
		viofs_eventfd_signal(n->stop_fd);
	for (int ms = 0; n->started && !n->done && ms < STOP_MS; ms++)
		usleep(1000);
	if (n->started && !n->done) {
		pthread_detach(n->thread);
		return;
	}
	if (n->started)
		pthread_join(n->thread, NULL);
	viofs_loop_close(&n->loop);
	if (n->stop_fd >= 0)
		close(n->stop_fd);
	free(n->copy);
	free(n);
}
