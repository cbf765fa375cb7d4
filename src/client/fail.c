/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A device that broke the rules, or has gone.
 *
 * Any thread may find out, or give the device up; dev->lock makes one of them the first, who resets
 * it and writes the reason. From then on state and reason don't change (client_dev.h), and are read
 * without the lock.
 */
#include "client/fail.h"
#include "base/util.h"
#include "client/child.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Don't wait for a device that hangs: the thread that polls must go on. */
#define STOP_MS 100

static void wake_all(struct viofs_dev *dev)
{
	for (unsigned int i = VIOFS_FS_REQUEST; i < dev->at.fs->queue_count; i++)
		for (struct viofs_queue *q = dev->vqs[i].users; q; q = q->vq_next)
			viofs_eventfd_signal(q->wake_fd);
}

static void __attribute__((format(printf, 2, 0)))
fail_locked(struct viofs_dev *dev, const char *fmt, va_list ap)
{
	if (viofs_dev_state(dev) != VIOFS_DEV_WORKS)
		return;
	vsnprintf(dev->reason, sizeof(dev->reason), fmt, ap);
	snprintf(dev->fault, sizeof(dev->fault), "it %s", dev->reason);
	__atomic_store_n(&dev->state, VIOFS_DEV_FAILING, __ATOMIC_RELEASE);
	/* If this succeeds, the device touches no memory any more. If not, its memory stays the
	 * device's until it is closed.
	 */
	dev->runs_on =
		viofs_fs_stop_soon(dev->at.fs, STOP_MS) && !dev->at.fs->virtio->mapper->by_file;
	__atomic_store_n(&dev->state, VIOFS_DEV_FAILED, __ATOMIC_RELEASE);
	wake_all(dev);
}

void viofs_dev_fail(struct viofs_dev *dev, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pthread_mutex_lock(&dev->lock);
	fail_locked(dev, fmt, ap);
	pthread_mutex_unlock(&dev->lock);
	va_end(ap);
}

/* The lock is held, and given back. */
static void look_locked(struct viofs_dev *dev)
{
	const char *lost = NULL;

	if (viofs_dev_state(dev) == VIOFS_DEV_WORKS)
		lost = viofs_virtio_is_lost(dev->at.fs->virtio);
	pthread_mutex_unlock(&dev->lock);
	if (lost)
		viofs_dev_fail(dev, "%s", lost);
}

void viofs_dev_look(struct viofs_dev *dev)
{
	/* Another thread has the lock and checks the device; look again next time. */
	if (!pthread_mutex_trylock(&dev->lock))
		look_locked(dev);
}

void viofs_dev_check(struct viofs_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
	look_locked(dev);
}

const char *viofs_dev_failed(struct viofs_dev *dev)
{
	switch (viofs_dev_state(dev)) {
	case VIOFS_DEV_WORKS:
		return NULL;
	case VIOFS_DEV_ELSEWHERE:
		return viofs_dev_elsewhere_why();
	default:
		return dev->reason;
	}
}
