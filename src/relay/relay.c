/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay's life: memory, descriptors, threads; INIT, serving, the end. */
#include "relay/relay.h"
#include "base/page.h"
#include "base/util.h"
#include "fs/notification.h"
#include "kernel/devfuse.h"
#include "relay/handshake.h"
#include "relay/hiprio.h"
#include "relay/lanes.h"
#include "relay/lead.h"
#include "relay/notify.h"
#include "relay/observe.h"
#include "relay/refuse.h"
#include "relay/session.h"
#include "relay/team.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void viofs_relay_describe(struct viofs_relay *r, const struct viofs_relay_config *config)
{
	struct viofs_session_state *s = r->layout.session;

	s->config = *config;
	s->max_data = r->config.max_data;
	s->queue_count = r->fs->queue_count;
	s->features = r->fs->virtio->negotiated;
	s->num_request_queues = r->fs->num_request_queues;
	s->vectors = r->fs->vectors;
	s->notify_buf_size = r->fs->notify_buf_size;
	memcpy(s->queue_size, r->fs->queue_size, sizeof(s->queue_size));
	memcpy(s->tag, r->fs->tag, sizeof(s->tag));
	s->lanes = r->lane_count;
	viofs_layout_publish(r);
}

int viofs_relay_new(const struct viofs_relay_config *config, struct viofs_fs *fs,
		    struct viofs_arena *arena, struct viofs_relay **out, struct viofs_err *err)
{
	struct viofs_relay *r = calloc(1, sizeof(*r));

	if (!r)
		return viofs_err_set(err, -ENOMEM, "out of memory");
	r->config = *config;
	r->fs = fs;
	r->arena = arena;
	r->indirect = fs->virtio->negotiated & VIOFS_VIRTIO_F_INDIRECT_DESC;
	r->config.max_data = viofs_chain_data_bound(
		r->arena, VIOFS_SLOT_INDIRECT, r->fs->queue_size + VIOFS_FS_REQUEST,
		r->fs->queue_count - VIOFS_FS_REQUEST, r->config.max_data);
	viofs_layout_new(config, arena, &r->layout);
	r->stats = r->layout.stats;
	viofs_team_init(&r->team);
	viofs_outcome_init(&r->outcome);
	if (viofs_slots_init(&r->slots, (uint16_t)config->slots, (uint16_t)config->buffers,
			     config->max_data, arena, &r->layout.slots) ||
	    viofs_hiprio_init(r) || viofs_lanes_new(r)) {
		viofs_relay_free(r);
		return viofs_err_set(err, -ENOMEM, "out of memory");
	}
	r->stats->channel = VIOFS_CHANNEL_DEV;
	r->stats->lanes = r->lane_count;
	viofs_relay_describe(r, config);
	*out = r;
	return 0;
}

void viofs_relay_free(struct viofs_relay *r)
{
	if (!r)
		return;
	viofs_team_end(r);
	/* A thread that is stuck in a reply uses all of this when it comes back. */
	if (!viofs_lanes_free(r))
		return;
	viofs_notify_stop(r);
	viofs_doorbells_fini(&r->doorbells);
	viofs_hiprio_fini(r);
	viofs_slots_fini(&r->slots);
	free(r);
}

int viofs_relay_open(struct viofs_relay *r, int fuse_fd, struct viofs_err *err)
{
	return viofs_lanes_open(r, fuse_fd, err);
}

void viofs_relay_hang_up(struct viofs_relay *r)
{
	if (r)
		viofs_lanes_hang_up(r);
}

static int defy_stops(const struct viofs_relay *r, int fuse_fd, struct viofs_err *err)
{
	int rc = r->config.serves_root ? viofs_devfuse_defy_stops(fuse_fd) : 0;

	return rc ? viofs_err_set(err, rc, "/dev/fuse sends no signals: %s.", strerror(-rc)) : 0;
}

int viofs_relay_prepare(struct viofs_relay *r, int fuse_fd, struct viofs_err *err)
{
	int rc = viofs_lanes_prepare(r, fuse_fd, err);

	if (!rc)
		rc = viofs_notify_prepare(r, fuse_fd, err);
	return rc ? rc : defy_stops(r, fuse_fd, err);
}

static int own_ring(struct viofs_lane *lane, struct viofs_err *err)
{
	int rc = viofs_loop_own(&lane->loop);

	return rc ? viofs_err_set(err, rc, "io_uring: %s", strerror(-rc)) : 0;
}

/* What another process has put there, which may have died before it told the device. */
static void kick_all(const struct viofs_relay *r)
{
	for (unsigned int q = 0; q < r->fs->queue_count; q++)
		if (r->fs->queues[q].ring.shadow->in_flight)
			viofs_fs_kick_always(r->fs, q);
	if (r->fs->notification)
		viofs_fs_notification_kick_always(r->fs);
}

/* Up to the time when the mount answers. */
static int start_session(struct viofs_relay *r, int fuse_fd, struct viofs_err *err)
{
	int rc = 0;

	r->err = err;
	if (!r->is_adopted)
		r->stats->stage = VIOFS_STAGE_STARTING;
	if (!r->lanes[0].loop.ops)
		rc = viofs_relay_prepare(r, fuse_fd, err);
	if (!rc)
		rc = viofs_team_start(r, err);
	if (!rc)
		rc = own_ring(&r->lanes[0], err);
	if (!rc && r->is_adopted)
		kick_all(r);
	if (!rc && !r->is_adopted)
		rc = viofs_handshake(&r->lanes[0]);
	if (!rc)
		return 0;
	viofs_team_end(r);
	r->stats->stage = VIOFS_STAGE_FAILED;
	snprintf(r->stats->reason, sizeof(r->stats->reason), "%.*s",
		 (int)sizeof(r->stats->reason) - 1, err->text);
	return rc;
}

int viofs_relay_run(struct viofs_relay *r, int fuse_fd, void (*ready)(void *), void *ready_arg,
		    struct viofs_err *err)
{
	int rc = start_session(r, fuse_fd, err);

	if (rc)
		return rc;
	r->stats->stage = VIOFS_STAGE_SERVING;
	ready(ready_arg);
	viofs_notify_start(r);
	viofs_team_serve(r);
	viofs_lead(&r->lanes[0]);
	viofs_lease_wait(&r->lanes[0].lease);
	viofs_notify_stop(r);
	if (!viofs_observe_is_lost(r))
		viofs_team_end(r);
	rc = r->outcome.result;
	return rc ? viofs_err_set(err, rc, "%s", r->stats->reason) : 0;
}

int viofs_relay_refuse(struct viofs_relay *r)
{
	int rc;

	viofs_team_refuse(r);
	rc = viofs_refuse(&r->lanes[0]);
	viofs_team_end(r);
	return rc;
}
