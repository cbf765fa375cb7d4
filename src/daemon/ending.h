/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking the mount down on a signal, while the worker still serves it. */
#ifndef VIOFS_DAEMON_ENDING_H
#define VIOFS_DAEMON_ENDING_H

#include "kernel/mount.h"
#include "relay/relay.h"

#include <pthread.h>
#include <stdatomic.h>

/** struct viofs_ending - an unmount under way, in a thread of its own: it may block */
struct viofs_ending {
	pthread_t thread;
	bool started;
	_Atomic bool give_up;
	struct viofs_mount *mount;
	const struct viofs_relay *relay;
	uint32_t grace_s;
};

/**
 * viofs_ending_start() - unmount; a busy mount is flushed, waited for, then aborted and detached
 * The worker ends by itself when the mount is gone.
 * Return: 0 or -errno (no thread).
 */
int viofs_ending_start(struct viofs_ending *e, struct viofs_mount *mount,
		       const struct viofs_relay *relay, uint32_t grace_s);

/**
 * viofs_ending_join() - the worker has ended: stop waiting, and wait for the thread
 * Return: false: it is stuck in another file system, and may still use @e and the mount, but not
 * the relay.
 */
bool viofs_ending_join(struct viofs_ending *e);

#endif
