/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A session that another process has begun: everything made anew from its state. */
#ifndef VIOFS_RELAY_ADOPT_H
#define VIOFS_RELAY_ADOPT_H

#include "relay/relay.h"

/** struct viofs_adopt_descriptors - of the session; all stay the caller's, but lanes' clones */
struct viofs_adopt_descriptors {
	struct viofs_virtio *virtio; /* the device, as it runs; the result's viofs_fs owns it */
	int eventfds[VIOFS_FS_VIRTQUEUES_MAX]; /* as viofs_fs.eventfds, which own them then */
	int lanes[VIOFS_LANES_MAX];            /* each lane's /dev/fuse */
	unsigned int lane_count;
	bool crashed; /* who had it before: what it died of may be a request (quarantine.h) */
};

/**
 * viofs_adopt() - a relay that goes on where another one has stopped
 * @arena: the session's memory (viofs_arena_adopt()), at any address.
 * Nothing in it is believed: each index and count is in range, nothing is owned twice, and what the
 * rings' shadows say is in flight is what the slots say. What is missing is sent, what is there is
 * waited for. viofs_relay_run() then serves at once: the kernel was answered INIT.
 * Return: 0, *@fs and *@out; -EPROTO: the state is of another version, or contradicts itself;
 * -ENOTSUP: the session is one that can't be gone on with; -ENOMEM. All with @err.
 */
int viofs_adopt(struct viofs_arena *arena, const struct viofs_adopt_descriptors *descriptors,
		struct viofs_fs **fs, struct viofs_relay **out, struct viofs_err *err);

/**
 * viofs_adopt_prepare() - open what viofs_adopt_forked() and viofs_relay_run() need
 * For a successor that gives up its rights between this and those: as viofs_relay_prepare() of
 * @relay, by what the parent knows. Nothing that a dead worker or a device wrote is read.
 * Return: 0 or -errno with @err.
 */
int viofs_adopt_prepare(struct viofs_relay *relay, int fuse_fd, struct viofs_err *err);

/**
 * viofs_adopt_forked() - the same in a child of the process that has made the relay
 * @config: as viofs_relay_new() was given it. What the parent knows is written to the state anew:
 * sizes, options, where everything is. @crashed: as above.
 * @relay, @fs: in: the parent's, whose worker has died; out: those that go on, of this process.
 * Return: as viofs_adopt(); nothing can be done with either then.
 */
int viofs_adopt_forked(const struct viofs_relay_config *config, bool crashed, struct viofs_fs **fs,
		       struct viofs_relay **relay, struct viofs_err *err);

#endif
