/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the supervisor answers at its control socket: status, latencies, abort, a second mount,
 * records of what passes. */
#include "base/log.h"
#include "base/ticks.h"
#include "daemon/launch.h"
#include "daemon/status.h"
#include "daemon/supervision.h"
#include "relay/observe.h"
#include "viofs_config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The oldest of all requests, those included that the worker has not read. */
static int64_t oldest_request_ns(struct viofs_supervision *s)
{
	if (s->worker.state == VIOFS_WORKER_SERVING)
		viofs_watchdog_look_closely(&s->watchdog);
	return VIOFS_MAX(viofs_observe_oldest_ns(s->claim->relay),
			 viofs_watchdog_unread_ns(&s->watchdog));
}

json_t *viofs_answers_live_status(struct viofs_supervision *s)
{
	struct viofs_relay *relay = s->claim->relay;
	struct viofs_relay_stats stats;
	const struct viofs_status_source source = {
		.source = s->o->source,
		.mountpoint = s->mountpoint,
		.address = viofs_source_name(&s->source),
		.config = &s->o->relay,
		.fs = s->claim->at.fs,
		.stats = &stats,
		.slots_used = viofs_observe_slots_used(relay),
		.slots = s->o->relay.slots,
		.oldest_ns = oldest_request_ns(s),
		.dma_bytes = viofs_arena_size(s->claim->at.arena),
		.page_size = viofs_arena_page_size(s->claim->at.arena),
		.supervisor = getpid(),
		.worker = s->worker.pid,
		.outage = viofs_outage_json(&s->outage),
		.leaving = viofs_phase_rules(s->phase)->asked,
		.restarts = s->succession.restarts,
		.last_death = s->succession.last.text,
	};

	viofs_observe_stats(relay, &stats);
	return viofs_status_json(&source);
}

/*
 * For viofsctl: what the session is doing, or did when the device was lost; and where it is
 * mounted.
 */
static json_t *make_status(void *arg, const char *argument, int *fd)
{
	struct viofs_supervision *s = arg;
	struct viofs_places places = { NULL, 0 };
	/* A live status needs the device. Once that is lost, only the last one is left, or none. */
	json_t *status = s->worker.state == VIOFS_WORKER_LOST ? json_incref(s->last_status)
							      : viofs_answers_live_status(s);

	viofs_mount_places(s->mount, &places);
	if (status) {
		json_object_set_new(status, "version", json_string(VIOFS_VERSION));
		json_object_set_new(status, "mounts", viofs_status_mounts(&places));
		json_object_set_new(status, "options", viofs_status_options(s->o));
		json_object_set_new(status, "mounted", json_boolean(viofs_mount_exists(s->mount)));
	}
	viofs_places_free(&places);
	return status;
}

static json_t *latency(struct viofs_supervision *s, struct viofs_latency_looks *looks)
{
	if (!viofs_ticks_are_steady())
		return json_pack("{s:s}", "error", "this CPU has no clock that could be relied on");
	return json_pack("{s:o, s:o, s:o}", "source", viofs_status_text(s->o->source), "mountpoint",
			 viofs_status_text(s->mountpoint), "latency",
			 viofs_latency_json(s->claim->relay, looks));
}

static json_t *make_latency(void *arg, const char *argument, int *fd)
{
	return latency(arg, NULL);
}

static json_t *make_latency_since(void *arg, const char *argument, int *fd)
{
	struct viofs_supervision *s = arg;

	return latency(s, &s->looks);
}

/* For viofsctl: end the session, even if the mount is in use or the device doesn't answer. */
static json_t *make_abort(void *arg, const char *argument, int *fd)
{
	struct viofs_supervision *s = arg;

	viofs_journal_ask(&s->journal, "viofsctl abort, at once");
	viofs_launch_tell_systemd("STOPPING=1");
	s->asked++;
	s->by_abort = true;
	viofs_course_abort(s, VIOFS_ABORT_END_NS);
	return json_pack("{s:b, s:i}", "aborted", 1, "supervisor", (int)getpid());
}

/* For another virtiofs-vfio, which puts the new mount where its user wants it (second.c). */
static json_t *make_clone(void *arg, const char *argument, int *fd)
{
	const struct viofs_supervision *s = arg;
	int rc = viofs_phase_rules(s->phase)->clone ? viofs_mount_clone(s->mount) : -ESTALE;

	if (rc < 0)
		return json_pack("{s:s}", "error", strerror(-rc));
	viofs_info("another virtiofs-vfio asks for a second mount of it");
	*fd = rc;
	return json_pack("{s:o, s:o, s:I, s:i}", "mountpoint", viofs_status_text(s->mountpoint),
			 "options", viofs_status_options(s->o), "super",
			 (json_int_t)s->o->mount.super, "supervisor", (int)getpid());
}

/* For viofsctl capture: a socket, by which all else is agreed. */
static json_t *make_capture(void *arg, const char *argument, int *fd)
{
	struct viofs_supervision *s = arg;
	int rc = viofs_recorder_invite(&s->recorder);

	if (rc == -EBUSY)
		return json_pack("{s:s}", "error", "somebody else captures it already");
	if (rc < 0)
		return json_pack("{s:s}", "error", strerror(-rc));
	*fd = rc;
	return json_pack("{s:o, s:o, s:i}", "source", viofs_status_text(s->o->source), "mountpoint",
			 viofs_status_text(s->mountpoint), "supervisor", (int)getpid());
}

/* For viofsctl: the level from which on messages are logged; with @argument, from now on. */
static json_t *make_log_level(void *arg, const char *argument, int *fd)
{
	int level = argument ? viofs_log_level_parse(argument) : (int)viofs_log_level();

	if (level < 0)
		return json_pack("{s:s}", "error", "a level is error, warning, info or debug");
	if (argument) {
		/* By the one of both levels that shows more. */
		viofs_log_set_level(VIOFS_MAX((enum viofs_log_level)level, viofs_log_level()));
		viofs_info("messages up to the level %s are logged from now on, as viofsctl asks",
			   argument);
		viofs_log_set_level((enum viofs_log_level)level);
	}
	return json_pack("{s:s}", "log_level", viofs_log_level_name((enum viofs_log_level)level));
}

const struct viofs_control_command viofs_answers_commands[] = {
	{ VIOFS_CONTROL_CLONE, make_clone, NULL },
	{ VIOFS_CONTROL_STATUS, make_status, NULL },
	{ VIOFS_CONTROL_LATENCY, make_latency, NULL },
	{ VIOFS_CONTROL_LATENCY_SINCE, make_latency_since, NULL },
	{ VIOFS_CONTROL_LOG_LEVEL, make_log_level, "LEVEL" },
	{ VIOFS_CONTROL_ABORT, make_abort, NULL },
	{ VIOFS_CONTROL_CAPTURE, make_capture, NULL },
	{ NULL, NULL, NULL },
};
