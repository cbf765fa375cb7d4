/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Claiming a device, and giving it back. */
#include "daemon/claim.h"
#include "base/log.h"
#include "attach/usage.h"
#include "relay/observe.h"
#include "relay/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How long another daemon may need after its unmount: DESTROY, reset, binding. */
#define WAIT_ENDING_MS 15000
/* How long a worker without a supervisor may need for its reset. */
#define ORPHAN_RESET_MS 1000

/* Is there a daemon to wait for: one that holds the device but has no mount any more? */
static int wait_time(const struct viofs_source *s)
{
	struct viofs_usage state;

	if (viofs_usage_read(s->id, &state) || !state.record.pid || viofs_usage_is_mounted(&state))
		return 0;
	return WAIT_ENDING_MS;
}

/* Logs once what on-loss=wait needs and this back end lacks. */
static void say_no_wait(const struct viofs_options *o, const char *why)
{
	viofs_warn("%s: -o on-loss=wait can't be kept, on-loss=eio is used: %s", o->source, why);
}

/* Before the device is opened: are the user's options sufficient? */
static bool can_wait(const struct viofs_source *s, const struct viofs_options *o)
{
	if (o->on_loss != VIOFS_ON_LOSS_WAIT)
		return false;
	if (!s->transport->may_return)
		say_no_wait(
			o,
			"it is for vhost-user: sources; QEMU does not tell its guest that a back "
			"end has died");
	else if (!o->keeps_state)
		say_no_wait(
			o,
			"a back end that is started anew has forgotten inodes and open files, "
			"unless you assert with -o backend-keeps-state that this one keeps them");
	else
		return true;
	return false;
}

static int open_device(struct viofs_claim *c, const struct viofs_source *s,
		       const struct viofs_options *o, struct viofs_err *err)
{
	const struct viofs_attach_options options = {
		.transport = {
			.allow_noiommu = o->allow_noiommu,
			.queues = o->queues,
			.track = can_wait(s, o),
		},
		.ring = o->ring,
		/* The relay handles notifications. */
		.notification = o->notify != VIOFS_NOTIFY_OFF,
	};
	int rc = viofs_opened_open(&c->at, s, &options, err);

	if (!rc && options.transport.track && !c->at.fs->virtio->returns)
		say_no_wait(o,
			    "the back end does not offer VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD, so "
			    "another one could not know which requests it has left unanswered");
	return rc;
}

/* A session goes on without. */
static void make_capture(struct viofs_claim *c)
{
	if (!viofs_capture_new(viofs_observe_lanes(c->relay), &c->capture))
		viofs_tap_attach(c->relay, c->capture);
}

static int start_device(struct viofs_claim *c, const struct viofs_options *o, struct viofs_err *err)
{
	struct viofs_opened_memory memory = { .small_pages = o->small_pages };
	int rc;

	viofs_relay_config_arena_sizes(&o->relay, memory.sizes);
	rc = viofs_opened_start(&c->at, &memory, err);
	if (!rc)
		rc = viofs_relay_new(&o->relay, c->at.fs, c->at.arena, &c->relay, err);
	if (!rc)
		make_capture(c);
	return rc;
}

int viofs_claim_open(const struct viofs_source *s, const struct viofs_options *o,
		     struct viofs_claim **out, struct viofs_err *err)
{
	struct viofs_claim *c = calloc(1, sizeof(*c));
	struct viofs_err why = { .text = "" };
	int rc;

	if (!c)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	viofs_hold_sweep();
	rc = viofs_opened_hold(&c->at, s, o->source, wait_time(s), err);
	if (rc) {
		free(c);
		return rc;
	}
	rc = open_device(c, s, o, err);
	if (!rc)
		rc = start_device(c, o, err);
	if (rc) {
		viofs_err_prefix(err, rc, "%s", o->source);
		if (viofs_claim_close(c, &why))
			viofs_warn("%s could not be given back to its driver: %s", o->source,
				   why.text);
		return rc;
	}
	*out = c;
	return 0;
}

void viofs_claim_let_go(struct viofs_claim *c)
{
	if (viofs_opened_let_go(&c->at))
		viofs_warn("%s: the device could not be stopped: it did not finish its reset, nor "
			   "could bus mastering be switched off. The kernel was left to do it.",
			   c->at.hold.id);
}

void viofs_claim_halt(struct viofs_claim *c)
{
	viofs_opened_halt(&c->at, ORPHAN_RESET_MS);
}

int viofs_claim_close(struct viofs_claim *c, struct viofs_err *err)
{
	int rc;

	if (!c)
		return 0;
	viofs_claim_let_go(c);
	viofs_relay_free(c->relay);
	viofs_capture_free(c->capture);
	rc = viofs_opened_close(&c->at, err);
	free(c);
	return rc;
}
