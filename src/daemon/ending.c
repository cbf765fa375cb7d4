/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking the mount down.
 *
 * umount2(2) writes dirty pages out before it returns, through the worker, so it must not run in
 * the thread that takes signals: if the device does not answer, only a second signal ends it. A
 * busy mount can't be unmounted: its dirty pages are written, and its users have grace_s seconds to
 * leave. At the end the connection is aborted, after a last flush.
 */
#include "daemon/ending.h"
#include "base/join.h"
#include "base/log.h"
#include "base/util.h"
#include "relay/observe.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define RETRY_US 100000
/* A flush is over when no request has been under way for this many looks. */
#define QUIET_LOOKS 5
#define FLUSH_NS (10 * VIOFS_NSEC_PER_SEC)
/* Once the connection has ended, only another file system can still block the thread. */
#define JOIN_MS 3000

/*
 * syncfs(2) on a fuse mount only starts the writing (SB_I_NO_DATA_INTEGRITY): wait until it is
 * done.
 */
static void flush(const struct viofs_ending *e)
{
	int64_t end = viofs_now_ns() + FLUSH_NS;
	int quiet = 0;

	viofs_mount_sync(e->mount);
	while (quiet < QUIET_LOOKS && viofs_now_ns() - end < 0 && !e->give_up) {
		usleep(RETRY_US / 2);
		quiet = viofs_observe_slots_used(e->relay) ? 0 : quiet + 1;
	}
}

static void end_connection(const struct viofs_ending *e)
{
	int rc = viofs_mount_end(e->mount);

	if (rc)
		viofs_error("the connection can't be aborted: %s; a second signal ends the worker",
			    strerror(-rc));
}

static void *unmount_main(void *arg)
{
	struct viofs_ending *e = arg;
	int64_t end;
	int rc;

	rc = viofs_mount_unmount(e->mount);
	if (rc != -EBUSY)
		goto out;
	viofs_warn("the mount is busy; whoever uses it has %u s to leave (a second signal ends it "
		   "at once)",
		   e->grace_s);
	flush(e);
	end = viofs_now_ns() + e->grace_s * VIOFS_NSEC_PER_SEC;
	while (rc == -EBUSY && !e->give_up && viofs_now_ns() - end < 0) {
		usleep(RETRY_US);
		rc = viofs_mount_unmount(e->mount);
	}
	if (rc == -EBUSY && !e->give_up) {
		flush(e);
		viofs_warn("the mount is still busy: aborted");
		end_connection(e);
		rc = 0;
	}
out:
	/* EINVAL: somebody else unmounted it. */
	if (rc && rc != -EINVAL && rc != -EBUSY) {
		viofs_error("umount: %s", strerror(-rc));
		end_connection(e);
	}
	return NULL;
}

int viofs_ending_start(struct viofs_ending *e, struct viofs_mount *mount,
		       const struct viofs_relay *relay, uint32_t grace_s)
{
	int rc;

	e->mount = mount;
	e->relay = relay;
	e->grace_s = grace_s;
	e->give_up = false;
	rc = -pthread_create(&e->thread, NULL, unmount_main, e);
	e->started = !rc;
	return rc;
}

bool viofs_ending_join(struct viofs_ending *e)
{
	if (!e->started)
		return true;
	e->give_up = true;
	if (!viofs_join_within(e->thread, JOIN_MS)) {
		viofs_warn("the mount could not be taken away: a file system that its mount point "
			   "lies in does not answer; umount it when that one is gone");
		return false;
	}
	e->started = false;
	return true;
}
